"""The plays that need a process of their own, two at a time, beside those that do not: see `driven_real`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.models.scenarios import real
from alwrity_checks.models.scenarios.scenario import Seen
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.conversation import exit_in_words

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["Beside", "judged"]

_PATIENCE: Final = 150.0
"""Seconds until a play is taken to hang: the longest takes thirty."""
_ACTS: Final = {"MDL006": "offline", "MDL007": "memory", "MDL008": "json"}
_JUDGES: Final[Mapping[str, Callable[[Mapping[str, Any]], Seen]]] = {
    "MDL006": real.offline_seen,
    "MDL007": real.memory_seen,
    "MDL008": real.json_seen,
}


class Beside:
    """Plays what needs a process of its own, two at a time, while others are played here."""

    def __init__(self, inside: Inside, codes: Iterable[str]) -> None:
        """Begin with those of `codes` that need one."""
        self._inside = inside
        self._pool = ThreadPoolExecutor(2)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._plays: dict[str, Future[Seen]] = {
            code: self._pool.submit(self._played, code) for code in codes if code in _ACTS
        }

    def seen(self, code: str) -> Seen | None:
        """Wait for what the play of a rule showed; None for one that needs no process of its own."""
        play = self._plays.get(code)
        return None if play is None else play.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in tuple(self._running):
            process.kill()
        self._pool.shutdown(cancel_futures=True)

    def _played(self, code: str) -> Seen:
        with tempfile.TemporaryFile() as talk, tempfile.TemporaryFile() as lines:
            process = subprocess.Popen(  # noqa: S603 - our own program in the same interpreter
                [*self._inside.command, _ACTS[code]], stdin=subprocess.DEVNULL, stdout=lines, stderr=talk
            )
            self._running.add(process)
            try:
                ended = f"with {exit_in_words(process.wait(_PATIENCE))}"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                ended = f"after {_PATIENCE:.0f} s, by us"
            finally:
                self._running.discard(process)
            lines.seek(0)
            told: dict[str, Any] = {}
            for line in lines.read().splitlines():
                told |= json.loads(line)
            talk.seek(0)
            return judged(code, told, ended, _last_words(talk.read()))


def judged(code: str, told: Mapping[str, Any], ended: str, last: str) -> Seen:
    """Return what the play of a rule showed that `told` this before its process `ended`, with these `last` words."""
    if "told" in told:
        return _JUDGES[code](told["told"])
    if "unplayable" in told:
        return Seen(Outcome.UNKNOWN, scrub(str(told["unplayable"]))[:240])
    facts = (Evidence("the process ended", ended), Evidence("its last words", last or "none"))
    if code == "MDL007" and told.get("begun") == real.LARGE:
        # The limit is known and small, and nothing else was under way.
        return Seen(Outcome.REPRODUCED, f"the load of what cannot fit was begun, and the process ended {ended}", facts)
    return Seen(Outcome.UNKNOWN, f"the process of the scenario ended {ended}", facts)


def _last_words(written: bytes) -> str:
    return scrub(written.decode("utf-8", "replace").strip().rpartition("\n")[2])[:200]
