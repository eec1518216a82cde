"""What a step will take and how fast it will be, before anything is downloaded or loaded.

Memory, for a runtime whose floor is C and a tokenizer that takes T:

    kept as it is stored   peak = C + T + W' + KV + A         (the file is mapped: its pages can be dropped)
    cast to another        peak = max(C + T + W + S while loading, C + T + W + KV + A)
    int4 of onnxruntime    peak = C + T + P + KV + A                 (P: packed for the processor, and scales)

W are the weights in the precision asked for, S those of the file that are cast, W' the weights that are touched: it
leaves out what of an input table of its own is never looked up. All but the constants below follows from the shape;
the constants were fitted with Qwen2.5-0.5B and TinyLlama-1.1B: `python -m benchmarks.models_prediction`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.genai_runtime import PIECE
from alwrity_checks.models.steps import Precision, Runtime

if TYPE_CHECKING:
    from alwrity_checks.models.facts import ModelFacts
    from alwrity_checks.models.machine import Machine
    from alwrity_checks.models.shape import Shape
    from alwrity_checks.models.steps import Step

__all__ = ["Prediction", "int4_bytes", "predict"]

PROMPT: Final = 128
"""Tokens of the prompt for which the time to the first token is told."""

_TOKENIZER: Final = 5.5
"""Bytes in memory for a byte of `tokenizer.json`: 36 MiB for Qwen's 6.7, 10 for TinyLlama's 1.8."""
_FOLIO: Final = 384 << 10
"""Bytes of a mapped table that come in with one row: 64 KiB (fault-around) to 2 MiB (a folio of the page cache)."""
_INNER, _OUTER = 4, 12
"""Values for each token that live at once in prefill: gate, up, the activated gate and their product, of the inner
size; residuals, norms, queries, keys, values and their rotations, of the hidden size."""

_INNER_ONNX, _OUTER_ONNX = 2, 36
"""The same in onnxruntime without its arena, fitted alone: 512 to 4,096 tokens in the one model, 128 to 2,000 in the
other."""

_BLOCK: Final = 64
"""Weights that share a scale, as `conversion.py` has them made."""
_INT4: Final = _BLOCK // 2 + 4
"""Bytes of a block in the file: half a byte for each weight, and a float32 scale."""
_PACKED: Final = _INT4 + 4
"""Bytes of a block as onnxruntime packs it for the processor: besides those, a float32 sum."""
_SCALE: Final = 4
"""Of a block's bytes in the file those that stay mapped and are read."""
_ARENA: Final = 12 << 20
"""Bytes that a session takes beside what it was asked for."""

_DECODE: Final = {Runtime.TRANSFORMERS: 0.5, Runtime.ONNX: 0.6}
"""The part of the memory's bandwidth that decoding reaches: in int4 0.46 to 0.57 on one processor, 0.75 on another."""
_PREFILL: Final = 0.55
"""The part of the rate of torch's linear layer that prefill reaches in transformers."""
_PREFILL_INT4, _PREFILL_INT8 = 0.8, 2.5
"""int4 calculates in int8, and is set against float32: without instructions for that, and with them."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a step will take: bytes, seconds, tokens a second."""

    peak_rss: int
    """The most that will be resident, while loading or while answering at the context's end."""
    loading_peak: int
    steady_rss: int
    """Loaded and used once, with no context."""
    anonymous: int
    """Of the peak what cannot be given back under pressure; the rest are pages of the mapped file."""
    weights: int
    """In the precision asked for."""
    kv: int
    """Keys and values of the whole context."""
    activations: int
    """What prefill of the whole context takes for a moment."""
    floor: int
    """What the runtime takes for itself; `C` above."""
    tokenizer: int
    address_space: int
    """Reserved and mapped at the peak: what RLIMIT_AS counts."""
    time_to_first_token: float
    """Seconds from a prompt of `prompt` tokens on, the model being loaded."""
    tokens_per_second: float | None
    """While decoding; None for a model that makes vectors."""
    prompt: int = PROMPT
    assumed: frozenset[str] = frozenset()
    """Which of the machine's figures behind this were assumed and not measured."""


def predict(facts: ModelFacts, step: Step, machine: Machine, *, context: int, prompt: int = PROMPT) -> Prediction:
    """Return what `step` will take on `machine` with `context` tokens, prompt and answer together. No I/O.

    The context is no more than the model's. `prompt` tokens are those of the time to the first token. Raises
    LoadFailed: ARCHITECTURE_UNSUPPORTED for a precision that the runtime has not, FILE_MISSING for a directory without
    the weights that it reads; ValueError for a context or a prompt of no tokens.
    """
    if context < 1 or prompt < 1:
        raise ValueError("a context has at least one token")
    context, prompt = min(context, facts.shape.context), min(prompt, context, facts.shape.context)
    _refuse_impossible(facts, step)
    return (_in_onnx if step.runtime is Runtime.ONNX else _in_transformers)(facts, step, machine, context, prompt)


def int4_bytes(shape: Shape) -> int:
    """Return the bytes of the int4 graph that onnxruntime-genai's builder makes for a processor.

    Matrices and the output's table in int4, a table of the input's own in float32, and the table of rotations
    (float32 sines and cosines of each position).
    """
    quantised = _quantised(shape) * _INT4 // _BLOCK
    vectors = shape.parameters - shape.matrices - shape.embedding - shape.head
    return quantised + 4 * (shape.head + vectors + shape.context * shape.head_dim)


def _refuse_impossible(facts: ModelFacts, step: Step) -> None:
    fits = (step.precision is Precision.INT4) == (step.runtime is Runtime.ONNX)
    if not fits or (step.runtime is Runtime.ONNX and not facts.shape.generates):
        raise LoadFailed(
            Reason.ARCHITECTURE_UNSUPPORTED,
            f"{step.runtime} does not carry {facts.model} out in {step.precision}",
            "choose another runtime or precision",
        )
    if step.runtime is Runtime.TRANSFORMERS and facts.weights.precision is None:
        raise LoadFailed(
            Reason.FILE_MISSING, f"{facts.model} holds no weights that transformers reads", "choose onnxruntime-genai"
        )


def _in_transformers(facts: ModelFacts, step: Step, machine: Machine, context: int, prompt: int) -> Prediction:
    shape, weights, precision = facts.shape, facts.weights, step.precision
    floor = machine.details[Runtime.TRANSFORMERS]
    size = weights.in_precision(precision)
    mapped = weights.bytes.get(precision, 0)
    cast = weights.total - mapped
    tokenizer = int(_TOKENIZER * facts.tokenizer_bytes)
    width = precision.bits // 8
    kv = shape.kv_bytes(context, precision)
    activations = _activations(shape, context, width)
    untouched = _untouched(shape, context, width) if not cast else 0
    own = floor.peak + tokenizer
    loading = own + (size - mapped) + cast
    steady = own + size - untouched
    copied = size - (0 if machine.charges_mapped else mapped)
    return Prediction(
        peak_rss=max(loading, steady + kv + activations),
        loading_peak=loading,
        steady_rss=steady,
        anonymous=floor.unreclaimable + tokenizer + copied + kv + activations,
        weights=size,
        kv=kv,
        activations=activations,
        floor=floor.peak,
        tokenizer=tokenizer,
        # A mapped file is mapped twice while it loads.
        address_space=floor.address_space + tokenizer + size + weights.total + kv + activations,
        time_to_first_token=_first_token(shape, step, machine, prompt, size - shape.head * width),
        tokens_per_second=_rate(shape, step, machine, size - shape.head * width + kv),
        prompt=prompt,
        assumed=machine.assumed & {"bandwidth", "flops", str(Runtime.TRANSFORMERS)},
    )


def _in_onnx(facts: ModelFacts, step: Step, machine: Machine, context: int, prompt: int) -> Prediction:
    shape, floor = facts.shape, machine.details[Runtime.ONNX]
    size = facts.converted_bytes or int4_bytes(shape)
    tokenizer = int(_TOKENIZER * facts.tokenizer_bytes)
    # Keys, values and activations are float32 on a processor.
    kv = shape.kv_bytes(context, Precision.FLOAT32)
    activations = 4 * min(context, PIECE) * (_INNER_ONNX * shape.intermediate + _OUTER_ONNX * shape.hidden)
    packed, mapped = _packed(shape, size)
    looked_up = 4 * shape.head - _untouched(shape, context, 4)
    steady = floor.peak + tokenizer + packed + mapped
    peak = steady + looked_up + kv + activations
    read = _quantised(shape) * _INT4 // _BLOCK
    return Prediction(
        peak_rss=peak,
        loading_peak=steady,
        steady_rss=steady + looked_up,
        anonymous=floor.unreclaimable + tokenizer + packed + kv + activations,
        weights=size,
        kv=kv,
        activations=activations,
        floor=floor.peak,
        tokenizer=tokenizer,
        address_space=floor.address_space + tokenizer + packed + size + kv + activations,
        time_to_first_token=_first_token(shape, step, machine, prompt, read),
        tokens_per_second=_rate(shape, step, machine, read + kv),
        prompt=prompt,
        assumed=machine.assumed & {"bandwidth", "flops", str(Runtime.ONNX)},
    )


def _quantised(shape: Shape) -> int:
    """Return the weights that the int4 graph keeps in int4: the matrices, and the output's table."""
    return shape.matrices + shape.embedding


def _packed(shape: Shape, size: int) -> tuple[int, int]:
    """Return what the graph's weights take in memory, and what of them stays in the mapped file and is read.

    A table that the input shares with the output is held as it is stored too. A graph that was quantised in another way
    than ours is taken to behave alike in proportion to its size.
    """
    quantised = _quantised(shape)
    vectors = shape.parameters - shape.matrices - shape.embedding - shape.head
    shared = shape.embedding * _INT4 // _BLOCK if shape.tied else 0
    packed = quantised * _PACKED // _BLOCK + shared + 4 * (vectors + shape.context * shape.head_dim)
    share = size / int4_bytes(shape)
    return int(packed * share) + _ARENA, int(quantised * _SCALE // _BLOCK * share)


def _activations(shape: Shape, tokens: int, width: int) -> int:
    return tokens * width * (_INNER * shape.intermediate + _OUTER * shape.hidden)


def _untouched(shape: Shape, tokens: int, width: int) -> int:
    """Return the bytes of an input table of its own that nobody looks up: it is mapped, and comes in by the piece."""
    table = shape.head * width
    return int(table * math.exp(-tokens * _FOLIO / table)) if table else 0


def _first_token(shape: Shape, step: Step, machine: Machine, prompt: int, read: int) -> float:
    if step.precision is Precision.INT4:
        rate = machine.flops[Precision.FLOAT32] * (_PREFILL_INT8 if machine.native_int8 else _PREFILL_INT4)
    else:
        rate = machine.flops[step.precision] * _PREFILL
    attention = 2 * shape.layers * shape.heads * shape.head_dim * prompt * prompt
    operations = 2 * shape.matrices * prompt + attention + 2 * shape.embedding
    return operations / rate + read / machine.bandwidth


def _rate(shape: Shape, step: Step, machine: Machine, read: int) -> float | None:
    return _DECODE[step.runtime] * machine.bandwidth / read if shape.generates else None
