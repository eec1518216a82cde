"""The room's rules: complete, well formed, and each produced somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alwrity_checks import catalogue
from alwrity_checks.model import Rule, Severity
from alwrity_checks.models.experiment import SCENARIOS
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.rules import BY_REASON, RULES, rule, rule_of

ROOT = Path(__file__).parents[2]
KNOWN_COMMAND = re.compile(r"alwrity-doctor (models (list|plan|pull|generate|reproduce|bench)|gate models)\b")


def test_codes_are_unique() -> None:
    """A code is the room's name and three digits, and stands for one rule."""
    codes = [one.code for one in RULES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"MDL\d{3}", code) for code in codes)
    assert len({one.title for one in RULES}) == len(codes)


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_a_rule_is_well_formed(one: Rule) -> None:
    """A title is a statement, the texts are sentences, the commands are ones that exist."""
    assert one.issue == 5
    assert re.match(r"[a-z]", one.title)
    assert not one.title.endswith(".")
    for text in (one.explanation, one.remedy):
        assert text.rstrip().endswith((".", "MODEL."))
        assert "\t" not in text
    assert one.severity in Severity
    assert 0 < one.precedence < 100
    for command in (one.reproduction, one.validation):
        assert KNOWN_COMMAND.search(command), command
    assert rule(one.code) is one


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_breaks_a_rule(reason: Reason) -> None:
    """Whatever the component says no with can be explained."""
    assert rule_of(reason) in RULES


def test_every_rule_is_produced() -> None:
    """A rule is shown by a scenario, or some source gives a reason that breaks it."""
    sources = [
        *(ROOT / "checks/alwrity_checks/models").rglob("*.py"),
        *(ROOT / "alwrity_doctor/cli").glob("models*.py"),
    ]
    text = "".join(path.read_text("utf-8") for path in sources if path.name != "reasons.py")
    given = {one for one in BY_REASON if f'"{one}"' in text}
    given |= {reason for reason in Reason if f"Reason.{reason.name}" in text}
    produced = {scenario.code for scenario in SCENARIOS} | {rule_of(one).code for one in given}
    assert {one.code for one in RULES} - produced == set()


def test_no_other_room_has_the_same_reason() -> None:
    """A reason code names one rule in the whole house."""
    others = {
        code
        for room in catalogue.ROOMS
        if room != "models"
        for code in __import__(f"alwrity_checks.{room}.rules", fromlist=["BY_REASON"]).BY_REASON
    }
    assert not others & set(BY_REASON)


def test_causes_come_before_effects() -> None:
    """Settings explain libraries, those the hub, that the disk, that the memory, and all of them an answer."""
    chain = [rule(code).precedence for code in ("MDL020", "MDL025", "MDL030", "MDL040", "MDL050", "MDL060")]
    assert chain == sorted(chain)


def test_an_unknown_code_is_an_error() -> None:
    """There is no rule without a code."""
    with pytest.raises(KeyError):
        rule("MDL999")
