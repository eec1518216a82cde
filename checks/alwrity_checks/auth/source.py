"""The patterns in a checkout's sources that betray issue 1: how it decodes tokens, where its keys come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.source_keys import key_traces
from alwrity_checks.auth.source_switches import log_traces, switch_traces
from alwrity_checks.auth.source_tokens import token_traces
from alwrity_checks.trees.reading import Reading

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile, Trace

__all__ = ["WANTED", "traces"]

WANTED: Final = (
    b"jwt",
    b"jwks",
    b"JWKS",
    b"PyJWK",
    b"_AUTH",
    b"AUTH_",
    b"ALLOW_UNVERIFIED",
    b"uthorization",
    b"PUBLISHABLE_KEY",
)
"""A file that holds none of these decodes no token, knows no key and has no switch."""


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield what one file shows."""
    reading = Reading.of(file)
    yield from token_traces(reading)
    yield from key_traces(reading)
    yield from switch_traces(reading)
    yield from log_traces(reading)
