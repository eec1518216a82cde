"""A real application with the health routes: what an orchestrator, and Prometheus, are told of real components."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from alwrity_checks.auth import ClaimPolicy, ClerkTokenVerifier, RemoteKeys
from alwrity_checks.auth.fetch import FetchFailed
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.health import Components, Standing, examine, router
from alwrity_checks.health import router as health_router
from alwrity_checks.hf import Chain, Router, StructuredGenerator
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from alwrity_checks.hf.retries import RetryPolicy
from alwrity_checks.models import ModelRegistry
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.txtai import SemanticIndexes
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.lease import SharedStorage
from tests.support.keyfetch import URL, Clock, Fetch
from tests.support.tokens import pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.auth.mint import Instance

MODEL = "openai/gpt-oss-120b:groq"
SECRET = "hf_" + "q" * 34


def asked(application: FastAPI, *paths: str) -> list[httpx.Response]:
    """Send requests, one after the other, through the whole application."""

    async def scenario() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(scenario())


def app(components: Components, **options: Any) -> FastAPI:  # noqa: ANN401 - the router's
    """Return a backend with the routes."""
    application = FastAPI()
    application.include_router(router(components, **options), prefix="/health")
    return application


def figures(text: str) -> dict[str, float]:
    """Return the plain gauges, as Prometheus' own parser reads them."""
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


def remote(instance: Instance, fetch: Fetch, clock: Clock) -> ClerkTokenVerifier:
    """Return a verifier whose keys come from a key server."""
    keys = RemoteKeys(URL, fetch=fetch, clock=clock)
    return ClerkTokenVerifier(keys, ClaimPolicy(issuers=frozenset({instance.issuer})))


def test_a_server_gets_requests_once_it_can_verify_tokens(instance: Instance) -> None:
    """503 until the keys are known; 200 then; through an outage of the key server it stays 200 and says so."""
    clock, fetch = Clock(), Fetch(instance)
    verifier = remote(instance, fetch, clock)
    before, live = asked(app(Components(verifier=verifier)), "/health/ready", "/health/live")
    assert (before.status_code, live.status_code) == (503, 200)
    assert before.json()["because"] == ["auth"]
    assert before.json()["parts"]["auth"]["standing"] == "waiting"
    assert asyncio.run(verifier.warm())
    clock.now += 100
    (ready,) = asked(app(Components(verifier=verifier)), "/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.headers["cache-control"] == "no-store"
    fetch.failure = FetchFailed(Reason.JWKS_TIMEOUT, "the key server did not answer")
    asyncio.run(verifier.warm())
    (outage,) = asked(app(Components(verifier=verifier)), "/health/ready")
    assert outage.status_code == 200
    assert outage.json()["parts"]["auth"]["standing"] == "degraded"


def test_a_key_server_that_never_answered_keeps_requests_away(instance: Instance) -> None:
    """Without keys no token can be verified: that is no state in which to be sent requests."""
    fetch = Fetch(instance)
    fetch.failure = FetchFailed(Reason.JWKS_TIMEOUT, f"the key server did not answer {SECRET}")
    verifier = remote(instance, fetch, Clock())
    assert not asyncio.run(verifier.warm())
    (answer,) = asked(app(Components(verifier=verifier)), "/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"]["auth"]["standing"] == "failed"
    assert SECRET not in answer.text


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


def test_a_chain_that_is_held_off_is_told(server: LoopbackRouter) -> None:
    """Unmeasured is degraded; when the only deployment fails for good, nobody is asked, and the cause is named."""
    policy = RetryPolicy(first_pause=0.01, longest_pause=0.02, request_timeout=0.5)
    generator = StructuredGenerator(Router(server.base_url, server.token), Chain.unmeasured(MODEL), policy=policy)
    (part,) = examine(Components(generator=generator))
    assert (part.standing, part.figures["chain_measured"]) == (Standing.DEGRADED, 0.0)
    server.behave(Behaviour.MODEL_NOT_FOUND)
    with pytest.raises(Exception, match="model"):
        generator.generate_sync("say it", {"type": "object"})
    (part,) = examine(Components(generator=generator))
    assert (part.standing, part.figures["deployments_held_off"]) == (Standing.FAILED, 1.0)
    assert MODEL in part.told
    generator.close()


class _Model:
    identity = "a test's:4"
    dimensions = 4

    def encode(self, texts: Any) -> Any:  # noqa: ANN401 - numpy's
        import numpy as np

        return np.ones((len(texts), 4), dtype=np.float32) / 2


def test_the_queue_of_an_index_is_a_figure(tmp_path: Path) -> None:
    """What is accepted and not searchable yet is counted, and no user's name is told."""
    gate = threading.Event()

    def load(_name: str) -> Any:  # noqa: ANN401 - an encoder
        assert gate.wait(30)
        return _Model()

    indexes = SemanticIndexes(partial(SharedStorage, tmp_path), load=load, encoders=EncoderRegistry())
    receipt = indexes.of("user_secret_name").add_sync([("a", "some text", None)])
    (part,) = examine(Components(indexes=indexes))
    assert (part.standing, part.figures["queued"]) == (Standing.WAITING, 1.0)
    text = asked(app(Components(indexes=indexes), required=()), "/health/metrics")[0].text
    assert figures(text)["alwrity_txtai_queued"] == 1.0
    assert "user_secret_name" not in text
    gate.set()
    receipt.wait(30)
    (part,) = examine(Components(indexes=indexes))
    assert (part.standing, part.figures["queued"]) == (Standing.READY, 0.0)
    assert indexes.close_sync(30)


def test_a_model_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """No model is loaded: that keeps no request away. Loaded, it is named; a broken one is failed, with the reason."""
    settings = {"SIF_AGENT_RUNTIME": "transformers", "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    good = write_checkpoint(tmp_path / "tiny", "tiny")
    with ModelRegistry.from_environment({**settings, "SIF_AGENT_MODEL": str(good)}) as registry:
        (part,) = examine(Components(registry=registry))
        assert part.standing is Standing.WAITING
        registry.load_sync()
        (part,) = examine(Components(registry=registry))
        assert (part.standing, part.figures["steps_ready"]) == (Standing.READY, 1.0)
    with ModelRegistry.from_environment({**settings, "SIF_AGENT_MODEL": "acme/missing"}) as registry:
        with pytest.raises(Exception, match="acme/missing"):
            registry.load_sync()
        (part,) = examine(Components(registry=registry))
        assert part.standing is Standing.FAILED
        assert "acme/missing" in part.told


def test_every_figure_has_a_meaning(instance: Instance) -> None:
    """Prometheus' own parser reads the exposition; each family has a help text and each part exactly one standing."""
    (answer,) = asked(app(Components(verifier=pinned(instance))), "/health/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    (standing,) = [family for family in families if family.name == "alwrity_part_standing"]
    assert sum(sample.value for sample in standing.samples) == 1.0
    assert figures(answer.text)["alwrity_auth_keys"] == 1.0


def test_a_component_that_breaks_is_told_beside_the_others(instance: Instance) -> None:
    """A health check answers whatever happens; what was raised is scrubbed."""

    class Broken:
        def status(self) -> None:
            raise RuntimeError(f"no status with {SECRET}")

    components = Components(verifier=pinned(instance), registry=Broken())  # type: ignore[arg-type] # broken on purpose
    (answer,) = asked(app(components), "/health/ready")
    assert answer.status_code == 200
    assert answer.json()["parts"]["models"]["standing"] == "failed"
    assert SECRET not in answer.text


def test_a_component_that_hangs_does_not_hang_the_answer(instance: Instance) -> None:
    """A look that does not come back is answered with 503 in time, the loop stays free, and nothing piles up."""
    gate, looks = threading.Event(), []

    class Hanging:
        def status(self) -> None:
            looks.append(1)
            gate.wait(30)

    components = Components(verifier=pinned(instance), registry=Hanging())  # type: ignore[arg-type] # hangs on purpose
    application = app(components, patience=0.05)

    async def scenario() -> tuple[httpx.Response, ...]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
            try:
                return (
                    await client.get("/health/ready"),
                    await client.get("/health/live"),
                    await client.get("/health/ready"),
                )
            finally:
                gate.set()

    first, live, again = asyncio.run(scenario())
    assert (first.status_code, live.status_code, again.status_code) == (503, 200, 503)
    assert len(looks) == 1


def test_a_required_part_must_be_given(instance: Instance) -> None:
    """Who requires what the backend does not have would wait for it for ever."""
    with pytest.raises(ConfigurationError, match="models"):
        health_router(Components(verifier=pinned(instance)), required=("auth", "models"))
