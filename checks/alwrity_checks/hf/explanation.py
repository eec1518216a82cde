"""What a recorded answer, or the logged text of an exception, means: offline, as the result of a check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.classify import classify, shown
from alwrity_checks.hf.exception_text import classify_exception_text
from alwrity_checks.hf.findings import consequence, finding_of
from alwrity_checks.hf.rules import rule_of
from alwrity_checks.model import CheckResult, Evidence, Verdict

if TYPE_CHECKING:
    from alwrity_checks.hf.answer import Answer
    from alwrity_checks.hf.causes import Classification, Mode

__all__ = ["explain_answer", "explain_exception"]

_ISSUE: Final = 2


def explain_answer(answer: Answer, *, mode: Mode | None = None) -> CheckResult:
    """Say what `answer` means, as the component would. Never raises."""
    evidence = [Evidence("status", str(answer.status)), Evidence("content type", shown(answer.content_type) or "none")]
    if request := answer.headers.get("x-request-id"):
        evidence.append(Evidence("request id", shown(request)))
    if body := shown(answer.body.decode("utf-8", "replace")):
        evidence.append(Evidence("body", body))
    return _result("answer.cause", "the answer is usable", classify(answer, mode=mode), tuple(evidence))


def explain_exception(text: str) -> CheckResult:
    """Say what the text of an exception tells of its cause, and how. Never raises."""
    reading = classify_exception_text(text)
    facts = {
        "grounds": reading.grounds,
        "client": reading.release,
        "status": "" if reading.status is None else str(reading.status),
        "as possible": ", ".join(str(cause) for cause in reading.possible if cause is not reading.classification.cause),
        "text": shown(text),
    }
    evidence = tuple(Evidence(label, value) for label, value in facts.items() if value)
    return _result("exception.cause", "the text tells no fault", reading.classification, evidence)


def _result(name: str, title: str, found: Classification, evidence: tuple[Evidence, ...]) -> CheckResult:
    if found.cause is Cause.OK:
        return CheckResult(name, title, _ISSUE, Verdict.PASS, reason=found.message, evidence=evidence)
    if found.cause is Cause.NOT_RECOGNISED:
        remedy = rule_of(found.cause).remedy
        reason = f"not recognised: {found.message}"
        evidence = (Evidence("reason", str(found.cause)), *consequence(found), *evidence)
        return CheckResult(name, title, _ISSUE, Verdict.UNKNOWN, reason=reason, remedy=remedy, evidence=evidence)
    one = finding_of(found, evidence=evidence)
    return CheckResult(name, title, _ISSUE, Verdict.of((one,)), (one,), reason=found.message)
