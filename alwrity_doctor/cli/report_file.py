"""A report from a file, as a command that reads one is given it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.model import Report

__all__ = ["read_report"]

_LARGEST: Final = 64 << 20
_REMEDY: Final = "name a file that --format json wrote"
_ARCHIVES: Final = (b"PK\x03\x04", b"\x1f\x8b")
"""How a .zip and a .gz begin."""
_OF_A_BUNDLE: Final = "alwrity-doctor gate --from"


def read_report(path: Path) -> Report:
    """Return the report in `path`, `-` for standard input. Raises ConfigurationError for anything that is none."""
    from alwrity_doctor.report.json import load

    try:
        if str(path) == "-":
            if sys.stdin is None:
                raise ConfigurationError("standard input is closed", _REMEDY)
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", _REMEDY) from error
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path} is larger than 64 MiB", _REMEDY)
    if not data.strip():
        raise ConfigurationError(f"{path} is empty", _REMEDY)
    if data.startswith(_ARCHIVES):
        raise ConfigurationError(f"{path} is an archive, not a report", f"if it is a bundle: {_OF_A_BUNDLE} {path}")
    try:
        return load(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text", _REMEDY) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.diagnosis}", error.remedy) from error
