"""Snapshots: complete or not there, switched to in one step, and stepped back from when the disk damages one."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai import generations
from alwrity_checks.txtai.generations import Applied, Generation, current, publish, sound, sweep
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.storage import DamagedIndex

if TYPE_CHECKING:
    from pathlib import Path


def made(directory: Path, sequence: int) -> Generation:
    """Publish a generation with one file."""

    def content(draft: Path) -> Applied:
        (draft / "embeddings").write_bytes(b"vectors")
        return Applied(sequence, 1, "model", 8, "9.14.0", "1.15.1")

    return publish(directory, content)


def names(directory: Path) -> list[str]:
    """Return what is in the directory."""
    return sorted(path.name for path in directory.iterdir())


def test_generations_follow_each_other(tmp_path: Path) -> None:
    """The current one is the last; it says what it holds; older ones go when they are swept."""
    assert current(tmp_path) is None
    first, second, third = (made(tmp_path, sequence) for sequence in (5, 9, 9))
    assert current(tmp_path) == third
    assert (third.number, third.applied.sequence, third.path.name) == (3, 9, "gen-000003")
    assert sound(tmp_path) == [third, second, first]
    sweep(tmp_path, keep={2, 3}, damaged=None)
    assert names(tmp_path) == ["CURRENT", "gen-000002", "gen-000003"]
    sweep(tmp_path, keep={2, 3}, damaged="gen-000002")
    assert names(tmp_path) == ["CURRENT", "damaged-000002", "gen-000003"]


@pytest.mark.parametrize("name", ["copied", "synced"])
def test_a_failure_before_the_name_leaves_nothing(tmp_path: Path, name: str) -> None:
    """A draft that cannot be finished is removed, and the generation before stays current."""
    first = made(tmp_path, 5)

    def hook(reached: str, _: object) -> None:
        if reached == name:
            raise OSError(errno.ENOSPC, "no space")

    with hooked(hook), pytest.raises(OSError, match="no space"):
        made(tmp_path, 9)
    assert current(tmp_path) == first
    assert names(tmp_path) == ["CURRENT", "gen-000001"]


def test_a_generation_that_was_not_switched_to_is_passed_over(tmp_path: Path) -> None:
    """Its number is not used again, so that nothing of it can be taken for the next one's."""
    made(tmp_path, 5)

    def hook(reached: str, _: object) -> None:
        if reached == "renamed":
            raise KeyboardInterrupt

    with hooked(hook), pytest.raises(KeyboardInterrupt):
        made(tmp_path, 9)
    newest = current(tmp_path)
    assert newest is not None
    assert newest.number == 1
    assert made(tmp_path, 9).number == 3


def test_a_draft_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    """The next snapshot begins with an empty draft."""
    (tmp_path / "tmp-000001").mkdir()
    (tmp_path / "tmp-000001" / "embeddings").write_bytes(b"half")
    (tmp_path / "tmp-000007").mkdir()
    (tmp_path / "CURRENT.1.2.tmp").touch()
    assert sorted(path.name for path in made(tmp_path, 1).path.iterdir()) == ["applied.json", "embeddings"]
    assert names(tmp_path) == ["CURRENT", "gen-000001"]


@pytest.mark.parametrize(
    "content", [b"", b"gen-1", b"../gen-000001", b"gen-000009", b"\xff\xfe", b"gen-000001\0", b"gen-000001/../x"]
)
def test_a_damaged_pointer_is_named(tmp_path: Path, content: bytes) -> None:
    """`CURRENT` is followed to a generation in this directory or not at all."""
    made(tmp_path, 5)
    (tmp_path / "CURRENT").write_bytes(content)
    with pytest.raises(DamagedIndex):
        current(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"sequence": -1}, {"sequence": "5"}, {"documents": None}, {"documents": True}, {"encoder": 3}, {"more": 1}],
)
def test_a_damaged_watermark_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    """A watermark of the wrong kind is not believed: rows under a wrong one would be lost."""
    file = made(tmp_path, 5).path / "applied.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(DamagedIndex, match=r"applied\.json is damaged"):
        current(tmp_path)
    assert generations.sound(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"sequence": 5}'])
def test_a_truncated_watermark_is_named(tmp_path: Path, content: bytes) -> None:
    """So is one that cannot be read."""
    (made(tmp_path, 5).path / "applied.json").write_bytes(content)
    with pytest.raises(DamagedIndex, match=r"applied\.json is damaged"):
        current(tmp_path)
