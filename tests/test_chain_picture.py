"""A diagnosis as a waterfall: one step behind the other, the first that does not hold named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alwrity_checks.model import CheckResult, Finding, Rule, Severity, Verdict
from alwrity_checks.pictures import Waterfall
from alwrity_doctor.chain_picture import chain_picture

RULE = Rule("DEMO001", "it holds", Severity.ERROR, 1, "why", "what to do", "how", "proof")
STEP = timedelta(milliseconds=10)


def result(name: str, verdict: Verdict, *messages: str, reason: str = "") -> CheckResult:
    """Return a result of 10 ms."""
    findings = tuple(Finding(RULE, message) for message in messages)
    return CheckResult(name, f"{name} holds", 1, verdict, findings, reason=reason, duration=STEP)


def drawn(*results: CheckResult) -> Waterfall:
    """Return the one picture of a chain."""
    (picture,) = chain_picture(results, prefix="token.", title="The chain")
    assert isinstance(picture, Waterfall)
    return picture


def test_steps_follow_each_other() -> None:
    """Each begins where the one before it ended; one that was not taken has no length; others are left out."""
    picture = drawn(
        result("settings", Verdict.FAIL, "not of the chain"),
        result("token.shape", Verdict.PASS, reason="812 characters"),
        result("token.key", Verdict.FAIL, "status 503", "and more"),
        result("token.signature", Verdict.SKIP, reason="not reached"),
        result("token.times", Verdict.PASS),
    )
    assert [(one.start / STEP, one.end / STEP) for one in picture.steps] == [(0, 1), (1, 2), (2, 2), (3, 4)]
    assert [one.note for one in picture.steps] == ["812 characters", "status 503 (and 1 more)", "not reached", ""]
    assert picture.verdict is Verdict.FAIL
    assert picture.issue == 1
    assert picture.description == "2 of 4 steps hold; the first that does not: token.key holds."


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ((Verdict.PASS, Verdict.WARN), Verdict.WARN),
        ((Verdict.WARN, Verdict.UNKNOWN), Verdict.UNKNOWN),
        ((Verdict.UNKNOWN, Verdict.FAIL), Verdict.FAIL),
        ((Verdict.PASS, Verdict.SKIP), Verdict.PASS),
        ((Verdict.SKIP,), Verdict.SKIP),
    ],
)
def test_the_chain_is_as_good_as_its_worst_step(verdicts: tuple[Verdict, ...], worst: Verdict) -> None:
    """What is not known is not shown as passed, and what was skipped whole is not either."""
    assert drawn(*(result(f"token.{n}", one) for n, one in enumerate(verdicts))).verdict is worst


def test_no_step_is_no_picture() -> None:
    """A run that ended before its first step has nothing to show."""
    assert chain_picture([result("settings", Verdict.FAIL)], prefix="token.", title="t") == ()
