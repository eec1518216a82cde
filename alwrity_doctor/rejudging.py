"""An old report, judged again: by what is accepted today, for the checks that are asked for, at another threshold.

Nothing is looked at anew. A verdict follows from the findings once more, so that one that was edited in the file does
not count; what had been accepted then and has lapsed since counts again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, Evidence, Finding, Verdict
from alwrity_doctor.report.phrases import utc
from alwrity_doctor.suppressions import Suppression, apply

if TYPE_CHECKING:
    from alwrity_checks.model import Report, Severity
    from alwrity_doctor.baseline import Acceptance

__all__ = ["age", "judge_again"]

_JUDGED: Final = frozenset({Verdict.PASS, Verdict.WARN, Verdict.FAIL})


def judge_again(  # noqa: PLR0913 - what is judged, and all that is held against it
    report: Report,
    now: datetime,
    *,
    fail_on: Severity,
    suppressions: Sequence[Suppression] = (),
    baseline: Acceptance | None = None,
    names: Collection[str] = (),
    issues: Collection[int] = (),
) -> Report:
    """Return `report` with its results judged anew, and in its environment how old it is.

    A name is a check's, or a prefix of it up to a dot. Raises ConfigurationError where no result is left by `names` and
    `issues`.
    """
    chosen = list(_chosen(report.results, names, issues))
    results = []
    for one in chosen:
        result = apply(suppressions, _as_found(one, now), now)
        results.append(result if baseline is None else baseline.apply(result, now))
    said = f"{age(report.started, now)}, at {utc(report.started.replace(microsecond=0))}"
    return replace(
        report,
        results=tuple(results),
        fail_on=fail_on,
        environment={**report.environment, "found out": said},
    )


def _chosen(results: Iterable[CheckResult], names: Collection[str], issues: Collection[int]) -> Iterable[CheckResult]:
    results = tuple(results)
    for name in names:
        if not any(_is_called(one, name) for one in results):
            known = ", ".join(one.name for one in results)
            raise ConfigurationError(f"the report has no check called {name}", f"its checks are: {known or 'none'}")
    if missing := [issue for issue in issues if not any(one.issue == issue for one in results)]:
        raise ConfigurationError(f"the report has no check of issue {missing[0]}", "leave --issue out")
    for one in results:
        if (not names or any(_is_called(one, name) for name in names)) and (not issues or one.issue in {*issues, 0}):
            yield one


def _is_called(result: CheckResult, name: str) -> bool:
    return result.name == name or result.name.startswith(f"{name}.")


def _as_found(result: CheckResult, now: datetime) -> CheckResult:
    """Return `result` with what was accepted and has lapsed among its findings again, its verdict worked out anew."""
    today = now.astimezone(UTC).date()
    lapsed: list[Finding] = []
    for one in result.suppressed:
        if today > one.expires:
            told = Evidence("suppression", f"lapsed on {one.expires.isoformat()}; its reason was: {one.reason}")
            lapsed.append(replace(one.finding, evidence=(*one.finding.evidence, told)))
    findings = (*result.findings, *lapsed)
    return replace(
        result,
        findings=findings,
        suppressed=tuple(one for one in result.suppressed if today <= one.expires),
        verdict=Verdict.of(findings) if result.verdict in _JUDGED else result.verdict,
    )


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago `moment` was, in the two largest units; a moment that is still to come is told as such."""
    seconds = round((now - moment).total_seconds())
    told = _span(timedelta(seconds=abs(seconds)))
    return f"{told} ago" if seconds >= 0 else f"{told} from now: the clock here or there is wrong"


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(span.days * 86400 + span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((at for at, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"
