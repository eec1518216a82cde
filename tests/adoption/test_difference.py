"""The diff is one that git takes, whatever the files hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.adoption.difference import counted, unified
from alwrity_checks.adoption.proposal import Change
from tests.support.scanned_checkout import git

if TYPE_CHECKING:
    from pathlib import Path

PATH = "middleware/a.py"


@pytest.mark.parametrize("prefix", ["", "backend/", "my back end/", 'bäck"end/', "a\tb/"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nc"),
        ("a\nb", "a\nb\n"),
        ("a\nb\n", "a\nb"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("a\x0cb\u2028c\n\x85\n", "a\x0cb\u2028d\n\x85\n"),
        ("-- a\n++ b\n", "++ a\n-- b\n"),
        (None, "new\n"),
        ("".join(f"{n}\n" for n in range(400)), "".join(f"{n}\n" for n in range(0, 400, 7))),
    ],
)
def test_git_applies_it(tmp_path: Path, prefix: str, before: str | None, after: str) -> None:
    """What comes out of git apply is what was meant, to the byte."""
    git(tmp_path, "init", "--quiet")
    place = tmp_path / prefix / PATH
    place.parent.mkdir(parents=True)
    if before is not None:
        place.write_bytes(before.encode())
    patch = tmp_path / "patch"
    patch.write_bytes(unified([Change(PATH, before, after)], prefix).encode())
    git(tmp_path, "apply", "--whitespace=nowarn", "patch")
    assert place.read_bytes() == after.encode()


def test_how_many_lines_come_and_go() -> None:
    """Lines that begin with the signs of a diff are counted as lines."""
    assert counted(Change(PATH, "--- a\n+++ b\nc\n", "c\nd\n")) == "+1 -2"
    assert counted(Change(PATH, None, "a\nb\n")) == "+2 -0"
