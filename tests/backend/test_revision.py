"""What a checkout's git tells, without running what the checkout's own configuration names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.revision import git as asked
from alwrity_checks.backend.revision import revision_of
from alwrity_checks.backend.since import merge_base, snapshot_at
from tests.support.scanned_checkout import commit, git, lay_out

if TYPE_CHECKING:
    from pathlib import Path

APP = "backend/app.py"


def test_revision_and_changes(tmp_path: Path) -> None:
    """The commit; and whether a file that git knows was changed since."""
    root = lay_out(tmp_path)
    head = commit(root)
    assert revision_of(root) == head[:8]
    lay_out(root, {APP: "x = 1\n"})
    assert revision_of(root) == f"{head[:8]} with changes"
    assert revision_of(tmp_path.parent) == ""


@pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")
@pytest.mark.parametrize("name", ["mean", "me=an"])
def test_nothing_of_the_configuration_is_run(tmp_path: Path, name: str) -> None:
    """No filter, no monitor, no hook: neither for a status nor for the files of a commit."""
    root = lay_out(tmp_path / "checkout", {".gitattributes": f"*.py filter={name}\n" if "=" not in name else ""})
    head = commit(root)
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0" >> {ran}\ncat\n', encoding="utf-8")
    program.chmod(0o755)
    for setting in (f"filter.{name}.clean", f"filter.{name}.process", "core.fsmonitor", "core.sshCommand"):
        git(root, "config", setting, str(program))
    git(root, "config", f"filter.{name}.required", "true")
    git(root, "config", "core.hooksPath", str(tmp_path))
    (root / APP).write_text((root / APP).read_text(encoding="utf-8"), encoding="utf-8")
    os.utime(root / APP, (1, 1))  # git has to look into it, to know whether it was changed
    assert revision_of(root) == (head[:8] if "=" not in name else f"{head[:8]}, changes not looked for")
    assert snapshot_at(root, merge_base(root, "HEAD"), "backend/").sources
    assert not ran.exists()


@pytest.mark.skipif(os.name != "posix", reason="the program is a shell script")
def test_nothing_is_fetched(tmp_path: Path) -> None:
    """What a partial clone lacks would be fetched by whatever its configuration names, if `ext` is allowed there."""
    root = lay_out(tmp_path / "checkout")
    commit(root)
    ran = tmp_path / "ran"
    git(root, "config", "extensions.partialClone", "origin")
    git(root, "config", "core.repositoryFormatVersion", "1")
    git(root, "config", "remote.origin.promisor", "true")
    git(root, "config", "remote.origin.url", f"ext::sh -c touch% {ran}")
    git(root, "config", "protocol.ext.allow", "always")
    missing = "1" * 40
    assert asked(root, "cat-file", "-p", missing) is None
    assert not ran.exists()
    git(root, "config", "remote.origin.url", str(tmp_path))
    assert asked(root, "cat-file", "--batch", told=f"{missing}\n".encode()) in {None, f"{missing} missing\n".encode()}
