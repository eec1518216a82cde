"""A checkout's text that is in memory, for what reads it and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Texts"]


class Texts:
    """Sources by their paths."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def text(self, path: str) -> str | None:
        """Return a file's text."""
        return self._texts.get(path)

    def python_files(self) -> Iterator[str]:
        """Yield the paths, sorted."""
        return iter(sorted(self._texts))
