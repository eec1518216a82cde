"""Where a log is cut, and in which order its pieces come, changes nothing."""

from __future__ import annotations

import pickle
import random
import re
from functools import cache, reduce
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.probe import Hit
from alwrity_checks.logs.signatures import signatures
from alwrity_checks.logs.summary import EMPTY, Summary, folded
from tests.support.reading_logs import SALT, fragment, summary_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAMPLES = [sample for one in signatures() for sample in one.samples]


@cache
def matchers() -> list[tuple[bytes, re.Pattern[bytes] | None]]:
    """Return the probes, ready to be looked for."""
    return [(one.literal, re.compile(one.pattern) if one.pattern else None) for one in probes()]


class Before:
    """The lines before a hit."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def before(self, offset: int, lines: int) -> Sequence[bytes]:
        """See `probe.Window`."""
        return self._data[max(0, offset - 65_536) : offset].split(b"\n")[:-1][-lines:]


def pieces_of(data: bytes, cuts: list[int]) -> list[Summary]:
    """Return the summaries of the pieces of a log."""
    found: list[Summary] = []
    bounds = [0, *cuts, len(data)]
    for begin, end in pairwise(bounds):
        gathering = gatherer(SALT)("app.log", begin)
        hits: list[Hit] = []
        offset = begin
        for line in data[begin:end].split(b"\n"):
            matched = tuple(
                number
                for number, (literal, pattern) in enumerate(matchers())
                if literal in line and (pattern is None or pattern.search(line))
            )
            if matched:
                hits.append(Hit(offset, line, matched))
            offset += len(line) + 1
        if hits:
            gathering.take(hits, Before(data))
        gathering.ends(end)
        found.append(gathering.result())
    return found


def log_of(seed: int, lines: int) -> bytes:
    """Return a log of known and unknown lines, with and without dates, over several midnights."""
    source = random.Random(seed)  # noqa: S311 - a test's own log
    second = source.randrange(86_400)
    found: list[str] = []
    for _ in range(lines):
        second += source.choice([-2, 0, 0, 1, 5, 60, 600, 4000])
        of_day = second % 86_400
        clock = f"{of_day // 3600:02}:{of_day // 60 % 60:02}:{of_day % 60:02}"
        line = source.choice(SAMPLES)
        if source.random() < 0.15:
            words = "".join(source.choice("abc ") for _ in range(20))
            line = f"{clock} | ERROR    | a.b{source.randrange(90)}:f:1 - unknown {source.randrange(10**6)} {words}"
        elif line[2:3] == ":":
            line = clock + line[8:]
        elif line.startswith("2026-"):
            line = f"2026-03-{10 + max(second, 0) // 86_400:02} {clock}{line[19:]}"
        found.append(line)
    return ("\n".join(found) + "\n").encode()


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.sampled_from([3, 20, 120]), st.integers(1, 12), st.randoms(use_true_random=False))
def test_any_partition_in_any_order_comes_to_the_same(seed: int, lines: int, parts: int, source: random.Random) -> None:
    """A log in one piece, and cut anywhere between lines and merged in any order, give the same summary to the byte."""
    data = log_of(seed, lines)
    ends = [match.end() for match in re.finditer(b"\n", data)][:-1]
    cuts = sorted(source.sample(ends, min(parts, len(ends))))
    whole = pieces_of(data, [])[0].to_json()
    pieces = pieces_of(data, cuts)
    source.shuffle(pieces)
    assert reduce(Summary.merge, pieces, EMPTY).to_json() == whole
    source.shuffle(pieces)
    middle = len(pieces) // 2
    copies = [pickle.loads(pickle.dumps(one)) for one in pieces]  # noqa: S301 - our own
    halves = [reduce(Summary.merge, half, EMPTY) for half in (copies[:middle], copies[middle:])]
    assert halves[0].merge(halves[1]).to_json() == whole
    assert folded(pieces).to_json() == whole


@pytest.mark.parametrize("name", ["hf_wrong_base_old", "mixed_first_failure", "txtai_model", "models_offline"])
def test_the_engine_may_cut_anywhere(name: str) -> None:
    """The real engine's segments, down to a few lines each, come to what one segment comes to."""
    path = fragment(name)
    whole = summary_of(path).to_json()
    for segment in (211, 700, 5000):
        assert summary_of(path, segment=segment).to_json() == whole


def test_a_summary_survives_the_way_to_another_machine() -> None:
    """Its text form and its pickle give it back whole."""
    summary = summary_of(fragment("mixed_first_failure"))
    assert Summary.from_json(summary.to_json()).to_json() == summary.to_json()
    assert pickle.loads(pickle.dumps(summary)).to_json() == summary.to_json()  # noqa: S301 - our own


def test_what_is_no_summary_is_refused() -> None:
    """Another document, and the same piece twice, are errors, not wrong counts."""
    with pytest.raises(ValueError, match="this is no"):
        Summary.from_json("[]")
    summary = summary_of(fragment("reload"))
    with pytest.raises(ValueError, match="counted twice"):
        summary.merge(summary)


def test_a_summary_stays_small(tmp_path: Path) -> None:
    """Thousands of different users, endpoints and unknown lines do not make it grow without bound."""
    path = tmp_path / "big.log"
    with path.open("w", encoding="utf-8") as file:
        for number in range(6000):
            clock = f"{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
            word = f"{'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10 % 10]}{'uvwxyzabcd'[number // 100 % 10]}"
            file.write(
                f"{clock} | ERROR    | m{number % 500}.n:f:1 - {word} went wrong in the {'xyz' * (number % 13)} of it\n"
                f"{clock} | ERROR    | middleware.auth_middleware:get_current_user:354 - AUTHENTICATION ERROR: Token"
                f" verification failed for endpoint: GET /api/{number % 997:x}q/x"
                f" (client_ip=10.0.{number % 250}.{number % 7}, caller=x, user_agent=y)\n"
            )
    summary = summary_of(path)
    assert len(summary.to_json()) < 120_000
    piece = summary.streams()[next(iter(summary.streams()))]
    assert sum(cluster.times.count for _, cluster in piece.clusters.items()) == 6000
    assert piece.tallies["auth.verification-failed", ""].times.count == 6000
    endpoints = piece.tallies["auth.verification-failed", ""].entities["endpoint"]
    assert endpoints.full
    assert 500 < endpoints.distinct < 1800
