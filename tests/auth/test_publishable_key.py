"""Publishable and secret keys, form by form."""

from __future__ import annotations

from base64 import b64encode

import pytest

from alwrity_checks.auth.hosts import is_clerk_development_host, is_clerk_host, is_loopback, public_host_problem
from alwrity_checks.auth.publishable_key import (
    InstanceClass,
    KeyProblem,
    PublishableKey,
    SecretKeyClass,
    secret_key_class,
)
from alwrity_checks.auth.reasons import Reason

KEY = "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"
HOST = "foo-bar-13.clerk.accounts.dev"
BODY = KEY.removeprefix("pk_test_")


def key_of(text: str | bytes, prefix: str = "pk_test_") -> str:
    """Return a key whose body decodes to `text`, as Clerk writes it."""
    raw = text.encode() if isinstance(text, str) else text
    return prefix + b64encode(raw).decode().rstrip("=")


def problem(text: str) -> KeyProblem:
    """Return why a key is refused."""
    with pytest.raises(KeyProblem) as caught:
        PublishableKey.parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "host", "instance_class"),
    [
        (KEY, HOST, InstanceClass.DEVELOPMENT),
        ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "clerk.example.com", InstanceClass.PRODUCTION),
        ("pk_live_Y2xlcmsubXktYXBwLmNvLnVrJA==", "clerk.my-app.co.uk", InstanceClass.PRODUCTION),
        ("pk_live_Y2xlcmsubXktYXBwLmNvLnVrJA", "clerk.my-app.co.uk", InstanceClass.PRODUCTION),
        (key_of("clerk.xn--bcher-kva.example$", "pk_live_"), "clerk.xn--bcher-kva.example", InstanceClass.PRODUCTION),
        (key_of("Clerk.Example.COM$", "pk_live_"), "clerk.example.com", InstanceClass.PRODUCTION),
        (key_of("clerk.abc.lcl.dev$"), "clerk.abc.lcl.dev", InstanceClass.DEVELOPMENT),
    ],
)
def test_good_keys(text: str, host: str, instance_class: InstanceClass) -> None:
    """A well-formed key gives class, host, issuer and URL, without a note."""
    key = PublishableKey.parse(text)
    assert (key.frontend_api, key.instance_class, key.notes) == (host, instance_class, ())
    assert key.issuer == f"https://{host}"
    assert key.jwks_url == f"https://{host}/.well-known/jwks.json"


@pytest.mark.parametrize("wrap", ["{} ", "{}\n", " {}", '"{}"', "'{}'", "\ufeff{}", " '{}' "])
def test_wrapped_keys_are_read_and_noted(wrap: str) -> None:
    """White space and quotes are taken off, and said."""
    key = PublishableKey.parse(wrap.format(KEY))
    assert key.frontend_api == HOST
    assert [reason for reason, _ in key.notes] == [Reason.PK_WRAPPED]


@pytest.mark.parametrize("text", [key_of(f"{HOST}$", "pk_live_"), key_of("clerk.example.com$", "pk_test_")])
def test_a_class_that_does_not_fit_the_host_is_noted(text: str) -> None:
    """A live key for a development host, and the reverse, parses with a note."""
    assert [reason for reason, _ in PublishableKey.parse(text).notes] == [Reason.PK_CLASS_HOST_CONFLICT]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reason.PK_MISSING),
        ("   ", Reason.PK_MISSING),
        ('""', Reason.PK_MISSING),
        (f"{KEY}=", Reason.PK_MALFORMED),
        (f"{KEY}====", Reason.PK_MALFORMED),
        (f"{KEY[:20]}={KEY[20:]}", Reason.PK_MALFORMED),
        (KEY.upper(), Reason.PK_MALFORMED),
        (f"PK_TEST_{BODY}", Reason.PK_MALFORMED),
        (f"pk_Test_{BODY}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:10]}-{BODY[11:]}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:10]}_{BODY[10:]}", Reason.PK_MALFORMED),
        (f"pk_test__{BODY}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY}_", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:-1]}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:-4]}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:10]} {BODY[10:]}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:10]}\n{BODY[10:]}", Reason.PK_MALFORMED),
        (f"pk_test_{BODY[:10]}\u0130{BODY[11:]}", Reason.PK_MALFORMED),
        (f"pk_prod_{BODY}", Reason.PK_MALFORMED),
        (f"pk_{BODY}", Reason.PK_MALFORMED),
        (f"test_{BODY}", Reason.PK_MALFORMED),
        (f"live_{BODY}", Reason.PK_MALFORMED),
        (BODY, Reason.PK_MALFORMED),
        ("hello", Reason.PK_MALFORMED),
        (key_of(HOST), Reason.PK_MALFORMED),
        (key_of(f"{HOST}$$"), Reason.PK_MALFORMED),
        (key_of(f"${HOST}$"), Reason.PK_MALFORMED),
        (key_of("foo$bar.example$"), Reason.PK_MALFORMED),
        (key_of(f"{HOST}$\n"), Reason.PK_MALFORMED),
        (key_of("nodot$"), Reason.PK_MALFORMED),
        (key_of("$"), Reason.PK_MALFORMED),
        (f"pk_test_{HOST}", Reason.PK_NOT_ENCODED),
        (f"pk_test_{HOST}$", Reason.PK_NOT_ENCODED),
        (HOST, Reason.PK_NOT_ENCODED),
        *(
            (key_of(text), Reason.PK_HOST_UNSAFE)
            for text in (
                ".$", "..$", "a.$", ".a$", "a..b$", "https://clerk.example.com$", "clerk.example.com:8443$",
                "clerk.example.com/x$", "user@clerk.example.com$", "evil.com#.example$", "evil.com?.example$",
                "127.0.0.1$", "169.254.169.254$", "10.0.0.1$", "[::1].x$", "1.2.3.4.5$", "0x7f.0.0.1$", "127.1$",
                " clerk.example.com$", "clerk.example.com $", "clerk\n.example.com$", "clerk.\x00.com$", "a_b.example$",
                "-a.example$", "a-.example$", "clerk.example.com.$", "x.localhost$", "x.local$", "x.internal$",
                "metadata.google.internal$", "%63lerk.example.com$", "clerk\\.example.com$", f"{'a' * 64}.example$",
                "a." * 130 + "example$",
            )
        ),
        (key_of("b\u00fccher.example$"), Reason.PK_HOST_UNSAFE),
        (key_of(b"\xff.example$"), Reason.PK_HOST_UNSAFE),
        *(
            (text, Reason.PK_PLACEHOLDER)
            for text in (
                "pk_test_xxx", "pk_test_XXXXXXXX", "pk_test_...", "pk_test_your_key_here", "pk_live_your-key",
                "your_clerk_publishable_key_here", "<your key>", "pk_test_<key>", "changeme", "pk_test_****",
            )
        ),
        ("sk_test_abcdefgh", Reason.PK_WRONG_KIND),
        ("sk_live_abcdefgh", Reason.PK_WRONG_KIND),
        ("whsec_abcdefgh", Reason.PK_WRONG_KIND),
        ("ins_abcdefgh", Reason.PK_WRONG_KIND),
        ("-----BEGIN PUBLIC KEY-----", Reason.PK_WRONG_KIND),
        ("eyJhbGciOiJSUzI1NiJ9.e30.AA", Reason.PK_WRONG_KIND),
        ("null", Reason.PK_WRONG_KIND),
    ],
    ids=lambda value: str(value)[:28],
)  # fmt: skip
def test_bad_keys(text: str, expected: Reason) -> None:
    """Each way in which a key is wrong has its reason; Clerk's own parser accepts several of the unsafe hosts."""
    assert problem(text).reason is expected


@pytest.mark.parametrize(
    "host", ["127.0.0.0x1", "0x7f.0.0.0x1", "10.0.0.0xa", "169.254.0xa9fe", "a.0x7f000001", "1.0X1"]
)
def test_an_address_in_hexadecimal_is_an_address(host: str) -> None:
    """A name whose last label is a number in hexadecimal is resolved as an address (inet_aton): no public host."""
    assert problem(key_of(f"{host}$")).reason is Reason.PK_HOST_UNSAFE


def test_the_host_that_was_not_encoded_is_offered_as_a_key() -> None:
    """Whoever pastes the host is shown the key that belongs there."""
    assert KEY in problem(HOST).detail
    assert KEY in problem(f"pk_test_{HOST}").detail


@pytest.mark.parametrize("text", ["sk_live_abcdefgh12345", f"{KEY}=", "whsec_abcdefgh", "pk_test_Zm9vLWJhcg"])
def test_no_message_holds_the_key(text: str) -> None:
    """What is said of a bad key does not repeat it: a secret key may stand in its place."""
    assert text not in str(problem(text))


@pytest.mark.parametrize("text", ["<" * 5000, f"pk_test_{'A' * 100_000}", "x" * 100_000])
def test_a_long_text_is_refused(text: str) -> None:
    """What is far too long for a key is no key, and the message is short."""
    assert problem(text).reason in {Reason.PK_MALFORMED, Reason.PK_HOST_UNSAFE}
    assert len(str(problem(text))) < 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sk_test_abcDEF123", SecretKeyClass.DEVELOPMENT),
        ("sk_live_abcDEF123", SecretKeyClass.PRODUCTION),
        ("test_abcDEF123", SecretKeyClass.DEVELOPMENT),
        ("live_abcDEF123", SecretKeyClass.PRODUCTION),
        (" sk_test_abcDEF123\n", SecretKeyClass.DEVELOPMENT),
    ],
)
def test_classes_of_secret_keys(text: str, expected: SecretKeyClass) -> None:
    """The class is all that a secret key shows."""
    assert secret_key_class(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reason.SK_MISSING),
        ("  ", Reason.SK_MISSING),
        ("sk_test_", Reason.SK_MALFORMED),
        ("sk_test_xxxx", Reason.SK_MALFORMED),
        ("sk_live_your_secret_key", Reason.SK_MALFORMED),
        ("sk_test_...", Reason.SK_MALFORMED),
        ("sk_prod_abc", Reason.SK_MALFORMED),
        ("SK_TEST_abc", Reason.SK_MALFORMED),
        (KEY, Reason.SK_MALFORMED),
        ("ak_abcdefgh", Reason.SK_MALFORMED),
        ("whsec_abcdefgh", Reason.SK_MALFORMED),
        ("sk_test_abc def", Reason.SK_MALFORMED),
        ("hello", Reason.SK_MALFORMED),
    ],
)
def test_bad_secret_keys(text: str, expected: Reason) -> None:
    """Missing, cut, placeholder or another credential: each has its reason, and no message holds the key."""
    with pytest.raises(KeyProblem) as caught:
        secret_key_class(text)
    assert caught.value.reason is expected
    assert len(text.strip()) < 6 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "development"),
    [
        (HOST, True),
        (HOST.upper(), True),
        ("foo-bar-1.clerk.accounts.dev", True),
        ("foo-bar-1.clerk.accounts.lclclerk.com", True),
        ("clerk.abc.lcl.dev", True),
        ("clerk.abc.lclstage.dev", True),
        ("foo-bar-123.clerk.accounts.dev", False),
        ("foo-1.clerk.accounts.dev", False),
        ("clerk.example.com", False),
        ("clerk.example.dev", False),
    ],
)
def test_development_hosts(host: str, *, development: bool) -> None:
    """The hosts that Clerk hands out for development are told by its own pattern."""
    assert is_clerk_development_host(host) is development


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        (HOST, True),
        ("foo-bar-1.clerk.accounts.evil.com", False),
        ("clerk.example.com", False),
        (f"{HOST}.evil.com", False),
    ],
)
def test_only_names_below_clerk_s_own_domain_are_clerk_s(host: str, *, ours: bool) -> None:
    """A name that anybody can own proves nothing."""
    assert is_clerk_host(host) is ours


def test_hosts() -> None:
    """A public name has no problem; this machine is recognised by name and address."""
    assert public_host_problem("clerk.example.com") == ""
    assert public_host_problem("a" * 63 + ".example") == ""
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(is_loopback(host) for host in ("localhost.evil.com", "10.0.0.1", "", "127.0.0.1.evil.com"))
