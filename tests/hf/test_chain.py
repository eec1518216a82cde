"""The chain, its file, and the breaker of each deployment."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.breaker import PERMANENT_HOLD, Breaker
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.chain import LIFETIME, SCHEMA, Chain, Link
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.deployment import Deployment

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHAIN = Chain(
    (
        Link(Deployment("openai/gpt-oss-120b", "groq"), Mode.JSON_SCHEMA_STRICT, "first token in 90 ms"),
        Link(Deployment("Qwen/Qwen3-32B")),
    ),
    NOW,
    "https://router.huggingface.co/v1",
)


def test_a_chain_survives_its_file(tmp_path: Path) -> None:
    """What is saved is loaded; the file replaces its predecessor and leaves nothing beside it."""
    path = tmp_path / "chain.json"
    path.write_text("old")
    CHAIN.save(path)
    assert Chain.load(path) == CHAIN
    assert list(tmp_path.iterdir()) == [path]
    Chain.unmeasured("a/b:groq", "a/b:groq", "c/d").save(path)
    assert Chain.load(path) == Chain.unmeasured("a/b:groq", "c/d")


def test_the_file_holds_no_secret(tmp_path: Path) -> None:
    """Everybody may read it: a password in the base URL stays out of it."""
    path = tmp_path / "chain.json"
    Chain(CHAIN.links, NOW, "http://me:pass1word@127.0.0.1:4000/v1").save(path)
    assert "pass1word" not in path.read_text()
    assert "127.0.0.1:4000" in Chain.load(path).base_url


def test_it_lapses_after_six_hours() -> None:
    """A measurement counts for six hours, and not before it was made."""
    assert CHAIN.lapses_at == NOW + LIFETIME
    assert CHAIN.counts_at(NOW)
    assert CHAIN.counts_at(NOW + timedelta(hours=5, minutes=59))
    assert not CHAIN.counts_at(NOW + LIFETIME)
    assert not CHAIN.counts_at(NOW - timedelta(hours=1))
    assert not Chain.unmeasured("a/b").counts_at(NOW)


def document(**changes: Any) -> str:  # noqa: ANN401 - wrong types too
    """Return a chain's file with `changes`."""
    entry = {"deployment": "a/b:groq", "mode": "tool", "reason": ""}
    whole = {"schema": SCHEMA, "measured_at": "2026-11-22T12:00:00+00:00", "deployments": [entry]}
    return json.dumps(whole | changes)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "[" * 100_000, document(schema="other"), document(deployments=[]), document(deployments=[{}]),
        document(deployments="ab"), document(deployments=[{"deployment": "a/b", "mode": "magic"}]),
        document(deployments=None), document(measured_at="yesterday"), document(measured_at=3),
        document(measured_at="2026-11-22T12:00:00"), " " * (1 << 21),
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_a_file_that_is_no_chain(tmp_path: Path, text: str) -> None:
    """Every such file is a ConfigurationError of ours that names it or says what is missing."""
    path = tmp_path / "chain.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        Chain.load(path)


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    """A missing file and a missing directory are ours to report; nothing half-written stays."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Chain.load(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        CHAIN.save(tmp_path / "none" / "chain.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        CHAIN.save(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_breaker_opens_for_what_stays() -> None:
    """A permanent fault opens at once, for an hour; a success closes."""
    breaker = Breaker()
    breaker.failed(classification(Cause.MODEL_NOT_SUPPORTED, "x"), 10.0)
    assert not breaker.closed(10.0)
    assert not breaker.passing()
    assert breaker.closed(10.0 + PERMANENT_HOLD)
    breaker.succeeded()
    assert breaker.closed(10.0)


def test_a_breaker_opens_for_what_fails_often() -> None:
    """Five passing faults in a row open it, the more the longer, and five minutes at most."""
    breaker, fault = Breaker(), classification(Cause.PROVIDER_FAULT, "x")
    for _ in range(4):
        breaker.failed(fault, 0.0)
    assert breaker.closed(0.0)
    breaker.failed(fault, 0.0)
    assert (breaker.closed(4.9), breaker.closed(5.0)) == (False, True)
    for _ in range(50):
        breaker.failed(fault, 0.0)
    assert (breaker.closed(299.0), breaker.closed(300.0)) == (False, True)
    assert breaker.passing()


def test_retry_after_is_obeyed() -> None:
    """One answer that asks for a pause is enough."""
    breaker = Breaker()
    breaker.failed(classification(Cause.RATE_LIMITED, "x", retry_after=7.0), 100.0)
    assert not breaker.closed(106.9)
    assert breaker.asked_to_wait(101.0) == 6.0
    assert breaker.closed(107.0)


def test_after_a_hold_one_goes_ahead() -> None:
    """What comes back is not asked by everybody at once: the next trial is five seconds later, unless one succeeds."""
    breaker, fault = Breaker(), classification(Cause.PROVIDER_FAULT, "x")
    assert all(breaker.admits(0.0) for _ in range(3))
    for _ in range(5):
        breaker.failed(fault, 0.0)
    assert not breaker.admits(4.9)
    assert [breaker.admits(5.0) for _ in range(3)] == [True, False, False]
    assert [breaker.admits(10.0) for _ in range(2)] == [True, False]
    breaker.succeeded()
    assert all(breaker.admits(10.0) for _ in range(3))


def test_a_file_without_end_is_not_read_to_it() -> None:
    """A device that yields bytes for ever is no chain."""
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        Chain.load(Path("/dev/zero"))
