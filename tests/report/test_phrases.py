"""The sentences and characters that the formats share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from alwrity_checks.model import (
    CheckResult,
    ExitCode,
    Finding,
    Observation,
    Outcome,
    Report,
    Target,
    TargetKind,
    Verdict,
)
from alwrity_doctor.report.characters import inert, one_line, visible
from alwrity_doctor.report.matrix import Matrix
from alwrity_doctor.report.phrases import EXIT_MEANING, cause, elapsed, headline, utc
from tests.report.random_reports import RANDOM, TEXT
from tests.support.shared_report import ISSUER, KEYS, LEEWAY


def _report(*results: CheckResult) -> Report:
    return Report("gate", "0.1.0", datetime(2026, 1, 2, tzinfo=UTC), timedelta(), results)


def _result(verdict: Verdict, *findings: Finding) -> CheckResult:
    return CheckResult("a.b", "the sky is blue", 1, verdict, findings, reason="of the weather")


@RANDOM
@given(text=TEXT)
def test_visible_text_is_harmless_and_stays_so(text: str) -> None:
    """Spelling out is done once: what is visible does not change again."""
    shown = visible(text)
    assert shown.encode().decode() == shown
    assert visible(shown) == shown
    assert "\n" not in one_line(text)


def test_line_ends_of_every_kind_survive_as_line_feeds_or_are_spelled_out() -> None:
    """A carriage return of its own could overwrite what stands before it."""
    assert visible("a\r\nb\nc\rd") == "a\nb\nc\\rd"


@pytest.mark.parametrize("text", ["::error::x", "  ::stop-commands::y", "a\n\t::add-mask::z", "before ##[error]x"])
def test_inert_text_gives_no_orders(text: str) -> None:
    """Both spellings of a workflow command are broken, wherever the runner would look for them."""
    assert "\\" in inert(text)
    assert inert(inert(text)) == inert(text)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(), ""),
        (timedelta(microseconds=90), "<1 ms"),
        (timedelta(milliseconds=431), "431 ms"),
        (timedelta(microseconds=999_900), "1.0 s"),
        (timedelta(seconds=59.94), "59.9 s"),
        (timedelta(seconds=59.96), "1 min 00 s"),
        (timedelta(minutes=61, seconds=5), "61 min 05 s"),
    ],
)
def test_durations_are_said_as_people_say_them(duration: timedelta, words: str) -> None:
    """No rounding shows 1000 ms or 60.0 s."""
    assert elapsed(duration) == words


def test_moments_are_in_utc() -> None:
    """A report from another zone is read in the same clock."""
    zone = timezone(timedelta(hours=5, minutes=30))
    assert utc(datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)) == "2026-01-01T21:34:05Z"


def test_every_exit_code_has_a_meaning() -> None:
    """No report can end in a code that its last line cannot explain."""
    assert set(EXIT_MEANING) == set(ExitCode)


def test_the_headline_counts_the_verdict_and_never_calls_an_unchecked_run_healthy() -> None:
    """Each verdict has its own sentence."""
    skip, good = _result(Verdict.SKIP), _result(Verdict.PASS)
    assert headline(_report()) == "SKIP: nothing was checked."
    assert headline(_report(skip)) == "SKIP: nothing was checked (of 1 check none applies)."
    assert headline(_report(good)) == "PASS: 1 of 1 check passed; nothing is wrong."
    assert (
        headline(_report(good, skip)) == "PASS: 1 of 2 checks passed, 1 skipped; nothing is wrong in what was checked."
    )
    assert headline(_report(good, _result(Verdict.WARN))) == "WARN: 1 of 2 checks ended with a warning."
    assert headline(_report(_result(Verdict.UNKNOWN), good)) == "UNKNOWN: 1 of 2 checks could not be carried out."


def test_a_warning_is_not_called_the_cause_of_an_unknown() -> None:
    """What could not be checked comes first; the warning is mentioned beside it."""
    report = _report(_result(Verdict.WARN, Finding(LEEWAY, "the leeway is 60 s")), _result(Verdict.UNKNOWN))
    assert cause(report) == "First of them: the sky is blue: of the weather. Also found: DEMO003: the leeway is 60 s"


def test_a_healthy_report_names_no_cause() -> None:
    """There is nothing to name."""
    assert cause(_report(_result(Verdict.PASS))) == cause(_report()) == ""


@pytest.mark.parametrize(
    ("outcomes", "cell"),
    [
        ((Outcome.ABSENT, Outcome.REPRODUCED, Outcome.UNKNOWN), "reproduced"),
        ((Outcome.UNKNOWN, Outcome.ABSENT), "unknown"),
        ((Outcome.ABSENT, Outcome.ABSENT), "absent"),
    ],
)
def test_a_cell_speaks_for_all_its_scenarios(outcomes: tuple[Outcome, ...], cell: str) -> None:
    """Reproduced wins over unknown, and unknown over absent, in whatever order they were seen."""
    target = Target(TargetKind.FIXED)
    seen = [Observation(ISSUER, target, f"scenario {outcome}", outcome, "seen") for outcome in outcomes]
    for order in (seen, seen[::-1]):
        assert Matrix.of(order).cell(ISSUER, target) == cell


def test_columns_come_as_targets_were_seen_and_rows_by_code() -> None:
    """The columns read like the run, the rules are found by their code; a pair that was not tried is a dash."""
    first, second = Target(TargetKind.BACKEND), Target(TargetKind.LEGACY, "2024")
    matrix = Matrix.of(
        [
            Observation(KEYS, first, "scenario", Outcome.ABSENT, "seen"),
            Observation(ISSUER, second, "scenario", Outcome.ABSENT, "seen"),
            Observation(replace(KEYS), first, "another", Outcome.ABSENT, "seen"),
        ]
    )
    assert (matrix.targets, matrix.rules) == ((first, second), (ISSUER, KEYS))
    assert matrix.cell(ISSUER, first) == "–"  # noqa: RUF001 - the dash of an empty cell
