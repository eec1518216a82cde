"""The facts that were asked for, of the checks that passed, as tables: a report shows the evidence of faults only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alwrity_checks.model import Table, Verdict

if TYPE_CHECKING:
    from alwrity_checks.model import Report

__all__ = ["with_facts"]


def with_facts(report: Report, columns: tuple[str, str] = ("fact", "value")) -> Report:
    """Return the report with a table for each result that passed and has evidence."""
    tables = tuple(
        Table(result.title, columns, tuple((one.label, one.value) for one in result.evidence))
        for result in report.results
        if result.verdict is Verdict.PASS and result.evidence
    )
    return replace(report, tables=tables)
