"""A change as a unified diff that `git apply` takes, and in a few words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Change

__all__ = ["counted", "unified"]

_NO_NEWLINE: Final = "\\ No newline at end of file\n"
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def unified(changes: Iterable[Change], prefix: str) -> str:
    """Return the changes as one diff; `prefix` leads from the repository's root to the backend: `backend/`.

    To be applied in the root: `git apply FILE`, or `patch -p1 < FILE`.
    """
    return "".join(line for change in changes for line in _of(change, prefix))


def counted(change: Change) -> str:
    """Return how many lines come and go: `+12 -640`."""
    added = removed = 0
    for line in _hunks(change):
        added += line.startswith("+")
        removed += line.startswith("-")
    return f"+{added} -{removed}"


def _of(change: Change, prefix: str) -> Iterator[str]:
    old, new = (_quoted(f"{side}/{prefix}{change.path}") for side in "ab")
    yield f"diff --git {old} {new}\n"
    if change.before is None:
        yield "new file mode 100644\n"
    # After a name with a space git itself writes a tab, by which it is told from a date.
    tab = "\t" if " " in old else ""
    yield f"--- {'/dev/null' if change.before is None else old + tab}\n"
    yield f"+++ {new}{tab}\n"
    yield from _hunks(change)


def _hunks(change: Change) -> Iterator[str]:
    lines = difflib.unified_diff(_lines(change.before or ""), _lines(change.after))
    for number, line in enumerate(lines):
        if number > 1:  # the first two name the files
            yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(text: str) -> list[str]:
    # Not splitlines, which also parts at form feeds and at separators of Unicode.
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _quoted(path: str) -> str:
    """Return a path as git writes it: in quotes where it holds anything unusual."""
    data = path.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in data):  # noqa: PLR2004 - printable ASCII
        return path
    shown = "".join(
        _ESCAPES.get(chr(byte), chr(byte)) if 32 <= byte < 127 or byte in b"\n\t\r" else f"\\{byte:03o}"  # noqa: PLR2004 - as above
        for byte in data
    )
    return f'"{shown}"'
