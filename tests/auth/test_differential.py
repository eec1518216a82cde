"""The component beside PyJWT and joserfc: it may be stricter, it must never accept what either refuses.

Both peers are given the same key, issuer, audience policy and leeway. `iat` is required of neither: Clerk's rules make
it optional, and so do ours. joserfc's limits of size and of known header names are lifted; ours stand in for the one,
and Clerk's header parameter `cat` needs the other.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Final

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.compact import verify_compact
from alwrity_checks.auth.errors import TokenRejected
from alwrity_checks.auth.jwk import key_set
from alwrity_checks.auth.key_source import StaticKeys
from alwrity_checks.auth.mint import ABSENT, Instance
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from tests.support.tokens import signed

if TYPE_CHECKING:
    from collections.abc import Callable

INSTANCE: Final = Instance()
"""Made once: hypothesis runs a test's body many times, and a function-scoped fixture only once."""
OTHER: Final = Instance("https://bar-baz-7.clerk.accounts.dev", "ins_2otherInstance00000000000001")
LEEWAY: Final = 5
VERIFIER: Final = ClerkTokenVerifier(
    StaticKeys(key_set(INSTANCE.jwks())), ClaimPolicy(issuers=frozenset({INSTANCE.issuer})), cache_size=16
)
MODERATE: Final = settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])


class _Relaxed(JWSRegistry):
    max_header_length = max_payload_length = max_signature_length = 1 << 20


JOSERFC: Final = _Relaxed(algorithms=["RS256"], strict_check_header=False)
JOSERFC_KEY: Final = RSAKey.import_key(INSTANCE.jwk())
PYJWT_KEY: Final = INSTANCE.private_key.public_key()


def pyjwt_refuses(token: str) -> bool:
    """Whether PyJWT refuses the token."""
    try:
        jwt.decode(
            token, PYJWT_KEY, algorithms=["RS256"], issuer=INSTANCE.issuer, leeway=LEEWAY,
            options={"require": ["exp", "sub", "iss"]},
        )  # fmt: skip
    except (jwt.PyJWTError, ValueError, OverflowError, RecursionError, TypeError):
        return True
    return False


def joserfc_refuses(token: str) -> bool:
    """Whether joserfc refuses the token."""
    claims = joserfc_jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": INSTANCE.issuer},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        claims.validate(joserfc_jwt.decode(token, JOSERFC_KEY, registry=JOSERFC).claims)
    except (JoseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return True
    return False


def accepted(token: object) -> bool:
    """Whether the component accepts; anything but TokenRejected is an error of the test."""
    try:
        VERIFIER.verify_sync(token)  # type: ignore[arg-type] # what comes over the wire has no type
    except TokenRejected:
        return False
    return True


def compare(token: str) -> None:
    """Hold the three against each other."""
    if accepted(token):
        assert not pyjwt_refuses(token)
        assert not joserfc_refuses(token)


def test_all_three_accept_a_genuine_token() -> None:
    """The peers are configured so that the comparison means something: a genuine token passes all three."""
    token = INSTANCE.token()
    assert accepted(token)
    assert not pyjwt_refuses(token)
    assert not joserfc_refuses(token)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: OTHER.sign(INSTANCE.header(), INSTANCE.claims()), id="signature"),
        pytest.param(lambda: INSTANCE.token(exp=int(time.time()) - 60), id="exp"),
        pytest.param(lambda: INSTANCE.token(iss=OTHER.issuer), id="iss"),
        pytest.param(lambda: INSTANCE.token(header={"alg": "RS384"}), id="alg"),
        pytest.param(lambda: INSTANCE.token(sub=ABSENT), id="sub"),
    ],
)
def test_all_three_refuse_the_plain_faults(token: Callable[[], str]) -> None:
    """The peers are configured so that they do refuse."""
    made = token()
    assert not accepted(made)
    assert pyjwt_refuses(made)
    assert joserfc_refuses(made)


SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from([10**30, -(10**30), 1e308]),
)
JSON: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ODD: Final = st.just(ABSENT) | JSON
# Far from the edges: the three read the clock one after the other, and PyJWT cuts fractions off.
TIMES: Final = st.sampled_from((-86400, -60, -20, 0, 20, 60, 86400)) | st.floats(30, 1e6) | st.floats(-1e6, -30)


@st.composite
def claims(draw: st.DrawFn) -> dict[str, Any]:
    """Draw genuine claims with up to three of them replaced."""
    now = int(time.time())
    changes: dict[str, Any] = draw(
        st.dictionaries(
            st.sampled_from(
                (
                    "sub",
                    "iss",
                    "aud",
                    "exp",
                    "nbf",
                    "iat",
                    "jti",
                    "sid",
                    "azp",
                    "sts",
                    "act",
                    "o",
                    "handshake",
                    "custom",
                )
            ),
            ODD,
            max_size=2,
        )
    )
    if draw(st.booleans()):
        changes[draw(st.sampled_from(("exp", "nbf", "iat")))] = now + draw(TIMES)
    return INSTANCE.claims(**changes)


@st.composite
def headers(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a genuine header with up to two fields replaced."""
    names = st.sampled_from(("alg", "typ", "kid", "cat", "crit", "b64", "jwk", "jku", "x5c", "x5u", "zip", "new"))
    values = ODD | st.sampled_from(["none", "HS256", "RS256", "JWT", INSTANCE.kid, OTHER.kid, ["b64"], False])
    return INSTANCE.header(**draw(st.dictionaries(names, values, max_size=2)))


@pytest.mark.parametrize("name", ["cty", "x5t", "x5t#S256"])
@pytest.mark.parametrize("value", [None, 7, ["text"]])
def test_registered_header_parameters_have_their_type(name: str, value: object) -> None:
    """Joserfc refuses a registered parameter that is not text (RFC 7515 section 4.1), though nothing depends on it."""
    compare(INSTANCE.token(header={name: value}))


@MODERATE
@given(headers(), claims(), st.sampled_from((INSTANCE, INSTANCE, INSTANCE, OTHER)))
def test_mutated_headers_and_claims(header: dict[str, Any], payload: dict[str, Any], signer: Instance) -> None:
    """Signed tokens with odd headers and claims: nothing passes here that a peer refuses."""
    compare(signer.sign(header, payload))


@MODERATE
@given(st.one_of(st.binary(min_size=1, max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_signed_payloads_of_any_kind(payload: bytes) -> None:
    """A good signature over anything: no claims, no acceptance; `verify_compact` gives it back."""
    token = signed(INSTANCE, INSTANCE.header(), payload)
    compare(token)
    assert verify_compact(token, INSTANCE.jwks()) == payload


@MODERATE
@given(st.one_of(st.binary(max_size=120), JSON.map(lambda value: json.dumps(value).encode())))
def test_signed_headers_of_any_kind(header: bytes) -> None:
    """A good signature under any header: refused here wherever a peer refuses it."""
    compare(signed(INSTANCE, header, INSTANCE.claims()))


@MODERATE
@given(st.data())
def test_mutated_encodings(data: st.DataObject) -> None:
    """Characters replaced, put in, taken out and parts swapped in a genuine token: nothing passes but the token."""
    token = INSTANCE.token()
    mutated = list(token)
    for _ in range(data.draw(st.integers(1, 3))):
        if not mutated:  # a cut and a deletion can leave nothing
            break
        position = data.draw(st.integers(0, len(mutated) - 1))
        character = data.draw(st.sampled_from("A_-+/=. \n\x00é9") | st.characters())
        action = data.draw(st.sampled_from(("replace", "insert", "delete", "cut")))
        if action == "replace":
            mutated[position] = character
        elif action == "insert":
            mutated.insert(position, character)
        elif action == "delete":
            del mutated[position]
        else:
            del mutated[position + 1 :]
    text = "".join(mutated)
    assert accepted(text) is (text == token)
    compare(text)


@MODERATE
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6))
def test_random_parts(parts: list[bytes]) -> None:
    """Parts of random bytes, properly encoded and joined: always refused, never an error."""
    token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    assert not accepted(token)
    assert not accepted(token.encode())


@MODERATE
@given(st.one_of(st.text(), st.text(st.characters(categories=["Cs"])), st.binary(), JSON, st.complex_numbers()))
def test_anything_at_all(value: object) -> None:
    """Whatever comes in, of whatever type, the answer is a rejection."""
    assert not accepted(value)
    with pytest.raises(TokenRejected):
        verify_compact(value, INSTANCE.jwks())  # type: ignore[arg-type] # the point of the test


@pytest.mark.parametrize(
    "value",
    [
        None, 0, -1, 1.5, True, [], ["a.b.c"], {}, {"a": 1}, object(), b"", b"\x00" * 100, bytearray(b"a.b.c"),
        memoryview(b"a.b.c"), "\ud800.\udfff.\ud800", "a.b.c" * 10**6, b"." * 10**6, "." * 8192, "eyJ" + "." * 4,
        '"' * 8000, "Bearer " * 1000, "<" * 4000 + ">" * 4000, "authorization:" * 500, range(3), str, b"eyJ" * 9,
    ],
    ids=lambda value: f"{type(value).__name__} {repr(value)[:16]}".partition(" at 0x")[0],
)  # fmt: skip
def test_what_is_no_token(value: object) -> None:
    """Named oddities, each refused with a rejection by both entry points."""
    assert not accepted(value)
    with pytest.raises(TokenRejected):
        verify_compact(value, INSTANCE.jwks())  # type: ignore[arg-type] # the point of the test


@pytest.mark.parametrize(
    "part",
    [
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"a":' + b"9" * 5900 + b"}",
        b'{"a":1e' + b"9" * 5000 + b"}",
        b'{"a":"' + b"\\ud800" * 900 + b'"}',
        b'{"kid":"\\ud800","alg":"RS256"}',
    ],
    ids=lambda value: str(value)[:16],
)
def test_signed_oddities_in_either_part(part: bytes) -> None:
    """Deep nesting, numbers of thousands of digits and lone surrogates end as rejections, signed as they are."""
    assert not accepted(signed(INSTANCE, part, INSTANCE.claims()))
    assert not accepted(signed(INSTANCE, INSTANCE.header(), part))


def test_every_byte_counts() -> None:
    """Each single byte of a genuine token, replaced by each of several others, makes it refused."""
    token = INSTANCE.token()
    assert accepted(token)
    survivors = [
        (position, other)
        for position, character in enumerate(token)
        for other in ("A", "Q", "w", "_", ".", "=", chr(ord(character) ^ 1))
        if other != character and accepted(f"{token[:position]}{other}{token[position + 1 :]}")
    ]
    assert survivors == []


def test_every_missing_byte_counts() -> None:
    """Each single byte of a genuine token, taken out or doubled, makes it refused."""
    token = INSTANCE.token()
    for position in range(len(token)):
        assert not accepted(token[:position] + token[position + 1 :])
        assert not accepted(token[: position + 1] + token[position:])
