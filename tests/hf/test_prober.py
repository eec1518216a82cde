"""The prober against a real router on this machine. Run with openai 2.x and 3.x."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.canary import Structure
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.loopback_account import Account
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from alwrity_checks.hf.prober import Cell, Prober
from alwrity_checks.hf.router import Router
from tests.support.probing import Pauses, cell, probe, use

if TYPE_CHECKING:
    from collections.abc import Iterator


MODEL = "openai/gpt-oss-120b"
GROQ, CEREBRAS, TOGETHER = (f"{MODEL}:{one}" for one in ("groq", "cerebras", "together"))
STRICT = Mode.JSON_SCHEMA_STRICT


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


def test_the_plain_case(server: LoopbackRouter) -> None:
    """Everything is asked once, all of it is honoured, and who served it is said."""
    server.pause = 0.01
    result = probe(server, MODEL)
    assert len(result.cells) == result.requests == len(server.calls) == 3 * 4
    assert all(one.ok and one.status == 200 and one.requests == 1 and not one.skipped for one in result.cells)
    assert [one.structure for one in result.cells] == [None, *[Structure.HONOURED] * 3] * 3
    assert {one.served_by for one in result.cells} == {"groq", "cerebras", "together"}
    assert result.stopped is None
    plain = cell(result, GROQ)
    assert plain.request_id
    assert plain.time_to_first_token is not None
    assert plain.tokens_per_second is not None
    assert 0 < plain.time_to_first_token < plain.seconds
    assert 0 < plain.tokens_per_second < 1000


def test_the_rate_of_an_answer_in_one_piece_is_not_made_up(server: LoopbackRouter) -> None:
    """Without pauses between the chunks there is no rate to measure."""
    assert cell(probe(server, GROQ, modes=()), GROQ).tokens_per_second is None


def test_advertised_is_not_honoured(server: LoopbackRouter) -> None:
    """Refused, ignored, broken and cut: each mode of each deployment gets its own truth."""
    server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="groq", mode=STRICT)
    server.behave(Behaviour.PROSE, provider="cerebras", mode=STRICT)
    server.behave(Behaviour.OTHER_JSON, provider="cerebras", mode=Mode.JSON_OBJECT)
    server.behave(Behaviour.TRUNCATED, provider="together", mode=Mode.TOOL)
    result = probe(server, MODEL)
    refused, ignored = cell(result, GROQ, STRICT), cell(result, CEREBRAS, STRICT)
    assert (refused.status, refused.structure, refused.ok) == (400, None, False)
    assert refused.classification is not None
    assert refused.classification.cause is Cause.SCHEMA_UNSUPPORTED
    assert (ignored.status, ignored.structure, ignored.ok) == (200, Structure.IGNORED, False)
    assert cell(result, CEREBRAS, Mode.JSON_OBJECT).structure is Structure.IGNORED
    assert cell(result, TOGETHER, Mode.TOOL).structure is Structure.CUT
    assert result.requests == 12


@pytest.mark.parametrize(
    ("behaviour", "cause", "most"),
    [
        (Behaviour.HOST_RETIRED, Cause.HOST_RETIRED, 2),
        (Behaviour.PORTAL, Cause.NOT_A_ROUTER, 2),
        (Behaviour.TOKEN_INVALID, Cause.TOKEN_INVALID, 2),
        (Behaviour.PERMISSION_MISSING, Cause.PERMISSION_MISSING, 2),
        (Behaviour.CREDITS_GONE, Cause.CREDITS_GONE, 2),
    ],
)
def test_what_no_deployment_can_cure_ends_it(
    server: LoopbackRouter, behaviour: Behaviour, cause: Cause, most: int
) -> None:
    """The endpoint's and the account's faults; what was not asked says why.

    A request that was under way when another one ended the probe counts, and may not have left yet.
    """
    server.everywhere = behaviour
    result = probe(server, *server.catalogue)
    assert result.stopped is not None
    assert result.stopped.cause is cause
    assert server.hits <= result.requests <= most
    assert all(one.classification is not None or str(cause) in one.skipped for one in result.cells)
    assert result.chain() is None


def test_a_wrong_base_url_costs_two_requests_at_most(server: LoopbackRouter) -> None:
    """Issue 2's own fault, however many models are named."""
    result = probe(server, *(f"made/up-{one}:{one % 7}" for one in range(100)), base_url=server.wrong_base_url)
    assert result.stopped is not None
    assert result.stopped.cause is Cause.ROUTE_MISSING
    assert server.hits <= 2


def test_where_nothing_listens(server: LoopbackRouter) -> None:
    """It may start in a moment, so it is asked three times; and three times in all."""
    pauses = Pauses()
    result = probe(server, GROQ, CEREBRAS, TOGETHER, base_url="http://127.0.0.1:9/v1", sleep=pauses)
    assert result.stopped is not None
    assert result.stopped.cause is Cause.CONNECTION_LOST
    assert result.requests == 3
    assert pauses.seconds


def test_credits_that_end_during_the_probe_end_it(server: LoopbackRouter) -> None:
    """What was measured before stays."""
    server.behave(*[Behaviour.FOLLOWS] * 5, Behaviour.CREDITS_GONE)
    result = probe(server, MODEL, concurrency=1)
    assert result.stopped is not None
    assert result.stopped.cause is Cause.CREDITS_GONE
    assert result.requests == len(server.calls) == 6
    assert sum(one.ok for one in result.cells) == 5


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        ("made/up:groq", Cause.MODEL_NOT_FOUND),
        ("mistralai/Mistral-7B-Instruct-v0.3:groq", Cause.NOT_A_CHAT_MODEL),
        ("moonshotai/Kimi-K2-Instruct-0905:groq", Cause.DEPLOYMENT_MISSING),
        ("moonshotai/Kimi-K2-Instruct-0905", Cause.MODEL_NOT_SUPPORTED),
        (f"{MODEL}:nebius", Cause.SUFFIX_INVALID),
    ],
)
def test_a_dead_deployment_costs_one_request(server: LoopbackRouter, model: str, cause: Cause) -> None:
    """Its modes are not asked for, and the others go on."""
    result = probe(server, model, GROQ)
    dead = [one for one in result.cells if str(one.deployment) == model]
    assert [one.requests for one in dead] == [1, 0, 0, 0]
    assert dead[0].classification is not None
    assert dead[0].classification.cause is cause
    assert all(str(cause) in one.skipped for one in dead[1:])
    assert all(one.ok for one in result.cells if str(one.deployment) == GROQ)


def test_a_model_that_does_not_exist_is_not_asked_for_elsewhere(server: LoopbackRouter) -> None:
    """A model's fault holds at every provider."""
    result = probe(server, "made/up:groq", "made/up:cerebras", "made/up:groq", concurrency=1)
    assert result.requests == 1


@pytest.mark.parametrize(
    "behaviour", [Behaviour.RATE_LIMITED, Behaviour.BAD_GATEWAY, Behaviour.LOADING, Behaviour.RESET, Behaviour.CUT]
)
def test_a_passing_fault_is_given_one_more_chance(server: LoopbackRouter, behaviour: Behaviour) -> None:
    """The second answer is the one that counts."""
    server.behave(behaviour, Behaviour.FOLLOWS, provider="groq")
    pauses = Pauses()
    result = probe(server, GROQ, sleep=pauses)
    assert [one.requests for one in result.cells] == [2, 1, 1, 1]
    assert all(one.ok for one in result.cells)
    assert len(pauses.seconds) == 1


def test_a_fault_that_does_not_pass_is_given_no_third(server: LoopbackRouter) -> None:
    """And where plain text fails, nothing more is asked of the deployment."""
    server.behave(Behaviour.SERVER_ERROR, provider="groq")
    result = probe(server, GROQ, CEREBRAS)
    assert [one.requests for one in result.cells] == [2, 0, 0, 0, 1, 1, 1, 1]
    assert cell(result, GROQ, STRICT).skipped == "plain text failed: provider-fault"


def test_a_provider_that_is_down_is_given_up(server: LoopbackRouter) -> None:
    """After three deployments, and not after thirty."""
    models = [f"acme/{number}" for number in range(30)]
    for model in models:
        server.serve(model, "novita")
    server.behave(Behaviour.SERVER_ERROR, provider="novita")
    result = probe(server, *models, GROQ, modes=())
    assert result.requests == 3 * 2 + 1
    assert "novita failed 3 questions in a row" in result.cells[10].skipped


def test_the_time_a_provider_asks_for_is_given(server: LoopbackRouter) -> None:
    """Before the retry, and, if that was in vain, before the next question."""
    server.retry_after = "3"
    server.serve("acme/one", "groq")
    server.behave(Behaviour.RATE_LIMITED_FOR, model="acme/one", provider="groq")
    pauses = Pauses()
    result = probe(server, "acme/one:groq", GROQ, modes=(), sleep=pauses)
    assert [one.requests for one in result.cells] == [2, 1]
    assert len(pauses.seconds) == 2
    assert min(pauses.seconds) >= 3


def test_a_provider_that_asks_for_too_long_is_left_alone(server: LoopbackRouter) -> None:
    """Nothing else is asked of it; the others go on."""
    server.retry_after = "120"
    server.behave(Behaviour.RATE_LIMITED_FOR, provider="groq")
    pauses = Pauses()
    result = probe(server, GROQ, "openai/gpt-oss-20b:groq", CEREBRAS, modes=(), sleep=pauses)
    assert [one.requests for one in result.cells] == [1, 0, 1]
    assert "120 s" in result.cells[1].skipped
    assert pauses.seconds == []


def test_a_bare_model_that_is_refused_for_long_holds_up_no_other(server: LoopbackRouter) -> None:
    """The router may well choose another provider for the next one."""
    server.retry_after = "3600"
    server.behave(Behaviour.RATE_LIMITED_FOR, model=MODEL)
    pauses = Pauses()
    result = probe(server, MODEL, "openai/gpt-oss-20b", modes=(), sleep=pauses, catalogue=None)
    assert [one.ok for one in result.cells] == [False, True]
    assert pauses.seconds == []


@pytest.mark.parametrize(
    "limit", [{"concurrency": 0}, {"timeout": 0.0}, {"timeout": math.nan}, {"max_cost": math.nan}, {"max_cost": -1.0}]
)
def test_limits_that_limit_nothing_or_all_are_refused(limit: dict[str, float]) -> None:
    """A probe would hang, time out before anything is sent, or spend whatever it likes."""
    with pytest.raises(ConfigurationError):
        Prober(Router("http://127.0.0.1/v1", "token"), **limit)  # type: ignore[arg-type]


def test_nothing_to_ask_is_an_empty_result(server: LoopbackRouter) -> None:
    """Without a request."""
    result = probe(server)
    assert (result.cells, result.requests, result.stopped, result.chain()) == ((), 0, None, None)
    assert server.hits == 0


def test_one_request_at_a_time_for_each_provider(server: LoopbackRouter) -> None:
    """And no more than the limit together, which is reached."""
    server.latency = 0.02
    for number in range(4):
        server.serve(f"acme/{number}", "groq", "novita", "nscale", "together", "cerebras", "scaleway")
    result = probe(server, *(f"acme/{number}" for number in range(4)), concurrency=4)
    assert all(one.ok for one in result.cells)
    together = server.most_at_once.pop("")
    assert together == 4
    assert set(server.most_at_once.values()) == {1}


def test_the_longest_queue_starts_first(server: LoopbackRouter) -> None:
    """Else it would be the last, alone."""
    server.latency = 0.02
    for number in range(6):
        server.serve(f"acme/{number}", "novita")
    pinned = [f"{MODEL}:groq", f"{MODEL}:cerebras", f"{MODEL}:together"]
    probe(server, *pinned, *(f"acme/{number}" for number in range(6)), concurrency=2, modes=())
    assert [call.provider for call in server.calls].index("novita") <= 1
    assert [call.provider for call in server.calls][-1] == "novita"


def test_the_limit_of_requests(server: LoopbackRouter) -> None:
    """It is kept to the request, and what is left out says so."""
    result = probe(server, MODEL, max_requests=5)
    assert server.hits == result.requests == 5
    assert sum("limit of 5 requests" in one.skipped for one in result.cells) == 7


def test_the_limit_of_cost(server: LoopbackRouter) -> None:
    """A request that could break it is not made; what the answers really cost is counted afterwards."""
    bound = use(server, _bound)
    whole = probe(server, MODEL, max_cost=bound)
    assert whole.requests == 12
    assert whole.cost is not None
    assert 0 < whole.cost < bound / 10
    server.calls.clear()
    cut = probe(server, MODEL, max_cost=bound / 1000)
    assert cut.requests == len(server.calls) < 12
    assert cut.cost is not None
    assert cut.cost <= bound / 1000
    assert any("USD" in one.skipped for one in cut.cells)


async def _bound(prober: Prober) -> float:
    return prober.plan([MODEL]).most_cost or 0.0


def test_a_limit_of_cost_needs_prices(server: LoopbackRouter) -> None:
    """What has no known price is not asked under one; without one it is, and no cost is claimed."""
    model = "deepseek-ai/DeepSeek-V4-Pro:featherless-ai"
    kept = probe(server, model, max_cost=10.0)
    assert kept.requests == 0
    assert "price" in kept.cells[0].skipped
    free = probe(server, model)
    assert free.requests == 4
    assert free.cost is None


def test_refusals_cost_nothing(server: LoopbackRouter) -> None:
    """Only successes are billed; where no price is known, no cost is claimed at all, not even none."""
    server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="groq")
    assert probe(server, GROQ).cost == pytest.approx(0)
    assert probe(server, "made/up:groq").cost is None


def test_the_observer_hears_of_every_cell_once(server: LoopbackRouter) -> None:
    """Of those that are skipped, too, and also where the probe is ended."""
    server.accounts[server.token] = Account(credits_gone=True)
    told: list[Cell] = []
    result = use(server, lambda prober: prober.probe([MODEL, "made/up"], told.append))
    assert sorted(map(repr, told)) == sorted(map(repr, result.cells))


def test_a_probe_that_is_cancelled_leaves_nothing_running(server: LoopbackRouter) -> None:
    """As by Ctrl-C."""
    server.behave(Behaviour.SILENT)

    async def scenario(prober: Prober) -> set[asyncio.Task[Any]]:
        task = asyncio.create_task(prober.probe([MODEL]))
        while not server.calls:  # noqa: ASYNC110 - the server is another thread's
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return {one for one in asyncio.all_tasks() if one is not asyncio.current_task()}

    assert use(server, scenario) == set()


def test_without_a_token_nothing_is_asked(server: LoopbackRouter) -> None:
    """And the error says what is missing."""

    async def scenario() -> None:
        await Prober(Router(server.base_url)).probe([GROQ])

    with pytest.raises(ConfigurationError, match="no token"):
        asyncio.run(scenario())
    assert server.hits == 0
