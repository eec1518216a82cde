"""What a child says: a JSON object in each line, on a channel that whatever else it prints does not reach."""

from __future__ import annotations

import json
import sys
from typing import TextIO

__all__ = ["say", "speak_through"]

_channel: TextIO | None = None


def say(**fields: object) -> None:
    """Print a line; it has left the process when this returns."""
    channel = _channel or sys.stdout
    channel.write(json.dumps(fields) + "\n")
    channel.flush()


def speak_through(channel: TextIO) -> None:
    """Let `say` print there, where stdout is not ours alone."""
    global _channel  # noqa: PLW0603 - one process, one stdout
    _channel = channel
