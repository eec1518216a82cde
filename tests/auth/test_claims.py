"""The claim rules: each class of wrong claim under a good signature, with the reason it must end in."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.auth.claims import LAST_TIME, ClaimPolicy, claim_faults, duration
from alwrity_checks.auth.errors import TokenRejected
from alwrity_checks.auth.key_source import StaticKeys
from alwrity_checks.auth.mint import ABSENT
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from alwrity_checks.errors import ConfigurationError
from tests.support.tokens import NOW, pinned, reason, rejection, signed

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance

ORIGIN = "https://app.example.com"


def judge(
    instance: Instance,
    policy: dict[str, Any] | None = None,
    **claims: Any,  # noqa: ANN401 - a claim can be any JSON value
) -> Reason | None:
    """Return the first reason against a token with these claims; None if it is accepted."""
    token = instance.token(now=NOW, **claims)
    verifier = pinned(instance, **(policy or {}))
    try:
        verifier.verify_sync(token)
    except TokenRejected as refusal:
        return refusal.reason
    return None


def test_a_genuine_token_of_version_2(instance: Instance) -> None:
    """A token as Clerk mints it is accepted."""
    assert judge(instance) is None


def test_a_genuine_token_of_version_1(instance: Instance) -> None:
    """A token of the deprecated version, without jti, v, sts and cat, is accepted."""
    token = instance.token(
        now=NOW,
        header={"cat": ABSENT},
        jti=ABSENT,
        v=ABSENT,
        sts=ABSENT,
        pla=ABSENT,
        org_id="org_1",
        org_role="org:admin",
    )
    organization = pinned(instance).verify_sync(token).organization
    assert organization is not None
    assert organization.role == "org:admin"


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        (ABSENT, Reason.ISSUER_MISSING),
        (None, Reason.ISSUER_MISSING),
        ("", Reason.ISSUER_MISSING),
        (7, Reason.ISSUER_MISSING),
        (["https://foo-bar-13.clerk.accounts.dev"], Reason.ISSUER_MISSING),
        ({"a": 1}, Reason.ISSUER_MISSING),
        ("https://foo-bar-13.clerk.accounts.dev/", Reason.ISSUER_MISMATCH_TRAILING_SLASH),
        ("http://foo-bar-13.clerk.accounts.dev", Reason.ISSUER_MISMATCH_SCHEME),
        ("https://bar-baz-7.clerk.accounts.dev", Reason.ISSUER_MISMATCH_OTHER_INSTANCE),
        ("https://clerk.example.com", Reason.ISSUER_MISMATCH_ENVIRONMENT),
        ("https://foo-bar-13.clerk.accounts.dev.evil.example", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("https://evil.example/foo-bar-13.clerk.accounts.dev", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("https://evil.example?https://foo-bar-13.clerk.accounts.dev", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("https://foo-bar-13.clerk.accounts.dev@evil.example", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("https://evil@foo-bar-13.clerk.accounts.dev", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("https://foo-bar-13.clerk.accounts.dev:8443", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("HTTPS://FOO-BAR-13.CLERK.ACCOUNTS.DEV", Reason.ISSUER_MISMATCH_LOOKALIKE),
        ("https://foo-bar-13.clerk.accounts.dev/__clerk", Reason.ISSUER_MISMATCH_PROXY),
    ],
)
def test_the_issuer_is_exact(instance: Instance, issuer: object, expected: Reason) -> None:
    """Every other issuer is refused, and the reason says in which way it differs."""
    assert judge(instance, iss=issuer) is expected


@pytest.mark.parametrize(
    "issuer",
    ["https://", "https", "h", "https://foo-bar-13.clerk.accounts.de", "https://evil.example", "https://[", "//",
     "\x00", "\ud800", "https://\u2100.dev", "https://foo-bar-13.clerk.accounts.dev\n",
     " https://foo-bar-13.clerk.accounts.dev"],
)  # fmt: skip
def test_no_other_issuer_passes(instance: Instance, issuer: str) -> None:
    """Substrings, neighbours and texts that are no URL are refused with one of the issuer's reasons."""
    refused = judge(instance, iss=issuer)
    assert refused is not None
    assert refused.startswith("issuer-")


def test_a_satellite_s_sibling_is_named(instance: Instance) -> None:
    """An issuer below a satellite's domain that is not the satellite's is named for what it is."""
    policy = ClaimPolicy(
        issuers=frozenset({instance.issuer, "https://clerk.app.example"}),
        satellites=frozenset({"https://clerk.app.example"}),
    )
    faults = claim_faults(instance.header(), instance.claims(now=NOW, iss="https://accounts.app.example"), policy, NOW)
    assert [fault.reason for fault in faults] == [Reason.ISSUER_MISMATCH_SATELLITE]


def test_an_issuer_without_a_host_in_the_policy(instance: Instance) -> None:
    """A policy whose issuer is no URL refuses every other token and raises nothing else."""
    verifier = ClerkTokenVerifier(pinned(instance)._keys, ClaimPolicy(issuers=frozenset({"clerk"})), clock=lambda: NOW)
    for issuer in ("https://[", "https://evil.example", "x"):
        token = instance.token(now=NOW, iss=issuer)
        assert reason(partial(verifier.verify_sync, token)).startswith("issuer-")


@pytest.mark.parametrize("field", ["issuers", "authorized_parties", "audiences"])
def test_a_policy_does_not_take_text_for_a_set(instance: Instance, field: str) -> None:
    """Text for a set would match by substring (GHSA-75c5-xw7c-p5pm): it is refused, or taken as one value."""
    whole = {"issuers": instance.issuer, "authorized_parties": ORIGIN, "audiences": "backend"}
    fields: dict[str, Any] = {"issuers": frozenset({instance.issuer})} | {field: whole[field]}
    part: dict[str, Any] = {
        "issuers": {"iss": "https"},
        "authorized_parties": {"azp": "https"},
        "audiences": {"aud": "back"},
    }[field]
    try:
        verifier = ClerkTokenVerifier(
            pinned(instance)._keys,
            ClaimPolicy(**fields),
            clock=lambda: NOW,
        )
    except (ConfigurationError, TypeError):
        return
    with pytest.raises(TokenRejected):
        verifier.verify_sync(instance.token(now=NOW, **part))


@pytest.mark.parametrize("issuers", [frozenset(), frozenset({""})])
def test_a_verifier_needs_an_issuer(instance: Instance, issuers: frozenset[str]) -> None:
    """Without a pinned issuer, or with an empty one, no verifier is made."""
    with pytest.raises(ConfigurationError):
        ClerkTokenVerifier(pinned(instance)._keys, ClaimPolicy(issuers=issuers))


@pytest.mark.parametrize("leeway", [-1, 301, math.nan, math.inf, -0.001])
def test_the_leeway_is_sane(instance: Instance, leeway: float) -> None:
    """A leeway that is negative, above five minutes or no number is refused at the start."""
    with pytest.raises(ConfigurationError):
        pinned(instance, leeway=leeway)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (ABSENT, Reason.SUB_MISSING),
        (None, Reason.SUB_MISSING),
        ("", Reason.SUB_INVALID),
        (7, Reason.SUB_INVALID),
        (True, Reason.SUB_INVALID),
        (["user_1"], Reason.SUB_INVALID),
        ({"id": 1}, Reason.SUB_INVALID),
        ("user_\x00", Reason.SUB_INVALID),
        ("user_\n1", Reason.SUB_INVALID),
        ("user_\ud800", Reason.SUB_INVALID),
        ("user_\u202e1", Reason.SUB_INVALID),
        ("user_" + "x" * 300, Reason.SUB_INVALID),
    ],
)
def test_the_subject_is_text(instance: Instance, subject: object, expected: Reason) -> None:
    """A token names its user with a printable, non-empty string."""
    assert judge(instance, sub=subject) is expected


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (ABSENT, Reason.WRONG_KIND_JWT_TEMPLATE),
        (None, Reason.SID_MISSING),
        (7, Reason.CLAIM_INVALID),
        ([], Reason.CLAIM_INVALID),
        ("sess_\x00", Reason.CLAIM_INVALID),
    ],
)
def test_the_session_is_named(instance: Instance, session: object, expected: Reason) -> None:
    """A token without a session is refused unless templates are accepted."""
    assert judge(instance, sid=session) is expected


def test_an_empty_session_is_none(instance: Instance) -> None:
    """An empty sid names no session."""
    assert judge(instance, sid="") is not None


@pytest.mark.parametrize("header", [{"cat": "cl_B7d4PD222AAA"}, {}])
def test_a_template_token_is_accepted_where_the_policy_says_so(instance: Instance, header: dict[str, Any]) -> None:
    """With `accept_templates` a token without a session is a session without an id."""
    token = instance.token(now=NOW, header=header, sid=ABSENT)
    assert pinned(instance, accept_templates=True).verify_sync(token).session_id is None
    assert reason(lambda: pinned(instance).verify_sync(token)) is Reason.WRONG_KIND_JWT_TEMPLATE


@pytest.mark.parametrize(
    ("header", "claims", "expected"),
    [
        ({"typ": "at+jwt"}, {}, Reason.WRONG_KIND_OAUTH_JWT),
        ({"typ": "application/at+jwt"}, {}, Reason.WRONG_KIND_OAUTH_JWT),
        ({}, {"jti": "oat_1"}, Reason.WRONG_KIND_OAUTH_JWT),
        ({"cat": "cl_B7d4PD333AAA"}, {}, Reason.WRONG_KIND_M2M_JWT),
        ({}, {"sub": "mch_1"}, Reason.WRONG_KIND_M2M_JWT),
        ({}, {"jti": "mt_1"}, Reason.WRONG_KIND_M2M_JWT),
        ({"cat": "cl_B7d4PD222AAA"}, {}, Reason.WRONG_KIND_JWT_TEMPLATE),
        ({}, {"handshake": ["x"]}, Reason.WRONG_KIND_HANDSHAKE_JWT),
        ({}, {"id": "client_1", "rotating_token": "x", "sub": ABSENT, "sid": ABSENT}, Reason.WRONG_KIND_CLIENT_JWT),
    ],
)
def test_another_kind_of_token_is_among_the_faults(
    instance: Instance, header: dict[str, Any], claims: dict[str, Any], expected: Reason
) -> None:
    """A genuine token of another kind is refused, and one of its faults names the kind."""
    refusal = rejection(lambda: pinned(instance).verify_sync(instance.token(now=NOW, header=header, **claims)))
    assert expected in {fault.reason for fault in refusal.faults}


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
def test_an_oauth_token_is_called_one_first(instance: Instance, typ: str) -> None:
    """The first reason is what people read: for an OAuth token it is its kind, not the form of its typ."""
    token = instance.token(now=NOW, header={"typ": typ})
    assert reason(lambda: pinned(instance).verify_sync(token)) is Reason.WRONG_KIND_OAUTH_JWT


@pytest.mark.parametrize("typ", ["JWE", "JOSE", "", 7, None, ["JWT"], "jwt ", "JWT\x00", True])
def test_typ_is_jwt_or_absent(instance: Instance, typ: object) -> None:
    """A typ that is present is JWT."""
    token = instance.token(now=NOW, header={"typ": typ})
    assert reason(lambda: pinned(instance).verify_sync(token)) is Reason.TYP_INVALID


@pytest.mark.parametrize("cat", [7, None, ["cl_B7d4PD111AAA"], {}, True])
def test_cat_is_text_or_absent(instance: Instance, cat: object) -> None:
    """A category that is present is text."""
    token = instance.token(now=NOW, header={"cat": cat})
    assert reason(lambda: pinned(instance).verify_sync(token)) is Reason.CAT_INVALID


@pytest.mark.parametrize(
    "header", [{"typ": ABSENT}, {"cat": ABSENT}, {"cat": "cl_I7d4PD111III"}, {"cat": "cl_new"}, {"oiat": 1}]
)
def test_absent_and_uninformative_header_fields_pass(instance: Instance, header: dict[str, Any]) -> None:
    """An absent typ or cat, the category that every class of an instance shares, and new ones are accepted."""
    assert pinned(instance).verify_sync(instance.token(now=NOW, header=header)).user_id


NO_TIMES = [True, False, "1800000060", "soon", [], {}, -1e308, 1e308, LAST_TIME + 1, -LAST_TIME - 1, 10**400]


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", NO_TIMES, ids=lambda value: repr(value)[:20])
def test_a_time_is_a_number_that_denotes_a_date(
    instance: Instance,
    name: str,
    value: Any,  # noqa: ANN401 - any JSON value
) -> None:
    """Text, truth values, containers and numbers beyond the calendar are no times."""
    assert judge(instance, **{name: value}) is Reason.TIME_INVALID


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e400", Reason.TIME_INVALID),
        ("-1e400", Reason.TIME_INVALID),
        ("Infinity", Reason.PAYLOAD_INVALID),
        ("NaN", Reason.PAYLOAD_INVALID),
        ("9" * 4301, Reason.PAYLOAD_INVALID),
        ("9" * 4000, Reason.TIME_INVALID),
        ("1800000060.", Reason.PAYLOAD_INVALID),
        ("0x1", Reason.PAYLOAD_INVALID),
    ],
    ids=lambda value: str(value)[:12],
)
def test_odd_numbers_in_the_json(instance: Instance, name: str, text: str, expected: Reason) -> None:
    """Numbers that JSON does not know end as a bad payload, those that no date has as a bad time."""
    claims = instance.claims(now=NOW, **{name: "@"})
    payload = json.dumps(claims).replace('"@"', text).encode()
    token = signed(instance, instance.header(), payload)
    assert reason(lambda: pinned(instance).verify_sync(token)) is expected


@pytest.mark.parametrize("value", [ABSENT, None])
def test_there_is_an_expiry(instance: Instance, value: object) -> None:
    """A token without an expiry is refused."""
    assert judge(instance, exp=value) is Reason.EXP_MISSING


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_the_other_times_are_optional_but_not_null(instance: Instance, name: str) -> None:
    """Clerk's rules: nbf and iat may be absent, and are numbers when present."""
    absent: dict[str, Any] = {name: ABSENT}
    assert judge(instance, **absent) is None
    assert judge(instance, **{name: None}) is Reason.TIME_INVALID


@pytest.mark.parametrize("leeway", [0, 5, 300])
@pytest.mark.parametrize(
    ("name", "sign", "expected"),
    [
        ("exp", -1, Reason.TOKEN_EXPIRED),
        ("nbf", 1, Reason.TOKEN_NOT_ACTIVE_YET),
        ("iat", 1, Reason.TOKEN_IAT_IN_THE_FUTURE),
    ],
)
def test_the_edges_of_the_leeway(instance: Instance, name: str, sign: int, leeway: int, expected: Reason) -> None:
    """Expired iff exp <= now - leeway; early iff the time > now + leeway: to the fraction of a second."""
    edge = NOW + sign * leeway
    policy: dict[str, Any] = {"leeway": leeway}
    on_edge = expected if name == "exp" else None
    assert judge(instance, policy, **{name: int(edge)}) is on_edge
    assert judge(instance, policy, **{name: edge + 0.25}) is (None if name == "exp" else expected)
    assert judge(instance, policy, **{name: edge - 0.25}) is (expected if name == "exp" else None)


@pytest.mark.parametrize("value", [NOW + 0.5, NOW + 10.25])
def test_fractions_of_a_second_are_times(instance: Instance, value: float) -> None:
    """A NumericDate may have a fraction (RFC 7519 section 2)."""
    assert judge(instance, exp=value) is None


@pytest.mark.parametrize("value", [0, -1, -1e9])
def test_a_time_long_ago_is_an_expiry(instance: Instance, value: float) -> None:
    """Zero and negative times are dates; a token that expired then is expired."""
    assert judge(instance, exp=value) is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        (ORIGIN, None),
        ("https://two.example:8443", None),
        (ABSENT, Reason.AZP_MISSING),
        (None, Reason.AZP_MISSING),
        ("", Reason.AZP_MISMATCH),
        ("https://evil.example", Reason.AZP_MISMATCH),
        (f"{ORIGIN}.evil.example", Reason.AZP_MISMATCH),
        ("https://app.example.co", Reason.AZP_MISMATCH),
        ("https://app.example.com@evil.example", Reason.AZP_MISMATCH),
        (f"{ORIGIN}/", Reason.AZP_TRAILING_SLASH),
        (f"{ORIGIN}:8443", Reason.AZP_PORT),
        ("https://two.example", Reason.AZP_PORT),
        ("http://app.example.com", Reason.AZP_SCHEME),
        ("null", Reason.AZP_MISMATCH),
        ("https://[", Reason.AZP_MISMATCH),
        ("https://app.example.com:99999", Reason.AZP_MISMATCH),
        ("\ud800", Reason.AZP_MISMATCH),
        (7, Reason.CLAIM_INVALID),
        ([ORIGIN], Reason.CLAIM_INVALID),
        ({}, Reason.CLAIM_INVALID),
        (False, Reason.CLAIM_INVALID),
    ],
)
def test_the_authorized_party(instance: Instance, party: object, expected: Reason | None) -> None:
    """Configured parties are compared exactly, and the reason says in which way another differs."""
    policy: dict[str, Any] = {"authorized_parties": frozenset({ORIGIN, "https://two.example:8443"})}
    assert judge(instance, policy, azp=party) is expected


def test_an_absent_party_can_be_allowed(instance: Instance) -> None:
    """Tokens minted by the Backend API have no azp: a policy may let them pass, and still refuses a wrong one."""
    policy: dict[str, Any] = {"authorized_parties": frozenset({ORIGIN}), "require_authorized_party": False}
    assert judge(instance, policy, azp=ABSENT) is None
    assert judge(instance, policy, azp="https://evil.example") is Reason.AZP_MISMATCH
    assert judge(instance, policy, azp="") is Reason.AZP_MISMATCH


def test_parties_are_not_looked_at_unless_configured(instance: Instance) -> None:
    """Without configured parties any azp passes, if it is text."""
    assert judge(instance, azp="https://anything.example") is None
    assert judge(instance, azp=[ORIGIN]) is Reason.CLAIM_INVALID


@pytest.mark.parametrize(
    ("audience", "configured", "expected"),
    [
        (ABSENT, (), None),
        (ABSENT, ("backend",), Reason.AUD_MISMATCH),
        ("backend", (), Reason.AUD_UNEXPECTED),
        (["backend"], (), Reason.AUD_UNEXPECTED),
        ("backend", ("backend",), None),
        (["x", "backend"], ("backend", "y"), None),
        ("back", ("backend",), Reason.AUD_MISMATCH),
        ([], ("backend",), Reason.CLAIM_INVALID),
        (None, (), Reason.CLAIM_INVALID),
        (None, ("backend",), Reason.CLAIM_INVALID),
        (["backend", 7], ("backend",), Reason.CLAIM_INVALID),
        (7, ("backend",), Reason.CLAIM_INVALID),
        ({"backend": 1}, ("backend",), Reason.CLAIM_INVALID),
        ([["backend"]], ("backend",), Reason.CLAIM_INVALID),
    ],
)
def test_the_audience(
    instance: Instance, audience: object, configured: tuple[str, ...], expected: Reason | None
) -> None:
    """An audience nobody asked for is refused, one that was asked for must be there."""
    assert judge(instance, {"audiences": frozenset(configured)}, aud=audience) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", None),
        (ABSENT, None),
        ("pending", Reason.SESSION_PENDING),
        ("ended", Reason.SESSION_STATUS),
        ("", Reason.SESSION_STATUS),
        ("ACTIVE", Reason.SESSION_STATUS),
        (7, Reason.SESSION_STATUS),
        (["active"], Reason.SESSION_STATUS),
        (False, Reason.SESSION_STATUS),
    ],
)
def test_the_state_of_the_session(instance: Instance, status: object, expected: Reason | None) -> None:
    """Only an active session passes; a pending one is told apart, because the answer to it is 403."""
    assert judge(instance, sts=status) is expected


def test_a_pending_session_answers_403_and_can_be_accepted(instance: Instance) -> None:
    """A pending session is signed in: the status says forbidden, and a policy may let it pass."""
    token = instance.token(now=NOW, sts="pending")
    assert rejection(lambda: pinned(instance).verify_sync(token)).status == 403
    assert pinned(instance, accept_pending=True).verify_sync(token).pending
    other = instance.token(now=NOW, sts="x")
    assert reason(lambda: pinned(instance, accept_pending=True).verify_sync(other)) is Reason.SESSION_STATUS


@pytest.mark.parametrize("value", [7, None, ["a"], {}])
def test_the_token_id_is_text(instance: Instance, value: object) -> None:
    """A jti that is present is text (RFC 7519 section 4.1.7)."""
    assert judge(instance, jti=value) is Reason.CLAIM_INVALID


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"null", Reason.PAYLOAD_INVALID),
        (b"[]", Reason.PAYLOAD_INVALID),
        (b'"x"', Reason.PAYLOAD_INVALID),
        (b"7", Reason.PAYLOAD_INVALID),
        (b" ", Reason.PAYLOAD_INVALID),
        (b'{"sub":"a"', Reason.PAYLOAD_INVALID),
        (b'{"sub":"a"}x', Reason.PAYLOAD_INVALID),
        (b'{"sub":"a"}\x00', Reason.PAYLOAD_INVALID),
        (b'{"sub":"a\x01"}', Reason.PAYLOAD_INVALID),
        (b'{"sub":"a",}', Reason.PAYLOAD_INVALID),
        (b'{"sub":"a"/**/}', Reason.PAYLOAD_INVALID),
        (b'\xef\xbb\xbf{"sub":"a"}', Reason.PAYLOAD_INVALID),
        ('{"sub":"a"}'.encode("utf-16-le"), Reason.PAYLOAD_INVALID),
        (b'{"sub":"\xff"}', Reason.PAYLOAD_INVALID),
        (b'{"sub":' + b"[" * 2000 + b"]" * 2000 + b"}", Reason.PAYLOAD_INVALID),
        (b'{"a":' * 900 + b"1" + b"}" * 900, Reason.PAYLOAD_INVALID),
        (b'{"sub":"a","sub":"b"}', Reason.PAYLOAD_DUPLICATE_KEY),
        (b'{"sub":"a","exp":1,"exp":9999999999}', Reason.PAYLOAD_DUPLICATE_KEY),
        (b'{"sub":"a","su\\u0062":"b"}', Reason.PAYLOAD_DUPLICATE_KEY),
        (b'{"o":{"id":"a","id":"b"}}', Reason.PAYLOAD_DUPLICATE_KEY),
    ],
    ids=lambda value: str(value)[:24],
)
def test_the_payload_is_strict_json(instance: Instance, payload: bytes, expected: Reason) -> None:
    """A payload has one meaning for every parser, or it is refused under a good signature too."""
    token = signed(instance, instance.header(), payload)
    refusal = reason(lambda: pinned(instance).verify_sync(token))
    # How deep is too deep depends on the stack: what is read is refused for what it lacks.
    assert refusal is expected or (payload.startswith(b'{"a":{') and refusal is Reason.SUB_MISSING)


def test_white_space_around_the_object_is_json(instance: Instance) -> None:
    """JSON allows white space around a value."""
    payload = b" \r\n\t" + json.dumps(instance.claims(now=NOW)).encode() + b"\n "
    assert pinned(instance).verify_sync(signed(instance, instance.header(), payload)).user_id


def test_every_fault_is_reported_in_the_order_of_the_rules(instance: Instance) -> None:
    """A token with many faults names all of them, the first being what a program acts on."""
    token = instance.token(
        now=NOW, header={"typ": "x", "cat": 1}, sub="", iss="https://evil.example", aud="a", azp="b", exp=1,
        nbf=NOW + 99, iat=NOW + 99, sts="pending", sid=7, jti=7,
    )  # fmt: skip
    refusal = rejection(lambda: pinned(instance, authorized_parties=frozenset({ORIGIN})).verify_sync(token))
    assert [fault.reason for fault in refusal.faults] == [
        Reason.TYP_INVALID,
        Reason.CAT_INVALID,
        Reason.SUB_INVALID,
        Reason.ISSUER_MISMATCH_ENVIRONMENT,
        Reason.AUD_UNEXPECTED,
        Reason.AZP_MISMATCH,
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_NOT_ACTIVE_YET,
        Reason.TOKEN_IAT_IN_THE_FUTURE,
        Reason.SESSION_PENDING,
        Reason.CLAIM_INVALID,
        Reason.CLAIM_INVALID,
    ]
    assert refusal.reason is refusal.faults[0].reason


def test_claims_are_not_looked_at_before_the_signature(instance: Instance, other_instance: Instance) -> None:
    """A forged token learns nothing of the claim rules: the signature's reason comes alone."""
    token = other_instance.sign(instance.header(), {"sub": 7, "exp": "x"})
    refusal = rejection(lambda: pinned(instance).verify_sync(token))
    assert [fault.reason for fault in refusal.faults] == [Reason.TOKEN_INVALID_SIGNATURE]


def test_the_faults_of_any_claims_can_be_listed() -> None:
    """`claim_faults` judges an empty payload without raising."""
    faults = claim_faults({}, {}, ClaimPolicy(issuers=frozenset()), NOW)
    assert {fault.reason for fault in faults} >= {Reason.SUB_MISSING, Reason.ISSUER_MISSING, Reason.EXP_MISSING}


def test_an_unpinned_policy_says_so(instance: Instance) -> None:
    """Where no issuer is pinned, that is the fault, not the token's issuer."""
    faults = claim_faults(instance.header(), instance.claims(now=NOW), ClaimPolicy(issuers=frozenset()), NOW)
    assert [fault.reason for fault in faults] == [Reason.ISSUER_UNPINNED]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d"), (1e9, "11574 d")]
)
def test_durations_read_as_a_person_says_them(seconds: float, text: str) -> None:
    """Each unit takes over where the one below grows large."""
    assert duration(seconds) == text


def test_static_keys_take_any_kid_only_without_one(instance: Instance) -> None:
    """A PEM has no kid and so fits any, a token without a kid included; a named key fits its own only."""
    nameless = {name: value for name, value in instance.jwk().items() if name != "kid"}
    from alwrity_checks.auth.jwk import key_set

    policy = ClaimPolicy(issuers=frozenset({instance.issuer}))
    pem = ClerkTokenVerifier(StaticKeys(key_set(nameless)), policy, clock=lambda: NOW)
    for kid in ("ins_other", ABSENT, ""):
        assert pem.verify_sync(instance.token(now=NOW, header={"kid": kid})).user_id
    named = pinned(instance)
    assert reason(lambda: named.verify_sync(instance.token(now=NOW, header={"kid": "x"}))) is Reason.JWK_KID_MISMATCH
    assert reason(lambda: named.verify_sync(instance.token(now=NOW, header={"kid": ABSENT}))) is Reason.KID_MISSING
