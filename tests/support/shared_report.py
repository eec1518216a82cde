"""One made-up report that holds every case a renderer must cope with; the golden files show what each makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from alwrity_checks.model import (
    CheckResult,
    Evidence,
    Finding,
    Location,
    LocationKind,
    Observation,
    Outcome,
    Report,
    Rule,
    Severity,
    SuppressedFinding,
    Table,
    Target,
    TargetKind,
    Verdict,
)

__all__ = ["HOSTILE", "shared_report"]

HOSTILE: Final = (
    "[red]not red[/] [/]",
    "\x1b[2J\x1b[31mred\x1b[0m",
    "first line\nsecond line\r\nthird line\rfourth",
    "a | b || c",
    "<script>alert('1 & 2')</script>",
    "]]>",
    "::error::not an error",
    "##[error]not an error",
    "100%0A, done: yes",
    "😀 café",
    "\udc80",
    "```\n# not a heading\n```",
    "`tick` *star* _under_ @octocat [link](https://evil.example)",
    "\u202egnp.exe\u2069",
    "\x00\x7f\x9b\ufffe",
)
"""What a server or a log may put into evidence, each against another format."""


def _rule(number: int, title: str, severity: Severity, **changes: object) -> Rule:
    rule = Rule(
        code=f"DEMO{number:03}",
        title=title,
        severity=severity,
        issue=1,
        explanation=f"Explanation {number}: a made-up rule for the tests of the renderers.",
        remedy=f"Remedy {number}: set things right.",
        reproduction=f"alwrity-doctor demo reproduce {number}",
        validation=f"alwrity-doctor demo verify {number}",
    )
    return replace(rule, **changes)  # type: ignore[arg-type]  # the fields of Rule, checked when they are read


ISSUER: Final = _rule(1, "the issuer is pinned", Severity.ERROR, precedence=10)
KEYS: Final = _rule(2, "the signing keys can be had", Severity.ERROR, precedence=5)
LEEWAY: Final = _rule(3, "the leeway is at most 10 s", Severity.WARNING)
PACKAGE: Final = _rule(4, "PyJWT is newer than its last advisory", Severity.WARNING, issue=2)
ROUTER: Final = _rule(5, "the router's answer is JSON", Severity.ERROR, issue=2, precedence=50)
FLAG: Final = _rule(6, "the flag names one backend", Severity.NOTE, issue=2)


def shared_report() -> Report:
    """Return the report; the same on every call and every machine."""
    return Report(
        command="gate",
        version="0.1.0",
        started=datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        duration=timedelta(seconds=74, milliseconds=250),
        results=(*_issue_1(), *_issue_2()),
        observations=_observations(),
        fail_on=Severity.ERROR,
        settings={
            "CLERK_PUBLISHABLE_KEY": "pk_test_…#0123abcd from backend/.env:3",
            "APP|ENV": "`dev`\x1b[2J from $APP_ENV",
        },
        tables=_tables(),
        environment={"python": "3.11.9", "platform": "linux x86_64", "CLERK_DOMAIN": "a|b <b>\x1b[1m"},
    )


def _issue_1() -> tuple[CheckResult, ...]:
    issuer = Finding(
        ISSUER,
        "the backend accepts a token of any issuer",
        (Evidence("iss", "https://evil.example"), Evidence("expected", "https://clerk.example.com")),
        Location(LocationKind.FILE, "backend/middleware/auth_middleware.py", 42),
        ("export CLERK_ISSUER=https://clerk.example.com", "alwrity-doctor auth env --env-file backend/.env"),
    )
    keys = Finding(
        KEYS,
        "GET https://clerk.example.com/.well-known/jwks.json was answered with status 503",
        (Evidence("answer's body", "<html>\n  <title>503 | Service Unavailable</title>\n</html>\n"),),
        Location(LocationKind.URL, "https://clerk.example.com/.well-known/jwks.json"),
        ("curl --fail https://clerk.example.com/.well-known/jwks.json",),
    )
    leeway = Finding(
        LEEWAY, "the leeway is 60 s", (Evidence("value", "60"),), Location(LocationKind.ENVIRONMENT, "CLERK_LEEWAY")
    )
    accepted = SuppressedFinding(
        Finding(
            LEEWAY, "the leeway of the staging backend is 30 s", (), Location(LocationKind.FILE, "staging/.env", 7)
        ),
        "the clocks of staging drift; see the change of 12 May",
        date(2026, 6, 30),
    )
    return (
        CheckResult(
            "auth.keys",
            KEYS.title,
            1,
            Verdict.FAIL,
            (keys,),
            reason="status 503",
            evidence=(Evidence("tried", "2 times within 10 s"),),
            duration=timedelta(seconds=10, milliseconds=12),
        ),
        CheckResult("auth.issuer", ISSUER.title, 1, Verdict.FAIL, (issuer,), duration=timedelta(milliseconds=12)),
        CheckResult(
            "auth.leeway", LEEWAY.title, 1, Verdict.WARN, (leeway,), (accepted,), duration=timedelta(microseconds=90)
        ),
        CheckResult(
            "auth.token",
            "a real token is accepted",
            1,
            Verdict.SKIP,
            reason="because auth.keys failed",
            because="auth.keys",
        ),
        CheckResult(
            "auth.audience",
            "the audience of a real token is ours",
            1,
            Verdict.SKIP,
            reason="because auth.token was skipped",
            because="auth.token",
        ),
        CheckResult(
            "auth.session",
            "a session can be read from Clerk",
            1,
            Verdict.SKIP,
            reason="no credential: CLERK_SECRET_KEY is not set",
            remedy="set CLERK_SECRET_KEY in backend/.env",
        ),
    )


def _issue_2() -> tuple[CheckResult, ...]:
    hostile = Finding(
        ROUTER,
        f"the router answered {' '.join(HOSTILE)}",
        tuple(Evidence(f"hostile {number}", text) for number, text in enumerate(HOSTILE, start=1)),
        None,
        ("printf '%s' \"a | b\"",),
    )
    package = Finding(PACKAGE, "PyJWT 2.3.0 is installed", (), Location(LocationKind.PACKAGE, "pyjwt"))
    flag = Finding(FLAG, "--backend was given twice", (), Location(LocationKind.FLAG, "--backend"))
    outside = Finding(PACKAGE, "PyJWT 2.3.0 is pinned", (), Location(LocationKind.FILE, "/srv/app/a b,c:d.txt", 3))
    return (
        CheckResult("hf.router", ROUTER.title, 2, Verdict.FAIL, (hostile,), reason=HOSTILE[0]),
        CheckResult("hf.package", PACKAGE.title, 2, Verdict.WARN, (package, outside)),
        CheckResult("hf.flag", FLAG.title, 2, Verdict.PASS, (flag,), reason="the last one counts"),
        CheckResult(
            "hf.models",
            "every model of the chain exists",
            2,
            Verdict.UNKNOWN,
            reason="the check raised RuntimeError: ::error::boom",
            remedy="run it alone: alwrity-doctor gate hf.models",
            evidence=(Evidence("traceback", 'Traceback (most recent call last):\n  File "x.py", line 1\n::stop::'),),
            duration=timedelta(seconds=1),
        ),
        CheckResult(
            "hf.token",
            "the token may use the router",
            2,
            Verdict.PASS,
            reason="hf_…#1a2b3c4d has the role inference",
            duration=timedelta(milliseconds=431),
        ),
    )


def _observations() -> tuple[Observation, ...]:
    old = Target(TargetKind.LEGACY, "2024", "the middleware before the rewrite")
    new = Target(TargetKind.LEGACY, "2025")
    fixed = Target(TargetKind.FIXED)
    backend = Target(TargetKind.BACKEND)
    foreign, kept = "a token of a foreign issuer", "a token of ours"
    return (
        Observation(ISSUER, old, foreign, Outcome.REPRODUCED, "accepted with status 200"),
        Observation(ISSUER, old, kept, Outcome.ABSENT, "accepted with status 200"),
        Observation(ISSUER, new, foreign, Outcome.ABSENT, "refused with status 401"),
        Observation(ISSUER, fixed, foreign, Outcome.ABSENT, "refused with status 401"),
        Observation(
            ISSUER, backend, foreign, Outcome.REPRODUCED, f"accepted {HOSTILE[4]}", (Evidence("status", "200"),)
        ),
        Observation(KEYS, old, "the key server is down", Outcome.REPRODUCED, "status 500 after 30 s"),
        Observation(KEYS, fixed, "the key server is down", Outcome.UNKNOWN, "no port was free"),
        Observation(KEYS, fixed, "the key server is slow", Outcome.ABSENT, "status 503 after 5 s"),
        Observation(
            ROUTER, fixed, "an HTML answer", Outcome.REPRODUCED, "passed on as text", (Evidence("body", "<p>\n|"),)
        ),
    )


def _tables() -> tuple[Table, ...]:
    heads = ("deployment", "alive", "json_schema", "tool", "first token", "tokens/s", "served by", "the answer's words")
    return (
        Table(
            "Deployments, as measured",
            heads,
            (
                ("openai/gpt-oss-120b:groq", "yes", "honoured", "honoured", "180 ms", "480", "groq", ""),
                ("acme/a-model-with-a-very-long-name:provider", "no", "", "", "", "", "", " ".join(HOSTILE[:9])),
            ),
        ),
        Table("Nothing was measured", ("deployment",)),
    )
