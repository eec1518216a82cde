"""Fixtures that several rooms use: instances are made once, because an RSA key takes a tenth of a second."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from alwrity_checks import redaction
from alwrity_checks.auth.mint import Instance
from tests.support.transformers_serve import TransformersServe, tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator


# How long an example takes says how busy the machine is; what the present profile says else, as in CI, stays.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure() -> None:
    """Let Ctrl-C count: a job in the background ignores it, and hands that down to the programs the tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def instance() -> Instance:
    """Return the instance whose tokens are genuine."""
    return Instance()


@pytest.fixture(scope="session")
def other_instance() -> Instance:
    """Return an instance of somebody else's: other key, other kid, other issuer."""
    return Instance("https://bar-baz-7.clerk.accounts.dev", "ins_2otherInstance00000000000001")


@pytest.fixture(scope="session")
def transformers_serve(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TransformersServe]:
    """Serve the tiny model with `transformers serve`: trained at the first use, kept in pytest's cache for the next."""
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    shelf = cache.mkdir("tiny-qwen") if cache else tmp_path_factory.mktemp("tiny-qwen")
    with TransformersServe(tiny_model(shelf), tmp_path_factory.mktemp("transformers-serve")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with no secret to scrub: a word that one test wrapped would be cut out of another test's output."""
    monkeypatch.setattr(redaction, "_registered", set())
