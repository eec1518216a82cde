"""The rules of a checkout as a whole: well formed, and each broken by something."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.rules import BY_REASON, RULES, rule
from alwrity_checks.catalogue import rules

if TYPE_CHECKING:
    from alwrity_checks.model import Rule

BACKEND = Path(__file__).parents[2] / "checks/alwrity_checks/backend"
SOURCE = "\n".join(path.read_text("utf-8") for path in sorted(BACKEND.glob("*.py")))


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_a_rule_is_well_formed(one: Rule) -> None:
    """A title is a statement, the texts are sentences, the commands are the scan, and the code is in the catalogue."""
    assert re.fullmatch(r"SRC\d{3}", one.code)
    assert re.match(r"[a-z]", one.title)
    assert not one.title.endswith(".")
    for text in (one.explanation, one.remedy):
        assert text.rstrip().endswith(".")
    assert one.reproduction == one.validation == "alwrity-doctor scan DIR"
    assert rules()[one.code] is rule(one.code) is one


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_a_rule_is_given(one: Rule) -> None:
    """A rule that nothing can break is none."""
    assert f'"{one.code}"' in SOURCE


def test_only_the_reloader_belongs_to_an_issue() -> None:
    """What concerns the checkout as a whole may hide any issue, and belongs to none."""
    assert {one.code: one.issue for one in RULES if one.issue} == {"SRC013": 4}
    assert not BY_REASON


def test_causes_come_before_effects() -> None:
    """What does not compile explains what is missing, and that explains what is switched off."""
    chain = [rule(code).precedence for code in ("SRC001", "SRC002", "SRC003", "SRC010", "SRC011", "SRC012", "SRC030")]
    assert chain == sorted(chain)
