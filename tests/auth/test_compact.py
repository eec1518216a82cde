"""The JWS layer against the classes of attack that are known on it; each must end in its own reason."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alwrity_checks.auth.compact import MAX_TOKEN_BYTES, parse_compact, verify_compact
from alwrity_checks.auth.jwk import key_set
from alwrity_checks.auth.mint import ABSENT, base64url
from alwrity_checks.auth.reasons import Reason
from tests.support.tokens import reason, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from alwrity_checks.auth.mint import Instance

RFC_7515_A2_KEY = {
    "kty": "RSA",
    "e": "AQAB",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-p"
        "CgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg"
        "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FR"
        "WyuXpoQ"
    ),
}
RFC_7515_A2 = (
    "eyJhbGciOiJSUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1"
    "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDw"
    "usC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77R"
    "w"
)
RFC_7520_41_KEY = {
    "kty": "RSA",
    "kid": "bilbo.baggins@hobbiton.example",
    "use": "sig",
    "e": "AQAB",
    "n": (
        "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVw"
        "GU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3"
        "uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gH"
        "drNP5zw"
    ),
}
RFC_7520_41_PAYLOAD = (
    "It\u2019s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your "
    "feet, there\u2019s no knowing where you might be swept off to."
)
RFC_7520_41 = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9"
    f".{base64url(RFC_7520_41_PAYLOAD.encode())}"
    ".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA7"
    "8185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLu"
    "W3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquD"
    "g"
)

PSS_PADDING = PSS(MGF1(SHA256()), 32)


def forged(instance: Instance, header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token with genuine claims under `header`, with whatever signature `sign` makes."""
    signing_input = ".".join(base64url(json.dumps(part).encode()) for part in (header, instance.claims()))
    return f"{signing_input}.{base64url(sign(signing_input.encode()))}"


def test_rfc_7515_appendix_a2() -> None:
    """The RS256 example of RFC 7515 verifies, and its payload comes back byte for byte."""
    assert verify_compact(RFC_7515_A2, RFC_7515_A2_KEY) == (
        b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
    )


@pytest.mark.parametrize("jwks", [RFC_7520_41_KEY, {"keys": [RFC_7515_A2_KEY, RFC_7520_41_KEY]}])
def test_rfc_7520_section_4_1(jwks: dict[str, Any]) -> None:
    """The cookbook's RS256 example verifies although its payload is prose, alone and out of a set of two."""
    assert verify_compact(RFC_7520_41, jwks).decode() == RFC_7520_41_PAYLOAD


@pytest.mark.parametrize("payload", [b"null", b"[]", b'"text"', b"\xff\xfe", b"\x00", b"not JSON"])
def test_the_payload_is_not_looked_at(instance: Instance, payload: bytes) -> None:
    """The JWS layer returns any payload as it was signed."""
    assert verify_compact(signed(instance, instance.header(), payload), instance.jwks()) == payload


def test_bytes_are_as_good_as_text(instance: Instance) -> None:
    """A token may be given as ASCII bytes."""
    token = instance.token()
    assert verify_compact(token.encode(), instance.jwks()) == verify_compact(token, instance.jwks())


@pytest.mark.parametrize(
    "extra",
    [
        {"oiat": 1},
        {"cat": "cl_I7d4PD111III"},
        {"x5t": "abc"},
        {"new": {"deep": [1, None]}},
        {"alG": "none"},
        {"ALG": 1},
    ],
)
def test_unknown_header_parameters_are_ignored(instance: Instance, extra: dict[str, object]) -> None:
    """Clerk may add header parameters over time, and a verifier must ignore those it does not know."""
    assert verify_compact(instance.token(header=extra), instance.jwks())


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        *((name, Reason.ALG_NONE) for name in ("none", "None", "NONE", "nOnE")),
        *((name, Reason.ALG_SYMMETRIC) for name in ("HS256", "HS384", "HS512", "hs256")),
        *(
            (value, Reason.TOKEN_INVALID_ALGORITHM)
            for value in ("", None, [], ["RS256"], {"alg": "RS256"}, 256, True, "RS384", "RS512", "PS256", "ES256")
        ),
        *(
            (value, Reason.TOKEN_INVALID_ALGORITHM)
            for value in ("EdDSA", "rs256", "RS256 ", "RS256\x00", "RS2560", "\ud800", ABSENT)
        ),
    ],
)
def test_only_rs256_counts(instance: Instance, algorithm: object, expected: Reason) -> None:
    """Any other algorithm is refused by name, even with a signature that RS256 would accept."""
    token = instance.token(header={"alg": algorithm})
    assert reason(lambda: verify_compact(token, instance.jwks())) is expected


def secrets_of(instance: Instance) -> dict[str, bytes]:
    """Return every text of the public key that a careless verifier takes for a shared secret."""
    public_key = instance.private_key.public_key()
    pem = instance.pem()
    return {
        "PEM": pem.encode(),
        "PEM without line end": pem.strip().encode(),
        "PEM body": "".join(pem.splitlines()[1:-1]).encode(),
        "DER": public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(instance.jwk()).encode(),
        "modulus": instance.jwk()["n"].encode(),
        "nothing": b"",
    }


@pytest.mark.parametrize("form", ["PEM", "PEM without line end", "PEM body", "DER", "JWK", "modulus", "nothing"])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
def test_the_public_key_is_no_shared_secret(instance: Instance, form: str, algorithm: str) -> None:
    """An HMAC keyed with any text of the public key is refused, under its own name and under RS256."""
    secret = secrets_of(instance)[form]
    token = forged(
        instance, instance.header(alg=algorithm), lambda data: hmac.digest(secret or b"\0", data, hashlib.sha256)
    )
    expected = Reason.ALG_SYMMETRIC if algorithm == "HS256" else Reason.TOKEN_INVALID_SIGNATURE
    assert reason(lambda: verify_compact(token, instance.jwks())) is expected


def wrong_signatures(instance: Instance) -> dict[str, Callable[[bytes], bytes]]:
    """Return ways to make a signature that is none, or not an RS256 one by this key."""
    private_key = instance.private_key
    numbers = private_key.private_numbers()
    modulus, size = numbers.public_numbers.n, 256

    def raw(block: bytes) -> bytes:
        return pow(int.from_bytes(block, "big"), numbers.d, modulus).to_bytes(size, "big")

    def digest_info(data: bytes) -> bytes:
        return bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()

    def padded(info: bytes, tail: bytes = b"") -> bytes:
        return b"\x00\x01" + b"\xff" * (size - 3 - len(info) - len(tail)) + b"\x00" + info + tail

    def genuine(data: bytes) -> bytes:
        return private_key.sign(data, PKCS1v15(), SHA256())

    return {
        "PSS": lambda data: private_key.sign(data, PSS_PADDING, SHA256()),
        "SHA-384": lambda data: private_key.sign(data, PKCS1v15(), SHA384()),
        "SHA-512": lambda data: private_key.sign(data, PKCS1v15(), SHA512()),
        "digest of a digest": lambda data: private_key.sign(
            hashlib.sha256(hashlib.sha256(data).digest()).digest(), PKCS1v15(), Prehashed(SHA256())
        ),
        "truncated": lambda data: genuine(data)[:-1],
        "extended": lambda data: genuine(data) + b"\x00",
        "zero in front": lambda data: b"\x00" + genuine(data),
        "first bit": lambda data: bytes([genuine(data)[0] ^ 0x80]) + genuine(data)[1:],
        "last bit": lambda data: genuine(data)[:-1] + bytes([genuine(data)[-1] ^ 1]),
        "zeros": lambda _: bytes(size),
        "one": lambda _: bytes(size - 1) + b"\x01",
        "ones": lambda _: b"\xff" * size,
        "the modulus": lambda _: modulus.to_bytes(size, "big"),
        "plus modulus": lambda data: (int.from_bytes(genuine(data), "big") + modulus).to_bytes(size + 1, "big"),
        "one byte": lambda _: b"\x00",
        "short padding": lambda data: raw(b"\x00\x01" + b"\xff" * 8 + b"\x00" + digest_info(data) + bytes(194)),
        "garbage in the padding": lambda data: raw(b"\x00\x01" + b"\xfe" + padded(digest_info(data))[3:]),
        "block type 2": lambda data: raw(b"\x00\x02" + padded(digest_info(data))[2:]),
        "without NULL": lambda data: raw(
            padded(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + hashlib.sha256(data).digest())
        ),
        "without DigestInfo": lambda data: raw(padded(hashlib.sha256(data).digest())),
        "of nothing": lambda _: genuine(b""),
        "elliptic curve": lambda data: ec.generate_private_key(ec.SECP256R1()).sign(data, ec.ECDSA(SHA256())),
        "Ed25519": lambda data: ed25519.Ed25519PrivateKey.generate().sign(data),
    }


WRONG_SIGNATURES = (
    "PSS", "SHA-384", "SHA-512", "digest of a digest", "truncated", "extended", "zero in front", "first bit",
    "last bit",
    "zeros", "one", "ones", "the modulus", "plus modulus", "one byte", "short padding", "garbage in the padding",
    "block type 2", "without NULL", "without DigestInfo", "of nothing", "elliptic curve", "Ed25519",
)  # fmt: skip


def test_every_wrong_signature_is_tried(instance: Instance) -> None:
    """The list of names above and the ways to make them are the same."""
    assert set(WRONG_SIGNATURES) == set(wrong_signatures(instance))


@pytest.mark.parametrize("name", WRONG_SIGNATURES)
def test_a_wrong_signature_is_called_one(instance: Instance, name: str) -> None:
    """Nothing but RSASSA-PKCS1-v1_5 with SHA-256 in its one encoding is a signature."""
    token = forged(instance, instance.header(), wrong_signatures(instance)[name])
    assert reason(lambda: verify_compact(token, instance.jwks())) is Reason.TOKEN_INVALID_SIGNATURE


def test_another_key_under_the_genuine_kid(instance: Instance, other_instance: Instance) -> None:
    """A signature by a key of one's own is refused whatever kid it claims."""
    token = other_instance.sign(instance.header(), instance.claims())
    assert reason(lambda: verify_compact(token, instance.jwks())) is Reason.TOKEN_INVALID_SIGNATURE


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
@pytest.mark.parametrize("genuine", [True, False])
def test_a_key_in_the_header_is_refused(
    instance: Instance, other_instance: Instance, member: str, *, genuine: bool
) -> None:
    """An embedded key or the address of one is refused as such, even under a good signature."""
    signer = instance if genuine else other_instance
    value: object = {"jwk": other_instance.jwk(), "x5c": ["MIIB"]}.get(member, "https://evil.example/keys")
    token = signer.sign(instance.header(**{member: value}), instance.claims())
    assert reason(lambda: verify_compact(token, instance.jwks())) is Reason.EMBEDDED_KEY


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"crit": ["exp"], "exp": 1}, Reason.CRIT_UNSUPPORTED),
        ({"crit": []}, Reason.CRIT_UNSUPPORTED),
        ({"crit": "b64"}, Reason.CRIT_UNSUPPORTED),
        ({"crit": None}, Reason.CRIT_UNSUPPORTED),
        ({"crit": ["b64"], "b64": False}, Reason.CRIT_UNSUPPORTED),
        ({"b64": False}, Reason.B64_UNSUPPORTED),
        ({"b64": True}, Reason.B64_UNSUPPORTED),
        ({"kid": None}, Reason.HEADER_INVALID),
        ({"kid": 7}, Reason.HEADER_INVALID),
        ({"kid": ["ins_1"]}, Reason.HEADER_INVALID),
        ({"kid": {"a": 1}}, Reason.HEADER_INVALID),
        ({"kid": ABSENT}, Reason.KID_MISSING),
        ({"kid": ""}, Reason.KID_MISSING),
    ],
)
def test_header_policy(instance: Instance, header: dict[str, object], expected: Reason) -> None:
    """Extensions that change what is signed are refused, and so is a kid that is not text."""
    assert reason(lambda: verify_compact(instance.token(header=header), instance.jwks())) is expected


@pytest.mark.parametrize(
    "mutate",
    [
        lambda kid: kid.upper(),
        lambda kid: f"{kid} ",
        lambda kid: f" {kid}",
        lambda kid: f"{kid}\x00",
        lambda kid: kid[:-1],
        lambda kid: f"{kid}{kid}",
        lambda _: "ins_unknown",
        lambda _: "../../../../dev/null",
        lambda _: "' OR '1'='1",
        lambda _: "x" * 5000,
        lambda _: "\ud800",
        lambda _: "*",
        lambda _: "0",
    ],
)
def test_a_kid_fits_exactly_or_not_at_all(instance: Instance, mutate: Callable[[str], str]) -> None:
    """A kid is compared as a whole; no key is tried for one that is not in the set."""
    token = instance.token(header={"kid": mutate(instance.kid)})
    assert reason(lambda: verify_compact(token, instance.jwks())) is Reason.JWK_KID_MISMATCH


def test_two_keys_of_one_kid_are_both_tried(instance: Instance, other_instance: Instance) -> None:
    """A set may hold one kid twice; the token verifies whichever of the two made it, and only then."""
    impostor = other_instance.jwk() | {"kid": instance.kid}
    for entries in ([impostor, instance.jwk()], [instance.jwk(), impostor]):
        assert verify_compact(instance.token(), {"keys": entries})
    assert reason(lambda: verify_compact(instance.token(), {"keys": [impostor]})) is Reason.TOKEN_INVALID_SIGNATURE


def test_no_key_is_tried_at_random(instance: Instance) -> None:
    """A set of one key without a kid does not verify a token that names one: only a single JWK may do that."""
    nameless = {name: value for name, value in instance.jwk().items() if name != "kid"}
    assert reason(lambda: verify_compact(instance.token(), {"keys": [nameless]})) is Reason.JWK_KID_MISMATCH
    assert verify_compact(instance.token(), nameless)
    assert verify_compact(instance.token(header={"kid": ABSENT}), instance.jwk())


def test_a_key_set_object_serves_as_well(instance: Instance) -> None:
    """A set that was read before need not be read again."""
    assert verify_compact(instance.token(), key_set(instance.jwks()))


@pytest.mark.parametrize(
    ("jwks", "expected"),
    [
        ({}, Reason.JWKS_NOT_JSON),
        ({"keys": None}, Reason.JWKS_NOT_JSON),
        ({"keys": "text"}, Reason.JWKS_NOT_JSON),
        ({"keys": {}}, Reason.JWKS_NOT_JSON),
        ({"keys": []}, Reason.JWKS_EMPTY),
        ({"keys": [{"kty": "oct", "k": "AA"}]}, Reason.JWKS_SECRET_MATERIAL),
        ({"keys": [{"kty": "EC"}]}, Reason.JWKS_NO_RSA),
        ({"keys": [None]}, Reason.JWKS_NO_RSA),
    ],
)
def test_an_unusable_key_set_refuses_the_token(instance: Instance, jwks: dict[str, Any], expected: Reason) -> None:
    """Without a usable key no token is accepted, and the reason names the key set."""
    assert reason(lambda: verify_compact(instance.token(), jwks)) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b'{"alg":"none","alg":"RS256"}', Reason.HEADER_DUPLICATE_KEY),
        (b'{"alg":"RS256","alg":"none"}', Reason.HEADER_DUPLICATE_KEY),
        (b'{"alg":"RS256","x":{"a":1,"a":2}}', Reason.HEADER_DUPLICATE_KEY),
        (b'{"alg":"RS256","al\\u0067":"none"}', Reason.HEADER_DUPLICATE_KEY),
        (b"null", Reason.HEADER_INVALID),
        (b"[]", Reason.HEADER_INVALID),
        (b'"RS256"', Reason.HEADER_INVALID),
        (b"1", Reason.HEADER_INVALID),
        (b"{", Reason.HEADER_INVALID),
        (b'{"alg":"RS256"} x', Reason.HEADER_INVALID),
        (b'{"alg":"RS256"}{}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256",}', Reason.HEADER_INVALID),
        (b"{'alg':'RS256'}", Reason.HEADER_INVALID),
        (b'{"alg":"RS256"/**/}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":"\x01"}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":NaN}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":-Infinity}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":01}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":' + b"9" * 5000 + b"}", Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":' + b"[" * 2500 + b"]" * 2500 + b"}", Reason.HEADER_INVALID),
        (b'\xef\xbb\xbf{"alg":"RS256"}', Reason.HEADER_INVALID),
        ('{"alg":"RS256"}'.encode("utf-16"), Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":"\xff"}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":"\xed\xa0\x80"}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256","x":"\xc0\x80"}', Reason.HEADER_INVALID),
        (b'{"alg":"RS256"}\x00', Reason.HEADER_INVALID),
    ],
)
def test_the_header_is_strict_json(instance: Instance, header: bytes, expected: Reason) -> None:
    """A header has one meaning for every parser, or it is refused; a good signature does not help."""
    assert reason(lambda: verify_compact(signed(instance, header, {}), instance.jwk())) is expected


def spoil(token: str, part: int, change: Callable[[str], str]) -> str:
    """Return `token` with one of its three parts changed."""
    parts = token.split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"{text}=",
        lambda text: f"{text}==",
        lambda text: f"{text}\n",
        lambda text: f"{text[:8]}\n{text[8:]}",
        lambda text: f"{text[:8]} {text[8:]}",
        lambda text: f"{text[:8]}+{text[9:]}",
        lambda text: f"{text[:8]}/{text[9:]}",
        lambda text: f"{text[:8]}%2B{text[9:]}",
        lambda text: f"{text[:8]}\u212a{text[9:]}",
        lambda text: f"{text[:8]}\x00{text[9:]}",
        lambda text: f"{text[:8]}\ud800{text[9:]}",
    ],
)
def test_no_character_beyond_base64url(instance: Instance, part: int, change: Callable[[str], str]) -> None:
    """Padding, the standard alphabet, white space and everything else is refused in each part."""
    token = spoil(instance.token(), part, change)
    assert reason(lambda: verify_compact(token, instance.jwks())) in {Reason.TOKEN_NOT_JWT, Reason.TOKEN_WRAPPED}


@pytest.mark.parametrize(
    ("part", "expected"),
    [(0, Reason.HEADER_INVALID), (1, Reason.ENCODING_INVALID), (2, Reason.SIGNATURE_NONCANONICAL)],
)
def test_one_spelling_for_each_value(instance: Instance, part: int, expected: Reason) -> None:
    """A last character with unused bits, and a length no text has, are refused in each part."""
    header = b'{"alg":"RS256","kid":"' + instance.kid.encode() + b'"'
    # Both parts are brought to a length that leaves unused bits.
    token = signed(instance, header + b" " * (2 - (len(header) + 1) % 3) + b"}" + b" " * 2, b"x" * 64)
    for index in (0, 1, 2):
        assert len(token.split(".")[index]) % 4 in {0, 2, 3}
    text = token.split(".")[part]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    if len(text) % 4:
        sibling = alphabet[alphabet.index(text[-1]) ^ 1]
        altered = spoil(token, part, lambda old: old[:-1] + sibling)
        assert reason(lambda: verify_compact(altered, instance.jwk())) is expected
    impossible = spoil(token, part, lambda old: old + "A" * (1 + (-len(old)) % 4))
    assert reason(lambda: verify_compact(impossible, instance.jwk())) is expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (None, Reason.TOKEN_MISSING),
        ("", Reason.TOKEN_MISSING),
        (b"", Reason.TOKEN_MISSING),
        ("   ", Reason.TOKEN_MISSING),
        (7, Reason.TOKEN_NOT_JWT),
        (True, Reason.TOKEN_NOT_JWT),
        ([], Reason.TOKEN_NOT_JWT),
        ({"token": "x"}, Reason.TOKEN_NOT_JWT),
        (bytearray(b"a.b.c"), Reason.TOKEN_NOT_JWT),
        ("a", Reason.TOKEN_NOT_JWT),
        ("a.b", Reason.TOKEN_NOT_JWT),
        ("a.b.c.d", Reason.TOKEN_NOT_JWT),
        ("..", Reason.TOKEN_NOT_JWT),
        ("a..c", Reason.TOKEN_NOT_JWT),
        ("a.b.", Reason.TOKEN_NOT_JWT),
        ("\u2024".join("abc"), Reason.TOKEN_NOT_JWT),
        ("a\u3002b\u3002c", Reason.TOKEN_NOT_JWT),
        ('{"payload":"e30","signatures":[]}', Reason.TOKEN_NOT_JWT),
        ("eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d", Reason.TOKEN_IS_JWE),
        (b"\xff\xfe", Reason.TOKEN_NOT_JWT),
        ("\ud800", Reason.TOKEN_NOT_JWT),
    ],
)
def test_what_is_no_compact_jws(instance: Instance, token: Any, expected: Reason) -> None:  # noqa: ANN401 - any at all
    """Whatever is handed over, the answer is a rejection that names its form."""
    assert reason(lambda: verify_compact(token, instance.jwks())) is expected


def test_a_detached_payload_is_refused(instance: Instance) -> None:
    """A token whose payload was taken out (RFC 7515 appendix F) is no compact JWS."""
    token = spoil(instance.token(), 1, lambda _: "")
    assert reason(lambda: verify_compact(token, instance.jwks())) is Reason.TOKEN_NOT_JWT


def test_an_unsecured_token_is_refused(instance: Instance) -> None:
    """A token without a signature is refused by form, with a signature of nothing it is refused by algorithm."""
    unsigned = forged(instance, instance.header(alg="none"), lambda _: b"")
    assert reason(lambda: verify_compact(unsigned, instance.jwks())) in {Reason.TOKEN_NOT_JWT, Reason.ALG_NONE}
    filled = forged(instance, instance.header(alg="none"), lambda _: b"x")
    assert reason(lambda: verify_compact(filled, instance.jwks())) is Reason.ALG_NONE


@pytest.mark.parametrize("wrap", ["Bearer {}", '"{}"', " {}", "{}\n", "'{}'", "\ufeff{}", "__session={}"])
def test_a_wrapped_token_is_named_and_refused(instance: Instance, wrap: str) -> None:
    """A verifier does not unwrap: it says that the token came wrapped."""
    assert reason(lambda: verify_compact(wrap.format(instance.token()), instance.jwks())) is Reason.TOKEN_WRAPPED


def test_the_size_is_looked_at_first(instance: Instance) -> None:
    """One byte more than the limit is refused whatever it is; a genuine token of exactly the limit is accepted."""
    empty = len(signed(instance, instance.header(), b""))
    token = signed(instance, instance.header(), b"x" * ((MAX_TOKEN_BYTES - empty) * 3 // 4))
    assert MAX_TOKEN_BYTES - 1 <= len(token) <= MAX_TOKEN_BYTES
    assert verify_compact(token, instance.jwks())
    assert reason(lambda: verify_compact(token, instance.jwks(), max_bytes=len(token) - 1)) is Reason.TOKEN_TOO_LARGE
    for large in ("x" * (MAX_TOKEN_BYTES + 1), b"\xff" * (1 << 20), "Bearer " * 100_000):
        assert reason(partial(verify_compact, large, instance.jwks())) is Reason.TOKEN_TOO_LARGE


def test_parsing_verifies_nothing_and_says_so(instance: Instance, other_instance: Instance) -> None:
    """`parse_compact` returns the parts of a token whoever signed it."""
    parsed = parse_compact(other_instance.sign(instance.header(), {"a": 1}))
    assert (parsed.kid, json.loads(parsed.payload)) == (instance.kid, {"a": 1})


def test_the_header_of_one_token_is_not_another_s(instance: Instance) -> None:
    """What a caller does with a parsed header changes nothing for the next token with the same header."""
    token = instance.token(header={"list": [1]})
    first = parse_compact(token)
    with pytest.raises(TypeError):
        first.header["alg"] = "none"  # type: ignore[index] # that it cannot be done is what is shown
    assert parse_compact(token).header["alg"] == "RS256"


def test_no_message_holds_the_token(instance: Instance) -> None:
    """What is said of a rejected token never repeats it: the text goes into logs."""
    token = instance.token()
    for spoilt in (
        spoil(token, 2, lambda text: f"{text[:-4]}AAAA"),
        f"Bearer {token}",
        f"{token}.x",
        b64encode(token.encode()).decode(),
    ):
        with pytest.raises(Exception, match=r"^[a-z-]+") as caught:
            verify_compact(spoilt, instance.jwks())
        assert all(part not in str(caught.value) for part in token.split("."))


@pytest.mark.parametrize("keys", [None, "text", b"bytes", 7, []])
def test_keys_that_are_none(instance: Instance, keys: Any) -> None:  # noqa: ANN401 - any at all
    """What is no JWK, JWKS or KeySet is a rejection too, whoever passes it."""
    assert reason(lambda: verify_compact(instance.token(), keys)) is Reason.JWKS_NOT_JSON
