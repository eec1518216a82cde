"""The rules of the trace: well formed, and each given by something."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.startup.rules import BY_REASON, RULES, rule, rule_of

if TYPE_CHECKING:
    from alwrity_checks.model import Rule

ROOT = Path(__file__).parents[2]
OURS = [one for one in RULES if one.code >= "STA010"]
REASONS = sorted(reason for reason, one in BY_REASON.items() if one in OURS)


@pytest.mark.parametrize("one", OURS, ids=lambda one: one.code)
def test_a_rule_is_well_formed(one: Rule) -> None:
    """A title is a statement, the texts are sentences, the commands are the trace."""
    assert re.fullmatch(r"STA\d{3}", one.code)
    assert one.issue == 6
    assert re.match(r"[a-z]", one.title)
    assert not one.title.endswith(".")
    for text in (one.explanation, one.remedy):
        assert text.rstrip().endswith(".")
    for command in (one.reproduction, one.validation):
        assert command.startswith("alwrity-doctor startup trace -- ")
    assert rule(one.code) is one


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_given(reason: str) -> None:
    """Each reason stands in the code that finds it."""
    assert f'"{reason}"' in (ROOT / "checks/alwrity_checks/startup/trace_findings.py").read_text("utf-8")
    assert rule_of(reason) in RULES


def test_every_rule_has_a_reason() -> None:
    """A rule that nothing can break is none."""
    assert {one.code for one in OURS} == {rule_of(reason).code for reason in REASONS}


def test_causes_come_before_effects() -> None:
    """A resolver explains a hub that cannot be reached, that explains a download, and all of them a death."""
    chain = [rule(code).precedence for code in ("STA013", "STA011", "STA010", "STA016", "STA019", "STA018")]
    assert chain == sorted(chain)
