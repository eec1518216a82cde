"""A log is cleaned as it flows by: whatever the blocks, as many lines as before and nothing secret between them."""

from __future__ import annotations

import random
import re

import pytest

from alwrity_checks.logs import cleaning
from alwrity_checks.logs.cleaning import Cleaner
from tests.support.seeded_log import JWT, PLAIN, seeded_lines

PRIVATE_LINES = ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "ab9=")
KEY = "\n".join(("-----BEGIN RSA PRIVATE KEY-----", *PRIVATE_LINES, "-----END RSA PRIVATE KEY-----"))
TRACEBACK = """\
06:36:48 | ERROR    | app:f:1 - boom

Traceback (most recent call last):

> File "/srv/app.py", line 8, in g
    return token + cfg["x"] + r.z
           │       │          └ first line of my frame
           │       │            second-line-of-it 77
           │       │            third line
           │       └ {'password': 'hunter2', 'x': 'k'}
           └ 'a plain value'

AttributeError: 'R' object has no attribute 'z'

06:36:49 | ERROR    | app:f:1 - the next record
"""


def cleaned(data: bytes, *sizes: int) -> tuple[bytes, Cleaner]:
    """Feed `data` in blocks of `sizes` bytes, over and over."""
    cleaner = Cleaner()
    out, at, number = [], 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        out.append(cleaner.feed(data[at : at + size]))
        at, number = at + size, number + 1
    out.append(cleaner.finish())
    return b"".join(out), cleaner


def document() -> tuple[bytes, list[str]]:
    """Return a log with every seed, plain lines between them and all kinds of line ends, and what must be gone."""
    lines: list[bytes] = []
    forbidden: list[str] = []
    for number, (line, gone) in enumerate(seeded_lines()):
        lines += [line.encode() + (b"\r\n" if number % 3 == 0 else b"\n"), PLAIN[number % len(PLAIN)].encode() + b"\n"]
        forbidden += gone
    lines += [KEY.encode() + b"\n", TRACEBACK.encode(), b"\xff\x00binary\n", b"\n\n", b"no end of the line"]
    return b"".join(lines), [*forbidden, *PRIVATE_LINES[:2], "second-line-of-it", "hunter2", "a plain value"]


@pytest.mark.parametrize("sizes", [(1 << 20,), (1,), (7, 1, 4096), (333,)])
def test_whatever_the_blocks_the_lines_are_the_same(sizes: tuple[int, ...]) -> None:
    """Every block size gives the same bytes: the same number of lines, the same ends, nothing secret."""
    data, forbidden = document()
    got, cleaner = cleaned(data, *sizes)
    assert got == cleaned(data, len(data))[0]
    assert got.count(b"\n") == data.count(b"\n") == cleaner.lines
    assert [line[-1:] for line in got.split(b"\n")] != []
    assert re.findall(rb"\r?\n", got) == re.findall(rb"\r?\n", data)
    text = re.sub(r"\x1b\[[0-9;]*m", "", got.decode("utf-8", "replace"))
    assert [one for one in forbidden if one in text] == []


def test_plain_lines_are_not_touched() -> None:
    """What holds no secret is given back byte by byte."""
    data = "\r\n".join(PLAIN).encode() + b"\n"
    got, cleaner = cleaned(data, 100)
    assert got == data
    assert not +cleaner.counts or set(cleaner.counts) == {"publishable key"}


def test_cleaning_twice_changes_nothing() -> None:
    """A cleaned log is clean."""
    data, _ = document()
    once, _ = cleaned(data, 1000)
    twice, cleaner = cleaned(once, 1000)
    assert twice == once
    assert set(cleaner.counts) <= {"publishable key"}


def test_a_key_over_several_lines_among_others() -> None:
    """Every line of it goes, also where another process has written between them; it is counted once."""
    lines = KEY.split("\n")
    data = "\n".join([f"a - {lines[0]}", lines[1], "INFO:     GET /x 200", f"web-1 | {lines[2]}", *lines[3:], "after"])
    got, cleaner = cleaned(data.encode(), 50)
    assert not [line for line in PRIVATE_LINES if line.encode() in got]
    assert b"INFO:     GET /x 200" in got
    assert b"after" in got
    assert cleaner.counts == {"private key": 1}


def test_a_key_without_an_end_does_not_swallow_the_log() -> None:
    """After as many lines as a key may have, words are words again."""
    data = (lines := f"{KEY.split(chr(10))[0]}\n") + "word\n" * 300
    got, _ = cleaned(data.encode(), 4096)
    assert got.count(b"\n") == 301
    assert got.endswith(b"word\n" * 50)
    assert lines


def test_a_token_that_a_terminal_wrapped() -> None:
    """Its further lines go with it; the record behind them stays."""
    rest = "INFO:     next\nTraceback (most recent call last):\n"
    data = f"Authorization: Bearer {JWT[:40]}\r\n{JWT[40:80]}\n{JWT[80:]}\n{rest}"
    got, cleaner = cleaned(data.encode(), 11)
    assert not any(JWT[at : at + 12].encode() in got for at in range(0, len(JWT) - 12, 6))
    assert got.endswith(b"INFO:     next\nTraceback (most recent call last):\n")
    assert got.count(b"\n") == 5
    assert cleaner.counts == {"token": 1}


@pytest.mark.parametrize(
    "after", ["2026-03-10 07:32:57.855 | INFO", "06:36:48 | ERROR    | a:b:1 - x", "INFO:     ok", "done", ""]
)
def test_the_line_after_a_token_stays(after: str) -> None:
    """A token at the end of a line does not take the next record with it."""
    data = f"token={JWT}\n{after}\n".encode()
    assert cleaned(data, 1000)[0].endswith(f"\n{after}\n".encode())


def test_the_values_of_a_traceback_go_with_their_further_lines() -> None:
    """Whole values are cut; files, source, the exception and the next record stay."""
    got = cleaned(TRACEBACK.encode(), 64)[0].decode()
    for gone in ("first line", "second-line", "third line", "hunter2", "a plain value"):
        assert gone not in got
    for kept in ('File "/srv/app.py", line 8', "return token + cfg", "AttributeError: 'R' object", "the next record"):
        assert kept in got
    assert got.count("\n") == TRACEBACK.count("\n")


@pytest.mark.parametrize("where", range(-12, 13, 3))
def test_a_secret_at_the_border_of_two_pieces_of_a_long_line(where: int) -> None:
    """A line longer than is held is cleaned in pieces, and no border lets a secret through."""
    start = cleaning._LONGEST - cleaning._HELD + where
    line = (
        b"x " * (start // 2)
        + f"Authorization: Bearer {JWT} ".encode()
        + b"y " * cleaning._LONGEST
        + b"token=Opaque77secret"
    )
    got, cleaner = cleaned(line + b"\nnext\n", 100_000)
    assert not any(JWT[at : at + 16].encode() in got for at in range(len(JWT) - 16))
    assert b"Opaque77" not in got
    assert got.endswith(b"\nnext\n")
    assert cleaner.counts == {"token": 1, "named secret": 1}


def test_a_long_line_of_seeds() -> None:
    """Every kind of secret within one long line, at places that chance has chosen."""
    chance = random.Random(7)  # noqa: S311 - places, no secrets
    parts, forbidden = [], []
    for line, gone in seeded_lines():
        if "└" in line or "->" in line or "cookie" in line.lower() or "PRIVATE" in line or gone[0] == "alice":
            continue  # these are told by the end or the beginning of their line
        parts.append(line + " " + "z" * chance.randrange(9000))
        forbidden += gone
    data = " ".join(parts).encode() + b"\n"
    assert len(data) > 3 * cleaning._LONGEST
    got, _ = cleaned(data, 65_536)
    text = re.sub(r"\x1b\[[0-9;]*m", "", got.decode())
    assert [one for one in forbidden if one in text] == []
    assert got.count(b"\n") == 1


def test_a_secret_longer_than_a_piece() -> None:
    """It is masked once, and not a part of it is given back."""
    data = b"before token=eyJ" + b"aB3" * 500_000 + b" after\n"
    got, cleaner = cleaned(data, 70_000)
    assert got.startswith(b"before token=eyJ\xe2\x80\xa6#")
    assert got.endswith(b" after\n")
    assert len(got) < 100
    assert cleaner.counts == {"token": 1}
