"""What the callers of `services.intelligence.txtai_service` rely on, and the driver that tries it.

Vectors come from the texts' hashes: equal texts are nearest to each other, and nothing is said of others. An index is
got ready before anything is tried: what happens while it starts is the fault, and no promise.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.adoption.contract.contract import Attempt, Contract, Untried, expect
from alwrity_checks.adoption.contract.inside import attend, open_with_txtai

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside
    from alwrity_checks.txtai.scenarios.targets import Deployment

__all__ = ["CONTRACTS", "drive"]

_SOURCE: Final = "ALwrity ce9bf293, "
_USER: Final = "user_2contract000000000000001"
_PATIENCE: Final = 10.0
_PAUSE: Final = 0.02
_TEXTS: Final = {
    "today_task:1": "[plan] Write a post about cats\nSoon.\nstatus=pending",
    "https://example.com/banks": "The central bank has raised interest rates",
    "website_analysis:7": "Website Analysis for https://example.com. Brand voice: plain.",
}
_METADATA: Final = {"type": "website_analysis", "is_latest": True, "full_report": {"pages": [1, 2], "score": 0.5}}
_DISTRIBUTIONS: Final = ("txtai", "faiss-cpu", "loguru")


@dataclass(frozen=True, slots=True)
class _Bench:
    """The module, imported afresh, with an empty directory for its indexes."""

    module: Any
    deployment: Deployment

    def service(self, user: str = _USER) -> Any:  # noqa: ANN401 - anybody's class
        """Return a service of the user, made as the callers make one."""
        return self.deployment.of(user)

    async def ready(self, user: str = _USER) -> Any:  # noqa: ANN401 - as above
        """Return a service of the user whose index is ready. Raises Untried where it does not become so."""
        service = self.service(user)
        await service.search("is anything there?")
        for _ in range(round(_PATIENCE / _PAUSE)):
            if service.is_initialized():
                return service
            await asyncio.sleep(_PAUSE)
        raise Untried(f"the index was not ready after {_PATIENCE:.0f} s")

    async def filled(self) -> Any:  # noqa: ANN401 - as above
        """Return a service with three documents."""
        service = await self.ready()
        await service.index_content(_items())
        return service


def _items(texts: Sequence[tuple[str, str]] = tuple(_TEXTS.items())) -> list[tuple[str, str, dict[str, Any] | None]]:
    return [(one, text, dict(_METADATA)) for one, text in texts]


def drive(inside: Inside, act: str, *words: str) -> None:
    """Meet the module, or try contracts on it, without torch if txtai can do without."""
    from alwrity_checks.txtai.scenarios.driven import MODULE, DrivenTarget
    from alwrity_checks.txtai.scenarios.stage import Stage

    open_with_txtai(inside)
    target = DrivenTarget(inside)

    @contextmanager
    def bench() -> Iterator[_Bench]:
        with Stage() as stage:
            deployment = target.deploy(stage)
            try:
                yield _Bench(sys.modules[MODULE], deployment)
            finally:
                deployment.close()

    attend(inside, act, words, CONTRACTS, bench, *_DISTRIBUTIONS)


def _names(bench: _Bench) -> str:
    module = bench.module
    expect(getattr(module, "TXTAI_AVAILABLE", None) is True, "TXTAI_AVAILABLE is not True, with txtai installed")
    service = module.TxtaiIntelligenceService(user_id=_USER, enable_caching=False)
    expect(service.user_id == _USER, f"its user_id is {service.user_id!r}")
    expect(module.TxtaiIntelligenceService(_USER) is not None, "there is none")
    return "made by position and by name"


async def _found(bench: _Bench) -> str:
    service = await bench.filled()
    rows = await service.search(_TEXTS["today_task:1"], limit=1)
    expect(isinstance(rows, list) and len(rows) == 1, f"a search with limit=1 gave {rows!r:.120}")
    row = rows[0]
    expect(isinstance(row, dict), f"a row is a {type(row).__name__}")
    expect(row.get("id") == "today_task:1", f"the text itself found {row.get('id')!r}")
    expect(row.get("text") == _TEXTS["today_task:1"], f"its text is {row.get('text')!r:.80}")
    score = float(row.get("score", 0))
    expect(0.99 < score < 1.01, f"the score of the text itself is {score}")  # noqa: PLR2004 - a cosine in float32
    many = await service.search(_TEXTS["today_task:1"], limit=50)
    scores = [float(one["score"]) for one in many]
    expect(scores == sorted(scores, reverse=True), "the best is not the first")
    json.dumps(many)
    return "a list of dictionaries with id, text and score, the best first"


async def _replaced(bench: _Bench) -> str:
    service = await bench.filled()
    text = "[plan] Write a post about cats\nSoon.\nstatus=completed"
    await service.index_content(_items((("today_task:1", text),)))
    rows = [row for row in await service.search(text, limit=10) if row["id"] == "today_task:1"]
    expect([row["text"] for row in rows] == [text], f"the id has the texts {[row['text'] for row in rows]!r:.160}")
    return "one document of the id, the newer one"


async def _empty(bench: _Bench) -> str:
    rows = await (await bench.ready()).search("brand voice", limit=5)
    expect(isinstance(rows, list) and not rows, f"an empty index gave {rows!r:.120}")
    return "an empty list"


async def _without_metadata(bench: _Bench) -> str:
    service = await bench.ready()
    await service.index_content([("one", "A cat", None), ("two", "A dog", {})])
    rows = await service.search("A cat", limit=1)
    expect([row["id"] for row in rows] == ["one"], f"found {[row['id'] for row in rows]}")
    return "found"


async def _users(bench: _Bench) -> str:
    await bench.filled()
    again = await bench.service().search(_TEXTS["website_analysis:7"], limit=1)
    expect([row["id"] for row in again] == ["website_analysis:7"], "another service of the user does not find it")
    other = await bench.ready("user_2contract000000000000002")
    expect(await other.search(_TEXTS["website_analysis:7"], limit=5) == [], "another user finds it")
    return "the user's services share an index, another user's does not see it"


async def _clusters(bench: _Bench) -> str:
    service = await bench.ready()
    # Two of the terms around which documents are grouped (services/intelligence/txtai_service.py:476).
    await service.index_content(_items((("one", "marketing"), ("two", "SEO"))))
    clusters = await service.cluster(min_score=0.6)
    sound = isinstance(clusters, list) and clusters and all(isinstance(one, list) for one in clusters)
    expect(sound and all(isinstance(number, int) for one in clusters for number in one), f"{clusters!r:.160}")
    return f"{len(clusters)} lists of numbers"


async def _readiness(bench: _Bench) -> str:
    service = bench.service()
    await service._ensure_initialized_async()  # noqa: SLF001 - what the agents call
    expect(getattr(service, "_initialized", False), "_initialized is false after _ensure_initialized_async")
    expect(service.embeddings, "embeddings is false after _ensure_initialized_async")
    expect(service.is_initialized() is True, "is_initialized() is not True after _ensure_initialized_async")
    return "_ensure_initialized_async, then _initialized, embeddings and is_initialized() are true"


async def _listing(bench: _Bench) -> str:
    service = await bench.filled()
    embeddings = service.embeddings
    count = int(await asyncio.to_thread(embeddings.count))
    expect(count == len(_TEXTS), f"count() is {count} of {len(_TEXTS)}")
    statement = f"select id, text, object from txtai limit {count}"  # noqa: S608 - ALwrity's own
    rows = await asyncio.to_thread(lambda: embeddings.search(statement, limit=count))
    listed = {str(row.get("id", "")): row.get("text") for row in rows}
    expect(listed == _TEXTS, f"of {len(_TEXTS)} documents {len(listed)} are listed")
    return f"{count} documents counted and listed"


async def _statistics(bench: _Bench) -> str:
    before = bench.service().get_index_stats()
    expect(before == {"status": "not_initialized", "user_id": _USER}, f"before a start: {before!r:.160}")
    after = (await bench.filled()).get_index_stats()
    json.dumps(after)
    told = {name: after.get(name) for name in ("status", "user_id", "index_size", "initialized")}
    wanted = {"status": "active", "user_id": _USER, "index_size": len(_TEXTS), "initialized": True}
    expect(told == wanted, f"of a filled index: {told}")
    expect(after.get("model_path") and after.get("index_path"), "model_path or index_path is missing")
    return "not_initialized, then active with the number of documents"


async def _task_memory(bench: _Bench) -> str:
    service = await bench.ready()
    text = "Write a post. About cats."
    document = {"id": "vector-1", "text": text, "tags": "task_memory rejected plan", "status": "rejected"}
    expect(hasattr(service.embeddings, "upsert"), "embeddings has no upsert")
    service.embeddings.upsert([document])
    expect(getattr(service, "index_path", None), "index_path is empty")
    service.embeddings.save(service.index_path)
    for _ in range(round(_PATIENCE / _PAUSE)):
        rows = await service.search(text, limit=1)
        if rows and rows[0].get("id") == "vector-1":
            return "what is written through `embeddings` is found"
        await asyncio.sleep(_PAUSE)
    raise AssertionError("what was written through `embeddings` is not found")


_ATTEMPTS: Final[tuple[tuple[str, str, tuple[str, ...], Attempt], ...]] = (
    (
        "names",
        "TXTAI_AVAILABLE and the class are there, and a service is made of a user's id",
        ("services/intelligence/sif_agents.py:15", "services/intelligence/sif_integration.py:42"),
        _names,
    ),
    (
        "search",
        "a search gives the nearest documents with id, text and score, at most as many as asked for",
        ("services/task_memory_service.py:135", "services/intelligence/sif_integration.py:928"),
        _found,
    ),
    (
        "replaced",
        "a document takes the place of the one that had its id",
        ("api/today_workflow.py:79", "services/intelligence/sif_integration.py:412"),
        _replaced,
    ),
    (
        "nothing-found",
        "a search of an empty index gives an empty list",
        ("services/intelligence/sif_integration.py:866",),
        _empty,
    ),
    (
        "without-metadata",
        "documents without metadata are taken",
        ("services/intelligence/sif_integration.py:1079",),
        _without_metadata,
    ),
    (
        "users",
        "all services of a user share one index, and no other user sees it",
        ("api/seo_dashboard.py:802", "services/intelligence/agents/agent_orchestrator.py:195"),
        _users,
    ),
    (
        "clusters",
        "cluster gives a list of lists of numbers",
        ("services/intelligence/sif_agents.py:261", "services/intelligence/agents/specialized/link_graph.py:27"),
        _clusters,
    ),
    (
        "readiness",
        "an agent can wait for the index, and ask whether it is ready",
        ("services/intelligence/sif_agents.py:210", "services/intelligence/agents/specialized/base.py:63"),
        _readiness,
    ),
    (
        "listing",
        "an agent can count the documents, and list them",
        (
            "services/intelligence/sif_agents.py:447",
            "services/intelligence/agents/specialized/strategy_architect.py:207",
        ),
        _listing,
    ),
    (
        "statistics",
        "get_index_stats says in JSON whether there is an index, and how large it is",
        ("services/sif_onboarding_service.py:136",),
        _statistics,
    ),
    (
        "task-memory",
        "the task memory writes a document through `embeddings`, and finds it",
        ("services/task_memory_service.py:88", "services/task_memory_service.py:97"),
        _task_memory,
    ),
)
CONTRACTS: Final = tuple(
    Contract(3, f"txtai.{name}", title, tuple(f"{_SOURCE}{place}" for place in places), attempt)
    for name, title, places, attempt in _ATTEMPTS
)
