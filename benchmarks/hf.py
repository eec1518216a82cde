"""`make bench-hf`: the prober and the generator against a router on this machine, beside the historical provider.

The router answers over real HTTP. The historical provider's pauses are counted and not waited for; ours are waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import openai

from alwrity_checks.hf import Catalogue, Cause, Chain, Deployment, GenerationFailed, Mode, Prober, Router
from alwrity_checks.hf.generator import StructuredGenerator
from alwrity_checks.hf.ladder import request_payload
from alwrity_checks.hf.legacy import BASE_PATH, CountedSleep, LegacyProvider, LegacyState, RetryError
from alwrity_checks.hf.loopback_catalogue import listed
from alwrity_checks.hf.loopback_router import TOKEN, Behaviour, Call, LoopbackRouter
from alwrity_checks.hf.plan import DEFAULT_MODES
from alwrity_checks.hf.retries import RetryPolicy
from benchmarks.measure import table

LATENCY, CONCURRENCY, MODELS = 0.2, 4, 24
ROUNDS, CALLS = 15, 20
GENERATIONS, AT_ONCE, FAULTS, DEADLINE = 200, 20, 0.3, 20.0
GROQ, CEREBRAS = "openai/gpt-oss-120b:groq", "openai/gpt-oss-120b:cerebras"
DEAD = "acme/retired"
PROMPT = "Rate this article."
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 70},
        "score": {"type": "integer", "minimum": 1, "maximum": 10},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["title", "score", "tags"],
    "additionalProperties": False,
}
PASSING = (
    Behaviour.SERVER_ERROR,
    Behaviour.BAD_GATEWAY,
    Behaviour.GATEWAY_TIMEOUT,
    Behaviour.LOADING,
    Behaviour.RATE_LIMITED,
    Behaviour.RESET,
    Behaviour.CUT,
    Behaviour.STALLED,
    Behaviour.SILENT,
)

Row = tuple[str, str, str, str]


def _row(measure: str, value: float, most: float | None = None, unit: str = "") -> Row:
    goal = "-" if most is None else f"<= {most:g}{unit}"
    return measure, f"{value:.3g}{unit}", goal, "yes" if most is None or value <= most else "NO"


async def matrix(title: str, models_of: dict[str, int]) -> list[Row]:
    """Probe `models_of` each provider in every default mode; compare with the best that the limits allow."""
    with LoopbackRouter(latency=LATENCY) as server:
        server.catalogue.clear()
        models = [f"acme/{provider}-{n}" for provider, count in models_of.items() for n in range(count)]
        for model in models:
            server.serve(model, model.removeprefix("acme/").rpartition("-")[0])
        random.Random(3).shuffle(models)  # noqa: S311 - an order that is nobody's
        catalogue = Catalogue.read({"data": [listed(*one) for one in server.catalogue.items()]})
        async with _asking(server.base_url) as router:
            prober = Prober(router, catalogue=catalogue, concurrency=CONCURRENCY)
            plan = prober.plan(models)
            result = await prober.probe(plan)
    if len(models) != MODELS or not all(cell.ok for cell in result.cells):
        raise RuntimeError("the probe met a fault where there is none: its time would mean nothing")
    rounds = max(result.requests / CONCURRENCY, *plan.cells_of_provider.values())
    ideal = rounds * LATENCY
    shape = f"{MODELS} models x (plain + {len(DEFAULT_MODES)} modes), {title}"
    return [
        _row(f"{shape}: seconds, ideal {ideal:.1f}", result.seconds),
        _row("... wall time against the ideal", result.seconds / ideal, 1.6, " x"),
    ]


async def wrong_base_url() -> list[Row]:
    """Count requests and seconds until the cause is named, whatever the number of models."""
    rows = []
    for count in (1, MODELS, 500):
        models = [f"acme/{number}:{['groq', 'novita', 'together'][number % 3]}" for number in range(count)]
        hits, seconds = await _until_named(partial(_probed, models))
        rows += [
            _row(f"wrong base URL, probe of {count} model{'s' * (count > 1)}: requests", hits, 3),
            _row("... seconds until it is named", seconds, 2, " s"),
        ]
    hits, seconds = await _until_named(_generated)
    rows += [
        _row("wrong base URL, generation with a chain of five: requests", hits, 3),
        _row("... seconds until it is named", seconds, 2, " s"),
    ]
    for state in LegacyState:
        pauses = CountedSleep()
        with LoopbackRouter() as server:
            provider = LegacyProvider(
                state, server.origin + BASE_PATH, TOKEN, sleep=pauses, uniform=lambda low, high: (low + high) / 2
            )
            started = time.perf_counter()
            with contextlib.suppress(RetryError):
                await asyncio.to_thread(provider.structured, PROMPT, SCHEMA)
            seconds = time.perf_counter() - started + pauses.seconds
            rows += [
                _row(f"(the historical provider, {state}: requests)", server.hits),
                _row("(... seconds until it gives up, the cause unnamed)", seconds, unit=" s"),
            ]
    return rows


async def _until_named(ask: Callable[[Router], Awaitable[Cause | None]]) -> tuple[int, float]:
    with LoopbackRouter() as server:
        async with _asking(server.wrong_base_url) as router:
            started = time.perf_counter()
            cause = await ask(router)
            seconds = time.perf_counter() - started
        if cause is not Cause.ROUTE_MISSING:
            raise RuntimeError(f"the cause was not named: {cause}")
        return server.hits, seconds


async def _probed(models: list[str], router: Router) -> Cause | None:
    result = await Prober(router, max_requests=10_000).probe(models)
    return None if result.stopped is None else result.stopped.cause


async def _generated(router: Router) -> Cause | None:
    chain = Chain.unmeasured(*(f"acme/{number}" for number in range(5)))
    try:
        await StructuredGenerator(router, chain).generate(PROMPT, SCHEMA)
    except GenerationFailed as failed:
        return failed.classification.cause
    return None


async def overhead() -> list[Row]:
    """Compare the CPU time of a generation with that of the bare client for the same request, on this thread alone."""
    with LoopbackRouter() as server:
        bare = openai.AsyncOpenAI(api_key=TOKEN, base_url=server.base_url)
        asked = [{"role": "user", "content": PROMPT}]
        deployment = Deployment.parse(GROQ)
        payload: Any = request_payload(deployment, asked, mode=Mode.JSON_SCHEMA_STRICT, schema=SCHEMA, max_tokens=2048)
        async with _asking(server.base_url) as router, bare:
            generator = StructuredGenerator(router, Chain.unmeasured(GROQ, CEREBRAS))
            peers: dict[str, Callable[[], Awaitable[object]]] = {
                "bare": lambda: bare.chat.completions.create(**payload),
                "ours": lambda: generator.generate(PROMPT, SCHEMA),
            }
            spent: dict[str, list[float]] = {name: [] for name in peers}
            for _ in range(ROUNDS + 1):
                for name, peer in peers.items():
                    started = time.thread_time()
                    for _ in range(CALLS):
                        await peer()
                    spent[name].append((time.thread_time() - started) / CALLS * 1000)
    ours, plain = spent["ours"][1:], spent["bare"][1:]  # the first round imports and connects
    return [
        _row(
            f"(CPU time of a call of the bare openai {openai.__version__} client)", statistics.median(plain), unit=" ms"
        ),
        _row("(CPU time of a generation, validated)", statistics.median(ours), unit=" ms"),
        _row(
            "overhead of a generation over the bare client",
            statistics.median(one - other for one, other in zip(ours, plain, strict=True)),
            5,
            " ms",
        ),
    ]


async def faults() -> list[Row]:
    """Generate while three requests in ten meet a passing fault; every tenth chain holds retired deployments alone."""
    chance = random.Random(20261122)  # noqa: S311 - faults, the same in every run
    injected: Counter[Behaviour] = Counter()

    def weather(otherwise: Behaviour) -> Callable[[Call], Behaviour]:
        def choose(_call: Call) -> Behaviour:
            chosen = chance.choice(PASSING) if chance.random() < FAULTS else otherwise
            injected[chosen] += 1
            return chosen

        return choose

    outcomes: Counter[str] = Counter()
    slowest = 0.0
    with LoopbackRouter() as server:
        server.serve(DEAD, "groq", "cerebras")
        server.behave(weather(Behaviour.FOLLOWS))
        server.behave(weather(Behaviour.DECOMMISSIONED), model=DEAD)
        async with _asking(server.base_url) as router:
            policy = RetryPolicy(first_pause=0.05, longest_pause=0.5, request_timeout=1.0)
            alive = StructuredGenerator(router, Chain.unmeasured(GROQ, CEREBRAS), policy=policy)
            room = asyncio.Semaphore(AT_ONCE)

            async def generate(number: int) -> None:
                nonlocal slowest
                dead = number % 10 == 0
                generator = alive
                if dead:  # one that has learnt nothing yet
                    generator = StructuredGenerator(
                        router, Chain.unmeasured(f"{DEAD}:groq", f"{DEAD}:cerebras"), policy=policy
                    )
                async with room:
                    started = time.perf_counter()
                    outcome = await _outcome(generator)
                    slowest = max(slowest, time.perf_counter() - started)
                outcomes["right" if outcome == (Cause.DECOMMISSIONED if dead else "valid") else str(outcome)] += 1

            await asyncio.gather(*(generate(number) for number in range(GENERATIONS)))
        share = 1 - (injected[Behaviour.FOLLOWS] + injected[Behaviour.DECOMMISSIONED]) / injected.total()
        wrong = ", ".join(f"{count} {what}" for what, count in outcomes.items() if what != "right") or "none"
    return [
        _row(f"(passing faults injected, of {injected.total()} requests)", share * 100, unit=" %"),
        (
            f"{GENERATIONS} generations that end valid, or with the right permanent cause; others: {wrong}",
            str(outcomes["right"]),
            f">= {GENERATIONS}",
            "yes" if outcomes["right"] == GENERATIONS else "NO",
        ),
        _row("... the slowest of them", slowest, DEADLINE, " s"),
    ]


async def _outcome(generator: StructuredGenerator) -> str:
    try:
        await generator.generate(PROMPT, SCHEMA, deadline=DEADLINE)
    except GenerationFailed as failed:
        return failed.classification.cause
    return "valid"


@contextlib.asynccontextmanager
async def _asking(base_url: str) -> AsyncIterator[Router]:
    router = Router(base_url, TOKEN)
    try:
        yield router
    finally:
        await router.aclose()


def main() -> int:
    """Print the table; return 1 if a goal was missed."""
    rows: list[tuple[str, ...]] = [("measure", "measured", "goal", "held")]
    rows += asyncio.run(matrix("six providers alike", dict.fromkeys(("a", "b", "c", "d", "e", "f"), 4)))
    rows += asyncio.run(
        matrix("six providers, one with a third of all", {"a": 8, "b": 6, "c": 4, "d": 3, "e": 2, "f": 1})
    )
    rows += asyncio.run(wrong_base_url())
    rows += asyncio.run(overhead())
    rows += asyncio.run(faults())
    print(
        f"CPython {platform.python_version()}, {platform.machine()}; openai {openai.__version__}; router on 127.0.0.1\n"
    )
    print(table(rows))
    return int(any(row[-1] == "NO" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
