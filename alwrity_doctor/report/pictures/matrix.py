"""A matrix: a word and a sign in each cell, so that a row or a column of one kind is seen at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import WIDTH, Drawing, Sheet, clipped, judged, room_for

if TYPE_CHECKING:
    from alwrity_checks.pictures import Matrix

__all__ = ["drawing"]

_ROW: Final = 26.0
_HEAD: Final = 24.0
_NARROWEST: Final = 84.0
"""Of a column: a word must fit into it."""
_WIDEST: Final = 170.0
_NAMES: Final = 380.0


def drawing(picture: Matrix) -> Drawing:
    """Return a row for each row; it is wider than other pictures where it has many columns."""
    names = min(_NAMES, max((room_for(row.name, bold=True) for row in picture.rows), default=0.0) + 20)
    names = max(names, min(_NAMES, room_for(picture.of) + 20))
    count = max(len(picture.columns), 1)
    column = min(_WIDEST, max(_NARROWEST, (WIDTH - names) / count))
    sheet = Sheet(max(WIDTH, names + column * count))
    sheet.text((8, 15), clipped(picture.of, names - 12), "quiet")
    for number, head in enumerate(picture.columns):
        sheet.text((names + number * column + 6, 15), clipped(head, column - 10), "quiet")
    top = _HEAD
    for row in picture.rows:
        sheet.band(top, _ROW - 3)
        sheet.text((8, top + 16), clipped(row.name, names - 14, bold=True), "name")
        for number, cell in enumerate(row.cells):
            if not cell.text and cell.verdict is None:
                continue
            words = judged(cell.verdict, cell.text)
            left = names + number * column
            told = f"{row.name}, {picture.columns[number]}: {words}"
            sheet.box(f"cell {cell.verdict or 'plain'}", (left, top, column - 4, _ROW - 3), told)
            sheet.text((left + 6, top + 16), clipped(words, column - 14))
        top += _ROW
    return Drawing(
        sheet.image(top + 4) if picture.rows else None,
        (picture.of, *picture.columns),
        tuple((row.name, *(judged(cell.verdict, cell.text) for cell in row.cells)) for row in picture.rows),
    )
