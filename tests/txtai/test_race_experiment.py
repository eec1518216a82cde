"""The experiment of issue 3, carried out once: each fault where it is known to be, and nowhere else."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import MissingExtra
from alwrity_checks.model import Event, ExitCode, Outcome, TargetKind, Verdict
from alwrity_checks.pictures import Lanes
from alwrity_checks.txtai.experiment import TxtaiExperiment, experiment
from alwrity_checks.txtai.legacy.variant import LegacyVariant
from alwrity_checks.txtai.recorder import chrome_trace
from alwrity_checks.txtai.rules import RULES
from alwrity_checks.txtai.scenarios.catalogue import FAULTS, SCENARIOS
from alwrity_checks.txtai.scenarios.child import arguments
from alwrity_checks.txtai.scenarios.targets import target_named, targets
from alwrity_doctor.cli.race_view import chapters, counts, recordings, timelines
from alwrity_doctor.reproduction import reproduce
from tests.support.processes import ended

if TYPE_CHECKING:
    from alwrity_checks.model import Report
    from alwrity_checks.txtai.experiment import Played


class Recorder:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Remember `event`."""
        self.events.append(event)


@pytest.fixture(scope="module")
def race() -> TxtaiExperiment:
    """Return the experiment that many tests look at."""
    return experiment()


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """Return the observer of the one run."""
    return Recorder()


@pytest.fixture(scope="module")
def report(race: TxtaiExperiment, recorder: Recorder) -> Report:
    """Carry out the whole experiment once."""
    return asyncio.run(reproduce([race], recorder))


@pytest.fixture(scope="module")
def played(race: TxtaiExperiment, report: Report) -> list[Played]:
    """Return what was played."""
    assert report.observations
    return race.played


@pytest.mark.parametrize("variant", LegacyVariant)
def test_each_state_has_its_faults(variant: LegacyVariant, report: Report) -> None:
    """A historical state shows the faults that were measured on it, and no other."""
    shown = {
        one.rule.code
        for one in report.observations
        if one.target.variant == variant and one.outcome is Outcome.REPRODUCED
    }
    assert shown == FAULTS[variant]


def test_component_has_none_of_them(report: Report) -> None:
    """Every scenario came to an outcome on the component, and the outcome is that the fault is absent."""
    seen = {
        one.rule.code: (one.outcome, one.message) for one in report.observations if one.target.kind is TargetKind.FIXED
    }
    assert {code: told for code, told in seen.items() if told[0] is not Outcome.ABSENT} == {}
    assert set(seen) == {scenario.code for scenario in SCENARIOS}
    assert {result.verdict for result in report.results} == {Verdict.PASS}
    assert report.exit_code is ExitCode.HEALTHY


def test_documents_are_counted(played: list[Played]) -> None:
    """The table has the numbers of the real service: five accepted and none found, ten accepted and five found."""
    counted = {(one.scenario.code, str(one.target)): (one.accepted, one.found) for one in played}
    assert counted["TXT004", "legacy HEAD"] == (5, 0)
    assert counted["TXT004", "fixed"] == (5, 5)
    assert counted["TXT005", "legacy 8c2d88ef"] == (10, 5)
    assert counted["TXT006", "legacy HEAD"] == (10, 5)
    assert counted["TXT006", "fixed"] == (10, 10)
    accepted, found = counted["TXT012", "fixed"]
    assert accepted == found > 100


def test_observations_are_told_as_they_are_made(report: Report, recorder: Recorder) -> None:
    """An observer hears each observation under the name of its target."""
    heard = [event.observation for event in recorder.events if event.kind == "observed"]
    assert tuple(heard) == report.observations
    assert {event.name for event in recorder.events} == {f"experiment 3: {target}" for target in targets()}


def test_double_initialisation_can_be_seen(played: list[Played]) -> None:
    """In the recording of the faulty run the save is on another object; the sound run has no fault."""
    faulty, sound = (
        next(one for one in played if one.scenario.code == "TXT004" and str(one.target) == name).telling.recording
        for name in ("legacy HEAD", "fixed")
    )
    assert faulty
    assert sound
    writes = [span for span in faulty.spans if span.name in {"upsert", "save"}]
    assert writes[0].subject != writes[-1].subject
    assert {"background", "event loop"} < set(faulty.threads)
    assert f"saves {writes[-1].subject}, not {writes[0].subject}" in {mark.name for mark in faulty.marks if mark.fault}
    assert not any(mark.fault for mark in sound.marks)
    assert any(span.name == "applying" for span in sound.spans)


def test_picture_shows_faulty_above_sound(played: list[Played]) -> None:
    """The page begins with the double initialisation; in each chapter the legacy run stands above the component's."""
    made = chapters(played)
    assert made[0].title.startswith("TXT004")
    for chapter in made:
        titles = [recording.title for recording, _, _ in chapter.recordings]
        assert len(titles) == 2, chapter.title
        assert titles[0].startswith("legacy")
        assert titles[1] == "fixed"
        assert [faulty for _, _, faulty in chapter.recordings] == [True, False]


def test_trace_has_both_runs(played: list[Played]) -> None:
    """Each run is a process of the trace, named by its rule and target, and documents flow in the component's."""
    events = chrome_trace(recordings(played))["traceEvents"]
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert {"TXT004 double-init-loss: legacy HEAD", "TXT004 double-init-loss: fixed"} <= names
    assert any(event["ph"] == "s" for event in events)


def test_what_was_counted_is_a_table(played: list[Played]) -> None:
    """It has a line for each scenario, and says how often, and what was lost."""
    table = counts(played)
    assert [row[0].split()[0] for row in table.rows] == sorted(scenario.code for scenario in SCENARIOS)
    assert any("1/1  5>0" in row for row in table.rows)


def test_the_terminal_shows_timelines(played: list[Played]) -> None:
    """They end with what a restart found."""
    text = timelines(played, colour=False, width=120)
    assert "legacy HEAD, in time" in text
    assert "restarted: 0 of 5 found" in text
    assert "restarted: 5 of 5 found" in text


def test_every_scenario_has_a_rule_and_every_race_rule_a_scenario() -> None:
    """The rules that the race shows are those whose validation is the race."""
    racing = {rule.code for rule in RULES if rule.validation == "alwrity-doctor txtai race"}
    assert {scenario.code for scenario in SCENARIOS} == racing == set().union(*FAULTS.values())


def test_trials_are_added_up() -> None:
    """Several trials are one observation: how often, and how many documents in all."""
    race = TxtaiExperiment(trials=3, chosen=[target_named("legacy HEAD")], codes={"TXT004"})
    (observation,) = asyncio.run(race.run(race.targets()[0], Recorder()))
    facts = {one.label: one.value for one in observation.evidence}
    assert facts["trials"] == "reproduced in 3 of 3"
    assert facts["documents"] == "15 accepted, 0 found"


def test_fault_that_does_not_show_by_chance_is_open() -> None:
    """With nothing forced, a legacy state on which no fault was seen is `unknown`, and what was lost is counted."""
    race = TxtaiExperiment(trials=2, chosen=[target_named("legacy 7e4adce5")], free=True)
    seen = {one.rule.code: one.outcome for one in asyncio.run(race.run(race.targets()[0], Recorder()))}
    assert seen == {
        "TXT001": Outcome.UNKNOWN,
        "TXT002": Outcome.UNKNOWN,
        "TXT005": Outcome.REPRODUCED,
        "TXT006": Outcome.REPRODUCED,
    }


def test_process_that_dies_leaves_its_scenario_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ends in the middle makes its scenario unknown; the next one is played in another child."""
    race = TxtaiExperiment(chosen=[target_named("legacy 7e4adce5")], codes={"TXT003", "TXT005"})
    starts: list[tuple[str, ...]] = []

    def first_dies(act: str, *words: str) -> list[str]:
        starts.append(words)
        command = arguments(act, *words)
        return [command[0], "-c", "import os; os.abort()"] if len(starts) == 1 else command

    monkeypatch.setattr("alwrity_checks.txtai.scenarios.child.arguments", first_dies)
    died, played = asyncio.run(race.run(race.targets()[0], Recorder()))
    assert (died.rule.code, died.outcome) == ("TXT003", Outcome.UNKNOWN)
    assert "ended with -6" in died.message
    assert (played.rule.code, played.outcome) == ("TXT005", Outcome.REPRODUCED)


def test_without_txtai_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra says so, with the command that changes it, before a child is started."""
    monkeypatch.setattr("alwrity_checks.txtai.experiment.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"\[txtai\]"):
        asyncio.run(experiment().run(targets()[0], Recorder()))


def test_interrupted_race_leaves_no_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cancelled while a scenario plays, the experiment ends its child, and what that has started, before it goes."""
    program = (
        "import json, subprocess, sys, time; "
        "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(one.pid)); "
        "print(json.dumps({'begins': 'TXT001'}), flush=True); time.sleep(60)"
    )
    monkeypatch.setattr("alwrity_checks.txtai.scenarios.child.arguments", lambda *_: [sys.executable, "-c", program])

    async def interrupted() -> None:
        race = TxtaiExperiment(chosen=[target_named("fixed")])
        playing = asyncio.Event()

        class Waiting(Recorder):
            def notify(self, event: Event) -> None:
                super().notify(event)
                playing.set()

        task = asyncio.ensure_future(race.run(race.targets()[0], Waiting()))
        await playing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert ended(int((tmp_path / "pid").read_text())), "what the child had started goes on"


def test_variants_have_recordings_of_their_own_name(played: list[Played]) -> None:
    """A recording is titled by its target."""
    for one in played:
        for seen in one.trials:
            assert seen.recording is None or seen.recording == replace(seen.recording, title=str(one.target))


def test_the_race_is_in_the_report_as_swim_lanes(report: Report) -> None:
    """The faulty run above the sound one, on one axis: threads, what was done to which object, and the loss marked."""
    legacy, fixed = report.pictures
    assert isinstance(legacy, Lanes)
    assert isinstance(fixed, Lanes)
    assert (legacy.rule, legacy.issue, legacy.verdict) == ("TXT004", 3, Verdict.FAIL)
    assert fixed.verdict is Verdict.PASS
    assert legacy.until == fixed.until >= max(span.end for lane in legacy.lanes for span in lane.spans)
    subjects = {span.subject for lane in legacy.lanes for span in lane.spans}
    assert {"Embeddings 1", "Embeddings 2"} <= subjects
    assert [mark.name for lane in legacy.lanes for mark in lane.marks if mark.verdict is Verdict.FAIL]
    assert not [mark.name for lane in fixed.lanes for mark in lane.marks if mark.verdict is Verdict.FAIL]
    assert any(span.held for lane in legacy.lanes for span in lane.spans)
