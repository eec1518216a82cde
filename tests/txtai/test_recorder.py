"""What is recorded, and the trace that is made of it."""

from __future__ import annotations

import itertools
import json
import threading

from alwrity_checks.txtai.point import hooked, point
from alwrity_checks.txtai.recorder import Mark, Recorder, Recording, Span, chrome_trace
from alwrity_checks.txtai.watching import Call


def ticking() -> Recorder:
    """Return a recorder whose clock advances by a second whenever it is read."""
    clock = itertools.count()
    return Recorder(lambda: float(next(clock)))


def test_calls_become_spans() -> None:
    """A call's span has its thread, its object, its times and what it raised; nested calls of one name stay apart."""
    recorder = ticking()
    outer, inner = Call("load", "Index 1", "main"), Call("load", "Index 2", "main")
    recorder.entered(outer)
    recorder.entered(inner)
    recorder.left(inner, OSError())
    recorder.left(outer, None)
    assert recorder.recording("x").spans == (
        Span("load", "main", "Index 1", 1.0, 4.0),
        Span("load", "main", "Index 2", 2.0, 3.0, error="OSError"),
    )


def test_points_become_spans_and_marks() -> None:
    """A step's first and last point are a span, whatever object the last one names; other points are marks."""
    recorder = ticking()
    with hooked(recorder.reached):
        point("saving", Recorder)
        point("renamed", "gen-1")
        point("trimmed")
    recording = recorder.recording("x")
    assert [(span.name, span.start, span.end) for span in recording.spans] == [("saving", 1.0, 3.0)]
    assert [(mark.name, mark.at) for mark in recording.marks] == [("renamed", 2.0)]


def test_a_step_that_never_ended_is_shown() -> None:
    """What is under way when the recording is asked for ends then, and says that it did not end."""
    recorder = ticking()
    recorder.entered(Call("save", "Index 1", "main"))
    (span,) = recorder.recording("x").spans
    assert (span.end, span.error) == (2.0, "did not end")


def test_a_wait_that_was_imposed_is_told_apart() -> None:
    """A hold is a span of its own kind: nobody shall take it for a slow call."""
    recorder = ticking()
    with recorder.holding("held until noon"):
        pass
    (span,) = recorder.recording("x").spans
    assert (span.name, span.held, span.thread) == ("held until noon", True, threading.current_thread().name)


RECORDING = Recording(
    "a run",
    (
        Span("enqueueing", "accept", "Store", 0.001, 0.002),
        Span("held until noon", "worker", "", 0.002, 0.003, held=True),
        Span("applying", "worker", "Store", 0.003, 0.004, error="OSError"),
    ),
    (Mark("noted", "worker", 0.004), Mark("lost", "accept", 0.005, fault=True)),
)


def test_recording_survives_json() -> None:
    """It comes from a child process as text."""
    assert Recording.from_json(json.loads(json.dumps(RECORDING.to_json()))) == RECORDING


def test_duration_and_threads() -> None:
    """A mark may be the last thing; threads stand in the order in which something happened on them."""
    assert RECORDING.duration == 0.005
    assert RECORDING.threads == ("accept", "worker")
    assert Recording("nothing", (), ()).duration == 0.0


def test_trace_is_in_the_trace_event_format() -> None:
    """Processes and threads are named, spans are complete events in microseconds, an arrow leads to the applying."""
    trace = json.loads(json.dumps(chrome_trace([RECORDING, RECORDING])))
    events = trace["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "i", "s", "f"}
    assert {event["pid"] for event in events} == {1, 2}
    of_first = [event for event in events if event["pid"] == 1]
    named = {event["args"]["name"] for event in of_first if event["ph"] == "M"}
    assert named == {"a run", "accept", "worker"}
    applying = next(event for event in of_first if event["name"] == "applying Store")
    assert (applying["ts"], applying["dur"], applying["args"]) == (
        3000.0,
        1000.0,
        {"object": "Store", "raised": "OSError"},
    )
    (start,), (end,) = ([event for event in of_first if event["ph"] == kind] for kind in "sf")
    assert start["id"] == end["id"]
    assert (start["ts"], end["ts"], end["bp"]) == (1000.0, 3000.0, "e")
    flows = [event["id"] for event in events if event["ph"] == "s"]
    assert len(flows) == len(set(flows))


def test_documents_that_never_arrive_have_no_arrow() -> None:
    """An accepting step with no applying step after it starts no flow that nothing ends."""
    lonely = Recording("x", RECORDING.spans[:1], ())
    assert {event["ph"] for event in chrome_trace([lonely])["traceEvents"]} == {"M", "X"}
