"""Which published keys may verify, entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from alwrity_checks.auth.jwk import key_set, thumbprint, weakness
from alwrity_checks.auth.mint import ABSENT, base64url
from alwrity_checks.auth.reasons import Reason

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance

ROCA_MODULUS_PRIMES = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip
"""The first 38 odd primes: their product is the M of the weak generator (Nemec et al., CCS 2017, section 2)."""


def number(value: int) -> str:
    """Encode as RFC 7518 section 6.3.1 says."""
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def entry(instance: Instance, **changes: object) -> dict[str, Any]:
    """Return the instance's JWK, changed."""
    return {name: value for name, value in (instance.jwk() | changes).items() if value is not ABSENT}


def dropped(jwk: object) -> Reason | None:
    """Return why an entry is left out; None if it is used."""
    keys = key_set({"keys": [jwk]})
    assert len(keys.keys) + len(keys.dropped) == 1
    return keys.dropped[0].reason if keys.dropped else None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use": ABSENT},
        {"alg": ABSENT},
        {"kid": ABSENT},
        {"key_ops": ["verify"]},
        {"key_ops": ["verify", "encrypt"]},
        {"x5t": "abc", "unknown": {"a": 1}},
        {"use": None, "alg": None, "kid": None},
    ],
)
def test_usable_entries(instance: Instance, changes: dict[str, object]) -> None:
    """What is absent does not forbid; members that are not known are ignored."""
    assert dropped(entry(instance, **changes)) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"use": "enc"}, Reason.JWKS_NO_RSA),
        ({"use": ""}, Reason.JWKS_NO_RSA),
        ({"use": ["sig"]}, Reason.JWKS_NO_RSA),
        ({"key_ops": ["sign"]}, Reason.JWKS_NO_RSA),
        ({"key_ops": []}, Reason.JWKS_NO_RSA),
        ({"key_ops": "verify"}, Reason.JWKS_NO_RSA),
        ({"key_ops": None}, Reason.JWKS_NO_RSA),
        ({"key_ops": {"verify": 1}}, Reason.JWKS_NO_RSA),
        ({"alg": "RS384"}, Reason.JWKS_NO_RSA),
        ({"alg": "PS256"}, Reason.JWKS_NO_RSA),
        ({"alg": "RSA-OAEP"}, Reason.JWKS_NO_RSA),
        ({"alg": "HS256"}, Reason.JWKS_NO_RSA),
        ({"alg": 7}, Reason.JWKS_NO_RSA),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, Reason.JWKS_NO_RSA),
        ({"kty": "OKP"}, Reason.JWKS_NO_RSA),
        ({"kty": "rsa"}, Reason.JWKS_NO_RSA),
        ({"kty": ABSENT}, Reason.JWKS_NO_RSA),
        ({"kty": ["RSA"]}, Reason.JWKS_NO_RSA),
        ({"kty": "oct", "k": "c2VjcmV0"}, Reason.JWKS_SECRET_MATERIAL),
        *(({name: "AQAB"}, Reason.JWKS_SECRET_MATERIAL) for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")),
        ({"kid": ""}, Reason.JWKS_NO_RSA),
        ({"kid": 7}, Reason.JWKS_NO_RSA),
        ({"kid": ["a"]}, Reason.JWKS_NO_RSA),
        ({"n": ABSENT}, Reason.JWKS_NO_RSA),
        ({"n": ""}, Reason.JWKS_WEAK_KEY),
        ({"n": 7}, Reason.JWKS_NO_RSA),
        ({"n": "!!!!"}, Reason.JWKS_NO_RSA),
        ({"n": "AQA="}, Reason.JWKS_NO_RSA),
        ({"n": "\u00e9"}, Reason.JWKS_NO_RSA),
        ({"n": "\ud800"}, Reason.JWKS_NO_RSA),
        ({"e": ABSENT}, Reason.JWKS_NO_RSA),
        ({"e": ""}, Reason.JWKS_WEAK_KEY),
        ({"e": 65537}, Reason.JWKS_NO_RSA),
        ({"e": number(1)}, Reason.JWKS_WEAK_KEY),
        ({"e": number(2)}, Reason.JWKS_WEAK_KEY),
        ({"e": number(65536)}, Reason.JWKS_WEAK_KEY),
        ({"e": "AA"}, Reason.JWKS_WEAK_KEY),
        ({"e": number((1 << 64) + 1)}, Reason.JWKS_WEAK_KEY),
        ({"n": number((1 << 2047) + 2)}, Reason.JWKS_WEAK_KEY),
        ({"n": number((1 << 2046) + 1)}, Reason.JWKS_WEAK_KEY),
        ({"n": number((1 << 8192) + 1)}, Reason.JWKS_WEAK_KEY),
        ({"n": "A" * 1_000_000}, Reason.JWKS_WEAK_KEY),
    ],
    ids=lambda value: str(value)[:30],
)
def test_entries_that_are_left_out(instance: Instance, changes: dict[str, object], expected: Reason) -> None:
    """Each thing that forbids a key to verify has its reason."""
    assert dropped(entry(instance, **changes)) is expected


@pytest.mark.parametrize("value", [None, 7, "text", [], [["kty", "RSA"]], True])
def test_entries_that_are_no_objects(value: object) -> None:
    """What is no object is left out, not an error."""
    assert dropped(value) is Reason.JWKS_NO_RSA


@pytest.mark.parametrize("bits", [1024, 2047])
def test_short_keys(bits: int) -> None:
    """Real keys below 2048 bits are too weak."""
    numbers = generate_private_key(65537, bits).public_key().public_numbers()
    assert dropped({"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}) is Reason.JWKS_WEAK_KEY


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_long_keys(bits: int) -> None:
    """Real keys of ordinary sizes are used."""
    numbers = generate_private_key(65537, bits).public_key().public_numbers()
    assert dropped({"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}) is None


def test_exponent_3_is_allowed() -> None:
    """A small odd exponent is old-fashioned, not broken, for a signature that is checked strictly."""
    numbers = generate_private_key(3, 2048).public_key().public_numbers()
    assert dropped({"kty": "RSA", "n": number(numbers.n), "e": number(3)}) is None


@pytest.mark.parametrize("exponent", [1, 2, 3, 1000, 123456789])
def test_the_roca_fingerprint(exponent: int) -> None:
    """A modulus of the weak generator's form, k * M + 65537^a mod M, is refused whatever a is."""
    product = 1
    for prime in ROCA_MODULUS_PRIMES:
        product *= prime
    modulus = ((1 << 2047) // product + 2 * exponent) * product + pow(65537, exponent, product)
    modulus += product if modulus % 2 == 0 else 0
    assert modulus.bit_length() == 2048
    assert "ROCA" in weakness(modulus, 65537)
    assert dropped({"kty": "RSA", "n": number(modulus), "e": "AQAB"}) is Reason.JWKS_WEAK_KEY


def test_ordinary_keys_have_no_roca_fingerprint(instance: Instance, other_instance: Instance) -> None:
    """Keys of an ordinary generator pass."""
    for one in (instance, other_instance):
        numbers = one.private_key.public_key().public_numbers()
        assert weakness(numbers.n, numbers.e) == ""


def test_one_kid_twice(instance: Instance, other_instance: Instance) -> None:
    """Two keys of one kid are both kept, in their order."""
    impostor = other_instance.jwk() | {"kid": instance.kid}
    keys = key_set({"keys": [instance.jwk(), impostor]})
    assert [len(found) for found in keys.by_kid.values()] == [2]
    assert len({key.thumbprint for key in keys.keys}) == 2


def test_a_mixed_set(instance: Instance, other_instance: Instance) -> None:
    """Good entries are used, the others are named with their kid or their position."""
    keys = key_set({"keys": [None, {"kty": "EC", "kid": "ec"}, instance.jwk(), other_instance.jwk()]})
    assert set(keys.by_kid) == {instance.kid, other_instance.kid}
    assert [(one.kid, one.reason) for one in keys.dropped] == [("#0", Reason.JWKS_NO_RSA), ("ec", Reason.JWKS_NO_RSA)]


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": "x"}, {"keys": {}}, {"keys": 7}, {"a": []}])
def test_what_is_no_key_set(document: dict[str, Any]) -> None:
    """A document without a list of keys, or with a list of more than 100, is no key set."""
    with pytest.raises(ValueError, match="JWKS"):
        key_set(document)
    with pytest.raises(ValueError, match="100"):
        key_set({"keys": [{}] * 101})


def test_a_single_jwk_is_a_set_of_one(instance: Instance) -> None:
    """A JWK may stand for a set."""
    assert [key.kid for key in key_set(instance.jwk()).keys] == [instance.kid]


def test_a_set_keeps_the_objects_of_equal_keys(instance: Instance, other_instance: Instance) -> None:
    """Equal keys stay the same tuple over a refresh, changed ones do not."""
    old = key_set({"keys": [instance.jwk(), other_instance.jwk()]})
    swapped = other_instance.jwk() | {"kid": instance.kid}
    new = key_set({"keys": [swapped, other_instance.jwk()]}).keeping(old)
    assert new.by_kid[other_instance.kid] is old.by_kid[other_instance.kid]
    assert new.by_kid[instance.kid] is not old.by_kid[instance.kid]
    assert new.keeping(None) is new


def test_thumbprints(instance: Instance, other_instance: Instance) -> None:
    """Equal for equal keys whatever their kid, different for different ones."""
    mine, renamed = key_set(instance.jwk()).keys[0], key_set(entry(instance, kid="x")).keys[0]
    assert mine.thumbprint == renamed.thumbprint
    assert mine.thumbprint != key_set(other_instance.jwk()).keys[0].thumbprint
    assert thumbprint(0x12, 0x3) != thumbprint(0x1, 0x23)


def test_no_message_holds_private_material(instance: Instance) -> None:
    """What is said of an entry that holds a secret does not repeat it."""
    keys = key_set({"keys": [entry(instance, d="supersecretvalue"), {"kty": "oct", "k": "supersecretvalue"}]})
    assert "supersecretvalue" not in repr(keys.dropped)
