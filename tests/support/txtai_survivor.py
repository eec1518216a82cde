"""A directory that processes are killed in again and again, and what must be found in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.txtai_kill import Killer


class Survivor:
    """What was acknowledged in a directory, compared with what is found there after each kill."""

    def __init__(self, killer: Killer, directory: Path) -> None:
        self.killer = killer
        self.directory = directory
        self.log = directory / "log"
        self.expected: dict[str, str] = {}
        self.kept = 0
        """Acknowledged operations."""
        self.documents = 0
        """Documents in them."""

    def kill(self, seed: int, moment: float | tuple[str, int]) -> int:
        """Have a process work and be killed; return how many ids the next one finds wrongly: lost, stale or undead.

        An id that is there twice, or a vector that is not its text's, ends that process with an error.
        """
        place = {"directory": str(self.directory / "index"), "log": str(self.log)}
        assert self.killer.ask(act="kill", seed=seed, moment=moment, **place) == {"ended": "SIGKILL"}
        possible = self.possible()
        assert self.killer.ask(act="found", **place) == {"ended": "exit 0"}
        self.expected = json.loads(self.log.read_text("utf-8"))
        return min(len(dict(state.items() ^ self.expected.items())) for state in possible)

    def possible(self) -> list[dict[str, str]]:
        """Return what may be there: all that was acknowledged, with or without what was under way when the kill came.

        A last line without its end was being written; then the operation after it has not begun.
        """
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines(keepends=True) if line[-1] == "\n"]
        state = dict(self.expected)
        after = dict(state)
        pending = 0
        for line in lines:
            if line["kind"] == "kept":
                state = after
                self.kept += 1
                self.documents += pending
            else:
                after = {} if line["clear"] else dict(state)
                for one in line["deletes"]:
                    after.pop(one, None)
                after.update(line["upserts"])
                pending = len(line["upserts"])
        return [state, after]
