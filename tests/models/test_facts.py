"""What is known of a model comes from where it lies, from some kilobytes of a hub, or from the catalogue."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alwrity_checks.models.errors import LoadFailed, ModelError, ModelUnavailable
from alwrity_checks.models.facts import LARGEST_READ, find_facts, known_models
from alwrity_checks.models.hub import Hub
from alwrity_checks.models.loopback_hub import Fault, LoopbackHub
from alwrity_checks.models.model_card import Card, read_card, template_kind
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.models.synthetic_models import SHAPES

QWEN = "Qwen/Qwen2.5-0.5B-Instruct"
MODEL = "acme/tiny-instruct"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of the tiny shape, which nobody changes."""
    return write_checkpoint(tmp_path_factory.mktemp("facts") / "tiny", "tiny")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """Return a checkpoint that may be changed."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def _cached(cache: Path, model: str, source: Path, revision: str = "a" * 40) -> Path:
    snapshot = cache / f"models--{model.replace('/', '--')}" / "snapshots" / revision
    shutil.copytree(source, snapshot)
    return snapshot


def test_a_directory_is_looked_at_itself(tiny: Path) -> None:
    """Shape, weights and template come from its files; nothing is to be downloaded, nobody is asked."""
    facts = find_facts(str(tiny), hub=None)
    assert (facts.origin, facts.revision, facts.download_bytes, facts.bytes_read) == ("directory", None, 0, 0)
    assert facts.shape.hidden == SHAPES["tiny"].hidden
    assert facts.weights.parameters == facts.shape.parameters
    assert facts.tokenizer_bytes == (tiny / "tokenizer.json").stat().st_size
    assert facts.template == "chatml"


def test_the_cache_comes_before_the_hub(tiny: Path, tmp_path: Path) -> None:
    """A model that is here whole costs no request."""
    snapshot = _cached(tmp_path, MODEL, tiny)
    with LoopbackHub({}) as server, Hub(server.endpoint) as hub:
        facts = find_facts(MODEL, hub=hub, cache=tmp_path)
        assert server.requests == []
    assert (facts.origin, facts.revision, facts.directory) == ("cache", "a" * 40, snapshot)


def test_half_a_snapshot_is_not_in_the_cache(tiny: Path, tmp_path: Path) -> None:
    """A snapshot without weights, as a download that was cut short leaves it, does not count."""
    (_cached(tmp_path, QWEN, tiny) / "model.safetensors").unlink()
    assert find_facts(QWEN, hub=None, cache=tmp_path).origin == "catalogue"


@pytest.mark.parametrize("shards", [1, 3])
def test_the_hub_is_asked_for_headers_only(tmp_path: Path, shards: int) -> None:
    """Config, index and headers by ranges: the same facts as from the directory, and the weights stay there."""
    directory = write_checkpoint(tmp_path / "model", "tiny", shards=shards)
    (directory / "README.md").write_text(
        "---\nlicense: apache-2.0\nlanguage:\n- en\n- de\n---\n# A model\n" + "x" * 9999
    )
    with LoopbackHub({MODEL: directory}) as server, Hub(server.endpoint) as hub:
        facts = find_facts(MODEL, hub=hub, cache=tmp_path / "cache")
        assert facts.bytes_read == hub.bytes_read <= LARGEST_READ
    here = find_facts(str(directory), hub=None)
    assert (facts.shape, facts.weights, facts.tokenizer_bytes) == (here.shape, here.weights, here.tokenizer_bytes)
    assert facts.revision is not None
    assert facts.download_bytes > facts.weights.file_bytes
    assert (facts.licence, facts.languages, facts.template) == ("apache-2.0", ("en", "de"), "chatml")


def test_a_header_larger_than_may_be_read_is_not_read(tmp_path: Path) -> None:
    """A model of very many tensors is told by the sizes of its files, and says so; 200 kB are never exceeded."""
    directory = write_checkpoint(tmp_path / "model", "tiny", layers=300)
    with LoopbackHub({MODEL: directory}) as server, Hub(server.endpoint) as hub:
        facts = find_facts(MODEL, hub=hub, cache=tmp_path / "cache")
    exact = find_facts(str(directory), hub=None).weights
    assert facts.bytes_read <= LARGEST_READ
    assert not facts.weights.exact
    assert facts.notes
    assert abs(facts.weights.total - exact.file_bytes) == 0


def test_a_repository_of_pickles_is_refused_with_the_reason(copy: Path, tmp_path: Path) -> None:
    """On a hub and in a directory: loading a pickle runs its code."""
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with LoopbackHub({MODEL: copy}) as server, Hub(server.endpoint) as hub:
        for model in (MODEL, str(copy)):
            with pytest.raises(ModelUnavailable, match="runs the code") as refused:
                find_facts(model, hub=hub, cache=tmp_path / "cache")
            assert refused.value.reason is Reason.PICKLE_ONLY


@pytest.mark.parametrize(
    ("fault", "reason"), [(Fault.UNKNOWN, Reason.MODEL_UNKNOWN), (Fault.GATED, Reason.MODEL_GATED)]
)
def test_what_the_hub_says_of_a_model_counts(tiny: Path, tmp_path: Path, fault: Fault, reason: Reason) -> None:
    """An unknown and a gated model are refused, even one that the catalogue knows."""
    with LoopbackHub({QWEN: tiny}, fault=fault) as server, Hub(server.endpoint) as hub:
        with pytest.raises(ModelUnavailable) as refused:
            find_facts(QWEN, hub=hub, cache=tmp_path)
        assert refused.value.reason is reason


@pytest.mark.parametrize("fault", [Fault.UNAUTHORISED, Fault.NO_JSON])
def test_a_hub_that_says_nothing_leaves_the_catalogue(tiny: Path, tmp_path: Path, fault: Fault) -> None:
    """A known model is planned with as published, and the reason is noted; another one cannot be."""
    with LoopbackHub({QWEN: tiny}, fault=fault) as server, Hub(server.endpoint, timeout=1.0) as hub:
        facts = find_facts(QWEN, hub=hub, cache=tmp_path)
        assert facts.origin == "catalogue"
        assert facts.notes
        with pytest.raises(ModelUnavailable):
            find_facts(MODEL, hub=hub, cache=tmp_path)


def test_offline_the_catalogue_still_answers(tmp_path: Path) -> None:
    """On a bare machine without a network the five models are known; any other name says what to do."""
    with Hub("http://127.0.0.1:9", offline=True) as hub:
        assert find_facts(QWEN, hub=hub, cache=tmp_path).origin == "catalogue"
    with pytest.raises(ModelUnavailable) as refused:
        find_facts(MODEL, hub=None, cache=tmp_path)
    assert refused.value.reason is Reason.HUB_OFFLINE
    assert MODEL in refused.value.remedy


@pytest.mark.parametrize("model", ["", "a/b/c", "../etc/passwd", "a b", "/nowhere/at/all", "./nowhere", "a--b", "x\0y"])
def test_what_is_no_name_is_refused(model: str, tmp_path: Path) -> None:
    """Neither a name on a hub nor a directory: one error, and nothing is asked."""
    with pytest.raises(ModelUnavailable) as refused:
        find_facts(model, hub=None, cache=tmp_path)
    assert refused.value.reason is Reason.MODEL_NAME_INVALID


def test_a_damaged_checkpoint_is_told_before_it_is_loaded(copy: Path) -> None:
    """A truncated file, a missing and a hostile config.json each have their reason."""
    with (copy / "model.safetensors").open("r+b") as file:
        file.truncate(200_000)
    with pytest.raises(LoadFailed) as truncated:
        find_facts(str(copy), hub=None)
    assert truncated.value.reason is Reason.FILE_TRUNCATED
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"hidden_size": 1e30}))
    with pytest.raises(LoadFailed, match="hidden_size"):
        find_facts(str(copy), hub=None)
    (copy / "config.json").unlink()
    with pytest.raises(ModelError) as missing:
        find_facts(str(copy), hub=None)
    assert missing.value.reason is Reason.FILE_MISSING


def test_a_hub_that_lies_about_a_file_is_found_out(copy: Path, tmp_path: Path) -> None:
    """Weights that are shorter on the hub than their header says are refused before a download."""
    with (copy / "model.safetensors").open("r+b") as file:
        file.truncate(200_000)
    with LoopbackHub({MODEL: copy}) as server, Hub(server.endpoint) as hub, pytest.raises(LoadFailed) as refused:
        find_facts(MODEL, hub=hub, cache=tmp_path)
    assert refused.value.reason is Reason.FILE_TRUNCATED


@pytest.mark.parametrize("name", sorted(known_models()))
def test_the_catalogue_agrees_with_an_exact_checkpoint(name: str) -> None:
    """Shape and tensors are those of the exact-shape writer, and what the files hold besides is a header."""
    facts, exact = known_models()[name], SHAPES[name]
    shape = facts.shape
    assert (shape.hidden, shape.layers, shape.heads, shape.kv_heads) == (
        exact.hidden,
        exact.layers,
        exact.heads,
        exact.kv_heads,
    )
    assert (shape.intermediate, shape.vocabulary, shape.context) == (
        exact.intermediate,
        exact.vocabulary,
        exact.context,
    )
    assert facts.weights.tensors == sum(1 for _ in exact.tensors())
    header = facts.weights.file_bytes - facts.weights.total
    assert 0 < header < 200 * facts.weights.tensors


def test_the_licence_that_forbids_commerce_is_known() -> None:
    """Qwen2.5-3B, which ALwrity's start script downloads, is under the research licence; no other one is."""
    assert [name for name, facts in known_models().items() if not facts.commercial_use] == ["Qwen/Qwen2.5-3B-Instruct"]


@pytest.mark.parametrize(
    ("text", "card"),
    [
        (
            "---\nlicense: other\nlicense_name: qwen-research\nlanguage: [en, 'de']\n---\n",
            Card("qwen-research", ("en", "de")),
        ),
        ("---\r\nlicense: mit\r\nlanguage:\r\n- en\r\ntags:\r\n- x\r\n---\r\n", Card("mit", ("en",))),
        ("---\nlicense: [evil, {}]\nlanguage: {}\n", Card()),
        ("# No head\nlicense: mit\n", Card()),
        ("", Card()),
    ],
)
def test_a_model_card_is_read_in_its_plain_form(text: str, card: Card) -> None:
    """Licence and languages of the head; what is written in another manner is left out, never guessed."""
    assert read_card(text.encode()) == card


def test_a_template_is_told_by_its_marks() -> None:
    """Qwen's and TinyLlama's manner, another one, and none."""
    assert template_kind(b'{"chat_template": "<|im_start|>"}') == "chatml"
    assert template_kind(b"{% for m in messages %}<|user|>") == "zephyr"
    assert template_kind(b"{% for m in messages %}[INST]") == "other"
    assert template_kind(b'{"model_max_length": 512}') is None


def test_facts_are_values() -> None:
    """Facts can be altered only by making others, so that they can be shared between threads."""
    facts = known_models()[QWEN]
    assert replace(facts, licence="MIT") != facts
    with pytest.raises(AttributeError):
        facts.licence = "MIT"  # type: ignore[misc]


@pytest.fixture
def ready_made(tmp_path: Path) -> Path:
    """Return a directory as onnxruntime-genai's models are published: a graph, its data, and no config.json."""
    decoder = {
        "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "head_size": 64,
    }  # fmt: skip
    model = {"type": "qwen2", "vocab_size": 151936, "context_length": 32768, "decoder": decoder}
    directory = tmp_path / "ready"
    directory.mkdir()
    (directory / "genai_config.json").write_text(json.dumps({"model": model}))
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model.onnx").write_bytes(bytes(1000))
    (directory / "model.onnx.data").write_bytes(bytes(2000))
    return directory


def test_a_ready_made_directory_is_known_by_its_own_configuration(ready_made: Path, tmp_path: Path) -> None:
    """Here and on a hub: the shape of the decoder, the bytes of the graph, and no weights for transformers."""
    with LoopbackHub({MODEL: ready_made}) as server, Hub(server.endpoint) as hub:
        for facts in (find_facts(str(ready_made), hub=None), find_facts(MODEL, hub=hub, cache=tmp_path / "cache")):
            assert (facts.shape.hidden, facts.shape.kv_heads, facts.shape.context) == (896, 2, 32768)
            assert (facts.converted_bytes, facts.weights.total) == (3000, 0)


@pytest.mark.parametrize(
    "text", ["{}", '{"model": []}', '{"model": {"type": "qwen2", "decoder": {"hidden_size": "x"}}}']
)
def test_a_ready_made_directory_that_describes_nothing_is_refused(ready_made: Path, text: str) -> None:
    """A configuration without a decoder is unusable, and says so."""
    (ready_made / "genai_config.json").write_text(text)
    with pytest.raises(LoadFailed) as refused:
        find_facts(str(ready_made), hub=None)
    assert refused.value.reason is Reason.CONFIG_UNUSABLE
