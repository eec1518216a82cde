"""Rich, tamed: literal text, nothing read from the environment, no line that a terminal or a CI log would obey."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.characters import inert, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

__all__ = ["Page", "Styled"]

Styled = tuple[str, str]
"""A text and the rich style it is shown in where colour is wanted."""

_NARROWEST: Final = 40
"""A pseudo-terminal may call itself 0 columns wide."""
_GAP: Final = 2
_CELL: Final = 10
"""A table's narrowest column: the longest word that a cell holds is "reproduced"."""
_ROW_HEAD: Final = 18


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

    def table(self, head: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Styled]]]) -> None:
        """Add a table; columns that do not fit beside each other continue in a further table below."""
        from rich import box
        from rich.table import Table

        fitting = max(1, (self._console.width - _ROW_HEAD) // (_CELL + _GAP))
        for start in range(0, len(columns), fitting):
            if start:
                self.blank()
            part = slice(start, start + fitting)
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP, 0, 0))
            table.add_column(_text(head), overflow="fold")
            for name in columns[part]:
                table.add_column(_text(name), min_width=_CELL, overflow="fold")
            for title, cells in rows:
                table.add_row(_text(title), *(_text(cell) for cell in cells[part]))
            self._console.print(table)

    def text(self) -> str:
        """Return the page; no line has trailing spaces."""
        return inert("\n".join(row.rstrip() for row in self._stream.getvalue().splitlines())) + "\n"


def _text(*parts: str | Styled) -> Text:
    from rich.text import Text

    text = Text(overflow="fold")
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(visible(words).expandtabs(4), style)
    return text
