"""Runs inside the interpreter of the user's checkout and starts as its own script does: see `sandbox.program`.

`meet` and `play` stand beside the server: they keep the hub, ask, and kill. What runs the checkout's code is `serve`, a
further process of the sandbox for each start.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Outcome, Target, TargetKind
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.conversation import exit_in_words
from alwrity_checks.sandbox.speech import say
from alwrity_checks.startup.race import environment, running
from alwrity_checks.startup.race_hub import write_models
from alwrity_checks.startup.race_scenarios import SCENARIOS, Scenario, Seen, Stage
from alwrity_checks.startup.race_targets import StartTarget

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside
    from alwrity_checks.startup.race import Start

__all__ = ["drive"]

_PATIENCE: Final = 60.0
_LONGEST: Final = 1.5
"""Seconds, of a bare start, for a script of which it is not known how long it takes from its download to its server."""
_VERSIONS: Final = ("huggingface_hub", "uvicorn", "python-dotenv")
_DECIDING: Final = ("ALWRITY_VERBOSE", "RENDER", "RAILWAY_ENVIRONMENT")
"""Settings of the bootstrap that a race leaves out, but for those of the user's `.env` where they are to be used."""
_DEAD: Final = "http://127.0.0.1:9"


def drive(inside: Inside, act: str, *words: str) -> None:
    """Carry out one act: `meet`, `play`, or `serve`, which is a start."""
    if act == "serve":
        from alwrity_checks.startup import driven

        driven.start(inside, bare="bare" in words)
    elif act == "meet":
        asyncio.run(_meet(inside))
    else:
        asyncio.run(_play(inside, json.loads(words[0])))


async def _bare(inside: Inside) -> Start:
    """Return what a start showed in which every download is done as soon as it is asked for."""
    with tempfile.TemporaryDirectory() as directory:
        target = _target(inside, {}, "bare")
        async with running(target, environment(_DEAD, Path(directory), target.settings)) as server:
            if await server.until_event("listening", _PATIENCE):
                await server.ask("/health", "answered", _PATIENCE)
        return server.start


async def _meet(inside: Inside) -> None:
    """Say what the start script fetches and comes to where a download takes no time; or what hinders it."""
    say(begins="the checkout's start script was run")
    start = await _bare(inside)
    known = _known(start)
    if start.at("answered") is None:
        last = " ".join(start.log.strip().splitlines()[-1:])
        ended = "it does not end" if start.code is None else f"it ended with {exit_in_words(start.code)}"
        why = str(known.get("why") or "") or f"{ended}, and last said: {last or 'nothing'}"
        say(unmet=f"start_alwrity_backend.py came to no server that listens: {scrub(why)[:300]}")
        return
    if not known["found"] and not known["asked"] and (place := _elsewhere(inside)):
        say(
            unmet="start_alwrity_backend.py has no bootstrap_local_llm_models and downloads nothing, but its parts are "
            f"stood in for, and {place} does: a later version seems to have moved it"
        )
        return
    facts = [[one.label, one.value] for one in inside.facts(*_VERSIONS)]
    told = {
        "stubs": "; ".join(known["stubs"]) or "none",
        "a bare start": f"{start.at('answered') or 0.0:.2f} s",
        "the start downloads": ", ".join(known["asked"]) or "nothing",
        "bootstrap_local_llm_models()": known["result"],
    }
    if known["gate"]:
        told["should_bootstrap_local_llm_models()"] = known["gate"]
    say(met=[*(one for one in facts if one[0] != "stubs"), *([name, value] for name, value in told.items())])


def _known(start: Start) -> dict[str, Any]:
    told = next((moment.told for moment in start.moments if moment.event == "known"), {})
    return {"found": False, "asked": [], "ours": False, "result": "", "gate": "", "stubs": [], **told}


def _elsewhere(inside: Inside) -> str:
    """Return a place of the checkout that downloads a model, if there is one."""
    return next(iter(inside.plan.get("fetchers", ())), "")


async def _play(inside: Inside, numbers: list[int]) -> None:
    start = await _bare(inside)
    known = _known(start)
    with tempfile.TemporaryDirectory() as name:
        models = write_models(Path(name) / "models", (*known["asked"], *inside.plan["used"]))
        answered, asked = start.at("answered") or _LONGEST, start.at("asked")
        bare = min(answered, _LONGEST) if asked is None else answered - asked
        target = _target(inside, known)
        for number in numbers:
            scenario = next(one for one in SCENARIOS if one.name == inside.plan["names"][number])
            own = Path(name) / f"{number}"
            own.mkdir()
            say(begins=number)
            with inside.loopback():
                seen = await _seen(target, scenario, Stage(models, own, inside.plan["seconds"], bare))
            say(
                number=number,
                seen=inside.witnessed(seen.outcome, seen.message, seen.evidence),
                start=seen.start and seen.start.to_json(),
            )


def _target(inside: Inside, known: dict[str, Any], *words: str) -> StartTarget:
    fetched = tuple(dict.fromkeys(known.get("asked", ())))
    # What a role names is used by whoever asks for the role.
    used = {*inside.plan["used"], *(fetched if known.get("ours") else ())}
    return StartTarget(
        "yours",
        Target(TargetKind.BACKEND, "", str(inside.backend)),
        fetched,
        (*inside.command, "serve", *words),
        agent=inside.plan["agent"],
        used=frozenset(used),
        settings={name: os.environ[name] for name in _DECIDING if name in inside.handed},
        reach=inside.guard.allow,
    )


async def _seen(target: StartTarget, scenario: Scenario, stage: Stage) -> Seen:
    if not target.models:
        return await _without_download(target, stage)
    try:
        return await scenario.play(target, stage)
    except Exception as error:  # noqa: BLE001 - the other scenarios go on
        return Seen(Outcome.UNKNOWN, f"the scenario raised {type(error).__name__}: {scrub(str(error))[:200]}")


async def _without_download(target: StartTarget, stage: Stage) -> Seen:
    """Return what a start shows that asks for nothing: it has to listen while the hub is there and counts."""
    from alwrity_checks.models.loopback_hub import LoopbackHub

    with LoopbackHub(stage.models) as hub:
        async with stage.starting(target, hub) as server:
            listening = await server.until_event("listening", stage.patience)
            answered = listening and await server.ask("/health", "answered", stage.patience)
        asked = len(hub.requests)
    if not answered or asked:
        return Seen(Outcome.UNKNOWN, f"the start asked the hub {asked} times, and listens: {answered}", server.start)
    return Seen(Outcome.ABSENT, "the server listens, and its start downloads nothing", server.start)
