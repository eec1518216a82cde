"""transformers on torch: reads the published checkpoint, in the precision that the caller chose."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import remedy, told
from alwrity_checks.models.runtimes.files import checked_weights, read_json
from alwrity_checks.models.runtimes.heap import give_back
from alwrity_checks.models.steps import Precision, Runtime
from alwrity_checks.models.tokenizing import ends_of_model, load_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TransformersLoader"]


class TransformersLoader:
    """Loads a directory of safetensors."""

    runtime = Runtime.TRANSFORMERS

    def installed(self) -> bool:
        """Say whether torch and transformers are installed; imports neither."""
        return all(find_spec(name) is not None for name in ("torch", "transformers"))

    def load(
        self, directory: Path, precision: Precision, *, context: int, threads: int | None = None
    ) -> TransformersModel:
        """Load the model; see RuntimeLoader. `threads` holds for all of torch in this process.

        A checkpoint that is kept in its own precision stays in its mapped file; another one is copied, so that both
        are in memory while it loads.
        """
        if not self.installed():
            raise MissingExtra("models", "loading a model in transformers")
        if precision is Precision.INT4:
            raise LoadFailed(
                Reason.ARCHITECTURE_UNSUPPORTED,
                "transformers has no int4 for a processor without a graphics card",
                "choose the runtime onnxruntime-genai for int4",
            )
        config = read_json(directory / "config.json")
        checked_weights(directory)
        with told(f"loading {directory}"), _quietly():
            _check_architecture(config, directory)
            return TransformersModel(directory, config, precision, context, threads)


class TransformersModel:
    """A model in torch."""

    def __init__(
        self, directory: Path, config: dict[str, Any], precision: Precision, context: int, threads: int | None
    ) -> None:
        """Load it; raises whatever torch and transformers raise."""
        import torch
        from transformers import AutoModelForCausalLM

        if threads is not None:
            torch.set_num_threads(threads)
        self.tokenizer = load_tokenizer(directory)
        self.ends = ends_of_model(directory, self.tokenizer)
        model, report = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=getattr(torch, precision.value),
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        # transformers fills what a checkpoint lacks with random numbers, and goes on.
        if lacking := sorted({*report["missing_keys"], *(one[0] for one in report["mismatched_keys"])}):
            raise LoadFailed(
                Reason.FILE_CORRUPT,
                f"{directory} lacks weights that its config.json announces: {', '.join(map(str, lacking[:3]))}",
                remedy(Reason.FILE_CORRUPT),
            )
        self._model: Any = model.eval()
        # transformers 5.24 gave the argument another name, and 5.40 will know the old one no more.
        self._cache_argument = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"
        self.vocabulary = int(self._model.config.get_text_config().vocab_size)
        most = config.get("max_position_embeddings")
        self.context = min(context, most) if isinstance(most, int) and most > 0 else context

    def session(self, tokens: int | None = None) -> TransformersSession:  # noqa: ARG002 - the cache grows with the answer
        """Begin an answer."""
        return TransformersSession(self._model, self._cache_argument)

    def close(self) -> None:
        """Give the model's memory back."""
        self._model = None
        give_back()


class TransformersSession:
    """One answer in torch. The key-value cache grows with the context."""

    def __init__(self, model: Any, cache_argument: str) -> None:  # noqa: ANN401 - transformers is not typed
        """Begin with an empty context; `cache_argument` is what the model calls its cache."""
        from transformers import DynamicCache

        self._model = model
        self._cache: Any = DynamicCache(config=model.config)
        self._cache_argument = cache_argument

    def advance(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Take `tokens` and return the logits of the next one; see Session."""
        import torch

        with told("generating"), torch.inference_mode():
            # The logits of the last position alone: of all positions they would be tokens x vocabulary x 4 bytes.
            answered = self._model(
                input_ids=torch.tensor([list(tokens)]),
                use_cache=True,
                logits_to_keep=1,
                **{self._cache_argument: self._cache},
            )
            logits: NDArray[np.float32] = answered.logits[0, -1].float().numpy()
        return logits

    def close(self) -> None:
        """Give the cache back."""
        self._cache = None


def _check_architecture(config: dict[str, Any], directory: Path) -> None:
    """Say that transformers does not know a model before it tries to read one."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise LoadFailed(
            Reason.CONFIG_UNUSABLE, f"{directory / 'config.json'} has no model_type", remedy(Reason.CONFIG_UNUSABLE)
        )
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return
    what = (
        "no language model that writes" if kind in CONFIG_MAPPING_NAMES else "unknown to this release of transformers"
    )
    raise LoadFailed(
        Reason.ARCHITECTURE_UNSUPPORTED,
        f"{directory} is a model of the type {kind!r:.80}, which is {what}",
        "choose another model (alwrity-doctor models list), or upgrade transformers",
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep transformers from drawing progress bars and printing warnings into a server's log."""
    from transformers.utils import logging as reporting

    controls: Any = reporting
    bars, level = controls.is_progress_bar_enabled(), controls.get_verbosity()
    controls.disable_progress_bar()
    controls.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        controls.set_verbosity(level)
        if bars:
            controls.enable_progress_bar()
