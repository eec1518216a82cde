"""Models in onnxruntime-genai's layout: what `conversion.py` makes of a checkpoint, or a ready-made directory.

The graph is carried out by onnxruntime itself. onnxruntime-genai's own generator keeps Python's lock while it
calculates: for a prompt of 128 tokens an event loop of the same process then stands still for 580 ms, in this way for
11.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.needed import GENAI_CONFIG
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import remedy, told
from alwrity_checks.models.runtimes.files import read_json
from alwrity_checks.models.runtimes.heap import give_back
from alwrity_checks.models.runtimes.manifest import check_whole
from alwrity_checks.models.steps import Precision, Runtime
from alwrity_checks.models.tokenizing import ends_of_model, load_tokenizer
from alwrity_checks.telemetry import no_telemetry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GenaiLoader"]

_FATAL: Final = 4
"""onnxruntime's log level at which it writes to stderr only what ends the process."""
_CACHE_TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_TOKENS, _MASK, _POSITIONS = "input_ids", "attention_mask", "position_ids"
PIECE: Final = 512
"""Tokens of a prompt that are taken at once: what they take meanwhile grows with their number, and a prompt of the
whole context would need more memory than the weights."""


class GenaiLoader:
    """Loads a directory with a genai_config.json."""

    runtime = Runtime.ONNX

    def installed(self) -> bool:
        """Say whether onnxruntime is installed; imports nothing."""
        return find_spec("onnxruntime") is not None

    def load(self, directory: Path, precision: Precision, *, context: int, threads: int | None = None) -> GenaiModel:
        """Load the model; see RuntimeLoader. The precision is what the directory was converted to, and must be INT4."""
        if not self.installed():
            raise MissingExtra("onnx", "loading a model in onnxruntime")
        if precision is not Precision.INT4:
            raise LoadFailed(
                Reason.ARCHITECTURE_UNSUPPORTED,
                f"{self.runtime} is offered in int4, not in {precision}",
                "choose the runtime transformers for this precision",
            )
        config = read_json(directory / GENAI_CONFIG)
        check_whole(directory)
        with told(f"loading {directory}"):
            return GenaiModel(directory, config, context, threads)


class GenaiModel:
    """A model in onnxruntime."""

    def __init__(self, directory: Path, config: dict[str, Any], context: int, threads: int | None) -> None:
        """Load it; raises LoadFailed, and whatever onnxruntime raises."""
        no_telemetry()
        import onnxruntime  # type: ignore[import-untyped]

        self._layout = _Layout(directory, config)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = threads or _threads()
        # The arena would keep the activations of the longest prompt for good, and is no faster here.
        options.enable_cpu_mem_arena = False
        # Threads that spin while they wait halve the speed where another program wants the processor too.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._graph: Any = onnxruntime.InferenceSession(
            str(self._layout.graph), options, providers=["CPUExecutionProvider"]
        )
        self._layout.check(self._graph)
        # After the weights, whose loading is the peak: so that it does not stand on top of it.
        self.tokenizer = load_tokenizer(directory)
        self.ends = ends_of_model(directory, self.tokenizer)
        self.vocabulary = self._layout.vocabulary
        self.context = min(context, self._layout.context)

    def session(self, tokens: int | None = None) -> GenaiSession:
        """Begin an answer of at most `tokens` tokens; see LoadedModel. Raises OutOfMemory."""
        return GenaiSession(self._graph, self._layout, self.context if tokens is None else min(tokens, self.context))

    def close(self) -> None:
        """Give the model's memory back."""
        self._graph = None
        give_back()


class GenaiSession:
    """One answer in onnxruntime. Its key-value cache has room for all its tokens, and is filled as it grows."""

    def __init__(self, graph: Any, layout: _Layout, tokens: int) -> None:  # noqa: ANN401 - onnxruntime is not typed
        """Begin with an empty context."""
        import numpy as np
        from onnxruntime import OrtValue

        self._graph: Any = graph
        self._layout = layout
        self._taken = 0
        with told("beginning an answer"):
            self._binding: Any = graph.io_binding()
            shape = (1, layout.heads, tokens, layout.head_size)
            for past, present in layout.cache:
                # The graph writes each token's keys and values behind those that it has read: in the same memory.
                room = OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(layout.cache_type))
                self._binding.bind_ortvalue_input(past, room)
                self._binding.bind_ortvalue_output(present, room)

    def advance(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Take `tokens` and return the logits of the next one; see Session."""
        for start in range(0, len(tokens) - PIECE, PIECE):
            self._run(tokens[start : start + PIECE])
        return self._run(tokens[(len(tokens) - 1) // PIECE * PIECE :])

    def _run(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        import numpy as np

        count, binding = len(tokens), self._binding
        with told("generating"):
            binding.bind_cpu_input(_TOKENS, np.array([tokens], dtype=np.int64))
            binding.bind_cpu_input(_MASK, np.ones((1, self._taken + count), dtype=np.int64))
            if self._layout.positions:
                places = np.arange(self._taken, self._taken + count, dtype=np.int64)
                binding.bind_cpu_input(_POSITIONS, places[None])
            binding.bind_output(self._layout.logits, "cpu")
            self._graph.run_with_iobinding(binding)
            # A graph that was not pruned gives the logits of every position.
            found = next(one for one in binding.get_outputs() if len(one.shape()) == 3)  # noqa: PLR2004 - the cache has 4
            logits: NDArray[np.float32] = np.array(found.numpy()[0, -1], dtype=np.float32)
        self._taken += count
        return logits

    def close(self) -> None:
        """Give the cache back."""
        self._binding = None


class _Layout:
    """What genai_config.json says of a graph: the names and sizes of what goes in and comes out."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self.directory = directory
        try:
            model = config["model"]
            decoder = model["decoder"]
            self.graph = directory / decoder["filename"]
            self.vocabulary, self.context = int(model["vocab_size"]), int(model["context_length"])
            self.heads, self.head_size = int(decoder["num_key_value_heads"]), int(decoder["head_size"])
            names = (
                decoder["inputs"]["past_key_names"], decoder["outputs"]["present_key_names"],
                decoder["inputs"]["past_value_names"], decoder["outputs"]["present_value_names"],
            )  # fmt: skip
            self.cache = tuple(
                (past % layer, present % layer)
                for layer in range(int(decoder["num_hidden_layers"]))
                for past, present in (names[:2], names[2:])
            )
            self.logits = str(decoder["outputs"]["logits"])
            shared = config["search"]["past_present_share_buffer"] is True
        except (LookupError, TypeError, ValueError):
            raise LoadFailed(
                Reason.CONFIG_UNUSABLE,
                f"{directory / GENAI_CONFIG} describes no language model of a kind that is known here",
                remedy(Reason.CONFIG_UNUSABLE),
            ) from None
        if not shared:
            raise self._unsupported("it keeps no key-value cache in shared memory")
        if not self.graph.is_file():
            raise LoadFailed(Reason.FILE_MISSING, f"{self.graph} is missing", remedy(Reason.FILE_MISSING))
        self.positions = False
        self.cache_type = "float32"

    def check(self, graph: Any) -> None:  # noqa: ANN401 - onnxruntime is not typed
        """See that the graph takes what is known here, and nothing else."""
        inputs = {one.name: one.type for one in graph.get_inputs()}
        pasts = {past for past, _ in self.cache}
        unknown = inputs.keys() - pasts - {_TOKENS, _MASK, _POSITIONS}
        if unknown or not pasts | {_TOKENS, _MASK} <= inputs.keys():
            raise self._unsupported(f"its graph takes other inputs: {', '.join(sorted(unknown)[:3]) or 'no cache'}")
        kinds = {inputs[past] for past in pasts}
        if len(kinds) != 1 or not kinds <= _CACHE_TYPES.keys():
            raise self._unsupported(f"its key-value cache is of the type {', '.join(sorted(kinds))}")
        self.positions = _POSITIONS in inputs
        self.cache_type = _CACHE_TYPES[kinds.pop()]

    def _unsupported(self, what: str) -> LoadFailed:
        return LoadFailed(
            Reason.ARCHITECTURE_UNSUPPORTED,
            f"{self.directory} cannot be carried out here: {what}",
            remedy(Reason.ARCHITECTURE_UNSUPPORTED),
        )


def _threads() -> int:
    """Return how many processors this process may use; given a number, onnxruntime binds no thread to one of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
