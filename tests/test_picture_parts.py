"""What the rooms share in filling pictures: what is told side by side, how much is enough, and what a child says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.model import Observation, Outcome, Rule, Severity, Target, TargetKind, Verdict
from alwrity_checks.picture_parts import heard_lanes, seconds, sentence, side_by_side, thinned, told_lanes
from alwrity_checks.pictures import Count, Lane, Line, Mark, Matrix, Point, Row, Span, Timeline
from alwrity_checks.redaction import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = timedelta(seconds=1)
RULE = Rule("DEMO001", "it holds", Severity.ERROR, 1, "why", "what to do", "how", "proof")


def seen(kind: TargetKind, variant: str, outcome: Outcome) -> Observation:
    """Return an observation of a rule on a target."""
    return Observation(RULE, Target(kind, variant), "what was done", outcome, "what was seen")


def test_the_faulty_is_told_above_the_sound() -> None:
    """The latest legacy state that shows the fault, then the checkout, then the component; no other legacy state."""
    shown = [
        (seen(TargetKind.LEGACY, "A", Outcome.REPRODUCED), "a"),
        (seen(TargetKind.LEGACY, "B", Outcome.REPRODUCED), "b"),
        (seen(TargetKind.LEGACY, "C", Outcome.ABSENT), "c"),
        (seen(TargetKind.FIXED, "", Outcome.ABSENT), "fixed"),
        (seen(TargetKind.BACKEND, "", Outcome.UNKNOWN), "yours"),
    ]
    assert [what for _, what in side_by_side(shown)] == ["b", "yours", "fixed"]


def test_the_shortest_are_left_out_and_counted() -> None:
    """What can be told apart stays: the judged, the held and the longest; the rest is counted."""
    spans = tuple(Span(str(number), timedelta(), number * SECOND) for number in range(1, 9))
    judged = Span("judged", timedelta(), timedelta(), verdict=Verdict.FAIL)
    held = Span("held", timedelta(), timedelta(), held=True)
    lanes, left_out = thinned([Lane("a", spans), Lane("b", (judged, held))], most=4)
    assert [[one.name for one in lane.spans] for lane in lanes] == [["7", "8"], ["judged", "held"]]
    assert left_out == "6 shorter ones are left out."
    assert thinned([Lane("a", spans)], most=8) == ((Lane("a", spans),), "")


def test_what_a_child_says_comes_back() -> None:
    """Lanes survive the way through a line of JSON."""
    lanes = (
        Lane("a", (Span("work", timedelta(), SECOND, "it", Verdict.FAIL, note="so"),), (Mark("now", SECOND),)),
        Lane("b"),
    )
    assert heard_lanes(told_lanes(lanes)) == lanes


@pytest.mark.parametrize(
    "told",
    [
        None,
        7,
        "lanes",
        {},
        [7],
        [{}],
        [{"name": "a", "spans": 7, "marks": []}],
        [{"name": "a", "spans": [[]], "marks": []}],
        [{"name": "a", "spans": [["work", 2.0, 1.0, "", None, ""]], "marks": []}],
        [{"name": "a", "spans": [["work", -1.0, 1.0, "", None, ""]], "marks": []}],
        [{"name": "a", "spans": [["work", 0.0, 1e300, "", None, ""]], "marks": []}],
        [{"name": "a", "spans": [["work", float("nan"), 1.0, "", None, ""]], "marks": []}],
        [{"name": "a", "spans": [], "marks": [["now", 0.0, "catastrophe"]]}],
    ],
)
def test_what_is_no_lane_gives_none(told: object) -> None:
    """A child runs anybody's code: what it says may be anything, and breaks nothing."""
    assert heard_lanes(told) == ()


def test_what_a_child_says_is_bounded_and_scrubbed() -> None:
    """Neither a flood of lanes nor a secret comes through."""
    secret = Secret("made-up-secret-of-the-parent")
    told: list[dict[str, Any]] = [
        {"name": secret.reveal(), "spans": [[secret.reveal() * 9, 0.0, 1.0, "", None, ""]] * 9000, "marks": []}
    ] * 900
    lanes = heard_lanes(told)
    assert len(lanes) < 100
    assert all(len(lane.spans) < 1000 for lane in lanes)
    assert secret.reveal() not in repr(lanes)


def test_a_sentence() -> None:
    """A message becomes a sentence, once; a secret in it is masked."""
    assert sentence("it stands for 500 ms") == "It stands for 500 ms."
    assert sentence("It stands.") == "It stands."
    assert sentence("") == ""
    token = "hf_" + "made0up0" * 4
    assert token not in sentence(f"{token} was refused")


def test_times_begin_with_the_picture() -> None:
    """What lies before the beginning is the beginning."""
    assert seconds(1.5) == 1.5 * SECOND
    assert seconds(-1e-9) == timedelta()


@pytest.mark.parametrize(
    "made",
    [
        lambda: Span("a", SECOND, timedelta()),
        lambda: Span("a", -SECOND, timedelta()),
        lambda: Mark("a", -SECOND),
        lambda: Point(-SECOND, 1.0),
        lambda: Point(SECOND, float("nan")),
        lambda: Line("a", (Point(SECOND, 1.0), Point(timedelta(), 1.0))),
        lambda: Count(timedelta(), SECOND, 0),
        lambda: Matrix(title="t", description="d", of="row", columns=("a",), rows=(Row("r", ()),)),
        lambda: Timeline(title="t", description="d", began="2026-01-01T00:00:00+00:00", courses=()),
    ],
    ids=["backwards", "early", "early mark", "early point", "nan", "disorder", "nothing", "ragged", "zone"],
)
def test_what_cannot_be_drawn_cannot_be_made(made: Callable[[], object]) -> None:
    """A fault of whoever fills a picture shows where it is made, not in somebody's page."""
    with pytest.raises(ValueError, match=r"."):
        made()
