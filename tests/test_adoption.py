"""What a proposal and its proof come to, in results."""

from __future__ import annotations

import pytest

from alwrity_checks.adoption.rules import RULES, rule
from alwrity_checks.catalogue import rules
from alwrity_checks.model import CheckResult, Finding, Observation, Outcome, Rule, Target, TargetKind, Verdict
from alwrity_doctor.adoption import contracts_judged, withheld
from alwrity_doctor.adoption_proof import AFTER, BEFORE, cured, judge, settled
from alwrity_doctor.report.matrix import remarkable

RULE = rules()["TXT003"]
BY_WORD = {"r": Outcome.REPRODUCED, "a": Outcome.ABSENT, "u": Outcome.UNKNOWN}


def seen(before: str, after: str, subject: Rule = RULE) -> list[Observation]:
    """Return what was observed: a letter for the outcome of each scenario, before and after."""
    return [
        Observation(subject, Target(TargetKind.BACKEND, side), f"scenario {number}", BY_WORD[letter], f"{letter} seen")
        for side, letters in ((BEFORE, before), (AFTER, after))
        for number, letter in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reason"),
    [
        ("r", "a", Verdict.PASS, "reproduced before, absent after"),
        ("a", "a", Verdict.PASS, "absent before, absent after"),
        ("u", "a", Verdict.PASS, "unknown before, absent after"),
        ("", "a", Verdict.PASS, "- before, absent after"),
        ("ra", "aa", Verdict.PASS, "reproduced before, absent after"),
        ("r", "r", Verdict.FAIL, ""),
        ("a", "r", Verdict.FAIL, ""),
        ("r", "ur", Verdict.FAIL, ""),
        ("r", "ua", Verdict.UNKNOWN, "yours after, scenario 0: u seen"),
    ],
)
def test_what_is_seen_after_decides(before: str, after: str, verdict: Verdict, reason: str) -> None:
    """What was seen before is told; a fault that is left fails, and an undecided one is unknown, never a pass."""
    (result,) = judge(seen(before, after))
    assert (result.verdict, result.reason) == (verdict, reason)
    assert bool(result.findings) == (verdict is Verdict.FAIL)
    assert all(finding.message.startswith("still reproduced after the change") for finding in result.findings)


def test_nothing_seen_after() -> None:
    """Of one rule it is unknown; of a whole issue the experiment's own result says why, once and not rule by rule."""
    other = rules()["TXT004"]
    first, second = judge([*seen("r", "a"), *seen("r", "", other)])
    assert (first.verdict, second.verdict) == (Verdict.PASS, Verdict.UNKNOWN)
    assert judge(seen("r", "")) == ()


def test_what_is_said_to_be_cured_was_there_before() -> None:
    """Only what was reproduced before and is absent in every scenario after is claimed in a commit."""
    assert cured(seen("r", "a")) == {RULE.issue: [RULE.code]}
    for before, after in (("a", "a"), ("u", "a"), ("r", "u"), ("r", "ar"), ("r", ""), ("", "a")):
        assert cured(seen(before, after)) == {}


def test_before_is_told_like_a_legacy_target() -> None:
    """That the fault shows before the cure is no news; that nothing could be seen is, and so is anything after."""
    told = remarkable(seen("ru", "rua"))
    assert [(one.target.variant, one.outcome) for one in told] == [
        (BEFORE, Outcome.UNKNOWN),
        (AFTER, Outcome.REPRODUCED),
        (AFTER, Outcome.UNKNOWN),
    ]


def result(name: str, verdict: Verdict) -> CheckResult:
    """Return a result."""
    return CheckResult(name, "title", 3, verdict, reason="why")


def test_the_proof_does_not_depend_on_what_is_before() -> None:
    """A checkout that cannot be driven as it is, such as one that does not parse, is skipped; its copy is not."""
    before, after = (result(f"experiment 3: yours {side}", Verdict.UNKNOWN) for side in (BEFORE, AFTER))
    assert settled(before).verdict is Verdict.SKIP
    assert "why" in settled(before).reason
    assert settled(after) == after
    assert settled(result("TXT001", Verdict.FAIL)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("verdicts", "held"),
    [
        ((), False),
        ((Verdict.PASS, Verdict.UNKNOWN, Verdict.SKIP), False),
        ((Verdict.PASS, Verdict.FAIL), True),
    ],
)
def test_what_withholds_an_adoption(verdicts: tuple[Verdict, ...], *, held: bool) -> None:
    """A fault that still shows, or a caller that would break; it is skipped, with how to go on."""
    why = withheld([result(str(verdict), verdict) for verdict in verdicts])
    assert (why is not None) == held
    if why is not None:
        assert why.verdict is Verdict.SKIP
        assert "fail" in why.reason
        assert "--no-prove" in why.remedy


def test_a_broken_contract_is_a_finding() -> None:
    """So that it is told with a remedy; one that is kept or untried is left as it is."""
    broken, kept = contracts_judged([result("contract a", Verdict.FAIL), result("contract b", Verdict.PASS)])
    assert broken.findings == (Finding(rule("ADO003", 3), "title: not so: why"),)
    assert kept.findings == ()


def test_a_rule_belongs_to_the_issue_that_it_is_asked_for() -> None:
    """The texts are the same for all issues."""
    for one in RULES:
        assert one.issue == 0
        assert rule(one.code, 5).issue == 5
