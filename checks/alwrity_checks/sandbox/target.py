"""A module of the user's checkout as a target: seen from our own process, it plays in the user's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Event, Evidence, Observation, Target, TargetKind
from alwrity_checks.sandbox.conversation import meet, play

if TYPE_CHECKING:
    from alwrity_checks.model import Observer, Rule
    from alwrity_checks.sandbox.sandbox import Sandbox

__all__ = ["CheckoutTarget", "put_through"]

_TRY: Final = "see whether it starts without this program, in the backend's directory: {} -c 'import {}'"
_PATIENCE: Final = 120.0
_SILENCE: Final = 180.0


@dataclass(frozen=True, slots=True)
class CheckoutTarget:
    """One module of the checkout."""

    sandbox: Sandbox
    module: str
    """Its dotted name, for messages."""
    note: str = ""
    """Whose interpreter the sandbox has, and why this one."""
    obstacle: CannotCheck | None = None
    """What hinders it from being driven, if that is known already."""
    elsewhere: str = ""
    """Where the checkout has what is looked for in the module, if it is known to be moved."""
    facts: tuple[Evidence, ...] = ()
    """What it runs on, once it was met."""
    patience: float = _PATIENCE
    """Seconds for the first import; what takes longer is taken to hang."""
    silence: float = _SILENCE
    """Seconds without a word from the process during the scenarios, after which it is taken to hang."""

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.sandbox.backend))

    async def met(self) -> CheckoutTarget:
        """Return it with what it runs on, once its driver has met it. Raises CannotCheck, with what hinders it."""
        if self.obstacle is not None:
            raise self.obstacle
        meeting = await meet(self.sandbox, self.patience)
        if meeting.hindrance:
            hindrance = "; ".join(filter(None, (meeting.hindrance, self.elsewhere)))
            raise CannotCheck(hindrance, meeting.remedy or _TRY.format(self.sandbox.interpreter, self.module))
        driven_by = Evidence("driven by", ", ".join(filter(None, (str(self.sandbox.interpreter), self.note))))
        return replace(self, facts=(driven_by, *meeting.facts))

    def __str__(self) -> str:
        return str(self.target)


async def put_through(  # noqa: PLR0913 - what is played, on what, and who hears of it
    target: CheckoutTarget,
    scenarios: Sequence[tuple[Rule, str]],
    observer: Observer,
    *,
    name: str,
    numbers: Sequence[int] | None = None,
    heard: Callable[[Observation, Mapping[str, Any]], None] | None = None,
) -> tuple[Observation, ...]:
    """Have the target's driver play scenarios, known by their place in `scenarios` (rule and title).

    Only those of `numbers`, where that is given. `heard` is handed what a driver said of each, beside the observation:
    anybody's code may have had a hand in it. `name` is the experiment's, for the events. A scenario in which the
    process dies or hangs is `unknown`, with how it ended. Raises CannotCheck where the module cannot be driven at all.
    """
    target = await target.met()
    observations = []
    chosen = range(len(scenarios)) if numbers is None else numbers
    async with aclosing(play(target.sandbox, chosen, target.silence)) as played:
        async for shown in played:
            rule, title = scenarios[shown.number]
            if shown.outcome is None:
                observer.notify(Event("progress", name, title))
                continue
            evidence = (*shown.evidence, *target.facts)
            observation = Observation(rule, target.target, title, shown.outcome, shown.message, evidence)
            observations.append(observation)
            if heard is not None:
                heard(observation, shown.line)
            observer.notify(Event("observed", name, observation.message, observation=observation))
    return tuple(observations)
