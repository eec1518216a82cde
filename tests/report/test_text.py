"""The text format: what a person on call reads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from alwrity_checks.model import CheckResult, Observation, Outcome, Report, Table, Target, TargetKind, Verdict
from alwrity_doctor.report.text import render
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import HOSTILE, ISSUER, shared_report

COMMANDS = {command for finding in shared_report().findings for command in (*finding.commands, finding.rule.validation)}


def test_the_first_line_holds_the_verdict_and_the_likeliest_cause() -> None:
    """Whoever reads one line only knows what to look at."""
    first = render(shared_report(), width=200).splitlines()[0]
    assert first.startswith("FAIL: 3 of 11 checks failed. Most likely cause: DEMO002: GET https://clerk.example.com/")


@pytest.mark.parametrize("width", range(60, 201, 7))
def test_no_line_is_wider_than_the_terminal_except_a_command(width: int) -> None:
    """Everything wraps; a command does not, or it could not be copied."""
    lines = render(shared_report(), width=width).splitlines()
    assert [line for line in lines if cell_len(line) > width and line.strip() not in COMMANDS] == []
    assert {line.strip() for line in lines} >= COMMANDS


@RANDOM
@given(report=reports(), width=st.integers(0, 200))
def test_any_report_fits_any_width_without_trailing_spaces(report: Report, width: int) -> None:
    """No text and no terminal makes the layout fail; a line ends where its text ends."""
    assert all(line == line.rstrip() for line in render(report, width=width).splitlines())


@RANDOM
@given(report=reports(), width=st.integers(40, 120))
def test_no_line_is_a_workflow_command(report: Report, width: int) -> None:
    """What a server sent cannot give orders to a GitHub runner whose log the text ends in."""
    output = render(report, width=width)
    assert not re.search(r"(?m)^\s*::", output)
    assert "##[" not in output


def test_markup_is_shown_literally() -> None:
    """Rich's own markup in evidence is text."""
    assert "[red]not red[/] [/]" in render(shared_report())


def test_without_colour_no_escape_is_written_and_with_colour_the_words_are_the_same() -> None:
    """Colour adds to the words and never stands for one; an escape from a server is spelled out in both."""
    plain, coloured = render(shared_report()), render(shared_report(), colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m✗ FAIL\x1b[0m" in coloured
    assert [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()] == plain.splitlines()
    assert "\x1b[2J" not in coloured


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_a_word(verdict: Verdict) -> None:
    """A reader without colours, or with a screen reader, gets the verdict."""
    result = CheckResult("room.subject", "all is well", 1, verdict, reason="for a reason")
    report = replace(shared_report(), results=(result,), observations=())
    assert re.search(rf"(?m)^\S {verdict.upper()} +all is well  \(for a reason\)", render(report))


def test_evidence_is_shown_unless_the_check_passed() -> None:
    """A healthy check takes one line."""
    shown = {}
    for verdict in Verdict:
        result = replace(shared_report().results[0], verdict=verdict, findings=())
        shown[verdict] = "tried: 2 times" in render(replace(shared_report(), results=(result,)))
    assert shown == {verdict: verdict is not Verdict.PASS for verdict in Verdict}


def test_skips_name_the_first_cause_through_a_chain() -> None:
    """A check skipped because of a skipped check is traced to the one that failed."""
    output = render(shared_report())
    assert "Skipped because auth.keys (the signing keys can be had) failed: auth.token, auth.audience." in output


def test_skips_in_a_circle_end() -> None:
    """Two checks that each wait for the other do not hang the report."""
    results = tuple(
        CheckResult(name, name, 1, Verdict.SKIP, because=other) for name, other in (("a", "b"), ("b", "a"), ("c", "c"))
    )
    assert "Skipped because" in render(replace(shared_report(), results=results))


def test_what_was_seen_is_told_of_every_target_that_should_be_free_of_the_fault() -> None:
    """The legacy target's faults are the experiment's purpose; the others' are told in full."""
    output = render(shared_report(), width=200)
    assert "DEMO001 reproduced on yours, a token of a foreign issuer: accepted <script>" in output
    assert "DEMO002 unknown on fixed, the key server is down: no port was free" in output
    assert "reproduced on legacy" not in output


def test_targets_that_do_not_fit_continue_below() -> None:
    """Many historical states of the legacy code stay legible on a narrow terminal."""
    observations = tuple(
        Observation(ISSUER, Target(TargetKind.LEGACY, f"state{number}"), "scenario", Outcome.REPRODUCED, "seen")
        for number in range(12)
    )
    output = render(replace(shared_report(), observations=observations), width=60)
    table = output.split("fault reproduced?")[1].split("Checks")[0]
    assert table.count(" reproduced") == 12
    assert all(f"state{number}" in table for number in range(12))
    assert max(map(cell_len, table.splitlines())) <= 60


def test_columns_of_a_table_that_do_not_fit_continue_below_with_the_rows_name() -> None:
    """Every cell can be read, and assigned to its row, on a narrow terminal."""
    row = ("acme/model:groq", *(f"measured{number}" for number in range(8)))
    table = Table("Matrix", ("deployment", *(f"column{number}" for number in range(8))), (row,))
    report = Report("hf probe", "0.1.0", datetime(2026, 1, 2, tzinfo=UTC), timedelta(), tables=(table,))
    output = render(report, width=60)
    shown = [line.split() for line in output.splitlines() if "measured" in line]
    assert len(shown) > 1
    assert {line[0] for line in shown} == {row[0]}
    assert [cell for line in shown for cell in line[1:]] == list(row[1:])
    assert max(map(cell_len, output.splitlines())) <= 60


@pytest.mark.parametrize(("width", "words"), [(160, 17), (80, 14)])
def test_a_long_text_of_a_table_takes_what_the_other_columns_leave(width: int, words: int) -> None:
    """Prose stands in long lines, and a path in one, where there is room for them."""
    path = "backend/services/intelligence/agents/core_agent_framework.py"
    table = Table("Notes", ("of", "file", "note"), (("issue 1", path, "word " * 40),))
    output = render(replace(shared_report(), tables=(table,)), width=width)
    assert path in output
    assert max(line.count("word") for line in output.splitlines()) == words


def test_a_failed_check_without_a_finding_is_named_as_the_cause() -> None:
    """A verdict that no finding backs still leads somewhere."""
    result = CheckResult("a.b", "the sky is blue", 1, Verdict.FAIL, reason="it is grey")
    report = Report("gate", "0.1.0", datetime(2026, 1, 2, tzinfo=UTC), timedelta(), (result,))
    assert render(report).startswith("FAIL: 1 of 1 check failed. First of them: the sky is blue: it is grey\n")


def test_every_hostile_text_is_readable() -> None:
    """Spelling characters out loses nothing that a person could have read."""
    output = render(shared_report(), width=200)
    assert "hostile 10: 😀 café" in output
    assert r"hostile 14: \u202egnp.exe\u2069" in output
    assert HOSTILE[4] in output
