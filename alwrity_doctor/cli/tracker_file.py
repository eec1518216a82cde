"""The catalogue that a command is about: the one named, or the nearest one."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.tracker import Tracker, load

__all__ = ["FileOption", "load_tracker"]

FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="The tracker. Default: tracker.md here, or above up to the repository's root."),
]


def load_tracker(file: Path | None) -> Tracker:
    """Return the tracker in `file`, or the nearest. Raises ConfigurationError if there is none."""
    return load(_nearest() if file is None else file)


def _nearest() -> Path:
    try:
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "tracker.md").is_file():
                return Path(os.path.relpath(folder / "tracker.md", here))
            if (folder / ".git").exists():
                break
    except OSError as error:
        raise ConfigurationError(f"tracker.md cannot be looked for: {error.strerror}", "name it with --file") from error
    raise ConfigurationError(
        "there is no tracker.md here, nor above up to the repository's root", "name the tracker with --file"
    )
