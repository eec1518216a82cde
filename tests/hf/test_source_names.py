"""What a checkout's code asks the router for is read from its sources, with file and line, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from alwrity_checks.errors import CannotCheck
from alwrity_checks.hf.hub import stray_destination
from alwrity_checks.hf.source_names import named_in
from alwrity_checks.model import Location, LocationKind
from alwrity_checks.redaction import Secret
from alwrity_checks.settings import Setting, Settings, Source
from tests.support.hf_backends import CONFLICT, DROP_IN, HEAD, OLD, write_checkout

WRONG = "https://router.huggingface.co/hf/v1"
CALLER = '''
"""Chooses among the providers; "acme/in-a-docstring:groq" is no choice."""
SHORT = {"mistral": "acme/short-name:groq"}


def llm_text_gen(prompt, provider):
    if provider == "wavespeed":
        model = "openai/gpt-oss-120b"
    else:
        model = "mistralai/Mistral-7B-Instruct-v0.3:groq"
    try:
        return huggingface_text_response(prompt=prompt, model=model)
    except Exception:
        return huggingface_text_response(prompt=prompt, model="acme/second:groq")
'''


def backend(root: Path, provider: str, caller: str = "") -> Path:
    """Return the backend's directory of a checkout with these sources."""
    found = write_checkout(root, provider)
    if caller:
        (found / "services/llm_providers/main_text_generation.py").write_text(caller)
    return found


def test_base_url_and_models_are_named_with_their_places(tmp_path: Path) -> None:
    """What the caller chooses comes in its order; another vendor's id, a table and a docstring are no choice."""
    directory = backend(tmp_path, OLD, CALLER)
    named = named_in(directory)
    ((url, where),) = named.base_urls
    assert url == WRONG
    provider = directory / "services/llm_providers/huggingface_provider.py"
    assert where.name == str(provider)
    assert WRONG in provider.read_text().splitlines()[(where.line or 0) - 1]
    assert [one.deployment for one in named.models] == [
        "mistralai/Mistral-7B-Instruct-v0.3:groq",
        "acme/second:groq",
    ]
    assert str(named.models[0].where).endswith("main_text_generation.py:10")


def test_defaults_are_those_of_structured_json_first(tmp_path: Path) -> None:
    """Where no caller chooses, the model is the one that the function itself asks for."""
    assert [one.deployment for one in named_in(backend(tmp_path, HEAD)).models] == [
        "openai/gpt-oss-120b:groq",
        "openai/gpt-oss-120b:cerebras",
    ]


def test_the_chain_of_the_code_follows(tmp_path: Path) -> None:
    """A list of models in capitals is what the provider falls back to."""
    chained = HEAD + '\n\nHF_FALLBACK_MODELS = ["acme/one:groq", "acme/two"]\nNOTES = ["not/a-model"]\n'
    assert [one.deployment for one in named_in(backend(tmp_path, chained)).models][2:] == ["acme/one:groq", "acme/two"]


def test_an_address_that_cannot_work_comes_first(tmp_path: Path) -> None:
    """Of two base URLs in one file the wrong one is what some function asks, as after half a merge."""
    half = HEAD.replace(WRONG, "https://router.huggingface.co/v1") + f'\n\nSECOND = OpenAI(base_url="{WRONG}")\n'
    assert [url for url, _ in named_in(backend(tmp_path, half)).base_urls] == [
        WRONG,
        "https://router.huggingface.co/v1",
    ]


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (CONFLICT, r"huggingface_provider\.py:3 does not parse: a merge conflict"),
        (DROP_IN, "names neither a base URL"),
        ("\0", "does not"),
    ],
    ids=["conflict", "nothing named", "no source"],
)
def test_what_the_code_does_not_tell_is_not_guessed(provider: str, said: str, tmp_path: Path) -> None:
    """A file that does not parse, or names nothing, is an answer of its own, and not the default."""
    with pytest.raises(CannotCheck, match=said):
        named_in(backend(tmp_path, provider))


def test_checkout_without_the_provider_is_told(tmp_path: Path) -> None:
    """A revision in which the module is elsewhere is not probed as if it were there."""
    directory = backend(tmp_path, OLD)
    (directory / "services/llm_providers/huggingface_provider.py").unlink()
    with pytest.raises(CannotCheck, match=r"has no services/llm_providers/huggingface_provider\.py"):
        named_in(directory)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://router.huggingface.co/hf/v1", True),
        ("https://router.huggingface.co:x@evil.example/v1", False),
        ("http://router.huggingface.co/v1", False),
        ("https://router.huggingface.co:8443/v1", False),
    ],
)
def test_a_checkout_does_not_send_the_token_elsewhere(url: str, *, sent: bool) -> None:
    """Whoever writes a checkout's code does not learn the token of the one who probes it."""
    where = Location(LocationKind.FILE, "huggingface_provider.py", 1)
    literal = Setting("HF_ROUTER_BASE_URL", Secret(url, scrubbed=False), Source.LITERAL, where)
    settings = Settings({literal.name: literal}, {"HF_TOKEN": "hf_" + "a" * 34})
    assert (stray_destination(settings) is None) is sent
