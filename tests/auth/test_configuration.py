"""What a verifier pins, from each combination of settings; and which settings are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.configuration import PUBLISHABLE_KEY_NAMES, ClerkConfiguration
from alwrity_checks.auth.key_source import RemoteKeys, StaticKeys
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.settings import Settings
from tests.support.tokens import reason

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance

KEY = "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"
ISSUER = "https://foo-bar-13.clerk.accounts.dev"
LIVE = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"


def configured(**environment: str) -> ClerkConfiguration:
    """Return the configuration of an environment."""
    return ClerkConfiguration.read(Settings.load(environment))


def verifier(**environment: str) -> ClerkTokenVerifier:
    """Return the verifier of an environment."""
    return ClerkTokenVerifier.from_environment(environment)


def test_the_publishable_key_pins_issuer_and_url() -> None:
    """One setting is enough."""
    found = configured(CLERK_PUBLISHABLE_KEY=KEY)
    assert found.issuers == {ISSUER}
    assert found.jwks_url == f"{ISSUER}/.well-known/jwks.json"
    assert found.authorized_parties == found.proxies == found.satellites == frozenset()


@pytest.mark.parametrize("name", PUBLISHABLE_KEY_NAMES)
def test_every_name_of_the_key_counts(name: str) -> None:
    """Each framework's name is read."""
    assert configured(**{name: KEY}).issuers == {ISSUER}


def test_the_first_name_wins() -> None:
    """Of several the first in the documented order counts; a blank one hides nothing."""
    assert configured(CLERK_PUBLISHABLE_KEY=KEY, VITE_CLERK_PUBLISHABLE_KEY=LIVE).issuers == {ISSUER}
    assert configured(CLERK_PUBLISHABLE_KEY=" ", VITE_CLERK_PUBLISHABLE_KEY=KEY).issuers == {ISSUER}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"CLERK_PUBLISHABLE_KEY": ""},
        {"CLERK_PUBLISHABLE_KEY": "pk_test_xxx"},
        {"CLERK_PUBLISHABLE_KEY": "sk_test_abcdefgh12345"},
        {"CLERK_SECRET_KEY": "sk_test_abcdefgh12345"},
        {"CLERK_ISSUER": ISSUER},
    ],
)
def test_without_a_key_nothing_is_pinned(environment: dict[str, str]) -> None:
    """No publishable key, or none that can be read: refused with a remedy, and without the value in the message."""
    with pytest.raises(ConfigurationError) as caught:
        verifier(**environment)
    assert caught.value.remedy
    assert "abcdefgh12345" not in str(caught.value)


def test_a_proxy_is_an_issuer_and_the_key_server() -> None:
    """Under a proxy both issuers are accepted, and the keys come through the proxy."""
    found = configured(CLERK_PUBLISHABLE_KEY=LIVE, CLERK_PROXY_URL="https://app.example.com/__clerk/")
    assert found.issuers == {"https://clerk.example.com", "https://app.example.com/__clerk"}
    assert found.jwks_url == "https://app.example.com/__clerk/.well-known/jwks.json"


@pytest.mark.parametrize(
    "proxy",
    [
        "/__clerk", "app.example.com", "http://app.example.com/__clerk", "https://", "https://[", "ftp://app.example.com",
        "https://user:hunter2secret@app.example.com/", "https://app.example.com/#x", "https://app.example.com/?a=b",
        "https://app..example.com", "https://app.exa mple.com", "https://app.\nexample.com", "https://app.example.com:x",
    ],
)  # fmt: skip
def test_proxies_that_are_refused(proxy: str) -> None:
    """A path, another scheme, a query, credentials or no host: refused, and no password is repeated."""
    with pytest.raises(ConfigurationError) as caught:
        configured(CLERK_PUBLISHABLE_KEY=LIVE, CLERK_PROXY_URL=proxy)
    assert "hunter2secret" not in str(caught.value)


def test_a_satellite_is_an_issuer() -> None:
    """A production instance's satellite adds its own issuer, if it is said to be one."""
    found = configured(CLERK_PUBLISHABLE_KEY=LIVE, CLERK_DOMAIN="other.example", CLERK_IS_SATELLITE="true")
    assert found.issuers == {"https://clerk.example.com", "https://clerk.other.example"}
    alone = configured(CLERK_PUBLISHABLE_KEY=LIVE, CLERK_DOMAIN="other.example")
    assert alone.issuers == {"https://clerk.example.com"}


def test_a_development_key_has_no_satellite() -> None:
    """Clerk ignores the domain for development keys: nothing more is accepted."""
    found = configured(CLERK_PUBLISHABLE_KEY=KEY, CLERK_DOMAIN="other.example", CLERK_IS_SATELLITE="true")
    assert found.issuers == {ISSUER}


@pytest.mark.parametrize("domain", ["https://other.example", "other.example/", "localhost", "127.0.0.1", "a b.example"])
def test_domains_that_are_refused(domain: str) -> None:
    """A domain is a host name and nothing more."""
    with pytest.raises(ConfigurationError):
        configured(CLERK_PUBLISHABLE_KEY=LIVE, CLERK_DOMAIN=domain, CLERK_IS_SATELLITE="true")


@pytest.mark.parametrize(
    ("text", "parties"),
    [
        ("", set()),
        (" , ", set()),
        ("https://a.example", {"https://a.example"}),
        ("https://a.example, http://localhost:3000,", {"https://a.example", "http://localhost:3000"}),
        ("chrome-extension://abcdef", {"chrome-extension://abcdef"}),
    ],
)
def test_authorized_parties(text: str, parties: set[str]) -> None:
    """Origins, separated by commas."""
    assert configured(CLERK_PUBLISHABLE_KEY=KEY, CLERK_AUTHORIZED_PARTIES=text).authorized_parties == parties


@pytest.mark.parametrize(
    "text",
    ["a.example", "https://a.example/", "https://a.example/x", "https://a.example?x", "https://", "*", "https://[",
     "https://a.example https://b.example", "https://a.example:x", "https://user@a.example", "https://a.example#x"],
)  # fmt: skip
def test_parties_that_are_refused(text: str) -> None:
    """What no browser sends as an Origin would refuse every user: it is refused at the start instead."""
    with pytest.raises(ConfigurationError):
        configured(CLERK_PUBLISHABLE_KEY=KEY, CLERK_AUTHORIZED_PARTIES=text)


def test_parties_given_in_code_replace_those_of_the_environment() -> None:
    """An argument wins over the setting, also an empty one."""
    environment = {"CLERK_PUBLISHABLE_KEY": KEY, "CLERK_AUTHORIZED_PARTIES": "https://a.example"}
    assert ClerkTokenVerifier.from_environment(environment).policy.authorized_parties == {"https://a.example"}
    replaced = ClerkTokenVerifier.from_environment(environment, authorized_parties=["https://b.example"])
    assert replaced.policy.authorized_parties == {"https://b.example"}
    assert (
        ClerkTokenVerifier.from_environment(environment, authorized_parties=[]).policy.authorized_parties == frozenset()
    )


@pytest.mark.parametrize("name", ["authorized_parties", "audiences"])
def test_one_text_is_not_a_set_of_letters(name: str) -> None:
    """A single string where a collection belongs is refused, or taken as the one value it is."""
    try:
        made = ClerkTokenVerifier.from_environment(
            {"CLERK_PUBLISHABLE_KEY": KEY},
            **{name: "https://a.example"},  # type: ignore[arg-type] # the mistake that is tried
        )
    except (ConfigurationError, TypeError):
        return
    assert getattr(made.policy, name) == {"https://a.example"}


def test_a_pem_means_that_nothing_is_fetched(instance: Instance) -> None:
    """With CLERK_JWT_KEY the keys are at hand, whatever kid a token names; a blank one counts as absent."""
    with_pem = verifier(CLERK_PUBLISHABLE_KEY=KEY, CLERK_JWT_KEY=instance.pem().replace("\n", "\\n"))
    assert isinstance(with_pem._keys, StaticKeys)
    assert with_pem.verify_sync(instance.token(header={"kid": "ins_any"})).user_id
    for blank in ("", "  "):
        assert isinstance(verifier(CLERK_PUBLISHABLE_KEY=KEY, CLERK_JWT_KEY=blank)._keys, RemoteKeys)


def test_a_jwk_keeps_its_kid(instance: Instance) -> None:
    """A key read from JSON fits its own kid only."""
    named = verifier(CLERK_PUBLISHABLE_KEY=KEY, CLERK_JWT_KEY=json.dumps(instance.jwk()))
    assert named.verify_sync(instance.token()).user_id
    assert reason(lambda: named.verify_sync(instance.token(header={"kid": "x"}))) is Reason.JWK_KID_MISMATCH


@pytest.mark.parametrize("value", ["sk_test_abcdefgh12345", "https://clerk.example.com", "hello", "-----BEGIN X-----"])
def test_a_bad_pem_is_refused_at_the_start(value: str) -> None:
    """An unreadable key stops the start, and is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        verifier(CLERK_PUBLISHABLE_KEY=KEY, CLERK_JWT_KEY=value)
    assert value not in str(caught.value)


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the environment of the process counts."""
    for name in PUBLISHABLE_KEY_NAMES:
        monkeypatch.delenv(name, raising=False)
    for name in ("CLERK_JWT_KEY", "CLERK_PROXY_URL", "CLERK_DOMAIN", "CLERK_AUTHORIZED_PARTIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", KEY)
    made = ClerkTokenVerifier.from_environment()
    assert made.policy.issuers == {ISSUER}
    assert isinstance(made._keys, RemoteKeys)
