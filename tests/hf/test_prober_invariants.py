"""What holds of every probe, whatever the deployments answer and whatever the limits are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.hf.causes import Action, Cause
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from alwrity_checks.hf.plan import DEFAULT_MODES, REQUESTS_PER_CELL
from alwrity_checks.hf.prober import Cell, Prober
from alwrity_checks.hf.router import Router
from tests.support.probing import catalogue_of

if TYPE_CHECKING:
    from alwrity_checks.hf.plan import Plan
    from alwrity_checks.hf.prober import ProbeResult

PROVIDERS: Final = ("groq", "cerebras", "novita", "together")
MODELS: Final = tuple(f"acme/{number}" for number in range(4))
SLOW: Final = {Behaviour.STALLED, Behaviour.SILENT}
QUICK: Final = [one for one in Behaviour if one not in SLOW]

behaviours = st.dictionaries(
    st.tuples(st.sampled_from(MODELS), st.sampled_from(PROVIDERS), st.sampled_from([None, *DEFAULT_MODES])),
    # Mostly not what ends a probe at once, or it would be all that is seen.
    st.lists(st.one_of(st.just(Behaviour.FOLLOWS), st.sampled_from(QUICK)), min_size=1, max_size=3),
    max_size=8,
)


async def nap(_seconds: float) -> None:
    """Let others run, and wait for nothing."""
    await asyncio.sleep(0)


@settings(max_examples=40)
@given(
    rules=behaviours,
    concurrency=st.integers(1, 6),
    max_requests=st.one_of(st.just(200), st.integers(0, 12)),
    max_cost=st.one_of(st.none(), st.floats(0, 0.02)),
    knows=st.booleans(),
)
def test_every_cell_is_decided_and_no_limit_is_broken(
    rules: dict[tuple[str, str, object], list[Behaviour]],
    concurrency: int,
    max_requests: int,
    max_cost: float | None,
    knows: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Requests, cost, those at once together and for each provider; and each cell says what it is."""
    told: list[Cell] = []

    async def scenario() -> tuple[Plan, ProbeResult]:
        router = Router(server.base_url, server.token)
        prober = Prober(
            router,
            catalogue=catalogue_of(server) if knows else None,
            concurrency=concurrency,
            max_requests=max_requests,
            max_cost=max_cost,
            sleep=nap,
        )
        try:
            plan = prober.plan([f"{model}:{provider}" for model in MODELS for provider in PROVIDERS])
            return plan, await prober.probe(plan, told.append)
        finally:
            await router.aclose()

    with LoopbackRouter() as server:
        server.retry_after = "0"
        for model in MODELS:
            server.serve(model, *PROVIDERS)
        for (model, provider, mode), answers in rules.items():
            server.behave(*answers, model=model, provider=provider, mode=mode)  # type: ignore[arg-type]
        plan, result = asyncio.run(scenario())
        calls, at_once = len(server.calls), dict(server.most_at_once)

    assert [(cell.deployment, cell.mode) for cell in result.cells] == [(one.deployment, one.mode) for one in plan.cells]
    assert sorted(map(repr, told)) == sorted(map(repr, result.cells))
    assert sum(cell.requests for cell in result.cells) == result.requests <= min(plan.most_requests, max_requests)
    # One that was cancelled before it was sent is counted all the same.
    assert calls <= result.requests
    assert result.stopped is not None or calls == result.requests
    assert at_once.pop("", 0) <= concurrency
    assert all(most == 1 for most in at_once.values())
    for cell in result.cells:
        assert (cell.classification is None) is bool(cell.skipped)
        assert cell.requests <= REQUESTS_PER_CELL
        assert not cell.ok or (cell.status == 200 and (cell.mode is None or cell.structure is not None))
    if max_cost is not None:
        assert result.cost is not None
        assert result.cost <= max_cost + 1e-12
    if result.stopped is not None:
        assert result.stopped.action is Action.STOP_ALL
    elif (chain := result.chain()) is not None:
        alive = {
            cell.deployment for cell in result.cells if cell.classification and cell.classification.cause is Cause.OK
        }
        assert {link.deployment for link in chain.links} == alive
