"""Experiments in, one Report out: each fault shows on its model, and is absent from what we ship."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from alwrity_checks.errors import CannotCheck, DoctorError, MissingExtra
from alwrity_checks.model import (
    CheckResult,
    Event,
    Evidence,
    Finding,
    Observation,
    Outcome,
    Report,
    Target,
    TargetKind,
    Verdict,
)
from alwrity_checks.redaction import scrub
from alwrity_doctor import __version__
from alwrity_doctor.facts import environment
from alwrity_doctor.foreign import in_one_line, traceback_of
from alwrity_doctor.interruption import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from alwrity_checks.model import Observer, Rule
    from alwrity_checks.pictures import Picture

__all__ = ["Pictured", "Reproducible", "Undriven", "WithBackend", "judge", "reproduce"]

T = TypeVar("T")


@runtime_checkable
class Pictured(Protocol):
    """An experiment that can be seen."""

    def pictures(self) -> tuple[Picture, ...]:
        """Return what was done so far as pictures."""


class Reproducible(Protocol[T]):
    """An experiment that knows what it is done to. A target's `str` names it in the output."""

    @property
    def issue(self) -> int:
        """The entry of the tracker it reproduces."""

    def targets(self) -> Sequence[T]:
        """Return what it is done to: at least one legacy and one fixed target."""

    async def run(self, target: T, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario."""


@dataclass(frozen=True, slots=True)
class Undriven:
    """The user's checkout, where nobody can put its modules through the experiment yet."""

    issue: int

    def __str__(self) -> str:
        return str(Target(TargetKind.BACKEND))


class WithBackend:
    """An experiment that is done to the user's checkout as well."""

    def __init__(self, experiment: Reproducible[Any], backend: object) -> None:
        """Take the experiment's target for the checkout, or `Undriven`."""
        self.issue = experiment.issue
        self._experiment = experiment
        self._backend = backend

    def pictures(self) -> tuple[Picture, ...]:
        """Return the experiment's pictures."""
        return _pictures(self._experiment)

    def targets(self) -> Sequence[Any]:
        """Return the experiment's own targets, then the checkout."""
        return (*self._experiment.targets(), self._backend)

    async def run(self, target: Any, observer: Observer) -> Sequence[Observation]:  # noqa: ANN401 - the experiment's T
        """Put `target` through every scenario. Raises CannotCheck where there is no driver for the checkout."""
        if isinstance(target, Undriven):
            raise CannotCheck(
                f"the checkout was left out: issue {target.issue} has no driver for it yet",
                f"name the issues that have one, or leave --backend out: alwrity-doctor reproduce {target.issue}",
            )
        return await self._experiment.run(target, observer)


async def reproduce(
    experiments: Iterable[Reproducible[Any]],
    observer: Observer,
    *,
    command: str = "reproduce",
    judged: Callable[[Sequence[Observation]], tuple[CheckResult, ...]] | None = None,
) -> Report:
    """Carry out `experiments`, one target after the other so that none disturbs another's timings, and judge each rule.

    `judged` makes the results of what was observed; None for `judge`.

    A target on which an experiment raises is a result of its own, `unknown`; an experiment without the extra that it
    needs is one, `skip`, and only a checkout, which has an environment of its own, is put through it all the same.
    Raises `Interrupted`, with the report of what was observed so far, when it is cancelled.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    observations: list[Observation] = []
    broken: list[CheckResult] = []
    carried_out: list[Reproducible[Any]] = []

    def report() -> Report:
        return Report(
            command=command,
            version=__version__,
            started=started,
            duration=timedelta(seconds=time.monotonic() - clock),
            results=(*(judged or judge)(observations), *broken),
            observations=tuple(observations),
            environment=environment(),
            pictures=tuple(picture for one in carried_out for picture in _pictures(one)),
        )

    try:
        for experiment in experiments:
            carried_out.append(experiment)
            skipped: CheckResult | None = None
            for target in experiment.targets():
                if skipped is not None and not _is_checkout(target):
                    continue  # it needs the extra too; a checkout has an environment of its own
                name = f"experiment {experiment.issue}: {target}"
                observer.notify(Event("started", name))
                clock_of_target = time.monotonic()
                result = None
                try:
                    observations.extend(await experiment.run(target, observer))
                except MissingExtra as error:
                    if skipped is None:
                        skipped = result = _skipped(f"experiment {experiment.issue}", experiment.issue, error)
                        broken.append(skipped)
                except Exception as error:  # noqa: BLE001 - the other targets go on
                    duration = timedelta(seconds=time.monotonic() - clock_of_target)
                    result = _raised(name, experiment.issue, error, duration)
                    broken.append(result)
                observer.notify(Event("finished", name, result=result))
    except asyncio.CancelledError:
        raise Interrupted(report()) from None
    return report()


def _pictures(experiment: Reproducible[Any]) -> tuple[Picture, ...]:
    return experiment.pictures() if isinstance(experiment, Pictured) else ()


def _is_checkout(target: object) -> bool:
    described = getattr(target, "target", None)
    return isinstance(described, Target) and described.kind is TargetKind.BACKEND


def judge(observations: Iterable[Observation]) -> tuple[CheckResult, ...]:
    """Return a result per rule, in the order of the codes.

    `pass`: the fault shows on at least one legacy variant and on nothing else. `fail`: it shows on the fixed component
    or the user's backend, or no legacy model shows it any longer, which makes its absence elsewhere worthless.
    `unknown`: what was observed does not decide it.
    """
    by_rule: dict[str, list[Observation]] = {}
    for one in observations:
        by_rule.setdefault(one.rule.code, []).append(one)
    return tuple(_judge(by_rule[code]) for code in sorted(by_rule))


def _judge(seen: Sequence[Observation]) -> CheckResult:
    rule = seen[0].rule
    legacy = [one for one in seen if one.target.kind is TargetKind.LEGACY]
    shipped = [one for one in seen if one.target.kind is not TargetKind.LEGACY]
    if faulty := [one for one in shipped if one.outcome is Outcome.REPRODUCED]:
        return _result(rule, Verdict.FAIL, findings=tuple(_finding(one) for one in faulty))
    shown = [one for one in legacy if one.outcome is Outcome.REPRODUCED]
    undecided = [one for one in (shipped if shown else (*shipped, *legacy)) if one.outcome is Outcome.UNKNOWN]
    if undecided:
        first = undecided[0]
        return _result(rule, Verdict.UNKNOWN, f"{first.target}, {first.scenario}: {first.message}")
    for kind in (TargetKind.LEGACY, TargetKind.FIXED):
        if not any(one.target.kind is kind for one in seen):
            return _result(rule, Verdict.UNKNOWN, f"no {kind} target was observed")
    if not shown:
        message = f"the model no longer shows the fault: {_variants(legacy)}"
        return _result(rule, Verdict.FAIL, findings=(Finding(rule, message, legacy[0].evidence),))
    return _result(rule, Verdict.PASS, f"reproduced on {_variants(shown)}; absent from {_variants(shipped)}")


def _result(rule: Rule, verdict: Verdict, reason: str = "", findings: tuple[Finding, ...] = ()) -> CheckResult:
    remedy = rule.reproduction if verdict is Verdict.UNKNOWN else ""
    return CheckResult(rule.code, rule.title, rule.issue, verdict, findings, reason=reason, remedy=remedy)


def _finding(observation: Observation) -> Finding:
    rule = observation.rule
    if observation.target.kind is TargetKind.BACKEND:
        # What validates the component says nothing of a checkout.
        rule = replace(rule, validation=f"alwrity-doctor reproduce {rule.issue} --backend DIR")
    return Finding(
        rule,
        f"reproduced on {observation.target}: {observation.message}",
        (Evidence("scenario", observation.scenario), *observation.evidence),
    )


def _variants(observations: Sequence[Observation]) -> str:
    return ", ".join(dict.fromkeys(str(one.target) for one in observations))


def _skipped(name: str, issue: int, error: MissingExtra) -> CheckResult:
    title = f"the experiment of issue {issue} runs to its end"
    return CheckResult(name, title, issue, Verdict.SKIP, reason=error.diagnosis, remedy=error.remedy)


def _raised(name: str, issue: int, error: Exception, duration: timedelta) -> CheckResult:
    if isinstance(error, DoctorError):
        reason, remedy = scrub(error.diagnosis), scrub(error.remedy)
    else:
        reason, remedy = f"the experiment raised {in_one_line(error)}", "report it as a fault of alwrity-doctor"
    return CheckResult(
        name,
        f"the experiment of issue {issue} runs to its end",
        issue,
        Verdict.UNKNOWN,
        error.findings if isinstance(error, CannotCheck) else (),
        reason=reason,
        remedy=remedy,
        # Of what could not be checked the reason says all; where it was noticed says nothing to a user.
        evidence=() if isinstance(error, CannotCheck) else (traceback_of(error),),
        duration=duration,
    )
