"""Fixtures that several rooms use: instances are made once, because an RSA key takes a tenth of a second."""

from __future__ import annotations

import pytest

from alwrity_checks import redaction
from alwrity_checks.auth.mint import Instance


@pytest.fixture(scope="session")
def instance() -> Instance:
    """Return the instance whose tokens are genuine."""
    return Instance()


@pytest.fixture(scope="session")
def other_instance() -> Instance:
    """Return an instance of somebody else's: other key, other kid, other issuer."""
    return Instance("https://bar-baz-7.clerk.accounts.dev", "ins_2otherInstance00000000000001")


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with no secret to scrub: a word that one test wrapped would be cut out of another test's output."""
    monkeypatch.setattr(redaction, "_registered", set())
