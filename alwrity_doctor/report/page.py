"""Rich, tamed: literal text, nothing read from the environment, no line that a terminal or a CI log would obey."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.characters import inert, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.text import Text

__all__ = ["Page", "Styled"]

Styled = tuple[str, str]
"""A text and the rich style it is shown in where colour is wanted."""

_NARROWEST: Final = 40
"""A pseudo-terminal may call itself 0 columns wide."""
_GAP: Final = 2
_WIDEST: Final = 48
"""What is longer than this in a table's cell continues on the cell's next line, where others need the room."""
_ROW_HEAD: Final = 18
"""A table's first column is cut down to this, or to two fifths of the page, before another one moves below."""
_ROW_HEAD_IN_NEED: Final = 24
"""... and down to this, where all the others then find room beside it."""


class Page:
    """Text laid out for `width` columns, from top to bottom."""

    def __init__(self, *, colour: bool, width: int) -> None:
        from rich.console import Console

        self._stream = StringIO()
        # Every value that rich would otherwise look up in the environment is given. One column is kept for the
        # backslash which `inert` may put before a line.
        self._console = Console(
            file=self._stream,
            width=max(width, _NARROWEST) - 1,
            height=100,
            color_system="standard" if colour else None,
            no_color=not colour,
            force_terminal=colour,
            force_interactive=False,
            force_jupyter=False,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def line(self, *parts: str | Styled, indent: int = 0) -> None:
        """Add a paragraph of `parts`, wrapped, every line of it indented."""
        from rich.padding import Padding

        self._console.print(Padding(_text(*parts), (0, 0, 0, indent), expand=False))

    def blank(self) -> None:
        """Add an empty line."""
        self._console.print()

    def heading(self, title: str) -> None:
        """Add an empty line and a title."""
        self.blank()
        self.line((title, "bold"))

    def verbatim(self, command: str, indent: int) -> None:
        """Add a command as it is, never wrapped: a wrapped command cannot be copied."""
        for row in visible(command).splitlines():
            self._console.print(_text(" " * indent, (row, "cyan")), soft_wrap=True)

    def columns(self, rows: Iterable[Sequence[Sequence[str | Styled]]], *, indent: int = 0, first: int) -> None:
        """Add rows of cells, each a sequence of parts; the first column is `first` wide, the others as they need."""
        from rich.padding import Padding
        from rich.table import Table

        cells = [[_text(*cell) for cell in row] for row in rows]
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        grid.add_column(width=first, no_wrap=True)
        for index in range(1, max(map(len, cells), default=1)):
            grid.add_column(overflow="fold", no_wrap=index > 1)
        for row in cells:
            grid.add_row(*row)
        self._console.print(Padding(grid, (0, 0, 0, indent)))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str | Styled]]) -> None:
        """Add a table; columns that do not fit beside the first one continue in a further table below."""
        cells = [[_cell(cell) for cell in row] for row in (heads, *rows)]
        columns = list(zip(*cells, strict=True))
        usual = max(_ROW_HEAD, self._console.width * 2 // 5)
        # The last try is the first two's, for a table that cannot be had in one part.
        for wrapped, head in ((False, usual), (True, usual), (True, min(usual, _ROW_HEAD_IN_NEED)), (True, usual)):
            whole = [_width(*column, wrapped=wrapped) for column in columns]
            widths = [min(_WIDEST, width) for width in whole]
            parts = list(_parts(widths, self._console.width - min(widths[0], head)))
            if len(parts) == 1:
                break
        for number, part in enumerate(parts):
            if number:
                self.blank()
            fitted = list(_widened(widths[part], whole[part], self._console.width - widths[0]))
            self._part([[row[0], *row[part]] for row in cells], fitted)

    def _part(self, cells: Sequence[Sequence[Text]], widths: Sequence[int]) -> None:
        from rich import box
        from rich.table import Table

        head, *rows = cells
        # The box has a column of its own between two others.
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
        table.add_column(head[0], overflow="fold")
        for name, width in zip(head[1:], widths, strict=True):
            table.add_column(name, width=width, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def text(self) -> str:
        """Return the page; no line has trailing spaces."""
        return inert("\n".join(row.rstrip() for row in self._stream.getvalue().splitlines())) + "\n"


def _parts(widths: Sequence[int], room: int) -> Iterator[slice]:
    """Yield the columns that fit into `room` beside the first one, at least one each time; of none, an empty slice."""
    start, used = 1, 0
    for index, width in enumerate(widths[1:], start=1):
        if index > start and used + width + _GAP > room:
            yield slice(start, index)
            start, used = index, 0
        used += width + _GAP
    yield slice(start, len(widths))


def _widened(widths: Sequence[int], whole: Sequence[int], room: int) -> Iterator[int]:
    """Yield the widths of columns, those that were cut with what the others leave of `room`."""
    left = room - sum(width + _GAP for width in widths)
    for width, wanted in zip(widths, whole, strict=True):
        more = max(0, min(left, wanted - width))
        left -= more
        yield width + more


def _width(head: Text, *cells: Text, wrapped: bool) -> int:
    """Return what a column needs: a head of several words can stand above it in one line, or `wrapped` in several."""
    heads = head.split(" ") if wrapped else [head]
    lengths: list[int] = [text.cell_len for text in (*heads, *cells)]
    return max(1, *lengths)


def _cell(part: str | Styled) -> Text:
    words, style = (part, "") if isinstance(part, str) else part
    return _text((one_line(words), style))


def _text(*parts: str | Styled) -> Text:
    from rich.text import Text

    text = Text(overflow="fold")
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(visible(words).expandtabs(4), style)
    return text
