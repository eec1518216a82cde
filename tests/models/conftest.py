"""Tiny models, written or converted once for all tests of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alwrity_checks.models.generation import LocalModel


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of a tiny Qwen2 with random weights; tests copy it before they change it."""
    from alwrity_checks.models.synthetic import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny", "tiny")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of a tiny Llama with random weights; tests copy it before they change it."""
    from alwrity_checks.models.synthetic import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny-llama", "tiny-llama")


@pytest.fixture(scope="session")
def trained_qwen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny Qwen2 that has learnt to answer: trained at the first use, kept in pytest's cache."""
    from tests.support.transformers_serve import tiny_model

    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    shelf = cache.mkdir("tiny-qwen") if cache else tmp_path_factory.mktemp("tiny-qwen")
    return tiny_model(shelf)


@pytest.fixture(scope="session")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the conversions of these tests are kept."""
    return tmp_path_factory.mktemp("conversions")


@pytest.fixture(scope="session")
def tiny_int4(tiny_qwen: Path, conversions: Path) -> Path:
    """Return the tiny Qwen2 converted to int4: once for all tests, 5 s."""
    pytest.importorskip("onnxruntime_genai")
    from alwrity_checks.models.conversion import convert

    return convert(tiny_qwen, cache=conversions)


@pytest.fixture(scope="session")
def trained_int4(trained_qwen: Path, conversions: Path) -> Path:
    """Return the trained Qwen2 converted to int4."""
    pytest.importorskip("onnxruntime_genai")
    from alwrity_checks.models.conversion import convert

    return convert(trained_qwen, cache=conversions)


def _loaded(directory: Path, *, int4: bool, context: int = 2048) -> LocalModel:
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.runtimes.table import LOADERS
    from alwrity_checks.models.steps import Precision, Runtime, Step

    runtime, precision = (Runtime.ONNX, Precision.INT4) if int4 else (Runtime.TRANSFORMERS, Precision.FLOAT32)
    model = LOADERS[runtime].load(directory, precision, context=context, threads=1)
    return LocalModel(model, Step(str(directory), runtime, precision))


@pytest.fixture(scope="session")
def random_model(tiny_int4: Path) -> Iterator[LocalModel]:
    """Return the tiny model with random weights in the runtime that needs least; it never comes to an end by itself."""
    model = _loaded(tiny_int4, int4=True)
    yield model
    model.close()


@pytest.fixture(scope="session", params=["transformers", "onnxruntime-genai"])
def trained_model(request: pytest.FixtureRequest) -> Iterator[LocalModel]:
    """Return the trained model, in each runtime."""
    int4 = request.param == "onnxruntime-genai"
    model = _loaded(request.getfixturevalue("trained_int4" if int4 else "trained_qwen"), int4=int4)
    yield model
    model.close()


@pytest.fixture(scope="session", params=["transformers", "onnxruntime-genai"])
def untrained_model(request: pytest.FixtureRequest) -> Iterator[LocalModel]:
    """Return the tiny model with random weights, in each runtime."""
    int4 = request.param == "onnxruntime-genai"
    model = _loaded(request.getfixturevalue("tiny_int4" if int4 else "tiny_qwen"), int4=int4)
    yield model
    model.close()
