"""`triage -f`: each new finding in a line as it comes, and the whole report at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.process import say
from alwrity_doctor.cli.triage_run import Wish, diagnosed, stopping, told
from alwrity_doctor.report.characters import one_line

if TYPE_CHECKING:
    from alwrity_checks.exit_code import ExitCode
    from alwrity_checks.logs.following import Tail
    from alwrity_checks.logs.streams import Stream
    from alwrity_checks.logs.triage import Triage

__all__ = ["followed"]

_PAUSE: Final = 1.0
"""Seconds between two diagnoses, at least: the log may grow faster than anybody reads."""


def followed(wish: Wish, started: datetime) -> ExitCode:
    """Follow the logs until they end or somebody says stop, and return the exit code."""
    from alwrity_checks.logs.choice import choose, matcher_for
    from alwrity_checks.logs.following import follow
    from alwrity_checks.logs.gathering import gatherer, probes
    from alwrity_checks.logs.streams import Opened
    from alwrity_checks.logs.summary import EMPTY

    for option, given in (("--redact", wish.redact), ("--scheduler", wish.scheduler)):
        if given is not None:
            raise ConfigurationError(f"-f and {option} do not go together", "leave one of them out")
    sources = _sources(wish)
    engine: Any = wish.engine
    matcher = matcher_for(choose(engine).engine, probes())
    teller = _Teller(_line_writer(wish))
    summary, due, untold = EMPTY, 0.0, False
    notes: list[str] = []
    with stopping() as stop:
        say("Following; Ctrl-C ends with the report.")
        for news in follow(sources, matcher, gatherer(), stop=stop, wait=wish.wait):
            summary = news.summary
            notes += news.notes
            for note in news.notes:
                teller.note(note)
            untold |= news.changed
            if untold and time.monotonic() >= due:
                teller.tell(diagnosed(summary, ()))
                due, untold = time.monotonic() + _PAUSE, False
        if untold:
            teller.tell(diagnosed(summary, ()))
        interrupted = stop.is_set()
    opened = Opened(tuple(_as_stream(one) for one in sources))
    return told(wish, opened, summary, started, interrupted=interrupted, notes=notes)


def _sources(wish: Wish) -> list[Tail | Stream]:
    from alwrity_checks.logs.following import Tail, follow_names
    from alwrity_checks.logs.streams import open_streams
    from alwrity_doctor.cli.triage_run import standard_input

    logs = wish.logs or standard_input()
    sources: list[Tail | Stream] = []
    for name in follow_names(logs):
        if name == "-" or _is_pipe(name):
            opened = open_streams([name])
            for one in opened.unread:
                raise ConfigurationError(f"{one.name} {one.reason}", one.remedy)
            sources += opened.streams
        else:
            sources.append(Tail(name))
    return sources


def _is_pipe(name: str) -> bool:
    from pathlib import Path

    path = Path(name)
    return path.exists() and not path.is_file()


def _as_stream(source: Tail | Stream) -> Stream:
    from alwrity_checks.logs.streams import Stream

    # Without a path: what was followed may have been rotated, and its lines have no numbers any more.
    return source if isinstance(source, Stream) else Stream(source.name)


def _line_writer(wish: Wish) -> Callable[[str], None]:
    """Return what shows a line as it comes: where the report goes as text, else beside it."""
    if any(one.path is None and one.format != "text" for one in wish.outputs) or sys.stdout is None:
        return say

    def write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    return write


class _Teller:
    """Says what is new since the last time."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._told: set[str] = set()
        self._first = ""

    def note(self, note: str) -> None:
        """Say what happened to a file."""
        self._write(one_line(f"note: {note}"))

    def tell(self, triage: Triage) -> None:
        """Say which causes, lines and forms are new, and whether another subsystem counts as the first."""
        for one in triage.causes:
            self._new(f"cause {one.id} {one.sure}", f"issue {one.issue}  {one.rule}: {one.title} ({one.sure})")
        for group in triage.groups:
            text = f"issue {group.issue}  {group.rule or group.signature}: {group.meaning}"
            self._new(f"group {group.signature} {group.variant}", f"{text}  | {group.sample}")
        for cluster in triage.clusters:
            key = f"form {cluster.level} {cluster.module} {cluster.template}"
            self._new(key, f"unknown  {cluster.level} {cluster.module}: {cluster.sample}")
        for kind, _ in triage.secrets:
            self._new(f"secret {kind}", f"secret  the log holds: {kind}")
        first = triage.first_failure
        if first is not None and first.subsystem != self._first:
            self._first = first.subsystem
            self._write(one_line(f"failed first so far: {first.subsystem}: {first.title}"))

    def _new(self, key: str, line: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self._write(one_line(f"{datetime.now().astimezone():%H:%M:%S}  {line}"))
