"""However a log is cut, read and merged, the engine says the same of it; and it says what grep says."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alwrity_checks.logs import blocks, matcher, segments, window
from alwrity_checks.logs.choice import matcher_for
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.probe import Probe, SkipReason
from alwrity_checks.logs.segments import Reading, parts_of
from alwrity_checks.logs.streams import Stream, open_streams
from tests.support.triage_counting import Counted, Counting, Remembering

PROBES = (
    Probe("rejected", b"token rejected", rb"token rejected \((production|env=[^)]*)\)"),
    Probe("rejected.any", b"token rejected"),
    Probe("refused", b"AUTH", rb"AUTH[A-Z]+ ERROR: .* endpoint"),
    Probe("reload", b"Reloading", rb"(Stat|Watch).*Reloading\.\.\.$"),
    Probe("first", b"ERROR", rb"^ERROR"),
    Probe("digits", b"id=", rb"id=[0-9]+( |$)"),
    Probe("bytes", b"\xf0\x9f\x94\x92"),
)
PIECES = (
    b"token rejected (production)", b"token rejected (env=x)", b"token rejected (", b"AUTHX ERROR: an endpoint",
    b"AUTH",
    b"StatReload Reloading...", b"Reloading...", b"ERROR", b" ERROR", b"id=12", b"id=", b" ", b"x", b"\xf0\x9f\x94\x92",
    b"\xf0\x9f", b"\xfe\xfd", b"token rejecte", b"d (production)", b"\x1b[31m", b"n" * 40,
)  # fmt: skip
SMALL = {"BLOCK": 256, "LONGEST_LINE": 128, "CONTEXT": 100, "LOOKAHEAD": 90}
GREP = shutil.which("grep")

lines = st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join)
ends = st.sampled_from((b"\n", b"\n", b"\n", b"\r\n", b"\n\n"))


@st.composite
def logs(draw: st.DrawFn, ends: st.SearchStrategy[bytes] = ends, odd: tuple[bytes, ...] = ()) -> bytes:
    """Return a log of some hundred lines that are one another's parts, perhaps without a last line end."""
    some = draw(st.lists(st.tuples(lines, ends), min_size=1, max_size=12))
    dice = random.Random(draw(st.integers(0, 1 << 32)))  # noqa: S311 - the same log for the same seed is what is wanted
    chosen = [dice.choice(some) for _ in range(draw(st.integers(0, 120)))]
    rare = [(piece, b"\n") for piece in odd if draw(st.booleans())]
    for one in rare:
        chosen.insert(dice.randint(0, len(chosen)), one)
    return b"".join(line + end for line, end in chosen) + draw(st.sampled_from((b"", b"ERROR id=1", b"x\0y")))


ODD = (
    b"ERROR id=3 " + b"m" * 150 + b"token rejected",
    b"ERROR id=4 " + b"m" * 900 + b"AUTH",
    b"\0" * 700,
    b"\0" * 70 + b"ERROR",
)


@contextmanager
def small() -> Iterator[None]:
    """Make everything so small that a log of some kilobytes has many blocks, and lines that are too long for them."""
    with ExitStack() as stack:
        for module in (blocks, matcher, segments, window):
            for name, value in SMALL.items():
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, value))
        yield


def said(counted: Counted) -> tuple[object, ...]:
    """Return what must not depend on the cut: parts that were skipped add up."""
    together: dict[tuple[str, SkipReason], int] = {}
    for stream, part in counted.skipped:
        together[stream, part.reason] = together.get((stream, part.reason), 0) + (part.length or 0)
    return dict(counted.counts), counted.hits, counted.before, together


def line_starts(data: bytes) -> list[int]:
    """Return where lines begin."""
    return [0, *(at + 1 for at, byte in enumerate(data[:-1]) if byte == ord("\n"))]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a path that every example writes to."""
    return tmp_path_factory.mktemp("cuts") / "app.log"


@pytest.mark.parametrize("engine", ["python", "hyperscan"])
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs(odd=ODD), length=st.integers(20, 2_000), order=st.randoms(use_true_random=False))
def test_any_cut_in_any_order_says_what_one_pass_says(
    log: Path, engine: str, data: bytes, length: int, order: random.Random
) -> None:
    """Lines, lines before, counts and what was skipped: segments of any length, merged in any order, as one pass."""
    if engine == "hyperscan":
        pytest.importorskip("hyperscan")
    log.write_bytes(data)
    stream = Stream("app.log", str(log), len(data))
    with small():
        reading = Reading(matcher_for(engine, PROBES), Remembering)
        whole = reading.summary_of(next(parts_of(stream, len(data) + 1)))
        pieces = [reading.summary_of(part) for part in parts_of(stream, length)]
    order.shuffle(pieces)
    while len(pieces) > 1:
        at = order.randrange(len(pieces) - 1)
        pieces[at : at + 2] = [pieces[at].merge(pieces[at + 1])]
    assert said(pieces[0]) == said(whole)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs(odd=ODD), length=st.integers(20, 2_000), chunk=st.integers(1, 500))
def test_a_pipe_says_what_a_file_says(log: Path, data: bytes, length: int, chunk: int) -> None:
    """The same bytes, read once from their beginning in reads of any length: the same lines, context and lookahead."""
    log.write_bytes(data)

    class Pipe:
        def __init__(self) -> None:
            self.at = 0

        def read(self, size: int) -> bytes:
            part = data[self.at : self.at + min(size, chunk)]
            self.at += len(part)
            return part

    with small():
        reading = Reading(matcher_for("python", PROBES), Remembering, length)
        of_file = [reading.summary_of(part) for part in parts_of(Stream("app.log", str(log), len(data)), length)]
        of_pipe = reading.summary_of(next(parts_of(Stream("app.log", source=Pipe()), length)))  # type: ignore[arg-type]
    together = of_file[0]
    for piece in of_file[1:]:
        together = together.merge(piece)
    assert said(of_pipe) == said(together)
    # A segment inside of which no line begins has nothing to say, and a pipe makes none of it.
    begun = {at // length * length for at in line_starts(data)}
    assert of_pipe.beyond == {key: hits for key, hits in together.beyond.items() if key[1] in begun}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs(), length=st.integers(100, 2_000))
def test_a_segment_sees_what_lies_behind_it_as_far_as_the_lookahead(log: Path, data: bytes, length: int) -> None:
    """Context behind a segment is exactly the hits that begin within LOOKAHEAD of its end."""
    log.write_bytes(data)
    stream = Stream("app.log", str(log), len(data))
    with small():
        reading = Reading(matcher_for("python", PROBES), Remembering)
        whole = reading.summary_of(next(parts_of(stream, len(data) + 1)))
        for part in parts_of(stream, length):
            stop = part.stop or 0
            expected = tuple(offset for _, offset in sorted(whole.hits) if stop <= offset < stop + SMALL["LOOKAHEAD"])
            assert reading.summary_of(part).beyond.get(("app.log", part.start), ()) == expected


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs(odd=ODD))
def test_both_engines_find_the_same(log: Path, data: bytes) -> None:
    """Hyperscan and the standard library give the same lines with the same probes."""
    pytest.importorskip("hyperscan")
    log.write_bytes(data)
    stream = Stream("app.log", str(log), len(data))
    with small():
        one, other = (
            Reading(matcher_for(engine, PROBES), Remembering).summary_of(next(parts_of(stream, 1 << 20)))
            for engine in ("python", "hyperscan")
        )
    assert said(one) == said(other)


@pytest.mark.skipif(GREP is None, reason="there is no grep to agree with")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs(ends=st.just(b"\n")))
def test_counts_are_those_of_grep(log: Path, data: bytes) -> None:
    """`LC_ALL=C grep -a -cE` with each signature counts the same lines, with whatever bytes there are in them."""
    log.write_bytes(data)
    counts = scan(open_streams([str(log)]).streams, PROBES, Counting).counts
    for index, probe in enumerate(PROBES):
        pattern = probe.pattern or probe.literal
        command = [str(GREP), "-acE" if probe.pattern else "-acF", "-e", pattern, str(log)]
        counted = subprocess.run(command, env={"LC_ALL": "C"}, capture_output=True, check=False)  # noqa: S603 - our own words
        assert counts[index] == int(counted.stdout), probe
