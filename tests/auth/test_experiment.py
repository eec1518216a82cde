"""The experiment of issue 1 shows each fault where it is, and nowhere else; and it can be made to fail."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

import jwt
import pytest

from alwrity_checks.auth.experiment import SCENARIOS, experiment
from alwrity_checks.auth.mint import Instance
from alwrity_checks.auth.rules import rule
from alwrity_checks.auth.scenarios.stage import Cast, Stage
from alwrity_checks.auth.scenarios.targets import Answer, ComponentTarget, Ruling, targets
from alwrity_checks.loopback import direct_connections
from alwrity_checks.model import Event, ExitCode, Observation, Outcome, Target, TargetKind, Verdict
from alwrity_doctor.reproduction import judge, reproduce

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from alwrity_checks.auth.scenarios.scenario import Scenario, Seen
    from alwrity_checks.auth.scenarios.targets import AuthTarget, Deployment
    from alwrity_checks.model import Report

EXPECTED = {
    # 'r' reproduced, 'a' absent, 'u' unknown: A B C D fixed; a line for each scenario of the rule
    "AUTH001": ["arrra"],
    "AUTH003": ["rruaa"],
    "AUTH004": ["aaraa"],
    "AUTH006": ["arrra"],
    "AUTH007": ["rruaa"],
    "AUTH008": ["rrura"],
    "AUTH009": ["rrura"],
    "AUTH050": ["aauaa", "rrura"],
    "AUTH051": ["aauaa", "rruaa"],
    "AUTH052": ["aauaa", "rrura"],
    "AUTH053": ["rrura"],
    "AUTH054": ["rrura"],
    "AUTH055": ["rrura"],
    "AUTH056": ["rrura"],
    "AUTH066": ["rrura"],
    "AUTH070": ["arrra"],
}


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


@pytest.fixture(scope="module")
def cast(instance: Instance, other_instance: Instance) -> Cast:
    """Return who plays in the tests of single scenarios."""
    successor = Instance(instance.issuer, "ins_2fooBarInstance0000000000002", other_instance.private_key)
    return Cast(instance, successor, other_instance)


@pytest.mark.parametrize("code", EXPECTED)
def test_outcomes(code: str, report: Report) -> None:
    """Each fault shows on the states that had it and on nothing else; what proves nothing is unknown."""
    by_scenario: dict[str, str] = {}
    for one in report.observations:
        if one.rule.code == code:
            by_scenario[one.scenario] = by_scenario.get(one.scenario, "") + one.outcome[0]
    assert list(by_scenario.values()) == EXPECTED[code]


def test_no_scenario_is_left_out(report: Report) -> None:
    """Every target goes through every scenario, and every rule with a scenario is expected above."""
    assert {scenario.code for scenario in SCENARIOS} == set(EXPECTED)
    names = ["legacy A", "legacy B", "legacy C", "legacy D", "fixed"]
    assert [str(one.target) for one in report.observations] == [n for n in names for _ in SCENARIOS]


def test_every_rule_passes(report: Report) -> None:
    """The fault is reproduced on the model and absent from the component, so that the command ends with 0."""
    assert {(result.name, result.verdict) for result in report.results} == {(code, Verdict.PASS) for code in EXPECTED}
    assert report.exit_code is ExitCode.HEALTHY


def test_observations_speak(report: Report) -> None:
    """Every observation says what was seen in one line, and the model's name the library's version."""
    for one in report.observations:
        assert one.message
        assert "\n" not in one.message
        assert ("PyJWT", jwt.__version__) in {
            (e.label, e.value) for e in one.evidence
        } or one.target.kind.value == "fixed"


def test_observer_hears_of_everything(report: Report, recorder: Recorder) -> None:
    """Each scenario is announced before and reported after, under the name of its target."""
    heard = [event.observation for event in recorder.events if event.kind == "observed"]
    assert tuple(heard) == report.observations
    assert sum(event.kind == "progress" for event in recorder.events) == len(heard)
    assert {event.name for event in recorder.events} == {f"experiment 1: {target}" for target in targets()}


def test_nothing_is_left_behind(report: Report) -> None:  # noqa: ARG001 - carried out before this test looks
    """No server outlives its scenario; a background refresh ends by itself."""
    for thread in threading.enumerate():
        if thread.name == "jwks-fetch":
            thread.join(30.0)
    assert not {thread.name for thread in threading.enumerate()} & {"loopback-server", "jwks-fetch"}


@dataclass(frozen=True)
class Broken(ComponentTarget):
    """The component, spoilt in one way."""

    spoil: Callable[[Deployment, Stage], Deployment] = lambda deployment, _: deployment

    def deploy(self, stage: Stage, environment: Mapping[str, str]) -> Deployment:
        """Start a spoilt verifier."""
        return self.spoil(super().deploy(stage, environment), stage)


class Wrapper:
    """A deployment that does as another one does."""

    def __init__(self, inner: Any, stage: Stage) -> None:  # noqa: ANN401 - the tests reach into it
        self.inner, self.stage, self.issuer = inner, stage, inner.issuer

    async def judge(self, token: str) -> Answer:
        """Ask the other one."""
        answer: Answer = await self.inner.judge(token)
        return answer

    def let_key_set_age(self) -> None:
        """Let the time pass for the other one."""
        self.inner.let_key_set_age()


class AcceptsEverything(Wrapper):
    """Verifies nothing."""

    async def judge(self, token: str) -> Answer:
        """Accept."""
        del token
        return Answer(Ruling.ACCEPTED, "anybody")


class RefusesEverything(Wrapper):
    """Lets nobody in."""

    async def judge(self, token: str) -> Answer:
        """Refuse."""
        del token
        return Answer(Ruling.REFUSED)


class BelievesTheIssuer(Wrapper):
    """Fetches keys from the URL that the token names, and refuses the token all the same."""

    async def judge(self, token: str) -> Answer:
        """Fetch, then ask the verifier."""
        with suppress(jwt.PyJWTError, OSError, ValueError):
            url = jwt.decode(token, options={"verify_signature": False})["iss"]
            build_opener(ProxyHandler({})).open(url if "127.0.0.1" in url else self.stage.key_server.origin).close()
        return await super().judge(token)


class Divided(Wrapper):
    """Five verifiers that share no keys, as with a verifier for each thread."""

    def __init__(self, inner: Any, stage: Stage) -> None:  # noqa: ANN401 - the tests reach into it
        super().__init__(inner, stage)
        self.turns = itertools.cycle([ComponentTarget().deploy(stage, {}) for _ in range(5)])

    async def judge(self, token: str) -> Answer:
        """Ask the next one."""
        return await next(self.turns).judge(token)


class RefetchesNowAndThen(Wrapper):
    """Fetches the keys anew after every fortieth refusal."""

    refusals = 0

    async def judge(self, token: str) -> Answer:
        """Ask the verifier, then fetch."""
        answer = await super().judge(token)
        self.refusals += answer.ruling is not Ruling.ACCEPTED
        if self.refusals % 40 == 39:
            await self.inner.verifier.warm()
        return answer


class Blocking(Wrapper):
    """Verifies synchronously, on the event loop."""

    async def judge(self, token: str) -> Answer:
        """Block."""
        return Answer(Ruling.ACCEPTED, self.inner.verifier.verify_sync(token).user_id)


class CallsItBad(Wrapper):
    """Does not tell 'could not be judged' from 'refused'."""

    async def judge(self, token: str) -> Answer:
        """Say 401 for 503."""
        answer = await super().judge(token)
        return Answer(Ruling.REFUSED) if answer.ruling is Ruling.UNDECIDED else answer


class NeverForgets(Wrapper):
    """Accepts for ever what it has once accepted."""

    def __init__(self, inner: Any, stage: Stage) -> None:  # noqa: ANN401 - the tests reach into it
        super().__init__(inner, stage)
        self.seen = set[str]()

    async def judge(self, token: str) -> Answer:
        """Remember."""
        if token in self.seen:
            return Answer(Ruling.ACCEPTED)
        answer = await super().judge(token)
        if answer.ruling is Ruling.ACCEPTED:
            self.seen.add(token)
        return answer


def without_stale_keys(deployment: Any, stage: Stage) -> Deployment:  # noqa: ANN401 - reaches into the component
    """Let known keys die with their freshness."""
    deployment.verifier._keys._stale = 300.0
    return Wrapper(deployment, stage)


def with_a_long_leeway(deployment: Any, stage: Stage) -> Deployment:  # noqa: ANN401 - reaches into the component
    """Allow for 300 s between two clocks."""
    deployment.verifier._policy = replace(deployment.verifier.policy, leeway=300.0)
    return Wrapper(deployment, stage)


def without_parties(deployment: Any, stage: Stage) -> Deployment:  # noqa: ANN401 - reaches into the component
    """Do not look at `azp`."""
    deployment.verifier._policy = replace(deployment.verifier.policy, authorized_parties=frozenset())
    return Wrapper(deployment, stage)


def play(scenario: Scenario, target: AuthTarget, cast: Cast) -> Seen:
    """Put `target` through one scenario."""

    async def on_stage() -> Seen:
        with Stage(cast) as stage:
            return await scenario.play(target, stage)

    return asyncio.run(on_stage())


def scenarios(*codes: str) -> list[Scenario]:
    """Return the scenarios of the rules."""
    return [scenario for scenario in SCENARIOS if scenario.code in codes]


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("AUTH001", AcceptsEverything),
        ("AUTH003", AcceptsEverything),
        ("AUTH003", BelievesTheIssuer),
        ("AUTH004", RefusesEverything),
        ("AUTH006", AcceptsEverything),
        ("AUTH007", BelievesTheIssuer),
        ("AUTH008", AcceptsEverything),
        ("AUTH008", with_a_long_leeway),
        ("AUTH009", AcceptsEverything),
        ("AUTH009", without_parties),
        ("AUTH050", Divided),
        ("AUTH051", RefetchesNowAndThen),
        ("AUTH052", RefetchesNowAndThen),
        ("AUTH053", without_stale_keys),
        ("AUTH054", Blocking),
        ("AUTH055", CallsItBad),
        ("AUTH056", NeverForgets),
        ("AUTH066", AcceptsEverything),
        ("AUTH070", AcceptsEverything),
    ],
)
def test_fault_in_the_component_would_show(
    code: str, spoil: Callable[[Deployment, Stage], Deployment], cast: Cast
) -> None:
    """Every scenario of the rule says `reproduced` of a component that has the fault."""
    for scenario in scenarios(code):
        seen = play(scenario, Broken(spoil=spoil), cast)
        assert seen.outcome is Outcome.REPRODUCED, (scenario.title, seen.message)


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.code != "AUTH004"], ids=lambda s: s.title)
def test_refusing_everything_proves_nothing(scenario: Scenario, cast: Cast) -> None:
    """A target that locks everybody out is not called free of any other fault."""
    assert play(scenario, Broken(spoil=RefusesEverything), cast).outcome is Outcome.UNKNOWN


def test_accepting_without_a_key_is_not_called_sound(cast: Cast) -> None:
    """Where no key can be had, an acceptance is no honest answer, and nobody asking for keys is no single fetch."""
    seen = [
        play(scenario, Broken(spoil=AcceptsEverything), cast) for scenario in scenarios("AUTH050", "AUTH054", "AUTH055")
    ]
    assert {one.outcome for one in seen} == {Outcome.UNKNOWN}


def test_model_without_the_fault_is_found_out(cast: Cast) -> None:
    """A sound stand-in in the model's place reproduces nothing, and then the judge does not let the rule pass."""
    stand_in = ComponentTarget(target=Target(TargetKind.LEGACY, "Z"))
    observations = []
    for scenario in scenarios("AUTH003", "AUTH006", "AUTH056"):
        for target in (stand_in, ComponentTarget()):
            seen = play(scenario, target, cast)
            assert seen.outcome is Outcome.ABSENT
            observations.append(
                Observation(rule(scenario.code), target.target, scenario.title, seen.outcome, seen.message)
            )
    assert {result.verdict for result in judge(observations)} == {Verdict.FAIL}


def test_scenario_that_raises_is_unknown() -> None:
    """A target that cannot be deployed leaves every rule open, and no secret in the message."""

    def raises(deployment: Deployment, stage: Stage) -> Deployment:
        del deployment, stage
        raise RuntimeError("cannot start with sk_test_" + "a1b2c3d4" * 5)

    observations: Sequence[Observation] = asyncio.run(experiment().run(Broken(spoil=raises), Recorder()))
    assert len(observations) == len(SCENARIOS)
    assert {one.outcome for one in observations} == {Outcome.UNKNOWN}
    assert all("RuntimeError" in one.message and "a1b2" not in one.message for one in observations)


def test_proxy_of_the_environment_is_passed_by(monkeypatch: pytest.MonkeyPatch, cast: Cast) -> None:
    """Behind a proxy that answers nothing the experiment runs all the same, and leaves the environment as it was."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "internal.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    before = dict(os.environ)
    with direct_connections():
        for target in (targets()[0], ComponentTarget()):
            assert play(scenarios("AUTH004")[0], target, cast).outcome is Outcome.ABSENT
    assert dict(os.environ) == before
