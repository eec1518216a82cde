"""The real MiniLM from the extra [embedded]: its vectors, where it is found, and what it does to an event loop."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.txtai import model_source
from alwrity_checks.txtai.encoder import SentenceEncoder
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
from alwrity_checks.txtai.model_source import MINILM, HubUnreachable, ModelFiles, find_model, hub_answers
from tests.support.rawserver import RawServer
from tests.support.txtai_runtime import PATIENCE

TEXTS = [f"{'a sentence about marketing and search engines ' * (number % 9)}number {number}" for number in range(70)]


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    """Return the encoder from the embedded weights."""
    return SentenceEncoder.load(find=partial(find_model, hub_answers=lambda: False))


def test_the_vectors_are_those_of_sentence_transformers(minilm: SentenceEncoder) -> None:
    """Same texts, same vectors, normalised, in the order of the texts."""
    from sentence_transformers import SentenceTransformer

    vectors = minilm.encode(TEXTS)
    assert vectors.shape == (70, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    peer = SentenceTransformer(str(find_model(MINILM, hub_answers=lambda: False).directory), device="cpu")
    np.testing.assert_allclose(vectors, peer.encode(TEXTS, normalize_embeddings=True), atol=1e-5)


def test_no_progress_bar_is_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    """A server's log gets no bar while a model is loaded."""
    SentenceEncoder.load(find=partial(find_model, hub_answers=lambda: False))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_the_identity_is_the_weights(minilm: SentenceEncoder, tmp_path: Path) -> None:
    """The same weights elsewhere are the same encoder; a copied file tells that, its path does not."""
    files = find_model("all-MiniLM-L6-v2", hub_answers=lambda: False)
    (tmp_path / "model.safetensors").symlink_to(files.directory / "model.safetensors")
    assert ModelFiles(tmp_path, "the directory").fingerprint() == files.fingerprint()
    assert minilm.identity == f"{files.fingerprint()}:384"


def test_a_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    """No network is asked about a model that is named by its directory; one without weights is an error."""
    found = find_model(str(tmp_path), hub_answers=lambda: pytest.fail("the hub was asked"))
    assert found.directory == tmp_path.resolve()
    with pytest.raises(ConfigurationError, match="no weights"):
        found.fingerprint()
    with pytest.raises(ConfigurationError, match="does not exist"):
        find_model(str(tmp_path / "nowhere"))


def test_a_model_that_cannot_be_had_is_named() -> None:
    """Without a hub there is MiniLM and nothing else; a name that cannot be one is an error at once."""
    with pytest.raises(HubUnreachable, match="intfloat/e5-small") as caught:
        find_model("intfloat/e5-small", hub_answers=lambda: False)
    assert "ALWRITY_TXTAI_MODEL" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="no model's name"):
        find_model("a b", hub_answers=lambda: False)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hub and without the embedded weights the error says what to install."""
    monkeypatch.setattr(model_source, "_EMBEDDED", "a_package_that_is_not_there")
    with pytest.raises(MissingExtra) as caught:
        find_model(MINILM, hub_answers=lambda: False)
    assert "[embedded]" in caught.value.remedy


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_means_that_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The libraries' own switches are obeyed."""
    monkeypatch.setenv(variable, "1")
    found = find_model(MINILM, hub_answers=lambda: pytest.fail("the hub was asked"))
    assert found.origin == "the extra [embedded]"


def test_a_hub_is_asked_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any answer means that it is there; silence, refusal and a name that is none mean that it is not."""
    with RawServer(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as server:
        there = server.url
        monkeypatch.setenv("HF_ENDPOINT", there)
        assert hub_answers(PATIENCE)
    for endpoint in (there, "http://no-such-host.invalid", "not a url"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert not hub_answers(PATIENCE)


def test_the_event_loop_goes_on(tmp_path: Path) -> None:
    """While 300 documents are accepted, encoded by the real model, saved and searched, the loop keeps turning.

    ALwrity's loop stands still for as long as that takes, so there is one turn in it; here there are hundreds.
    """

    async def scenario() -> int:
        load = partial(SentenceEncoder.load, find=partial(find_model, hub_answers=lambda: False))
        indexes = SemanticIndexes(partial(SharedStorage, tmp_path), load=load, encoders=EncoderRegistry())
        index = indexes.of("alice")
        turns = 0
        work = asyncio.create_task(index.add([(f"{n}", f"{TEXTS[n % 70]} {n}") for n in range(300)], critical=True))
        while not work.done():
            await asyncio.sleep(0.001)
            turns += 1
        await work
        assert (await index.search("number 42", limit=1))[0].score > 0.5
        assert await indexes.close(PATIENCE)
        return turns

    assert asyncio.run(scenario()) > 100
