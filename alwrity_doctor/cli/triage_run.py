"""The run behind `triage`: open, read, diagnose, copy, report; and what happens when somebody says stop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import CannotCheck, ConfigurationError
from alwrity_checks.exit_code import ExitCode
from alwrity_doctor.cli.output import FailOn, Output, emit
from alwrity_doctor.cli.process import say
from alwrity_doctor.cli.progress import progress

if TYPE_CHECKING:
    from alwrity_checks.logs.redacting import Copy
    from alwrity_checks.logs.streams import Opened, Stream
    from alwrity_checks.logs.summary import Summary
    from alwrity_checks.logs.triage import ClusterFound, Triage
    from alwrity_checks.model import CheckResult, Report

__all__ = ["Wish", "clusters_in", "diagnosed", "run", "standard_input", "stopping", "told"]

_NAME: Final = "triage"
_NOTHING_YET: Final = "the run was interrupted before it had read what the logs say."


@dataclass(frozen=True, slots=True)
class Wish:
    """The command's options."""

    logs: tuple[str, ...]
    issues: tuple[int, ...]
    wait: float
    redact: str | None
    suggest: bool
    workers: int | None
    engine: str
    scheduler: str | None
    fail_on: FailOn
    outputs: tuple[Output, ...]


def run(wish: Wish, *, follow: bool) -> ExitCode:
    """Carry out `wish` and return the exit code."""
    from alwrity_checks.logs.summary import EMPTY

    started = datetime.now(UTC)
    if follow:
        from alwrity_doctor.cli.triage_follow import followed

        return followed(wish, started)
    opened = _opened(wish)
    _refuse_nothing(opened)
    with contextlib.ExitStack() as stack:
        copies = _copies(wish, opened, stack)
        # The copy of a log that can be read once is written while it is read.
        streams = [_tapped(one, copies) for one in opened.streams]
        with stopping() as stop:
            try:
                summary, interrupted = read(wish, streams, stop)
            except CannotCheck as error:
                return told(wish, _lost(opened, error), EMPTY, started)
        if interrupted:
            notes = [f"{copy.path} was not written: the run was interrupted" for copy in copies.values()]
        else:
            notes = _write_copies(opened.streams, copies)
    return told(wish, opened, summary, started, redacted=notes, interrupted=interrupted)


def _opened(wish: Wish) -> Opened:
    logs = wish.logs or standard_input()
    if wish.scheduler is not None:
        from alwrity_checks.logs.fleet import open_remote

        if wish.redact is not None:
            raise ConfigurationError(
                "--redact writes on this machine, --scheduler reads elsewhere", "leave one of them out"
            )
        return open_remote(logs)
    from alwrity_checks.logs.streams import open_streams, waits_for_a_terminal

    opened = open_streams(logs)
    if waits_for_a_terminal(opened.streams):
        end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
        say(f"The log is read from this terminal: paste it, then press {end} on a line of its own.")
    return opened


def standard_input() -> tuple[str, ...]:
    """Return what is read when nothing is named: what is piped in. Raises ConfigurationError on a terminal."""
    if sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty():
        return ("-",)
    raise ConfigurationError("no log was named", "name one, or pipe it in: alwrity-doctor triage app.log")


def _refuse_nothing(opened: Opened) -> None:
    """Raise ConfigurationError where nothing of what was named exists: then there is nothing to report on."""
    if not opened.streams and all(one.missing for one in opened.unread):
        first = opened.unread[0]
        more = f" (nor do {len(opened.unread) - 1} others)" if len(opened.unread) > 1 else ""
        raise ConfigurationError(f"{first.name}: {first.reason}{more}", first.remedy)


def _lost(opened: Opened, error: CannotCheck) -> Opened:
    """Return what was opened as what could not be read: half of the logs would say something else."""
    from alwrity_checks.logs.streams import Opened, Unread

    return Opened((), (*opened.unread, Unread("the logs", error.diagnosis, error.remedy)), opened.notes)


def read(wish: Wish, streams: Sequence[Stream], stop: threading.Event) -> tuple[Summary, bool]:
    """Return what the logs come to, and whether somebody said stop before their end."""
    from alwrity_checks.logs.gathering import gatherer, probes
    from alwrity_checks.logs.summary import EMPTY

    if not streams:
        return EMPTY, False
    make = gatherer()
    pipes = [one for one in streams if one.path is None]
    files = [one for one in streams if one.path is not None]
    summary = EMPTY
    try:
        with _shown(files) as done:

            def told(name: str, count: int) -> None:
                # The one place in a long run at which it can be left without a process staying behind.
                _Stopped.where(stop.is_set())
                done(name, count)

            if files and wish.scheduler is not None:
                from alwrity_checks.logs.fleet import scan_on_cluster

                summary = scan_on_cluster(
                    files, probes(), make, scheduler=wish.scheduler, engine=wish.engine, progress=told
                )
            elif files:
                from alwrity_checks.logs.engine import scan

                engine: Any = wish.engine
                summary = scan(files, probes(), make, workers=wish.workers, engine=engine, progress=told)
    except _Stopped:
        return EMPTY, True
    if pipes:
        from alwrity_checks.logs.choice import choose, matcher_for
        from alwrity_checks.logs.following import follow

        engine = wish.engine
        matcher = matcher_for(choose(engine).engine, probes())
        news = None
        for news in follow(pipes, matcher, make, stop=stop, wait=0.0):  # noqa: B007 - the last one is wanted
            pass
        if news is not None:
            summary = summary.merge(news.summary)
    return summary, stop.is_set()


class _Stopped(Exception):  # noqa: N818 - what somebody wished, no error
    """Somebody said stop while files were read."""

    @classmethod
    def where(cls, stopped: bool) -> None:  # noqa: FBT001 - the one thing it is about
        """Raise it if `stopped`."""
        if stopped:
            raise cls


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield what SIGINT and SIGTERM set; a second SIGINT ends the command at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heard(number: int, frame: object) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)  # type: ignore[arg-type]  # a frame, as the interpreter hands it over
        stop.set()

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _shown(streams: Sequence[Stream]) -> Iterator[Callable[[str, int], None]]:
    """Yield what is told how many bytes of a stream have been read; a terminal shows it."""
    from alwrity_checks.model import Event

    total = sum(one.size or 0 for one in streams)
    read_so_far = 0
    with progress() as observers:

        def notify(kind: str, message: str = "") -> None:
            for observer in observers:
                observer.notify(Event(kind, _NAME, message))

        def done(name: str, count: int) -> None:
            nonlocal read_so_far
            read_so_far += count
            whole = f" of {total / 1e6:,.0f}" if total >= read_so_far else ""
            notify("progress", f"{name}, {read_so_far / 1e6:,.0f}{whole} MB read")

        notify("started")
        yield done
        notify("finished")


def _copies(wish: Wish, opened: Opened, stack: contextlib.ExitStack) -> dict[str, Copy]:
    if wish.redact is None:
        return {}
    from alwrity_checks.logs.redacting import Copy, places

    chosen = places(wish.redact, opened.streams)
    return {name: stack.enter_context(Copy(path)) for name, path in chosen.items()}


def _tapped(stream: Stream, copies: dict[str, Copy]) -> Stream:
    if stream.path is not None or stream.id not in copies:
        return stream
    from alwrity_checks.logs.redacting import tapped

    return tapped(stream, copies[stream.id])


def _write_copies(streams: Sequence[Stream], copies: dict[str, Copy]) -> list[str]:
    """Write what has not been written while it was read; return a sentence for each copy."""
    if not copies:
        return []
    from alwrity_checks.logs.redacting import copy_stream
    from alwrity_doctor.triage_report import secrets_by_kind

    notes = []
    for stream in streams:
        copy = copies.get(stream.id)
        if copy is None:
            continue
        damage = None
        if not copy.finished:
            try:
                damage = copy_stream(stream, copy)
            except OSError as error:
                notes.append(f"{copy.path} was not written: {stream.id} cannot be read ({error.strerror})")
                continue
        cut = f"; it ends where {stream.id} is damaged" if damage else ""
        notes.append(f"{copy.path} has {copy.cleaner.lines:,} lines; {secrets_by_kind(copy.cleaner.counts)}{cut}")
    return notes


def told(  # noqa: PLR0913 - what a report is made of
    wish: Wish,
    opened: Opened,
    summary: Summary,
    started: datetime,
    *,
    redacted: Sequence[str] = (),
    interrupted: bool = False,
    notes: Sequence[str] = (),
) -> ExitCode:
    """Diagnose, emit the report and return the exit code: that of an interruption, where there was one."""
    triage = diagnosed(summary, opened.streams)
    report = _report(wish, opened, summary, triage, started, redacted=redacted, interrupted=interrupted, notes=notes)
    code = emit(report, wish.outputs)
    if wish.suggest:
        _suggest(wish, triage)
    if interrupted and any(one.path is None and one.format == "text" for one in wish.outputs):
        say(f"Interrupted, therefore exit code {int(ExitCode.INTERRUPTED)}; the report's own is that of what was read.")
    return ExitCode.INTERRUPTED if interrupted else code


def diagnosed(summary: Summary, streams: Sequence[Stream]) -> Triage:
    """Return what `summary` means; files tell by their last change on which day a clock without a date ended."""
    from alwrity_checks.logs.diagnosis import diagnose

    return diagnose(summary, _ends(streams))


def clusters_in(logs: Sequence[str]) -> tuple[ClusterFound, ...]:
    """Return the forms of trouble in `logs` that no signature knows, the most frequent first."""
    wish = Wish(tuple(logs), (), 0.0, None, False, None, "auto", None, FailOn.FAIL, ())
    opened = _opened(wish)
    _refuse_nothing(opened)
    with stopping() as stop:
        summary, interrupted = read(wish, opened.streams, stop)
    if interrupted:
        raise KeyboardInterrupt
    return diagnosed(summary, opened.streams).clusters


def _ends(streams: Sequence[Stream]) -> dict[str, datetime]:
    ends: dict[str, datetime] = {}
    for one in streams:
        if one.path is not None:
            with contextlib.suppress(OSError, ValueError, OverflowError):
                # Local and without a zone, as the clocks in the log are.
                ends[one.id] = datetime.fromtimestamp(Path(one.path).stat().st_mtime)  # noqa: DTZ006 - see above
    return ends


def _report(  # noqa: PLR0913 - as `told`
    wish: Wish,
    opened: Opened,
    summary: Summary,
    triage: Triage,
    started: datetime,
    *,
    redacted: Sequence[str],
    interrupted: bool,
    notes: Sequence[str],
) -> Report:
    from alwrity_checks.model import CheckResult, Report, Verdict
    from alwrity_doctor import __version__, triage_report
    from alwrity_doctor.facts import environment
    from alwrity_doctor.triage_picture import timeline
    from alwrity_doctor.triage_tables import tables

    read_ = triage_report.Read(
        triage,
        tuple(one.id for one in opened.streams),
        None if any(one.size is None for one in opened.streams) else sum(one.size or 0 for one in opened.streams),
        opened.unread,
        (*opened.notes, *notes),
        _places(summary, opened.streams),
        tuple(redacted),
        wish.logs,
        strange=_strange(triage, opened.streams),
    )
    results: tuple[CheckResult, ...] = triage_report.results(read_, issues=wish.issues)
    if interrupted:
        title = "the logs were read to their end"
        nothing = not summary.pieces
        # Of what nobody has read it must not be said that it is whole, or that it holds no secret.
        reason = "; ".join(["it was interrupted", *(redacted if nothing else ())])
        stopped = CheckResult("triage.interrupted", title, 0, Verdict.UNKNOWN, reason=reason)
        results = (stopped,) if nothing else (*results, stopped)
    return Report(
        command=_NAME,
        version=__version__,
        started=started,
        duration=timedelta(seconds=time.time() - started.timestamp()),
        results=results,
        fail_on=wish.fail_on.severity,
        environment=environment(),
        tables=tables(triage, read_.notes, issues=wish.issues) if opened.streams else (),
        pictures=timeline(triage, issues=wish.issues),
        summary=triage_report.summary(read_, issues=wish.issues) if summary.pieces or not interrupted else _NOTHING_YET,
    )


def _places(summary: Summary, streams: Sequence[Stream]) -> dict[tuple[str, str], Any]:
    """Return where the first line of each signature and of each form stands, with its number."""
    from alwrity_checks.logs.places import line_numbers
    from alwrity_checks.model import Location, LocationKind

    pieces = summary.streams()
    found: dict[tuple[str, str], Any] = {}
    for stream in streams:
        piece = pieces.get(stream.id)
        if piece is None or stream.id == "-":
            continue
        at = {key: tally.at for key, tally in piece.tallies.items()}
        at |= {(form.text, form.module): cluster.at for form, cluster in piece.clusters.items()}
        numbers = line_numbers(stream, at.values())
        for key, offset in at.items():
            found.setdefault(key, Location(LocationKind.FILE, stream.id, numbers.get(offset)))
    return found


def _strange(triage: Triage, streams: Sequence[Stream]) -> bool:
    """Return whether nothing was found in logs none of which begins as one: a picture, a table, another program's."""
    from alwrity_checks.logs.places import looks_strange

    found = triage.groups or triage.harmless or triage.facts or triage.clusters
    return not found and bool(streams) and all(looks_strange(one) for one in streams)


def _suggest(wish: Wish, triage: Triage) -> None:
    from alwrity_checks.logs.suggest import suggestions
    from alwrity_doctor.report.characters import visible

    drafts = visible(suggestions(triage.clusters))
    # Beside a report that a program reads, the drafts are talk.
    if any(one.path is None and one.format != "text" for one in wish.outputs):
        say(drafts)
    else:
        sys.stdout.write(f"\n{drafts}")
