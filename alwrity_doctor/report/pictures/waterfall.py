"""A waterfall: one step a row, in their order, with its verdict, what it took, and what was seen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import WIDTH, Drawing, Sheet, clipped, judged, room_for
from alwrity_doctor.report.pictures.scale import Axis, short, time_ticks

if TYPE_CHECKING:
    from alwrity_checks.pictures import Waterfall

__all__ = ["drawing"]

_ROW: Final = 40.0
_BAR: Final = 12.0
_LEAST: Final = 2.5


def drawing(picture: Waterfall) -> Drawing:
    """Return a row for each step: its words above, its bar below."""
    sheet = Sheet()
    axis = Axis(8, WIDTH - 70, max((step.end for step in picture.steps), default=timedelta()))
    top = 4.0
    for step in picture.steps:
        sheet.band(top, _ROW - 4)
        words = judged(step.verdict, step.name)
        sheet.text((8, top + 14), words, f"name {step.verdict}")
        start = 8 + room_for(words, bold=True) + 10
        sheet.text((start, top + 14), clipped(step.note, WIDTH - 8 - start), "quiet")
        left = axis.x(step.start)
        took = step.end - step.start
        if took:
            width = max(axis.x(step.end) - left, _LEAST)
            told = f"{words}: {short(step.start)} to {short(step.end)}"
            sheet.box(f"bar plain {step.verdict}", (left, top + 20, width, _BAR), told)
            sheet.text((left + width + 5, top + 30), short(took), "quiet")
        top += _ROW
    axis.draw(sheet, 0, top, time_ticks(axis.until))
    return Drawing(
        sheet.image(top + 20) if picture.steps else None,
        ("step", "verdict", "began", "took", "what was seen"),
        tuple(
            (step.name, str(step.verdict), short(step.start), short(step.end - step.start), step.note)
            for step in picture.steps
        ),
    )
