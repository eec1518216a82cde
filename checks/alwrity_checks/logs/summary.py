"""The mergeable result of triage: pieces of streams, which fold into one in any order and any grouping.

Neighbouring pieces are joined as soon as both are there, so that a summary stays small however long the log is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from alwrity_checks.logs.piece import Piece

__all__ = ["EMPTY", "Accumulator", "Summary", "folded"]

SCHEMA: Final = "alwrity-doctor/log-summary/1"


@dataclass(frozen=True, slots=True)
class Summary:
    """What was read so far. Immutable: `merge` returns a new one."""

    pieces: Mapping[tuple[str, int], Piece] = field(default_factory=lambda: MappingProxyType({}))
    """Stream and first byte -> the piece. Not to be changed."""

    @classmethod
    def of(cls, stream: str, piece: Piece) -> Summary:
        """Return the summary of one piece."""
        return cls({(stream, piece.start): piece})

    def merge(self, other: Summary) -> Summary:
        """Return the summary of both. Raises ValueError where the same piece is in both."""
        if not other.pieces:
            return self
        if not self.pieces:
            return other
        if twice := self.pieces.keys() & other.pieces.keys():
            raise ValueError(f"the same piece of a log was counted twice: {min(twice)}")
        pieces: dict[tuple[str, int], Piece] = {}
        last: tuple[str, Piece, bool] | None = None
        for (stream, start), piece in sorted({**self.pieces, **other.pieces}.items()):
            if last is not None and last[0] == stream and last[1].end == start:
                held = last[1] if last[2] else deepcopy(last[1])
                held.join(piece)
                pieces[stream, held.start] = held
                last = stream, held, True
            else:
                pieces[stream, start] = piece
                last = stream, piece, False
        return Summary(pieces)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the pieces alone."""
        return Summary, (dict(self.pieces),)

    def streams(self) -> dict[str, Piece]:
        """Return one piece for each stream: all of its pieces, in order, joined whether or not they are neighbours."""
        whole: dict[str, Piece] = {}
        for (stream, _), piece in sorted(self.pieces.items()):
            if stream in whole:
                whole[stream].join(piece)
            else:
                whole[stream] = deepcopy(piece)
        return whole

    def to_json(self) -> str:
        """Return the summary as text; `from_json` reads it, here or on another machine."""
        pieces = [[stream, piece.as_data()] for (stream, _), piece in sorted(self.pieces.items())]
        return json.dumps({"schema": SCHEMA, "pieces": pieces}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """Return the summary that `to_json` wrote. Raises ValueError where it is not one."""
        document: Any = json.loads(text)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"this is no {SCHEMA}")
        pieces = ((stream, Piece.from_data(data)) for stream, data in document["pieces"])
        return cls({(stream, piece.start): piece for stream, piece in pieces})


EMPTY: Final = Summary()
"""Nothing was read: the neutral element of `merge`."""


class Accumulator:
    """Folds summaries as they come, in place: what was added belongs to it from then on."""

    def __init__(self) -> None:
        self._begin: dict[tuple[str, int], Piece] = {}
        self._end: dict[tuple[str, int], Piece] = {}

    def add(self, summary: Summary) -> None:
        """Take in a summary. Raises ValueError where one of its pieces was added before."""
        for (stream, start), new in summary.pieces.items():
            if (stream, start) in self._begin:
                raise ValueError(f"the same piece of a log was counted twice: {(stream, start)}")
            piece, begin = new, start
            if (before := self._end.pop((stream, start), None)) is not None:
                before.join(piece)
                piece, begin = before, before.start
            if piece.end is not None:
                if (after := self._begin.pop((stream, piece.end), None)) is not None:
                    if after.end is not None:
                        del self._end[stream, after.end]
                    piece.join(after)
                if piece.end is not None:
                    self._end[stream, piece.end] = piece
            self._begin[stream, begin] = piece

    def summary(self) -> Summary:
        """Return what was added so far."""
        return Summary(dict(self._begin))


def folded(summaries: Iterable[Summary]) -> Summary:
    """Return the summary of all, which are used up."""
    whole = Accumulator()
    for summary in summaries:
        whole.add(summary)
    return whole.summary()
