"""The experiment of issue 2 shows each fault where it is, and nowhere else; and it can be made to fail."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from alwrity_checks.errors import MissingExtra
from alwrity_checks.hf.experiment import SCENARIOS, experiment
from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_checks.hf.scenarios.faults import SCHEMA, is_value
from alwrity_checks.hf.scenarios.targets import ApiPath, Function, Told, targets, tell
from alwrity_checks.loopback_http import Request
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
        if name != "fixed" or scenario.function is Function.STRUCTURED
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
    title = "the base URL ends in /hf/v1"
    messages = {str(one.target): one.message for one in report.observations if one.scenario == title}
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
    of_text = sum(one.function is Function.TEXT for one in SCENARIOS)
    asked = len(NAMES) * len(SCENARIOS) - of_text
    assert sum(event.kind == "progress" for event in recorder.events) == len(heard) == asked
    assert {event.name for event in recorder.events} == {f"experiment 2: {target}" for target in targets()}


def test_nothing_is_left_behind(report: Report) -> None:  # noqa: ARG001 - carried out before this test looks
    """No router outlives its scenario, and the environment is as it was."""
    assert "loopback-router" not in {thread.name for thread in threading.enumerate()}
    assert "127.0.0.1" not in os.environ.get("no_proxy", "").split(",")[1:]


class Scripted:
    """A target that tells one thing after the other."""

    target = Target(TargetKind.FIXED)
    facts = ()
    functions = frozenset(Function)

    def __init__(self, *told: Told, missed: bool = True) -> None:
        self.told = list(told)
        self.missed = missed

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, object] | None, *, path: ApiPath = ApiPath.RIGHT
    ) -> Told:
        """Tell the next thing, and be seen on the way that leads nowhere."""
        del model, schema
        if path is not ApiPath.RIGHT:
            router.requests.append(Request("POST", f"{path or ApiPath.WRONG}/chat/completions"))
            router.missed += [f"POST {path or ApiPath.WRONG}/chat/completions"] * self.missed
        return self.told.pop(0)


def play(scenario: Scenario, *told: Told, missed: bool = True) -> Outcome:
    """Return what the scenario makes of a target that tells `told`."""

    async def played() -> Outcome:
        with LoopbackRouter() as router:
            return (await scenario.play(Scripted(*told, missed=missed), router)).outcome

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
        ("HF094", Told(error="x", unanswered=True), Outcome.UNKNOWN),
        ("HF095", INVALID, Outcome.REPRODUCED),
        ("HF096", Told(error="x"), Outcome.REPRODUCED),
    ],
)
def test_scenario_judges_what_was_told(code: str, told: Told, outcome: Outcome) -> None:
    """A component with the fault would be caught: too slow, unnamed, not moved on, or data that is none."""
    scenario = next(one for one in SCENARIOS if one.code == code)
    assert play(scenario, VALID, told) is outcome


@pytest.mark.parametrize(
    ("code", "told", "outcome"),
    [("HF096", VALID, Outcome.ABSENT), ("HF096", INVALID, Outcome.UNKNOWN), ("HF090", VALID, Outcome.UNKNOWN)],
)
def test_request_that_missed_no_route_is_no_wrong_base_url(code: str, told: Told, outcome: Outcome) -> None:
    """Who could not be led to the wrong path has shown nothing; whose own path is served is free of the fault."""
    scenario = next(one for one in SCENARIOS if one.code == code)
    assert play(scenario, VALID, told, missed=False) is outcome


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("title", "score", "more")), inner),
        max_leaves=6,
    )
)
def test_value_is_judged_as_a_validator_would(value: object) -> None:
    """The check by hand, made for interpreters without jsonschema, agrees with jsonschema on any JSON."""
    assert is_value(value, SCHEMA) is Draft202012Validator(SCHEMA).is_valid(value)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("404 at https://router.huggingface.co/hf/v1: no route"), "route-missing"),
        (ValueError("Error code: 404"), ""),
        (ValueError("Error code: 401 - {'error': 'Invalid username or password.'}"), "token-invalid"),
        (ValueError("RetryError[<Future at 0x7f state=finished raised Exception>]"), ""),
    ],
)
def test_cause_may_be_named_in_words(error: Exception, cause: str) -> None:
    """Anybody's fix counts that tells its caller the URL, or the status of an account's fault; a bare 404 does not."""

    async def told() -> Told:
        async def call() -> object:
            raise error

        return await tell(call(), lambda: 0.0)

    assert asyncio.run(told()).cause == cause


def test_experiment_without_the_client_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    """Without the extra the experiment names it, before anything is observed."""
    monkeypatch.setattr("alwrity_checks.hf.experiment.find_spec", lambda name: name == "jsonschema")
    with pytest.raises(MissingExtra, match="hf"):
        asyncio.run(experiment().run(targets()[0], recorder))
