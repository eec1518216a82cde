"""Reading of browser captures: forms, damage, bounded memory, and both kinds of JSON parser."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from io import BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.auth.har import read_capture
from alwrity_checks.auth.har.reader import CaptureCut, read_entries
from alwrity_checks.auth.har.text import BLOCK, capture_text
from alwrity_checks.errors import ConfigurationError
from tests.support.capture import captured, exchange, har, write_large_capture

if TYPE_CHECKING:
    from pathlib import Path


class Crumbs(RawIOBase):
    """A stream that delivers a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._rest = BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to three bytes."""
        return self._rest.read(min(size, 3))


class Broken(RawIOBase):
    """A stream whose medium fails, as a directory's does."""

    def read(self, _size: int = -1) -> bytes:
        """Fail as the read system call does."""
        raise IsADirectoryError(21, "Is a directory")


def entries(data: bytes) -> list[tuple[str, int]]:
    """Return URL and status of each entry."""
    return [(entry.url, entry.status) for entry in read_entries(BytesIO(data))]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"   \n", "ends early"),
        (b"\xef\xbb\xbf", "ends early"),
        (b"log,entries\n1,2\n", "not JSON"),
        (b"\x00\x01\x02\x03", "not JSON"),
        (b"{'log': 1}", "not JSON"),
        (b'{"log":{"entries":', "ends early"),
        (b'{"log":{"version":"1.2","pages":[', "ends early"),
        (b"[" * 100_000, "ends early"),
        (b'{"log":{"version":' + b"1" * 5000 + b"}}", "not JSON"),
        (b'{"log":"\x01"}', "not JSON"),
        (b"<!doctype html>", "HTML"),
        (b"\xef\xbb\xbf<html>", "HTML"),
        (b"PK\x03\x04\x14\x00", ".saz"),
        ('{"log":{"entries":[]}}'.encode("utf-16"), "UTF-16"),
        (b"\x0a\x0d\x0d\x0a\x1c\x00", "packet capture"),
        (b"\x1f\x8bgarbage", "damaged"),
        (gzip.compress(b"", mtime=0), "empty or damaged"),
        (gzip.compress(b"PK\x03\x04", mtime=0), "zip archive"),
        (b"[]", "without a list log.entries"),
        (b"null", "without a list log.entries"),
        (b'"log"', "without a list log.entries"),
        (b'{"log":[]}', "without a list log.entries"),
        (b'{"log":{"entries":{"a":[1]}}}', "without a list log.entries"),
        (b'{"info":{"schema":"x"},"item":[{"request":{}}]}', "Postman collection"),
        (b'{"_type":"export","resources":[]}', "Insomnia"),
        (b'{"constants":{},"events":[]}', "net-export"),
        (b'{"traceEvents":[]}', "performance trace"),
    ],
)
def test_what_is_no_capture_is_refused_by_name(data: bytes, what: str) -> None:
    """The diagnosis says what the file is instead, the remedy how to get a capture."""
    with pytest.raises(ConfigurationError, match=what) as refusal:
        read_capture(BytesIO(data))
    assert refusal.value.remedy


def test_a_stream_that_cannot_be_read_is_a_configuration_error() -> None:
    """The operating system's error becomes ours, with its words."""
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read_capture(Broken())  # type: ignore[arg-type] # a raw stream has all that is asked of it


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_byte_order_mark_compression_and_small_pieces_change_nothing(prefix: bytes, compress: Any) -> None:  # noqa: ANN401
    """Whatever wraps the text and however it is delivered, the entries are the same."""
    text = captured(exchange(), exchange("/api/b", status=401)).read()
    data = compress(prefix + text)
    assert entries(data) == entries(text)
    assert [entry.url for entry in read_entries(Crumbs(data))] == [url for url, _ in entries(text)]  # type: ignore[arg-type]


def test_a_capture_cut_anywhere_keeps_the_entries_before_the_cut() -> None:
    """Plain or compressed: what was whole is kept, the rest is said to be missing."""
    text = captured(*(exchange(f"/api/{n}", status=401) for n in range(5))).read()
    assert not read_capture(BytesIO(text)).truncated
    seen = set()
    for cut in (*range(text.index(b'"entries"') + 12, len(text) - 3, 7), len(text) - 3):
        capture = read_capture(BytesIO(text[:cut]))
        assert capture.truncated
        assert any("cannot be read to its end" in doubt.reason for doubt in capture.doubts)
        assert capture.entries == text[:cut].count(b'"receive": 0.4}}')
        seen.add(capture.entries)
    assert seen == set(range(7))
    packed = gzip.compress(json.dumps(har(*(exchange(f"/{os.urandom(40).hex()}") for _ in range(500)))).encode())
    half = read_capture(BytesIO(packed[: len(packed) // 2]))
    assert half.truncated
    assert 100 < half.entries < 500


def test_what_follows_the_document_does_not_matter() -> None:
    """A complete capture with rubbish behind it is complete."""
    data = captured(exchange()).read()
    assert len(entries(data + b"\n\x00\x00rubbish")) == 2


def test_entries_of_any_shape_are_counted() -> None:
    """An item that is no object, or whose members have the wrong types, is an entry that says nothing."""
    headers = [1, {}, {"name": 2}, {"name": "a", "value": [1]}, {"value": "x", "name": "COOKIE "}]
    odd: list[object] = [None, 1, "x", [], [[{}]], {}, {"request": []}, {"request": {"headers": {"a": 1}, "url": 5}}]
    odd.append({"request": {"headers": headers}, "response": {"status": "401"}, "time": 1e300, "pageref": {}})
    found = list(read_entries(BytesIO(json.dumps(har(*odd)).encode())))
    assert len(found) == len(odd)
    assert {(entry.url, entry.status, entry.elapsed, entry.page) for entry in found} == {("", 0, 0.0, "")}
    assert [entry.has_cookie for entry in found] == [False] * 8 + [True]


def test_the_order_of_members_does_not_matter() -> None:
    """JSON objects have no order: entries before version, response before request, value before name."""
    text = (
        '{"x":{"log":{"entries":[{}]}},"log":{"entries":[{"response":{"headers":[{"value":"d","name":"Date"}],'
        '"content":{"request":{"url":"no"}},"status":401},"request":{"url":"u","_x":[[{"url":"no"}]]}}],"version":"1.2"}}'
    )
    (entry,) = read_entries(BytesIO(text.encode()))
    assert (entry.url, entry.status, entry.date) == ("u", 401, "d")


def test_a_long_body_never_reaches_memory(tmp_path: Path) -> None:
    """One body of 24 MB, many of 1 MB, or a compressed capture: the reader's memory stays below 3 MB."""
    plain = tmp_path / "one.har"
    write_large_capture(plain, 24_000_000, [exchange(status=401)], 24_000_000)
    many = tmp_path / "many.har"
    write_large_capture(many, 24_000_000, [exchange(status=401)], 1_000_000)
    packed = tmp_path / "one.har.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    read_capture(captured())  # what is imported on first use is no reader's memory
    for path in (plain, many, packed):
        tracemalloc.start()
        with path.open("rb") as stream:
            capture = read_capture(stream)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert capture.refused == 1
        assert peak < 3_000_000, path


_PIECES = st.sampled_from(
    ['"', "\\", "\\\\", "\n", "\u00e9", "\u20ac", "\U0001f600", "a", "u12", "abcdefghijklmnop", "/"]
)
_STRINGS = st.lists(_PIECES, max_size=60).map("".join) | st.text(max_size=10)
_DOCUMENTS = st.recursive(
    _STRINGS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_STRINGS, inner, max_size=3),
    max_leaves=12,
)


@given(document=_DOCUMENTS, escape=st.booleans(), block=st.sampled_from([7, 8, 13, 32]))
@settings(max_examples=500)
def test_shortening_keeps_the_text_json_and_every_short_string_whole(
    *, document: object, escape: bool, block: int
) -> None:
    """With tiny blocks: same structure, strings below a block unchanged, longer ones cut inside."""
    text = json.dumps([document], ensure_ascii=escape).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alwrity_checks.auth.har.text.BLOCK", block)
        shortened = b"".join(capture_text(BytesIO(text)))
    _compare(json.loads(shortened), [document], block)


def _compare(short: Any, whole: Any, block: int) -> None:  # noqa: ANN401 - JSON
    assert type(short) is type(whole)
    if isinstance(whole, str):
        if len(json.dumps(whole)) <= block:
            assert short == whole
        assert len(short.encode("utf-8", "surrogatepass")) <= 3 * block + 12
        assert _is_subsequence(short, whole)
    elif isinstance(whole, list):
        assert len(short) == len(whole)
        for one, other in zip(short, whole, strict=True):
            _compare(one, other, block)
    elif isinstance(whole, dict):
        if all(len(json.dumps(name)) <= block for name in whole):
            assert list(short) == list(whole)
    else:
        assert short == whole


def _is_subsequence(short: str, whole: str) -> bool:
    """Whether `short` is `whole` with parts left out; a pair of surrogates may be parted."""
    units, rest = (text.encode("utf-16-le", "surrogatepass") for text in (short, whole))
    remaining = iter(rest)
    return all(unit in remaining for unit in units)


def test_a_token_is_never_shortened() -> None:
    """Wherever it lies between two blocks: a string shorter than a block is handed on as it is."""
    for offset in range(0, BLOCK, 4099):
        url = "http://h/api/" + "x" * 9000
        data = b'{"log":{"pad":"' + b"p" * (BLOCK + offset) + b'","entries":[{"request":{"url":"' + url.encode()
        assert entries(data + b'"}}]}}') == [(url, 0)]


def test_both_parsers_of_ijson_read_the_same(tmp_path: Path) -> None:
    """Where the C extension is missing, ijson falls back to Python: same causes, same refusals, same truncation."""
    good = captured(exchange(), *(exchange(f"/api/{n}", status=401) for n in range(3))).read()
    cases = {"whole": good, "cut": good[:-300], "none": b'{"a":', "control": good[:-40] + b"\x01" * 40}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    program = """
import sys, ijson
from alwrity_checks.auth.har import read_capture
from alwrity_checks.errors import DoctorError
print(ijson.backend, file=sys.stderr)
for name in sys.argv[1:]:
    with open(name, "rb") as stream:
        try:
            print(read_capture(stream))
        except DoctorError as error:
            print(error)
"""
    shown = {}
    for backend in ("yajl2_c", "python"):
        done = subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-W", "error", "-c", program, *(str(tmp_path / name) for name in cases)],
            env=os.environ | {"IJSON_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.strip() == backend
        shown[backend] = done.stdout
    assert shown["yajl2_c"] == shown["python"]
    assert shown["python"].count("truncated=True") == 2


def test_the_cut_is_an_error_of_its_own() -> None:
    """A reader of entries can tell a damaged capture from none at all, after it has had the good entries."""
    reading = read_entries(BytesIO(b'{"log":{"entries":[{},{},'))
    assert [next(reading).index, next(reading).index] == [0, 1]
    with pytest.raises(CaptureCut, match="ends early"):
        next(reading)
