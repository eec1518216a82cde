"""What a start is put through: a hub that is slow, stands still, says nothing or refuses; a kill; a full disk.

In each the server's own words are not trusted: that it listens is seen by asking it, and what was downloaded by the
hub's own count.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.models.loopback_hub import Fault, LoopbackHub
from alwrity_checks.startup.race import RunningServer, Start, environment, running
from alwrity_checks.startup.race_hub import SIZES, size_of, weights_of
from alwrity_checks.startup.serve import ROOM_VARIABLE

if TYPE_CHECKING:
    from alwrity_checks.startup.race_targets import StartTarget

__all__ = ["PORTS_VARIABLE", "SCENARIOS", "Scenario", "Seen", "Stage"]

_PATIENCE: Final = 60.0
"""Seconds after which something hangs that nothing keeps waiting."""
_HOLD: Final = 2.5
"""Seconds for which a hub that says nothing is left so, at least; and at least twenty times what a bare start takes."""
_ROOM: Final = 1_000_000
_MODEL: Final = re.compile(r"(?:\b|_)(?:LLM|models?)(?:\b|_)", re.IGNORECASE)
PORTS_VARIABLE: Final = "ALWRITY_RACE_PORTS"
"""The ports of the hub, for a server that may connect to no others."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario plays with."""

    models: Mapping[str, Path]
    directory: Path
    """Empty."""
    seconds: float
    """How long the hub takes for the larger model."""
    bare: float
    """Seconds in which the same server without models answers."""

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return max(SIZES.values()) / self.seconds

    def starting(
        self, target: StartTarget, hub: LoopbackHub, more: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[RunningServer]:
        """Start the server of `target`, with `hub` as its hub and an empty cache."""
        ports = {PORTS_VARIABLE: ",".join(map(str, hub.ports))}
        variables = environment(hub.endpoint, self.directory, {**ports, **target.settings, **(more or {})})
        return running(target, variables)

    @property
    def hold(self) -> float:
        """Seconds in which a server that waits for nothing has answered."""
        return max(_HOLD, 20 * self.bare)

    @property
    def patience(self) -> float:
        """Seconds after which a download at this rate hangs."""
        return _PATIENCE + 4 * self.seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """What one scenario showed on one target."""

    outcome: Outcome
    message: str
    start: Start | None = None
    """The start that shows it best."""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The facts, for the report."""
        return tuple(Evidence(label, value) for label, value in self.facts.items())


Play = Callable[["StartTarget", Stage], Coroutine[Any, Any, Seen]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of them."""

    code: str
    """The rule that it is about."""
    name: str
    title: str
    play: Play


async def _slow(target: StartTarget, stage: Stage) -> Seen:
    with LoopbackHub(stage.models, rate=stage.rate) as hub:
        async with stage.starting(target, hub) as server:
            await _listen(server, stage.patience)
            usable = not target.agent or await server.ask("/agent", "usable", stage.patience)
            await server.until_event("download-ended", stage.patience)
        facts = {"downloaded": ", ".join(weights_of(hub)) or "nothing", "bytes sent": f"{hub.bytes_sent:,}"}
    seen = _order(server.start)
    return Seen(seen.outcome if usable else Outcome.UNKNOWN, seen.message, server.start, {**seen.facts, **facts})


async def _unused(target: StartTarget, stage: Stage) -> Seen:
    with LoopbackHub(stage.models) as hub:
        async with stage.starting(target, hub) as server:
            listening = await _listen(server, stage.patience)
            usable = not target.agent or await server.ask("/agent", "usable", stage.patience)
        asked = weights_of(hub)
    unused = [model for model in asked if model not in target.used]
    if not listening or not usable or not asked or (target.agent and target.agent not in asked):
        return Seen(Outcome.UNKNOWN, "the agents' model was never fetched", server.start)
    if unused:
        wasted, all_of_it = size_of(unused), size_of(asked)
        told = f"downloaded {', '.join(unused)}, which no agent uses: {wasted:,} of {all_of_it:,} bytes"
        return Seen(Outcome.REPRODUCED, told, server.start)
    return Seen(Outcome.ABSENT, f"downloaded {' and '.join(asked)} alone, which the backend uses", server.start)


def _held(fault: Fault) -> Play:
    async def play(target: StartTarget, stage: Stage) -> Seen:
        with LoopbackHub(stage.models, fault=fault, after=500_000) as hub:
            async with stage.starting(target, hub) as server:
                listening = asyncio.create_task(_listen(server, stage.patience))
                asked = await server.until_seen(lambda: bool(hub.requests), stage.patience)
                # The hub never goes on: who waits for it waits for as long as it is left so.
                await asyncio.wait([listening], timeout=stage.hold)
                listening.cancel()
        seen = _order(server.start)
        return seen if asked else Seen(Outcome.UNKNOWN, "the hub was never asked", server.start)

    return play


def _refused(fault: Fault | None, cause: str) -> Play:
    """Play a hub that refuses; None: there is none. `cause` matches what a log must say besides the model's name."""

    async def play(target: StartTarget, stage: Stage) -> Seen:
        with contextlib.ExitStack() as stack:
            hub = stack.enter_context(LoopbackHub(stage.models, fault=fault, retry_after=600))
            if fault is None:
                stack.close()
            async with stage.starting(target, hub) as server:
                return await _told(server, stage, re.compile(cause, re.IGNORECASE))

    return play


async def _full_disk(target: StartTarget, stage: Stage) -> Seen:
    if sys.platform == "win32":
        return Seen(Outcome.UNKNOWN, "the limit that stands for a full disk does not exist on Windows")
    with LoopbackHub(stage.models) as hub:
        async with stage.starting(target, hub, {ROOM_VARIABLE: str(_ROOM)}) as server:
            await _listen(server, stage.patience)
            troubled = await server.until(_has_failed, stage.patience)
        weights = hub.bytes_sent
    if not troubled:
        return Seen(Outcome.UNKNOWN, "the download did not fail on a full disk", server.start)
    facts = {"the disk": f"{_ROOM:,} bytes free by an injected answer, and RLIMIT_FSIZE at the same"}
    if weights > _ROOM // 2:
        told = f"{weights:,} bytes were fetched onto a disk with {_ROOM:,} free before it failed"
        return Seen(Outcome.REPRODUCED, told, server.start, facts)
    return Seen(Outcome.ABSENT, "the space was asked for first: no weights were fetched", server.start, facts)


async def _killed(target: StartTarget, stage: Stage) -> Seen:
    whole = size_of(target.models)
    with LoopbackHub({model: stage.models[model] for model in target.models}, rate=stage.rate) as hub:
        async with stage.starting(target, hub) as server:
            reached = await server.until_seen(lambda: hub.bytes_sent >= whole // 2, stage.patience)
        hub.rate, before = None, hub.bytes_sent
        async with stage.starting(target, hub) as again:
            await _listen(again, stage.patience)
            ended = await again.until_event("download-ended", stage.patience)
        after = hub.bytes_sent - before
    if not reached or not ended or again.start.told("download-ended", "ok") is not True:
        return Seen(Outcome.UNKNOWN, "the second start did not finish the download", again.start)
    facts = {
        "sent before the kill": f"{before:,}",
        "sent after it": f"{after:,}",
        "the model's weights": f"{whole:,}",
    }
    if after >= whole:
        return Seen(
            Outcome.REPRODUCED, f"after kill -9 the download began anew: all {after:,} bytes again", again.start, facts
        )
    return Seen(Outcome.ABSENT, f"after kill -9 the download went on: {after:,} bytes more", again.start, facts)


async def _listen(server: RunningServer, seconds: float) -> bool:
    """Wait until the server answers."""
    return await server.until_event("listening", seconds) and await server.ask("/health", "answered", seconds)


def _order(start: Start) -> Seen:
    """Return what the order of answering and downloading shows."""
    answered, ended = start.at("answered"), start.at("download-ended")
    facts = {} if answered is None else {"answered after": f"{answered:.2f} s"}
    facts |= {} if ended is None else {"download ended after": f"{ended:.2f} s"}
    facts |= {} if (usable := start.at("usable")) is None else {"model usable after": f"{usable:.2f} s"}
    match start.listened_first:
        case None:
            return Seen(Outcome.UNKNOWN, f"the server did not get so far: {start.log[-300:].strip()}", start, facts)
        case True:
            return Seen(Outcome.ABSENT, "the server answered while the download was under way", start, facts)
    message = (
        "the server waited for the hub, and never listened while it was watched"
        if answered is None
        else "the server listened only when the download had ended"
    )
    return Seen(Outcome.REPRODUCED, message, start, facts)


def _has_failed(start: Start) -> bool:
    return start.at("download-troubled") is not None or start.told("download-ended", "ok") is False


async def _told(server: RunningServer, stage: Stage, cause: re.Pattern[str]) -> Seen:
    """Return whether the log of a start whose download fails has a line that is about a model and names the cause."""
    listening = await _listen(server, stage.patience)
    failed = await server.until(_has_failed, stage.patience)

    def found(log: str) -> list[str]:
        lines = (line.strip() for line in log.splitlines())
        return [line for line in lines if _is_about_a_model(line, stage) and cause.search(line)]

    if failed and server.start.at("download-troubled") is not None:
        # In the background the line may come after the event: killed in between, a busy machine would look silent.
        await server.until_seen(lambda: bool(found(server.read_log())), stage.patience)
    await server.kill()
    if not failed or not listening:
        return Seen(Outcome.UNKNOWN, "the download did not fail, or the server did not come up", server.start)
    reason = server.start.told("download-troubled", "reason")
    if reason == "does-not-fit":
        return Seen(Outcome.UNKNOWN, "this machine has no memory for the model, so nothing was fetched", server.start)
    log = server.start.log.strip()
    lines = found(log)
    if not lines:
        told = "the download failed, and the log does not say so"
        return Seen(Outcome.REPRODUCED, told, server.start, {"log": log[-400:] or "empty"})
    why = f" ({reason})" if reason else ""
    return Seen(Outcome.ABSENT, f"the log says what failed{why}", server.start, {"log": lines[0][:400]})


def _is_about_a_model(line: str, stage: Stage) -> bool:
    return any(model in line for model in stage.models) or _MODEL.search(line) is not None


SCENARIOS: Final = (
    Scenario("STA001", "slow", "a hub that takes its time for each byte", _slow),
    Scenario("STA002", "stalled", "a hub that stops in the middle of a file", _held(Fault.STALLED)),
    Scenario("STA002", "silent", "a hub that accepts connections and never answers", _held(Fault.SILENT)),
    Scenario("STA003", "refused token", "a hub that answers 401", _refused(Fault.UNAUTHORISED, r"401|token")),
    Scenario("STA003", "unknown model", "a hub that answers 404", _refused(Fault.UNKNOWN, r"404|not found|no model")),
    Scenario("STA003", "rate limit", "a hub that answers 429", _refused(Fault.RATE_LIMITED, r"429|too many requests")),
    Scenario(
        "STA003",
        "no network",
        "no hub at the address, and HF_HUB_OFFLINE unset",
        _refused(None, r"refused|reach|connect"),
    ),
    Scenario("STA004", "full disk", "a disk with less room than the model needs", _full_disk),
    Scenario("STA005", "kill", "kill -9 in the middle of a download, and another start", _killed),
    Scenario("STA006", "unused model", "a start, and the first request of an agent", _unused),
)
