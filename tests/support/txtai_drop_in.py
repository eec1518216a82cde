"""The component behind ALwrity's names, with the real MiniLM, as a target of the race.

What a scenario wants of its model - to be slow, to fail, to say on which thread it works - happens first; then MiniLM
makes the vectors. Acts that hang or kill their process play in processes forked from one that has imported torch and
txtai, and has made no thread: the import takes seconds. `Forks` is the face of that process.

    python -m tests.support.txtai_drop_in        reads one JSON request per line, and answers each with one line
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Target, TargetKind
from alwrity_checks.sandbox.speech import speak_through
from alwrity_checks.txtai.compat import TxtaiIntelligenceService
from alwrity_checks.txtai.encoder import SentenceEncoder, import_libraries
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
from alwrity_checks.txtai.model_source import MINILM, find_model
from alwrity_checks.txtai.scenarios import crash, threads
from alwrity_checks.txtai.scenarios.child import Ended, environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.model import Evidence
    from alwrity_checks.txtai.scenarios.stage import Stage

_ACTS: Final[Mapping[str, Callable[..., None]]] = {
    "loops": threads.loops,
    "hammer": threads.hammer,
    "write": crash.write,
}
_TARGET: Final = Target(TargetKind.FIXED, "drop-in", "TxtaiIntelligenceService with MiniLM")
_CLOSING: Final = 20.0
_PAUSE: Final = 0.01
_ROOT: Final = Path(__file__).parents[2]


@cache
def minilm() -> SentenceEncoder:
    """Return the real model, loaded once in a process, from this machine."""
    return SentenceEncoder.load(MINILM, find=partial(find_model, hub_answers=lambda: False))


class StagedMiniLM:
    """MiniLM, loaded and used as slowly and as well as the scenario wants."""

    def __init__(self, stage: Stage) -> None:
        stage.load()
        self._stage = stage
        self._model = minilm()
        self.identity = self._model.identity
        self.dimensions = self._model.dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Let the scenario do what it wants, then return MiniLM's vectors."""
        self._stage.encode(texts)
        return self._model.encode(texts)


@dataclass(frozen=True)
class DropInTarget:
    """The drop-in service, which needs no wrapper: the scenarios speak ALwrity's names."""

    target: Target = _TARGET
    facts: tuple[Evidence, ...] = ()

    def deploy(self, stage: Stage) -> DropIn:
        """Have the services made from now on use indexes of their own, as in a new process of a backend."""
        storage = partial(SharedStorage, stage.root / "semantic-index")
        indexes = SemanticIndexes(storage, load=lambda _: StagedMiniLM(stage), encoders=EncoderRegistry())
        TxtaiIntelligenceService.use(indexes)
        return DropIn(indexes)

    def __str__(self) -> str:
        return str(self.target)


@dataclass(frozen=True)
class DropIn:
    """A process of a backend; everything but its end goes through the services."""

    indexes: SemanticIndexes
    used: dict[str, TxtaiIntelligenceService] = field(default_factory=dict)

    def of(self, user_id: str) -> TxtaiIntelligenceService:
        """Return a service of the user, a new one each time."""
        self.used[user_id] = TxtaiIntelligenceService(user_id)
        return self.used[user_id]

    def wait(self, timeout: float) -> bool:
        """Wait until every service that was used is ready and has nothing queued; say whether that came about."""
        deadline = time.monotonic() + timeout
        while not all(_is_settled(service) for service in self.used.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def close(self) -> None:
        """End the process in good order."""
        TxtaiIntelligenceService.use(None)
        assert self.indexes.close_sync(_CLOSING)


def _is_settled(service: TxtaiIntelligenceService) -> bool:
    return service.is_initialized() and service.get_index_stats().get("queued") == 0


class Forks:
    """The process from which those that carry out an act are forked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.txtai_drop_in"],
            cwd=_ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, act: str, target: object, *words: str, timeout: float) -> Ended:
        """Do as `alwrity_checks.txtai.scenarios.child.run` does, for the drop-in service."""
        assert isinstance(target, DropInTarget)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"act": act, "words": words, "seconds": round(timeout)}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        complete = answer["output"].split("\n")[:-1]
        code = None if answer["code"] == -signal.SIGALRM else answer["code"]
        return Ended(code, tuple(json.loads(line) for line in complete), answer["errors"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def _carried_out(act: str, words: Sequence[str], seconds: int) -> dict[str, Any]:
    """Carry out an act in a forked process, which the system ends after `seconds`; return how that went."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(seconds)
                os.dup2(output.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                speak_through(sys.stdout)  # a fork has no voice unless it is given one
                _ACTS[act](DropInTarget(), *words)
                sys.stdout.flush()
                # Threads that hang would keep the process from ending.
                os._exit(0)
            except BaseException:  # noqa: BLE001 - it must never go on as a second reader of the requests
                sys.excepthook(*sys.exc_info())
                os._exit(3)
        _, status = os.waitpid(child, 0)
        for file in (output, errors):
            file.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "output": output.read().decode(),
            "errors": errors.read().decode(errors="replace")[-2000:],
        }


def main() -> None:
    """Answer requests until there are no more."""
    import_libraries()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_carried_out(**json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
