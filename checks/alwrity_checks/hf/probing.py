"""One probe under way: a worker for each provider, and what the answers so far have settled."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.budget import Budget
from alwrity_checks.hf.causes import Action, Classification, Permanence, Scope
from alwrity_checks.hf.measurement import measured
from alwrity_checks.hf.plan import REQUESTS_PER_CELL
from alwrity_checks.hf.probe_result import Cell, ProbeResult
from alwrity_checks.hf.retries import RetryPolicy
from alwrity_checks.hf.settled import Settled
from alwrity_checks.hf.slots import Slots

if TYPE_CHECKING:
    from alwrity_checks.hf.plan import Plan, PlannedCell
    from alwrity_checks.hf.router import Router

__all__ = ["Limits", "Probing"]

_ENDPOINT_FAULTS: Final = 3
"""So many in a row that may pass, and the endpoint is given up."""
_POLICY: Final = RetryPolicy(per_deployment=REQUESTS_PER_CELL, patience=10.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a probe may do at most."""

    concurrency: int
    """Requests under way."""
    max_requests: int
    max_cost: float | None
    """USD; None for any."""
    timeout: float
    """Seconds, for one request."""
    scouts: int = 1
    """Requests under way while no answer has shown that endpoint and account are right."""

    def __post_init__(self) -> None:
        if self.concurrency < 1 or not self.timeout > 0:
            raise ConfigurationError(
                "a probe needs a concurrency of at least 1 and a timeout of more than 0 seconds", "raise the limit"
            )
        if self.max_cost is not None and not self.max_cost >= 0:  # nothing is more than what is no number
            raise ConfigurationError("the limit of cost is no amount of USD", "give 0 or more")


class _Stopped(Exception):  # noqa: N818 - a worker's message to the run; it never leaves this module
    def __init__(self, because: Classification) -> None:
        super().__init__(because.message)
        self.because = because


class Probing:
    """Runs a plan, once."""

    def __init__(  # noqa: PLR0913 - what a probe consists of
        self,
        router: Router,
        plan: Plan,
        limits: Limits,
        *,
        sleep: Callable[[float], Awaitable[object]],
        clock: Callable[[], float],
        observer: Callable[[Cell], None] | None,
    ) -> None:
        """Ask the cells of `plan` at `router`, and tell `observer` of each as soon as it is decided."""
        self._router = router
        self._plan = plan
        self._limits = limits
        self._sleep = sleep
        self._clock = clock
        self._observer = observer
        self._budget = Budget(limits.max_requests, limits.max_cost)
        self._slots = Slots(min(limits.scouts, limits.concurrency))
        self._settled = Settled(plan, patience=_POLICY.patience)
        self._cells: dict[PlannedCell, Cell] = {}
        self._requests: Counter[PlannedCell] = Counter()
        self._endpoint_faults = 0

    async def run(self) -> ProbeResult:
        """Ask everything; return what was found, also where a fault ended it."""
        started, stopped = self._clock(), None
        queues: dict[str, list[PlannedCell]] = {}
        for asked in self._plan.cells:
            queues.setdefault(asked.provider, []).append(asked)
        workers = [asyncio.create_task(self._serve(queue)) for queue in queues.values()]
        try:
            await asyncio.gather(*workers)
        except _Stopped as stop:
            stopped = stop.because
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        for asked in self._plan.cells:
            if asked not in self._cells and stopped is not None:
                self._skip(asked, f"the probe had ended: {stopped.cause}")
        return ProbeResult(
            tuple(self._cells[asked] for asked in self._plan.cells),
            self._budget.requests,
            self._clock() - started,
            self._budget.cost,
            stopped,
        )

    async def _serve(self, queue: Sequence[PlannedCell]) -> None:
        """Ask one provider, one question after the other."""
        wait = 0.0
        for position, asked in enumerate(queue):
            if wait and not self._settled.objection(asked):
                await self._sleep(wait)
            found = (await self._decide(asked, weight=len(queue) - position)).classification
            asked_to_wait = (found and found.retry_after) or 0.0
            # Who asked for longer is left alone if it has a name; of the others the next one may be another.
            wait = asked_to_wait if asked_to_wait <= _POLICY.patience else 0.0

    async def _decide(self, asked: PlannedCell, weight: int) -> Cell:
        """Ask, and once more after a fault that may pass; note what came of it."""
        latest: tuple[Cell, Classification] | None = None
        pause: float | None = 0.0
        while pause is not None:
            if latest is not None:
                await self._sleep(pause)
            async with self._slots.hold(weight):
                if objection := self._settled.objection(asked) or self._budget.objection(asked):
                    break
                latest = await self._ask(asked)
                pause = self._pause(asked, latest[1])
                if pause is None and latest[1].action is Action.STOP_ALL:
                    self._slots.limit = 0  # nobody else begins while the workers are being told
        if latest is None:
            return self._skip(asked, objection)
        cell, because = latest
        self._note(asked, cell)
        if because.action is Action.STOP_ALL:
            raise _Stopped(because)
        self._settled.learn(asked, because)
        return cell

    async def _ask(self, asked: PlannedCell) -> tuple[Cell, Classification]:
        """Make one request, and let more of them be under way, or fewer, as its answer has it."""
        self._budget.begin(asked)
        self._requests[asked] += 1
        started = self._clock()
        came = await self._router.complete(
            asked.deployment,
            asked.messages,
            mode=asked.mode,
            schema=self._plan.canary.schema,
            max_tokens=asked.max_tokens,
            timeout=self._limits.timeout,
            stream=asked.mode is None,
        )
        self._budget.settle(asked, came)
        cell, because = measured(asked, came, self._plan.canary, self._clock() - started)
        cell = replace(cell, requests=self._requests[asked])
        if because.action is Action.STOP_ALL:
            self._endpoint_faults += 1
            self._slots.limit = 1
        elif cell.status is not None and self._slots.limit > 0:
            self._endpoint_faults = 0
            self._slots.limit = self._limits.concurrency
        return cell, because

    def _pause(self, asked: PlannedCell, because: Classification) -> float | None:
        """Return how long to wait before the same question is asked again; None if it is not."""
        if because.action is Action.STOP_ALL:
            uncertain = because.scope is Scope.ENDPOINT and because.permanence is Permanence.UNKNOWN
            again = uncertain and self._endpoint_faults < _ENDPOINT_FAULTS
        else:
            again = because.permanence is Permanence.TRANSIENT
        count = self._requests[asked]
        if not again or count >= _POLICY.per_deployment or (because.retry_after or 0.0) > _POLICY.patience:
            return None
        return _POLICY.pause(count, because.retry_after)

    def _skip(self, asked: PlannedCell, reason: str) -> Cell:
        return self._note(asked, Cell(asked.deployment, asked.mode, requests=self._requests[asked], skipped=reason))

    def _note(self, asked: PlannedCell, cell: Cell) -> Cell:
        self._cells[asked] = cell
        if self._observer is not None:
            self._observer(cell)
        return cell
