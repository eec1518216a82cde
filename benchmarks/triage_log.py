"""A backend's log of any size, the same for the same seed: what `benchmarks.triage` reads.

    python -m benchmarks.triage_log PATH [--megabytes 1000] [--seed 1]

The log is a row of runs of the server, each written by one state of the backend in that state's formats: ordinary
traffic, and incidents with the sequences of lines that ALwrity 8c2d88ef and ce9bf293 print. Of the lines that are not
empty, about one in ninety is a hit. All users, tokens and hosts are made up.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.triage_incidents import INCIDENTS, STARTS, Clock, State

__all__ = ["lines_of", "write_log"]

_TAILS: Final = 2_000
"""Ordinary messages that are made for a run; its traffic is drawn from them."""
_PER_SECOND: Final = (20, 180)
"""Lines of ordinary traffic in a second of an average hour."""
_BY_HOUR: Final = (*[0.2] * 6, 0.5, 0.8, *[1.5] * 10, *[1.0] * 4, 0.6, 0.3)
"""The traffic of each hour of the day, against the average."""
_RUN: Final = (600, 3_600)
"""Seconds that a server runs before its next start."""
_INCIDENTS_PER_LINE: Final = 0.0006
_WARNING_SHARE: Final = 0.005
_ROUTES: Final = (
    "/api/health", "/api/alerts?limit=20", "/api/status", "/api/onboarding/step/3", "/api/today-workflow",
    "/api/content-planning/strategies?page=2", "/api/seo/dashboard/overview", "/api/subscription/status/user_2kQ81",
    "/api/agents/activity", "/api/podcast/projects?status=draft&limit=10", "/assets/index-5f1c9a.js",
)  # fmt: skip
_PLACES: Final = (
    "services.onboarding.progress:get_progress:88", "services.subscription.pricing:check_limits:412",
    "api.today_workflow:get_today:140", "services.seo.analyzer:analyse:233", "services.cache.redis_free:lookup:51",
    "services.content_planning.calendar:expand:190", "alwrity_utils.router_manager:include:66",
    "services.scheduler.executor:tick:301", "services.intelligence.monitoring:collect:77",
)  # fmt: skip
_MESSAGES: Final = (
    "Loaded {n} entries for user user_2{h} in {ms} ms", "Cache hit for key seo:{h}:{n}",
    "Scheduler tick {n}: {k} tasks due",
    "Strategy {n} has {k} pillars and {m} topics", "✅ Step {k} of onboarding saved for user user_2{h}",
    "Usage of provider gemini: {n} tokens, cost 0.00{k}", "Rendered calendar week {k} with {m} entries in {ms} ms",
    "📊 Collected {m} metrics from {k} sources", "Session {h} refreshed, expires in {n} s",
    "Competitor https://site{k}.example answered 200 in {ms} ms", "Query returned {m} rows (limit {n})",
)  # fmt: skip
_WARNINGS: Final = (
    "Slow query: {ms} ms for content_items", "Rate of provider gemini at {k}0 % of its limit",
    "Competitor https://site{k}.example did not answer within {k} s", "Cache is full, {m} entries evicted",
)  # fmt: skip
_PROGRESS: Final = (
    "[llm_text_gen][flow_type=sif_agent] Starting text generation",
    "[llm_text_gen][flow_type=today] Subscription check START",
    "[llm_text_gen][flow_type=today] Subscription check took {ms} ms",
)
"""At HEAD these are written as WARNING (services/llm_providers/main_text_generation.py, ALwrity ce9bf293)."""


def lines_of(seed: int, trouble: float = 1.0) -> Iterator[bytes]:
    """Yield the log piece by piece, each of whole lines, without end; `trouble` multiplies incidents and warnings."""
    dice = random.Random(seed)  # noqa: S311 - the same log for the same seed is what is wanted
    clock = Clock(dice.randrange(14 * 3600, 20 * 3600))
    while True:
        for state in State:
            yield from _one_run(state, dice, clock, trouble)


def write_log(path: Path, size: int, *, seed: int = 1, trouble: float = 1.0) -> None:
    """Write a log of `size` bytes; its last line is cut at them."""
    left = size
    with path.open("wb", buffering=1 << 20) as file:
        for piece in lines_of(seed, trouble):
            file.write(piece[:left])
            left -= len(piece)
            if left <= 0:
                return


def _one_run(state: State, dice: random.Random, clock: Clock, trouble: float) -> Iterator[bytes]:
    yield _encoded(STARTS[state](clock, dice))
    tails = [_tail(state, dice, trouble) for _ in range(_TAILS)]
    incidents = INCIDENTS[state]
    makers, weights = [one for one, _ in incidents], [weight for _, weight in incidents]
    for _ in range(dice.randint(*_RUN)):
        clock.seconds += 1
        count = max(int(dice.randint(*_PER_SECOND) * _BY_HOUR[clock.seconds // 3600 % 24]), 1)
        first = dice.randrange(_TAILS - count)
        heads = _heads(state, clock, dice)
        lines = [heads[kind] + tail for kind, tail in tails[first : first + count]]
        if dice.random() < _INCIDENTS_PER_LINE * trouble * count:
            place = dice.randint(0, count)
            lines[place:place] = [dice.choices(makers, weights)[0](clock, dice)]
        yield _encoded("".join(lines))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8")


_APPLICATION, _DEBUG, _WARNING, _SERVER, _LIBRARY = range(5)


def _heads(state: State, clock: Clock, dice: random.Random) -> tuple[str, ...]:
    """Return how a line begins in this second, by its kind."""
    middle = f"req={dice.getrandbits(32):08x} job=- user=- | " if state is State.HEAD else ""
    return (
        clock.head(state, "INFO") + middle,
        clock.head(state, "DEBUG") + middle,
        clock.head(state, "WARNING") + middle,
        f"INFO:     127.0.0.1:{dice.randint(32768, 60999)} - ",
        f"[{clock.stamp(',')}-INFO-",
    )


def _tail(state: State, dice: random.Random, trouble: float) -> tuple[int, str]:
    """Return a kind and the rest of such a line, with its line end and the empty line that follows a record."""
    choice = dice.random()
    if choice < 0.30:
        status = dice.choices(("200 OK", "304 Not Modified", "404 Not Found"), (90, 8, 2))[0]
        return _SERVER, f'"{dice.choice(("GET", "GET", "POST"))} {dice.choice(_ROUTES)} HTTP/1.1" {status}\n'
    if choice < 0.34 and state is not State.HEAD:
        host = dice.choice(("generativelanguage.googleapis.com/v1beta/models", "api.exa.ai/search"))
        return _LIBRARY, f'_client-1038]- HTTP Request: POST https://{host} "HTTP/1.1 200 OK"\n'
    values = {
        "n": dice.randint(1, 9_999),
        "k": dice.randint(1, 9),
        "m": dice.randint(10, 99),
        "ms": f"{dice.expovariate(0.02):.1f}",
        "h": f"{dice.getrandbits(40):010x}",
    }
    kind, messages = _DEBUG if choice > 0.8 else _APPLICATION, list(_MESSAGES)
    if choice > 1 - _WARNING_SHARE * trouble:
        kind, messages = _WARNING, [*_WARNINGS, *(_PROGRESS if state is State.HEAD else ())]
    message = dice.choice(messages).format(**values)
    if state is State.BETWEEN:
        module, _, line = dice.choice(_PLACES).rpartition(":")
        return kind, f"{module.partition(':')[0]}:{line} | {message}\n\n"
    if dice.random() < 0.03:
        message = f"\x1b[32m{message}\x1b[0m"
    return kind, f"{dice.choice(_PLACES)} - {message}\n\n"


def main() -> None:
    """Write a log."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_log(options.path, int(options.megabytes * 1_000_000), seed=options.seed)


if __name__ == "__main__":
    main()
