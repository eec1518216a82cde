"""Three reports whose pages are looked at: all is well, much is wrong and drawn, and a scan in which little is known.

They are made up, and as large and as long-winded as real ones; each is the same on every call and every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from alwrity_checks.catalogue import rules
from alwrity_checks.model import (
    CheckResult,
    Evidence,
    Finding,
    Location,
    LocationKind,
    Observation,
    Outcome,
    Report,
    Target,
    TargetKind,
    Verdict,
)
from alwrity_checks.pictures import (
    Cell,
    Count,
    Course,
    Lane,
    Lanes,
    Limit,
    Line,
    Mark,
    Matrix,
    Picture,
    Point,
    Row,
    Series,
    Span,
    Step,
    Timeline,
    Waterfall,
)

__all__ = ["STATES"]

_STARTED: Final = datetime(2026, 11, 28, 21, 48, 58, tzinfo=UTC)
_ENVIRONMENT: Final = {"python": "CPython 3.11.7", "platform": "Linux x86_64", "pyjwt": "2.15.1", "txtai": "9.14.0"}


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def healthy() -> Report:
    """Return a gate that passed, with settings and one check that does not apply."""
    checks = (
        ("auth.keys", "the signing keys can be had", 1, "2 keys of clerk.example.com in 84 ms", 0.084),
        ("auth.issuer", "the issuer and the key set are pinned", 1, "https://clerk.example.com", 0.002),
        ("hf.router", "the base URL leads to the router", 2, "https://router.huggingface.co/v1", 0.31),
        ("txtai.storage", "the index can be read and written", 3, "3 users, 1,204 documents", 0.041),
        ("models.memory", "the planned models fit", 5, "Qwen2.5-0.5B-Instruct in int4, 0.9 GiB of 4.0 GiB", 0.12),
        ("startup.network", "the start waits for nothing", 6, "the server listens after 1.4 s", 1.4),
    )
    passed = (
        CheckResult(name, title, issue, Verdict.PASS, reason=reason, duration=_s(took))
        for name, title, issue, reason, took in checks
    )
    skipped = CheckResult(
        "auth.session",
        "a session can be read from Clerk",
        1,
        Verdict.SKIP,
        reason="no credential: CLERK_SECRET_KEY is not set",
        remedy="set CLERK_SECRET_KEY in backend/.env",
    )
    return Report(
        "gate",
        "0.1.0",
        _STARTED,
        _s(1.9),
        (*passed, skipped),
        environment=_ENVIRONMENT,
        settings={
            "CLERK_PUBLISHABLE_KEY": "pk_live_…#0123abcd from backend/.env:3",
            "ENVIRONMENT": "production from $ENVIRONMENT",
        },
    )


def failing() -> Report:
    """Return experiments on a checkout in which two issues show their faults, with a picture of every kind."""
    yours = Target(TargetKind.BACKEND)
    fixed = Target(TargetKind.FIXED)
    old = Target(TargetKind.LEGACY, "A", "2026-03-10, the catalogue's")
    driven = (
        Evidence("driven by", "backend/.venv/bin/python, Python 3.12.4, PyJWT 2.15.1"),
        Evidence("network", "a namespace of its own, not even C gets out of it"),
    )
    seen = (
        ("AUTH001", "a foreign signature, and nothing names the environment", "accepted as user_2someoneElse"),
        ("AUTH006", "tokens made without the private key", "accepted 84 of 100 forgeries"),
        ("AUTH050", "20 callers wait for keys", "20 fetches for 20 callers"),
        ("TXT003", "four callers at once", "the first call loaded the model 2 times"),
        ("TXT009", "a search while requests come", "the loop stood still for 1.8 s"),
    )
    observations: list[Observation] = []
    results: list[CheckResult] = []
    for code, scenario, message in seen:
        rule = rules()[code]
        told = (Evidence("log", f"WARNING {message}"), Evidence("trials", "reproduced in 10 of 10"), *driven)
        observations += [
            Observation(rule, old, scenario, Outcome.REPRODUCED, message),
            Observation(rule, fixed, scenario, Outcome.ABSENT, "not seen in 10 trials"),
            Observation(rule, yours, scenario, Outcome.REPRODUCED, message, told),
        ]
        finding = Finding(rule, f"reproduced on yours: {message}", (Evidence("scenario", scenario), *told))
        results.append(CheckResult(code, rule.title, rule.issue, Verdict.FAIL, (finding,)))
    healthy_rule = rules()["AUTH003"]
    observations += [
        Observation(healthy_rule, old, "a token that names its own key server", Outcome.REPRODUCED, "accepted"),
        Observation(healthy_rule, fixed, "a token that names its own key server", Outcome.ABSENT, "refused"),
        Observation(healthy_rule, yours, "a token that names its own key server", Outcome.ABSENT, "refused"),
    ]
    results.append(CheckResult("AUTH003", healthy_rule.title, 1, Verdict.PASS, reason="absent from fixed, yours"))
    return Report(
        "reproduce",
        "0.1.0",
        _STARTED,
        _s(165.6),
        tuple(results),
        tuple(observations),
        environment=_ENVIRONMENT,
        pictures=_pictures(),
    )


def _pictures() -> tuple[Picture, ...]:
    return (
        Waterfall(
            title="The chain of one token",
            description="Each step stands on those before it; the first that fails is the cause.",
            issue=1,
            rule="AUTH001",
            verdict=Verdict.FAIL,
            steps=(
                Step("the form", _s(0), _s(0.0004), Verdict.PASS, "three parts, RS256"),
                Step("the keys", _s(0.0004), _s(0.084), Verdict.PASS, "2 keys of clerk.example.com"),
                Step("the signature", _s(0.084), _s(0.0843), Verdict.FAIL, "made with another key"),
                Step("the claims", _s(0.0843), _s(0.0843), Verdict.SKIP, "not looked at"),
            ),
        ),
        Lanes(
            title="Fetches of the key set",
            description="Each lane is a caller; a bar is a fetch. One fetch would have served them all.",
            issue=1,
            rule="AUTH050",
            verdict=Verdict.FAIL,
            lanes=tuple(
                Lane(f"caller {number}", (Span("GET jwks.json", _s(0.01 * number), _s(0.3 + 0.02 * number), "fetch"),))
                for number in range(1, 6)
            ),
        ),
        Lanes(
            title="The race for the first index",
            description="Two threads initialise the same index: the second one replaces what the first one filled.",
            issue=3,
            rule="TXT003",
            verdict=Verdict.FAIL,
            lanes=(
                Lane(
                    "thread 1", (Span("initialise", _s(0), _s(0.9), "index 1"), Span("save", _s(1), _s(1.4), "index 1"))
                ),
                Lane("thread 2", (Span("initialise", _s(0.2), _s(1.2), "index 2"),), (Mark("replaced", _s(1.2)),)),
            ),
        ),
        Matrix(
            title="Which deployment honours a schema",
            description="A row is a deployment, a column a mode.",
            issue=2,
            verdict=Verdict.WARN,
            of="deployment",
            columns=("json_schema", "json_object", "tool"),
            rows=(
                Row(
                    "gpt-oss-120b:groq",
                    (Cell("honoured", Verdict.PASS), Cell("honoured", Verdict.PASS), Cell("", None)),
                ),
                Row(
                    "qwen-72b:novita",
                    (Cell("ignored", Verdict.FAIL), Cell("text", Verdict.WARN), Cell("404", Verdict.FAIL)),
                ),
            ),
        ),
        Series(
            title="Memory while a model loads",
            description="The dashed line is the limit of the container.",
            issue=5,
            verdict=Verdict.FAIL,
            unit="MiB",
            lines=(
                Line("TinyLlama in float32", tuple(Point(_s(t), 200 + 430 * t) for t in range(9))),
                Line("Qwen 0.5B in int4", tuple(Point(_s(t), 180 + min(t, 3) * 160) for t in range(9))),
            ),
            limits=(Limit("limit of the container", 3072.0),),
        ),
        Timeline(
            title="When the log spoke of it",
            description="Lines an hour, by the log's own clock.",
            issue=1,
            began="2026-11-28T03:00:00",
            courses=(
                Course(
                    "tokens refused",
                    tuple(Count(_s(600 * n), _s(600 * (n + 1)), 3 + n * n) for n in range(9)),
                    verdict=Verdict.FAIL,
                ),
                Course("keys unavailable", (Count(_s(600), _s(1200), 4),), verdict=Verdict.WARN),
            ),
        ),
    )


def unknown() -> Report:
    """Return a scan with hundreds of findings, a part of which could not be read, and what followed from that."""
    logging, waiting, names = (rules()[code] for code in ("SRC021", "HF100", "SRC005"))
    scattered = [
        Finding(
            logging,
            f"loguru takes exc_info for a value to format: 'Error in step {number}: …' is printed without a traceback",
            (Evidence("in", f"Service{number % 7}.step_{number}"),),
            Location(
                LocationKind.FILE, f"backend/services/part_{number % 23:02}/module_{number % 41}.py", 10 + number * 3
            ),
        )
        for number in range(460)
    ]
    loops = [
        Finding(
            waiting,
            f"llm_text_gen waits for a provider on the event loop of endpoint_{number}: the whole server stands still",
            (),
            Location(LocationKind.FILE, f"backend/api/routes_{number % 9}.py", 40 + number),
        )
        for number in range(40)
    ]
    unbound = [
        Finding(
            names,
            "engine is bound nowhere: reaching this line raises NameError",
            (),
            Location(LocationKind.FILE, "backend/alwrity_utils/database_setup.py", 61),
        )
    ]
    return Report(
        "scan",
        "0.1.0",
        _STARTED,
        _s(5.6),
        (
            CheckResult(
                "scan.files",
                "every file that runs was read, and compiles",
                0,
                Verdict.UNKNOWN,
                reason="3 of 1,036 files could not be read: Permission denied",
                remedy="give the user that scans the right to read backend/secrets/",
                evidence=(Evidence("not read", "\n".join(f"backend/secrets/part_{n}.py" for n in range(3))),),
            ),
            CheckResult("scan.logging", "a log shows what was handed to it", 0, Verdict.WARN, tuple(scattered)),
            CheckResult(
                "scan.hf", "nothing betrays issue 2", 2, Verdict.UNKNOWN, tuple(loops), reason="50 s were over"
            ),
            CheckResult(
                "scan.names",
                "every name that runs is bound",
                0,
                Verdict.UNKNOWN,
                tuple(unbound),
                reason="as scan.files",
            ),
            CheckResult(
                "scan.txtai",
                "nothing betrays issue 3",
                3,
                Verdict.SKIP,
                reason="because scan.files could not be checked",
                because="scan.files",
            ),
            CheckResult(
                "scan.models",
                "nothing betrays issue 5",
                5,
                Verdict.SKIP,
                reason="because scan.files could not be checked",
                because="scan.files",
            ),
        ),
        environment=_ENVIRONMENT,
    )


STATES: Final[Mapping[str, Callable[[], Report]]] = MappingProxyType(
    {"healthy": healthy, "failing": failing, "unknown": unknown}
)
"""Name of a state -> the report of it."""
