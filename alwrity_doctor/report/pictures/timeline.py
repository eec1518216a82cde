"""A timeline: what happened how often, by a log's clock; a row for each thing, with its own scale of height."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import WIDTH, Drawing, Sheet, clipped, judged, room_for
from alwrity_doctor.report.pictures.moments import moments
from alwrity_doctor.report.pictures.scale import Axis, clock_ticks, moment

if TYPE_CHECKING:
    from alwrity_checks.pictures import Course, Timeline

__all__ = ["drawing"]

_ROW: Final = 52.0
_STRIP: Final = 22.0
_LEAST: Final = 3.0


def drawing(picture: Timeline) -> Drawing:
    """Return a row for each course: its words above, its counts as bars below."""
    began = datetime.fromisoformat(picture.began)
    sheet = Sheet()
    axis = Axis(8, WIDTH - 8, _end(picture))
    top = 4.0
    for course in picture.courses:
        _course(sheet, course, axis, top, began)
        top += _ROW
    axis.draw(sheet, 0, top, clock_ticks(began, axis.until))
    return Drawing(
        sheet.image(top + 20) if picture.courses else None,
        ("what", "verdict", "times", "first", "last", "note"),
        tuple(_rows(picture, began)),
    )


def _end(picture: Timeline) -> timedelta:
    ends = [count.end for course in picture.courses for count in course.counts]
    return max([timedelta(), *ends, *(mark.at for course in picture.courses for mark in course.marks)])


def _course(sheet: Sheet, course: Course, axis: Axis, top: float, began: datetime) -> None:
    sheet.band(top, _ROW - 4)
    total = sum(count.number for count in course.counts)
    counted = f"{total:,} times" if total > 1 else ""
    room = WIDTH - 24 - room_for(counted)
    name = clipped(judged(course.verdict, course.name), room, bold=True)
    sheet.text((8, top + 15), name, f"name {course.verdict or ''}".rstrip())
    if course.note:
        left = 8 + room_for(name, bold=True) + 10
        sheet.text((left, top + 15), clipped(course.note, room - left), "quiet")
    sheet.text((WIDTH - 8, top + 15), counted, "quiet", anchor="end")
    floor = top + _ROW - 8
    sheet.rule("floor", (axis.left, floor), (axis.right, floor))
    most = max((count.number for count in course.counts), default=1)
    for count in course.counts:
        left = axis.x(count.start)
        width = min(max(axis.x(count.end) - left, _LEAST), axis.right - axis.left)
        left = min(left, axis.right - width)
        height = max(_STRIP * count.number / most, _LEAST)
        told = f"{count.number:,} from {moment(began, count.start)} to {moment(began, count.end)}"
        sheet.box(f"bar plain {course.verdict or ''}".rstrip(), (left, floor - height, width, height), told)
    marks = [(mark, f"{judged(mark.verdict, mark.name)}: {moment(began, mark.at)}") for mark in course.marks]
    if course.counts:
        for mark, words in marks:
            sheet.dot(f"mark {mark.verdict or ''}".rstrip(), (axis.x(mark.at), floor), words)
    else:
        moments(sheet, axis, floor - _STRIP / 2, marks)


def _rows(picture: Timeline, began: datetime) -> Iterator[tuple[str, ...]]:
    for course in picture.courses:
        times = [count.start for count in course.counts] + [count.end for count in course.counts]
        total = sum(count.number for count in course.counts)
        first = moment(began, min(times)) if times else ""
        last = moment(began, max(times)) if times else ""
        verdict = "" if course.verdict is None else str(course.verdict)
        yield course.name, verdict, f"{total:,}", first, last, course.note
        for mark in sorted(course.marks, key=lambda one: one.at):
            verdict = "" if mark.verdict is None else str(mark.verdict)
            yield mark.name, verdict, "", moment(began, mark.at), "", course.name
