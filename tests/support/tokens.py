"""What the tests of the auth room say about tokens, in one place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.errors import TokenRejected
from alwrity_checks.auth.jwk import key_set
from alwrity_checks.auth.key_source import StaticKeys
from alwrity_checks.auth.mint import Instance, compact
from alwrity_checks.auth.verifier import ClerkTokenVerifier

if TYPE_CHECKING:
    from alwrity_checks.auth.reasons import Reason

NOW = 1_800_000_000.0
"""A fixed moment, for what must not depend on the machine's clock."""


def frozen() -> float:
    """Return the fixed moment."""
    return NOW


def pinned(
    instance: Instance, *, cache_size: int = 0, clock: Callable[[], float] = frozen, **policy: object
) -> ClerkTokenVerifier:
    """Return a verifier that knows the instance's keys, at the fixed moment."""
    return ClerkTokenVerifier(
        StaticKeys(key_set(instance.jwks())),
        ClaimPolicy(issuers=frozenset({instance.issuer}), **policy),  # type: ignore[arg-type] # the test names the fields
        cache_size=cache_size,
        clock=clock,
    )


def rejection(act: Callable[[], object]) -> TokenRejected:
    """Return the rejection that `act` ends in; fail if it ends in anything else."""
    with pytest.raises(TokenRejected) as caught:
        act()
    assert type(caught.value).__module__ == "alwrity_checks.auth.errors"
    return caught.value


def reason(act: Callable[[], object]) -> Reason:
    """Return the first reason of the rejection that `act` ends in."""
    return rejection(act).reason


def signed(instance: Instance, header: object, payload: object) -> str:
    """Sign two parts; what is not bytes is written as JSON."""
    first, second = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
    return compact(first, second, instance.private_key)
