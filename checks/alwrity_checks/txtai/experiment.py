"""The experiment of issue 3: the historical service and the component, put through the same scenarios.

Each target plays in a process of its own, because the faults include the death of the interpreter. Nothing is
contacted, and no model is needed: the vectors are made from hashes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import MissingExtra
from alwrity_checks.model import Event, Evidence, Observation, Outcome, TargetKind
from alwrity_checks.txtai.rules import rule
from alwrity_checks.txtai.scenarios import free as free_running
from alwrity_checks.txtai.scenarios.catalogue import SCENARIOS
from alwrity_checks.txtai.scenarios.child import arguments, environment
from alwrity_checks.txtai.scenarios.scenario import Scenario, Seen
from alwrity_checks.txtai.scenarios.targets import TxtaiTarget, targets
from alwrity_checks.txtai.scenarios.trial import seen_from

if TYPE_CHECKING:
    from alwrity_checks.model import Observer

__all__ = ["SCENARIOS", "Played", "TxtaiExperiment", "experiment"]

_LONGEST_LINE: Final = 1 << 24
"""Bytes; a recording is one line."""
_SILENCE: Final = 180.0
"""Seconds without a word from the child, after which it is taken to hang: the longest scenario takes a minute."""
_WEIGHT: Final = (Outcome.REPRODUCED, Outcome.UNKNOWN, Outcome.ABSENT)
"""Of several trials the first of these that any came to."""


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario on a target, with what each trial showed."""

    target: TxtaiTarget
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
        chosen: Sequence[TxtaiTarget] | None = None,
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

    def targets(self) -> Sequence[TxtaiTarget]:
        """Return the service in each of its states, and the component; or those that were chosen."""
        return self._targets

    async def run(self, target: TxtaiTarget, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario; one that fails is `unknown`, and the others go on.

        Takes some ten seconds. Raises MissingExtra without txtai.
        """
        if any(find_spec(name) is None for name in ("txtai", "faiss")):
            raise MissingExtra("txtai", "the experiment of issue 3")
        name = f"experiment {self.issue}: {target}"
        remaining = list(self._scenarios)
        observations = []
        while remaining:
            trials: list[Seen] = []
            ended = ""
            async for line in self._lines(target, remaining):
                if "begins" in line and not trials:
                    observer.notify(Event("progress", name, remaining[0].title))
                if "seen" in line:
                    trials.append(seen_from(line["seen"]))
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
        self, target: TxtaiTarget, scenario: Scenario, trials: Sequence[Seen], observer: Observer
    ) -> Observation:
        titled = tuple(
            replace(seen, recording=replace(seen.recording, title=str(target))) if seen.recording else seen
            for seen in trials
        )
        played = Played(target, scenario, titled)
        self.played.append(played)
        observation = played.observation
        if self._free and target.target.kind is TargetKind.LEGACY and observation.outcome is Outcome.ABSENT:
            message = f"did not show in {len(trials)} trials; the order was left to chance"
            observation = replace(observation, outcome=Outcome.UNKNOWN, message=message)
        observer.notify(
            Event("observed", f"experiment {self.issue}: {target}", observation.message, observation=observation)
        )
        return observation

    async def _lines(self, target: TxtaiTarget, scenarios: Sequence[Scenario]) -> AsyncIterator[dict[str, Any]]:
        """Yield what the child says, and at last how it `ended`."""
        plan = json.dumps(
            {"codes": [scenario.code for scenario in scenarios], "trials": self._trials, "free": self._free}
        )
        child = await asyncio.create_subprocess_exec(
            *arguments("play", str(target), plan),
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None  # noqa: S101 - asked for above
            while line := await asyncio.wait_for(child.stdout.readline(), _SILENCE):
                yield json.loads(line)
            yield {"ended": f"with {await child.wait()}"}
        except TimeoutError:
            yield {"ended": f"after {_SILENCE:.0f} s of silence"}
        finally:
            if child.returncode is None:
                _kill(child)
                await child.wait()


def _kill(child: asyncio.subprocess.Process) -> None:
    """Kill a child with its own children, among which one may hang for ever."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()


def experiment() -> TxtaiExperiment:
    """Return the experiment of issue 3."""
    return TxtaiExperiment()
