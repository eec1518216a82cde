"""`alwrity-doctor explain`: every rule, in every format."""

from __future__ import annotations

import json

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli import command_line
from alwrity_doctor.rulebook import page, sections

CODES = tuple(rules())


def explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command writes to stdout."""
    assert command_line().main(["explain", *arguments], standalone_mode=False) in {None, 0}
    return capsys.readouterr().out


@pytest.mark.parametrize("code", CODES)
def test_every_rule_is_explained_in_full(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All five parts are there, whatever the line breaks."""
    text = " ".join(explain(capsys, code).split())
    assert text.startswith(f"{code} {' '.join(rules()[code].title.split())}")
    for heading, part in sections(rules()[code]).items():
        assert f"{heading} {' '.join(part.split())}" in text


def test_case_does_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    """A code may be typed as it comes."""
    assert explain(capsys, CODES[0].lower()) == explain(capsys, CODES[0])


def test_markdown_is_the_page_of_the_rulebook(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown here is what is filed there."""
    assert explain(capsys, CODES[0], "--format", "markdown") == page(rules()[CODES[0]])


def test_json_holds_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets every part by name, under a schema's name."""
    document = json.loads(explain(capsys, CODES[0], "--format", "json"))
    rule = rules()[CODES[0]]
    assert document["schema"] == "alwrity-doctor/rules/1"
    assert document["rules"] == [
        {
            "code": rule.code,
            "title": rule.title,
            "severity": rule.severity.value,
            "issue": rule.issue,
            "explanation": rule.explanation,
            "reproduction": rule.reproduction,
            "remedy": rule.remedy,
            "validation": rule.validation,
        }
    ]


@pytest.mark.parametrize(("form", "start"), [("text", ""), ("markdown", "* ")])
def test_without_a_code_all_are_listed(form: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per rule, in the order of the codes."""
    lines = explain(capsys, "--format", form).splitlines()
    assert lines == [f"{start}{rule.code}  {rule.title}" for rule in rules().values()]
    assert [line.removeprefix(start).split()[0] for line in lines] == sorted(CODES)


def test_mistyped_code_comes_with_close_ones() -> None:
    """A digit too many is no dead end."""
    with pytest.raises(ConfigurationError) as caught:
        command_line().main(["explain", "AUTH0001"], standalone_mode=False)
    assert caught.value.remedy.startswith("did you mean AUTH001")


def test_strange_code_is_sent_to_the_list() -> None:
    """Nothing is suggested that has nothing to do with what was asked."""
    with pytest.raises(ConfigurationError) as caught:
        command_line().main(["explain", "???"], standalone_mode=False)
    assert caught.value.remedy == "alwrity-doctor explain lists the rules"
