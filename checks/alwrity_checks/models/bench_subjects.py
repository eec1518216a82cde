"""What is measured, behind one face: the component itself, and txtai as the backend loads a model."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import Answer, Case, Workload
from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.steps import Runtime, Step
from alwrity_checks.telemetry import no_telemetry

if TYPE_CHECKING:
    from alwrity_checks.models.generation import LocalModel

__all__ = ["LIBRARIES", "Subject", "subject"]

LIBRARIES: Final[Mapping[Carrier, tuple[str, ...]]] = {
    Carrier.TRANSFORMERS: ("torch", "transformers", "tokenizers", "safetensors"),
    Carrier.ONNX: ("onnxruntime-genai", "onnxruntime", "transformers", "tokenizers"),
    Carrier.TXTAI: ("txtai", "torch", "transformers", "tokenizers", "safetensors"),
}
"""The distributions that a figure depends on."""
_WORDS: Final = "the plan of this week is a short text about local models on a small machine and what they cost "
_SPARE: Final = 8
"""Tokens of context beyond the prompt and the answer, for the ends that templates add."""
_JSON_TOKENS: Final = 256


class Subject(Protocol):
    """A model that is measured. Each method is a phase."""

    def imports(self) -> None:
        """Import the libraries. Raises MissingExtra."""

    def load(self) -> None:
        """Load the model. Raises LoadFailed."""

    def answer(self) -> Answer:
        """Answer the prompt with exactly as many tokens as the workload says."""

    def json(self, schema: Mapping[str, Any]) -> bool:
        """Ask for a value of the schema; say whether it came and is valid."""

    def close(self) -> None:
        """Give the model's memory back."""


def subject(case: Case, directory: Path, workload: Workload) -> Subject:
    """Return what `case` names; nothing is imported yet."""
    if case.carrier is Carrier.TXTAI:
        return _Txtai(directory, workload)
    return _Ours(case, directory, workload)


class _Ours:
    """The component: what a backend would import."""

    def __init__(self, case: Case, directory: Path, workload: Workload) -> None:
        self._step = Step(case.model, Runtime(case.carrier), case.precision)
        self._directory, self._workload = directory, workload
        self._model: LocalModel | None = None
        self._prompt = ""

    def imports(self) -> None:
        try:
            if self._step.runtime is Runtime.TRANSFORMERS:
                import torch  # noqa: F401 - to import it is what is measured
                from transformers import AutoModelForCausalLM  # noqa: F401 - the same
            else:
                no_telemetry()
                import onnxruntime_genai  # type: ignore[import-untyped]  # noqa: F401 - the same
            from transformers import PreTrainedTokenizerFast  # noqa: F401 - the same
        except ModuleNotFoundError as error:
            extra = "models" if self._step.runtime is Runtime.TRANSFORMERS else "onnx"
            raise MissingExtra(extra, f"a model in {self._step.runtime}") from error

    def load(self) -> None:
        from alwrity_checks.models.generation import LocalModel
        from alwrity_checks.models.runtimes.table import LOADERS

        work = self._workload
        context = work.prompt_tokens + work.new_tokens + _SPARE
        if work.schemas:
            context = max(context, work.prompt_tokens + 4 * _JSON_TOKENS)
        loaded = LOADERS[self._step.runtime].load(
            self._directory, self._step.precision, context=context, threads=work.threads
        )
        self._model = LocalModel(loaded, self._step)

    @property
    def _loaded(self) -> LocalModel:
        if self._model is None:
            raise RuntimeError("the model is not loaded")
        return self._model

    def answer(self) -> Answer:
        model, work = self._loaded, self._workload
        if not self._prompt:
            self._prompt = _prompt(work.prompt_tokens, lambda text: model.count_tokens(text, template=False))
        told = model.generate_sync(
            self._prompt, max_new_tokens=work.new_tokens, min_new_tokens=work.new_tokens, template=False
        )
        return Answer(told.prompt_tokens, told.tokens, told.time_to_first_token, told.decode_seconds)

    def json(self, schema: Mapping[str, Any]) -> bool:
        try:
            self._loaded.generate_json_sync("Write it.", schema, max_new_tokens=_JSON_TOKENS, tell_schema=False)
        except AnswerFailed:
            return False
        return True

    def close(self) -> None:
        self._loaded.close()


class _Txtai:
    """The catalogue's default: what the backend does, without a word changed."""

    def __init__(self, directory: Path, workload: Workload) -> None:
        self._directory, self._workload = directory, workload
        self._llm: Any = None
        self._prompt = ""

    def imports(self) -> None:
        try:
            from txtai import LLM  # type: ignore[import-untyped]  # noqa: F401 - to import it is what is measured
        except ModuleNotFoundError as error:
            raise MissingExtra("models", "a model as txtai loads it") from error

    def load(self) -> None:
        import torch
        from txtai import LLM

        if self._workload.threads is not None:
            torch.set_num_threads(self._workload.threads)
        self._llm = LLM(str(self._directory), task="language-generation")

    def answer(self) -> Answer:
        work = self._workload
        tokenizer = self._llm.generator.llm.pipeline.tokenizer
        if not self._prompt:
            self._prompt = _prompt(work.prompt_tokens, lambda text: len(tokenizer(text)["input_ids"]))
        clock = _Clock()
        prompt_tokens = len(tokenizer(self._prompt)["input_ids"])
        self._llm(
            self._prompt,
            maxlength=prompt_tokens + work.new_tokens,
            min_new_tokens=work.new_tokens,
            do_sample=False,
            defaultrole="prompt",
            streamer=clock,
        )
        first, last = clock.moments[0], clock.moments[-1]
        return Answer(prompt_tokens, len(clock.moments), first - clock.began, last - first)

    def json(self, schema: Mapping[str, Any]) -> bool:
        import jsonschema

        told = f"Answer with JSON that is valid against this schema:\n{json.dumps(schema)}\n"
        text = self._llm(told, maxlength=4 * _JSON_TOKENS, max_new_tokens=_JSON_TOKENS, do_sample=False)
        try:
            jsonschema.validate(json.loads(text), schema)
        except (ValueError, RecursionError, jsonschema.ValidationError):
            return False
        return True

    def close(self) -> None:
        self._llm = None


class _Clock:
    """A streamer of transformers that keeps the moments at which tokens came."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self._prompt_seen = False
        self.began = time.perf_counter()

    def put(self, _tokens: object) -> None:
        """Take the prompt, then each token."""
        if self._prompt_seen:
            self.moments.append(time.perf_counter())
        self._prompt_seen = True

    def end(self) -> None:
        """Take the end."""


def _prompt(tokens: int, count: Any) -> str:  # noqa: ANN401 - Callable[[str], int]; a lambda of untyped tokenizers
    """Return a text of `tokens` tokens, or of the least number above it that words and letters can make."""
    text = _WORDS
    while count(text) < tokens:
        text += text
    low, high = 1, len(text)
    while low < high:
        middle = (low + high) // 2
        if count(text[:middle]) < tokens:
            low = middle + 1
        else:
            high = middle
    return text[:low]
