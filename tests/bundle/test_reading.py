"""A bundle that somebody handed over: whole ones are read, and everything else is refused with the reason."""

from __future__ import annotations

import gzip
import io
import json
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.bundle import reading
from alwrity_doctor.bundle.archive import packed
from alwrity_doctor.bundle.manifest import ROOT, Item, Manifest
from alwrity_doctor.bundle.reading import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

MADE = datetime(2026, 11, 28, 20, 30, 40, tzinfo=UTC)
ITEMS = [Item("report.json", "the report", b'{"a": 1}\n'), Item("logs/01-a.txt", "a log", b"line\n" * 100)]
MANIFEST = Manifest.of("1", MADE, ITEMS).render()
FILES = {"manifest.json": MANIFEST} | {one.path: one.data for one in ITEMS}
Member = tuple[str, bytes]


def tar(members: Iterable[Member | tarfile.TarInfo], name: Callable[[str], str] = f"{ROOT}/{{}}".format) -> bytes:
    """Return a tar.gz of `members`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            entry = tarfile.TarInfo(name(member[0]))
            entry.size = len(member[1])
            archive.addfile(entry, io.BytesIO(member[1]))
    return out.getvalue()


def zipped(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip of `members`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else f"{ROOT}/{name}", data)
    return out.getvalue()


def refused(tmp_path: Path, data: bytes) -> str:
    """Return why an archive is refused; the remedy is never missing."""
    path = tmp_path / "in.bundle"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        read_bundle(path)
    assert caught.value.remedy
    assert str(path) in caught.value.diagnosis
    return caught.value.diagnosis


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_what_was_packed_is_read(tmp_path: Path, form: str) -> None:
    """Every file comes back byte for byte, with when it was made and by which version."""
    path = tmp_path / "in.bundle"
    path.write_bytes(packed(form, Manifest.of("1", MADE, ITEMS), ITEMS))
    bundle = read_bundle(path)
    assert bundle.files == {one.path: one.data for one in ITEMS}
    assert (bundle.manifest.version, bundle.manifest.created) == ("1", MADE)
    assert bundle.report == ITEMS[0].data


@pytest.mark.parametrize("build", [tar, zipped])
def test_one_that_was_packed_anew_by_hand_is_read(tmp_path: Path, build: Callable[[Iterable[Member]], bytes]) -> None:
    """Another archiver's header fields do not matter, as long as the files are the same."""
    path = tmp_path / "in.bundle"
    path.write_bytes(build(FILES.items()))
    assert read_bundle(path).report == ITEMS[0].data


CHANGED: dict[str, tuple[dict[str, bytes | None], str]] = {
    "a file was edited": ({"report.json": b'{"a": 2}\n'}, "report.json was changed since the bundle was made"),
    "a file is missing": ({"logs/01-a.txt": None}, "lacks logs/01-a.txt, which its manifest names"),
    "a file was added": ({"extra.txt": b"x"}, "holds extra.txt, which its manifest does not name"),
    "the manifest is missing": ({"manifest.json": None}, "holds no manifest.json"),
    "the manifest is no JSON": ({"manifest.json": b"{"}, "manifest.json cannot be read"),
    "the manifest is a list": ({"manifest.json": b"[]"}, "manifest.json cannot be read"),
    "the manifest is deep": ({"manifest.json": b"[" * 100_000}, "manifest.json cannot be read"),
    "the manifest is large": ({"manifest.json": b" " * (1 << 20) + b"{}"}, "manifest.json is larger than 1 MiB"),
    "another schema": (
        {"manifest.json": MANIFEST.replace(b"bundle/1", b"bundle/2")},
        "schema is 'alwrity-doctor/bundle/2'",
    ),
    "a moment without a zone": ({"manifest.json": MANIFEST.replace(b'40Z"', b'40"')}, "manifest.json cannot be read"),
    "no report": (
        {
            "report.json": None,
            "manifest.json": Manifest.of("1", MADE, ITEMS[1:]).render(),
        },
        "holds no report.json",
    ),
}


@pytest.mark.parametrize("build", [tar, zipped])
@pytest.mark.parametrize("case", CHANGED)
def test_a_changed_one_is_refused(tmp_path: Path, case: str, build: Callable[[Iterable[Member]], bytes]) -> None:
    """What was edited, added or left out after it was made is named."""
    changes, said = CHANGED[case]
    whole: dict[str, bytes | None] = {**FILES, **changes}
    files = {name: data for name, data in whole.items() if data is not None}
    assert said in refused(tmp_path, build(files.items()))


@pytest.mark.parametrize(
    "name", ["../report.json", "/etc/passwd", f"{ROOT}/../../x", f"{ROOT}/a\\b", "report.json", f"{ROOT}/", f"{ROOT}/."]
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """No name is resolved: what is no plain path below the one directory is refused, in either form."""
    said = "is no path of a bundle"
    assert said in refused(tmp_path, tar([("x", b"x")], lambda _: name)) or name.endswith("/")
    if not name.endswith("/"):
        assert said in refused(tmp_path, zipped([(zipfile.ZipInfo(name), b"x")]))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"Z"]
)
def test_a_link_or_a_device_in_a_tar_is_refused(tmp_path: Path, kind: bytes) -> None:
    """Only plain files are read, whatever a link would lead to."""
    entry = tarfile.TarInfo(f"{ROOT}/report.json")
    entry.type, entry.linkname = kind, "/etc/passwd"
    assert "no bundle that can be read" in refused(tmp_path, tar([entry]))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    """As in a tar."""
    entry = zipfile.ZipInfo(f"{ROOT}/report.json")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    assert "is a link or a special file" in refused(tmp_path, zipped([(entry, b"/etc/passwd")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("build", [tar, zipped])
def test_a_file_twice_is_refused(tmp_path: Path, build: Callable[[Iterable[Member]], bytes]) -> None:
    """Two readers might take two different ones of them."""
    assert "holds report.json twice" in refused(tmp_path, build([*FILES.items(), ("report.json", b"other")]))


def test_an_encrypted_or_oddly_compressed_entry_is_refused(tmp_path: Path) -> None:
    """The reason says which, and nobody is asked for a password."""
    data = bytearray(zipped(FILES.items()))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "is encrypted" in refused(tmp_path, bytes(data))
    data = bytearray(zipped(FILES.items()))
    struct.pack_into("<H", data, at + 10, 12)
    assert "compressed in a way that no bundle is" in refused(tmp_path, bytes(data))


BOMB = 300 << 20


def bomb_of_a_file() -> bytes:
    """Return a tar.gz whose one file is larger than a bundle may be, in a third of a megabyte."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as squeezed:
        entry = tarfile.TarInfo(f"{ROOT}/report.json")
        entry.size = BOMB
        squeezed.write(entry.tobuf(tarfile.GNU_FORMAT))
        for _ in range(BOMB >> 20):
            squeezed.write(bytes(1 << 20))
    return out.getvalue()


def bomb_of_a_header() -> bytes:
    """Return a tar.gz whose extended header, which a reader holds in memory, is that large."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as squeezed:
        entry = tarfile.TarInfo("x")
        entry.type, entry.size = tarfile.XHDTYPE, BOMB
        squeezed.write(entry.tobuf(tarfile.GNU_FORMAT))
        for _ in range(BOMB >> 20):
            squeezed.write(bytes(1 << 20))
    return out.getvalue()


def bomb_of_many() -> bytes:
    """Return a tar.gz of more files than a bundle has."""
    return tar((f"{number}.txt", b"") for number in range(1100))


def bomb_in_a_zip() -> bytes:
    """Return a zip whose file is larger than a bundle may be."""
    return zipped([("report.json", bytes(65 << 20))])


def lying_zip() -> bytes:
    """Return a zip that says its file has 8 bytes, and has 8 MiB."""
    data = bytearray(zipped([("report.json", bytes(8 << 20))]))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(mark) + offset, 8)
    return bytes(data)


def zip_of_many() -> bytes:
    """Return a zip of more files than a bundle has."""
    return zipped((f"{number}.txt", b"") for number in range(1100))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (bomb_of_a_file, "has more than 64 MiB"),
        (bomb_of_a_header, "unpacked it has more than 256 MiB"),
        (bomb_of_many, "more than 1000 files"),
        (bomb_in_a_zip, "has more than 64 MiB"),
        (lying_zip, "damaged or cut off"),
        (zip_of_many, "more than 1000 files"),
    ],
)
def test_a_bomb_is_not_unpacked(
    tmp_path: Path, build: Callable[[], bytes], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with the reason, and little of it is ever in memory."""
    data = build()
    if build is bomb_of_a_header:
        # What is counted is what came out of the decompressor; a smaller bound shows the same in less time.
        monkeypatch.setattr(reading, "_LARGEST", 8 << 20)
        said = "unpacked it has more than 8 MiB"
    tracemalloc.start()
    try:
        assert said in refused(tmp_path, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (48 << 20)


def test_a_zip64_is_refused(tmp_path: Path) -> None:
    """Its second directory could say something else than the one that was looked at."""
    data = zipped(FILES.items())
    at = data.rindex(b"PK\x05\x06")
    locator = b"PK\x06\x07" + bytes(16)
    assert "zip64" in refused(tmp_path, data[:at] + locator + data[at:])


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_one_that_was_cut_off_is_refused(tmp_path: Path, form: str) -> None:
    """Wherever a transfer broke off, even in the last byte."""
    data = packed(form, Manifest.of("1", MADE, ITEMS), ITEMS)
    for length in (3, 10, len(data) // 2, len(data) - 9, len(data) - 1):
        assert refused(tmp_path, data[:length])


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_a_flipped_byte_is_refused_or_harmless(tmp_path: Path, form: str) -> None:
    """Of 300 archives with one changed byte none raises anything foreign, and none that is read has another content."""
    data = packed(form, Manifest.of("1", MADE, ITEMS), ITEMS)
    chance = random.Random(form)  # noqa: S311 - which byte is flipped is no secret
    path = tmp_path / "in.bundle"
    refusals = 0
    for _ in range(300):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            assert read_bundle(path).files == {one.path: one.data for one in ITEMS}
        except ConfigurationError:
            refusals += 1
    assert refusals > 150


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "neither a .tar.gz nor a .zip"),
        (b"hello", "neither a .tar.gz nor a .zip"),
        (json.dumps({"schema": "alwrity-doctor/report/1"}).encode(), "is a report: alwrity-doctor render reads it"),
        (gzip.compress(b"a log\n" * 1000), "damaged or cut off"),
        (gzip.compress(b""), "damaged or cut off"),
        (b"PK\x03\x04" + bytes(100), "damaged or cut off"),
    ],
    ids=["nothing", "a text", "a report", "a log", "an empty file", "half a zip"],
)
def test_what_is_no_bundle_is_told_as_what_it_is(tmp_path: Path, data: bytes, said: str) -> None:
    """A report, a compressed log or an empty file is not taken for one."""
    assert said in refused(tmp_path, data)


def test_a_directory_and_a_name_without_a_file_are_refused(tmp_path: Path) -> None:
    """The one is where a bundle was unpacked, the other a slip of the pen."""
    for path, said in ((tmp_path, "is a directory"), (tmp_path / "absent", "cannot be read: No such file")):
        with pytest.raises(ConfigurationError, match=said):
            read_bundle(path)


def test_an_archive_larger_than_any_bundle_is_not_read(tmp_path: Path) -> None:
    """A disk image under the wrong name is told by its size alone: 65 MiB of a file with nothing in it."""
    path = tmp_path / "in.bundle"
    with path.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(ConfigurationError, match="larger than 64 MiB"):
        read_bundle(path)
