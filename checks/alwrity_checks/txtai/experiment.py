"""The experiment of issue 3: the historical service and the component, put through the same scenarios.

Each target plays in a process of its own, because the faults include the death of the interpreter. Nothing is
contacted, and no model is needed: the vectors are made from hashes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck, MissingExtra
from alwrity_checks.model import Event, Evidence, Observation, Outcome, TargetKind
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.conversation import evidence_from, lines, meet
from alwrity_checks.txtai.rules import rule
from alwrity_checks.txtai.scenarios import free as free_running
from alwrity_checks.txtai.scenarios.backend import MODULES, BackendTarget
from alwrity_checks.txtai.scenarios.catalogue import SCENARIOS
from alwrity_checks.txtai.scenarios.child import launched
from alwrity_checks.txtai.scenarios.scenario import Scenario, Seen
from alwrity_checks.txtai.scenarios.targets import Contender, targets
from alwrity_checks.txtai.scenarios.trial import seen_from

if TYPE_CHECKING:
    from alwrity_checks.model import Observer
    from alwrity_checks.pictures import Picture
    from alwrity_checks.sandbox.sandbox import Launch

__all__ = ["SCENARIOS", "Played", "TxtaiExperiment", "experiment"]

_SILENCE: Final = 180.0
"""Seconds without a word from the child, after which it is taken to hang: the longest scenario takes a minute."""
_TRY: Final = "see whether it starts without this program, in the backend's directory: {} -c 'import {}'"
_WEIGHT: Final = (Outcome.REPRODUCED, Outcome.UNKNOWN, Outcome.ABSENT)
"""Of several trials the first of these that any came to."""


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario on a target, with what each trial showed."""

    target: Contender
    scenario: Scenario
    trials: tuple[Seen, ...]

    @property
    def telling(self) -> Seen:
        """The trial that decides: one fault is a fault."""
        return min(self.trials, key=lambda seen: _WEIGHT.index(seen.outcome))

    @property
    def reproduced(self) -> int:
        """In how many trials the fault showed."""
        return sum(seen.outcome is Outcome.REPRODUCED for seen in self.trials)

    @property
    def accepted(self) -> int:
        """How many documents were accepted, in all trials."""
        return sum(seen.accepted for seen in self.trials)

    @property
    def found(self) -> int:
        """How many of those were found after a restart."""
        return sum(seen.found for seen in self.trials)

    @property
    def observation(self) -> Observation:
        """What it says of the rule."""
        seen = self.telling
        counted = [Evidence("trials", f"reproduced in {self.reproduced} of {len(self.trials)}")]
        if self.accepted:
            counted.append(Evidence("documents", f"{self.accepted} accepted, {self.found} found"))
        evidence = (*seen.evidence, *counted, *self.target.facts)
        code, title = self.scenario.code, self.scenario.title
        return Observation(rule(code), self.target.target, title, seen.outcome, seen.message, evidence)


class TxtaiExperiment:
    """Says of each rule and target whether the fault is reproduced, absent or unknown."""

    issue = 3

    def __init__(
        self,
        *,
        trials: int = 1,
        chosen: Sequence[Contender] | None = None,
        codes: Collection[str] | None = None,
        free: bool = False,
    ) -> None:
        """Play each scenario `trials` times on each of the `chosen` targets, on all of them if None.

        `codes` are the rules whose scenarios are played, all if None. With `free` nothing is forced: then a fault that
        does not show on the legacy service is `unknown`.
        """
        self.played: list[Played] = []
        """What was played so far."""
        self._trials = trials
        self._targets = tuple(targets() if chosen is None else chosen)
        self._free = free
        scenarios = free_running.SCENARIOS if free else SCENARIOS
        self._scenarios = tuple(one for one in scenarios if codes is None or one.code in codes)

    def pictures(self) -> tuple[Picture, ...]:
        """Return what was played so far as swim lanes."""
        from alwrity_checks.txtai.pictured import race_pictures

        return race_pictures(self.played)

    def targets(self) -> Sequence[Contender]:
        """Return the service in each of its states, and the component; or those that were chosen."""
        return self._targets

    async def run(self, target: Contender, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario; one that fails is `unknown`, and the others go on.

        Takes some ten seconds. Raises MissingExtra without txtai, and CannotCheck of a checkout that cannot be driven.
        """
        if isinstance(target, BackendTarget):
            target = await self._met(target)
        elif any(find_spec(name) is None for name in ("txtai", "faiss")):
            raise MissingExtra("txtai", "the experiment of issue 3")
        name = f"experiment {self.issue}: {target}"
        remaining = list(self._scenarios)
        observations = []
        while remaining:
            trials: list[Seen] = []
            ended = ""
            plan = {"codes": [scenario.code for scenario in remaining], "trials": self._trials, "free": self._free}
            with _launched(target, "play", json.dumps(plan)) as launch:
                async for line in lines(launch, _SILENCE):
                    if "begins" in line and not trials:
                        observer.notify(Event("progress", name, remaining[0].title))
                    if "seen" in line:
                        trials.append(_scrubbed(seen_from(line["seen"])))
                    if len(trials) == self._trials:
                        observations.append(self._observed(target, remaining.pop(0), trials, observer))
                        trials = []
                    ended = line.get("ended", "")
            if remaining:
                # The child ended before its last scenario: that one is open, and the others go on in another child.
                message = f"the process of the scenario ended {ended}"
                trials.append(Seen(Outcome.UNKNOWN, message))
                observations.append(self._observed(target, remaining.pop(0), trials, observer))
        return tuple(observations)

    def _observed(
        self, target: Contender, scenario: Scenario, trials: Sequence[Seen], observer: Observer
    ) -> Observation:
        titled = tuple(
            replace(seen, recording=replace(seen.recording, title=str(target))) if seen.recording else seen
            for seen in trials
        )
        played = Played(target, scenario, titled)
        self.played.append(played)
        observation = played.observation
        if self._free and target.target.kind is not TargetKind.FIXED and observation.outcome is Outcome.ABSENT:
            message = f"did not show in {len(trials)} trials; the order was left to chance"
            observation = replace(observation, outcome=Outcome.UNKNOWN, message=message)
        observer.notify(
            Event("observed", f"experiment {self.issue}: {target}", observation.message, observation=observation)
        )
        return observation

    async def _met(self, target: BackendTarget) -> BackendTarget:
        """Return the checkout's service with what is known of it, once it has stored and found a document.

        Raises CannotCheck, with what hinders it.
        """
        if target.obstacle is not None:
            raise target.obstacle
        meeting = await meet(target.sandbox, target.patience, "service")
        if not meeting.hindrance:
            driven_by = Evidence("driven by", ", ".join(filter(None, (str(target.interpreter), target.note))))
            return replace(target, facts=(driven_by, *meeting.facts))
        if target.lean and meeting.heavier:
            # An older txtai, or the service itself, needs what is left out to save time.
            return await self._met(replace(target, lean=False))
        raise CannotCheck(meeting.hindrance, _TRY.format(target.interpreter, MODULES[0][1]))


def _scrubbed(seen: Seen) -> Seen:
    """Scrub what a child said: it does not know which secrets this process has wrapped."""
    evidence = evidence_from((one.label, one.value) for one in seen.evidence)
    return replace(seen, message=scrub(seen.message), evidence=evidence)


@contextmanager
def _launched(target: Contender, act: str, *words: str) -> Iterator[Launch]:
    if isinstance(target, BackendTarget):
        with target.sandbox.launched(act, *words) as launch:
            yield launch
    else:
        with launched(act, target, *words) as launch:
            yield launch


def experiment() -> TxtaiExperiment:
    """Return the experiment of issue 3."""
    return TxtaiExperiment()
