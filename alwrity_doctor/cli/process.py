"""The one place that turns whatever ends a command into a message on stderr and an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final, TextIO, cast

from alwrity_checks.errors import DoctorError
from alwrity_doctor import __version__
from alwrity_doctor.cli import command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

__all__ = ["execute", "say"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A place that takes no more is nobody's fault."""
DEBUG: Final = "ALWRITY_DOCTOR_DEBUG"


def execute(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; ends the process if a check that was given up on still runs.

    An exception that nobody foresaw is a fault of this program. It ends with 3: nothing was found out, neither that
    something is wrong (1) nor that the user called it wrongly (2).
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    _accept_any_text(sys.stdout, sys.stderr)
    code = _execute(arguments)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    check_thread = sys.modules.get("alwrity_doctor.check_thread")
    if check_thread and check_thread.has_abandoned():
        os._exit(code)
    return code


def _execute(arguments: Sequence[str]) -> int:
    try:
        returned = _invoke(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the boundary of the process
        return _tell(error)
    return returned if isinstance(returned, int) else 0


def _invoke(arguments: Sequence[str]) -> object:
    if not arguments:
        from alwrity_doctor.cli.standing import show

        return show()
    import typer

    # Not `main()`, which ends with 1 when the reader of our output has gone: that says "finding".
    command = command_line()
    try:
        with command.make_context("alwrity-doctor", list(arguments)) as context:
            return command.invoke(context)
    except typer.Exit as done:
        return done.exit_code


def _tell(error: BaseException) -> int:
    """Say on stderr what ended the command, and return the exit code for it."""
    # Imported on the way out: the model and the redaction cost 25 ms, and `--help` needs neither.
    from alwrity_checks.exit_code import ExitCode
    from alwrity_checks.redaction import scrub
    from alwrity_doctor.report.characters import visible

    if isinstance(error, DoctorError):
        say(visible(scrub(f"Error: {error.diagnosis}")))
        if error.remedy:
            say(visible(scrub(f"Remedy: {error.remedy}")))
        return ExitCode.USAGE
    import typer

    # The base of typer's usage errors. It has carried it under three names since 0.24 and exports only this descendant.
    if isinstance(error, typer.BadParameter.mro()[2]):
        # It quotes arguments, and a misplaced one may well be a token.
        message = io.StringIO()
        cast("typer.BadParameter", error).show(message)
        say(scrub(message.getvalue()).rstrip("\n"))
        return ExitCode.USAGE
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        say("Interrupted.")
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has read enough.
        _drop_stdout()
        return ExitCode.HEALTHY
    if isinstance(error, OSError) and error.errno in _FULL:
        _drop_stdout()
        say(f"Error: what there is to say cannot be written: {error.strerror}")
        say("Remedy: make room, or write somewhere else")
        return ExitCode.USAGE
    _confess(error)
    return ExitCode.UNKNOWN


def _drop_stdout() -> None:
    """Let what is left in the buffer go nowhere: at the end Python would try to write it once more."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Write `line` to stderr, where the talk goes; a reader who has gone is no reason to fail."""
    import typer

    with contextlib.suppress(OSError):
        typer.echo(line, err=True)


def _confess(error: BaseException) -> None:
    from alwrity_doctor.foreign import in_one_line, traceback_of

    say(f"This is a fault of alwrity-doctor {__version__}, not of yours: {in_one_line(error)}")
    if os.environ.get(DEBUG) == "1":
        say(traceback_of(error).value)
    else:
        say(f"Please report it with what the same command shows when {DEBUG}=1 is set.")


def _accept_any_text(*streams: TextIO | None) -> None:
    """Show what a terminal or a pipe cannot encode as an escape instead of failing over it."""
    for stream in streams:
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
