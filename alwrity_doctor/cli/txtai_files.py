"""Documents from files: a JSON document in each line, or a text that is one document."""

from __future__ import annotations

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from alwrity_checks.txtai.documents import Document, UnusableDocument

__all__ = ["STDIN", "Refusal", "check_files", "read_documents"]

STDIN: Final = "-"
_JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
_LONGEST_LINE: Final = 64_000_000
"""Bytes; JSON may write a byte of text in six."""
_SPLIT: Final = "split the text into sections"
_SAVE: Final = "save it as UTF-8 text"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that is none, and where it stands."""

    line: int | None
    """1-based; None where the whole file is meant."""
    error: UnusableDocument


def check_files(names: Sequence[str]) -> None:
    """Raise ConfigurationError for a file that cannot be read, before any of them is."""
    if names.count(STDIN) > 1:
        raise ConfigurationError("standard input was named twice", "name - once")
    for name in names:
        if name == STDIN:
            if sys.stdin is None or sys.stdin.closed:
                raise ConfigurationError("standard input is closed", "name a file")
            continue
        path = Path(name)
        try:
            if path.is_dir():
                raise ConfigurationError(f"{name} is a directory", f"name its files: {name}/*")
            if path.is_file():
                with path.open("rb"):
                    continue
            path.stat()
        except OSError as error:
            raise ConfigurationError(f"{name} cannot be read: {error.strerror}", "name a readable file") from error


def read_documents(name: str, seen: dict[str, str]) -> Iterator[Document | Refusal]:
    """Yield the documents of a file, or of standard input, and what in it is none.

    A file `*.jsonl` or `*.ndjson`, and a pipe that begins with a brace, has a JSON object with `id`, `text` and further
    fields in each line. Anything else is one document with its name as its id. `seen` holds the digests of the
    documents so far by their ids, and is added to. Raises ConfigurationError where the file cannot be read.
    """
    try:
        with _opened(name) as stream:
            first = stream.readline(_LONGEST_LINE)
            if not first:
                return
            if _is_json_lines(name, first):
                yield from _lines(first, stream, seen)
            else:
                yield _text(name, first, stream, seen)
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}", "name a readable file") from error


def _is_json_lines(name: str, first: bytes) -> bool:
    if name == STDIN or not Path(name).is_file():
        return first.removeprefix(BOM_UTF8).lstrip().startswith(b"{")
    return Path(name).suffix.lower() in _JSON_LINES


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdin.buffer) if name == STDIN else Path(name).open("rb")


def _lines(first: bytes, stream: IO[bytes], seen: dict[str, str]) -> Iterator[Document | Refusal]:
    number, position, line = 1, 0, first
    while line:
        if line.strip():
            found = _line(number, position, line, seen)
            yield found
            if b"\0" in line:
                return
            position += 1
        while len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(_LONGEST_LINE)
        line = stream.readline(_LONGEST_LINE)
        number += 1


def _line(number: int, position: int, line: bytes, seen: dict[str, str]) -> Document | Refusal:
    if b"\0" in line:
        return Refusal(number, _unusable(position, None, "holds NUL bytes: the file is binary, or UTF-16", _SAVE))
    if len(line) >= _LONGEST_LINE:
        return Refusal(number, _unusable(position, None, f"is a line of {_LONGEST_LINE:,} bytes or more", _SPLIT))
    try:
        item = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        return Refusal(number, _unusable(position, None, "is not UTF-8 text", _SAVE))
    except (ValueError, RecursionError) as error:
        return Refusal(number, _unusable(position, None, f"is not JSON: {error}", "write one JSON object in each line"))
    return _judged(number, position, item, seen)


def _text(name: str, first: bytes, stream: IO[bytes], seen: dict[str, str]) -> Document | Refusal:
    from alwrity_checks.txtai.documents import LARGEST_DOCUMENT

    document_id = "standard input" if name == STDIN else name
    content = first + stream.read(max(0, LARGEST_DOCUMENT + 1 - len(first)))
    if b"\0" in content:
        return Refusal(None, _unusable(0, document_id, "holds NUL bytes: the file is binary, or UTF-16", _SAVE))
    if len(content) > LARGEST_DOCUMENT:
        return Refusal(None, _unusable(0, document_id, f"is longer than {LARGEST_DOCUMENT:,} bytes", _SPLIT))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Refusal(None, _unusable(0, document_id, "is not UTF-8 text", _SAVE))
    return _judged(None, 0, {"id": document_id, "text": text}, seen)


def _judged(line: int | None, position: int, item: Any, seen: dict[str, str]) -> Document | Refusal:  # noqa: ANN401 - whatever JSON holds
    from alwrity_checks.txtai.documents import UnusableDocument, documents

    try:
        (document,) = documents([item])
    except UnusableDocument as error:
        return Refusal(line, _unusable(position, error.id, error.reason, error.remedy))
    before = seen.setdefault(document.id, document.digest)
    if before != document.digest:
        told = "has the id of an earlier document of this run, with other content"
        return Refusal(line, _unusable(position, document.id, told, "give every document an id of its own"))
    return document


def _unusable(position: int, document_id: object, reason: str, remedy: str) -> UnusableDocument:
    from alwrity_checks.txtai.documents import UnusableDocument

    return UnusableDocument(position, document_id, reason, remedy)
