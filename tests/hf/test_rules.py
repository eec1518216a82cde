"""The room's rules: complete, well formed, and reproduced by the commands that they name."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.reasons import ConfigurationReason
from alwrity_checks.hf.rules import BY_REASON, RULES, rule, rule_of
from alwrity_checks.model import Rule, Severity
from tests.support.in_process import CommandLine

FILE = Path(__file__).parents[2] / "checks/alwrity_checks/hf/rules.toml"
REASONS = (*(cause for cause in Cause if cause is not Cause.OK), *ConfigurationReason)
COMMAND = re.compile(r"alwrity-doctor (hf (explain|probe|chain|generate|reproduce)\b|reproduce 2\b|gate\b|scan\b)")
EXPLAINED = [one for one in RULES if one.reproduction.startswith("alwrity-doctor hf explain")]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_breaks_exactly_one_rule(reason: Cause | ConfigurationReason) -> None:
    """A reason belongs to one rule, which names it once; a usable answer breaks none."""
    document = tomllib.loads(FILE.read_text("utf-8"))
    counted = Counter(
        named for group in document["group"] for entry in group["rule"] for named in entry.get("reasons", ())
    )
    assert counted[reason] == 1
    assert set(counted) == set(REASONS) == set(BY_REASON)
    assert rule_of(reason) in RULES


def test_codes_are_unique() -> None:
    """A code is the room's name and three digits, and stands for one rule with its own title."""
    codes = [one.code for one in RULES]
    assert len(set(codes)) == len(codes) == len({one.title for one in RULES})
    assert all(re.fullmatch(r"HF\d{3}", code) for code in codes)
    with pytest.raises(KeyError):
        rule("HF999")


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_a_rule_is_well_formed(one: Rule) -> None:
    """A title is a statement, the texts are sentences, the commands are ones that exist."""
    assert one.issue == 2
    assert re.match(r"[a-z]", one.title)
    assert not one.title.endswith(".")
    for text in (one.explanation, one.remedy):
        assert text == text.strip(" ")
        assert text.rstrip().endswith(".")
    assert one.severity in Severity
    assert 0 < one.precedence < 100
    for command in (one.reproduction, one.validation):
        assert COMMAND.search(command), command
    assert rule(one.code) is one


def test_causes_come_before_effects() -> None:
    """Of base URL, token, endpoint, account, model, mode, provider and request the one before explains the next."""
    chain: list[Cause | ConfigurationReason] = [
        ConfigurationReason.BASE_URL_UNKNOWN_PROVIDER,
        ConfigurationReason.TOKEN_MISSING,
        Cause.ROUTE_MISSING,
        Cause.TOKEN_INVALID,
        Cause.MODEL_NOT_FOUND,
        Cause.SCHEMA_UNSUPPORTED,
        Cause.RATE_LIMITED,
        Cause.PARAMETER_INVALID,
        Cause.NOT_RECOGNISED,
    ]
    precedences = [rule_of(reason).precedence for reason in chain]
    assert precedences == sorted(set(precedences))


@pytest.mark.parametrize("one", EXPLAINED, ids=lambda one: one.code)
def test_the_command_that_is_named_shows_the_fault(doctor: CommandLine, one: Rule) -> None:
    """A reproduction by `hf explain`, pasted into a shell, names one of the rule's reasons."""
    arguments = shlex.split(one.reproduction)[1:]
    done = doctor(*arguments, "--format", "json")
    (result,) = done.document["results"]
    evidence = [finding["evidence"] for finding in result["findings"]] or [result["evidence"]]
    reason = next(fact["value"] for fact in evidence[0] if fact["label"] == "reason")
    assert rule_of(Cause(reason)) is one
