"""A capture's verdict: what was refused and why, and whether the capture can tell."""

from __future__ import annotations

from collections.abc import Iterator

from alwrity_checks.auth.har.capture import Capture, findings
from alwrity_checks.model import CheckResult, Verdict

__all__ = ["results"]

_ISSUE = 1


def results(capture: Capture) -> Iterator[CheckResult]:
    """Yield one result for the refusals, and one, `unknown`, for each doubt: with one the capture is not healthy."""
    found = findings(capture)
    if capture.api_requests > capture.unanswered:
        again = f" ({capture.repeats} of them the front end's own repeats)" if capture.repeats else ""
        yield CheckResult(
            "capture.requests",
            "no API request was refused for its token",
            _ISSUE,
            Verdict.of(found) if found or not capture.refused else Verdict.UNKNOWN,
            found,
            reason=f"{capture.refused} of {capture.api_requests} API requests were refused{again}",
        )
    for number, doubt in enumerate(capture.doubts, start=1):
        yield CheckResult(
            f"capture.doubt-{number}",
            "the capture shows what is needed to judge",
            _ISSUE,
            Verdict.UNKNOWN,
            reason=doubt.reason,
            remedy=doubt.remedy,
        )
