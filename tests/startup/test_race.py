"""The race of issue 6: the historical bootstrap shows each fault, the component none; and the judge is not fooled."""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import Event, Observation, Outcome, TargetKind, Verdict
from alwrity_checks.pictures import Lanes
from alwrity_checks.startup import legacy, race_scenarios
from alwrity_checks.startup.experiment import SCENARIOS, StartupExperiment, experiment
from alwrity_checks.startup.race import Moment, Start, environment, running
from alwrity_checks.startup.race_hub import SIZES, write_models
from alwrity_checks.startup.race_picture import page, timeline
from alwrity_checks.startup.race_scenarios import Scenario, Seen, Stage
from alwrity_checks.startup.race_targets import command, targets
from alwrity_checks.startup.rules import RULES
from alwrity_doctor.observers import Broadcast
from alwrity_doctor.reproduction import reproduce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.startup.race_targets import StartTarget


@dataclass
class Heard:
    """An observer that remembers."""

    observations: list[Observation] = field(default_factory=list)

    def notify(self, event: Event) -> None:
        """Remember what was observed."""
        if event.observation is not None:
            self.observations.append(event.observation)


@pytest.fixture(scope="module")
def played() -> StartupExperiment:
    """Play every scenario once, with a hub that takes a second and a half."""
    ours = StartupExperiment(seconds=1.5)

    async def play() -> None:
        for target in ours.targets():
            await ours.run(target, Heard())

    asyncio.run(play())
    return ours


def test_every_fault_shows_on_the_bootstrap_and_none_on_the_component(played: StartupExperiment) -> None:
    """Ten scenarios, six rules: reproduced on legacy, absent from fixed, each with what was seen."""
    found = {(one.target.target.kind.value, one.scenario.name): one for one in played.played}
    assert len(found) == 2 * len(SCENARIOS) == 20
    for (target, name), one in found.items():
        expected = Outcome.REPRODUCED if target == "legacy" else Outcome.ABSENT
        assert one.seen.outcome is expected, f"{target}, {name}: {one.seen.message}"


def test_what_was_measured_is_from_outside(played: StartupExperiment) -> None:
    """The order of the events and the hub's own count are in the evidence; nobody answers before listening."""
    found = {(one.target.target.kind.value, one.scenario.name): one.seen for one in played.played}
    slow, quick = found["legacy", "slow"].start, found["fixed", "slow"].start
    assert slow is not None
    assert quick is not None
    order = [moment.event for moment in slow.moments]
    assert order == ["started", "download-began", "download-ended", "listening", "answered", "usable", "watched"]
    assert quick.listened_first
    assert not slow.listened_first
    kill = found["fixed", "kill"].facts
    sent = [
        int(kill[name].replace(",", "")) for name in ("sent before the kill", "sent after it", "the model's weights")
    ]
    assert sent[0] + sent[1] < sent[2] * 1.5
    assert "WARNING" in found["fixed", "refused token"].facts["log"]
    assert "Qwen/Qwen2.5-3B-Instruct" in found["legacy", "slow"].facts["downloaded"]
    assert "3B" not in found["fixed", "slow"].facts["downloaded"]


def test_the_page_draws_every_scenario(played: StartupExperiment) -> None:
    """One picture for each scenario that came to a start, with both targets on one axis."""
    drawn = page(played.played, played.bare)
    assert drawn.count("<svg") == len(SCENARIOS)
    assert drawn.count("model usable, ") >= 2
    assert 'class="deaf"' in drawn
    assert 'class="beside"' in drawn


def test_rules_and_scenarios_belong_together() -> None:
    """Each scenario is about a rule of the race's group, and each rule of that group has a scenario."""
    ours = {rule.code for rule in RULES if rule.code < "STA010"}
    assert {scenario.code for scenario in SCENARIOS} == ours
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert experiment().issue == 6
    assert [one.target.kind for one in experiment().targets()] == [TargetKind.LEGACY, TargetKind.FIXED]


def start(*events: str, ended: bool = False) -> Start:
    """Return a start to which `events` happened, one a second."""
    return Start([Moment(event, float(number)) for number, event in enumerate(events)], ended=ended)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (start("download-began", "answered", "download-ended"), True),
        (start("download-began", "answered"), True),
        (start("download-began", "download-ended", "answered"), False),
        (start("download-began", "download-ended"), False),
        (start("download-began"), False),
        (start("download-began", ended=True), None),
        (start("answered"), None),
        (start(), None),
    ],
)
def test_the_order_decides(seen: Start, expected: bool | None) -> None:  # noqa: FBT001 - pytest passes parameters by name
    """Whether the server answered first is told by the order; a server that died or downloaded nothing is unknown."""
    assert seen.listened_first is expected


def test_a_scenario_that_raises_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the experiment's own is shown as such: never as a fault, never as its absence."""

    async def broken(_: StartTarget, __: Stage) -> Seen:
        raise RuntimeError("hf_SeededToken0123456789abcdefghijklm")

    monkeypatch.setattr("alwrity_checks.startup.experiment.SCENARIOS", (Scenario("STA001", "broken", "x", broken),))
    report = asyncio.run(reproduce([StartupExperiment()], Broadcast(())))
    assert {one.outcome for one in report.observations} == {Outcome.UNKNOWN}
    assert "SeededToken" not in "".join(one.message for one in report.observations)


def test_a_component_that_blocks_is_caught(tmp_path: Path) -> None:
    """The scenarios see through a target's name: the bootstrap, played as the component, shows its faults."""
    disguised = [one for one in targets() if one.name == "legacy"]
    slow = next(one for one in SCENARIOS if one.name == "slow")
    (tmp_path / "own").mkdir()
    stage = Stage(write_models(tmp_path / "models"), tmp_path / "own", 1.0, 0.1)
    assert asyncio.run(slow.play(disguised[0], stage)).outcome is Outcome.REPRODUCED


def test_a_server_that_dies_is_unknown(tmp_path: Path) -> None:
    """A target whose process ends before it listens shows nothing of the fault."""
    strange = replace(targets()[0], command=command("no such target"))

    async def play() -> Start:
        async with running(strange, environment("http://127.0.0.1:9", tmp_path)) as server:
            assert not await server.until_event("listening", 30)
        return server.start

    seen = asyncio.run(play())
    assert seen.ended
    assert seen.listened_first is None
    assert "KeyError" in seen.log


def test_the_bootstrap_is_the_historical_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Skipped on two platforms and nowhere else, silent unless verbose, and False for every error."""
    import huggingface_hub

    calls: list[str] = []

    def download(*, repo_id: str, repo_type: str) -> str:
        calls.append(f"{repo_type} {repo_id}")
        raise OSError("no such host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    skipped: Sequence[dict[str, str]] = ({"RENDER": "1"}, {"RAILWAY_ENVIRONMENT": "production"})
    assert [legacy.bootstrap_local_llm_models(one) for one in skipped] == [True, True]
    assert not calls
    assert not legacy.bootstrap_local_llm_models({"HF_HUB_OFFLINE": "1", "CI": "1"})
    assert calls == [f"model {legacy.BOOTSTRAP_MODEL}"]
    assert capsys.readouterr().out == ""
    legacy.bootstrap_local_llm_models({"ALWRITY_VERBOSE": "true"})
    assert "no such host" in capsys.readouterr().out


def test_the_models_keep_their_proportion(tmp_path: Path) -> None:
    """The stand-ins are two to one, as 6.2 GB are to 3.1 GB, and whole models as far as files go."""
    from alwrity_checks.models.cache import is_complete

    assert SIZES[legacy.BOOTSTRAP_MODEL] == 2 * SIZES[legacy.AGENT_MODEL]
    assert all(is_complete(directory) for directory in write_models(tmp_path).values())


class Asked:
    """A server that notes in which order it is asked, and that keeps its health to itself."""

    def __init__(self) -> None:
        self.start = Start(moments=[Moment("listening", 0.1, {"port": 1})])
        self.asked: list[str] = []

    async def until(self, _holds: object, _seconds: float) -> bool:
        """Note a wait for what the server tells."""
        self.asked.append("told")
        return True

    async def until_event(self, _event: str, _seconds: float) -> bool:
        """Say that it listens."""
        return True

    async def ask(self, path: str, _event: str, _seconds: float) -> bool:
        """Note a request."""
        self.asked.append(path)
        return True

    async def kill(self) -> None:
        """Have nothing to end."""


def test_a_server_is_asked_before_its_download_has_failed() -> None:
    """When it answers is measured from its start: not from when somebody had the time to ask it."""
    server = Asked()
    asyncio.run(race_scenarios._told(server, Stage({}, Path(), 1.0, 1.0), re.compile("x")))  # type: ignore[arg-type]
    assert server.asked == ["/health", "told"]


def test_the_words_of_a_timeline_lie_within_it() -> None:
    """Two marks at the end of the axis have their names below each other, and not beyond the edge."""
    moments = [Moment("download-began", 0.05), Moment("download-troubled", 0.99), Moment("answered", 1.0)]
    drawn = ET.fromstring(timeline([("fixed", Start(moments=moments), Outcome.ABSENT)]))  # noqa: S314 - our own drawing
    words = [one for one in drawn.iter("{http://www.w3.org/2000/svg}text") if ", " in (one.text or "")]
    assert len({one.get("y") for one in words}) == len(words) == 2
    assert all(float(one.get("x", "0")) + 6.4 * len(one.text or "") <= 1120 for one in words)


def test_a_wait_is_drawn_for_as_long_as_it_was_watched() -> None:
    """A server that never answered waited until it was left, though nothing happened to it meanwhile."""
    held, quick = (
        Start(moments=[Moment("download-began", 0.1), Moment("watched", 2.6)]),
        Start(moments=[Moment("a", 0.1)]),
    )
    lanes = [("legacy", held, Outcome.REPRODUCED), ("fixed", quick, Outcome.ABSENT)]
    drawn = ET.fromstring(timeline(lanes))  # noqa: S314 - our own drawing
    (bar,) = (one for one in drawn.iter("{http://www.w3.org/2000/svg}rect") if one.get("class") == "deaf")
    assert float(bar.get("width", "0")) > 700


def test_the_race_as_pictures(played: StartupExperiment) -> None:
    """A scenario with a fault is a picture with a lane for each target: red while nobody is answered, then green."""
    first, *others = played.pictures()
    assert len(others) < 3
    assert isinstance(first, Lanes)
    assert (first.rule, first.issue, first.verdict) == ("STA001", 6, Verdict.FAIL)
    legacy, fixed = first.lanes
    assert legacy.name.startswith("legacy")
    assert legacy.name.endswith(": fail")
    assert fixed.name == "fixed: pass"
    assert [span.verdict for span in legacy.spans] == [Verdict.FAIL]
    assert fixed.spans[-1].verdict is Verdict.PASS
    answers = {lane.name: mark.at for lane in first.lanes for mark in lane.marks if mark.name == "answers"}
    assert answers[legacy.name] >= legacy.spans[-1].end > fixed.spans[0].start
    assert answers[fixed.name] < fixed.spans[-1].end
