"""Findings of one rule, told together where there are many: what is expected and what to do is then said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alwrity_checks.model import Finding

__all__ = ["SHOWN", "groups"]

_MANY: Final = 3
"""More than so many findings of one rule are one entry."""
SHOWN: Final = 25
"""So many places of an entry are named; the formats for machines name all."""


def groups(findings: Sequence[Finding]) -> Iterator[Sequence[Finding]]:
    """Yield the findings in their order, one by one, or all of a rule that has many where its first one stands."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.rule.code, []).append(finding)
    for finding in findings:
        same = by_code[finding.rule.code]
        if len(same) <= _MANY:
            yield [finding]
        elif same[0] is finding:
            yield same
