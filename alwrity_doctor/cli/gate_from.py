"""`gate --from BUNDLE`: the report that somebody handed over, judged again on this machine, without a network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.process import say

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from alwrity_checks.model import Report
    from alwrity_doctor.cli.gate_baseline import Accepting
    from alwrity_doctor.cli.output import FailOn
    from alwrity_doctor.suppressions import Suppression

__all__ = ["judged"]


def judged(  # noqa: PLR0913, PLR0917 - the options of the command that count here
    path: Path,
    given: Mapping[str, object],
    accepting: Accepting,
    suppressions: Sequence[Suppression],
    fail_on: FailOn,
    names: Collection[str],
    issues: Collection[int],
) -> Report:
    """Return the gate's report of the bundle at `path`, judged again; say on stderr how old it is.

    `given` are the options about something that is looked at, which nothing is here, by their names. Raises
    ConfigurationError for one of them, for a bundle that cannot be read, and for checks that it does not hold.
    """
    from alwrity_doctor.bundle.reading import read_bundle
    from alwrity_doctor.cli.gate import tell_unmatched
    from alwrity_doctor.rejudging import age, judge_again
    from alwrity_doctor.report.json import load
    from alwrity_doctor.report.phrases import utc

    for option, value in given.items():
        if value:
            raise ConfigurationError(f"with --from nothing is looked at, and {option} has no meaning", "leave it out")
    bundle = read_bundle(path)
    try:
        report = load(bundle.report.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: its report is not UTF-8 text", "have the bundle made anew") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.diagnosis}", error.remedy) from error
    now = datetime.now(UTC)
    report = judge_again(
        report,
        now,
        fail_on=fail_on.severity,
        suppressions=suppressions,
        baseline=accepting.acceptance(),
        names=names,
        issues=issues,
    )
    made = utc(report.started.replace(microsecond=0))
    say(f"Note: this was found out {age(report.started, now)} ({made}), by alwrity-doctor {report.version}.")
    tell_unmatched(suppressions, report)
    accepting.finish(report, partly=False)
    return report
