"""The exit codes, by themselves: a usage error needs nothing else of the model."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """The exit codes, the same for every command and format."""

    HEALTHY = 0
    FINDING = 1
    """A finding at or above `--fail-on`."""
    USAGE = 2
    """Usage or configuration."""
    UNKNOWN = 3
    """Something could not be checked, and nothing worse."""
    INTERRUPTED = 130
