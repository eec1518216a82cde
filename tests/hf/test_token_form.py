"""What a text that should be a Hugging Face token is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.hf.token_form import TokenKind, token_form

TOKEN = "hf_" + "AbCdEfGhIj" * 3 + "KlMn"


def test_a_token_is_a_token() -> None:
    """Nothing is wrong with it, and it is not shown."""
    form = token_form(TOKEN)
    assert (form.kind, form.reason, form.usable) == (TokenKind.HUGGING_FACE, None, True)
    assert TOKEN not in repr(form)
    assert form.token.reveal() == TOKEN


@pytest.mark.parametrize(
    "text", [f" {TOKEN}\n", f'"{TOKEN}"', f"Bearer {TOKEN}", f"HF_TOKEN={TOKEN}", f"export HF_TOKEN='{TOKEN}'"]
)
def test_wrapping_is_taken_off(text: str) -> None:
    """The token inside is found, and what stood around it is named."""
    form = token_form(text)
    assert (form.reason, form.usable) == (Reason.TOKEN_WRAPPED, True)
    assert form.token.reveal() == TOKEN
    assert TOKEN not in form.message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sk-" + "a" * 40, TokenKind.OPENAI),
        ("sk-or-v1-" + "a" * 40, TokenKind.OPENROUTER),
        ("sk-ant-" + "a" * 40, TokenKind.ANTHROPIC),
        ("gsk_" + "a" * 40, TokenKind.GROQ),
        ("csk-" + "a" * 40, TokenKind.CEREBRAS),
        ("AIza" + "a" * 35, TokenKind.GOOGLE),
        ("api_" + "a" * 34, TokenKind.HUGGING_FACE_OLD),
        ("eyJhbGciOiJSUzI1NiJ9.e30.x", TokenKind.HUGGING_FACE_JWT),
        ("sk_test_" + "a" * 40, TokenKind.CLERK),
        ("ghp_" + "a" * 36, TokenKind.GITHUB),
        ("a" * 32, TokenKind.UNKNOWN),
    ],
)
def test_another_services_key_is_named(text: str, kind: TokenKind) -> None:
    """It is told whose it is, without being repeated, and no request is worth it."""
    form = token_form(text)
    assert (form.kind, form.reason, form.usable) == (kind, Reason.TOKEN_FOREIGN, False)
    assert text not in form.message


@pytest.mark.parametrize("text", ["hf_xxx", "your_token_here", "<HF_TOKEN>", "${HF_TOKEN}", "None", "hf_your_token"])
def test_placeholders(text: str) -> None:
    """A placeholder is told from a token."""
    assert token_form(text).reason is Reason.TOKEN_PLACEHOLDER


@pytest.mark.parametrize("text", ["", "  ", '""', "HF_TOKEN="])
def test_nothing(text: str) -> None:
    """Nothing is no token, however it is wrapped."""
    assert token_form(text).reason is Reason.TOKEN_MISSING


@pytest.mark.parametrize("text", [TOKEN[:20], f"{TOKEN[:20]} {TOKEN[20:]}", f"{TOKEN}é", f"{TOKEN}…"])
def test_cut_and_altered(text: str) -> None:
    """A cut or altered copy is named before the router is asked."""
    assert token_form(text).reason is Reason.TOKEN_MALFORMED


@given(st.text(max_size=80))
def test_never_raises_and_never_repeats(text: str) -> None:
    """Whatever the text is, the message does not hold it."""
    form = token_form(text)
    assert len(text.strip()) < 12 or text.strip() not in form.message
