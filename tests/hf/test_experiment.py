"""The experiment of issue 2 shows each fault where it is, and nowhere else; and it can be made to fail."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import MissingExtra
from alwrity_checks.hf.experiment import SCENARIOS, experiment
from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_checks.hf.scenarios.targets import Told, targets
from alwrity_checks.model import Event, ExitCode, Outcome, Target, TargetKind, Verdict
from alwrity_doctor.reproduction import reproduce

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alwrity_checks.hf.scenarios.faults import Scenario
    from alwrity_checks.model import Report

VALID = Told(value={"title": "x", "score": 1})
INVALID = Told(value={"title": "x"})
NAMES = ["legacy OLD", "legacy HEAD", "fixed"]


class Recorder:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Remember `event`."""
        self.events.append(event)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """Return the observer of the one run that many tests look at."""
    return Recorder()


@pytest.fixture(scope="module")
def report(recorder: Recorder) -> Report:
    """Carry out the whole experiment once."""
    return asyncio.run(reproduce([experiment()], recorder))


def test_faults_show_on_the_provider_and_nowhere_else(report: Report) -> None:
    """Every scenario shows its fault in both historical states; the component has none of them."""
    found = {(str(one.target), one.rule.code, one.scenario): one.outcome for one in report.observations}
    expected = {
        (name, scenario.code, scenario.title): Outcome.ABSENT if name == "fixed" else Outcome.REPRODUCED
        for name in NAMES
        for scenario in SCENARIOS
    }
    assert found == expected


def test_every_rule_passes(report: Report) -> None:
    """The fault is reproduced on the model and absent from the component, so that the command ends with 0."""
    assert {(result.name, result.verdict) for result in report.results} == {
        (scenario.code, Verdict.PASS) for scenario in SCENARIOS
    }
    assert report.exit_code is ExitCode.HEALTHY


def test_wrong_base_url_is_counted(report: Report) -> None:
    """The table's first line tells requests and seconds side by side, and that the component names the cause."""
    messages = {str(one.target): one.message for one in report.observations if one.rule.code == "HF090"}
    assert messages["legacy OLD"].startswith("96 requests and ")
    assert messages["legacy HEAD"].startswith("12 requests and ")
    assert messages["fixed"].startswith("1 request and ")
    assert "route-missing" in messages["fixed"]
    assert "route-missing" not in messages["legacy OLD"] + messages["legacy HEAD"]


def test_observations_speak_in_one_line(report: Report) -> None:
    """Every observation says what was seen; none holds a token or an address, which would differ from run to run."""
    for one in report.observations:
        assert one.message
        assert "\n" not in one.message
        assert "hf_made0up0" not in one.message
        assert "0x7" not in one.message


def test_observer_hears_of_everything(report: Report, recorder: Recorder) -> None:
    """Each scenario is announced before and reported after, under the name of its target."""
    heard = [event.observation for event in recorder.events if event.kind == "observed"]
    assert tuple(heard) == report.observations
    assert sum(event.kind == "progress" for event in recorder.events) == len(heard) == len(NAMES) * len(SCENARIOS)
    assert {event.name for event in recorder.events} == {f"experiment 2: {target}" for target in targets()}


def test_nothing_is_left_behind(report: Report) -> None:  # noqa: ARG001 - carried out before this test looks
    """No router outlives its scenario, and the environment is as it was."""
    assert "loopback-router" not in {thread.name for thread in threading.enumerate()}
    assert "127.0.0.1" not in os.environ.get("no_proxy", "").split(",")[1:]


class Scripted:
    """A target that tells one thing after the other."""

    target = Target(TargetKind.FIXED)
    facts = ()

    def __init__(self, *told: Told) -> None:
        self.told = list(told)

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, object], *, wrong_path: bool = False
    ) -> Told:
        """Tell the next thing."""
        del router, model, schema, wrong_path
        return self.told.pop(0)


def play(scenario: Scenario, *told: Told) -> Outcome:
    """Return what the scenario makes of a target that tells `told`."""

    async def played() -> Outcome:
        with LoopbackRouter() as router:
            return (await scenario.play(Scripted(*told), router)).outcome

    return asyncio.run(played())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[f"{one.code} {one.title}" for one in SCENARIOS])
def test_target_that_never_works_proves_nothing(scenario: Scenario) -> None:
    """Who generates nothing even where all is well has shown neither the fault nor its absence."""
    assert play(scenario, Told(error="never")) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("code", "told", "outcome"),
    [
        ("HF090", Told(error="x", cause="route-missing", seconds=0.1), Outcome.ABSENT),
        ("HF090", Told(error="x", cause="route-missing", seconds=5.0), Outcome.REPRODUCED),
        ("HF090", Told(error="x", cause="model-not-found"), Outcome.REPRODUCED),
        ("HF091", VALID, Outcome.ABSENT),
        ("HF091", INVALID, Outcome.REPRODUCED),
        ("HF092", Told(error="x", cause="provider-fault"), Outcome.REPRODUCED),
        ("HF093", Told(error="x", cause="token-invalid"), Outcome.ABSENT),
        ("HF093", Told(error="x", cause="timed-out"), Outcome.REPRODUCED),
        ("HF094", Told(error="x"), Outcome.ABSENT),
        ("HF094", Told(value=None), Outcome.REPRODUCED),
        ("HF094", VALID, Outcome.UNKNOWN),
        ("HF095", INVALID, Outcome.REPRODUCED),
    ],
)
def test_scenario_judges_what_was_told(code: str, told: Told, outcome: Outcome) -> None:
    """A component with the fault would be caught: too slow, unnamed, not moved on, or data that is none."""
    scenario = next(one for one in SCENARIOS if one.code == code)
    assert play(scenario, VALID, told) is outcome


def test_experiment_without_the_client_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    """Without the extra the experiment names it, before anything is observed."""
    monkeypatch.setattr("alwrity_checks.hf.experiment.find_spec", lambda name: name == "jsonschema")
    with pytest.raises(MissingExtra, match="hf"):
        asyncio.run(experiment().run(targets()[0], recorder))
