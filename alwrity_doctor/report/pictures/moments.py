"""Moments on a line of time: a sign for each, and its words where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import judged, room_for

if TYPE_CHECKING:
    from alwrity_checks.pictures import Mark
    from alwrity_doctor.report.pictures.canvas import Sheet
    from alwrity_doctor.report.pictures.scale import Axis

__all__ = ["moments"]

_BESIDE: Final = 9.0
"""From a sign's middle to its words."""
_APART: Final = 8.0


def moments(sheet: Sheet, axis: Axis, middle: float, marks: Sequence[tuple[Mark, str]]) -> None:
    """Draw each mark at the height `middle`, with what a pointer is told of it."""
    placed = sorted(((axis.x(mark.at), mark, told) for mark, told in marks), key=lambda one: one[0])
    # The judged ones last: none of the others may cover them.
    for x, mark, told in sorted(placed, key=lambda one: one[1].verdict is not None):
        sheet.dot(f"mark {mark.verdict or ''}".rstrip(), (x, middle), told)
    free = axis.left
    for number, (x, mark, _) in enumerate(placed):
        words = judged(mark.verdict, mark.name)
        room = room_for(words)
        before = max(free, placed[number - 1][0] + _APART if number else free)
        to_left = room <= x - _BESIDE - before
        following = placed[number + 1] if number + 1 < len(placed) else None
        until = sheet.width if following is None else following[0] - _APART
        to_right = room <= until - x - _BESIDE
        if to_right and not (
            to_left and following is not None and _needs_left(sheet.width, following, x + _BESIDE + room)
        ):
            sheet.text((x + _BESIDE, middle + 4), words)
            free = x + _BESIDE + room + _APART
        elif to_left:
            sheet.text((x - _BESIDE, middle + 4), words, anchor="end")
            free = x + _APART


def _needs_left(width: float, following: tuple[float, Mark, str], taken: float) -> bool:
    """Say whether the next mark's words fit neither behind it nor before it, if all up to `taken` is taken."""
    x, mark, _ = following
    room = room_for(judged(mark.verdict, mark.name)) + _BESIDE
    return x + room > width and x - room < taken
