"""Diagnosis of browser captures: every cause from a capture that shows it."""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.har import Capture, findings, open_capture, read_capture
from alwrity_checks.auth.har.causes import Undecided
from alwrity_checks.auth.mint import ABSENT, Instance, base64url
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.errors import ConfigurationError
from tests.support.capture import API, captured, exchange, moment

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.model import Event

PRODUCTION = "https://clerk.example.com"


@cache
def ours() -> Instance:
    """Return the instance that the captured backend belongs to."""
    return Instance()


@cache
def theirs() -> Instance:
    """Return an instance of another environment."""
    return Instance(PRODUCTION, "ins_2fooBarInstance0000000000002")


def token(at: float, instance: Instance | None = None, **changes: object) -> str:
    """Return a token minted at second `at` of the capture."""
    return (instance or ours()).token(now=moment(at), **changes)  # type: ignore[arg-type]


def refused(at: float = 100, bearer: str | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - exchange's
    """Return a request that was answered with 401."""
    return exchange(at=at, bearer=bearer, **({"status": 401} | changes))


def good(at: float) -> dict[str, Any]:
    """Return a request with a fresh token that was answered with 200."""
    return exchange(at=at, bearer=token(at))


def reasons(capture: Capture) -> dict[Reason | Undecided, int]:
    """Return each cause with its number of requests."""
    return {cause.reason: cause.requests for cause in capture.causes}


@pytest.mark.parametrize(
    ("bearer", "reason", "code"),
    [
        (lambda: None, Reason.TOKEN_MISSING, "AUTH060"),
        (lambda: "", Reason.TOKEN_MISSING, "AUTH060"),
        (lambda: "null", Reason.TOKEN_PLACEHOLDER, "AUTH061"),
        (lambda: "undefined", Reason.TOKEN_PLACEHOLDER, "AUTH061"),
        (lambda: "ak_0123456789abcdef", Reason.WRONG_KIND_API_KEY, "AUTH063"),
        (lambda: "sess_2fooBarSession", Reason.WRONG_KIND_SESSION_ID, "AUTH063"),
        (lambda: "x.y", Reason.TOKEN_NOT_JWT, "AUTH064"),
        (lambda: "eyJ" + "A" * 9000, Reason.TOKEN_TOO_LARGE, "AUTH065"),
        (lambda: "Bearer " + token(90), Reason.TOKEN_WRAPPED, "AUTH062"),
        (lambda: "eyJub3Q.anything.known", Reason.HEADER_INVALID, "AUTH066"),
        (lambda: token(90, header={"alg": "none"}), Reason.ALG_NONE, "AUTH070"),
        (lambda: token(90, sub="mch_1"), Reason.WRONG_KIND_M2M_JWT, "AUTH063"),
        (lambda: token(90, sid=ABSENT), Reason.WRONG_KIND_JWT_TEMPLATE, "AUTH074"),
        (lambda: token(90, theirs()), Reason.ISSUER_MISMATCH_ENVIRONMENT, "AUTH082"),
        (lambda: token(90, iss=ABSENT), Reason.ISSUER_MISSING, "AUTH082"),
        (lambda: token(0), Reason.TOKEN_EXPIRED, "AUTH089"),
        (lambda: token(-50, sid=ABSENT), Reason.TOKEN_EXPIRED, "AUTH089"),
        (lambda: token(300), Reason.TOKEN_NOT_ACTIVE_YET, "AUTH090"),
        (lambda: token(90, exp=ABSENT), Reason.EXP_MISSING, "AUTH088"),
        (lambda: token(90, exp="soon"), Reason.TIME_INVALID, "AUTH088"),
        (lambda: token(90, exp=int("9" * 4000)), Reason.TIME_INVALID, "AUTH088"),
        (lambda: token(90, sts="pending"), Reason.SESSION_PENDING, "AUTH092"),
        (lambda: token(90, aud="convex"), Reason.AUD_UNEXPECTED, "AUTH087"),
    ],
)
def test_each_cause_is_told_from_the_token_that_was_sent(bearer: Any, reason: Reason, code: str) -> None:  # noqa: ANN401
    """One refused request after a good one has exactly the cause that its token shows, under the right rule."""
    capture = read_capture(captured(good(1), refused(100, bearer())))
    assert reasons(capture) == {reason: 1}
    (finding,) = findings(capture)
    assert finding.rule.code == code
    assert "log.entries[2]" in finding.message
    assert capture.doubts == ()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Basic dXNlcjpwYXNz", Reason.WRONG_KIND_BASIC),
        ("null", Reason.TOKEN_PLACEHOLDER),
        ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", Reason.TOKEN_MISSING),
        ("Token abc", Reason.TOKEN_MISSING),
        ("bearer null", Reason.TOKEN_PLACEHOLDER),
    ],
)
def test_the_scheme_counts(header: str, reason: Reason) -> None:
    """A token without the scheme Bearer is no credential to the server; another scheme is named."""
    capture = read_capture(captured(good(1), refused(headers=[("AUTHORIZATION", header)])))
    assert reasons(capture) == {reason: 1}


def test_a_token_in_the_query_is_judged_like_one_in_the_header() -> None:
    """Media tags cannot send a header: `?token=` counts, and its value is shown nowhere."""
    path = f"/api/images/1?size=big&token={token(0)}"
    capture = read_capture(captured(good(1), refused(path=f"{API}{path}", _resourceType="image")))
    assert reasons(capture) == {Reason.TOKEN_EXPIRED: 1}
    assert "/api/images/1 at" in capture.causes[0].message
    assert "size" not in repr(capture)


def test_ages_and_counts_are_told_in_one_line() -> None:
    """The line of a cause holds its share, the span of ages, and everything that finds the first request again."""
    capture = read_capture(
        captured(
            good(1),
            *(refused(at, token(0), path="/api/a?page=2", method="GET") for at in (100, 3600)),
            refused(200),
        )
    )
    assert capture.entries == 5
    assert capture.api_requests == 4
    assert capture.refused == 3
    assert capture.causes[0].message == (
        "2 of 3 refused requests: the token had expired 40 s to 59 min before; "
        "first GET localhost:8000/api/a at 2026-03-10T09:01:40.000Z, status 401, log.entries[2]"
    )


def test_the_front_ends_own_repeats_are_told_apart() -> None:
    """A request refused again within seconds is a repeat, once; of two sent at the same time neither is."""
    a, b = "/api/a", "/api/b"
    capture = read_capture(
        captured(
            good(1),
            *(refused(at, path=path) for at, path in ((10, a), (10, b), (10.01, a), (11, a), (11.1, a), (12, a))),
            refused(40, path=a),
            refused(300, path=b),
        )
    )
    assert capture.refused == 8
    assert capture.repeats == 2
    assert "of which 2 are the front end's own repeats" in capture.causes[0].message


def test_a_refusal_with_403_is_not_repeated() -> None:
    """The front end repeats after 401 only."""
    capture = read_capture(captured(good(1), refused(10, status=403), refused(11, status=403)))
    assert capture.repeats == 0


def test_requests_before_the_first_good_token_were_sent_too_early() -> None:
    """Without a token or with the text null, before the first good token to the same host: hydration. After it: not."""
    capture = read_capture(captured(refused(1), refused(2, "null"), good(3), refused(4), refused(5, "undefined")))
    assert reasons(capture) == {Reason.HYDRATION: 2, Reason.TOKEN_MISSING: 1, Reason.TOKEN_PLACEHOLDER: 1}
    assert {finding.rule.code for finding in findings(capture)} == {"AUTH060", "AUTH061"}


def test_hydration_is_told_for_each_load_of_a_page_and_whatever_the_order_of_entries() -> None:
    """After a reload the session must be awaited again; the moments count, not the places in the file."""
    reloaded = exchange(at=23, bearer=token(23), pageref="page_2")
    capture = read_capture(captured(reloaded, refused(20, pageref="page_2"), refused(10), good(1)))
    assert reasons(capture) == {Reason.HYDRATION: 1, Reason.TOKEN_MISSING: 1}
    assert capture.causes[0].first.index == 2


@pytest.mark.parametrize("host", ["https://foo-bar-13.clerk.accounts.dev", PRODUCTION, "https://app.example/__clerk"])
def test_requests_before_clerk_has_answered_were_sent_too_early(host: str) -> None:
    """Even where no good token follows: before Clerk's answer to /v1/client is complete, there is no session."""
    clerk = exchange(f"{host}/v1/client?_clerk_js_version=5", at=1, time=2000)
    capture = read_capture(captured(refused(2.9), clerk, refused(3.1)))
    assert reasons(capture) == {Reason.HYDRATION: 1, Reason.TOKEN_MISSING: 1}
    assert capture.api_requests == 2


def test_the_issuer_is_that_of_most_successful_requests_or_the_one_that_is_given() -> None:
    """Without a pin the capture's own majority decides; with one, the pin; without either, nothing is said."""
    entries = (good(1), good(2), exchange(at=3, bearer=token(3, theirs())), refused(4, token(4, theirs())))
    assert reasons(read_capture(captured(*entries))) == {Reason.ISSUER_MISMATCH_ENVIRONMENT: 1}
    pinned = ClaimPolicy(frozenset({PRODUCTION}))
    assert reasons(read_capture(captured(*entries), policy=pinned)) == {Undecided.TOKEN_LOOKS_GOOD: 1}
    assert reasons(read_capture(captured(refused(4, token(4, theirs()))))) == {Undecided.TOKEN_LOOKS_GOOD: 1}
    tie = (good(1), exchange(at=3, bearer=token(3, theirs())), refused(4, token(4, theirs())))
    assert reasons(read_capture(captured(*tie))) == {Undecided.TOKEN_LOOKS_GOOD: 1}


def test_a_foreign_issuer_comes_before_an_expired_token() -> None:
    """A stale token of another instance is first of all another instance's."""
    policy = ClaimPolicy(frozenset({ours().issuer}))
    capture = read_capture(captured(refused(500, token(0, theirs()))), policy=policy)
    assert reasons(capture) == {Reason.ISSUER_MISMATCH_ENVIRONMENT: 1}


@pytest.mark.parametrize(
    ("minted", "ahead", "reason"),
    [
        (90, 0.4, Undecided.TOKEN_LOOKS_GOOD),
        (90, 300, Reason.CLOCK_SKEW),
        (90, -300, Reason.CLOCK_SKEW),
        (-200, -300, Undecided.TOKEN_LOOKS_GOOD),
        (-200, 300, Reason.TOKEN_EXPIRED),
    ],
)
def test_the_servers_clock_decides_and_a_difference_is_named(minted: float, ahead: float, reason: object) -> None:
    """The Date header tells the server's clock: good by one clock and bad by the server's is a fault of the clocks."""
    capture = read_capture(captured(good(1), refused(100, token(minted), server_ahead=ahead)))
    (cause,) = capture.causes
    assert cause.reason is reason
    shown = [evidence.value for evidence in cause.evidence if evidence.label == "clocks"]
    side = "ahead of" if ahead > 0 else "behind"
    assert shown == ([f"the server's clock is 5 min {side} the browser's"] if abs(ahead) > 1 else [])


def test_a_slow_answer_is_no_wrong_clock() -> None:
    """The Date header of an answer that took a minute is a minute late, and rightly so."""
    slow = refused(100, token(90), server_ahead=60, time=60_000)
    assert reasons(read_capture(captured(good(1), slow))) == {Undecided.TOKEN_LOOKS_GOOD: 1}


def test_a_good_token_that_is_refused_leaves_the_cause_open() -> None:
    """No finding, but a doubt with the next command: the capture alone cannot tell."""
    capture = read_capture(captured(good(1), refused(100, token(95))))
    assert findings(capture) == ()
    (doubt,) = capture.doubts
    assert "looks good" in doubt.reason
    assert "alwrity-doctor auth verify -" in doubt.remedy


def test_the_servers_own_reason_is_evidence_and_decides_where_nothing_else_does() -> None:
    """X-Auth-Reason and the error of WWW-Authenticate are shown; a reason code closes an open cause."""
    answer = [("WWW-Authenticate", 'Bearer realm="x", error="invalid_token"'), ("x-auth-reason", "jwk-kid-mismatch")]
    capture = read_capture(captured(good(1), refused(100, token(95), answer=answer), refused(200, answer=answer)))
    assert reasons(capture) == {Reason.JWK_KID_MISMATCH: 1, Reason.TOKEN_MISSING: 1}
    for cause in capture.causes:
        (said,) = (evidence.value for evidence in cause.evidence if evidence.label == "the server's reason")
        assert said == "www-authenticate: invalid_token (1), x-auth-reason: jwk-kid-mismatch (1)"
    bare = read_capture(captured(refused(1, answer=[("www-authenticate", "Bearer")])))
    assert not any(evidence.label == "the server's reason" for evidence in bare.causes[0].evidence)


def test_a_capture_without_credentials_proves_nothing() -> None:
    """Chrome leaves credentials out by default: the verdict is open, and the way to a full export is told."""
    capture = read_capture(captured(refused(1), refused(2), exchange(at=3), credentials=False))
    assert reasons(capture) == {Undecided.WITHHELD: 2}
    assert findings(capture) == ()
    assert "Allow to generate HAR with sensitive data" in capture.doubts[0].remedy


@pytest.mark.parametrize("mask", ["[REDACTED]", "***", "Bearer <removed>", "Bearer [Authorization redacted]"])
def test_a_blotted_out_token_is_not_called_malformed(mask: str) -> None:
    """Tools that clean captures leave a mask behind; that is no token of another kind."""
    capture = read_capture(captured(good(1), refused(headers=[("Authorization", mask)])))
    assert reasons(capture) == {Undecided.WITHHELD: 1}


def test_a_token_without_its_signature_is_still_judged() -> None:
    """Some tools blot out the signature alone: what the token says can still be read."""
    blotted = token(0).rpartition(".")[0] + ".redacted"
    assert reasons(read_capture(captured(good(1), refused(100, blotted)))) == {Reason.TOKEN_EXPIRED: 1}


def test_a_capture_without_refusals_is_healthy() -> None:
    """No cause, no finding, no doubt."""
    capture = read_capture(captured(good(1), exchange(at=2)))
    assert (capture.api_requests, capture.refused, capture.causes, capture.doubts) == (2, 0, (), ())
    assert findings(capture) == ()


@pytest.mark.parametrize("entries", [[], [exchange(status=0)], [exchange("/x.js", _resourceType="script")]])
def test_a_capture_that_shows_nothing_is_not_called_healthy(entries: list[object]) -> None:
    """Without an answered API request there is nothing to judge, and the capture says so."""
    capture = read_capture(captured(*entries))
    assert capture.causes == ()
    assert "nothing to judge" in capture.doubts[0].reason


def test_what_is_an_api_request() -> None:
    """A script's request, one with an Authorization header, or one below /api/; no preflight and nothing of Clerk's."""
    plain: dict[str, Any] = {"_resourceType": "document", "status": 401}
    capture = read_capture(
        captured(
            exchange("/login", **plain),
            exchange("/x?next=/api/", **plain),
            exchange("/api/x", status=401, _resourceType="preflight"),
            exchange("/api/x", status=401, request={"method": "OPTIONS", "url": f"{API}/api/x"}),
            exchange("https://foo-bar-13.clerk.accounts.dev/v1/client/sessions/s/tokens", status=401),
            exchange("/api/x", **plain),
            exchange("/login", **plain | {"bearer": "x"}),
            exchange("/login", **plain | {"headers": [("Sec-Fetch-Dest", "empty")]}),
            exchange("ws://localhost:8000/api/live", status=403, _resourceType="websocket"),
        )
    )
    assert capture.api_requests == capture.refused == 4


def test_no_token_and_no_query_value_is_shown_anywhere() -> None:
    """Whatever was captured, neither the result nor the findings hold a token or the value of a query."""
    opaque = "s3cr3t-opaque-value-0123456789"
    sent = [token(0), token(95), token(90, theirs()), opaque, f"{opaque}.x.y", "sk_live_" + opaque.replace("-", "")]
    entries = [
        entry
        for text in sent
        for entry in (
            refused(100, text),
            refused(100, path=f"{API}/api/{text}/x?token={text}&q={text}"),
            refused(100, headers=[("Authorization", text)]),
            refused(100, path=f"http://user:{text}@h/api/", answer=[("X-Auth-Reason", f"bad {text}")]),
        )
    ]
    for stream in (captured(good(1), *entries), captured(*entries, credentials=False)):
        capture = read_capture(stream)
        shown = repr(capture) + repr(findings(capture))
        for text in sent[:3]:
            assert text not in shown
            assert text.split(".")[1] not in shown
        assert f"token={opaque}" not in shown
        assert f"user:{opaque}" not in shown
        assert sent[-1] not in shown


def test_hostile_text_is_shown_on_one_printable_line() -> None:
    """Control characters of a method, a path or a header cannot reach a terminal, and long ones are cut."""
    request = {"method": "\x1b[31mGET\n", "url": f"{API}/api/\x1b]0;\u202e{'a' * 5000}"}
    answer = {"status": 401, "headers": [{"name": "x-auth-reason", "value": "\x1b[2J" + "b" * 5000}]}
    (cause,) = read_capture(captured(good(1), refused(request=request, response=answer))).causes
    shown = cause.message + "".join(evidence.value for evidence in cause.evidence)
    assert shown.isprintable()
    assert len(shown) < 2000


@pytest.mark.parametrize(
    "changes",
    [
        {"startedDateTime": None},
        {"startedDateTime": "2026-03-10T09:01:40"},
        {"startedDateTime": "yesterday"},
        {"startedDateTime": "\ud800"},
        {"startedDateTime": "9999-12-31T23:59:59-23:59"},
        {"startedDateTime": 1773133300},
    ],
)
def test_an_unknown_moment_judges_no_time(changes: dict[str, Any]) -> None:
    """A stale token is not called stale if nobody knows when it was sent; without a token it is still missing."""
    capture = read_capture(captured(good(1), refused(100, token(0), **changes), refused(100, **changes)))
    assert reasons(capture) == {Undecided.TOKEN_LOOKS_GOOD: 1, Reason.TOKEN_MISSING: 1}
    dated = read_capture(captured(good(1), refused(100, token(0), server_ahead=0, **changes)))
    assert reasons(dated) == {Reason.TOKEN_EXPIRED: 1}


@pytest.mark.parametrize(
    "form",
    [
        "2026-03-10T09:01:40.000Z",
        "2026-03-10t09:01:40z",
        "2026-03-10T10:01:40.1234567+01:00",
        "2026-03-10T04:01:40-0500",
        "20260310T090140Z",
        " 2026-03-10 09:01:40+00 ",
    ],
)
def test_every_iso_form_of_a_moment_is_read(form: str) -> None:
    """ISO 8601 has many forms; exporters use several."""
    capture = read_capture(captured(good(1), refused(0, token(0), startedDateTime=form)))
    assert reasons(capture) == {Reason.TOKEN_EXPIRED: 1}
    assert "expired 40 s before" in capture.causes[0].message


def test_several_authorization_headers_are_judged_by_the_first() -> None:
    """As servers do; and nothing breaks."""
    headers = [("authorization", f"Bearer {token(0)}"), ("Authorization", "Bearer null")]
    assert reasons(read_capture(captured(good(1), refused(headers=headers)))) == {Reason.TOKEN_EXPIRED: 1}


def test_progress_is_reported() -> None:
    """A long reading says how far it has come."""
    seen: list[Event] = []

    class Observer:
        def notify(self, event: Event) -> None:
            seen.append(event)

    capture = read_capture(captured(*[{}] * 10_000), observer=Observer())
    assert capture.entries == 10_001
    assert [event.kind for event in seen] == ["progress"]


def test_a_directory_and_a_missing_file_are_refused_with_a_remedy(tmp_path: Path) -> None:
    """What cannot be opened is the caller's mistake, and is called that."""
    for name in (str(tmp_path), str(tmp_path / "missing.har"), "a\0b"):
        with pytest.raises(ConfigurationError) as refusal, open_capture(name):
            pass
        assert refusal.value.remedy
    path = tmp_path / "a.har"
    path.write_bytes(captured(good(1)).read())
    with open_capture(str(path)) as stream:
        assert read_capture(stream).api_requests == 1
    assert stream.closed


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_NAMES = st.sampled_from(
    ["request", "response", "headers", "name", "value", "url", "method", "status", "startedDateTime", "time", "pageref"]
)
_TEXTS = st.sampled_from(
    [
        "authorization",
        "date",
        "Bearer ",
        "Bearer null",
        "http://[/api/",
        "http://h:x/api/?token=",
        "2026-03-10T09:00:00Z",
        "Tue, 99 Mar 2026 09:00:00 GMT",
        "x-auth-reason",
        "www-authenticate",
        'error="',
        "OPTIONS",
        "xhr",
        "eyJ.eyJ.",
    ]
)
_VALUES = st.recursive(
    _SCALARS | _TEXTS | st.sampled_from([401, 403, 200, 0, 10**30, 1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=6),
    max_leaves=30,
)


@given(st.lists(_VALUES, max_size=5), st.integers(0, 4000))
@settings(max_examples=300)
def test_no_capture_however_odd_raises_anything_else(entries: list[object], cut: int) -> None:
    """Entries of any shape, cut anywhere: a result, or ConfigurationError."""
    text = captured(*entries).read()
    for data in (text, text[:cut]):
        try:
            findings(read_capture(BytesIO(data)))
        except ConfigurationError as error:
            assert error.remedy  # noqa: PT017 - most captures raise nothing


def test_an_empty_issuer_names_nobody(instance: Instance) -> None:
    """A token whose iss is empty is judged like one without, also where it is the only one that succeeded."""
    empty = instance.token(now=moment(0), iss="")
    capture = read_capture(captured(exchange(at=0, bearer=empty), exchange(at=1, status=401, bearer=empty)))
    assert [cause.reason for cause in capture.causes] == [Reason.ISSUER_MISSING]


@given(
    st.fixed_dictionaries(
        {
            "authorization": st.text(max_size=60) | _TEXTS,
            "date": st.text(max_size=30) | _TEXTS,
            "url": st.text(max_size=60) | _TEXTS,
            "moment": st.text(max_size=30) | _TEXTS,
            "claims": st.dictionaries(
                st.sampled_from(["exp", "nbf", "iat", "iss", "sub", "sts", "aud", "azp", "sid"]), _VALUES
            ),
        }
    )
)
@settings(max_examples=300)
def test_no_request_however_odd_raises_anything(parts: dict[str, Any]) -> None:
    """Well-formed entries whose texts, and tokens whose claims, are anything at all."""
    forged = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "RS256"}, parts["claims"], "seal"))
    for text in (parts["authorization"], f"Bearer {forged}"):
        entry = refused(
            100,
            path=f"{API}/api/",
            headers=[("Authorization", text)],
            answer=[("Date", parts["date"]), ("WWW-Authenticate", parts["url"])],
            startedDateTime=parts["moment"],
        )
        entry["request"]["url"] = parts["url"]
        capture = read_capture(captured(good(1), entry))
        assert capture.entries == 3
