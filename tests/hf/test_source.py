"""Issue 2 in a source: each pattern is found by its meaning, at its line, and its cured twin is left alone."""

from __future__ import annotations

import pytest

from alwrity_checks.hf import source
from tests.support.sources import across, traced

PROVIDER = """
import asyncio
import json
import time
from loguru import logger
from openai import APIStatusError, NotFoundError, OpenAI
from tenacity import retry, retry_if_exception, stop_after_attempt

{retry}
def structured(prompt, schema, model="a/b", fallbacks=()):
    client = OpenAI(base_url={base}, api_key=KEY)
    for candidate in [model, *fallbacks]:
        try:
            {before}
            answer = client.chat.completions.create(model=candidate, messages=[prompt, schema])
            break
        {handler}
            {reaction}
    try:
        return json.loads(answer.text)
    except ValueError as error:
        {bad}
"""
GOOD = {
    "retry": "@retry(retry=retry_if_exception(transient), stop=stop_after_attempt(3), reraise=True)",
    "base": '"https://router.huggingface.co/v1"',
    "before": 'logger.debug("asking {}", candidate)',
    "handler": "except APIStatusError as error:",
    "reaction": "logger.warning(error)",
    "bad": "raise RuntimeError from error",
}


def provider(**changed: str) -> str:
    """Return a provider module in the shape of the real one, healthy except where it is changed."""
    return "def transient(error):\n    return bool(error)\nKEY = ''\n" + PROVIDER.format(**(GOOD | changed))


def codes(text: str) -> list[str]:
    """Return the codes of what is found, sorted."""
    return sorted(one.code for one in traced(source, text))


def test_a_healthy_provider_is_left_alone() -> None:
    """The right address, a chain that goes on for every refusal, a retry with a condition: nothing to say."""
    assert codes(provider()) == []


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ('f"https://router.huggingface.co/hf/v1"', ["HF001"]),
        ('"https://router.huggingface.co" + "/hf/v1"', ["HF001"]),
        ('f"{HOST}/hf/v1"', ["HF001"]),
        ('os.getenv("HF_BASE_URL", "https://router.huggingface.co/hf/v1")', ["HF001"]),
        ('"https://router.huggingface.co/v1/chat/completions"', ["HF002"]),
        ('"https://router.huggingface.co"', ["HF002"]),
        ('"https://api-inference.huggingface.co/v1"', ["HF005"]),
        ('"http://router.huggingface.co/v1"', ["HF008"]),
        ('f"{HOST}/v1"', []),
        ('f"https://router.huggingface.co/{provider}/v1"', []),
        ('"https://router.huggingface.co/groq/openai/v1"', []),
        ('"https://example.org/hf/v1"', []),
    ],
)
def test_each_address_is_judged_by_what_it_says(base: str, expected: list[str]) -> None:
    """Literals, f-strings, sums and defaults are put together first; what is filled in at run time accuses nobody."""
    text = 'import os\nHOST = "https://router.huggingface.co"\nprovider = ""\n' + provider(base=base)
    assert codes(text) == expected


def test_an_address_of_one_request_may_hold_the_operation() -> None:
    """What is posted to directly is no base URL; prose and documentation are no addresses."""
    text = '''
    """See https://router.huggingface.co/hf/v1 for what used to be here."""
    import requests
    HELP = "see https://router.huggingface.co/hf/v1, which is wrong"
    def ask(body):
        return requests.post("https://router.huggingface.co/v1/chat/completions", json=body, timeout=9)
    '''
    assert codes(text) == []


@pytest.mark.parametrize(
    ("handler", "reaction", "expected"),
    [
        ("except NotFoundError:", "continue", ["HF091"]),
        ("except NotFoundError as missing:", "logger.warning(missing)", ["HF091"]),
        ("except (NotFoundError,):", "continue", ["HF091"]),
        ("except NotFoundError:", "raise", []),
        ("except (NotFoundError, APIStatusError):", "continue", []),
        ("except Exception:", "continue", []),
        ("except NotFoundError:\n            continue\n        except Exception:", "raise", ["HF091"]),
        ("except NotFoundError:\n            continue\n        except APIStatusError:", "continue", []),
    ],
)
def test_a_chain_that_waits_for_a_404(handler: str, reaction: str, expected: list[str]) -> None:
    """Only what makes the loop go on counts; a handler that leaves it does not."""
    assert codes(provider(handler=handler, reaction=reaction)) == expected


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [
        ("@retry(stop=stop_after_attempt(6))", ["HF093"]),
        ("@retry", ["HF093"]),
        ("@retry(retry=retry_if_exception(transient), stop=stop_after_attempt(6))", []),
        ("@cache", []),
    ],
)
def test_a_retry_without_a_condition(decorator: str, expected: list[str]) -> None:
    """It repeats refused tokens and bugs alike; one with a condition is trusted."""
    assert codes("from functools import cache\n" + provider(retry=decorator)) == expected


def test_a_renamed_retry_is_found() -> None:
    """The import tells what a decorator is, not its name."""
    text = "import tenacity as again\n" + provider(retry="@again.retry(stop=stop_after_attempt(2))")
    assert codes(text) == ["HF093"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"before": "time.sleep(1)"}, ["HF103"]),
        ({"reaction": "time.sleep(1)"}, []),
        ({"bad": 'return {"error": "no JSON", "raw_response": str(error)}'}, ["HF094"]),
        ({"bad": 'return {"text": str(error)}'}, []),
        ({"before": 'logger.warn("x")'}, ["HF104"]),
        ({"before": "models = fallback_models"}, ["HF101"]),
        ({"before": "models: fallback_models = fallbacks"}, []),
    ],
)
def test_what_else_a_provider_does(changed: dict[str, str], expected: list[str]) -> None:
    """A pause before a request, an error as data, a method that does not exist, a name that nothing binds."""
    assert codes(provider(**changed)) == expected


def test_an_ignored_parameter() -> None:
    """A parameter that is never read is found in a function, and not in a method, a stub or behind an underscore."""
    text = """
    URL = "https://router.huggingface.co/v1"
    def ask(prompt, fallback_models=None):
        return URL, prompt
    def stub(prompt):
        raise NotImplementedError
    def hook(_event):
        return URL
    class Client:
        def ask(self, prompt):
            return URL
    """
    [found] = traced(source, text)
    assert (found.code, found.line) == ("HF102", 3)
    assert "fallback_models" in found.message


def test_another_providers_module_is_left_alone() -> None:
    """What is a fault for the router may be right elsewhere: a 404 for a missing model is the rule at other vendors."""
    text = provider(base='"https://llm.example.org/v1"', handler="except NotFoundError:", reaction="continue")
    assert codes(text + "# HF_TOKEN\n") == []


ROUTE = """
import asyncio
from services.llm_providers import main_text_generation as module
from services.llm_providers.main_text_generation import llm_text_gen
from services.llm_providers.main_text_generation import llm_text_gen as generate
async def route(prompt, loop):
    {body}
def worker(prompt):
    return llm_text_gen(prompt)
"""


def on_loop(body: str, definition: str = "") -> list[str]:
    """Return what is found of a route with that body, beside a module with that definition."""
    return [
        one.code for one in across(source, {"api.py": ROUTE.format(body=body), "main_text_generation.py": definition})
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return llm_text_gen(prompt)", 1),
        ("return generate(prompt)", 1),
        ("return module.llm_text_gen(prompt)", 1),
        ("return await asyncio.to_thread(llm_text_gen, prompt)", 0),
        ("return await loop.run_in_executor(None, lambda: llm_text_gen(prompt))", 0),
        ("return await llm_text_gen(prompt)", 0),
        ("def inner():\n        return llm_text_gen(prompt)\n    return await asyncio.to_thread(inner)", 0),
    ],
)
def test_text_generated_on_the_event_loop(body: str, expected: int) -> None:
    """A direct call in an async function, under whatever name; handed to a thread, or awaited, it is in order."""
    assert on_loop(body) == ["HF100"] * expected


def test_what_the_function_is_decides() -> None:
    """An asynchronous one blocks nobody, gathered or awaited; a synchronous one blocks even where it is awaited."""
    gathered, awaited = "return await asyncio.gather(llm_text_gen(prompt))", "return await llm_text_gen(prompt)"
    asynchronous, synchronous = ("async def llm_text_gen(p): ...", "def llm_text_gen(p): ...")
    assert on_loop(gathered, asynchronous) == on_loop(awaited, asynchronous) == []
    assert on_loop(gathered, synchronous) == on_loop(awaited, synchronous) == ["HF100"]
