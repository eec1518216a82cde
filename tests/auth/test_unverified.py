"""Decoding without verification, for diagnosis."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.auth.mint import Instance, base64url
from alwrity_checks.auth.unverified import decode_unverified


def test_header_and_claims_of_a_token_are_returned() -> None:
    """Both halves as the instance wrote them, whatever the signature."""
    instance = Instance()
    header, claims = instance.header(), instance.claims()
    token = instance.sign(header, claims)
    assert decode_unverified(token) == (header, claims)
    assert decode_unverified(token.rpartition(".")[0] + ".[redacted]") == (header, claims)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "a.b",
        "a.b.c.d",
        "..",
        f"{base64url(b'[]')}.{base64url(b'{}')}.x",
        f"{base64url(b'{}')}.{base64url(b'null')}.x",
        f"{base64url(b'{}')}=.{base64url(b'{}')}.x",
        f"{base64url(b'[' * 100_000)}.e30.x",
        f"{base64url(json.dumps({'a': 1}).encode() + b' x')}.e30.x",
        "\udc80.e30.x",
        "é.e30.x",
    ],
)
def test_what_is_no_token_gives_none(text: str) -> None:
    """Other forms, other encodings, other JSON."""
    assert decode_unverified(text) is None


@given(st.text() | st.lists(st.text(alphabet="eyJ03-_Q."), min_size=3, max_size=3).map(".".join))
def test_it_never_raises(text: str) -> None:
    """Any text at all gives two objects or None."""
    assert decode_unverified(text) is None or len(decode_unverified(text) or ()) == 2
