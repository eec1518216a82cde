"""Runs a server's command, watches it from outside and from inside until it answers, and ends it in good order."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.models.available import Available, available_memory
from alwrity_checks.startup.trace_answer import Answer, Asker, Question
from alwrity_checks.startup.trace_child.alwrity_startup_tracer import program
from alwrity_checks.startup.trace_events import TracedProcess, read_traces
from alwrity_checks.startup.trace_output import Output, wrap_secrets
from alwrity_checks.startup.trace_processes import Family, SeenProcess
from alwrity_checks.startup.trace_sockets import Peer, Sockets, TcpSocket

__all__ = ["VARIABLE", "Connection", "Listening", "Recorded", "record"]

VARIABLE: Final = "ALWRITY_STARTUP_TRACE"
"""Names the folder to the traced processes, and the processes to us."""
_CHILD: Final = Path(__file__).parent / "trace_child"
_POLL: Final = 0.015
_REAPED: Final = 5.0
"""Seconds in which a killed process must be gone."""
_LAST_WORDS: Final = 0.15
"""Seconds in which the traced processes write what they saw until now."""
_ALONE: Final = 0.1
"""Seconds without any process after which none is taken to come: one that forks itself away may be between two."""
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - an address that was seen, not one to bind


@dataclass(frozen=True, slots=True)
class Listening:
    """The moment at which the server began to listen."""

    at: float
    """Seconds of the monotonic clock, seen from outside: at most a fiftieth of a second late."""
    address: Peer
    holders: frozenset[int]
    """The processes that held the socket then."""


@dataclass(slots=True)
class Connection:
    """A connection of one of the processes, for as long as it was seen."""

    remote: Peer
    owners: frozenset[int]
    began: float
    received: list[tuple[float, int]]
    """(time, bytes so far), whenever there were more."""

    def during(self, start: float, end: float) -> int:
        """Return the bytes that came between two moments."""
        before = max((count for at, count in self.received if at <= start), default=0)
        # What came was counted a moment later.
        return max((count for at, count in self.received if at <= end + 2 * _POLL), default=0) - before


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was seen of a start, from outside and from inside. Times are seconds of the monotonic clock."""

    program: str
    """The command's program; its arguments may hold secrets and are nowhere in here."""
    began: float
    ended: float
    """When watching ended: at the first answer, at the command's death, or when time was up."""
    listened: Listening | None
    answered: Answer | None
    answerers: frozenset[int]
    """The processes that held the listening socket at the first answer."""
    died: bool
    """Whether every process was gone before there was an answer."""
    exit_code: int | None
    """The first process's, where it ended by itself; negative: the signal that killed it."""
    processes: Mapping[int, SeenProcess]
    lineages: Mapping[int, tuple[int, ...]]
    """Process -> its ancestors within the command and itself, the oldest first."""
    traced: tuple[TracedProcess, ...]
    connections: tuple[Connection, ...]
    output: tuple[str, ...]
    """The command's last lines, without secrets."""
    endpoint: str
    """HF_ENDPOINT as the command sees it; "" for the default."""
    memory: tuple[tuple[float, int], ...]
    """(time, bytes resident in all processes together), as often as was looked."""
    available: Available
    """The memory that could be had when it began."""


def record(  # noqa: PLR0913 - a start's conditions
    command: Sequence[str],
    *,
    question: Question | None = None,
    path: str = "/",
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
    heard: Callable[[str], None] | None = None,
    grace: float = 5.0,
) -> Recorded:
    """Run `command` until it answers, `timeout` seconds at most. Blocks; leaves no process behind.

    Without a `question` whatever port is listened on is asked for `path`, and the first one that speaks HTTP is the
    server's. `stop` ends the watch early. `heard` gets each line that the command says. In the end the command is asked
    to end, and killed `grace` seconds later. Raises ConfigurationError if the command cannot be started.
    """
    given = dict(os.environ if environment is None else environment)
    wrap_secrets(command, given)
    with tempfile.TemporaryDirectory(prefix="alwrity-startup-", ignore_cleanup_errors=True) as folder:
        given[VARIABLE] = folder
        # No empty entry: it would mean the working directory.
        given["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_CHILD), given.get("PYTHONPATH", ""))))
        available = available_memory()
        began = time.monotonic()
        process = _started(command, given)
        assert process.stdout is not None  # noqa: S101 - it was asked for
        output = Output(process.stdout, heard)
        watch = _Watch(process, Family(process.pid, (VARIABLE, folder)), question, path)
        try:
            watch.until(began + timeout, stop or threading.Event())
        finally:
            ended = time.monotonic()
            watch.close(grace)
        output.close()
        family = watch.family
        return Recorded(
            program(command[0], command),
            began,
            watch.answered.at if watch.answered else ended,
            watch.listened,
            watch.answered,
            watch.answerers,
            watch.died,
            process.returncode if watch.died else None,
            family.seen,
            {pid: tuple(one.pid for one in family.lineage(pid)) for pid in family.seen},
            read_traces(Path(folder)),
            tuple(watch.connections.values()),
            output.tail,
            given.get("HF_ENDPOINT", ""),
            tuple(watch.memory),
            available,
        )


def _started(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its arguments hold a null character"
        raise ConfigurationError(
            f"{program(command[0], command[:1])} cannot be started: {reason}",
            "write the command as in a shell, behind --: alwrity-doctor startup trace -- python app.py",
        ) from error


class _Watch:
    """Looks at processes and sockets until the server answers."""

    def __init__(self, process: subprocess.Popen[bytes], family: Family, question: Question | None, path: str) -> None:
        self.family = family
        self.listened: Listening | None = None
        self.answered: Answer | None = None
        self.answerers: frozenset[int] = frozenset()
        self.died = False
        self.connections: dict[object, Connection] = {}
        self.memory: list[tuple[float, int]] = []
        self._process = process
        self._question = question
        self._path = path
        self._sockets = Sockets()
        self._doors: dict[object, tuple[TcpSocket, Listening]] = {}
        self._askers: dict[Question, Asker] = {}

    def until(self, deadline: float, stop: threading.Event) -> None:
        """Watch until there is an answer, the command has died, time is up or `stop` is set."""
        alone_since: float | None = None
        while time.monotonic() < deadline and not stop.is_set():
            gone = self._process.poll() is not None
            if gone:
                self.family.adopt()
            else:
                self.family.update()
            self._look()
            self.memory.append((time.monotonic(), self.family.resident))
            if self._heard_answer():
                return
            if not gone or self.family.alive:
                alone_since = None
            elif alone_since is None:
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > _ALONE:
                self.died = True
                return
            stop.wait(_POLL)

    def close(self, grace: float) -> None:
        """End every process and every question."""
        try:
            if not self.died:
                time.sleep(_LAST_WORDS)
            self.family.end(grace)
        finally:
            for asker in self._askers.values():
                asker.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAPED)

    def _look(self) -> None:
        now = time.monotonic()
        for one in self._sockets.of(self.family.seen):
            if one.listens:
                if one.identity not in self._doors and self._wanted(one.local):
                    self._open(one, now)
            else:
                self._note(one, now)

    def _wanted(self, local: Peer) -> bool:
        return self._question is None or local.port == self._question.port

    def _open(self, one: TcpSocket, now: float) -> None:
        listening = Listening(now, one.local, self._sockets.holders(one, self.family.seen))
        self._doors[one.identity] = (one, listening)
        host = _EVERYWHERE.get(one.local.host, one.local.host)
        question = self._question or Question(host, one.local.port, self._path)
        if question not in self._askers:
            self._askers[question] = Asker(question)
        # Until one has answered, the first door counts.
        self.listened = self.listened or listening

    def _note(self, one: TcpSocket, now: float) -> None:
        if any(one.local.port == door.local.port for door, _ in self._doors.values()):
            return  # somebody's connection to the server, ours as a rule
        known = self.connections.setdefault(one.identity, Connection(one.remote, one.owners, now, []))
        if one.received and (not known.received or one.received > known.received[-1][1]):
            known.received.append((now, one.received))

    def _heard_answer(self) -> bool:
        for asker in self._askers.values():
            if asker.answer is None:
                continue
            self.answered = asker.answer
            for one, listening in self._doors.values():
                if one.local.port == asker.answer.port:
                    self.listened = listening
                    self.answerers = self._sockets.holders(one, self.family.seen)
                    break
            return True
        return False
