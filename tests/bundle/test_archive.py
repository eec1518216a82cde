"""Writing a bundle: the same files give the same bytes, nothing is overwritten, nothing is there by half."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.bundle import archive
from alwrity_doctor.bundle.archive import packed, target, write_new
from alwrity_doctor.bundle.manifest import Item, Manifest

MADE = datetime(2026, 11, 28, 20, 30, 41, 5, tzinfo=UTC)
ITEMS = [Item("report.json", "the report", b"{}\n"), Item("logs/01-a.txt", "a log", b"line\n" * 100)]


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_the_same_files_give_the_same_bytes(form: str) -> None:
    """Neither the order of the files nor the zone of the clock shows; another moment or another file does."""
    first = packed(form, Manifest.of("1", MADE, ITEMS), ITEMS)
    there = MADE.astimezone(timezone(timedelta(hours=9)))
    assert packed(form, Manifest.of("1", there, ITEMS[::-1]), ITEMS[::-1]) == first
    assert packed(form, Manifest.of("1", MADE + timedelta(seconds=2), ITEMS), ITEMS) != first


def test_everything_lies_in_one_directory_and_is_a_plain_file() -> None:
    """It does not spill where it is unpacked, brings no owner, and can be read and not run; the manifest is first."""
    data = packed("tar.gz", Manifest.of("1", MADE, ITEMS), ITEMS)
    with tarfile.open(fileobj=io.BytesIO(data)) as held:
        entries = held.getmembers()
    assert [one.name for one in entries] == [
        f"alwrity-doctor-bundle/{name}" for name in ("manifest.json", "logs/01-a.txt", "report.json")
    ]
    assert {(one.uid, one.uname, one.mode, one.mtime) for one in entries} == {(0, "", 0o644, int(MADE.timestamp()))}
    data = packed("zip", Manifest.of("1", MADE, ITEMS), ITEMS)
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        assert zipped.namelist() == [one.name for one in entries]
        assert {one.date_time for one in zipped.infolist()} == {(2026, 11, 28, 20, 30, 40)}


def test_a_clock_at_the_epoch_is_borne() -> None:
    """A machine whose clock was never set can hand over as well: a zip knows no date before 1980."""
    made = datetime(1970, 1, 1, tzinfo=UTC)
    assert packed("zip", Manifest.of("1", made, ITEMS), ITEMS)


@pytest.mark.parametrize(
    ("name", "file", "form"),
    [
        ("out", "out.tar.gz", "tar.gz"),
        ("out.tar.gz", "out.tar.gz", "tar.gz"),
        ("out.TGZ", "out.TGZ", "tar.gz"),
        ("out.zip", "out.zip", "zip"),
        ("incident.28", "incident.28.tar.gz", "tar.gz"),
    ],
)
def test_the_name_decides_the_form(tmp_path: Path, name: str, file: str, form: str) -> None:
    """Without an ending it is a .tar.gz, and is called so."""
    assert target(tmp_path / name) == (tmp_path / file, form)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.7z", "no .7z"),
        ("out.tar", "no .tar"),
        ("out.tar.bz2", "no .bz2"),
        ("-", "stdout is none"),
        ("", "is a directory"),
        ("..", "is a directory"),
        ("x" * 300, "File name too long"),
        (f"{__file__}/out", "Not a directory"),
    ],
    ids=["7z", "tar", "bz2", "stdout", "nothing", "above", "too long", "below a file"],
)
def test_what_can_be_no_bundle_is_refused(name: str, said: str) -> None:
    """Nobody gets a tar.gz under the name of something else, none goes to stdout, none beside a directory's name."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        target(Path(name))
    assert caught.value.remedy


@pytest.mark.parametrize("kind", ["file", "directory", "link to nothing"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    """What is there stays as it is: it is refused before the run, and again when the archive is written."""
    place = tmp_path / "out.zip"
    if kind == "file":
        place.write_bytes(b"mine")
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to(tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="is a directory" if kind == "directory" else "is there already"):
        target(place)
    with pytest.raises(ConfigurationError, match="is there already"):
        write_new(place, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]
    assert kind != "file" or place.read_bytes() == b"mine"


@pytest.mark.parametrize("links", [True, False])
def test_it_is_there_whole_and_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    """Only its owner may read it, and nothing is left beside it; on a file system without links as well."""
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    place = tmp_path / "out.zip"
    write_new(place, b"new")
    assert place.read_bytes() == b"new"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]
    with pytest.raises(ConfigurationError, match="is there already"):
        write_new(place, b"newer")
    assert place.read_bytes() == b"new"


def _no_links(*_: object) -> None:
    raise OSError(1, "Operation not permitted")


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full there is no archive, no half of one, and an error with a remedy."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        write_new(tmp_path / "out.zip", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_without_links_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that was taken first is given back."""
    monkeypatch.setattr(os, "link", _no_links)
    monkeypatch.setattr(Path, "replace", _no_links)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        archive.write_new(tmp_path / "out.zip", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../b", "a//b", "a\\b", ".hidden", "c:x", "é", "a" * 76])
def test_only_a_plain_path_comes_in(path: str) -> None:
    """What a system might take apart is a fault of whoever packs."""
    with pytest.raises(ValueError, match="no path of a bundle"):
        Item(path, "x", b"")
