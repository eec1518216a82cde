"""The scenario of `kill -9` in the middle of a save."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Evidence, Outcome, TargetKind
from alwrity_checks.sandbox.speech import say
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.scenarios.calls import warm
from alwrity_checks.txtai.scenarios.child import run
from alwrity_checks.txtai.scenarios.scenario import USER, Offer, Scenario, Seen, batch, found, texts
from alwrity_checks.txtai.scenarios.stage import Stage
from alwrity_checks.txtai.watching import Call, watched

if TYPE_CHECKING:
    from alwrity_checks.txtai.legacy.service import Item
    from alwrity_checks.txtai.scenarios.targets import TxtaiTarget

__all__ = ["SCENARIOS", "write"]

_CHILD: Final = 60.0
_IN_SAVE: Final = "documents"
"""txtai's own save, in place: the vectors are written, the documents are not."""
_POINTS: Final = ("saved-work", "synced", "renamed", "switched")
"""The component's snapshot: after each of these steps the process is killed."""
if sys.platform == "win32":
    _KILL: Final = signal.SIGTERM  # os.kill ends a process there with whatever it is given, as its exit code
    _KILLED: Final = int(_KILL)
else:
    _KILL: Final = signal.SIGKILL
    _KILLED: Final = -_KILL
_OLD: Final = 40
_NEW: Final = 45
"""Enough documents for the component to take a snapshot when it is closed."""


def write(target: TxtaiTarget, directory: str, where: str) -> None:
    """Store a batch, then a newer version of it with more documents, and be killed while the latter is saved.

    Says after each call what was accepted.
    """
    import txtai.database  # type: ignore[import-untyped]

    owner = next(one for one in txtai.database.SQLite.__mro__ if "save" in vars(one))
    with Stage(root=Path(directory)) as stage:
        deployment = target.deploy(stage)

        async def offered(items: list[Item]) -> None:
            offer = Offer()
            await offer.make(deployment.of(USER), items)
            say(accepted=offer.accepted, errors=offer.errors)

        asyncio.run(warm(deployment))
        asyncio.run(offered(batch("today", _OLD)))
        deployment.wait(_CHILD)
        killer = _Killer(where)
        with watched(owner, ("save",), [killer]), hooked(killer.reached):
            asyncio.run(offered(_newer()))
            deployment.wait(_CHILD)
            deployment.close()


def _newer() -> list[Item]:
    return [(one, f"{text}, as of now", metadata) for one, text, metadata in batch("today", _NEW)]


class _Killer:
    """Ends the process as `kill -9` does."""

    def __init__(self, where: str) -> None:
        self._where = where

    def entered(self, call: Call) -> None:
        """Kill before the documents are saved."""
        del call
        self.reached(_IN_SAVE, None)

    def left(self, call: Call, error: BaseException | None) -> None:
        """Do nothing."""

    def reached(self, name: str, subject: object) -> None:
        """Kill at the point."""
        del subject
        if name == self._where:
            os.kill(os.getpid(), _KILL)


def _killed_in_save(target: TxtaiTarget) -> Seen:
    places = _POINTS if target.target.kind is TargetKind.FIXED else (_IN_SAVE,)
    accepted = kept = 0
    evidence = []
    for where in places:
        with tempfile.TemporaryDirectory(prefix="txtai-race-") as directory:
            child = run("write", target, directory, where, timeout=_CHILD)
            if child.code != _KILLED:
                last = child.errors.strip().rpartition("\n")[2]
                return Seen(Outcome.UNKNOWN, f"the child was not killed at {where!r}", (Evidence("stderr", last),))
            number, there = _compared(target, Path(directory), child.lines)
        accepted, kept = accepted + number, kept + there
        evidence.append(Evidence(f"killed at {where!r}", f"{there} of {number} accepted documents found as accepted"))
    lost = accepted - kept
    message = (
        f"killed in the save, {len(places)} times: {lost or 'none'} of {accepted} accepted documents lost or mixed up"
    )
    return Seen(Outcome.REPRODUCED if lost else Outcome.ABSENT, message, tuple(evidence), accepted, kept)


def _compared(target: TxtaiTarget, directory: Path, lines: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return how many documents were accepted, and how many a restart finds in that version or the newer one."""
    accepted: dict[str, str] = {}
    for line in lines:
        accepted.update(line["accepted"])
    newer = texts(_newer())
    with Stage(root=directory) as stage:
        deployment = target.deploy(stage)

        async def look() -> set[str]:
            await warm(deployment)
            service = deployment.of(USER)
            return await found(service, accepted) | await found(service, {one: newer[one] for one in accepted})

        try:
            return len(accepted), len(asyncio.run(look()))
        finally:
            deployment.close()


SCENARIOS: Final = (Scenario("TXT012", "kill-save", "kill -9 in the middle of a save", _killed_in_save),)
