"""What becomes of a directory in a runtime: a model, or an error that says what is wrong with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.conversion import convert
from alwrity_checks.models.errors import LoadFailed, ModelError
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes import genai_runtime, transformers_runtime
from alwrity_checks.models.runtimes.table import LOADERS
from alwrity_checks.models.steps import Precision, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKENS = [5, 9, 300, 17]


def load(directory: Path, runtime: Runtime = Runtime.TRANSFORMERS, precision: Precision = Precision.FLOAT32) -> Any:  # noqa: ANN401 - whichever runtime's
    """Load a model as the registry does."""
    return LOADERS[runtime].load(directory, precision, context=64, threads=1)


def copied(source: Path, target: Path) -> Path:
    """Return a copy of a model that may be damaged."""
    shutil.copytree(source, target / "model")
    return target / "model"


def change(path: Path, **values: object) -> None:
    """Change a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), encoding="utf-8")


def test_every_runtime_has_a_loader() -> None:
    """The table knows each runtime under its own name."""
    assert set(LOADERS) == set(Runtime)
    assert all(loader.runtime is runtime for runtime, loader in LOADERS.items())


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16])
def test_transformers_keeps_the_precision_that_is_chosen(tiny_qwen: Path, precision: Precision) -> None:
    """The caller's precision is the weights', not the checkpoint's; logits are float32 in any case."""
    model = load(tiny_qwen, precision=precision)
    session = model.session()
    logits = session.advance(TOKENS)
    assert {str(one.dtype) for one in model._model.parameters()} == {f"torch.{precision}"}
    assert (logits.dtype, logits.shape) == (np.float32, (model.vocabulary,))
    assert model.context == 64
    session.close()
    model.close()


def test_token_by_token_is_the_whole(tiny_llama: Path) -> None:
    """The logits after a prompt are those after its tokens one by one: the cache holds what was."""
    model = load(tiny_llama)
    whole, steps = model.session(), model.session()
    expected = whole.advance(TOKENS)
    for token in TOKENS:
        found = steps.advance([token])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_int4_says_nearly_what_float32_says(trained_qwen: Path, trained_int4: Path) -> None:
    """The converted model puts the same token first as the checkpoint does, for the whole of a learnt answer."""
    exact, small = load(trained_qwen), load(trained_int4, Runtime.ONNX, Precision.INT4)
    text = exact.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], add_generation_prompt=True, tokenize=False
    )
    tokens = exact.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokens == small.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert exact.ends == small.ends
    one, other = exact.session(), small.session()
    for _ in range(6):
        expected, found = one.advance(tokens), other.advance(tokens)
        assert len(found) == small.vocabulary
        assert expected.argmax() == found.argmax()
        tokens = [int(expected.argmax())]


def test_llama_without_tied_embeddings_converts(tiny_llama: Path, conversions: Path) -> None:
    """A model with an output table of its own can be converted, and gives numbers."""
    model = load(convert(tiny_llama, cache=conversions), Runtime.ONNX, Precision.INT4)
    exact = load(tiny_llama)
    found, expected = model.session().advance(TOKENS), exact.session().advance(TOKENS)
    assert np.corrcoef(found, expected)[0, 1] > 0.9


def test_other_threads_go_on_while_a_prompt_is_read(tiny_int4: Path) -> None:
    """The runtime lets Python go on while it calculates; onnxruntime-genai's own generator does not."""
    model = LOADERS[Runtime.ONNX].load(tiny_int4, Precision.INT4, context=2048, threads=1)
    turns, done = 0, threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.wait(0.0005):
            turns += 1

    other = threading.Thread(target=count)
    other.start()
    session = model.session()
    before, deadline = turns, time.monotonic() + 30
    while turns < before + 3 and time.monotonic() < deadline:
        inside = turns
        session = model.session()
        session.advance(list(range(1000)) * 2)
        if turns > inside + 2:
            break
    done.set()
    other.join()
    assert turns > inside + 2


def _truncate(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _lengthen(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"more")


def _garble(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"this is no safetensors file" * 100)


def _pickle(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _drop_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def _drop_config(model: Path) -> None:
    (model / "config.json").unlink()


def _garble_config(model: Path) -> None:
    (model / "config.json").write_text("{", encoding="utf-8")


def _drop_type(model: Path) -> None:
    change(model / "config.json", model_type=None)


def _unknown_type(model: Path) -> None:
    change(model / "config.json", model_type="acme-9000")


def _remote_code(model: Path) -> None:
    code = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    change(model / "config.json", model_type="acme-9000", auto_map=code)
    (model / "code.py").write_text("raise SystemExit('the repository has run its code')", encoding="utf-8")


def _no_language_model(model: Path) -> None:
    change(model / "config.json", model_type="vit")


def _more_layers(model: Path) -> None:
    change(model / "config.json", num_hidden_layers=3)


def _drop_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()


def _garble_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"version": "1.0"', encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate, Reason.FILE_TRUNCATED),
        (_lengthen, Reason.FILE_CORRUPT),
        (_garble, Reason.FILE_CORRUPT),
        (_pickle, Reason.PICKLE_ONLY),
        (_drop_weights, Reason.FILE_MISSING),
        (_drop_config, Reason.FILE_MISSING),
        (_garble_config, Reason.CONFIG_UNUSABLE),
        (_drop_type, Reason.CONFIG_UNUSABLE),
        (_unknown_type, Reason.ARCHITECTURE_UNSUPPORTED),
        (_remote_code, Reason.ARCHITECTURE_UNSUPPORTED),
        (_no_language_model, Reason.ARCHITECTURE_UNSUPPORTED),
        (_more_layers, Reason.FILE_CORRUPT),
        (_drop_tokenizer, Reason.FILE_MISSING),
        (_garble_tokenizer, Reason.FILE_CORRUPT),
    ],
)
def test_damaged_checkpoint_is_told(
    tiny_qwen: Path, tmp_path: Path, damage: Callable[[Path], None], reason: Reason
) -> None:
    """Each kind of damage is an outcome of its own, with a remedy; no code of a repository is run."""
    model = copied(tiny_qwen, tmp_path)
    damage(model)
    with pytest.raises(ModelError) as caught:
        load(model)
    assert caught.value.reason is reason
    assert caught.value.remedy


def _truncate_data(model: Path) -> None:
    path = model / "model.onnx.data"
    path.write_bytes(path.read_bytes()[:-1000])


def _truncate_data_of_another(model: Path) -> None:
    (model / "conversion.json").unlink()
    _truncate_data(model)


def _garble_graph_of_another(model: Path) -> None:
    (model / "conversion.json").unlink()
    (model / "model.onnx").write_bytes(b"no graph")


def _drop_graph_of_another(model: Path) -> None:
    (model / "conversion.json").unlink()
    (model / "model.onnx").unlink()


def _drop_data(model: Path) -> None:
    (model / "model.onnx.data").unlink()


def _strange_config(model: Path) -> None:
    (model / "conversion.json").unlink()
    (model / "genai_config.json").write_text('{"model": {"type": "whisper"}}', encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "reasons"),
    [
        (_truncate_data, {Reason.FILE_TRUNCATED}),
        (_truncate_data_of_another, {Reason.FILE_TRUNCATED, Reason.FILE_CORRUPT}),
        (_garble_graph_of_another, {Reason.FILE_CORRUPT}),
        (_drop_graph_of_another, {Reason.FILE_MISSING}),
        (_drop_data, {Reason.FILE_MISSING}),
        (_strange_config, {Reason.CONFIG_UNUSABLE}),
    ],
)
def test_damaged_conversion_is_told(
    tiny_int4: Path, tmp_path: Path, damage: Callable[[Path], None], reasons: set[Reason]
) -> None:
    """A converted directory, ours or somebody's, is told by what is wrong with it."""
    model = copied(tiny_int4, tmp_path)
    damage(model)
    with pytest.raises(LoadFailed) as caught:
        load(model, Runtime.ONNX, Precision.INT4)
    assert caught.value.reason in reasons
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("runtime", "precision"), [(Runtime.TRANSFORMERS, Precision.INT4), (Runtime.ONNX, Precision.BFLOAT16)]
)
def test_precision_that_a_runtime_has_not_is_told(tiny_qwen: Path, runtime: Runtime, precision: Precision) -> None:
    """A step that no runtime can take is an error that names the other runtime."""
    with pytest.raises(LoadFailed, match="int4") as caught:
        load(tiny_qwen, runtime, precision)
    assert "runtime" in caught.value.remedy


def test_missing_libraries_are_an_extra(tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its libraries a runtime is not installed, and loading says which extra brings them."""
    for module in (transformers_runtime, genai_runtime):
        monkeypatch.setattr(module, "find_spec", lambda _name: None)
    for runtime, extra in ((Runtime.TRANSFORMERS, "models"), (Runtime.ONNX, "onnx")):
        assert not LOADERS[runtime].installed()
        with pytest.raises(MissingExtra) as caught:
            load(tiny_qwen, runtime, Precision.INT4)
        assert caught.value.extra == extra


def test_loading_is_quiet(tiny_qwen: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing of what transformers has to say while it loads and answers gets into a server's output."""
    model = load(tiny_qwen)
    model.session().advance(TOKENS)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from alwrity_checks.models.errors import OutOfMemory
from alwrity_checks.models.runtimes.table import LOADERS
from alwrity_checks.models.steps import Precision, Runtime
import numpy, transformers
runtime = Runtime(sys.argv[2])
if runtime is Runtime.TRANSFORMERS:
    import torch
    from transformers import AutoModelForCausalLM, Qwen2ForCausalLM
else:
    import onnxruntime
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
precision = Precision.INT4 if runtime is Runtime.ONNX else Precision.FLOAT32
loader = LOADERS[runtime]
if sys.argv[3] == "load":
    resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20), used + (24 << 20)))
try:
    model = loader.load(Path(sys.argv[1]), precision, context=1 << 20, threads=1)
    if sys.argv[3] == "answer":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), used + (4 << 20)))
    session = model.session()
    while True:
        session.advance(list(range(128)))
except OutOfMemory as error:
    print(error.reason)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
@pytest.mark.parametrize("when", ["load", "answer"])
def test_memory_limit_is_out_of_memory(tmp_path: Path, when: str) -> None:
    """Under a real limit, memory that runs out while loading or answering is OutOfMemory, not a foreign exception."""
    from alwrity_checks.models.synthetic import write_checkpoint

    model = write_checkpoint(tmp_path / "model", "tiny", layers=600 if when == "load" else 2)  # then 120 MB in float32
    change(model / "config.json", max_position_embeddings=1 << 20)
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _UNDER_A_LIMIT, str(model), "transformers", when],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.stdout.strip(), ended.returncode) == ("out-of-memory", 0), ended.stderr[-2000:]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
@pytest.mark.parametrize("when", ["load", "answer"])
def test_memory_limit_is_out_of_memory_in_onnxruntime(tiny_int4: Path, tmp_path: Path, when: str) -> None:
    """The same for the other runtime: a file larger than what is left, and a cache larger than what is left."""
    model = copied(tiny_int4, tmp_path)
    (model / "conversion.json").unlink()
    config = json.loads((model / "genai_config.json").read_text("utf-8"))
    config["model"]["context_length"] = 1 << 20
    (model / "genai_config.json").write_text(json.dumps(config), encoding="utf-8")
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _UNDER_A_LIMIT, str(model), "onnxruntime-genai", when],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.stdout.strip(), ended.returncode) == ("out-of-memory", 0), ended.stderr[-2000:]
