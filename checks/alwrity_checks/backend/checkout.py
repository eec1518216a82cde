"""A checkout of ALwrity, found from the directory that the user names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alwrity_checks.errors import ConfigurationError

__all__ = ["INTERPRETERS", "Checkout", "find_checkout"]

_FILES: Final = ("app.py", "start_alwrity_backend.py")
_DIRECTORIES: Final = ("middleware",)
"""What is in a backend's directory, and in no other one of the repository: 8c2d88ef has data in `backend/backend`."""
_ENVIRONMENTS: Final = (".venv", "venv", "windsurf_venv")
"""Of ALwrity's setup scripts, of its documentation, and of its author's own start script."""
INTERPRETERS: Final = ("bin/python", "Scripts/python.exe")
"""Where an environment has its interpreter."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where things are in it; nothing of it is imported here."""

    backend: Path
    """The directory of `app.py`, absolute."""

    @property
    def root(self) -> Path:
        """The repository's root."""
        return self.backend.parent

    def module(self, name: str) -> Path:
        """Return the file that a dotted name is imported from when `backend` is on the path, whether it exists or not.

        A package wins over a module of the same name, as in an import.
        """
        place = self.backend.joinpath(*name.split("."))
        package = place / "__init__.py"
        return package if package.is_file() else place.with_name(f"{place.name}.py")

    def interpreters(self) -> Iterator[Path]:
        """Yield the interpreters of its virtual environments, the likeliest first.

        They are links into the environment, and are not resolved: an environment is known by the path it is run by.
        One that was committed is the checkout's code, which runs in the sandbox alone; so it is none of them.
        """
        for directory in (self.backend, self.root):
            for environment in _ENVIRONMENTS:
                found = [one for name in INTERPRETERS if (one := directory / environment / name).is_file()]
                if found and not _is_committed(directory / environment):
                    yield from found


def _is_committed(environment: Path) -> bool:
    """Say whether git tracks something in a virtual environment; where there is no git it is somebody's own."""
    from alwrity_checks.backend.revision import git

    return bool(git(environment.parent, "ls-files", "-z", "--", environment.name))


def find_checkout(directory: Path) -> Checkout:
    """Return the checkout of which `directory` is the root or the backend. Raises ConfigurationError if it is neither.

    A directory that is a backend is taken for it, whatever lies below.
    """
    try:
        return _found(directory)
    except (OSError, ValueError, RuntimeError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        message = f"{directory} cannot be looked into: {told}"
        raise ConfigurationError(message, "give yourself the right to read it, or name another directory") from error


def _found(directory: Path) -> Checkout:
    named = directory.expanduser().absolute()
    if not named.is_dir():
        raise ConfigurationError(f"{directory} is not a directory", "name the root of your checkout, or its backend/")
    for place in (named, named / "backend"):
        if not _missing(place):
            return Checkout(place)
    nearest = named / "backend" if (named / "backend").is_dir() else named
    raise ConfigurationError(
        f"{directory} is no checkout of ALwrity: {nearest} has no {' and no '.join(_missing(nearest))}",
        "name the root of your checkout, or its backend/",
    )


def _missing(place: Path) -> list[str]:
    return [name for name in _FILES if not (place / name).is_file()] + [
        f"{name}/" for name in _DIRECTORIES if not (place / name).is_dir()
    ]
