"""`gate --baseline` and `gate --write-baseline`: what the options ask for, and what is said of the entries."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import check_writable, write_whole
from alwrity_doctor.cli.process import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alwrity_checks.model import Report
    from alwrity_doctor.baseline import Acceptance, Accepted, Baseline, Recorder

__all__ = ["Accepting", "refuse_waiting", "wish"]

_SHOWN: Final = 3
_LONGEST: Final = 80


@dataclass(slots=True)
class Accepting:
    """What is accepted in a run, and where to today's findings go."""

    path: Path | None = None
    """The file of --baseline."""
    held: Baseline | None = None
    """What is in it."""
    to: Path | None = None
    """The file of --write-baseline."""
    recorder: Recorder | None = None

    def acceptance(self) -> Acceptance | None:
        """Return what sets findings apart; None if nothing does."""
        return self.recorder or self.held

    def finish(self, report: Report, *, partly: bool) -> None:
        """Write what is to be written, and say on stderr which entries have lapsed and which found nothing.

        `partly`: the run looked at less than the whole, so that what it did not find may well be there.
        """
        now = datetime.now(UTC)
        if self.held is not None:
            self._tell(self.held, report, now, partly=partly)
        if self.recorder is None or self.to is None:
            return
        from alwrity_doctor.baseline import render

        accepted = self.recorder.accepted()
        write_whole(self.to, render(accepted))
        count = sum(one.count for one in accepted)
        say(f"{self.to}: {count} finding{'' if count == 1 else 's'} accepted, {_entries(len(accepted))}.")
        if unknown := [one.name for one in report.results if one.verdict == "unknown"]:
            say(f"Note: what {', '.join(unknown)} would have found is not in it: it could not be checked.")

    def _tell(self, held: Baseline, report: Report, now: datetime, *, partly: bool) -> None:
        if lapsed := held.lapsed(now):
            counts = "is accepted anew" if self.recorder else "counts again"
            over = f"{_entries(len(lapsed))} of {self.path} lapsed"
            say(f"Note: {over}, and what {'it' if len(lapsed) == 1 else 'they'} accepted {counts}: {_names(lapsed)}")
        gone = [] if partly else held.gone(report)
        useless = f"{_entries(len(gone))} of {self.path}"
        if gone and self.recorder is not None:
            were = "was" if len(gone) == 1 else "were"
            say(f"Note: {useless} found nothing and {were} left out: {_names(gone)}")
        elif gone:
            file = shlex.quote(str(self.path))
            accept = "accepts" if len(gone) == 1 else "accept"
            say(
                f"Note: {useless} {accept} what is no longer found: {_names(gone)}. "
                f"To drop them: --baseline {file} --write-baseline {file} --reason TEXT --expires DATE"
            )


def wish(baseline: Path | None, write: Path | None, reason: str | None, expires: str | None) -> Accepting:
    """Return what the options ask for. Raises ConfigurationError where they do not fit together."""
    if write is None and (reason is not None or expires is not None):
        option = "--reason" if reason is not None else "--expires"
        raise ConfigurationError(f"{option} is about a baseline that is written", "name it: --write-baseline FILE")
    if baseline is None and write is None:
        return Accepting()
    from alwrity_doctor.baseline import Recorder, load

    held = load(baseline) if baseline is not None else None
    if write is None:
        return Accepting(baseline, held)
    if not reason or not reason.strip():
        raise ConfigurationError("what is accepted needs a reason", "give one: --reason 'rewritten in March'")
    until = _day(expires)
    if write.exists() and (baseline is None or not write.samefile(baseline)):
        raise ConfigurationError(
            f"{write} is there already",
            f"name it with --baseline {write} as well: what it accepts is then kept, with its reasons",
        )
    check_writable(write.resolve())
    return Accepting(baseline, held, write, Recorder(" ".join(reason.split()), until, held))


def refuse_waiting() -> None:
    """Raise ConfigurationError: a baseline makes every run healthy, so that there is nothing to wait for."""
    raise ConfigurationError("--wait waits until all is healthy, --write-baseline accepts what is not", "choose one")


def _day(expires: str | None) -> date:
    if not expires:
        raise ConfigurationError("what is accepted needs a last day", "give one: --expires 2027-03-31")
    try:
        day = date.fromisoformat(expires.strip())
    except ValueError as error:
        raise ConfigurationError(f"{expires!r} is no date", "write it as 2027-03-31") from error
    if day < datetime.now(UTC).date():
        raise ConfigurationError(f"{day} is over", "name a day that is still to come")
    return day


def _entries(count: int) -> str:
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _names(accepted: Sequence[Accepted]) -> str:
    shown = [f"{one.subject.rule} {one.subject.where or one.subject.what}".strip()[:_LONGEST] for one in accepted]
    more = len(shown) - _SHOWN
    return ", ".join(shown[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
