"""Documents from files: lines that are too long, pipes, marks at the beginning, and repeated ids over several files."""

from __future__ import annotations

import os
import threading
from codecs import BOM_UTF8
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.documents import Document
from alwrity_doctor.cli import txtai_files
from alwrity_doctor.cli.txtai_files import Refusal, read_documents

if TYPE_CHECKING:
    from pathlib import Path


def ids(path: Path, seen: dict[str, str] | None = None) -> list[str | int | None]:
    """Return the ids of a file's documents, and the lines of what is none."""
    found = read_documents(str(path), {} if seen is None else seen)
    return [one.id if isinstance(one, Document) else one.line for one in found]


def line(document_id: str, text: str = "text") -> str:
    """Return a line of JSON."""
    return f'{{"id": "{document_id}", "text": "{text}"}}\n'


@pytest.mark.parametrize("length", [63, 64, 65, 127, 128, 129, 1000])
def test_a_line_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """A line that is longer than memory may take is read over, in pieces, and the next one is found."""
    monkeypatch.setattr(txtai_files, "_LONGEST_LINE", 64)
    path = tmp_path / "long.jsonl"
    path.write_text(line("a") + "x" * (length - 1) + "\n" + line("b"))
    assert ids(path) == ["a", 2, "b"]
    path.write_text(line("a") + "x" * length)
    assert ids(path) == ["a", 2]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_ends_of_lines(tmp_path: Path, end: str) -> None:
    """Every editor's lines are lines, and the last one needs no end."""
    path = tmp_path / "some.ndjson"
    path.write_bytes(BOM_UTF8 + (line("a") + (end or "\n") + line("b").rstrip() + end).encode())
    assert ids(path) == ["a", "b"]


def test_ids_over_several_files(tmp_path: Path) -> None:
    """The same document twice is one; another one with its id is refused, in whatever file it stands."""
    for name, text in (("one.jsonl", "text"), ("two.jsonl", "text"), ("three.jsonl", "other")):
        (tmp_path / name).write_text(line("a", text))
    seen: dict[str, str] = {}
    found = [ids(tmp_path / name, seen) for name in ("one.jsonl", "two.jsonl", "three.jsonl")]
    assert found == [["a"], ["a"], [1]]


@pytest.mark.parametrize(("content", "expected"), [(line("a") + line("b"), ["a", "b"]), ("a text", None)])
@pytest.mark.parametrize("mark", [b"", BOM_UTF8])
def test_a_pipe_is_told_by_its_beginning(tmp_path: Path, content: str, expected: list[str] | None, mark: bytes) -> None:
    """A pipe has no suffix: what begins with a brace is lines of JSON."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writing = threading.Thread(target=path.write_bytes, args=(mark + content.encode(),))
    writing.start()
    found = ids(path)
    writing.join()
    assert found == (expected or [str(path)])


def test_a_refusal_keeps_what_was_wrong(tmp_path: Path) -> None:
    """Line, position, id and remedy are there to be shown."""
    path = tmp_path / "some.jsonl"
    path.write_text("\n" + line("a") + line("b", " "))
    refusal = list(read_documents(str(path), {}))[-1]
    assert isinstance(refusal, Refusal)
    assert (refusal.line, refusal.error.position, refusal.error.id) == (3, 1, "b")
    assert refusal.error.remedy
