"""What the callers of `services.llm_providers.huggingface_provider` rely on, and the driver that tries it.

The provider asks a router on this machine, on the path that is right, whatever base URL is in its code: that one is
wrong is the fault, and no promise. Pauses are counted and not waited for, as in the experiment of issue 2.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.adoption.contract.contract import Broken, Contract, Untried, expect
from alwrity_checks.adoption.contract.inside import attend

if TYPE_CHECKING:
    from alwrity_checks.hf.loopback_router import LoopbackRouter
    from alwrity_checks.hf.scenarios.driven import DrivenTarget
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["CONTRACTS", "drive"]

_SOURCE: Final = "ALwrity ce9bf293, "
_STRUCTURED: Final = "huggingface_structured_json_response"
_TEXT: Final = "huggingface_text_response"
_MODEL: Final = "openai/gpt-oss-120b:groq"
_SYSTEM: Final = "You are a contract test."
_PROMPT: Final = "Name a title."
_AS_CALLED: Final[Mapping[str, Any]] = {
    "prompt": _PROMPT,
    "model": _MODEL,
    "temperature": 0.25,
    "max_tokens": 700,
    "system_prompt": _SYSTEM,
}
"""As `llm_text_gen` calls both; the one with a schema besides, the other with `top_p`."""
_TOP_P: Final = 0.75
_THREADS: Final = 8
_TOKEN: Final = "HF_TOKEN"  # noqa: S105 - a setting's name, not a password
_GEMINI: Final = {
    "type": "OBJECT",
    "properties": {"title": {"type": "STRING"}, "score": {"type": "INTEGER"}},
    "required": ["title", "score"],
}
_EXAMPLE: Final = {"positioning": {"value_prop": "string"}, "themes": ["string"]}


@dataclass(frozen=True, slots=True)
class _Bench:
    router: LoopbackRouter
    target: DrivenTarget

    def named(self, name: str) -> Any:  # noqa: ANN401 - anybody's object
        """Return what the module calls so. Raises Untried where a revision has no such name."""
        from alwrity_checks.hf.scenarios.driven import MODULE

        found = getattr(sys.modules[MODULE], name, None)
        if found is None:
            raise Untried(f"this revision has no {name}")
        return found

    def structured(self, **changes: Any) -> Any:  # noqa: ANN401 - what the module returns
        """Return what the structured function returns, called as `llm_text_gen` calls it, with changes."""
        from alwrity_checks.hf.scenarios.faults import SCHEMA

        return _returned(self.named(_STRUCTURED), {**_AS_CALLED, "schema": SCHEMA, **changes})

    def text(self, **changes: Any) -> Any:  # noqa: ANN401 - the same
        """Return what the text function returns, called as `llm_text_gen` calls it, with changes."""
        return _returned(self.named(_TEXT), {**_AS_CALLED, "top_p": _TOP_P, **changes})

    def last_request(self) -> Mapping[str, Any]:
        """Return what was asked of the router last."""
        expect(self.router.calls, "nothing was asked of the router")
        return self.router.calls[-1].payload


def _returned(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the module returns
    result = function(**given)
    if inspect.isawaitable(result):
        result.close() if inspect.iscoroutine(result) else None
        raise Broken(f"{function.__name__} returns something to await: its callers do not")
    return result


def drive(inside: Inside, act: str, *words: str) -> None:
    """Meet the module, or try contracts on it."""
    from alwrity_checks.hf.driver import prepare, router_for

    target = prepare(inside)
    target.lead()

    @contextmanager
    def bench() -> Iterator[_Bench]:
        target.restart()
        with router_for(target) as router:
            target.lead_to(router)
            yield _Bench(router, target)

    attend(inside, act, words, CONTRACTS, bench, "openai", "tenacity", "loguru")


def _structured(bench: _Bench) -> str:
    return _a_value(bench.structured())


def _a_value(value: object) -> str:
    from alwrity_checks.hf.scenarios.faults import SCHEMA, is_value

    expect(is_value(value, SCHEMA), f"it is no value of the schema but {_kind(value)}")
    return "the object that the schema describes"


def _text(bench: _Bench) -> str:
    value = bench.text()
    expect(isinstance(value, str) and value.strip(), f"it is no text but {_kind(value)}")
    return "a text"


def _arguments(bench: _Bench) -> str:
    bench.text()
    asked = bench.last_request()
    given = {"temperature": 0.25, "max_tokens": 700, "top_p": _TOP_P}
    expect({name: asked.get(name) for name in given} == given, f"of {given} the request has {_of(asked, given)}")
    said = [(one["role"], one["content"]) for one in asked["messages"]]
    expect(said == [("system", _SYSTEM), ("user", _PROMPT)], f"the messages are those of {[role for role, _ in said]}")
    bench.structured()
    asked = bench.last_request()
    expect(asked.get("temperature") == given["temperature"], "the temperature does not reach the structured request")
    told = " ".join(str(one["content"]) for one in asked["messages"])
    expect(_SYSTEM in told and _PROMPT in told, "prompt or system prompt does not reach the structured request")
    return "temperature, top_p, max_tokens, prompt and system prompt reach the router"


def _of(asked: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    return str({name: asked.get(name) for name in names})


def _no_limit(bench: _Bench) -> str:
    bench.text(max_tokens=None)
    _a_value(bench.structured(max_tokens=None))
    return "without a limit both answer"


def _fenced(bench: _Bench) -> str:
    from alwrity_checks.hf.loopback_router import Behaviour

    bench.router.behave(Behaviour.FENCED)
    _a_value(bench.structured())
    text = bench.text()
    expect("```" not in text, "a code fence is left in the text")
    return "what is fenced comes without its fence"


def _defaults(bench: _Bench) -> str:
    from alwrity_checks.hf.scenarios.faults import SCHEMA

    _a_value(_returned(bench.named(_STRUCTURED), {"prompt": _PROMPT, "schema": SCHEMA}))
    value = _returned(bench.named(_TEXT), {"prompt": _PROMPT})
    expect(isinstance(value, str), f"the text is {_kind(value)}")
    return "prompt, and schema, are enough"


def _failure_raises(bench: _Bench) -> str:
    bench.router.accounts.clear()
    told = []
    for name, call in ((_STRUCTURED, bench.structured), (_TEXT, bench.text)):
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - what its callers catch
            expect(str(error), f"{name} raises {type(error).__name__} without a word")
            told.append(type(error).__name__)
        else:
            raise Broken(f"{name} returns {_kind(value)} although the token is refused")
    return f"it raises {' and '.join(dict.fromkeys(told))}"


async def _on_event_loop(bench: _Bench) -> str:
    # As the callers do: the loop stands still meanwhile.
    _a_value(bench.structured())
    expect(isinstance(bench.text(), str), "the text is none")
    return "it answers on a running loop"


async def _in_threads(bench: _Bench) -> str:
    with ThreadPoolExecutor(_THREADS) as threads:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(threads, bench.structured) for _ in range(_THREADS)]
        for value in await asyncio.gather(*calls):
            _a_value(value)
    return f"{_THREADS} threads at once get their values"


def _late_token(bench: _Bench) -> str:
    token = os.environ.pop(_TOKEN)
    try:
        bench.structured()
    except Exception:  # noqa: BLE001 - as there is no token, whatever it raises
        os.environ[_TOKEN] = token
    else:
        raise Broken("it answers without a token")
    return _a_value(bench.structured())


def _schemas(bench: _Bench) -> str:
    value = bench.structured(schema=_GEMINI)
    # Of the two names alone: the router of the experiment does not know what a STRING is.
    expect(isinstance(value, dict) and value.keys() >= {"title", "score"}, f"Gemini's spelling gives {_kind(value)}")
    value = bench.structured(schema=_EXAMPLE)
    expect(isinstance(value, dict), f"an example in the schema's place gives {_kind(value)}")
    return "Gemini's spelling and an example are understood"


def _models(bench: _Bench) -> str:
    known = bench.named("get_available_models")()
    expect(isinstance(known, list) and known and all(isinstance(one, str) for one in known), "it is no list of names")
    validate = bench.named("validate_model")
    expect(all(validate(one) is True for one in known), "a model of the list is called invalid")
    expect(validate("nobody/nothing") is False, "a model of nobody's is called valid")
    return "a list of names, and whether a name is in it"


def _key(bench: _Bench) -> str:
    key_of = bench.named("get_huggingface_api_key")
    expect(key_of() == os.environ[_TOKEN], "it is not HF_TOKEN")
    for value in ("", "sk-proj-" + "x" * 40):
        os.environ[_TOKEN] = value
        for name in ("HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_API_KEY", "HUGGINGFACE_TOKEN"):
            os.environ.pop(name, None)
        try:
            key_of()
        except ValueError:
            continue
        raise Broken(f"{'a key of another provider' if value else 'an empty key'} raises nothing")
    return "HF_TOKEN, or a ValueError"


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return f"an object of {', '.join(map(str, value)) or 'nothing'}"[:120]
    return "None" if value is None else f"an object of type {type(value).__name__}"


CONTRACTS: Final[tuple[Contract, ...]] = tuple(
    Contract(2, f"hf.{name}", title, tuple(f"{_SOURCE}{caller}" for caller in callers), attempt)
    for name, title, callers, attempt in (
        (
            "structured-value",
            "structured JSON is returned as the value that the schema describes",
            ("services/llm_providers/main_text_generation.py:360", "services/today_workflow_service.py:306"),
            _structured,
        ),
        (
            "text",
            "text is returned as a str",
            ("services/llm_providers/main_text_generation.py:369",),
            _text,
        ),
        (
            "arguments",
            "prompt, system prompt, temperature, top_p and max_tokens reach the model",
            (
                "services/llm_providers/main_text_generation.py:360",
                "services/llm_providers/main_text_generation.py:369",
            ),
            _arguments,
        ),
        (
            "no-limit",
            "max_tokens may be None",
            ("services/llm_providers/main_text_generation.py:48",),
            _no_limit,
        ),
        (
            "defaults",
            "prompt, and schema, are enough",
            ("services/llm_providers/huggingface_provider.py:26",),
            _defaults,
        ),
        (
            "fences",
            "JSON and text come without the code fence that a model puts around them",
            ("services/today_workflow_service.py:306", "services/llm_providers/huggingface_provider.py:280"),
            _fenced,
        ),
        (
            "failure-raises",
            "what fails raises an Exception, on which the next provider is asked",
            ("services/llm_providers/main_text_generation.py:439",),
            _failure_raises,
        ),
        (
            "on-event-loop",
            "both may be called on a running event loop",
            ("services/ai_prompt_optimizer.py:532", "api/agents_api.py:406"),
            _on_event_loop,
        ),
        (
            "in-threads",
            "both may be called from many threads at once",
            ("services/blog_writer/core/blog_writer_service.py:456", "services/campaign_creator/orchestrator.py:473"),
            _in_threads,
        ),
        (
            "late-token",
            "a token that is set while the backend runs counts from then on",
            ("services/onboarding/api_key_manager.py:571",),
            _late_token,
        ),
        (
            "loose-schemas",
            "a schema may be in Gemini's spelling, or be an example of the answer",
            ("services/ai_quality_analysis_service.py:46", "services/seo/deep_competitor_analysis_service.py:505"),
            _schemas,
        ),
        ("models", "get_available_models names models, validate_model knows them", (), _models),
        ("key", "get_huggingface_api_key gives HF_TOKEN, or raises ValueError", (), _key),
    )
)
