"""What a scan is about: the rooms, whose `source` modules look into files, and what only the whole checkout shows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["FILES", "LOGGING", "NAMES", "RELOAD", "REQUIREMENTS", "SOURCES", "SUBJECTS", "name_of"]

FILES: Final = "files"
REQUIREMENTS: Final = "requirements"
RELOAD: Final = "reload"
LOGGING: Final = "logging"
NAMES: Final = "names"

SOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auth": "alwrity_checks.auth.source",
        "hf": "alwrity_checks.hf.source",
        "txtai": "alwrity_checks.txtai.source",
        "models": "alwrity_checks.models.source",
        "startup": "alwrity_checks.startup.source",
        LOGGING: "alwrity_checks.backend.loguru_calls",
        NAMES: "alwrity_checks.backend.names",
    }
)
"""Subject -> the module that looks into a file for it."""

_PATTERN: Final = "the checkout shows no known pattern of issue"
SUBJECTS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        FILES: ("every file that runs was read, and compiles", 0),
        REQUIREMENTS: ("what the code imports can be installed", 0),
        "auth": (f"{_PATTERN} 1", 1),
        "hf": (f"{_PATTERN} 2", 2),
        "txtai": (f"{_PATTERN} 3", 3),
        RELOAD: (f"{_PATTERN} 4", 4),
        "models": (f"{_PATTERN} 5", 5),
        "startup": (f"{_PATTERN} 6", 6),
        LOGGING: ("a log shows what was handed to it", 0),
        NAMES: ("every name that runs is bound", 0),
    }
)
"""Subject -> the healthy condition, and the entry of the tracker it belongs to (0: to none, and it may hide any)."""


def name_of(subject: str) -> str:
    """Return the name of a subject's check."""
    return f"scan.{subject}"
