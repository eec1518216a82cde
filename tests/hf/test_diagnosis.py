"""The steps of a diagnosis: what a later one shows of an earlier one, and what is left when it is cut short."""

from __future__ import annotations

import asyncio
import builtins
import threading
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.hf.answer import Answer
from alwrity_checks.hf.catalogue import Catalogue, Offer
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.diagnosis import Order, diagnose
from alwrity_checks.hf.endpoint import Endpoint
from alwrity_checks.hf.endpoint_steps import base_url_step, endpoint_step
from alwrity_checks.hf.loopback_router import Account, Behaviour, LoopbackRouter
from alwrity_checks.hf.named_models import NamedModel
from alwrity_checks.hf.router import Router
from alwrity_checks.hf.steps import TITLES, Diagnosis
from alwrity_checks.loopback_http import Reply
from alwrity_checks.model import Verdict
from alwrity_checks.settings import Settings
from tests.support.answering import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.hf.loopback_router import Call
    from alwrity_checks.model import Event, Observer

GROQ = "openai/gpt-oss-120b:groq"


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


class Events:
    """Notes what a display would hear."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def notify(self, event: Event) -> None:
        """Take note of `event`."""
        self.heard.append(event)


def settings(server: LoopbackRouter, **more: str) -> Settings:
    """Return a backend's settings for the router."""
    return Settings.load({"HF_TOKEN": server.token, "HF_ROUTER_BASE_URL": server.base_url} | more)


def diagnosed(
    server: LoopbackRouter,
    *models: str,
    observer: Observer | None = None,
    **more: Any,  # noqa: ANN401 - fields of Order
) -> Diagnosis:
    """Return the finished diagnosis of these models."""
    diagnosis = Diagnosis()
    order = Order(tuple(NamedModel(one, "here") for one in models), **more)
    asyncio.run(diagnose(settings(server), order, diagnosis, observer or Events()))
    assert [one.name for one in diagnosis.results] == [f"probe.{step}" for step in TITLES]
    return diagnosis


def reasons(diagnosis: Diagnosis, step: str) -> list[str]:
    """Return the reason codes of a step's findings."""
    (result,) = (one for one in diagnosis.results if one.name == f"probe.{step}")
    return [one.evidence[0].value for one in result.findings]


def test_credits_that_cannot_be_read_are_not_called_left(server: LoopbackRouter) -> None:
    """A token that may not read the billing passes for what is known of it, and the rest is said to be unknown."""
    server.accounts[server.token] = Account(reads_billing=False)
    (account,) = (one for one in diagnosed(server, GROQ, dry_run=True).results if one.name == "probe.account")
    assert account.verdict is Verdict.PASS
    assert "credits not known" in account.reason
    assert "credit" not in account.title


def test_everything_in_order(server: LoopbackRouter) -> None:
    """A healthy way has seven steps that pass, tables of what was measured, and a chain."""
    diagnosis = diagnosed(server, GROQ, "openai/gpt-oss-120b:cerebras")
    assert {one.verdict for one in diagnosis.results} == {Verdict.PASS}
    assert len(diagnosis.tables) == 3
    assert diagnosis.chain is not None
    assert diagnosis.chain.base_url == server.base_url


def test_an_answer_counts_for_more_than_the_catalogue(server: LoopbackRouter) -> None:
    """A provider that is flagged as failing and answers is at no fault: flags are up to six hours old."""
    server.serve("Qwen/Qwen3-32B", "groq", status="error")

    class Recovery(Events):
        def notify(self, event: Event) -> None:
            if event.message == "whose the token is":  # the catalogue has been read by then
                server.serve("Qwen/Qwen3-32B", "groq")

    flagged = diagnosed(server, "Qwen/Qwen3-32B:groq", dry_run=True)
    assert reasons(flagged, "models") == [Cause.DEPLOYMENT_MISSING]
    recovered = diagnosed(server, "Qwen/Qwen3-32B:groq", observer=Recovery())
    assert {one.verdict for one in recovered.results} == {Verdict.PASS}
    (step,) = (one for one in recovered.results if one.name == "probe.models")
    assert step.reason == "0 of 1; the others answer all the same"


def test_the_same_fault_is_found_once(server: LoopbackRouter) -> None:
    """What the router itself says of a model replaces what the catalogue made likely, and the step still fails."""
    diagnosis = diagnosed(server, "acme/none:groq", GROQ)
    assert diagnosis.verdict("models") is Verdict.FAIL
    assert reasons(diagnosis, "models") == []
    assert reasons(diagnosis, "deployments") == [Cause.MODEL_NOT_FOUND]


def test_a_name_that_names_nothing_is_a_finding_and_the_others_are_asked(server: LoopbackRouter) -> None:
    """A slip of the pen in a setting's list of models does not keep the rest from being probed."""
    diagnosis = diagnosed(server, "openai/gpt oss", GROQ)
    assert reasons(diagnosis, "models") == [Cause.MODEL_NOT_FOUND]
    assert diagnosis.verdict("deployments") is Verdict.PASS
    assert {call.model for call in server.calls} == {"openai/gpt-oss-120b"}


def test_a_server_that_lists_nothing_and_answers_is_a_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a list of models nor a Hub is needed to chat: what could not be had is no fault after a completion."""
    monkeypatch.setattr(LoopbackRouter, "_get", lambda *_: None)
    with LoopbackRouter() as server:
        diagnosis = diagnosed(server, GROQ)
    verdicts = {one.name: one.verdict for one in diagnosis.results}
    assert verdicts.pop("probe.models") is Verdict.SKIP
    assert set(verdicts.values()) == {Verdict.PASS}


def test_a_server_that_lists_nothing_and_answers_nothing_is_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing route for completions, too, convicts the base URL; no model is blamed."""
    monkeypatch.setattr(LoopbackRouter, "_get", lambda *_: None)
    with LoopbackRouter() as server:
        server.behave(Behaviour.ROUTE_MISSING)
        diagnosis = diagnosed(server, GROQ, "openai/gpt-oss-120b:cerebras")
    assert diagnosis.verdict("deployments") is Verdict.FAIL
    assert reasons(diagnosis, "deployments") == [Cause.ROUTE_MISSING]
    assert diagnosis.chain is None


def test_nothing_to_ask_for_is_not_healthy(server: LoopbackRouter) -> None:
    """If no setting names a model that could be one, nothing was shown to work."""
    diagnosis = diagnosed(server, "openai/gpt oss")
    assert diagnosis.verdict("deployments") is Verdict.UNKNOWN
    assert not server.calls


def test_without_the_extra_everything_else_is_done(server: LoopbackRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base installation says which extra is missing, after it has looked at all that needs none."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as __import__ is
        if name.partition(".")[0] in {"openai", "jsonschema"}:
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    diagnosis = diagnosed(server, GROQ)
    (step,) = (one for one in diagnosis.results if one.name == "probe.deployments")
    assert step.verdict is Verdict.SKIP
    assert "[hf]" in step.reason + step.remedy
    assert diagnosis.verdict("models") is Verdict.PASS


def test_what_was_found_survives_an_interruption(server: LoopbackRouter) -> None:
    """Cancelled while a provider is silent, the steps before are there, and the display is told of the end."""
    asked = threading.Event()

    def silent(_call: Call) -> Behaviour:
        asked.set()
        return Behaviour.SILENT

    server.behave(silent)
    diagnosis, events = Diagnosis(), Events()
    order = Order((NamedModel(GROQ, "here"),))

    async def cut_short() -> None:
        work = asyncio.ensure_future(diagnose(settings(server), order, diagnosis, events))
        await asyncio.to_thread(asked.wait, 10)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cut_short())
    assert [one.name for one in diagnosis.results] == [
        "probe.base-url",
        "probe.endpoint",
        "probe.token",
        "probe.account",
        "probe.models",
    ]
    assert (events.heard[0].kind, events.heard[-1].kind) == ("started", "finished")


@pytest.mark.parametrize(("listed", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL)])
def test_a_path_that_only_looks_wrong_is_left_to_its_answer(*, listed: bool, verdict: Verdict) -> None:
    """On another host than Hugging Face's `/hf/v1` may be a route: if models are listed there, it is one."""
    from alwrity_checks.hf.classify import classify

    router = Router("http://127.0.0.1:1/hf/v1")
    answer = Answer(200 if listed else 404, b"" if listed else b"Not Found")
    catalogue = Catalogue({"a/b": (Offer("groq", status="live"),)}, names_providers=True) if listed else None
    endpoint = Endpoint(router.base_url, answer, catalogue, None if listed else classify(answer), None, 1)
    diagnosis = Diagnosis()
    base_url_step(diagnosis, Settings.load({"HF_ROUTER_BASE_URL": router.base_url}), router, endpoint)
    endpoint_step(diagnosis, endpoint)
    assert [one.verdict for one in diagnosis.results] == [verdict, verdict]


def test_a_suffix_that_a_server_of_its_own_models_may_not_know() -> None:
    """It fails in its own way, and the finding says what its list has instead, as a command."""
    listed = Reply(200, b'{"data": [{"id": "openai/gpt-oss-120b"}]}')
    with answering({"/v1/models": listed, "/v1/chat/completions": Reply(500, b"Internal Server Error")}) as (origin, _):
        diagnosis = Diagnosis()
        order = Order((NamedModel(GROQ, "here"),))
        served = Settings.load({"HF_TOKEN": "any", "HF_ROUTER_BASE_URL": f"{origin}/v1"})
        asyncio.run(diagnose(served, order, diagnosis, Events()))
    (found,) = next(one for one in diagnosis.results if one.name == "probe.deployments").findings
    assert "this server serves its models itself, and may not know :groq" in found.message
    assert "alwrity-doctor hf probe openai/gpt-oss-120b" in found.commands
