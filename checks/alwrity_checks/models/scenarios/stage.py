"""Where scenarios play: models that cost nothing, whose loads are counted, delayed, refused or broken at will."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.errors import ModelError, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime, Step

if TYPE_CHECKING:
    from alwrity_checks.models.decision import Verdict
    from alwrity_checks.models.embedding import Encoder
    from alwrity_checks.models.plan import Plan
    from alwrity_checks.models.prefetch import Progress
    from alwrity_checks.models.runtimes.interface import LoadedModel

__all__ = ["NEEDS", "PLENTY", "Stage", "StageWorks"]

_MIB: Final = 1 << 20
NEEDS: Final[Mapping[tuple[str, Runtime, Precision], int]] = {
    ("Qwen/Qwen2.5-3B-Instruct", Runtime.TRANSFORMERS, Precision.BFLOAT16): 6436 * _MIB,
    ("Qwen/Qwen2.5-1.5B-Instruct", Runtime.TRANSFORMERS, Precision.BFLOAT16): 3480 * _MIB,
    ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", Runtime.TRANSFORMERS, Precision.BFLOAT16): 2441 * _MIB,
    ("Qwen/Qwen2.5-0.5B-Instruct", Runtime.TRANSFORMERS, Precision.BFLOAT16): 1458 * _MIB,
    ("Qwen/Qwen2.5-1.5B-Instruct", Runtime.ONNX, Precision.INT4): 1600 * _MIB,
    ("Qwen/Qwen2.5-0.5B-Instruct", Runtime.ONNX, Precision.INT4): 645 * _MIB,
}
"""Peaks of resident memory as they were measured, in bytes."""
PLENTY: Final = 64 << 30


class Stage:
    """Loads models that say "ok", and keeps account of it."""

    def __init__(
        self, load: Callable[[str], None] = lambda _model: None, *, available: int = PLENTY, answer: str = "ok"
    ) -> None:
        """`load` is called by the model's name for each load; what it raises, the load raises."""
        self._load = load
        self._lock = threading.Lock()
        self.available = available
        self.answer = answer
        self.tried: list[str] = []
        """The models whose load was begun, in that order."""
        self.fetched: list[str] = []
        """The models that were fetched ahead."""
        self.alive = 0
        """How many loaded models are in memory."""

    def load(self, model: str) -> Callable[..., str]:
        """Load as txtai's LLM does: a callable that answers."""
        self.begin(model)
        return lambda _prompt, **_: self.answer

    def begin(self, model: str) -> None:
        """Count a load, and let it succeed or raise."""
        with self._lock:
            self.tried.append(model)
        self._load(model)
        with self._lock:
            self.alive += 1

    def end(self) -> None:
        """Count a model that was unloaded."""
        with self._lock:
            self.alive -= 1


class StageWorks:
    """The registry's seam on a stage: bfloat16 in transformers, as the historical wrapper loads."""

    def __init__(self, stage: Stage, runtimes: Sequence[Runtime] = (Runtime.TRANSFORMERS,)) -> None:
        self._stage = stage
        self._runtimes = frozenset(runtimes)

    def installed(self) -> frozenset[Runtime]:
        """Return the stage's runtimes."""
        return self._runtimes

    def native_bfloat16(self) -> bool:
        """Say yes: then a model is loaded as the historical wrapper loads it."""
        return True

    def need(self, step: Step, context: int) -> int | None:
        """Return what was measured."""
        del context
        return NEEDS.get((step.model, step.runtime, step.precision))

    def available(self, step: Step) -> int:
        """Return the stage's memory."""
        del step
        return self._stage.available

    def refusal(self, step: Step, context: int) -> ModelError | None:
        """Return that it does not fit."""
        need = self.need(step, context)
        if need is None or need <= self._stage.available:
            return None
        return OutOfMemory(Reason.DOES_NOT_FIT, f"{step} does not fit on the stage")

    def fetch(self, step: Step) -> Path:
        """Return a directory that nobody reads."""
        return Path(step.model)

    def verdict(self, step: Step, directory: Path, context: int) -> Verdict | None:
        """Remember nothing."""
        del step, directory, context
        return None

    def remember(self, step: Step, directory: Path, context: int, verdict: Verdict) -> None:
        """Forget it."""

    def rehearse(self, step: Step, directory: Path, context: int) -> int:
        """Say that the load took what was predicted."""
        del directory
        return self.need(step, context) or 0

    def load(self, step: Step, directory: Path, context: int) -> LoadedModel:
        """Load on the stage."""
        del directory
        self._stage.begin(step.model)
        return StageModel(self._stage, context)

    def load_encoder(self, directory: Path) -> Encoder:
        """Raise: no scenario makes embeddings."""
        raise NotImplementedError

    def plan(self, steps: Sequence[Step], context: int, available: int | None) -> Plan:
        """Raise: no scenario plans."""
        raise NotImplementedError

    def prefetch(self, model: str) -> None:
        """Note it."""
        self._stage.fetched.append(model)

    def downloads(self) -> Mapping[str, Progress]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing."""


class StageModel:
    """A model of the stage, at the registry's seam; it has no tokens, and is not asked for any."""

    tokenizer: Any = None
    vocabulary = 1
    ends = frozenset({0})

    def __init__(self, stage: Stage, context: int) -> None:
        self._stage = stage
        self.context = context

    def session(self, tokens: int | None = None) -> Any:  # noqa: ANN401, ARG002 - never used
        """Begin what can be closed."""
        return self

    def close(self) -> None:
        """Count the model as unloaded."""
        self._stage.end()


def wait_until(true: Callable[[], bool], patience: float = 10.0) -> bool:
    """Wait until something is true, and say whether it became so."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
