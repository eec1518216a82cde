"""Names of rotated logs: which files are parts of one log, and in what order they were written.

logrotate `app.log.1`, `app.log.2.gz`, `app.log-20260310`; Python's handlers `app.log.1`, `app.log.2026-03-10`; loguru
`app.2026-03-10_07-32-57_123456.log`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["LOG_NAME", "chained", "rotated_beside"]

_PACKED: Final = r"(?:\.(?:gz|zst|zstd|bz2|xz))?"
_DATE: Final = r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[T_.-]?[0-9][0-9_.:-]*)?"
LOG_NAME: Final = re.compile(rf"\.(?:log|out|err)(?:[.-](?:[0-9]+|{_DATE}))?{_PACKED}\Z", re.IGNORECASE)
"""What is taken for a log in a directory."""
_NUMBERED: Final = re.compile(rf"(?P<stem>.+?)\.(?P<number>[0-9]{{1,4}}){_PACKED}\Z")
_DATED: Final = re.compile(rf"(?P<stem>.+?)[.-](?P<date>{_DATE}){_PACKED}\Z")
_LOGURU: Final = re.compile(rf"(?P<stem>.+?)\.(?P<date>{_DATE})(?P<end>\.(?:log|out|err|txt)){_PACKED}\Z")
_ENDED: Final = re.compile(rf"(?P<stem>.+?){_PACKED}\Z")


class _Part(NamedTuple):
    stem: str
    """The name of the log that it is a part of."""
    age: tuple[int, int, str]
    """Sorts the oldest first: dated parts, numbered ones from the highest down, then what is still written to."""


def _part(name: str) -> _Part:
    if match := _LOGURU.match(name):
        return _Part(match["stem"] + match["end"], (0, 0, match["date"]))
    if match := _NUMBERED.match(name):
        return _Part(match["stem"], (1, -int(match["number"]), ""))
    if match := _DATED.match(name):
        return _Part(match["stem"], (0, 0, match["date"]))
    ended = _ENDED.match(name)
    return _Part(ended["stem"] if ended else name, (2, 0, ""))


def chained(names: Iterable[str]) -> dict[str, str | None]:
    """Return each name with the one that it goes on from, or None; parts of one log together, the oldest first."""
    logs: dict[str, list[str]] = {}
    for name in names:
        logs.setdefault(_part(name).stem, []).append(name)
    links: dict[str, str | None] = {}
    for parts in logs.values():
        parts.sort(key=lambda name: _part(name).age)
        before: str | None = None
        for name in parts:
            links[name] = before
            before = name
    return links


def rotated_beside(path: str) -> list[str]:
    """Return the rotated parts of the log at `path` that lie in its directory, the oldest first; of a part, none."""
    directory, name = os.path.split(path)
    if _part(name).age[0] != 2:  # noqa: PLR2004 - the log itself
        return []
    try:
        names = os.listdir(directory or ".")  # noqa: PTH208 - names are what is looked at
    except OSError:
        return []
    parts = [one for one in names if one != name and one.startswith(name.split(".")[0]) and _part(one).stem == name]
    return [os.path.join(directory, one) for one in sorted(parts, key=lambda one: _part(one).age)]  # noqa: PTH118 - as it was named
