"""The chain of one token: each trouble has its reason, causes come before effects, and nothing is believed."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.auth.compact import MAX_TOKEN_BYTES
from alwrity_checks.auth.diagnosis import diagnose
from alwrity_checks.auth.jwk import key_set
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.mint import ABSENT, Instance, base64url
from alwrity_checks.auth.pins import Pins
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.model import CheckResult, ExitCode, Report, Severity, Verdict
from alwrity_doctor.report import FORMATS, render
from alwrity_doctor.results import reported
from tests.support.in_process import bare
from tests.support.rawserver import RawServer, answer, self_signed
from tests.support.terminating_proxy import TerminatingProxy
from tests.support.tokens import NOW, frozen, reason, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STEPS = ("shape", "header", "key", "signature", "issuer", "party", "times", "session")
ORIGIN = "https://app.example.com"
CLERK_HOST = "foo-bar-13.clerk.accounts.dev"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine without any proxy of the environment."""
    bare(monkeypatch)


def at_hand(instance: Instance, **fields: Any) -> Pins:  # noqa: ANN401 - the fields of Pins
    """Return pins of the instance's issuer and keys: nothing is fetched."""
    pinned = Pins(frozenset({instance.issuer}), keys=key_set(instance.jwks()), sources=("a test",))
    return replace(pinned, **fields)


def judged(text: str, pins: Pins, fail_on: Severity = Severity.ERROR, **options: Any) -> Report:  # noqa: ANN401
    """Return the report of a diagnosis."""

    async def work() -> Report:
        steps: list[CheckResult] = []
        return await reported("auth verify", diagnose(text, pins, steps=steps, **options), fail_on, steps)

    return asyncio.run(work())


def of(report: Report, step: str) -> CheckResult:
    """Return the result of a step."""
    return next(result for result in report.results if result.name == f"token.{step}")


def reasons(report: Report) -> list[str]:
    """Return the reason codes, the likeliest cause first."""
    return [finding.evidence[0].value for finding in report.findings]


def served(instance: Instance, server: LoopbackServer) -> Instance:
    """Return the same instance as it would be if the server were its Frontend API."""
    return Instance(server.origin, instance.kid, instance.private_key)


def test_a_genuine_token(instance: Instance) -> None:
    """Every step that can be checked passes, in the documented order, and nothing is found."""
    report = judged(instance.token(now=NOW), at_hand(instance), clock=frozen)
    assert [result.name for result in report.results] == [f"token.{step}" for step in STEPS]
    assert {result.verdict for result in report.results if result.name != "token.party"} == {Verdict.PASS}
    assert of(report, "party").verdict is Verdict.SKIP
    assert of(report, "party").remedy
    assert report.findings == ()
    assert report.exit_code is ExitCode.HEALTHY


@pytest.mark.parametrize(
    ("step", "expected", "changes"),
    [
        ("issuer", Reason.ISSUER_MISSING, {"iss": ABSENT}),
        ("issuer", Reason.ISSUER_MISSING, {"iss": 7}),
        ("issuer", Reason.ISSUER_MISMATCH_TRAILING_SLASH, {"iss": f"https://{CLERK_HOST}/"}),
        ("issuer", Reason.ISSUER_MISMATCH_SCHEME, {"iss": f"http://{CLERK_HOST}"}),
        ("issuer", Reason.ISSUER_MISMATCH_ENVIRONMENT, {"iss": "https://clerk.example.com"}),
        ("issuer", Reason.ISSUER_MISMATCH_OTHER_INSTANCE, {"iss": "https://bar-baz-7.clerk.accounts.dev"}),
        ("issuer", Reason.ISSUER_MISMATCH_LOOKALIKE, {"iss": f"https://{CLERK_HOST}.evil.example"}),
        ("issuer", Reason.ISSUER_MISMATCH_PROXY, {"iss": f"https://{CLERK_HOST}/__clerk"}),
        ("party", Reason.AUD_UNEXPECTED, {"aud": "backend"}),
        ("times", Reason.TOKEN_EXPIRED, {"exp": NOW - 5}),
        ("times", Reason.TOKEN_NOT_ACTIVE_YET, {"nbf": NOW + 6}),
        ("times", Reason.TOKEN_IAT_IN_THE_FUTURE, {"iat": NOW + 6}),
        ("times", Reason.EXP_MISSING, {"exp": ABSENT}),
        ("times", Reason.TIME_INVALID, {"exp": "soon"}),
        ("times", Reason.TIME_INVALID, {"exp": 10**400}),
        ("session", Reason.SUB_MISSING, {"sub": ABSENT}),
        ("session", Reason.SUB_INVALID, {"sub": ["user_1"]}),
        ("session", Reason.SID_MISSING, {"sid": None}),
        ("session", Reason.CLAIM_INVALID, {"sid": 7}),
        ("session", Reason.CLAIM_INVALID, {"jti": 7}),
        ("session", Reason.SESSION_PENDING, {"sts": "pending"}),
        ("session", Reason.SESSION_STATUS, {"sts": {}}),
        ("session", Reason.WRONG_KIND_JWT_TEMPLATE, {"sid": ABSENT}),
        ("session", Reason.WRONG_KIND_OAUTH_JWT, {"jti": "oat_1"}),
        ("session", Reason.WRONG_KIND_HANDSHAKE_JWT, {"handshake": ["x"]}),
    ],
    ids=str,
)
def test_a_claim_that_is_wrong(instance: Instance, step: str, expected: Reason, changes: Mapping[str, Any]) -> None:
    """Each wrong claim under a good signature fails its own step with its own reason, and no other."""
    report = judged(instance.token(now=NOW, **changes), at_hand(instance), clock=frozen)
    assert reasons(report) == [expected]
    assert of(report, step).verdict is Verdict.FAIL
    assert {result.name for result in report.results if result.verdict is Verdict.FAIL} == {f"token.{step}"}
    assert report.exit_code is ExitCode.FINDING


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        (Reason.AZP_MISSING, {}),
        (Reason.AZP_MISMATCH, {"azp": "https://evil.example"}),
        (Reason.AZP_TRAILING_SLASH, {"azp": f"{ORIGIN}/"}),
        (Reason.AZP_SCHEME, {"azp": "http://app.example.com"}),
        (Reason.AZP_PORT, {"azp": f"{ORIGIN}:3000"}),
    ],
)
def test_a_party_that_is_not_authorised(instance: Instance, expected: Reason, changes: Mapping[str, Any]) -> None:
    """With authorised parties pinned, another or no origin fails, and the reason says in which way it differs."""
    pins = at_hand(instance, authorized_parties=frozenset({ORIGIN}))
    report = judged(instance.token(now=NOW, **changes), pins, clock=frozen)
    assert reasons(report) == [expected]
    assert of(report, "party").verdict is Verdict.FAIL


def test_an_authorised_party(instance: Instance) -> None:
    """The origin that was named passes."""
    pins = at_hand(instance, authorized_parties=frozenset({ORIGIN}))
    report = judged(instance.token(now=NOW, azp=ORIGIN), pins, clock=frozen)
    assert of(report, "party").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("step", "expected", "header"),
    [
        ("header", Reason.TYP_INVALID, {"typ": "JOSE"}),
        ("header", Reason.CAT_INVALID, {"cat": 7}),
        ("header", Reason.ALG_NONE, {"alg": "None"}),
        ("header", Reason.ALG_SYMMETRIC, {"alg": "HS256"}),
        ("header", Reason.TOKEN_INVALID_ALGORITHM, {"alg": "RS512"}),
        ("header", Reason.TOKEN_INVALID_ALGORITHM, {"alg": ABSENT}),
        ("header", Reason.CRIT_UNSUPPORTED, {"crit": ["exp"]}),
        ("header", Reason.B64_UNSUPPORTED, {"b64": False}),
        ("header", Reason.EMBEDDED_KEY, {"jku": "https://evil.example"}),
        ("key", Reason.JWK_KID_MISMATCH, {"kid": "ins_unknown"}),
        ("key", Reason.KID_MISSING, {"kid": ABSENT}),
        ("key", Reason.KID_MISSING, {"kid": ""}),
    ],
    ids=str,
)
def test_a_header_that_is_wrong(instance: Instance, step: str, expected: Reason, header: Mapping[str, object]) -> None:
    """Each wrong header fails with its reason, and the signature is not said to be good."""
    report = judged(instance.token(now=NOW, header=dict(header)), at_hand(instance), clock=frozen)
    assert reasons(report) == [expected]
    assert of(report, step).verdict is Verdict.FAIL
    if expected not in {Reason.TYP_INVALID, Reason.CAT_INVALID}:
        assert of(report, "signature").verdict is Verdict.SKIP
        assert of(report, "signature").because == f"token.{step}"


def test_a_kid_that_is_no_text(instance: Instance) -> None:
    """The header is refused for it, and no key is found by it."""
    report = judged(instance.token(now=NOW, header={"kid": ["ins_1"]}), at_hand(instance), clock=frozen)
    assert reasons(report)[0] == Reason.HEADER_INVALID
    assert of(report, "signature").verdict is Verdict.SKIP


@pytest.mark.parametrize("seal", ["AAAA", "", "sig", "…"])
def test_a_signature_that_is_not_the_keys(instance: Instance, seal: str) -> None:
    """A forged, blotted-out or cut signature fails; the claims are still shown, marked as not verified."""
    token = f"{instance.token(now=NOW, exp=NOW - 60).rpartition('.')[0]}.{seal}"
    report = judged(token, at_hand(instance), clock=frozen)
    assert report.exit_code is ExitCode.FINDING
    assert of(report, "signature").verdict is not Verdict.PASS
    (expired,) = of(report, "times").findings
    assert ("signature", "not verified: anybody could have written these claims") in {
        (one.label, one.value) for one in expired.evidence
    }


def test_a_tampered_payload(instance: Instance) -> None:
    """One claim altered under the old signature is a bad signature, and nothing else."""
    head, _, seal = instance.token(now=NOW).split(".")
    body = base64url(json.dumps(instance.claims(now=NOW, sub="user_admin")).encode())
    report = judged(f"{head}.{body}.{seal}", at_hand(instance), clock=frozen)
    assert reasons(report) == [Reason.TOKEN_INVALID_SIGNATURE]


def test_a_signature_in_another_spelling(instance: Instance) -> None:
    """Padding is named as what it is; the signature behind it is not looked at."""
    report = judged(instance.token(now=NOW) + "==", at_hand(instance), clock=frozen)
    assert report.exit_code is ExitCode.FINDING
    assert of(report, "signature").verdict is Verdict.SKIP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reason.TOKEN_MISSING),
        ("   \r\n", Reason.TOKEN_MISSING),
        ('""', Reason.TOKEN_MISSING),
        ("Bearer ", Reason.TOKEN_MISSING),
        ("null", Reason.TOKEN_PLACEHOLDER),
        ("undefined", Reason.TOKEN_PLACEHOLDER),
        ("Bearer null", Reason.TOKEN_PLACEHOLDER),
        ("[object Promise]", Reason.TOKEN_PLACEHOLDER),
        ("sk_live_abcdefgh", Reason.WRONG_KIND_SECRET_KEY),
        ("pk_test_Zm9v", Reason.WRONG_KIND_PUBLISHABLE_KEY),
        ("whsec_abcdefgh", Reason.WRONG_KIND_WEBHOOK_SECRET),
        ("ak_abcdefgh", Reason.WRONG_KIND_API_KEY),
        ("oat_abcdefgh", Reason.WRONG_KIND_OAUTH),
        ("mt_abcdefgh", Reason.WRONG_KIND_M2M),
        ("sess_abcdefgh", Reason.WRONG_KIND_SESSION_ID),
        ("user_abcdefgh", Reason.WRONG_KIND_USER_ID),
        ("dvb_abcdefgh", Reason.WRONG_KIND_DEV_BROWSER),
        ("Basic dXNlcjpwYXNz", Reason.WRONG_KIND_BASIC),
        ("-----BEGIN PUBLIC KEY-----", Reason.WRONG_KIND_PEM),
        ("eyJhbGciOiJSUzI1NiJ9.a.b.c.d", Reason.TOKEN_IS_JWE),
        ("eyJhbGciOiJSUzI1NiJ9", Reason.TOKEN_NOT_JWT),
        ('{"token": "x"}', Reason.TOKEN_NOT_JWT),
        ("garbage", Reason.TOKEN_NOT_JWT),
        ("a.b.c", Reason.HEADER_INVALID),
        ("\x00.\x00.\x00", Reason.TOKEN_NOT_JWT),
        ("\ud800", Reason.TOKEN_NOT_JWT),
        ("日本語", Reason.TOKEN_NOT_JWT),
        ("x" * (MAX_TOKEN_BYTES + 1), Reason.TOKEN_TOO_LARGE),
        ("x" * (1 << 20), Reason.TOKEN_TOO_LARGE),
        (" " * (1 << 20), Reason.TOKEN_TOO_LARGE),
        ("." * (1 << 20), Reason.TOKEN_TOO_LARGE),
        ("Bearer " + "x" * (1 << 20), Reason.TOKEN_TOO_LARGE),
    ],
    ids=lambda value: ascii(str(value)[:30]),
)
def test_a_text_that_is_no_token(instance: Instance, text: str, expected: Reason) -> None:
    """It is named for what it is; every later step is skipped for that reason; none of it is repeated."""
    report = judged(text, at_hand(instance), clock=frozen)
    assert expected in reasons(report)
    assert reasons(report)[0] == expected
    assert of(report, "shape").verdict is Verdict.FAIL
    assert {(result.verdict, result.because) for result in report.results[1:]} == {(Verdict.SKIP, "token.shape")}
    assert [result.name for result in report.results] == [f"token.{step}" for step in STEPS]
    assert report.exit_code is ExitCode.FINDING


@pytest.mark.parametrize(
    "form",
    [
        "Bearer {}",
        "bearer {}",
        "Authorization: Bearer {}",
        "authorization:Bearer {}\r",
        "__session={}; ",
        "__session_nx2hSE6I={}",
        '"{}"',
        "'{}'",
        "\ufeff{}",
        "  {}\n",
        '"Bearer {}"',
    ],
)
def test_a_token_with_wrapping(instance: Instance, form: str) -> None:
    """What people paste around a token is taken off and named, as a warning: the token itself is judged."""
    report = judged(form.format(instance.token(now=NOW)), at_hand(instance), clock=frozen)
    assert set(reasons(report)) == {Reason.TOKEN_WRAPPED}
    assert of(report, "shape").verdict is Verdict.WARN
    assert of(report, "signature").verdict is Verdict.PASS
    assert report.exit_code is ExitCode.HEALTHY


def test_every_fault_is_told_together(instance: Instance) -> None:
    """One run names all that is wrong; what was sent comes before the key, the key's issuer before the claims."""
    token = instance.token(
        now=NOW, header={"typ": "JOSE", "kid": "ins_x"}, iss="https://clerk.example.com", exp=NOW - 60, sts="pending"
    )
    assert reasons(judged(f"Bearer {token}", at_hand(instance), clock=frozen)) == [
        Reason.TYP_INVALID,
        Reason.ISSUER_MISMATCH_ENVIRONMENT,
        Reason.JWK_KID_MISMATCH,
        Reason.TOKEN_EXPIRED,
        Reason.SESSION_PENDING,
        Reason.TOKEN_WRAPPED,
    ]


def test_another_instances_token(instance: Instance, other_instance: Instance) -> None:
    """Issuer and kid both differ: the issuer is the cause, and the kids of both sides are shown."""
    report = judged(other_instance.token(now=NOW), at_hand(instance), clock=frozen)
    assert reasons(report) == [Reason.ISSUER_MISMATCH_OTHER_INSTANCE, Reason.JWK_KID_MISMATCH]
    assert other_instance.kid in report.findings[1].message
    assert instance.kid in report.findings[1].evidence[1].value
    assert report.first_cause is report.findings[0]


def test_a_forgery_under_the_genuine_issuer(instance: Instance, other_instance: Instance) -> None:
    """The genuine issuer and kid with a foreign key is a bad signature."""
    forger = Instance(instance.issuer, instance.kid, other_instance.private_key)
    assert reasons(judged(forger.token(now=NOW), at_hand(instance), clock=frozen)) == [Reason.TOKEN_INVALID_SIGNATURE]


def test_only_its_age_speaks_against_it(instance: Instance) -> None:
    """An expired token that is otherwise good is said to be otherwise good; one with a second fault is not."""
    label = "apart from its age"
    old = judged(instance.token(now=NOW - 3600), at_hand(instance), clock=frozen)
    assert reasons(old) == [Reason.TOKEN_EXPIRED]
    assert label in {one.label for one in old.findings[0].evidence}
    second: tuple[dict[str, Any], ...] = ({"sts": "pending"}, {"iss": "https://clerk.example.com"})
    for changes in second:
        worse = judged(instance.token(now=NOW - 3600, **changes), at_hand(instance), clock=frozen)
        assert label not in {one.label for finding in worse.findings for one in finding.evidence}
    forged = judged(instance.token(now=NOW - 3600)[:-8] + "AAAAAAAA", at_hand(instance), clock=frozen)
    assert label not in {one.label for finding in forged.findings for one in finding.evidence}


def test_the_leeway_is_the_callers(instance: Instance) -> None:
    """A token expired for 100 s passes with a leeway of 101 s and fails with one of 100 s."""
    token = instance.token(now=NOW, exp=NOW - 100)
    assert judged(token, at_hand(instance), clock=frozen, leeway=101).exit_code is ExitCode.HEALTHY
    assert judged(token, at_hand(instance), clock=frozen, leeway=100).exit_code is ExitCode.FINDING


def test_notes_and_warnings_do_not_refuse(instance: Instance) -> None:
    """An impersonated session and an unusual kid are told, and the token is good."""
    kid = Instance(instance.issuer, "key-1", instance.private_key)
    report = judged(kid.token(now=NOW, act={"sub": "user_admin"}), at_hand(kid), clock=frozen)
    assert sorted(reasons(report)) == [Reason.IMPERSONATION, Reason.KID_FORMAT]
    assert of(report, "session").verdict is Verdict.PASS
    assert report.exit_code is ExitCode.HEALTHY


def test_keys_alone_do_not_compare_the_issuer(instance: Instance) -> None:
    """A key set from a file pins keys: whose the issuer is stays open, and the report says so."""
    pins = at_hand(instance, issuers=frozenset())
    report = judged(instance.token(now=NOW, iss="https://anything.example"), pins, clock=frozen)
    assert of(report, "issuer").verdict is Verdict.SKIP
    assert "not compared" in of(report, "issuer").reason
    assert of(report, "issuer").remedy
    missing = judged(instance.token(now=NOW, iss=ABSENT), pins, clock=frozen)
    assert reasons(missing) == [Reason.ISSUER_MISSING]


def test_proxies_and_satellites_are_named(instance: Instance) -> None:
    """A mismatch that a proxy or a satellite explains is called that."""
    pins = at_hand(
        instance,
        issuers=frozenset({instance.issuer, "https://app.example.com/__clerk", "https://clerk.sat.example"}),
        proxies=frozenset({"https://app.example.com/__clerk"}),
        satellites=frozenset({"https://clerk.sat.example"}),
    )
    for issuer, expected in (
        ("https://app.example.com/clerk", Reason.ISSUER_MISMATCH_PROXY),
        ("https://accounts.sat.example", Reason.ISSUER_MISMATCH_SATELLITE),
    ):
        assert reasons(judged(instance.token(now=NOW, iss=issuer), pins, clock=frozen)) == [expected]


# The clock


def dated(instance: Instance, offset: float) -> RawServer:
    """Return a key server whose clock is `offset` seconds ahead of ours."""
    date = formatdate(time.time() + offset, usegmt=True)
    return RawServer(answer(json.dumps(instance.jwks()).encode(), f"Date: {date}", "Content-Type: application/json"))


def pinned_to(server: RawServer, instance: Instance) -> Pins:
    """Return pins of the instance, whose keys the raw server gives."""
    return Pins(frozenset({instance.issuer}), server.url, sources=("a test",))


@pytest.mark.parametrize(
    ("offset", "effect"),
    [(-3600, Reason.TOKEN_EXPIRED), (3600, Reason.TOKEN_NOT_ACTIVE_YET)],
    ids=["ahead", "behind"],
)
def test_a_wrong_clock_is_the_cause(instance: Instance, offset: float, effect: Reason) -> None:
    """A token that only our clock makes old or early: the clock is named first, and said to be the cause."""
    with dated(instance, offset) as server:
        report = judged(instance.token(now=time.time() + offset), pinned_to(server, instance))
    assert reasons(report)[0] == Reason.CLOCK_SKEW
    assert effect in reasons(report)
    assert of(report, "times").verdict is Verdict.FAIL
    assert "valid: the clock is the cause" in {one.value for one in report.findings[0].evidence}
    assert ("behind" if offset > 0 else "ahead of") in report.findings[0].message


def test_a_wrong_clock_that_explains_nothing(instance: Instance) -> None:
    """The clock is wrong, but the token is old by the server's clock too: that is said."""
    with dated(instance, 600) as server:
        report = judged(instance.token(now=time.time() - 3600), pinned_to(server, instance))
    assert reasons(report) == [Reason.CLOCK_SKEW, Reason.TOKEN_EXPIRED]
    assert "no different" in {one.value for one in report.findings[0].evidence}


def test_a_clock_within_the_tolerance(instance: Instance) -> None:
    """Two clocks that differ by a few seconds are no finding; an expired token is then just expired."""
    with dated(instance, 3) as server:
        report = judged(instance.token(now=time.time() - 3600), pinned_to(server, instance))
    assert reasons(report) == [Reason.TOKEN_EXPIRED]
    assert "apart from its age" in {one.label for one in report.findings[0].evidence}


def test_the_clock_of_a_server_that_fails(instance: Instance) -> None:
    """A server without keys still tells the time."""
    date = formatdate(time.time() + 3600, usegmt=True)
    with RawServer(answer(b"{}", f"Date: {date}", status="404 Not Found")) as server:
        report = judged(instance.token(now=time.time() + 3600), pinned_to(server, instance))
    assert reasons(report)[:2] == [Reason.CLOCK_SKEW, Reason.JWKS_HTTP_4XX]


@pytest.mark.parametrize(
    "date", ["nonsense", "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 2024 00:00:00 +999999", ""]
)
def test_a_date_that_is_none(instance: Instance, date: str) -> None:
    """A Date header that cannot be read says nothing of the clock."""
    body = json.dumps(instance.jwks()).encode()
    with RawServer(answer(body, f"Date: {date}", "Content-Type: application/json")) as server:
        report = judged(instance.token(), pinned_to(server, instance))
    assert reasons(report) == []


def test_an_answer_from_a_cache(instance: Instance) -> None:
    """Date is when the answer was made; Age says how long it has lain in a cache since (RFC 9111 section 4.2.3)."""
    date = formatdate(time.time() - 600, usegmt=True)
    body = json.dumps(instance.jwks()).encode()
    with RawServer(answer(body, f"Date: {date}", "Age: 600", "Content-Type: application/json")) as server:
        assert reasons(judged(instance.token(), pinned_to(server, instance))) == []


@pytest.mark.parametrize("age", ["nan", "inf", "-600", "1e300", "9" * 300, "soon"])
def test_an_age_that_is_none(instance: Instance, age: str) -> None:
    """An Age that is no number of seconds says nothing of the clock, and is not shown."""
    body = json.dumps(instance.jwks()).encode()
    date = formatdate(time.time(), usegmt=True)
    with RawServer(answer(body, f"Date: {date}", f"Age: {age}", "Content-Type: application/json")) as server:
        assert reasons(judged(instance.token(), pinned_to(server, instance))) == []


def test_what_hindered_a_step_is_not_the_cause_of_another_s_failure(instance: Instance) -> None:
    """A key server that is away is named, but after what was found wrong with the token itself."""
    with LoopbackServer(mode=Mode.UNAVAILABLE) as server:
        ours = served(instance, server)
        pins = Pins(frozenset({ours.issuer}), authorized_parties=frozenset({"https://app.example"}))
        report = judged(ours.token(azp="https://evil.example"), pins)
    assert reasons(report) == [Reason.AZP_MISMATCH, Reason.JWKS_HTTP_5XX]


# What is fetched, and what is not


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """Yield a proxy that every request of this process has to pass, and that lets none through."""
    with LoopbackServer(mode=Mode.NOT_FOUND) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        yield proxy


@pytest.mark.parametrize(
    "issuer",
    [
        "https://clerk.evil.example",
        "http://169.254.169.254",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        f"https://{CLERK_HOST}.evil.com",
        f"https://evil.com/{CLERK_HOST}",
        f"https://evil.com#{CLERK_HOST}",
        f"https://evil.com\\@{CLERK_HOST}",
        f"https://user@{CLERK_HOST}",
        f"https://user:password@{CLERK_HOST}",
        f"https://{CLERK_HOST}@evil.com",
        f"https://{CLERK_HOST.upper()}",
        f"HTTPS://{CLERK_HOST}",
        f"http://{CLERK_HOST}",
        f"https://{CLERK_HOST}:443",
        f"https://{CLERK_HOST}:8443",
        f"https://{CLERK_HOST}/",
        f"https://{CLERK_HOST}/x",
        f"https://{CLERK_HOST}?x",
        f"https://{CLERK_HOST}.",
        f"https://{CLERK_HOST}\n",
        f"https://{CLERK_HOST}\r\nHost: evil.com",
        f" https://{CLERK_HOST}",
        "https://foo-bar-13.clerk.accounts.lclclerk.com",
        "https://foo-bar-13.clerk.accounts.evil.dev",
        "https://clerk.accounts.dev",
        "https://foo-bar-133.clerk.accounts.dev",
        "https://foo-bar-\u0661\u0663.clerk.accounts.dev",
        "https://\uff46oo-bar-13.clerk.accounts.dev",
        "https://[::1]",
        "https://[",
        "https://\u2100.dev",
        "",
        None,
        7,
        ["https://foo-bar-13.clerk.accounts.dev"],
    ],
    ids=ascii,
)
def test_no_token_makes_us_fetch(instance: Instance, watched: LoopbackServer, issuer: object) -> None:
    """With nothing pinned, whatever the token names instead of a host of Clerk's own is not asked, and not judged."""
    report = judged(instance.token(iss=issuer), Pins())
    assert watched.requests == []
    assert of(report, "key").verdict is Verdict.UNKNOWN
    assert of(report, "key").remedy
    assert of(report, "signature").verdict is Verdict.SKIP
    assert report.exit_code is not ExitCode.HEALTHY
    if isinstance(issuer, str) and issuer:
        assert Reason.ISSUER_UNPINNED in reasons(report)
        assert report.verdict is Verdict.UNKNOWN
        assert report.exit_code is ExitCode.UNKNOWN


def test_no_token_makes_us_fetch_from_this_machine(instance: Instance) -> None:
    """An unpinned token whose issuer is a server that would give it its keys is not verified, and nobody is asked."""
    with LoopbackServer(instance.jwks()) as server:
        report = judged(served(instance, server).token(), Pins())
        assert server.hits == 0
    assert report.exit_code is ExitCode.UNKNOWN


def test_only_clerk_is_asked(instance: Instance, watched: LoopbackServer) -> None:
    """The one request that an unpinned token can cause goes to a host of Clerk's own, over TLS."""
    report = judged(instance.token(), Pins())
    assert set(watched.requests) == {f"{CLERK_HOST}:443"}
    assert report.exit_code is ExitCode.UNKNOWN


@pytest.fixture
def clerk(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TerminatingProxy]:
    """Yield a stand-in for the instance's Frontend API, reached under its real name through a proxy."""
    with TerminatingProxy({CLERK_HOST: instance.jwks()}, tmp_path) as proxy:
        proxy.use(monkeypatch)
        yield proxy


def test_an_unpinned_token_is_at_best_a_warning(instance: Instance, clerk: TerminatingProxy) -> None:
    """Verified against the instance that it names itself, it proves nothing about being ours."""
    report = judged(instance.token(), Pins())
    assert clerk.asked == [f"{CLERK_HOST}:443", f"https://{CLERK_HOST}/.well-known/jwks.json"]
    assert of(report, "signature").verdict is Verdict.PASS
    assert reasons(report) == [Reason.ISSUER_UNPINNED]
    assert report.verdict is Verdict.WARN
    strict = judged(instance.token(), Pins(), Severity.WARNING)
    assert strict.exit_code is ExitCode.FINDING


def test_the_same_token_pinned(instance: Instance, clerk: TerminatingProxy) -> None:
    """The same answer under a pinned issuer is a pass."""
    report = judged(instance.token(), Pins(frozenset({instance.issuer}), sources=("a test",)))
    assert report.verdict is Verdict.PASS
    assert len(clerk.asked) == 2


def test_a_pinned_issuer_is_asked_exactly_once(instance: Instance) -> None:
    """What a person named is fetched from, once, at the well-known path."""
    with LoopbackServer(instance.jwks()) as server:
        ours = served(instance, server)
        report = judged(ours.token(), Pins(frozenset({ours.issuer}), sources=("--issuer",)))
        assert server.requests == ["/.well-known/jwks.json"]
    assert report.exit_code is ExitCode.HEALTHY
    assert report.findings == ()


def test_a_pinned_issuer_is_asked_for_another_ones_token(instance: Instance, other_instance: Instance) -> None:
    """The keys come from the pinned server, never from the token's."""
    with LoopbackServer(instance.jwks()) as ours, LoopbackServer(other_instance.jwks()) as theirs:
        report = judged(served(other_instance, theirs).token(), Pins(frozenset({ours.origin})))
        assert (ours.hits, theirs.hits) == (1, 0)
    assert report.findings[0].evidence[0].value.startswith("issuer-mismatch")
    assert Reason.JWK_KID_MISMATCH in reasons(report)


def test_a_pinned_key_set_is_asked_whatever_the_token_says(instance: Instance) -> None:
    """A pinned JWKS URL is the only one that is fetched."""
    with LoopbackServer(instance.jwks()) as server:
        pins = Pins(frozenset({instance.issuer}), f"{server.origin}/keys")
        assert judged(instance.token(), pins).exit_code is ExitCode.HEALTHY
        assert server.requests == ["/keys"]


def test_keys_at_hand_are_not_fetched(instance: Instance, watched: LoopbackServer) -> None:
    """With keys from a file nothing is fetched, online or offline."""
    for offline in (False, True):
        assert judged(instance.token(), at_hand(instance), offline=offline).exit_code is ExitCode.HEALTHY
    assert watched.requests == []


@pytest.mark.parametrize("pinned", ["nothing", "issuer", "key set"])
def test_offline_is_never_healthy_without_keys(instance: Instance, pinned: str) -> None:
    """What could not be verified is unknown, and its wrong claims still fail; nothing is fetched."""
    with LoopbackServer(instance.jwks()) as server:
        ours = Instance(server.origin if pinned == "issuer" else instance.issuer, instance.kid, instance.private_key)
        pins = {
            "nothing": Pins(),
            "issuer": Pins(frozenset({server.origin})),
            "key set": Pins(frozenset({ours.issuer}), server.url),
        }[pinned]
        assert judged(ours.token(), pins, offline=True).exit_code is ExitCode.UNKNOWN
        assert judged(ours.token(now=1e9), pins, offline=True).exit_code is ExitCode.FINDING
        assert server.hits == 0


BAD_MANNERS = {
    Mode.NOT_FOUND: (Reason.JWKS_HTTP_4XX, Verdict.FAIL, 1),
    Mode.RATE_LIMITED: (Reason.JWKS_RATE_LIMITED, Verdict.UNKNOWN, 1),
    Mode.UNAVAILABLE: (Reason.JWKS_HTTP_5XX, Verdict.UNKNOWN, 2),
    Mode.HTML: (Reason.JWKS_NOT_JSON, Verdict.FAIL, 1),
    Mode.REDIRECT: (Reason.JWKS_REDIRECT, Verdict.FAIL, 1),
    Mode.EMPTY: (Reason.JWKS_EMPTY, Verdict.FAIL, 1),
    Mode.TRUNCATED: (Reason.JWKS_CONNECT, Verdict.UNKNOWN, 2),
    Mode.GZIP_BOMB: (Reason.JWKS_NOT_JSON, Verdict.FAIL, 1),
    Mode.OVERSIZED: (Reason.JWKS_TOO_LARGE, Verdict.FAIL, 1),
    Mode.DRIP: (Reason.JWKS_TIMEOUT, Verdict.UNKNOWN, 1),
    Mode.SILENT: (Reason.JWKS_TIMEOUT, Verdict.UNKNOWN, 1),
}
"""Mode -> reason, what it says of the token, and how often the server is asked."""


def test_every_bad_manner_of_a_key_server(instance: Instance) -> None:
    """A passing cause leaves the token unknown, a lasting one fails; the signature is never said to be good."""

    async def diagnosed(servers: Mapping[Mode, LoopbackServer]) -> list[tuple[CheckResult, ...]]:
        # All at once: two of them take the whole time limit of a fetch.
        return await asyncio.gather(
            *(
                diagnose(served(instance, server).token(), Pins(frozenset({server.origin})))
                for server in servers.values()
            )
        )

    with ExitStack() as stack:
        servers: dict[Mode, LoopbackServer] = {
            mode: stack.enter_context(LoopbackServer(instance.jwks(), mode=mode))
            for mode in Mode
            if mode not in {Mode.OK, Mode.WRONG_TYPE}
        }
        chains = dict(zip(servers, asyncio.run(diagnosed(servers)), strict=True))
        seen = {
            mode: (chain[2].findings[0].evidence[0].value, chain[2].verdict, servers[mode].hits)
            for mode, chain in chains.items()
        }
    assert seen == BAD_MANNERS
    for chain in chains.values():
        assert (chain[3].verdict, chain[3].because) == (Verdict.SKIP, "token.key")


def test_a_label_that_is_wrong_does_not_matter(instance: Instance) -> None:
    """A key set labelled text/html is a key set."""
    with LoopbackServer(instance.jwks(), mode=Mode.WRONG_TYPE) as server:
        ours = served(instance, server)
        assert judged(ours.token(), Pins(frozenset({ours.issuer}))).exit_code is ExitCode.HEALTHY


def test_nobody_listens(instance: Instance) -> None:
    """A refused connection is a passing cause: unknown, with the way around it."""
    with LoopbackServer() as gone:
        origin = gone.origin
    ours = Instance(origin, instance.kid, instance.private_key)
    report = judged(ours.token(), Pins(frozenset({origin})))
    assert reasons(report) == [Reason.JWKS_CONNECT]
    assert of(report, "key").verdict is Verdict.UNKNOWN
    assert "--jwks-file" in of(report, "key").remedy
    assert report.exit_code is ExitCode.UNKNOWN


def test_a_certificate_that_nobody_signed(instance: Instance, tmp_path: Path) -> None:
    """An inspecting proxy's certificate is no passing cause: fail."""
    with RawServer(answer(json.dumps(instance.jwks()).encode()), tls=self_signed(tmp_path)) as server:
        report = judged(instance.token(), pinned_to(server, instance))
    assert reasons(report) == [Reason.JWKS_TLS]
    assert of(report, "key").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"kty": "EC", "kid": "ins_1"}, Reason.JWKS_NO_RSA),
        ({"kty": "oct", "k": "AAAA"}, Reason.JWKS_SECRET_MATERIAL),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, Reason.JWKS_WEAK_KEY),
        ("key", Reason.JWKS_NO_RSA),
    ],
    ids=str,
)
def test_a_key_set_without_a_usable_key(instance: Instance, entry: object, expected: Reason) -> None:
    """The first entry that was left out says why there is no key."""
    with LoopbackServer({"keys": [entry]}) as server:
        ours = served(instance, server)
        report = judged(ours.token(), Pins(frozenset({ours.issuer})))
    assert reasons(report) == [expected]
    assert of(report, "key").verdict is Verdict.FAIL


@pytest.mark.parametrize("kid", [ABSENT, "ins_2fooBarInstance0000000000001"], ids=["without kid", "with kid"])
def test_a_published_key_without_a_kid(instance: Instance, kid: object) -> None:
    """What is said of a token is what production does with it: there no kid finds a key that has none."""
    document = {"keys": [{name: value for name, value in instance.jwk().items() if name != "kid"}]}
    with LoopbackServer(document) as server:
        ours = served(instance, server)
        token = ours.token(header={"kid": kid})
        keys = RemoteKeys(server.url)
        keys.refresh().result()
        in_production = reason(lambda: keys.settle(None if kid is ABSENT else str(kid)))
        assert in_production in {Reason.JWK_KID_MISMATCH, Reason.KID_MISSING, Reason.JWKS_TIMEOUT}
        report = judged(token, Pins(frozenset({ours.issuer})))
    assert report.exit_code is not ExitCode.HEALTHY


# Hostile content


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_token_says_never_reaches_the_terminal_raw(instance: Instance, form: str) -> None:
    """Escapes, markup, workflow commands and lone surrogates of claims are inert in every format."""
    payloads = (
        "\x1b[31mred\x1b]0;title\x07",
        "\x9b31m",
        "\n::error::gotcha",
        "##[command]gotcha",
        "\u202egnp.exe",
        "\x00",
        "\ud800",
        "\r\x08",
    )
    for payload in payloads:
        token = instance.token(
            now=NOW,
            header={"kid": payload, "typ": payload, "cat": payload},
            **dict.fromkeys(("iss", "sub", "sid", "azp", "sts", "aud", "jti", "v"), payload),
            act={"sub": payload},
        )
        for pins in (at_hand(instance), at_hand(instance, authorized_parties=frozenset({ORIGIN})), Pins()):
            text = render(judged(token, pins, clock=frozen, offline=True), form)
            text.encode("utf-8")
            assert not set(text) & {"\x1b", "\x9b", "\x00", "\x07", "\x08", "\r", "\u202e"}
            assert not [line for line in text.splitlines() if line.lstrip().startswith("::error::gotcha")]
            assert form != "text" or "##[command]" not in text


def test_rich_markup_in_a_claim_is_text(instance: Instance) -> None:
    """A subject in the square brackets of rich's markup is shown as it is."""
    for subject in ("[red]x[/red]", "[/]", "[link=https://evil.example]user_1[/link]", "[bold"):
        assert subject in render(judged(instance.token(now=NOW, sub=subject), at_hand(instance), clock=frozen), "text")


def test_markup_of_a_key_server_is_text(instance: Instance) -> None:
    """Key ids that a server publishes are as little trusted as a token's."""
    hostile = "\x1b[31m\u202e[red]"
    with LoopbackServer({"keys": [instance.jwk() | {"kid": hostile}, {"kty": "EC", "kid": hostile}]}) as server:
        ours = served(instance, server)
        report = judged(ours.token(), Pins(frozenset({ours.issuer})))
    for form in FORMATS:
        assert not set(render(report, form)) & {"\x1b", "\u202e"}


@pytest.mark.parametrize("part", ["header", "claims"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting(instance: Instance, part: str, opening: str, closing: str) -> None:
    """Whatever the depth, up to the size limit, the diagnosis ends with a report."""
    shell = {"header": instance.header(kid="@"), "claims": instance.claims(iss="@")}
    for depth in (10, 500, *range(900, 1000, 9)):
        if depth * len(opening + closing) > MAX_TOKEN_BYTES // 2:
            continue
        nested = f"{opening * depth}1{closing * depth}"
        parts = {name: json.dumps(value) for name, value in shell.items()}
        parts[part] = parts[part].replace('"@"', nested)
        token = ".".join(base64url(text.encode()) for text in (parts["header"], parts["claims"]))
        report = judged(f"{token}.AAAA", at_hand(instance), clock=frozen)
        assert report.exit_code is ExitCode.FINDING


@settings(max_examples=50, database=None)
@given(st.text(max_size=200))
def test_any_text_ends_in_a_report(text: str) -> None:
    """The diagnosis raises for nothing that a text can hold, and believes none of it."""
    for candidate in (text, f"{text}.{text}.{text}", f"eyJ{text}"):
        report = judged(candidate, Pins(), offline=True)
        assert len(report.results) == len(STEPS)
        assert report.exit_code is not ExitCode.HEALTHY


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["iss", "sub", "sid", "azp", "aud", "sts", "exp", "iat", "nbf", "jti", "v", "act", "handshake"])
FIELDS = st.sampled_from(["alg", "kid", "typ", "cat", "crit", "b64", "jwk"])


@settings(max_examples=60, database=None)
@given(header=st.dictionaries(FIELDS, JSON), claims=st.dictionaries(NAMES, JSON))
def test_any_json_ends_in_a_report(header: dict[str, object], claims: dict[str, object]) -> None:
    """Whatever header and claims hold, the diagnosis ends with all its steps, and text that can be written."""
    instance = Instance(private_key=None)  # type: ignore[arg-type] # nothing is signed
    token = ".".join(
        base64url(json.dumps(part).encode()) for part in (instance.header(**header), instance.claims(now=NOW, **claims))
    )
    report = judged(f"{token}.AAAA", Pins(frozenset({instance.issuer})), offline=True, clock=frozen)
    assert len(report.results) == len(STEPS)
    assert report.exit_code is not ExitCode.HEALTHY
    render(report, "text").encode("utf-8")


# Where the diagnosis and the component disagree, or the cause does not come first


def test_a_duplicate_claim_has_the_components_reason(instance: Instance) -> None:
    """The component calls it payload-duplicate-key; so does the diagnosis."""
    payload = json.dumps(instance.claims(now=NOW))[:-1].encode() + b',"sub":"user_admin"}'
    report = judged(signed(instance, instance.header(), payload), at_hand(instance), clock=frozen)
    assert reasons(report) == [Reason.PAYLOAD_DUPLICATE_KEY]


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
def test_an_oauth_token_is_called_one_first(instance: Instance, typ: str) -> None:
    """The kind is the cause, its typ the effect."""
    report = judged(instance.token(now=NOW, header={"typ": typ}), at_hand(instance), clock=frozen)
    assert reasons(report)[0] == Reason.WRONG_KIND_OAUTH_JWT


@pytest.mark.parametrize("text", ['"' * 16_000, "Bearer " * 2_300, "__session=" * 1_600])
def test_layers_of_wrapping_do_not_flood_the_report(instance: Instance, text: str) -> None:
    """However often a text is wrapped, a person reads a handful of findings."""
    assert len(judged(text, at_hand(instance), clock=frozen).findings) < 20


def test_an_old_token_under_keys_alone_is_not_promised_to_pass(instance: Instance) -> None:
    """With keys alone pinned the issuer is open: the report does not say that nothing else speaks against the token."""
    pins = at_hand(instance, issuers=frozenset())
    report = judged(instance.token(now=NOW - 3600, iss="https://evil.example"), pins, clock=frozen)
    assert "apart from its age" not in {one.label for one in report.findings[0].evidence}
