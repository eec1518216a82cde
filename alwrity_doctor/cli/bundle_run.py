"""The run behind `bundle`: everything that can be refused first, then the gate and the logs, then one file."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.exit_code import ExitCode
from alwrity_doctor import __version__
from alwrity_doctor.cli.output import FailOn, Output, check_writable, env_files
from alwrity_doctor.cli.process import say

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.logs.streams import Stream
    from alwrity_checks.model import Report
    from alwrity_checks.settings import Settings
    from alwrity_doctor.bundle.ledger import Door
    from alwrity_doctor.bundle.manifest import Item
    from alwrity_doctor.suppressions import Suppression

__all__ = ["Wish", "run"]

_MOST_LOGS: Final = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """The command's options."""

    out: Path
    backend: Path | None
    logs: tuple[str, ...]
    reports: tuple[Path, ...]
    lines: int
    env_files: tuple[Path, ...]
    config: Path | None
    offline: bool


def run(wish: Wish) -> ExitCode:
    """Carry out `wish` and return the exit code; the archive is there when this returns, or not at all.

    Raises ConfigurationError, before anything is run, where an option names what cannot be read or written.
    """
    from alwrity_checks.settings import Settings
    from alwrity_doctor.bundle.archive import packed, target, write_new
    from alwrity_doctor.bundle.ledger import Door, known_secrets
    from alwrity_doctor.bundle.manifest import Manifest
    from alwrity_doctor.bundle.packing import Contents, pack
    from alwrity_doctor.cli.report_file import read_report
    from alwrity_doctor.suppressions import configured

    place, form = target(wish.out)
    check_writable(place)
    checkout = _checkout(wish.backend)
    settings = Settings.load(env_files=env_files(wish.env_files, wish.backend or Path()))
    # Before anything is said: whatever comes up from here on, these values are not shown.
    door = Door(known_secrets(settings))
    suppressions = configured(wish.config)
    reports = tuple(read_report(path) for path in wish.reports)
    logs = _logs(wish)
    gate = _gated(wish, settings, suppressions)
    triage = _triaged(wish) if wish.logs else None
    made = datetime.now(UTC)
    contents = Contents(gate, settings, checkout, triage, logs, wish.lines, reports)
    try:
        items = pack(contents, door, made, __version__)
    except OSError as error:
        raise ConfigurationError(
            f"a log cannot be read again: {error.strerror}", "name it anew, or leave it out"
        ) from error
    data = packed(form, Manifest.of(__version__, made, items), items)
    _try(data, place)
    write_new(place, data)
    typer.echo(place)
    _tell(place, gate, door, items, len(data))
    return ExitCode.UNKNOWN if triage is not None and _unread(triage) else ExitCode.HEALTHY


def _try(data: bytes, place: Path) -> None:
    """Read the archive as whoever gets it will. Raises ConfigurationError where it holds more than one may."""
    from alwrity_doctor.bundle.reading import opened

    try:
        opened(data, place.name)
    except ConfigurationError as error:
        message = f"{place} is not written, since nobody could read it: {error.diagnosis}"
        raise ConfigurationError(message, "take fewer logs or reports, or fewer lines of each: --lines 500") from error


def _checkout(backend: Path | None) -> Checkout | None:
    if backend is None:
        return None
    from alwrity_checks.backend.checkout import find_checkout

    return find_checkout(backend)


def _logs(wish: Wish) -> tuple[Stream, ...]:
    if not wish.logs:
        return ()
    from alwrity_checks.logs.streams import open_streams

    opened = open_streams(wish.logs)
    for one in opened.streams:
        if one.path is None:
            raise ConfigurationError(
                f"{one.id} can be read once, and a bundle reads a log twice", "save it first: COMMAND > app.log"
            )
    if not opened.streams and opened.unread:
        first = opened.unread[0]
        raise ConfigurationError(f"{first.name}: {first.reason}", first.remedy)
    if len(opened.streams) > _MOST_LOGS:
        raise ConfigurationError(f"{len(opened.streams)} logs are more than {_MOST_LOGS}", "name those that matter")
    return opened.streams


def _gated(wish: Wish, settings: Settings, suppressions: tuple[Suppression, ...]) -> Report:
    """Return the gate's report. Raises KeyboardInterrupt: half of a run is not handed over."""
    from alwrity_checks.model import Context
    from alwrity_doctor import interruption
    from alwrity_doctor.cli.progress import progress
    from alwrity_doctor.discovery import discover
    from alwrity_doctor.gate import run_checks
    from alwrity_doctor.interruption import Interrupted
    from alwrity_doctor.selection import choose

    context = Context(settings, offline=wish.offline, backend=str(wish.backend) if wish.backend else None)
    try:
        with progress() as observers:
            return interruption.run(
                run_checks(choose(discover()), context, observers=observers, suppressions=suppressions)
            )
    except Interrupted:
        raise KeyboardInterrupt from None


def _triaged(wish: Wish) -> Report:
    """Return what `triage` says of the logs. Raises KeyboardInterrupt, as `_gated`."""
    from alwrity_doctor.cli import triage_run
    from alwrity_doctor.cli.report_file import read_report

    with tempfile.TemporaryDirectory(prefix="alwrity-doctor-") as directory:
        path = Path(directory) / "triage.json"
        code = triage_run.run(
            triage_run.Wish(
                logs=wish.logs,
                issues=(),
                wait=0.0,
                redact=None,
                suggest=False,
                workers=None,
                engine="auto",
                scheduler=None,
                fail_on=FailOn.FAIL,
                outputs=(Output("json", path),),
            ),
            follow=False,
        )
        if code is ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        return read_report(path)


def _unread(triage: Report) -> bool:
    return any(one.verdict == "unknown" for one in triage.results)


def _tell(place: Path, gate: Report, door: Door, items: list[Item], size: int) -> None:
    from alwrity_doctor.bundle.packing import told
    from alwrity_doctor.report.characters import visible
    from alwrity_doctor.report.phrases import headline

    say(f"{len(items) + 1} files, {max(1, round(size / 1024)):,} KiB. The gate in it: {headline(gate)}")
    say("Taken out:")
    for line in told(door.removed()) or ["nothing"]:
        say(visible(f"  {line}"))
    say(visible(f"To judge it again, anywhere: {shlex.join(['alwrity-doctor', 'gate', '--from', str(place)])}"))
