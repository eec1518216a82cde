"""Listening to a child: what it says, line by line, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.sandbox.sandbox import Launch, Sandbox

__all__ = ["Meeting", "Shown", "end_group", "evidence_from", "exit_in_words", "lines", "meet", "play"]

_LONGEST_LINE: Final = 1 << 24
"""Bytes; a recording is one line."""
_STARTING: Final = 60.0
"""Seconds to the first word, at the least: an environment on a slow disk takes some to start for the first time."""
_TAIL: Final = 4096
_READING: Final = 5.0
_LONGEST_WORDS: Final = 200


async def lines(launch: Launch, silence: float) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what the child says, and at last how it `ended`: on its own, or killed after `silence` seconds.

    To its first word it has a minute, if that is longer. It never raises for what the child does: dying, hanging and
    refusing to start are answers. Its whole group is killed in the end.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *launch.arguments,
            env=launch.environment,
            cwd=launch.directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
    except OSError as error:
        yield {"ended": f"at its start: {error.strerror}"}
        return
    assert child.stdout is not None and child.stderr is not None  # noqa: S101, PT018 - asked for above
    errors = asyncio.create_task(_end_of(child.stderr))
    patience = max(silence, _STARTING)
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    try:
        while line := await asyncio.wait_for(child.stdout.readline(), deadline - clock()):
            # Before our program begins, what an interpreter runs at each start may print what it likes, for ever.
            if line.startswith(b"{") and (told := _object(line)) is not None:
                patience = silence
                yield told
                deadline = clock() + patience
        code = await asyncio.wait_for(child.wait(), silence)
        end_group(child)  # what it started may hold its stderr open
        yield {"ended": f"with {exit_in_words(code)}{await _last_words(errors) if code else ''}"}
    except TimeoutError:
        yield {"ended": f"after {patience:.0f} s of silence"}
    except ValueError:
        yield {"ended": f"by us, after a line of more than {_LONGEST_LINE} bytes"}
    finally:
        end_group(child)
        # asyncio waits for the end of a process and of its pipes: one that nobody reads would never come to it. What
        # has left the group may hold it open.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_end_of(child.stdout), _READING)
        errors.cancel()
        if child.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), _READING)


def _object(line: bytes) -> dict[str, Any] | None:
    """Return a line of the protocol; None for half of one, which a child that was killed may have left.

    How a child ended is ours to say.
    """
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and "ended" not in told else None


def exit_in_words(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return str(code)
    try:
        return f"{code} ({signal.Signals(-code).name})"
    except ValueError:
        return str(code)


async def _end_of(stream: asyncio.StreamReader) -> bytes:
    """Read everything, so that nobody waits to write, and return the end of it."""
    kept = b""
    while read := await stream.read(_TAIL):
        kept = (kept + read)[-_TAIL:]
    return kept


async def _last_words(errors: asyncio.Task[bytes]) -> str:
    """Return the last line that a child wrote to stderr, as an exception's is."""
    # What has left the group may still hold it open.
    await asyncio.wait({errors}, timeout=_READING)
    lines = errors.result().decode(errors="replace").strip().splitlines() if errors.done() else []
    return f": {scrub(lines[-1].strip())[:_LONGEST_WORDS]}" if lines else ""


def end_group(child: asyncio.subprocess.Process | subprocess.Popen[bytes]) -> None:
    """Kill a child that leads a group with all of its own children, among which one may hang for ever."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "win32":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()


def evidence_from(told: Iterable[Sequence[str]]) -> tuple[Evidence, ...]:
    """Return evidence from pairs of label and value, scrubbed: a child does not know which secrets we have wrapped."""
    return tuple(Evidence(str(label), scrub(str(value))) for label, value in told)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What came of the first contact with a checkout's module."""

    hindrance: str = ""
    """What hinders it from being driven; empty if nothing does."""
    facts: tuple[Evidence, ...] = ()
    """What it runs on."""
    remedy: str = ""
    """What to do about the hindrance, where the driver knows."""
    heavier: bool = False
    """Whether the hindrance may come of an import that was left out to save time."""


async def meet(sandbox: Sandbox, silence: float, what: str = "module") -> Meeting:
    """Ask the driver to `meet` the checkout's module, and return what came of it.

    The driver says `begins="the checkout's X was imported"` before whatever may not return, then `met=[[label,
    value]...]` or `unmet="why"`, the latter with `evidence`, `remedy` and `heavier` where it has them.
    """
    begun = ""
    told: dict[str, Any] = {}
    with sandbox.launched("meet") as launch:
        async for line in lines(launch, silence):
            begun = line.get("begins", begun)
            told = {**told, **line}
    with contextlib.suppress(TypeError, ValueError):  # of pairs that are none: no driver of ours said that
        if "met" in told:
            return Meeting(facts=evidence_from(told["met"]))
        if "unmet" in told:
            said = [scrub(str(told["unmet"])), *(one.value for one in evidence_from(told.get("evidence", ())))]
            hindrance = f"the checkout's {what} cannot be driven: {'; '.join(said)}"
            return Meeting(hindrance, remedy=str(told.get("remedy", "")), heavier=bool(told.get("heavier")))
    if begun:
        return Meeting(f"the process ended {told['ended']} while {begun}")
    return Meeting(f"{sandbox.interpreter} ended {told['ended']} before it could say anything")


@dataclass(frozen=True, slots=True)
class Shown:
    """What one scenario showed of the checkout; or that it `begins`."""

    number: int
    outcome: Outcome | None
    """None if it has just begun."""
    message: str = ""
    evidence: tuple[Evidence, ...] = ()
    line: Mapping[str, Any] = field(default_factory=dict)
    """All that was said of it: a driver may say more than this module knows of."""


async def play(sandbox: Sandbox, numbers: Sequence[int], silence: float) -> AsyncGenerator[Shown, None]:
    """Have the driver `play` the scenarios of these numbers, and yield what each showed, in this order.

    The driver says `begins=number` and `number=..., seen=inside.witnessed(...)` for each, in the order given. If the
    process ends before its last scenario, the one under way is `unknown` and the others go on in another process.
    """
    remaining = list(numbers)
    while remaining:
        ended = ""
        with sandbox.launched("play", json.dumps(remaining)) as launch:
            async with aclosing(lines(launch, silence)) as said:
                async for line in said:
                    ended = line.get("ended", "")
                    if line.get("begins") == remaining[0]:
                        yield Shown(remaining[0], None)
                    elif line.get("number") == remaining[0] and (shown := _shown(line)) is not None:
                        remaining.pop(0)
                        yield shown
                    if not remaining:
                        break
        if remaining:
            yield Shown(remaining.pop(0), Outcome.UNKNOWN, f"the process of the scenario ended {ended}")


def _shown(line: Mapping[str, Any]) -> Shown | None:
    """Return what a line says of a scenario; None if it is none of a driver's."""
    try:
        seen = line["seen"]
        evidence = evidence_from(seen["evidence"])
        return Shown(line["number"], Outcome(seen["outcome"]), scrub(str(seen["message"])), evidence, line)
    except (KeyError, TypeError, ValueError):
        return None
