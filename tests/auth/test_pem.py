"""`CLERK_JWT_KEY` in each form in which people paste it."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from alwrity_checks.auth.jwk import key_set
from alwrity_checks.auth.pem import read_verification_key
from alwrity_checks.auth.publishable_key import KeyProblem
from alwrity_checks.auth.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from alwrity_checks.auth.mint import Instance


def spki(public_key: object) -> str:
    """Return a public key as PEM."""
    pem: bytes = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return pem.decode()


def pkcs1(instance: Instance) -> str:
    """Return the public key in the older form."""
    return instance.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()


def private(instance: Instance, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """Return the private key as PEM."""
    return instance.private_key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def body(pem: str) -> str:
    """Return a PEM without its first and last line."""
    return "\n".join(pem.strip().splitlines()[1:-1])


def one_line(pem: str) -> str:
    """Return a PEM whose body stands on one line."""
    first, *middle, last = pem.strip().splitlines()
    return "\n".join((first, "".join(middle), last))


FORMS: dict[str, tuple[Callable[[Instance], str], set[Reason]]] = {
    "normal": (lambda i: i.pem(), set()),
    "without a line end": (lambda i: i.pem().strip(), set()),
    "CRLF": (lambda i: i.pem().replace("\n", "\r\n"), set()),
    "no newlines": (lambda i: i.pem().replace("\n", ""), {Reason.PEM_NORMALISED}),
    "spaces for newlines": (lambda i: i.pem().replace("\n", " "), {Reason.PEM_NORMALISED}),
    "body on one line": (lambda i: one_line(i.pem()), {Reason.PEM_NORMALISED}),
    "indented": (lambda i: "\n".join(f"    {line}" for line in i.pem().splitlines()), {Reason.PEM_NORMALISED}),
    "trailing spaces": (lambda i: i.pem().replace("\n", "  \n"), {Reason.PEM_NORMALISED}),
    "double-quoted": (lambda i: f'"{i.pem()}"', {Reason.PEM_NORMALISED}),
    "single-quoted": (lambda i: f"'{i.pem()}'", {Reason.PEM_NORMALISED}),
    "escaped": (lambda i: i.pem().replace("\n", "\\n"), {Reason.PEM_ESCAPED}),
    "escaped CRLF": (lambda i: i.pem().replace("\n", "\\r\\n"), {Reason.PEM_ESCAPED}),
    "quoted and escaped": (
        lambda i: '"' + i.pem().replace("\n", "\\n") + '"',
        {Reason.PEM_ESCAPED, Reason.PEM_NORMALISED},
    ),
    "in base64": (lambda i: b64encode(i.pem().encode()).decode(), {Reason.PEM_BASE64}),
    "in base64 without padding": (lambda i: b64encode(i.pem().encode()).decode().rstrip("="), {Reason.PEM_BASE64}),
    "body only": (lambda i: body(i.pem()), {Reason.PEM_NORMALISED}),
    "body only, one line": (lambda i: body(i.pem()).replace("\n", ""), {Reason.PEM_NORMALISED}),
    "PKCS#1": (pkcs1, set()),
    "PKCS#1 escaped": (lambda i: pkcs1(i).replace("\n", "\\n"), {Reason.PEM_ESCAPED}),
    "PKCS#1 body only": (lambda i: body(pkcs1(i)), {Reason.PEM_NORMALISED}),
    "JWK": (lambda i: json.dumps(i.jwk()), {Reason.PEM_NORMALISED}),
    "JWKS": (lambda i: json.dumps(i.jwks()), {Reason.PEM_NORMALISED}),
    "JWKS, indented": (lambda i: json.dumps(i.jwks(), indent=2), {Reason.PEM_NORMALISED}),
    "quoted JWK": (lambda i: f"'{json.dumps(i.jwk())}'", {Reason.PEM_NORMALISED}),
    "after a byte-order mark": (lambda i: f"\ufeff{i.pem()}", set()),
    "text before it": (lambda i: f"# the key\n{i.pem()}".replace("# the key\n", "\n\n"), set()),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(instance: Instance, form: str) -> None:
    """Each form gives the same key, and says how it had to be repaired."""
    make, repairs = FORMS[form]
    read = read_verification_key(make(instance))
    assert read.key.thumbprint == key_set(instance.jwk()).keys[0].thumbprint
    assert {reason for reason, _ in read.repairs} == repairs
    assert len(set(read.repairs)) == len(read.repairs)


def test_only_json_keeps_the_kid(instance: Instance) -> None:
    """A PEM names no kid; a JWK does."""
    assert read_verification_key(instance.pem()).key.kid is None
    assert read_verification_key(json.dumps(instance.jwk())).key.kid == instance.kid


REFUSED: dict[str, tuple[Callable[[Instance], str], Reason]] = {
    "empty": (lambda _: "", Reason.PEM_MISSING),
    "blank": (lambda _: " \n ", Reason.PEM_MISSING),
    "empty quotes": (lambda _: '""', Reason.PEM_MISSING),
    "private key": (private, Reason.PEM_PRIVATE_KEY),
    "PKCS#1 private key": (lambda i: private(i, PrivateFormat.TraditionalOpenSSL), Reason.PEM_PRIVATE_KEY),
    "escaped private key": (lambda i: private(i).replace("\n", "\\n"), Reason.PEM_PRIVATE_KEY),
    "private key in base64": (lambda i: b64encode(private(i).encode()).decode(), Reason.PEM_PRIVATE_KEY),
    "private JWK": (lambda i: json.dumps(i.jwk() | {"d": "AQAB"}), Reason.PEM_PRIVATE_KEY),
    "private JWKS": (lambda i: json.dumps({"keys": [i.jwk(), i.jwk() | {"d": "AQAB"}]}), Reason.PEM_PRIVATE_KEY),
    "shared secret": (lambda _: '{"kty":"oct","k":"AQAB"}', Reason.PEM_PRIVATE_KEY),
    "certificate": (
        lambda _: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        Reason.PEM_UNREADABLE,
    ),
    "secret key": (lambda _: "sk_test_abcdefgh", Reason.PEM_UNREADABLE),
    "publishable key": (lambda _: "pk_test_abcdefgh", Reason.PEM_UNREADABLE),
    "URL": (lambda _: "https://clerk.example.com/.well-known/jwks.json", Reason.PEM_UNREADABLE),
    "a token": (lambda i: i.token(), Reason.PEM_UNREADABLE),
    "a word": (lambda _: "null", Reason.PEM_UNREADABLE),
    "a path": (lambda _: "/etc/clerk.pem", Reason.PEM_UNREADABLE),
    "cut at the end": (lambda i: i.pem()[:200], Reason.PEM_UNREADABLE),
    "cut in the middle": (lambda i: i.pem()[:100] + i.pem()[140:], Reason.PEM_UNREADABLE),
    "wrong end": (lambda i: i.pem().replace("END PUBLIC", "END RSA PUBLIC"), Reason.PEM_UNREADABLE),
    "too large": (lambda i: i.pem() + " " * 65_536, Reason.PEM_UNREADABLE),
    "base64 of nothing": (lambda _: b64encode(b"hello world, this is no key").decode(), Reason.PEM_UNREADABLE),
    "broken JSON": (lambda _: '{"kty":"RSA"', Reason.PEM_UNREADABLE),
    "other JSON": (lambda _: '{"a":1}', Reason.PEM_UNREADABLE),
    "deep JSON": (lambda _: '{"a":' * 9000, Reason.PEM_UNREADABLE),
    "surrogates": (lambda _: "\ud800", Reason.PEM_UNREADABLE),
    "NUL": (lambda i: i.pem().replace("A", "\0", 1), Reason.PEM_UNREADABLE),
    "not ASCII": (lambda i: i.pem()[:60] + "\u00e9" + i.pem()[61:], Reason.PEM_UNREADABLE),
    "EC key": (lambda _: spki(ec.generate_private_key(ec.SECP256R1()).public_key()), Reason.PEM_NOT_RSA),
    "Ed25519 key": (lambda _: spki(ed25519.Ed25519PrivateKey.generate().public_key()), Reason.PEM_NOT_RSA),
    "EC JWK": (lambda _: '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', Reason.PEM_NOT_RSA),
    "no keys": (lambda _: '{"keys":[]}', Reason.PEM_NOT_RSA),
    "weak key": (
        lambda _: spki(generate_private_key(65537, 1024).public_key()),  # noqa: S505 - its weakness is what is tried
        Reason.PEM_WEAK_KEY,
    ),
    "weak JWK": (lambda _: '{"kty":"RSA","n":"AQAB","e":"AQAB"}', Reason.PEM_WEAK_KEY),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_refused(instance: Instance, form: str) -> None:
    """Each other text is refused with its reason, and no message holds any of it."""
    make, expected = REFUSED[form]
    text = make(instance)
    with pytest.raises(KeyProblem) as caught:
        read_verification_key(text)
    assert caught.value.reason is expected
    assert not any(len(line) > 20 and line in str(caught.value) for line in text.splitlines())


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("join", ["\n", ""])
def test_a_private_key_without_its_lines_is_refused_as_one(instance: Instance, form: PrivateFormat, join: str) -> None:
    """The body alone of a private key is as secret as the whole: the message must say so, not 'cut or altered'."""
    text = join.join(body(private(instance, form)).splitlines())
    with pytest.raises(KeyProblem) as caught:
        read_verification_key(text)
    assert caught.value.reason is Reason.PEM_PRIVATE_KEY


def test_two_keys_are_ambiguous(instance: Instance, other_instance: Instance) -> None:
    """A set of two, where one key is meant, is refused: none is taken at random."""
    with pytest.raises(KeyProblem) as caught:
        read_verification_key(json.dumps({"keys": [instance.jwk(), other_instance.jwk()]}))
    assert caught.value.reason is Reason.PEM_NOT_RSA


def test_two_blocks_are_ambiguous(instance: Instance, other_instance: Instance) -> None:
    """Two PEM blocks in one setting are refused as well."""
    with pytest.raises(KeyProblem):
        read_verification_key(instance.pem() + other_instance.pem())
