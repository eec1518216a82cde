"""ALwrity's names over the component, with the real MiniLM: the same shapes, and none of issue 3."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.compat import TxtaiIntelligenceService
from alwrity_checks.txtai.documents import UnusableDocument
from alwrity_checks.txtai.encoder import SentenceEncoder
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.errors import NotReady
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
from alwrity_checks.txtai.model_source import MINILM, find_model
from tests.support.txtai_runtime import PATIENCE, Loader, running

ITEMS: list[tuple[str, str, dict[str, object] | None]] = [
    ("cat", "A small cat sleeps on the sofa", {"type": "animal", "tags": ["pet"], "id": 7}),
    ("rate", "The central bank has raised interest rates", {"type": "money"}),
    ("seo", "Search engine optimisation brings visitors to a web site", None),
]


@pytest.fixture(scope="module")
def registry() -> Iterator[EncoderRegistry]:
    """Return a registry that holds the real model for all tests of this module."""
    registry = EncoderRegistry()
    load = partial(SentenceEncoder.load, find=partial(find_model, hub_answers=lambda: False))
    key = (MINILM, _load)
    thread = registry.acquire(key, lambda: load(MINILM))
    yield registry
    assert registry.release(key, thread, PATIENCE)


def _load(model: str) -> SentenceEncoder:
    return SentenceEncoder.load(model, find=partial(find_model, hub_answers=lambda: False))


@pytest.fixture
def real(tmp_path: Path, registry: EncoderRegistry) -> Iterator[SemanticIndexes]:
    """Have the services use the real model."""
    indexes = SemanticIndexes(partial(SharedStorage, tmp_path), load=_load, encoders=registry)
    TxtaiIntelligenceService.use(indexes)
    yield indexes
    TxtaiIntelligenceService.use(None)
    assert indexes.close_sync(PATIENCE)


@pytest.fixture(autouse=True)
def _nobody_shares() -> Iterator[None]:
    yield
    TxtaiIntelligenceService.use(None)


def test_today_then_yesterday(real: SemanticIndexes) -> None:
    """The first call of a fresh user, then a second one: both batches are found, by meaning, with their metadata."""

    async def scenario() -> None:
        service = TxtaiIntelligenceService("user_1")
        assert await service.index_content(ITEMS[:1]) == 1
        assert await service.index_content(ITEMS[1:]) == 2
        assert TxtaiIntelligenceService("user_1").is_initialized()
        best = (await service.search("kitten", limit=1))[0]
        assert (best["id"], best["text"]) == ("cat", ITEMS[0][1])
        assert best["metadata"] == best["object"] == {"type": "animal", "tags": ["pet"], "id": 7}
        assert 0 < best["score"] <= 1
        assert (await service.search("monetary policy"))[0]["id"] == "rate"
        stats = service.get_index_stats()
        assert (stats["status"], stats["index_size"], stats["user_id"]) == ("active", 3, "user_1")
        assert await service.delete_content(["cat"]) == 1
        assert "cat" not in [row["id"] for row in await service.search("kitten")]
        assert await service.reindex_all(ITEMS[:1]) == 1
        assert [row["id"] for row in await service.search("kitten")] == ["cat"]

    asyncio.run(scenario())
    assert real.status().indexes["user_1"].error is None


def test_two_calls_at_once(real: SemanticIndexes) -> None:
    """Concurrent calls on a fresh user keep both batches."""

    async def scenario() -> None:
        service = TxtaiIntelligenceService("user_2")
        await asyncio.gather(service.index_content(ITEMS[:1]), service.index_content(ITEMS[1:]))
        assert service.get_index_stats()["index_size"] == 3

    asyncio.run(scenario())
    assert set(real.status().indexes) == {"user_2"}


def test_likeness(real: SemanticIndexes) -> None:
    """`get_similarity` is a number that means something (ALwrity's is always 0.0), and so are `classify`'s."""

    async def scenario() -> None:
        service = TxtaiIntelligenceService("user_3")
        near = await service.get_similarity("a cat", "a kitten")
        far = await service.get_similarity("a cat", "interest rates")
        assert 1 >= near > 0.5 > far >= -1
        assert await service.get_similarity("same", "same") == pytest.approx(1.0, abs=1e-5)
        labels = await service.classify("The bank pays 3 % on deposits", ["pets", "finance"])
        assert [label for label, _ in labels] == ["finance", "pets"]
        assert await service.classify("text", []) == []

    asyncio.run(scenario())
    assert real.status().encoder == "ready"


def test_clusters_number_documents(real: SemanticIndexes) -> None:
    """A cluster's numbers stand for documents, the same number for the same document."""

    async def scenario() -> None:
        service = TxtaiIntelligenceService("user_4")
        await service.index_content(ITEMS)
        clusters = await service.cluster(0.3, ["cats and dogs", "search engine optimisation", "SEO", "banks", "cats"])
        assert [0] in clusters
        assert [1] in clusters
        assert len(clusters) == len({tuple(cluster) for cluster in clusters})

    asyncio.run(scenario())
    assert real.status().indexes["user_4"].store.documents == 3


def test_what_the_agents_reach_for(real: SemanticIndexes) -> None:
    """`_ensure_initialized_async`, `_initialized` and `embeddings` are there; the statement that lists, lists all."""

    async def scenario() -> TxtaiIntelligenceService:
        service = TxtaiIntelligenceService("user_5")
        await service.index_content(ITEMS)
        await service._ensure_initialized_async()
        return service

    service = asyncio.run(scenario())
    assert service._initialized
    embeddings = service.embeddings
    assert embeddings is not None
    assert embeddings.count() == 3
    assert embeddings.search("kitten", limit=1)[0]["id"] == "cat"
    listed = embeddings.search("select id, text, object from txtai limit 3", limit=3)
    assert {row["id"]: row["object"].get("type") for row in listed} == {"cat": "animal", "rate": "money", "seo": None}
    assert len(embeddings.search("SELECT id, text, tags FROM txtai LIMIT 2")) == 2
    assert all("score" in row for row in embeddings.search("select id, text from txtai where similar('cat')"))
    assert real.fail_fast


def test_what_the_task_memory_writes_through(real: SemanticIndexes) -> None:
    """`embeddings.upsert` and `save`, with a mapping whose `tags` are txtai's, keep the document and its fields."""
    service = TxtaiIntelligenceService("user_10")
    service._ensure_initialized()
    real.of("user_10").ready_sync(PATIENCE)
    assert service.embeddings is not None
    assert service.index_path
    document = {
        "id": "t1",
        "text": "Write a post about cats. Soon.",
        "tags": "task_memory rejected",
        "status": "rejected",
    }
    service.embeddings.upsert([document])
    service.embeddings.save(service.index_path)
    real.of("user_10").delete_sync(["nothing"], critical=True)
    (found,) = asyncio.run(service.search("cats", limit=1))
    assert found["object"] == {"tags": "task_memory rejected", "status": "rejected"}
    assert (found["id"], found["text"]) == ("t1", document["text"])
    assert service.embeddings.count() == 1


def test_a_field_comes_back_under_its_name(real: SemanticIndexes) -> None:
    """Names that mean something to txtai, with underscores behind them and without, are told apart."""
    metadata: dict[str, object] = {"id": 1, "id_": 2, "id__": 3, "text": "a", "score_": 4, "plain_": 5}
    service = TxtaiIntelligenceService("user_11")
    asyncio.run(service.index_content([("one", "A cat", metadata)]))
    (found,) = asyncio.run(service.search("cat"))
    assert found["metadata"] == metadata
    assert real.fail_fast


def test_fail_fast_raises_and_keeps(tmp_path: Path) -> None:
    """With the switch on, an operation that cannot be done in time is an error; the documents are kept."""
    with running(tmp_path, Loader(failures=[ConfigurationError("no model", "get one")] * 3)) as indexes:
        TxtaiIntelligenceService.use(indexes)
        service = TxtaiIntelligenceService("user_6")
        assert not service.is_initialized()
        assert service.embeddings is None

        async def scenario() -> None:
            with pytest.raises(NotReady, match="no model"):
                await service.search("anything")
            with pytest.raises(NotReady, match="no model"):
                await service.get_similarity("a", "b")
            for item in (
                ("a", "text", {"when": object()}),
                ("a", "text", "tags"),
                ("a",),
                {"id": "a", "title": "b"},
                7,
            ):
                with pytest.raises(UnusableDocument):
                    await service.index_content([item])  # type: ignore[list-item]

        asyncio.run(scenario())
        assert service.get_index_stats() == {"status": "not_initialized", "user_id": "user_6"}


def test_without_fail_fast_nothing_raises_and_nothing_is_lost(tmp_path: Path) -> None:
    """With the switch off, ALwrity drops documents; here they are accepted, and searches say in the log why not."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader, fail_fast=False) as indexes:
        TxtaiIntelligenceService.use(indexes)
        service = TxtaiIntelligenceService("user_7")

        async def scenario() -> None:
            assert await service.index_content(ITEMS) == 3
            assert await service.index_content([]) == 0
            assert await service.search("cat") == []

        asyncio.run(scenario())
        loader.gate.set()
        indexes.of("user_7").delete_sync(["nothing"], critical=True)
        assert service.get_index_stats()["index_size"] == 3


def test_another_model_is_refused(tmp_path: Path) -> None:
    """Two models would mix vectors in one store."""
    with running(tmp_path) as indexes:
        TxtaiIntelligenceService.use(indexes)
        assert TxtaiIntelligenceService("user_8", MINILM).model_path == MINILM
        with pytest.raises(ConfigurationError, match="all users share"):
            TxtaiIntelligenceService("user_8", "intfloat/e5-small")


def test_the_environment_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without more ado the services use what the environment says."""
    monkeypatch.setenv("ALWRITY_TXTAI_DIR", str(tmp_path / "index"))
    monkeypatch.setenv("SIF_FAIL_FAST", "false")
    service = TxtaiIntelligenceService("user_9")
    assert not service.fail_fast
    assert service.model_path == MINILM
    assert service._indexes.close_sync(PATIENCE)
