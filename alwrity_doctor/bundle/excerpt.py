"""A log's lines that matter, cleaned as they are read: its beginning, what is around each finding, and its end.

A line is cleaned together with those before it, because a private key, a wrapped token or a variable's value may go
over several: up to _WARM_UP lines before each part are read by the cleaner and left out.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.logs.cleaning import Cleaner
from alwrity_checks.logs.inflating import StreamDamaged
from alwrity_doctor.report.characters import DECEPTIVE

if TYPE_CHECKING:
    from typing import BinaryIO

    from alwrity_checks.logs.streams import Stream
    from alwrity_doctor.bundle.ledger import Door

__all__ = ["Excerpt", "excerpt"]

_BEGINNING: Final = 100
"""Lines: the start of a server says how it is configured."""
_AROUND: Final = 20
"""Lines before and after each place."""
_WARM_UP: Final = 2000
_LONGEST_LINE: Final = 4096
"""Bytes of a line, clean; the rest is left out."""
_LONGEST_READ: Final = 1 << 20
_SPEAKS: Final = re.compile(
    rf"(?P<kept>\x1b\[[0-9;]{{0,40}}m|\r(?=\n)|[\ud800-\udfff])|(?:{DECEPTIVE.pattern})", re.VERBOSE
)
"""What deceives a terminal; bytes that are no UTF-8 are taken as they are."""
_LARGEST: Final = 2 << 20
"""Bytes of an excerpt."""
_BLOCK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What was taken of a log."""

    text: bytes
    lines: int
    """Of the whole log."""
    shown: int
    cut: str = ""
    """Why it ends before the log does."""


def excerpt(stream: Stream, places: Iterable[int], most: int, door: Door, where: str) -> Excerpt:
    """Return up to `most` lines of `stream`, which can be read twice; `places` are the 1-based lines that matter.

    What is left out is said in a line of its own, in brackets. What is taken out of the lines is written down at the
    door for the file `where`. Raises OSError.
    """
    total, damage = _count(stream)
    parts = list(_parts(total, places, most))
    out: list[bytes] = []
    shown = last = size = 0
    for number, line in _clean(stream, parts, door, where):
        if size + len(line) > _LARGEST:
            damage = damage or f"it is held to {_LARGEST >> 20} MiB"
            break
        if number > last + 1:
            out.append(_gap(number - last - 1))
        out.append(line)
        size += len(line)
        shown, last = shown + 1, number
    if total > last:
        out.append(_gap(total - last))
    # A value that is wrapped is whole only over the ends of its lines.
    return Excerpt(_tame(door.without_known(b"".join(out), where)), total, shown, damage)


def _tame(data: bytes) -> bytes:
    """Return lines that are safe to show: of what speaks to a terminal only colours stay as they are."""
    text = data.decode("utf-8", "surrogateescape")
    return _SPEAKS.sub(_spelled, text).encode("utf-8", "surrogateescape")


def _spelled(match: re.Match[str]) -> str:
    return match.group("kept") or match.group().encode("unicode_escape").decode("ascii")


def _gap(count: int) -> bytes:
    return f"[{count:,} line{'s' if count > 1 else ''} left out]\n".encode()


def _count(stream: Stream) -> tuple[int, str]:
    """Return how many lines there are, and by what the log is damaged, if it is."""
    total, last = 0, b"\n"
    with contextlib.closing(stream.open()) as reader:
        try:
            while block := reader.read(_BLOCK):
                total += block.count(b"\n")
                last = block[-1:]
        except StreamDamaged as error:
            return total + (last != b"\n"), error.diagnosis
        except DoctorError as error:
            return total, error.diagnosis
    return total + (last != b"\n"), ""


def _parts(total: int, places: Iterable[int], most: int) -> Iterator[range]:
    """Yield the lines that are taken, in order and apart from each other: what is around the places comes first."""
    wanted: set[int] = set()
    around = (range(max(1, at - _AROUND), min(total, at + _AROUND) + 1) for at in sorted(set(places)))
    for numbers in (*around, range(1, min(total, _BEGINNING) + 1)):
        if len(wanted.union(numbers)) > most:
            break
        wanted.update(numbers)
    for number in range(total, 0, -1):
        if len(wanted) >= most:
            break
        wanted.add(number)
    start = end = 0
    for number in sorted(wanted):
        if number != end:
            if end > start:
                yield range(start, end)
            start = number
        end = number + 1
    if end > start:
        yield range(start, end)


def _clean(stream: Stream, parts: Sequence[range], door: Door, where: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the clean text of each line of `parts`."""
    if not parts:
        return
    waiting = list(parts)
    cleaner, cold = Cleaner(), True
    with contextlib.closing(stream.open()) as reader:
        for number, line, whole in _lines(reader):
            if not waiting:
                return
            part = waiting[0]
            if number < part.start - _WARM_UP:
                cold = True
                continue
            if cold:
                cleaner, cold = Cleaner(), False
            taken = number in part
            before = Counter(cleaner.counts)
            clean = cleaner.feed(door.without_known(line, where if taken else ""))
            if taken:
                door.note_all(where, cleaner.counts - before)
                yield number, _shortened(clean, whole=whole)
            if number + 1 >= part.stop:
                waiting.pop(0)


def _lines(reader: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yield each line with its number, and whether it is whole: of a very long one the beginning, with a line's end."""
    pending, number, skipping = b"", 1, False
    damaged = False
    while not damaged:
        try:
            block = reader.read(_BLOCK)
        except StreamDamaged:
            damaged, block = True, b""
        if not block:
            break
        *ended, pending = (pending + block).split(b"\n")
        for line in ended:
            if not skipping:
                yield number, line + b"\n", True
            skipping = False
            number += 1
        if len(pending) > _LONGEST_READ:
            if not skipping:
                yield number, pending + b"\n", False
            pending, skipping = b"", True
    if pending and not skipping:
        yield number, pending + b"\n", True


def _shortened(clean: bytes, *, whole: bool) -> bytes:
    if whole and len(clean) <= _LONGEST_LINE:
        return clean
    if not whole and len(clean) <= _LONGEST_LINE:
        # Its end may be half of something that is only known whole.
        return b"[a line of more than 1 MiB left out]\n"
    return clean[:_LONGEST_LINE].decode("utf-8", "ignore").encode() + b" [the rest of the line left out]\n"
