"""Lanes: time runs to the right, a lane is a thread, a caller or a server, a bar is what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import WIDTH, Drawing, Sheet, clipped, judged, room_for, swatches
from alwrity_doctor.report.pictures.moments import moments
from alwrity_doctor.report.pictures.scale import Axis, short, time_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alwrity_checks.pictures import Lane, Lanes, Span

__all__ = ["drawing"]

_ROW: Final = 22.0
_GAP: Final = 5.0
_GUTTER: Final = 240.0
"""The most that the lanes' names take."""
_MARGIN: Final = 8.0
_WORDS: Final = 96.0
"""At the right end, for those of the last mark."""
_LEAST: Final = 2.5
"""A narrower bar would not be seen."""


def drawing(picture: Lanes) -> Drawing:
    """Return the lanes one below the other, on one axis of time."""
    spans = [span for lane in picture.lanes for span in lane.spans]
    looks = swatches([span.subject for span in spans if span.subject])
    sheet = Sheet()
    gutter = min(_GUTTER, max((room_for(lane.name, bold=True) for lane in picture.lanes), default=0.0) + 16)
    margin = _WORDS if any(lane.marks for lane in picture.lanes) else _MARGIN
    axis = Axis(gutter, WIDTH - margin, _end(picture))
    top = 4.0
    for lane in picture.lanes:
        top += _lane(sheet, lane, axis, top, looks) + _GAP
    axis.draw(sheet, 0, top, time_ticks(axis.until))
    key = [(f"bar {look}", subject) for subject, look in looks.items()]
    if any(span.held for span in spans):
        key.append(("bar held", "kept waiting, to force the order"))
    return Drawing(
        sheet.image(top + 20) if picture.lanes else None,
        ("where", "what", "from", "to", "took", "note"),
        tuple(_rows(picture)),
        tuple(key),
    )


def _end(picture: Lanes) -> timedelta:
    ends = [one.end for lane in picture.lanes for one in lane.spans]
    return max([picture.until, *ends, *(mark.at for lane in picture.lanes for mark in lane.marks)])


def _lane(sheet: Sheet, lane: Lane, axis: Axis, top: float, looks: Mapping[str, str]) -> float:
    """Draw a lane; return how high it is."""
    spans = sorted(lane.spans, key=lambda span: (span.start, -span.end))
    rows = _rows_of(spans)
    height = _ROW * (max(rows, default=-1) + 1 + bool(lane.marks) or 1)
    sheet.band(top, height)
    sheet.text((8, top + 15), clipped(lane.name, axis.left - 14, bold=True), "name")
    for number, (span, row) in enumerate(zip(spans, rows, strict=True)):
        following = (
            other for other, beside in zip(spans[number + 1 :], rows[number + 1 :], strict=True) if beside == row
        )
        look = "held" if span.held else looks.get(span.subject, "plain")
        until = next((axis.x(other.start) for other in following), axis.right)
        _bar(sheet, span, (axis.x(span.start), top + row * _ROW, axis.x(span.end), until), look)
    told = [(mark, f"{judged(mark.verdict, mark.name)}: {short(mark.at)}") for mark in lane.marks]
    moments(sheet, axis, top + height - _ROW / 2, told)
    return height


def _rows_of(spans: Sequence[Span]) -> list[int]:
    """Return the row of each span: the first that is free when it begins, so that what lies within stands below."""
    until: list[timedelta] = []
    rows = []
    for span in spans:
        row = next((number for number, end in enumerate(until) if end <= span.start), len(until))
        until[row : row + 1] = [span.end]
        rows.append(row)
    return rows


def _bar(sheet: Sheet, span: Span, place: tuple[float, float, float, float], look: str) -> None:
    """Draw a bar at left, top and right, and its words within it, or behind it as far as the next one in its row."""
    left, top, right, until = place
    width = max(right - left, _LEAST)
    told = f"{_what(span)}: {short(span.start)} to {short(span.end)}{f'; {span.note}' if span.note else ''}"
    sheet.box(f"bar {look}{f' {span.verdict}' if span.verdict else ''}", (left, top + 3, width, _ROW - 6), told)
    words = judged(span.verdict, span.name)
    if room_for(words) <= width - 8:
        sheet.text((left + 4, top + 15), words)
    elif room_for(words) <= until - left - width - 8:
        sheet.text((left + width + 4, top + 15), words)
    elif width > room_for("MM…"):
        sheet.text((left + 4, top + 15), clipped(words, width - 8))


def _what(span: Span) -> str:
    words = span.name if not span.subject or span.held else f"{span.name} on {span.subject}"
    return judged(span.verdict, words)


def _rows(picture: Lanes) -> Iterator[tuple[str, ...]]:
    for lane in picture.lanes:
        happened = [
            (
                span.start,
                (lane.name, _what(span), short(span.start), short(span.end), short(span.end - span.start), _note(span)),
            )
            for span in lane.spans
        ]
        happened += [
            (mark.at, (lane.name, judged(mark.verdict, mark.name), short(mark.at), "", "", "")) for mark in lane.marks
        ]
        yield from (row for _, row in sorted(happened, key=lambda one: one[0]))


def _note(span: Span) -> str:
    return "; ".join(filter(None, (span.note, "kept waiting by the experiment" if span.held else "")))
