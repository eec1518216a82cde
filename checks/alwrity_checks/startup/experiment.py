"""The experiment of issue 6: the historical bootstrap, the component and a checkout, before the same hub.

The hub is on this machine and the client of huggingface_hub is the real one; the models are random bytes. What decides
is the order in which things happen, never how long they take.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck, MissingExtra
from alwrity_checks.model import Event, Observation, Outcome, Target, TargetKind
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.conversation import play
from alwrity_checks.sandbox.target import CheckoutTarget
from alwrity_checks.startup.race import Start, environment, running
from alwrity_checks.startup.race_hub import write_models
from alwrity_checks.startup.race_scenarios import SCENARIOS, Scenario, Seen, Stage
from alwrity_checks.startup.race_targets import StartTarget, command, targets
from alwrity_checks.startup.rules import rule

if TYPE_CHECKING:
    from alwrity_checks.model import Evidence, Observer
    from alwrity_checks.pictures import Picture

__all__ = ["SCENARIOS", "Played", "StartupExperiment", "experiment"]

_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario on a target, and what it showed."""

    target: StartTarget | CheckoutTarget
    scenario: Scenario
    seen: Seen
    more: tuple[Evidence, ...] = ()
    """What is known of it beside what the scenario saw."""

    @property
    def observation(self) -> Observation:
        """What it says of the rule."""
        return Observation(
            rule(self.scenario.code),
            self.target.target,
            self.scenario.title,
            self.seen.outcome,
            self.seen.message,
            (*self.seen.evidence, *self.more),
        )


class StartupExperiment:
    """Says of each rule and target whether the fault is reproduced, absent or unknown."""

    issue = 6

    def __init__(
        self,
        *,
        seconds: float = 3.0,
        chosen: Sequence[StartTarget | CheckoutTarget] | None = None,
        scenarios: Collection[str] | None = None,
    ) -> None:
        """Let the hub take `seconds` for the larger model; do it to `chosen` (None: all), in the named `scenarios`."""
        self._seconds = seconds
        self._targets: tuple[StartTarget | CheckoutTarget, ...] = tuple(targets() if chosen is None else chosen)
        self._scenarios = tuple(one for one in SCENARIOS if scenarios is None or one.name in scenarios)
        self._bare: float | None = None
        self.played: list[Played] = []
        """Everything so far, for whoever draws it."""

    @property
    def bare(self) -> float | None:
        """Seconds in which the same server without models answered; None before the first run."""
        return self._bare

    def pictures(self) -> tuple[Picture, ...]:
        """Return who answered when, as far as it was played."""
        from alwrity_checks.startup.pictured import race_pictures

        return race_pictures(self.played)

    def targets(self) -> Sequence[StartTarget | CheckoutTarget]:
        """Return what it is done to."""
        return self._targets

    async def run(self, target: StartTarget | CheckoutTarget, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario; one that raises is `unknown`, and the others go on.

        Raises MissingExtra: without huggingface_hub there is nothing to block a start with. Raises CannotCheck where
        not even the server without models comes up, and of a checkout that cannot be driven.
        """
        if isinstance(target, CheckoutTarget):
            return await self._put_through(target, observer)
        if not find_spec("huggingface_hub"):
            raise MissingExtra("models", "the experiment of issue 6")
        name = f"experiment {self.issue}: {target}"
        observations = []
        with tempfile.TemporaryDirectory(prefix="alwrity-startup-", ignore_cleanup_errors=True) as directory:
            models = write_models(Path(directory) / "models")
            if self._bare is None:
                self._bare = await bare_start(Path(directory) / "bare")
            for number, scenario in enumerate(self._scenarios):
                observer.notify(Event("progress", name, scenario.title))
                own = Path(directory) / f"{number}"
                own.mkdir()
                seen = await _seen(target, scenario, Stage(models, own, self._seconds, self._bare))
                self.played.append(Played(target, scenario, seen))
                observation = self.played[-1].observation
                observations.append(observation)
                observer.notify(Event("observed", name, observation.message, observation=observation))
        return tuple(observations)

    async def _put_through(self, target: CheckoutTarget, observer: Observer) -> Sequence[Observation]:
        """Have a checkout's own start script started, in its interpreter."""
        name = f"experiment {self.issue}: {target}"
        plan = {
            **target.sandbox.plan,
            **await asyncio.to_thread(_named_in, target.sandbox.backend),
            "names": [one.name for one in self._scenarios],
            "seconds": self._seconds,
        }
        target = await replace(target, sandbox=replace(target.sandbox, plan=plan)).met()
        observations = []
        numbers = range(len(self._scenarios))
        silence = target.silence + 4 * self._seconds
        async for shown in play(target.sandbox, numbers, silence):
            scenario = self._scenarios[shown.number]
            if shown.outcome is None:
                observer.notify(Event("progress", name, scenario.title))
                continue
            start = Start.from_json(told) if (told := shown.line.get("start")) else None
            seen = Seen(shown.outcome, shown.message, start)
            self.played.append(Played(target, scenario, seen, (*shown.evidence, *target.facts)))
            observation = self.played[-1].observation
            observations.append(observation)
            observer.notify(Event("observed", name, observation.message, observation=observation))
        return tuple(observations)


def _named_in(backend: Path) -> dict[str, object]:
    """Return what a checkout's source says of its models: the agents', all that are used, who fetches one ahead."""
    from alwrity_checks.models.source import Use, scan_source

    scan = scan_source(backend)
    agents = scan.models(Use.GENERATION)
    return {
        "agent": next(iter(agents), ""),
        "used": [*agents, *scan.models(Use.EMBEDDINGS)],
        "fetchers": [one.place for one in scan.namings if one.live and one.use is Use.DOWNLOAD],
    }


async def bare_start(directory: Path) -> float:
    """Return the seconds in which the server without models answers. Raises CannotCheck where it does not."""
    bare = StartTarget("bare", Target(TargetKind.FIXED), (), command("bare"))
    async with running(bare, environment("http://127.0.0.1:9", directory)) as server:
        if await server.until_event("listening", _PATIENCE) and await server.ask("/health", "answered", _PATIENCE):
            return server.start.at("answered") or 0.0
    raise CannotCheck(
        f"the server without models does not come up: {server.start.log[-300:].strip()}",
        "see why: python -m alwrity_checks.startup.serve bare",
    )


async def _seen(target: StartTarget, scenario: Scenario, stage: Stage) -> Seen:
    try:
        return await scenario.play(target, stage)
    except Exception as error:  # noqa: BLE001 - the other scenarios go on
        told = f"the scenario raised {type(error).__name__}: {scrub(str(error))[:200]}"
        return Seen(Outcome.UNKNOWN, told)


def experiment() -> StartupExperiment:
    """Return the experiment of issue 6."""
    return StartupExperiment()
