"""The forgeries are what they are said to be: made without the key, many, and convincing but for the signature."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import jwt
import pytest

from alwrity_checks.auth.scenarios.forgeries import VICTIM, Forger, forgeries
from alwrity_checks.auth.scenarios.stage import ORIGIN

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance


@pytest.fixture(scope="module")
def forger(instance: Instance, other_instance: Instance) -> Forger:
    """Return a forger who has nothing but what is public, and a token of his own."""
    return Forger(
        jwk=instance.jwk(),
        pem=instance.pem(),
        own_token=instance.token(azp=ORIGIN),
        own=other_instance,
        server="http://127.0.0.1:1",
        issuer=instance.issuer,
        origin=ORIGIN,
    )


def test_forgeries_are_many_and_distinct(forger: Forger) -> None:
    """No forgery is there twice, and none is the forger's own genuine token."""
    made = forgeries(forger)
    assert len(made) > 90
    assert len(set(made.values()) | {forger.own_token}) == len(made) + 1


def test_no_forgery_is_validly_signed(forger: Forger, instance: Instance) -> None:
    """An independent library with the right key refuses each: a forgery that it accepted would be none."""
    key = instance.private_key.public_key()
    for name, token in forgeries(forger).items():
        try:
            jwt.decode(token, key, algorithms=["RS256"])
        except jwt.InvalidTokenError:
            continue
        pytest.fail(name)


def test_most_forgeries_would_be_believed_unverified(forger: Forger) -> None:
    """What is refused is refused for its signature: most of the forgeries are well formed and name the victim."""
    believed = 0
    for token in forgeries(forger).values():
        with suppress(jwt.InvalidTokenError):
            believed += jwt.decode(token, options={"verify_signature": False})["sub"] == VICTIM
    assert believed > 70
