"""The face of issue 2: what it writes, what it needs, and what it leaves alone with the reason."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libcst")

from alwrity_checks.adoption.faces.hf import PATH, propose
from tests.support.hf_backends import BORN, CONFLICT, CORRECTED, HEAD, OLD, WHOLE
from tests.support.sources_in_memory import Texts

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Proposal

CALLER = "services/llm_providers/main_text_generation.py"
IMPORT = "from .huggingface_provider import huggingface_text_response, huggingface_structured_json_response\n"
ANOTHER_ORDER = WHOLE.replace(
    'prompt, schema, model="openai/gpt-oss-120b:groq", temp',
    'prompt, schema, model="openai/gpt-oss-120b:groq", fallback_models=None, temp',
)
"""ALwrity 01881bb4: the fallback models stand before the temperature."""


def proposed(module: str, call: str = "") -> Proposal:
    """Return what is proposed to a checkout with this provider and a caller that calls so."""
    return propose(Texts({PATH: module, CALLER: f"{IMPORT}{call}\n"}))


@pytest.mark.parametrize(
    "module", [OLD, HEAD, BORN, CORRECTED, WHOLE], ids=["OLD", "HEAD", "BORN", "01881bb4", "whole"]
)
def test_every_state_is_replaced_by_the_same_thin_module(module: str) -> None:
    """Whatever the fault was, what is written is a docstring, imports and the names; the extra goes with it."""
    proposal = proposed(module)
    (change,) = proposal.changes
    assert (proposal.issue, proposal.refusals, proposal.done) == (2, (), False)
    assert (change.path, change.before, proposal.extras) == (PATH, module, frozenset({"hf"}))
    kinds = [type(statement) for statement in ast.parse(change.after).body]
    assert kinds == [ast.Expr, ast.ImportFrom, ast.ImportFrom, ast.Expr, ast.Assign]
    again = proposed(change.after)
    assert (again.done, again.changes, again.refusals) == (True, (), ())


def test_what_is_written_has_every_name_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our module has the names of the face, under which ALwrity's callers know them."""
    import dotenv

    from alwrity_checks.hf import compat

    monkeypatch.setattr(dotenv, "load_dotenv", lambda: None)
    (change,) = proposed(WHOLE).changes
    names: dict[str, object] = {}
    exec(compile(change.after, PATH, "exec"), names)  # noqa: S102 - what we write ourselves
    told = names["__all__"]
    assert isinstance(told, list)
    assert set(told) == set(compat.__all__) - {"UnusableToken", "generator_of"}
    assert all(names[name] is getattr(compat, name) for name in told)


def test_settings_and_what_goes_are_told() -> None:
    """The token is needed, the rest is wished; models that the checkout named itself are told with how to keep them."""
    proposal = proposed(WHOLE)
    assert [one.name for one in proposal.needed if one.required] == ["HF_TOKEN"]
    models = "openai/gpt-oss-120b:cerebras,moonshotai/Kimi-K2-Instruct-0905:cerebras"
    assert any(f"HF_FALLBACK_MODELS={models}" in note for note in proposal.notes)
    assert any("asked" in note and "go: nothing imports" in note for note in proposal.notes)


def test_other_order_of_arguments_fits_where_they_are_named() -> None:
    """A revision with another order of optional parameters is served as long as nobody gives them by position."""
    by_name = "huggingface_structured_json_response(prompt='p', schema={}, fallback_models=[], temperature=1)"
    assert proposed(ANOTHER_ORDER, by_name).changes
    assert proposed(ANOTHER_ORDER, "huggingface_structured_json_response('p', {}, 'm')").changes
    for by_position in ("('p', {}, 'm', [])", "(*arguments)"):
        (refusal,) = proposed(ANOTHER_ORDER, f"huggingface_structured_json_response{by_position}").refusals
        assert "fallback_models is the fourth parameter, not temperature" in refusal.reason
        assert refusal.line is not None


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (CONFLICT, "unfinished merge"),
        ("def huggingface_text_response(prompt): ...\n", "it does not define huggingface_structured_json_response"),
        (WHOLE.replace("prompt, schema, model=", "prompt, schema, tenant, model="), "tenant can be given by name"),
        (WHOLE.replace("def validate_model(", "async def validate_model("), "an async function is replaced"),
        (WHOLE.replace("def asked(", "def asked(("), "no Python that can be read"),
    ],
    ids=["conflict", "renamed", "parameter", "async", "syntax"],
)
def test_module_that_does_not_fit_is_refused(module: str, said: str) -> None:
    """A merge left undone, moved names and other signatures are told, and nothing is proposed."""
    proposal = proposed(module)
    assert proposal.changes == ()
    assert said in proposal.refusals[0].reason
    assert all(refusal.remedy and refusal.path == PATH for refusal in proposal.refusals)


def test_checkout_without_the_module_is_refused() -> None:
    """There is nothing to replace: that is said, and no file is made."""
    (refusal,) = propose(Texts({CALLER: IMPORT})).refusals
    assert (refusal.path, refusal.line) == (PATH, None)


def test_caller_of_what_ours_has_not_is_named() -> None:
    """Who imports another name of the module would be broken: its file and line are told."""
    (refusal,) = proposed(WHOLE, "from .huggingface_provider import six_times").refusals
    assert (refusal.path, refusal.line) == (CALLER, 2)
    assert "it uses six_times" in refusal.reason


def test_caller_that_cannot_be_read_is_not_guessed_at() -> None:
    """A file in a newer Python's syntax may call in any way: the other order is refused, not hoped to be unused."""
    assert proposed(ANOTHER_ORDER, "def broken(:").refusals
