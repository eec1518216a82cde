"""A checkout's text, read once; and what it would be after a proposal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.files import LARGEST, repository_root, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alwrity_checks.adoption.proposal import Change
    from alwrity_checks.backend.checkout import Checkout

__all__ = ["MARK", "CheckoutSources", "Overlay", "Unmarked"]

MARK: Final = "\ufeff"
"""The byte order mark with which some editors of Windows begin a file: no part of what it says."""

_SETTINGS: Final = ".env"
"""What begins so holds settings, and is nobody's source."""


class CheckoutSources:
    """The files of a checkout's backend, as they were at one moment."""

    def __init__(self, checkout: Checkout) -> None:
        """Read the Python files and the declarations; nothing of them is run. Other files are read when asked for."""
        taken = snapshot(checkout)
        self._found: dict[str, bytes | None] = dict(taken.sources)
        self._python = tuple(taken.sources)
        self._declarations: dict[str, bytes] = {
            path.removeprefix(taken.prefix): data
            for path, data in taken.declarations.items()
            if path.startswith(taken.prefix)
        }
        self._found.update(self._declarations)
        self.backend = checkout.backend
        self.root = repository_root(checkout)
        """The directory of the checkout's `.git`, or the backend's parent."""
        self.prefix = taken.prefix
        """From the repository's root to the backend's directory: `backend/`, or nothing where they are the same."""

    def text(self, path: str) -> str | None:
        """Return a file's text, line endings as they are; None where there is no such file or it is no UTF-8 text."""
        if path not in self._found:
            self._found[path] = self._read(path)
        data = self._found[path]
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def _read(self, path: str) -> bytes | None:
        relative = PurePosixPath(path)
        if relative.is_absolute() or ".." in relative.parts or relative.name.startswith(_SETTINGS):
            return None
        place = self.backend / relative
        try:
            linked = any((self.backend / above).is_symlink() for above in (relative, *relative.parents))
            small = not linked and place.is_file() and place.stat().st_size <= LARGEST
            return place.read_bytes() if small else None
        except OSError:
            return None

    def is_there(self, path: str) -> bool:
        """Say whether something lies at the path, whatever it is."""
        return os.path.lexists(self.backend / path)

    def python_files(self) -> Iterator[str]:
        """Yield the paths of all Python files, sorted, relative to the backend's directory, with `/`."""
        return iter(self._python)

    def declarations(self) -> Iterator[str]:
        """Yield the paths of the backend's requirements and the like, sorted."""
        return iter(sorted(self._declarations))


class Overlay:
    """Sources as they are after some changes."""

    def __init__(self, below: CheckoutSources | Overlay | Unmarked, changes: Iterable[Change]) -> None:
        """Lay the changes over what is below."""
        self._below = below
        self._written: Mapping[str, str] = {change.path: change.after for change in changes}

    def text(self, path: str) -> str | None:
        """Return a file's text after the changes, line endings as they are; None as for what is below."""
        return self._written[path] if path in self._written else self._below.text(path)

    def is_there(self, path: str) -> bool:
        """Say whether something lies at the path, whatever it is."""
        return path in self._written or self._below.is_there(path)

    def python_files(self) -> Iterator[str]:
        """Yield the paths of all Python files, sorted, relative to the backend's directory, with `/`."""
        new = (path for path in self._written if path.endswith(".py"))
        return iter(sorted({*self._below.python_files(), *new}))

    def declarations(self) -> Iterator[str]:
        """Yield the paths of the backend's requirements and the like, sorted."""
        return self._below.declarations()


class Unmarked:
    """Sources without byte order marks, which no parser of a text takes."""

    def __init__(self, below: CheckoutSources | Overlay) -> None:
        """Show what is below."""
        self._below = below

    def text(self, path: str) -> str | None:
        """Return a file's text without its mark, line endings as they are; None as for what is below."""
        text = self._below.text(path)
        return None if text is None else text.removeprefix(MARK)

    def is_there(self, path: str) -> bool:
        """Say whether something lies at the path, whatever it is."""
        return self._below.is_there(path)

    def python_files(self) -> Iterator[str]:
        """Yield the paths of all Python files, sorted, relative to the backend's directory, with `/`."""
        return self._below.python_files()

    def declarations(self) -> Iterator[str]:
        """Yield the paths of the backend's requirements and the like, sorted."""
        return self._below.declarations()
