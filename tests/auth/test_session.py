"""What a verified session says, from both versions of the token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.errors import TokenRejected
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.session import Actor, Session
from tests.support.tokens import NOW, pinned, signed

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance


def session(**claims: object) -> Session:
    """Return a session with these claims."""
    return Session("user_1", "sess_1", "https://clerk.example.com", NOW, None, claims)


def test_the_claims_of_a_real_token(instance: Instance) -> None:
    """The fields are those of the token."""
    made = pinned(instance).verify_sync(instance.token(now=NOW, azp="https://app.example.com", email="a@example.com"))
    assert made.user_id == instance.claims()["sub"]
    assert made.session_id == instance.claims()["sid"]
    assert made.issuer == instance.issuer
    assert made.expires_at == NOW + 60
    assert made.authorized_party == "https://app.example.com"
    assert made.claim("email") == "a@example.com"
    assert made.claim("absent") is None
    assert not made.pending
    assert made.actor is None
    assert made.organization is None


def test_the_documented_example_of_permissions() -> None:
    """Features dashboard and teams, permissions manage and read, bitmaps 3 and 2 (clerk-docs session-tokens.mdx)."""
    found = session(
        o={"id": "org_1", "slg": "acme", "rol": "admin", "per": "manage,read", "fpm": "3,2"}, fea="o:dashboard,o:teams"
    ).organization
    assert found is not None
    assert (found.id, found.slug, found.role) == ("org_1", "acme", "org:admin")
    assert found.permissions == {"org:dashboard:manage", "org:dashboard:read", "org:teams:read"}


def test_version_1_carries_permissions_in_words() -> None:
    """The deprecated token lists them as they are."""
    found = session(
        org_id="org_1", org_slug="acme", org_role="org:member", org_permissions=["org:a:read", 7, None]
    ).organization
    assert found is not None
    assert (found.id, found.slug, found.role) == ("org_1", "acme", "org:member")
    assert found.permissions == {"org:a:read"}


@pytest.mark.parametrize(
    ("features", "permissions", "bitmaps", "expected"),
    [
        ("o:a", "r", "1", {"org:a:r"}),
        ("o:a", "r,w", "2", {"org:a:w"}),
        ("o:a,o:b", "r,w", "1", {"org:a:r"}),
        ("o:a", "r,w", "1,2", {"org:a:r"}),
        ("u:a,o:b", "r", "1,1", {"org:b:r"}),
        ("ou:a", "r", "1", {"org:a:r"}),
        ("o:a", "r", "0", set()),
        ("o:a", "r", "4", set()),
        ("o:a", ",".join(f"p{n}" for n in range(80)), str(1 << 79), {"org:a:p79"}),
        ("", "r", "1", set()),
        ("a", "r", "1", set()),
        ("o:", "r", "1", set()),
        ("o:a", "", "1", set()),
        ("o:a", "r", "", set()),
        ("o:a", "r", "-1", set()),
        ("o:a", "r", "x", set()),
        ("o:a", "r", "\u0661", set()),
        ("o:a", "r", " 1", set()),
        ("o:a", "r", "1" * 5000, set()),
    ],
)
def test_bitmaps(features: str, permissions: str, bitmaps: str, expected: set[str]) -> None:
    """Bit j of the i-th number grants the j-th permission of the i-th feature; what is no number grants nothing."""
    found = session(o={"id": "org_1", "per": permissions, "fpm": bitmaps}, fea=features).organization
    assert found is not None
    assert found.permissions == expected


@pytest.mark.parametrize("organization", [None, 7, "org_1", [], {}, {"id": ""}, {"id": 7}, {"rol": "admin"}])
def test_what_is_no_organisation(organization: object) -> None:
    """An organisation without an id is none, and odd types raise nothing."""
    assert session(o=organization).organization is None


def test_odd_types_grant_nothing() -> None:
    """Permissions of the wrong type are none."""
    found = session(o={"id": "org_1", "per": ["r"], "fpm": 1, "rol": 7, "slg": []}, fea={"o:a": 1}).organization
    assert found is not None
    assert (found.permissions, found.role, found.slug) == (frozenset(), None, None)
    older = session(org_id="org_1", org_permissions="org:a:read").organization
    assert older is not None
    assert older.permissions == frozenset()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ({"iss": "x", "sid": "sess_2", "sub": "user_2"}, Actor("user_2", "sess_2", None)),
        ({"sub": "agent_1", "type": "agent"}, Actor("agent_1", None, "agent")),
        ({}, Actor(None, None, None)),
        ({"sub": 7}, Actor(None, None, None)),
        (None, None),
        ("user_2", None),
    ],
)
def test_impersonation(act: object, expected: Actor | None) -> None:
    """Who really acts is read from `act`."""
    assert session(act=act).actor == expected


def test_claims_are_copies() -> None:
    """Nothing handed out can change the session."""
    one = session(nested={"list": [1]})
    one.claims["nested"]["list"].append(2)
    nested = one.claim("nested")
    assert nested == {"list": [1]}
    with pytest.raises(AttributeError):
        one.user_id = "user_2"  # type: ignore[misc] # that it cannot be done is what is shown


@pytest.mark.parametrize("depth", [100, 300, 500, 700, 900])
def test_deep_claims_can_be_read_if_they_are_accepted(instance: Instance, depth: int) -> None:
    """Custom claims are either too deep for the verifier, or can be read by the route: no RecursionError there."""
    claims = json.dumps(instance.claims(now=NOW)).encode()
    payload = b'{"custom":' + b"[" * depth + b"]" * depth + b"," + claims[1:]
    token = signed(instance, instance.header(), payload)
    try:
        one = pinned(instance).verify_sync(token)
    except TokenRejected as refusal:
        assert refusal.reason is Reason.PAYLOAD_INVALID  # noqa: PT017 - either outcome is right
        return
    assert one.claims["custom"]
    assert one.claim("custom")


def test_the_text_of_a_session_holds_no_claim_of_the_user() -> None:
    """A session gets into logs by its repr: custom claims, which hold personal data, are not in it."""
    assert "a@example.com" not in repr(session(email="a@example.com"))


def test_sessions_can_be_compared_and_kept_in_sets() -> None:
    """Equal sessions are equal; one can be a key of a cache."""
    assert session(a=1) == session(a=1)
    assert session(a=1) != session(a=2)
    assert len({session(a=1), session(a=1)}) == 1
