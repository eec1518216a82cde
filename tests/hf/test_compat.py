"""ALwrity's own names over the generator, asked over real HTTP: values, texts, and errors that name their cause."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("jsonschema")

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf import compat
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.generation import GenerationFailed
from alwrity_checks.hf.loopback_router import TOKEN, Account, Behaviour, LoopbackRouter
from alwrity_checks.hf.loose_schema import asked_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["title", "score"],
}
GROQ = "openai/gpt-oss-120b:groq"


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackRouter]:
    """Run a router that the settings lead to, in a process that has made nothing yet."""
    for name in ("HF_FALLBACK_MODELS", "HF_CHAIN_FILE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with LoopbackRouter() as found:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_ROUTER_BASE_URL", found.base_url)
        compat._made.renew()
        compat._made.warned = False
        yield found
        compat._made.loop.close()


def structured(**changes: Any) -> Any:  # noqa: ANN401 - what the schema describes
    """Ask as ALwrity's caller does."""
    given = {"prompt": "Name a title.", "schema": SCHEMA, "model": GROQ, "temperature": 0.2, "max_tokens": 500}
    return compat.huggingface_structured_json_response(**{**given, **changes})


def asked(router: LoopbackRouter) -> list[str]:
    """Return the models that were asked, in order."""
    return [request.payload["model"] for request in router.requests if request.payload]


def test_value_and_text_come_from_the_model_that_was_named(router: LoopbackRouter) -> None:
    """Each takes one request, with what the caller said; both share one generator and its connections."""
    assert structured().keys() == {"title", "score"}
    text = compat.huggingface_text_response("Hello", model=GROQ, temperature=0.5, top_p=0.75, system_prompt="Be brief.")
    assert text
    assert asked(router) == [GROQ, GROQ]
    said = router.calls[-1].payload
    assert {name: said[name] for name in ("temperature", "top_p", "max_tokens")} == {
        "temperature": 0.5,
        "top_p": 0.75,
        "max_tokens": 2048,
    }
    assert [one["role"] for one in said["messages"]] == ["system", "user"]
    assert compat.generator_of(GROQ) is compat.generator_of(GROQ)


def test_what_is_none_is_left_to_the_server(router: LoopbackRouter) -> None:
    """Limit and sampling are sent where they are given, and not as null."""
    compat.huggingface_text_response("Hello", temperature=None, max_tokens=None, top_p=None)
    assert not {"temperature", "top_p", "max_tokens"} & router.calls[-1].payload.keys()
    assert structured(max_tokens=None, temperature=None)


def test_next_model_is_asked(router: LoopbackRouter) -> None:
    """A model that nobody has is followed by itself at any provider, then by the fallbacks."""
    compat.huggingface_text_response("Hello", model="acme/none:groq")
    assert asked(router) == ["acme/none:groq", "acme/none", "openai/gpt-oss-120b:cerebras"]
    router.requests.clear()
    assert structured(model="acme/nothing:groq", allow_model_variant_fallback=False, fallback_models=[GROQ])
    assert asked(router) == ["acme/nothing:groq", GROQ]


def test_fallbacks_are_those_of_the_settings(
    router: LoopbackRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A list in the environment comes before ours, a measured chain before both, and a caller's before all."""
    monkeypatch.setenv("HF_FALLBACK_MODELS", f" {GROQ} , acme/second ")
    assert compat.get_available_models()[:2] == [GROQ, "acme/second"]
    assert compat.validate_model("acme/second")
    assert not compat.validate_model("acme/third")
    path = tmp_path / "chain.json"
    Chain.unmeasured("acme/measured:groq", "acme/first").save(path)
    monkeypatch.setenv("HF_CHAIN_FILE", str(path))
    chain = [str(link.deployment) for link in compat.generator_of("acme/first:x").chain.links]
    assert chain == ["acme/first:x", "acme/first", "acme/measured:groq"]
    named = [str(link.deployment) for link in compat.generator_of("acme/first", ["acme/last"]).chain.links]
    assert named == ["acme/first", "acme/last"]
    monkeypatch.setenv("HF_FALLBACK_MODELS", "two words")
    with pytest.raises(ConfigurationError, match="HF_FALLBACK_MODELS: 'two words' names no deployment"):
        compat.get_available_models()
    monkeypatch.setenv("HF_CHAIN_FILE", str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match=r"none\.json cannot be read"):
        structured()
    assert not router.requests


@pytest.mark.parametrize(
    ("account", "cause"),
    [
        (None, Cause.TOKEN_INVALID),
        (Account(credits_gone=True), Cause.CREDITS_GONE),
        (Account(global_permissions=()), Cause.PERMISSION_MISSING),
    ],
    ids=["token", "credits", "permission"],
)
def test_what_no_repetition_cures_is_asked_once(router: LoopbackRouter, account: Account | None, cause: Cause) -> None:
    """The error names the cause, for text and JSON alike."""
    if account is None:
        router.accounts.clear()
    else:
        router.accounts[TOKEN] = account
    for call in (structured, lambda: compat.huggingface_text_response("Hello")):
        router.requests.clear()
        with pytest.raises(GenerationFailed) as caught:
            call()
        assert caught.value.classification.cause is cause
        assert len(router.requests) == 1


def test_text_is_without_fence_and_reasoning(router: LoopbackRouter) -> None:
    """What a model puts around its text is no part of it; what was cut at the limit is a text all the same."""
    router.behave(Behaviour.FENCED)
    assert "```" not in compat.huggingface_text_response("Hello")
    router.behave(Behaviour.THINKS)
    assert "think" not in compat.huggingface_text_response("Hello")
    router.behave(Behaviour.TRUNCATED)
    assert compat.huggingface_text_response("Hello")


def test_empty_text_is_an_error(router: LoopbackRouter) -> None:
    """Tokens that all went into reasoning are allowed for once more, and then nothing is not handed out as a text."""
    router.behave(Behaviour.EMPTY)
    with pytest.raises(GenerationFailed) as caught:
        compat.huggingface_text_response("Hello", max_tokens=100)
    assert caught.value.classification.cause is Cause.TRUNCATED
    assert {one.payload["max_tokens"] for one in router.requests if one.payload} == {100, 400}


@pytest.mark.parametrize("value", [None, "", "sk-proj-0123456789abcdefghijklmnop"])
def test_token_that_cannot_be_sent_is_a_value_error(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ALwrity's own function raises, with what to do; nothing is asked, and no key is told."""
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.delenv("HF_ROUTER_BASE_URL", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("HF_TOKEN", value)
    for call in (compat.get_huggingface_api_key, structured, lambda: compat.huggingface_text_response("Hello")):
        with pytest.raises(ValueError, match="token") as caught:
            call()
        assert isinstance(caught.value, compat.UnusableToken)
        assert caught.value.remedy
        assert "sk-proj-0123" not in str(caught.value)


def test_token_of_the_call_and_of_the_moment(router: LoopbackRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is given wins; one that is set while the process runs counts from the next call on."""
    other = "hf_" + "anotherTokenOfSomebody0123456789"
    router.accounts[other] = Account()
    assert compat.get_huggingface_api_key() == TOKEN
    assert compat.get_huggingface_api_key(other) == other
    structured(api_key=other)
    assert router.requests[-1].headers["authorization"] == f"Bearer {other}"
    monkeypatch.setenv("HF_TOKEN", other)
    compat.huggingface_text_response("Hello")
    assert router.requests[-1].headers["authorization"] == f"Bearer {other}"


def test_many_threads_share_one_loop(router: LoopbackRouter) -> None:
    """Calls from many threads at once are all answered, on the connections of one loop."""
    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(lambda _: structured(), range(24)))
    assert all(value.keys() == {"title", "score"} for value in values)
    assert len(router.calls) == 24


def test_call_on_an_event_loop_is_answered_and_warned_of_once(
    router: LoopbackRouter, caplog: pytest.LogCaptureFixture
) -> None:
    """ALwrity's callers do so: the loop stands still, which is told once for a process."""

    async def handler() -> list[Any]:
        return [structured(), compat.huggingface_text_response("Hello")]

    with caplog.at_level(logging.WARNING, "alwrity_checks.hf"):
        assert all(asyncio.run(handler()))
    assert [record.message[:50] for record in caplog.records] == ["a huggingface_*_response blocks the event loop unt"]
    assert len(router.calls) == 2


def test_generators_are_not_kept_without_end(router: LoopbackRouter) -> None:
    """A caller that makes models up cannot fill the memory; the one that was used last is kept."""
    made = [compat.generator_of(f"acme/model-{number}") for number in range(60)]
    assert len(compat._made.generators) == compat._KEPT
    assert compat.generator_of("acme/model-59") is made[-1]
    assert compat.generator_of("acme/model-0") is not made[0]
    assert not router.requests


def test_schemas_are_taken_as_callers_write_them() -> None:
    """JSON Schema as it is, Gemini's spelling in that of JSON Schema, and anything else as an example."""
    assert asked_for(SCHEMA) == (SCHEMA, "")
    gemini = {"type": "OBJECT", "properties": {"type": {"type": "STRING", "enum": ["OBJECT"]}}, "required": ["type"]}
    spelled = {"type": "object", "properties": {"type": {"type": "string", "enum": ["OBJECT"]}}, "required": ["type"]}
    assert asked_for(gemini) == (spelled, "")
    assert asked_for({"anyOf": [{"type": "ARRAY", "items": {"type": "NUMBER"}}]})[0] == {
        "anyOf": [{"type": "array", "items": {"type": "number"}}]
    }
    for example in ({"title": "string"}, {"type": "a kind of text", "title": "x"}, ["a"], "free text"):
        schema, told = asked_for(example)
        assert schema == {"type": "object"}
        assert told.startswith("Answer with one JSON object of this form:\n")
    with pytest.raises(ConfigurationError, match="cannot be sent as JSON"):
        asked_for({"title": object()})


def test_example_in_place_of_a_schema_is_shown_to_the_model(router: LoopbackRouter) -> None:
    """The prompt has it, and the answer is a dictionary."""
    assert isinstance(structured(schema={"positioning": {"value_prop": "string"}}), dict)
    assert "value_prop" in router.calls[-1].payload["messages"][-1]["content"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_forked_worker_asks_for_itself(tmp_path: Path) -> None:
    """A server that loads the application before it forks: each worker has a loop and connections of its own."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import os
from alwrity_checks.hf import compat
from alwrity_checks.hf.loopback_router import TOKEN, LoopbackRouter

with LoopbackRouter() as router:
    os.environ |= {"HF_TOKEN": TOKEN, "HF_ROUTER_BASE_URL": router.base_url}
    assert compat.huggingface_text_response("Hello")
    child = os.fork()
    if child == 0:
        os._exit(0 if compat.huggingface_text_response("Hello") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert compat.huggingface_text_response("Hello")
    assert len(router.calls) == 3
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
