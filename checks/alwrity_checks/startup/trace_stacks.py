"""A stack for a person: the user's own frames, the way into the library, and where it ended.

It is not scrubbed: it holds names from source code, and `hf_hub_download` has the form of a token.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.startup.trace_events import Frame
    from alwrity_checks.startup.trace_lanes import Interval

__all__ = ["own_frame", "short_stack"]

_INSTALLED: Final = re.compile(r".*[/\\](?:site|dist)-packages[/\\]")
_STANDARD: Final = re.compile(r".*[/\\]lib[/\\]python\d+\.\d+[/\\]|.*[/\\][Ll]ib[/\\](?=[a-z_]+\.py|asyncio)")
_OWN: Final = 6
_FOREIGN: Final = 3


def own_frame(one: Interval) -> Frame | None:
    """Return the user's own innermost frame; None where there is none."""
    return next((frame for frame in one.stack.frames if frame.own), None)


def short_stack(one: Interval) -> str:
    """Return the stack, the innermost frame last: the user's frames, and below them the ends of the libraries' ones."""
    frames = list(reversed(one.stack.frames))
    own = [index for index, frame in enumerate(frames) if frame.own]
    shown = set(own[-_OWN:])
    below = [index for index in range(len(frames)) if not own or index > own[-1]]
    shown |= set(below[:1]) | set(below[-_FOREIGN:])
    lines: list[str] = []
    skipped = 0
    for index, frame in enumerate(frames):
        if index in shown:
            if skipped and lines:
                lines.append(f"... {skipped} more")
            lines.append(f"{_short(frame.file)}:{frame.line} in {frame.function}")
            skipped = 0
        else:
            skipped += 1
    return "\n".join(lines)


def _short(file: str) -> str:
    return _INSTALLED.sub("", file) if _INSTALLED.match(file) else _STANDARD.sub("", file)
