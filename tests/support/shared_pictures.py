"""A made-up picture of each kind, as the commands fill them, with the cases that a drawing must cope with."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from alwrity_checks.model import Verdict
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
    Point,
    Row,
    Series,
    Span,
    Step,
    Timeline,
    Waterfall,
)

if TYPE_CHECKING:
    from alwrity_checks.pictures import Picture

__all__ = ["shared_pictures"]


def _ms(value: float) -> timedelta:
    return timedelta(milliseconds=value)


def shared_pictures() -> tuple[Picture, ...]:
    """Return one picture of each kind; the same on every call and every machine."""
    return (_waterfall(), _lanes(), _matrix(), _series(), _timeline())


def _waterfall() -> Waterfall:
    return Waterfall(
        title="The token's chain",
        description="Each step of the verification in its order, and what it took. The key could not be had.",
        issue=1,
        rule="DEMO002",
        verdict=Verdict.FAIL,
        steps=(
            Step("the text is one JWT", _ms(0), _ms(0.4), Verdict.PASS, "812 characters"),
            Step("the header is a session token's", _ms(0.4), _ms(0.5), Verdict.WARN, "kid is <b>none</b> of Clerk's"),
            Step("the pinned instance publishes the token's key", _ms(0.5), _ms(2140), Verdict.FAIL, "status 503"),
            Step("the signature is the key's", _ms(2140), _ms(2140), Verdict.SKIP, "not reached: no key"),
            Step("the token is valid now", _ms(2140), _ms(2140.2), Verdict.UNKNOWN, "not verified"),
        ),
    )


def _lanes() -> Lanes:
    return Lanes(
        title="DEMO004 on legacy shipped: a save on another object",
        description="What was indexed on the first object is gone, because the second one was saved.",
        issue=1,
        rule="DEMO001",
        verdict=Verdict.FAIL,
        until=_ms(140),
        left_out="12 shorter spans are not shown.",
        lanes=(
            Lane(
                "MainThread",
                (
                    Span("index", _ms(2), _ms(60), "Embeddings 1"),
                    Span("applying", _ms(10), _ms(40), "Embeddings 1", note="5 documents"),
                    Span("save", _ms(90), _ms(92), "Embeddings 2", Verdict.FAIL, note="PermissionError"),
                ),
                (Mark("the service says ready", _ms(61)), Mark("5 documents are lost", _ms(93), Verdict.FAIL)),
            ),
            Lane(
                "initialisation of a long name 😀 \x1b[2J",
                (
                    Span("waits for the index", _ms(0), _ms(30), held=True),
                    Span("load", _ms(30), _ms(86), "Embeddings 2", Verdict.PASS),
                ),
            ),
            Lane("nothing happened here"),
        ),
    )


def _matrix() -> Matrix:
    words = {
        "honoured": Verdict.PASS,
        "ignored": Verdict.FAIL,
        "by chance": Verdict.WARN,
        "not asked": Verdict.SKIP,
        "429 rate limited": Verdict.UNKNOWN,
        "": None,
    }
    told = (
        ("Qwen/Qwen2.5-7B-Instruct:together", ("200", "honoured", "honoured", "ignored")),
        ("mistralai/Mistral-7B-Instruct-v0.3", ("429 rate limited", "not asked", "not asked", "not asked")),
        ("meta-llama/Llama-3.1-8B-Instruct:cerebras", ("200", "ignored", "by chance", "")),
    )
    return Matrix(
        title="Which deployment honours which mode",
        description="Two of three deployments answer; one of them honours a strict schema.",
        issue=2,
        verdict=Verdict.WARN,
        of="deployment",
        columns=("plain text", "json_schema strict", "tool", "json_object"),
        rows=tuple(Row(name, tuple(Cell(one, words.get(one, Verdict.PASS)) for one in cells)) for name, cells in told),
    )


def _series() -> Series:
    seconds = [timedelta(seconds=one) for one in (0, 0.8, 1.6, 2.4, 3.2, 4.0, 4.8, 5.6)]
    resident = (40, 320, 900, 2400, 3100, 3150, 3160, 420)
    anonymous = (30, 250, 620, 1400, 1900, 1950, 1960, 300)
    return Series(
        title="Memory of Qwen2.5-1.5B-Instruct transformers bfloat16",
        description="The model needs 3,400 MiB at its peak, of 4,096 MiB that the container allows.",
        issue=2,
        unit="MiB",
        lines=(
            Line("resident", tuple(Point(at, float(value)) for at, value in zip(seconds, resident, strict=True))),
            Line(
                "of it anonymous", tuple(Point(at, float(value)) for at, value in zip(seconds, anonymous, strict=True))
            ),
        ),
        limits=(Limit("the container's limit", 4096.0), Limit("peak, as the kernel counts it", 3400.0)),
        phases=(
            Span("imports", seconds[0], seconds[2]),
            Span("load", seconds[2], seconds[4]),
            Span("measured", seconds[4], seconds[6], verdict=Verdict.PASS),
            Span("release", seconds[6], seconds[7]),
        ),
    )


def _timeline() -> Timeline:
    minutes = [timedelta(minutes=one) for one in range(0, 240, 10)]

    def counts(first: int, last: int, *numbers: int) -> tuple[Count, ...]:
        return tuple(
            Count(at, at + timedelta(minutes=10), numbers[index % len(numbers)])
            for index, at in enumerate(minutes[first:last])
        )

    return Timeline(
        title="What failed when",
        description="Sign-in failed first, at 22:14; text generation followed.",
        verdict=Verdict.FAIL,
        began="2026-01-01T22:04:30",
        courses=(
            Course("the start of the server", (), (Mark("start", minutes[0]), Mark("start again", minutes[9])), None),
            Course(
                "the signing key was rotated, and the backend keeps the old one",
                counts(1, 20, 3, 12, 40, 9),
                (Mark("first failure", minutes[1], Verdict.FAIL),),
                Verdict.FAIL,
                "issue 1, certain",
            ),
            Course("text generation has no credits left", counts(14, 24, 2, 1), (), Verdict.WARN, "issue 2, likely"),
            Course("one line", (Count(minutes[12], minutes[12], 1),), (), Verdict.UNKNOWN),
        ),
    )
