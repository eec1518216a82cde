"""The Markdown format, read with a real parser."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from markdown_it import MarkdownIt

from alwrity_checks.model import Evidence
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.markdown import code, fenced, prose, render
from tests.report.random_reports import RANDOM, TEXT, reports
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

    from alwrity_checks.model import Report

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _tokens(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def _shown(text: str) -> str:
    return "".join(token.content for token in _tokens(text) if token.type in {"text", "code_inline"})


@RANDOM
@given(text=TEXT)
def test_prose_is_shown_as_it_is(text: str) -> None:
    """Whatever was observed is read back from the page word for word, alone and in a table's cell."""
    assert _shown(prose(text)) == one_line(text)
    assert _shown(f"| a |\n| --- |\n| {prose(text)} |") == "a" + one_line(text)


@RANDOM
@given(text=TEXT)
def test_code_is_shown_as_it_is(text: str) -> None:
    """A location or value stays one piece of code, however many backticks it holds."""
    assert _shown(code(text)) == one_line(text)


@RANDOM
@given(text=TEXT)
def test_a_fence_holds_whatever_is_in_it(text: str) -> None:
    """No evidence closes its block."""
    (token,) = PARSER.parse(fenced(text, "text"))
    assert token.content == visible(text) + "\n"


@RANDOM
@given(report=reports())
def test_no_report_brings_markup_of_its_own(report: Report) -> None:
    """No HTML but the empty comment, no link and no image comes from what was observed."""
    for token in _tokens(render(report)):
        assert token.type not in {"link_open", "image", "html_block", "s_open", "em_open"}
        assert token.type != "html_inline" or token.content == "<!-- -->"


def test_nobody_is_mentioned() -> None:
    """A name after an @ in a server's answer does not call that person to the pull request."""
    assert "@<!-- -->octocat" in render(shared_report())
    assert prose("mail to a@b.example") == "mail to a@b.example"


def test_the_table_of_checks_has_a_row_for_each() -> None:
    """Nothing in a reason breaks the table."""
    page = render(shared_report()).split("## Checks")[1].split("\n## ")[0]
    rows = [token for token in PARSER.parse(page) if token.type == "tr_open"]
    assert len(rows) == 1 + len(shared_report().results)


def test_a_table_has_its_rows_and_cells() -> None:
    """A matrix is one in a pull request too, whatever is in its cells."""
    (table, *_) = shared_report().tables
    page = render(shared_report()).split(f"## {table.title}")[1].split("## ")[0]
    cells = [
        _shown(token.content)
        for before, token in pairwise(PARSER.parse(page))
        if before.type in {"th_open", "td_open"} and token.type == "inline"
    ]
    assert cells == [one_line(cell) for row in (table.columns, *table.rows) for cell in row]


def test_commands_are_in_blocks_that_can_be_copied() -> None:
    """A remedy's commands stand alone in a block, as they were given."""
    blocks = [token.content for token in PARSER.parse(render(shared_report())) if token.info == "sh"]
    for finding in shared_report().findings:
        assert f"{finding.rule.validation}\n" in blocks
        assert not finding.commands or "\n".join(finding.commands) + "\n" in blocks


def _flooded(count: int, length: int) -> Report:
    report = shared_report()
    (first, *_) = report.results
    finding = replace(first.findings[0], evidence=(Evidence("answer", "é" * length),))
    findings = [replace(finding, rule=replace(finding.rule, code=f"DEMO{number:04}")) for number in range(count)]
    return replace(report, results=(replace(first, findings=tuple(findings)),))


def test_a_summary_is_never_so_large_that_github_refuses_it() -> None:
    """It ends before 1 MiB, says so, and still tells the exit code."""
    page = render(_flooded(2000, 5000))
    assert 900_000 < len(page.encode()) <= 1_000_000
    *_, cut, ending = page.rstrip("\n").split("\n\n")
    assert cut.startswith("The report goes on")
    assert ending.startswith("**Exit code 1")
    assert PARSER.parse(page)[-2].type == "inline", "no block was cut in its middle"


def test_one_flood_hides_no_other_finding() -> None:
    """A megabyte of evidence is cut where it stands, and what comes behind it is there."""
    page = render(_flooded(3, 1_000_000))
    assert "more characters)" in page
    assert "The report goes on" not in page
    assert all(f"DEMO{number:04}" in page for number in range(3))
