"""Offsets become line numbers, drafts of signatures find their own sample, and rates become pictures."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.logs.blocks import Block
from alwrity_checks.logs.matcher import Matcher, PlainFinder
from alwrity_checks.logs.places import line_numbers, looks_strange
from alwrity_checks.logs.probe import Probe
from alwrity_checks.logs.signatures import read_signatures
from alwrity_checks.logs.streams import Stream, open_streams
from alwrity_checks.logs.suggest import suggestion, suggestions
from alwrity_checks.logs.triage import Bins, ClusterFound
from alwrity_doctor.sparkline import sparkline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("packed", [False, True])
def test_offsets_are_lines(tmp_path: Path, packed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The first line is 1, whatever the compression; an offset that is not there has no number."""
    text = b"first\n" + b"x" * 700_000 + b"\nthird\n\nfifth\n"
    path = tmp_path / "app.log"
    path.write_bytes(gzip.compress(text) if packed else text)
    (stream,) = open_streams([str(path)]).streams
    third = text.index(b"third")
    wanted = [0, 3, 6, third, third + 7, len(text) + 10, -1]
    assert line_numbers(stream, wanted) == {0: 1, 3: 1, 6: 2, third: 3, third + 7: 5}


@pytest.mark.parametrize(
    ("content", "strange"),
    [
        (b"", False),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 9, True),
        (b"a,b,c\n1,2,3\n", True),
        (b"hello\n06:00:00 | INFO     | a.b:f:1 - text\n", False),
        (b"[STARTUP] PORT env: None\n", False),
        (gzip.compress(b"a,b,c\n"), True),
        (gzip.compress(b"INFO:     started\n"), False),
    ],
    # A compressed content holds the time at which it was made.
    ids=["empty", "picture", "table", "late record", "print", "packed table", "packed record"],
)
def test_what_is_no_log_looks_strange(tmp_path: Path, content: bytes, strange: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A picture and a table do, a log and an empty file do not, packed or not."""
    path = tmp_path / "app.log"
    path.write_bytes(content)
    (stream,) = open_streams([str(path)]).streams
    assert looks_strange(stream) is strange


def test_what_cannot_be_read_again_has_no_lines(tmp_path: Path) -> None:
    """A pipe, and a file that is gone."""
    assert line_numbers(Stream("-"), [1]) == {}
    assert not looks_strange(Stream("-"))
    assert not looks_strange(Stream("x", str(tmp_path / "none"), 5))
    assert line_numbers(Stream("x", str(tmp_path / "none"), 5), [1]) == {}


def cluster(template: str, sample: str, level: str = "ERROR") -> ClusterFound:
    """Return a cluster of three lines."""
    return ClusterFound(level, "a.b", template, 3, None, None, Bins(0, ()), sample, ("app.log",))


@pytest.mark.parametrize(
    ("template", "sample"),
    [
        (
            "Stripe refused invoice <*> of plan <*>",
            "06:00:00 | ERROR | a.b:c:1 - Stripe refused invoice 42 of plan 'pro'",
        ),
        ("it costs $5 (really?) [yes] {no} a|b c*d+e ^f \\ g", "x it costs $5 (really?) [yes] {no} a|b c*d+e ^f \\ g"),
        ('"quoted" and back\\slash: <*>', 'ERROR:    "quoted" and back\\slash: 7'),
        ("ValueError: something is odd", "ValueError: something is odd"),
    ],
)
def test_a_draft_finds_its_sample(template: str, sample: str) -> None:
    """It is TOML that the reader of signatures takes, and its pattern matches the line it was made from."""
    draft = suggestion(cluster(template, sample))
    (signature,) = read_signatures(draft, 4)
    matcher = Matcher([Probe("x", signature.literal, signature.pattern)], PlainFinder)
    line = sample.encode()
    assert matcher.hits(Block(line, 0, 0, len(line)), [])
    assert signature.samples == (sample,)


def test_lines_with_nothing_in_common_are_said_to_have_none() -> None:
    """A literal of a few letters would be of no use; an empty list says that all is known."""
    assert suggestions([cluster("<*> ab <*>", "1 ab 2")]).count("no words in common") == 1
    assert suggestions([]).startswith("# every line of trouble is known")


def test_a_rate_as_blocks() -> None:
    """The highest block is the most frequent, a dot is nothing, and nothing falls out at the ends."""
    first = datetime(2026, 3, 10, 6)  # noqa: DTZ001 - logs have no zone
    last = first + timedelta(hours=1)
    counts = [(first, 1), (first + timedelta(minutes=30), 8), (last, 4), (first - timedelta(minutes=1), 1)]
    picture = sparkline(counts, first, last, width=4)
    assert picture == "▂·█▄"
    assert sparkline(counts, first, first) == "█"
    assert sparkline([], first, first) == ""
