"""What the commands that make a report share: their options, and the way of a report to stdout and to files.

A command needs five lines of it:

    def verify(form: FormatOption = None, env_file: EnvFileOption = None) -> None:
        outputs = parse_formats(form)                      # ends with exit code 2 before anything runs
        context = Context(Settings.load(env_files=env_files(env_file)))
        raise typer.Exit(deliver(lambda observers: run_checks(CHECKS, context, observers=observers), outputs))

`deliver` shows progress, reports what was finished when it is interrupted, and returns the exit code. A command that
has its report already calls `emit(report, outputs)`.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.exit_code import ExitCode
from alwrity_doctor.cli.progress import progress
from alwrity_doctor.interruption import Interrupted, run
from alwrity_doctor.report import FORMATS, render

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from alwrity_checks.model import Observer, Report, Severity

__all__ = [
    "EnvFileOption",
    "FailOn",
    "FailOnOption",
    "FormatOption",
    "OfflineOption",
    "Output",
    "check_writable",
    "deliver",
    "emit",
    "env_files",
    "finite",
    "parse_formats",
    "to_stdout",
    "write_whole",
]


class FailOn(StrEnum):
    """From which verdict on the exit code is 1."""

    WARN = "warn"
    FAIL = "fail"

    @property
    def severity(self) -> Severity:
        """The least severity of a finding that counts."""
        from alwrity_checks.model import Severity

        return Severity.WARNING if self is FailOn.WARN else Severity.ERROR


FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="F[=FILE]",
        help=f"{', '.join(FORMATS)}; to stdout, or to FILE. May be repeated.  [default: text]",
    ),
]
EnvFileOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="A .env file; may be repeated, the first one that sets a variable wins.  "
        "[default: backend/.env and .env, as far as they exist]",
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Skip whatever needs the network.")]
FailOnOption = Annotated[FailOn, typer.Option("--fail-on", help="From which verdict on the exit code is 1.")]

_DEFAULT_ENV_FILES: Final = (Path("backend/.env"), Path(".env"))
"""In the order in which the backend's `app.py` reads them, never overriding: seen from the root or from `backend/`."""
_DEFAULT_WIDTH: Final = 100


def env_files(given: Sequence[Path] | None, root: Path = Path()) -> tuple[Path, ...]:
    """Return the .env files to read: those given, or else the default ones that exist below `root`."""
    return tuple(given) if given else tuple(path for name in _DEFAULT_ENV_FILES if (path := root / name).is_file())


def finite(value: float) -> float:
    """Return an option's number. Raises BadParameter for NaN, which lies within any bounds, and for infinity."""
    import math

    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


@dataclass(frozen=True, slots=True)
class Output:
    """A format, and where it goes."""

    format: str
    path: Path | None = None
    """None is stdout."""


def parse_formats(given: Sequence[str] | None) -> tuple[Output, ...]:
    """Return where the report goes, `text` to stdout if nothing is given; a file's `-` is stdout.

    Raises ConfigurationError for an unknown format, for two formats in one place, and for a file that cannot be
    written: before the run, not after it.
    """
    outputs = tuple(_parse(one) for one in given or ("text",))
    places = [output.path for output in outputs]
    for place in places:
        if places.count(place) > 1:
            raise ConfigurationError(
                f"two formats go to {place or 'stdout'}", "give each format but one a file of its own: --format F=FILE"
            )
    for path in places:
        if path:
            check_writable(path)
    return outputs


def _parse(given: str) -> Output:
    name, separator, file = given.partition("=")
    if name not in FORMATS:
        raise ConfigurationError(f"there is no format {name!r}", f"the formats are: {', '.join(FORMATS)}")
    if separator and not file:
        raise ConfigurationError(f"--format {given} names no file", f"--format {name}=FILE, or --format {name}")
    if file in {"", "-"}:
        return Output(name)
    path = Path(file)
    # A device's or pipe's path may be a link that names nothing: /dev/stdout. A file's is resolved, because what is
    # replaced must be the file and not a link to it.
    return Output(name, path if _is_stream(path) else path.resolve())


def _is_stream(path: Path) -> bool:
    """Say whether `path` is a device or a pipe, which is written to and not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_writable(path: Path) -> None:
    """Raise ConfigurationError if no file can be written at `path`."""
    import tempfile

    if path.is_dir():
        raise ConfigurationError(f"{path} is a directory", "name a file")
    if _is_stream(path):
        return
    try:
        # Asking for permission would not tell a read-only file system, nor would it hold for root.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}", "name a file in a directory that exists and is yours"
        ) from error


def deliver(work: Callable[[Sequence[Observer]], Coroutine[Any, Any, Report]], outputs: Sequence[Output]) -> ExitCode:
    """Carry out `work` with the observers that show progress, emit its report and return the exit code.

    Interrupted, it emits what was finished and returns 130.
    """
    try:
        with progress() as observers:
            report = run(work(observers))
    except Interrupted as interrupted:
        emit(interrupted.report, outputs)
        return ExitCode.INTERRUPTED
    return emit(report, outputs)


def emit(report: Report, outputs: Sequence[Output]) -> ExitCode:
    """Write `report` in every format to its place and return its exit code.

    A file appears whole or not at all. Raises ConfigurationError if a place cannot be written.
    """
    for output in outputs:
        if output.path is None:
            _print(report, output.format)
        else:
            write_whole(output.path, render(report, output.format))
    return report.exit_code


def _print(report: Report, format_name: str) -> None:
    if sys.stdout is None:
        raise ConfigurationError("stdout is closed", "write to a file: --format F=FILE")
    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns if terminal else _DEFAULT_WIDTH
    to_stdout(render(report, format_name, colour=colour, width=width))


def to_stdout(text: str) -> None:
    """Write to stdout; that nobody reads on is no failure. Raises ConfigurationError if it cannot be written."""
    if sys.stdout is None:
        raise ConfigurationError("stdout is closed", "write to a file: --format F=FILE")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has read enough; the exit code is still the report's.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise ConfigurationError(
            f"stdout cannot be written: {error.strerror}", "write to a file: --format F=FILE"
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all. Raises ConfigurationError if it cannot be written."""
    try:
        if _is_stream(path):
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}", "make room, or name another file"
        ) from error
