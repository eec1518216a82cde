"""What a step will take follows from a model's shape and the machine, and agrees with what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.models.children import answer_of
from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.facts import find_facts, known_models
from alwrity_checks.models.machine import Floor
from alwrity_checks.models.prediction import int4_bytes, predict
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.models.synthetic import write_checkpoint
from tests.support.planning import (
    BFLOAT16,
    GIB,
    INT4,
    MACHINE,
    MEBI,
    MINILM,
    QWEN,
    QWEN_LARGER,
    TINYLLAMA,
    machine,
)

_TRANSFORMERS, _ONNX = Runtime.TRANSFORMERS, Runtime.ONNX


@pytest.mark.parametrize(
    ("model", "runtime", "precision", "prompt", "measured"),
    [
        (QWEN, _TRANSFORMERS, Precision.BFLOAT16, 128, 1377),
        (QWEN, _TRANSFORMERS, Precision.BFLOAT16, 1024, 1401),
        (QWEN, _TRANSFORMERS, Precision.FLOAT32, 128, 3238),
        (QWEN, _TRANSFORMERS, Precision.FLOAT32, 1024, 3238),
        (TINYLLAMA, _TRANSFORMERS, Precision.BFLOAT16, 128, 2440),
        (TINYLLAMA, _TRANSFORMERS, Precision.BFLOAT16, 1024, 2582),
        (TINYLLAMA, _TRANSFORMERS, Precision.FLOAT32, 128, 6680),
        (TINYLLAMA, _TRANSFORMERS, Precision.FLOAT32, 1024, 6680),
        (QWEN, _ONNX, Precision.INT4, 128, 554),
        (QWEN, _ONNX, Precision.INT4, 1024, 643),
        (QWEN, _ONNX, Precision.INT4, 4000, 688),
        (TINYLLAMA, _ONNX, Precision.INT4, 128, 998),
        (TINYLLAMA, _ONNX, Precision.INT4, 1024, 1247),
        (QWEN_LARGER, _ONNX, Precision.INT4, 128, 1316),
        (QWEN_LARGER, _ONNX, Precision.INT4, 1024, 1513),
        (QWEN_LARGER, _ONNX, Precision.INT4, 4000, 1675),
    ],
)
def test_predictions_agree_with_measurements(
    model: str, runtime: Runtime, precision: Precision, prompt: int, measured: int
) -> None:
    """Within 5 % of the kernel's own peaks (MiB), 10 % for int4, whose input table comes in by chance."""
    found = predict(known_models()[model], Step(model, runtime, precision), MACHINE, context=prompt + 16)
    assert found.peak_rss / MEBI == pytest.approx(measured, rel=0.05 if runtime is _TRANSFORMERS else 0.1)


@pytest.mark.parametrize(("model", "size"), [(QWEN, 286_528_000), (QWEN_LARGER, 885_614_592)], ids=["0.5B", "1.5B"])
def test_the_int4_graph_has_the_size_that_the_builder_gives_it(model: str, size: int) -> None:
    """To the byte, as onnxruntime-genai's builder writes it."""
    assert int4_bytes(known_models()[model].shape) == size


def test_a_real_load_is_predicted(tmp_path: Path) -> None:
    """A model of a size that counts, loaded in a fresh child cast to float32: predicted from its headers within 5 %."""
    small = write_checkpoint(tmp_path / "tiny", "tiny")
    large = write_checkpoint(tmp_path / "model", QWEN, layers=2)
    order = {"runtime": _TRANSFORMERS, "precision": "float32", "speeds": False}
    probe = "alwrity_checks.models.machine_probe"
    floor = answer_of(probe, order | {"directory": str(small)}, timeout=300.0)["floor"]
    measured = answer_of(probe, order | {"directory": str(large)}, timeout=300.0)["floor"]["peak"]
    here = machine(details=dict.fromkeys(Runtime, Floor(**floor)))
    step = Step(str(large), _TRANSFORMERS, Precision.FLOAT32)
    found = predict(find_facts(str(large), hub=None), step, here, context=20)
    assert measured > floor["peak"] + 800 * MEBI
    assert found.peak_rss == pytest.approx(measured, rel=0.05)


def test_a_cast_costs_the_checkpoint_while_it_loads() -> None:
    """From bfloat16 to float32 a parameter takes six bytes while loading, four afterwards."""
    facts = known_models()[QWEN]
    found = predict(facts, replace(BFLOAT16, precision=Precision.FLOAT32), MACHINE, context=128)
    assert found.peak_rss == found.loading_peak
    assert found.loading_peak - found.steady_rss == facts.weights.total
    assert found.anonymous < found.peak_rss


def test_what_is_mapped_can_be_given_back() -> None:
    """Of a checkpoint that is kept as it is stored, the file's pages are not counted as unreclaimable."""
    found = predict(known_models()[QWEN], BFLOAT16, MACHINE, context=128)
    assert found.peak_rss - found.anonymous > 900 * MEBI
    windows = predict(known_models()[QWEN], BFLOAT16, machine(charges_mapped=True), context=128)
    assert windows.anonymous - found.anonymous == known_models()[QWEN].weights.total


def test_without_native_bfloat16_the_prompt_is_the_disaster() -> None:
    """On such a processor float32 answers sooner, though it writes more slowly; int4 does both better."""
    facts = known_models()[QWEN]
    bfloat16 = predict(facts, BFLOAT16, MACHINE, context=256)
    float32 = predict(facts, replace(BFLOAT16, precision=Precision.FLOAT32), MACHINE, context=256)
    int4 = predict(facts, INT4, MACHINE, context=256)
    assert float32.time_to_first_token < bfloat16.time_to_first_token / 3
    assert (float32.tokens_per_second or 0) < (bfloat16.tokens_per_second or 0) < (int4.tokens_per_second or 0)
    assert int4.peak_rss < bfloat16.peak_rss * 0.6


def test_a_model_that_makes_vectors_writes_nothing() -> None:
    """MiniLM has no keys to keep and no tokens a second."""
    step = Step(MINILM, _TRANSFORMERS, Precision.FLOAT32)
    found = predict(known_models()[MINILM], step, MACHINE, context=512)
    assert (found.kv, found.tokens_per_second) == (0, None)
    assert found.peak_rss < GIB // 2 + 100 * MEBI


def test_a_converted_directory_is_predicted_from_its_files() -> None:
    """A graph that was quantised in another way is larger, and so is what it takes."""
    facts = known_models()[QWEN]
    ours = predict(facts, INT4, MACHINE, context=128)
    larger = predict(replace(facts, converted_bytes=2 * int4_bytes(facts.shape)), INT4, MACHINE, context=128)
    assert larger.weights == 2 * ours.weights
    assert larger.peak_rss > 1.5 * ours.peak_rss


@pytest.mark.parametrize(
    ("model", "runtime", "precision"),
    [(QWEN, _TRANSFORMERS, Precision.INT4), (QWEN, _ONNX, Precision.FLOAT32), (MINILM, _ONNX, Precision.INT4)],
)
def test_an_impossible_step_is_refused(model: str, runtime: Runtime, precision: Precision) -> None:
    """A precision that a runtime has not, and a model that it does not carry out."""
    with pytest.raises(LoadFailed) as refused:
        predict(known_models()[model], Step(model, runtime, precision), MACHINE, context=128)
    assert refused.value.reason is Reason.ARCHITECTURE_UNSUPPORTED


def test_assumptions_are_passed_on() -> None:
    """A prediction names the figures behind it that nobody measured, and no others."""
    guessed = machine(assumed=frozenset({"bandwidth", str(_TRANSFORMERS)}))
    assert predict(known_models()[QWEN], INT4, guessed, context=1).assumed == {"bandwidth"}
    assert predict(known_models()[QWEN], BFLOAT16, MACHINE, context=1).assumed == frozenset()


@pytest.mark.parametrize("context", [0, -1])
def test_a_context_has_a_token(context: int) -> None:
    """A context of nothing is a mistake of the caller's."""
    with pytest.raises(ValueError, match="at least one token"):
        predict(known_models()[QWEN], BFLOAT16, MACHINE, context=context)


@given(
    model=st.sampled_from(sorted(known_models())),
    way=st.sampled_from(
        [(_TRANSFORMERS, one) for one in Precision if one is not Precision.INT4] + [(_ONNX, Precision.INT4)]
    ),
    context=st.integers(1, 40_000),
)
def test_the_parts_of_a_prediction_agree(model: str, way: tuple[Runtime, Precision], context: int) -> None:
    """Loading and unreclaimable memory are within the peak, nothing is negative, more context never takes less."""
    if model == MINILM and way[0] is _ONNX:
        return
    step = Step(model, *way)
    found = predict(known_models()[model], step, MACHINE, context=context)
    more = predict(known_models()[model], step, MACHINE, context=context + 1000)
    assert 0 < found.floor < found.loading_peak <= found.peak_rss <= more.peak_rss
    assert found.anonymous <= found.peak_rss <= found.address_space
    assert found.steady_rss <= found.peak_rss
    assert found.time_to_first_token > 0
