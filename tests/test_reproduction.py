"""The judgement of experiments: what makes a rule's reproduction pass, fail or stay unknown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.errors import CannotCheck, DoctorError, MissingExtra
from alwrity_checks.model import (
    Evidence,
    ExitCode,
    Finding,
    Location,
    LocationKind,
    Observation,
    Outcome,
    Target,
    TargetKind,
    Verdict,
)
from alwrity_checks.redaction import Secret
from alwrity_doctor.interruption import Interrupted
from alwrity_doctor.reproduction import judge, reproduce
from tests.support.checks import Record, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import CheckResult, Observer, Report

OLD = Target(TargetKind.LEGACY, "2024")
NEW = Target(TargetKind.LEGACY, "2025")
FIXED = Target(TargetKind.FIXED)
BACKEND = Target(TargetKind.BACKEND)
SHOWN, ABSENT, UNCLEAR = Outcome.REPRODUCED, Outcome.ABSENT, Outcome.UNKNOWN


def seen(target: Target, outcome: Outcome, code: str = "TEST001") -> Observation:
    """Return an observation."""
    return Observation(rule(code), target, "a forged token", outcome, f"it was {outcome}", (Evidence("status", "200"),))


def verdict(*observations: Observation) -> CheckResult:
    """Return the one judgement."""
    (result,) = judge(observations)
    return result


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({OLD: SHOWN, FIXED: ABSENT}, Verdict.PASS),
        ({OLD: ABSENT, NEW: SHOWN, FIXED: ABSENT}, Verdict.PASS),
        ({OLD: UNCLEAR, NEW: SHOWN, FIXED: ABSENT}, Verdict.PASS),
        ({OLD: SHOWN, FIXED: ABSENT, BACKEND: ABSENT}, Verdict.PASS),
        ({OLD: SHOWN, FIXED: SHOWN}, Verdict.FAIL),
        ({OLD: UNCLEAR, FIXED: SHOWN}, Verdict.FAIL),
        ({OLD: SHOWN, FIXED: ABSENT, BACKEND: SHOWN}, Verdict.FAIL),
        ({OLD: ABSENT, NEW: ABSENT, FIXED: ABSENT}, Verdict.FAIL),
        ({OLD: ABSENT, NEW: UNCLEAR, FIXED: ABSENT}, Verdict.UNKNOWN),
        ({OLD: SHOWN, FIXED: UNCLEAR}, Verdict.UNKNOWN),
        ({OLD: ABSENT, FIXED: UNCLEAR}, Verdict.UNKNOWN),
        ({OLD: SHOWN, FIXED: ABSENT, BACKEND: UNCLEAR}, Verdict.UNKNOWN),
        ({OLD: SHOWN}, Verdict.UNKNOWN),
        ({FIXED: ABSENT}, Verdict.UNKNOWN),
        ({BACKEND: SHOWN}, Verdict.FAIL),
    ],
)
def test_outcomes_decide(outcomes: dict[Target, Outcome], expected: Verdict) -> None:
    """A model that shows the fault and a fix that does not make a pass; only what is seen counts against either."""
    result = verdict(*(seen(target, outcome) for target, outcome in outcomes.items()))
    assert result.verdict is expected
    assert bool(result.findings) is (expected is Verdict.FAIL)
    assert bool(result.reason) is (expected is not Verdict.FAIL)
    assert bool(result.remedy) is (expected is Verdict.UNKNOWN)


def test_one_failing_scenario_of_many_fails() -> None:
    """Several scenarios of a rule on one target count each for itself."""
    result = verdict(seen(OLD, SHOWN), seen(FIXED, ABSENT), seen(FIXED, SHOWN))
    assert result.verdict is Verdict.FAIL
    assert result.findings[0].message == "reproduced on fixed: it was reproduced"
    assert result.findings[0].evidence[0] == Evidence("scenario", "a forged token")


def test_model_that_shows_nothing_says_so() -> None:
    """A fix that is free of a fault nobody can show proves nothing."""
    message = verdict(seen(OLD, ABSENT), seen(NEW, ABSENT), seen(FIXED, ABSENT)).findings[0].message
    assert message == "the model no longer shows the fault: legacy 2024, legacy 2025"


def test_rules_are_judged_one_by_one_in_order() -> None:
    """Each rule is a result of its own, by code."""
    results = judge([seen(OLD, SHOWN, "TEST002"), seen(FIXED, ABSENT, "TEST002"), seen(FIXED, SHOWN, "TEST001")])
    assert [(one.name, one.verdict) for one in results] == [("TEST001", Verdict.FAIL), ("TEST002", Verdict.PASS)]


@dataclass(frozen=True)
class _Checkout:
    target: Target

    def __str__(self) -> str:
        return str(self.target)


class Experiment:
    """An experiment whose targets show what they are told to, or raise it."""

    issue = 1

    def __init__(self, script: dict[Target, Outcome | BaseException]) -> None:
        self._script = script

    def targets(self) -> Sequence[Any]:
        """Return every target of the script; a checkout as the rooms describe it."""
        return [_Checkout(one) if one is BACKEND else one for one in self._script]

    async def run(self, target: Any, observer: Observer) -> Sequence[Observation]:  # noqa: ANN401 - either of two
        """Follow the script."""
        del observer
        target = target.target if isinstance(target, _Checkout) else target
        step = self._script[target]
        if isinstance(step, BaseException):
            raise step
        return [seen(target, step)]


def report(script: dict[Target, Outcome | BaseException], record: Record | None = None) -> Report:
    """Return the report of such an experiment."""
    return asyncio.run(reproduce([Experiment(script)], record or Record(), command="auth reproduce"))


def test_report_holds_observations_and_judgements() -> None:
    """The matrix and the verdicts are of one run, and observers hear of each target."""
    record = Record()
    made = report({OLD: SHOWN, FIXED: ABSENT}, record)
    assert made.command == "auth reproduce"
    assert made.exit_code is ExitCode.HEALTHY
    assert [one.target for one in made.observations] == [OLD, FIXED]
    assert record.kinds() == [
        ("started", "experiment 1: legacy 2024"),
        ("finished", "experiment 1: legacy 2024"),
        ("started", "experiment 1: fixed"),
        ("finished", "experiment 1: fixed"),
    ]


def test_raising_experiment_is_unknown_and_the_other_targets_go_on() -> None:
    """A target that breaks the experiment is a result with a scrubbed traceback; what was seen is still judged."""
    secret = Secret("a phrase that opens doors")
    made = report({OLD: ValueError(secret.reveal()), NEW: SHOWN, FIXED: ABSENT})
    judged, broken = made.results
    assert judged.verdict is Verdict.PASS
    assert (broken.name, broken.verdict) == ("experiment 1: legacy 2024", Verdict.UNKNOWN)
    assert "ValueError" in broken.evidence[0].value
    assert secret.reveal() not in f"{broken}"
    assert made.exit_code is ExitCode.UNKNOWN


def test_error_of_ours_keeps_its_remedy() -> None:
    """The command that helps comes with it."""
    broken = report({OLD: DoctorError("no fastapi", "install it")}).results[-1]
    assert (broken.reason, broken.remedy) == ("no fastapi", "install it")


def test_missing_extra_skips_the_experiment() -> None:
    """One result for the experiment, not one for each target, with the command and without a traceback; not healthy."""
    made = report({OLD: MissingExtra("hf", "the experiment"), FIXED: ABSENT})
    (skipped,) = made.results
    assert (skipped.name, skipped.verdict, skipped.evidence) == ("experiment 1", Verdict.SKIP, ())
    assert "[hf]" in skipped.reason
    assert skipped.remedy.startswith("pip install")
    assert made.exit_code is ExitCode.UNKNOWN


def test_checkout_has_an_environment_of_its_own() -> None:
    """What is missing beside this program says nothing of a checkout, which is put through the experiment all the same.

    The experiment is skipped once, however many of its own targets need the extra.
    """
    missing = MissingExtra("hf", "the experiment")
    made = report({OLD: missing, NEW: missing, FIXED: missing, BACKEND: SHOWN})
    assert [(one.name, one.verdict) for one in made.results] == [
        ("TEST001", Verdict.FAIL),
        ("experiment 1", Verdict.SKIP),
    ]
    assert made.results[0].findings[0].message == "reproduced on yours: it was reproduced"


def test_a_checkout_is_validated_by_itself() -> None:
    """The command that validates the component would pass whatever the checkout does: its finding names another one."""
    made = verdict(seen(OLD, SHOWN), seen(FIXED, SHOWN), seen(BACKEND, SHOWN))
    assert [one.rule.validation for one in made.findings] == [
        rule().validation,
        "alwrity-doctor reproduce 1 --backend DIR",
    ]


def test_finding_that_hindered_an_experiment_is_shown() -> None:
    """A file that does not parse is a finding with its line, and what it hindered stays unknown."""
    location = Location(LocationKind.FILE, "backend/middleware/auth_middleware.py", 3)
    found = Finding(rule("TEST002"), "it does not parse", location=location)
    made = report({OLD: SHOWN, FIXED: ABSENT, BACKEND: CannotCheck("it does not parse", "mend it", (found,))})
    assert [one.verdict for one in made.results] == [Verdict.PASS, Verdict.UNKNOWN]
    assert made.findings == (found,)
    assert made.exit_code is ExitCode.UNKNOWN


def test_interrupted_experiment_hands_over_what_was_observed() -> None:
    """What was seen before the interruption is judged as far as it goes."""

    async def interrupted() -> Report:
        reached = asyncio.Event()

        class Hanging(Experiment):
            async def run(self, target: Any, observer: Observer) -> Sequence[Observation]:  # noqa: ANN401 - as above
                if target is FIXED:
                    reached.set()
                    await asyncio.Event().wait()
                return await super().run(target, observer)

        task = asyncio.create_task(reproduce([Hanging({OLD: SHOWN, FIXED: ABSENT})], Record()))
        await reached.wait()
        task.cancel()
        with pytest.raises(Interrupted) as caught:
            await task
        return caught.value.report

    (result,) = asyncio.run(interrupted()).results
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, "no fixed target was observed")
