"""The room's rules: complete, well formed, and each produced somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alwrity_checks.model import Rule, Severity
from alwrity_checks.txtai.findings import reason
from alwrity_checks.txtai.inspection import Fault
from alwrity_checks.txtai.rules import BY_REASON, RULES, rule, rule_of
from alwrity_checks.txtai.scenarios.catalogue import SCENARIOS

ROOT = Path(__file__).parents[2]
KNOWN_COMMAND = re.compile(r"alwrity-doctor (txtai (race|index|search|status|repair)|gate txtai|scan)\b")


def test_codes_are_unique_and_ordered_words() -> None:
    """A code is the room's name and three digits, and stands for one rule."""
    codes = [one.code for one in RULES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"TXT\d{3}", code) for code in codes)
    assert len({one.title for one in RULES}) == len(codes)


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_a_rule_is_well_formed(one: Rule) -> None:
    """A title is a statement, the texts are sentences, the commands are ones that exist."""
    assert one.issue == 3
    assert one.title == one.title.strip()
    assert re.match(r"[a-z]|SIF_|ALWRITY_", one.title)
    assert not one.title.endswith(".")
    for text in (one.explanation, one.remedy):
        assert text.rstrip().endswith(".")
        assert "\t" not in text
    assert one.severity in Severity
    assert 0 < one.precedence < 100
    for command in (one.reproduction, one.validation):
        assert KNOWN_COMMAND.search(command), command
    assert rule(one.code) is one


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_of_an_index_breaks_a_rule(fault: Fault) -> None:
    """What an inspection can find has a rule."""
    assert rule_of(reason(fault)) in RULES


def test_every_rule_is_produced() -> None:
    """A rule is shown by a scenario of the race or a checkout's source, or something gives a reason that breaks it."""
    sources = [*(ROOT / "checks/alwrity_checks/txtai").rglob("*.py"), *(ROOT / "alwrity_doctor/cli").glob("txtai*.py")]
    text = "".join(path.read_text("utf-8") for path in sources)
    given = {reason(fault) for fault in Fault} | {one for one in BY_REASON if f'"{one}"' in text}
    traced = {
        one.code for one in RULES if one.reproduction.startswith("alwrity-doctor scan") and f'"{one.code}"' in text
    }
    produced = {scenario.code for scenario in SCENARIOS} | {rule_of(one).code for one in given} | traced
    assert produced == {one.code for one in RULES}
    assert given == set(BY_REASON)


def test_causes_come_before_effects() -> None:
    """The start explains what a write does, and both explain what is found on the disk."""
    chain = [rule(code).precedence for code in ("TXT003", "TXT005", "TXT010", "TXT012", "TXT033")]
    assert chain == sorted(chain)


def test_an_unknown_code_is_an_error() -> None:
    """There is no rule without a code."""
    with pytest.raises(KeyError):
        rule("TXT999")


def test_pages_of_the_rules_exist() -> None:
    """Each rule has its page."""
    pages = ROOT / "docs" / "rules"
    assert {one.code for one in RULES} <= {path.stem for path in pages.iterdir()}
