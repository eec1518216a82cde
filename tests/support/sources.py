"""Sources of our own, handed to a room's `source` module as a scan hands it a checkout's files."""

from __future__ import annotations

import ast
import pickle
from textwrap import dedent
from typing import TYPE_CHECKING

from alwrity_checks.source import SourceFile, Trace

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["across", "source_file", "traced"]


def source_file(text: str, path: str = "services/one.py", *, live: bool = True) -> SourceFile:
    """Return a file of a checkout with that text."""
    text = dedent(text)
    return SourceFile(path, ast.parse(text), text, live)


def traced(room: ModuleType, text: str, path: str = "services/one.py", *, live: bool = True) -> list[Trace]:
    """Return what a room sees in one file, if the file holds anything that the room wants to be shown."""
    file = source_file(text, path, live=live)
    if not any(wanted in file.text.encode() for wanted in room.WANTED):
        return []
    found = list(room.traces(file))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own, to prove that it survives the way
    return found


def across(room: ModuleType, files: dict[str, str], *, dead: frozenset[str] = frozenset()) -> list[Trace]:
    """Return what a room sees only when it compares files, each given by its path."""
    facts = [room.facts(source_file(text, path, live=path not in dead)) for path, text in files.items()]
    kept = [one for one in facts if one is not None]
    assert pickle.loads(pickle.dumps(kept)) == kept  # noqa: S301 - our own, to prove that it survives the way
    return list(room.across(list(reversed(kept))))
