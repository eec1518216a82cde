"""Asks every deployment of a plan, and measures: who answers, how fast, and what of the asked structure is honoured.

One request at a time for each provider, so many together, the longest queue first. A fault of the endpoint or of the
account ends all of it: until an answer shows that both are right, one or two requests are under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from alwrity_checks.errors import DoctorError
from alwrity_checks.hf.causes import Mode, Scope
from alwrity_checks.hf.endpoint import examine_endpoint
from alwrity_checks.hf.plan import DEFAULT_MODES, Plan, make_plan
from alwrity_checks.hf.probe_result import Cell, ProbeResult
from alwrity_checks.hf.probing import Limits, Probing

if TYPE_CHECKING:
    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.hf.causes import Classification
    from alwrity_checks.hf.chain import Chain
    from alwrity_checks.hf.router import Router

__all__ = ["DEFAULT_MODES", "Cell", "ChainNotVerified", "Plan", "ProbeResult", "Prober"]


class ChainNotVerified(DoctorError):  # noqa: N818 - the outcome's name
    """No deployment honours the structure; `result` holds what was measured, None if nothing was asked."""

    def __init__(
        self,
        diagnosis: str,
        classification: Classification | None,
        result: ProbeResult | None,
        right: str | None = None,
    ) -> None:
        super().__init__(diagnosis, "alwrity-doctor hf probe")
        self.classification = classification
        """The fault of the endpoint or the account that ended it; None where the deployments are to blame."""
        self.result = result
        self.right = right
        """Another base URL, seen to list models."""


class Prober:
    """Probes the deployments behind one router."""

    def __init__(  # noqa: PLR0913 - limits, each with a sensible default
        self,
        router: Router,
        *,
        catalogue: Catalogue | None = None,
        concurrency: int = 4,
        max_requests: int = 200,
        max_cost: float | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask at `router`, where `catalogue` says who serves what and for how much.

        `max_cost` is in USD for one probe, `timeout` in seconds for one request. `sleep` and `clock` take and give
        seconds.
        """
        self._router = router
        self.catalogue = catalogue
        self._limits = Limits(concurrency, max_requests, max_cost, timeout)
        self._sleep = sleep
        self._clock = clock

    def plan(
        self, models: Sequence[str], modes: Sequence[Mode] = DEFAULT_MODES, *, schema: Mapping[str, Any] | None = None
    ) -> Plan:
        """Return what `probe` would ask of `models`, and what that costs at most. Asks nothing.

        See `make_plan` for what becomes of a model and of a schema, and for the errors.
        """
        return make_plan(models, modes, catalogue=self.catalogue, schema=schema)

    async def probe(self, plan: Plan | Sequence[str], observer: Callable[[Cell], None] | None = None) -> ProbeResult:
        """Ask what `plan` says, or about these models; `observer` is told of each cell as soon as it is decided.

        Faults of the answers are results. Raises ConfigurationError without a token, MissingExtra without the openai
        package; both before any request.
        """
        if not isinstance(plan, Plan):
            plan = await asyncio.to_thread(self.plan, plan)
        # With a catalogue only the account is in doubt; a second scout then, as the first may meet a stalled server.
        limits = replace(self._limits, scouts=1 if self.catalogue is None else 2)
        return await Probing(self._router, plan, limits, sleep=self._sleep, clock=self._clock, observer=observer).run()

    async def verified_chain(self, models: Sequence[str], *, schema: Mapping[str, Any] | None = None) -> Chain:
        """Return those of `models` that honour a schema, measured now; of `schema`, if it is given.

        Of each deployment the strictest mode that it honours is looked for, and no further. The catalogue is read
        first if there is none yet. Raises ChainNotVerified where no deployment honours any mode, ConfigurationError
        for an unusable schema or without a token.
        """
        plan = partial(make_plan, models, tuple(Mode), schema=schema, first_honoured_only=True)
        await asyncio.to_thread(plan)  # what is unusable is refused before anything is asked
        right = None
        if self.catalogue is None:
            endpoint = await examine_endpoint(self._router)
            if endpoint.fault is not None and endpoint.unusable:
                diagnosis = f"{endpoint.base_url}: {endpoint.fault.message}"
                raise ChainNotVerified(diagnosis, endpoint.fault, None, endpoint.right)
            self.catalogue, right = endpoint.catalogue, endpoint.right
        result = await self.probe(await asyncio.to_thread(plan, catalogue=self.catalogue))
        if result.stopped is not None:
            right = right if result.stopped.scope is Scope.ENDPOINT else None
            raise ChainNotVerified(f"the probe ended early: {result.stopped.message}", result.stopped, result, right)
        chain = result.chain(base_url=self._router.base_url)
        honoured = {cell.deployment for cell in result.cells if cell.mode is not None and cell.ok}
        links = tuple(link for link in chain.links if link.deployment in honoured) if chain else ()
        if chain is None or not links:
            raise ChainNotVerified("no deployment was seen to honour any mode of structured output", None, result)
        return replace(chain, links=links)
