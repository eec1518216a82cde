"""The real works, put together: facts, memory, download and loading of tiny checkpoints, from a hub and offline."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alwrity_checks.models.available import ADDRESS_SPACE, Available, Part
from alwrity_checks.models.embedding import MINILM, embedded_directory
from alwrity_checks.models.errors import AnswerFailed, LoadFailed, ModelUnavailable, NoModel, OutOfMemory
from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.sharing import Closed, ForkedProcess
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.models.workshop import Workshop

MIB = 1 << 20
BIG = Step("Qwen/Qwen2.5-1.5B-Instruct", Runtime.ONNX, Precision.INT4)
SMALL = Step("Qwen/Qwen2.5-0.5B-Instruct", Runtime.TRANSFORMERS, Precision.BFLOAT16)
CHAT = "Name a title."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return write_checkpoint(tmp_path_factory.mktemp("workshop") / "tiny", "tiny")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return the settings of an empty machine without a network."""
    return {"HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}


class Tight(Workshop):
    """Works on a machine with as little memory as the test says."""

    left = 0

    def machine(self, *, measure: bool = False) -> Any:  # noqa: ANN401 - a Machine
        """Return the machine, with less."""
        parts = (Part("memory", self.left, "as the test says"),)
        return replace(super().machine(measure=measure), available=Available.of(parts))


def step(place: Path) -> Step:
    """Return the tiny model in transformers."""
    return Step(str(place), Runtime.TRANSFORMERS, Precision.FLOAT32)


def registry(home: dict[str, str], place: Path | str, **environment: str) -> ModelRegistry:
    """Return a registry that serves a model in transformers."""
    chosen = {"SIF_AGENT_MODEL": str(place), "SIF_AGENT_FALLBACK_MODELS": "", "SIF_AGENT_RUNTIME": "transformers"}
    return ModelRegistry.from_environment(home | chosen | environment)


def test_the_catalogue_is_enough_to_judge_offline(home: dict[str, str]) -> None:
    """What ALwrity's models need is known without a file and without a hub."""
    works = Workshop(home)
    need = works.need(SMALL, 4096)
    assert need is not None
    assert 1000 * MIB < need < 2500 * MIB
    assert works.need(Step("acme/unknown", Runtime.ONNX, Precision.INT4), 4096) is None


def test_what_does_not_fit_is_refused_with_its_figures(home: dict[str, str]) -> None:
    """The model itself, and, apart from it, its conversion: which says nothing of the model in another runtime."""
    works = Tight(home)
    works.left = 900 * MIB
    refusal = works.refusal(SMALL, 4096)
    assert isinstance(refusal, OutOfMemory)
    assert refusal.reason is Reason.DOES_NOT_FIT
    works.left = 4 << 30
    refusal = works.refusal(BIG, 4096)
    assert isinstance(refusal, LoadFailed)
    assert not isinstance(refusal, OutOfMemory)
    assert refusal.reason is Reason.CONVERSION_FAILED
    works.left = 64 << 30
    assert works.refusal(SMALL, 4096) is None


def test_what_cannot_be_had_is_refused_as_the_hub_says(home: dict[str, str]) -> None:
    """Offline, an unknown model is refused for being offline."""
    refusal = Workshop(home).refusal(Step("acme/unknown", Runtime.TRANSFORMERS, Precision.FLOAT32), 128)
    assert isinstance(refusal, ModelUnavailable)
    assert refusal.reason is Reason.HUB_OFFLINE


def torch_is_here(name: str) -> bool:
    """Say that transformers' libraries are in memory, and nothing else."""
    return name in {"torch", "transformers"}


def test_what_is_paid_for_already_counts(home: dict[str, str], tiny: Path) -> None:
    """Where this process has the runtime's libraries in memory, their floor is not asked for again."""
    bare, paid = Tight(home, imported=lambda _name: False), Tight(home, imported=torch_is_here)
    bare.left = paid.left = 100 * MIB
    assert bare.available(step(tiny)) == 100 * MIB
    assert paid.available(step(tiny)) > 100 * MIB
    assert paid.available(BIG) == 100 * MIB


def test_an_address_space_limit_counts_by_its_own_floor(
    home: dict[str, str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the libraries have reserved is given back to that limit, and no resident memory."""
    works = Workshop(home, imported=torch_is_here)
    machine = works.machine()
    limited = replace(machine, available=Available.of((Part(ADDRESS_SPACE, 10 * MIB, "RLIMIT_AS"),)))
    monkeypatch.setattr(works, "machine", lambda: limited)
    floor = machine.details[Runtime.TRANSFORMERS].address_space
    assert works.available(step(tiny)) == 10 * MIB + floor


def test_from_the_hub_to_an_answer(home: dict[str, str], tiny: Path) -> None:
    """Planned, downloaded, loaded and asked over a real connection; released, and loaded again by the next answer."""
    with LoopbackHub({"acme/tiny": tiny}) as hub:
        online = {name: value for name, value in home.items() if name != "HF_HUB_OFFLINE"}
        with registry(online | {"HF_ENDPOINT": hub.endpoint}, "acme/tiny") as one:
            plan = one.plan()
            assert plan.chosen is not None
            assert plan.chosen.model == "acme/tiny"
            model = one.load_sync()
            first = model.generate_sync(CHAT, max_new_tokens=8)
            assert first.tokens <= 8
    with registry(home, "acme/tiny") as offline:
        assert offline.load_sync().generate_sync(CHAT, max_new_tokens=8).text == first.text


def test_an_idle_model_goes_and_comes_back(home: dict[str, str], tiny: Path) -> None:
    """The same face answers as before after its model was unloaded, and two threads take turns in it."""
    with ModelRegistry.from_environment(
        home | {"SIF_AGENT_MODEL": str(tiny), "SIF_AGENT_FALLBACK_MODELS": "", "SIF_AGENT_RUNTIME": "transformers"},
        idle=0.2,
    ) as one:
        model = one.load_sync()
        before = model.generate_sync(CHAT, max_new_tokens=6).text
        for _ in range(500):
            if one.status().steps[model.step].state == "cold":
                break
            threading.Event().wait(0.01)
        assert one.status().steps[model.step].state == "cold"
        answers: list[str] = []
        threads = [
            threading.Thread(target=lambda: answers.append(model.generate_sync(CHAT, max_new_tokens=6).text))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert answers == [before] * 3


def test_an_answer_that_fails_gives_its_lease_back(home: dict[str, str], tiny: Path) -> None:
    """After an error nobody is counted as a user, and the next answer comes."""
    with registry(home, tiny) as one:
        model = one.load_sync()
        with pytest.raises(AnswerFailed):
            model.generate_sync("word " * 9000)
        model.generate_sync(CHAT, max_new_tokens=2)
        assert one.status().steps[model.step].users == 0


def test_prefetching_a_model_that_is_here_downloads_nothing(home: dict[str, str], tiny: Path) -> None:
    """No thread, no request; one that is not here begins, and tells its progress."""
    works = Workshop(home)
    works.prefetch(str(tiny))
    assert works.downloads() == {}
    works.prefetch("acme/tiny")
    assert set(works.downloads()) == {"acme/tiny"}
    works.close()


@pytest.fixture
def embeddings(home: dict[str, str]) -> Iterator[ModelRegistry]:
    """Return a registry with MiniLM from the extra [embedded]."""
    if embedded_directory(MINILM) is None:
        pytest.skip("the extra [embedded] is not installed")
    with ModelRegistry.from_environment(home) as one:
        yield one


def test_embeddings_without_a_hub(embeddings: ModelRegistry) -> None:
    """MiniLM from the wheel: unit vectors of 384 dimensions, the same whatever they are batched with."""
    embedder = embeddings.load_embeddings_sync()
    texts = ["a cat sat on the mat", "a kitten on a rug", "interest rates rose", "", "x " * 2000]
    vectors = embedder.encode_sync(texts)
    assert vectors.shape == (5, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert np.allclose(vectors[2], embedder.encode_sync([texts[2]])[0], atol=1e-5)
    assert embedder.encode_sync([]).shape == (0, 384)


def test_embeddings_are_those_of_the_index(embeddings: ModelRegistry) -> None:
    """The semantic index's own encoder makes the same vectors: both rooms may use one index."""
    encoder = pytest.importorskip("alwrity_checks.txtai.encoder")
    texts = ["hello world", "ein zweiter Text", "x " * 2000]
    theirs = encoder.SentenceEncoder.load().encode(texts)
    assert np.allclose(embeddings.load_embeddings_sync().encode_sync(texts), theirs, atol=1e-5)


def test_the_hub_is_not_asked_by_each_call(home: dict[str, str], tiny: Path) -> None:
    """Models that the hub does not have are asked for once for each attempt to load them, not for each call."""
    online = {name: value for name, value in home.items() if name != "HF_HUB_OFFLINE"}
    with LoopbackHub({"acme/tiny": tiny}) as hub:
        wanted = {"HF_ENDPOINT": hub.endpoint, "SIF_AGENT_FALLBACK_MODELS": "acme/no-other"}
        with registry(online, "acme/none", **wanted) as one:
            with pytest.raises(NoModel):
                one.load_sync()
            asked = len(hub.requests)
            for _ in range(3):
                with pytest.raises(NoModel):
                    one.load_sync()
            assert len(hub.requests) == asked


def test_a_conversion_that_somebody_made_meanwhile_counts(
    home: dict[str, str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little memory to convert a model stands in the way only until it is converted, by whomever."""
    works, int4 = Workshop(home), Step(str(tiny), Runtime.ONNX, Precision.INT4)
    before = works.facts(str(tiny))
    assert before.converted_bytes is None
    (tiny.parent / "int4").mkdir()
    (tiny.parent / "int4" / "model.onnx").write_bytes(bytes(1 << 20))
    monkeypatch.setattr("alwrity_checks.models.conversion.converted", lambda _: tiny.parent / "int4")
    assert works.facts(str(tiny)).converted_bytes == 1 << 20
    assert works.need(int4, 128) is not None


def test_what_stays_the_same_does_not_load_a_model_again(home: dict[str, str], tiny: Path) -> None:
    """To ask a face for its context is no reason to load: an event loop may do it."""
    with registry(home, tiny) as one:
        model = one.load_sync()
        context = model.context
        one._parts.models._idle = -1000.0
        while one.status().steps[model.step].state != "cold":
            one.release_idle()
        assert model.context == context
        assert one.status().steps[model.step].state == "cold"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("awaited", [True, False])
def test_a_face_in_a_forked_child_says_so_at_once(home: dict[str, str], tiny: Path, *, awaited: bool) -> None:
    """Its worker and whoever holds its turn are the parent's: an error with a remedy, and no wait without end."""
    with registry(home, tiny) as one:
        model = one.load_sync()
        asyncio.run(model.generate(CHAT, max_new_tokens=1))
        with model._my_turn(None):
            child = os.fork()
            if not child:  # pragma: no cover - the child reports by its exit code
                code = 1
                try:
                    if awaited:
                        asyncio.run(model.generate(CHAT, max_new_tokens=1))
                    model.generate_sync(CHAT, max_new_tokens=1)
                except ForkedProcess:
                    code = 0
                finally:
                    os._exit(code)
        for _ in range(3000):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            threading.Event().wait(0.01)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        assert os.waitstatus_to_exitcode(status) == 0


def test_embeddings_that_are_no_text_or_come_too_late_are_our_errors(embeddings: ModelRegistry) -> None:
    """Half a surrogate pair is refused; after closing, both calls say Closed."""
    embedder = embeddings.load_embeddings_sync()
    with pytest.raises(AnswerFailed) as caught:
        embedder.encode_sync(["\ud800"])
    assert caught.value.reason is Reason.SETTING_INVALID
    embeddings.close()
    with pytest.raises(Closed):
        embedder.encode_sync(["a"])
    with pytest.raises(Closed):
        asyncio.run(embedder.encode(["a"]))
