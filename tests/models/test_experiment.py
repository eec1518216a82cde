"""The experiment of issue 5: each fault shows on the wrapper and on nothing else, and can come out otherwise."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.model import Event, Evidence, Outcome, Target, TargetKind
from alwrity_checks.models import experiment as module
from alwrity_checks.models.experiment import SCENARIOS, ModelsExperiment, experiment
from alwrity_checks.models.rules import rule
from alwrity_checks.models.scenarios import calls, real
from alwrity_checks.models.scenarios.scenario import Scenario, Seen
from alwrity_checks.models.scenarios.targets import targets

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.stage import Stage


class Listener:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)


@pytest.fixture(scope="module")
def observations() -> Mapping[tuple[str, TargetKind], Any]:
    """Return what the whole experiment observes, by rule and target."""
    whole = experiment()

    async def both() -> list[Any]:
        return [one for target in whole.targets() for one in await whole.run(target, Listener())]

    return {(one.rule.code, one.target.kind): one for one in asyncio.run(both())}


@pytest.mark.parametrize("code", [scenario.code for scenario in SCENARIOS])
def test_a_fault_shows_on_the_wrapper_alone(code: str, observations: Mapping[tuple[str, TargetKind], Any]) -> None:
    """Reproduced on the historical code, absent from the component, with what was seen."""
    old, new = observations[code, TargetKind.LEGACY], observations[code, TargetKind.FIXED]
    if code == "MDL007" and old.outcome is Outcome.UNKNOWN:
        assert "cannot limit" in old.message
        return
    assert old.outcome is Outcome.REPRODUCED, old.message
    assert new.outcome is Outcome.ABSENT, new.message
    assert old.message != new.message


def test_figures_are_in_the_evidence(observations: Mapping[tuple[str, TargetKind], Any]) -> None:
    """What decides can be read: loads, attempts, seconds with the pauses apart, the answers of each model."""

    def facts(code: str, kind: TargetKind) -> dict[str, str]:
        return {one.label: one.value for one in observations[code, kind].evidence}

    assert facts("MDL001", TargetKind.LEGACY)["loads"] == "4"
    assert facts("MDL001", TargetKind.FIXED)["loads"] == "1"
    assert facts("MDL002", TargetKind.LEGACY)["attempts at the failing model"] == "4"
    assert facts("MDL002", TargetKind.FIXED)["attempts at the failing model"] == "1"
    assert float(facts("MDL006", TargetKind.LEGACY)["of it pauses, counted and not waited for"]) > 20
    assert float(facts("MDL006", TargetKind.FIXED)["seconds"]) < 5
    assert all(
        value.startswith("valid") for label, value in facts("MDL008", TargetKind.FIXED).items() if " in " in label
    )


@dataclass(frozen=True)
class Strange:
    """A target whose every use is what the test says."""

    use: Any
    target: Target = Target(TargetKind.FIXED, "strange")  # noqa: RUF009 - frozen
    facts: tuple[Evidence, ...] = ()

    def deploy(self, stage: Stage, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any use
        """Return the use."""
        del environment
        return self.use(stage)

    def __str__(self) -> str:
        return "strange"


class Dead:
    """A use that never gets a model."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def obtain(self) -> None:
        """Fail."""
        raise OSError("no model")

    def answer(self, prompt: str) -> str:
        """Answer all the same."""
        return f"[ERROR: {prompt}]"

    def construct(self) -> None:
        """Fail."""
        raise OSError("no agent")

    def names(self) -> Mapping[str, str]:
        """Return one place."""
        return {"a": "acme/m"}

    def release(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("scenario", calls.SCENARIOS, ids=lambda one: one.code)
def test_a_target_that_shows_nothing_is_not_called_healthy(scenario: Scenario) -> None:
    """Where no model is ever had, nothing follows: unknown, or for an error as answer, reproduced."""
    target: Any = Strange(Dead)
    expected = Outcome.REPRODUCED if scenario.code == "MDL004" else Outcome.UNKNOWN
    assert scenario.play(target).outcome is expected


def test_a_scenario_that_raises_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others go on."""

    def play(_target: object) -> Seen:
        raise ValueError("broken")

    fine = Scenario("MDL002", "fine", lambda _target: Seen(Outcome.ABSENT, "fine"))
    monkeypatch.setattr(module, "SCENARIOS", (Scenario("MDL001", "raises", play), fine))
    listener = Listener()
    found = asyncio.run(ModelsExperiment().run(targets()[0], listener))
    assert [(one.outcome, one.rule) for one in found] == [
        (Outcome.UNKNOWN, rule("MDL001")),
        (Outcome.ABSENT, rule("MDL002")),
    ]
    assert "broken" in found[0].message
    assert [event.kind for event in listener.events] == ["progress", "observed"] * 2


def test_a_child_that_says_nothing_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that dies, or speaks no JSON, is no healthy target."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended with 1"):
        real._offline(targets()[1])


def test_only_the_chosen_rules_are_played() -> None:
    """One rule, one scenario."""
    found = asyncio.run(ModelsExperiment(codes=["MDL010"]).run(targets()[1], Listener()))
    assert [one.rule.code for one in found] == ["MDL010"]
