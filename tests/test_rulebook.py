"""The pages made from the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.model import Severity
from alwrity_doctor.rulebook import differences, is_command, main, page, write
from tests.support.checks import rule

DOCS = Path(__file__).parent.parent / "docs" / "rules"


def test_page_has_the_five_parts() -> None:
    """What, why, reproduce, fix and validate, in this order; commands stand in blocks that can be copied."""
    text = page(rule("TEST001", Severity.WARNING))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# TEST001: TEST001 holds", "## What", "## Why", "## Reproduce", "## Fix", "## Validate"]
    assert "is a warning of issue 1" in text
    assert "```sh\nalwrity-doctor reproduce 1\n```" in text


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("alwrity-doctor auth verify - --env-file backend/.env", True),
        ("alwrity-doctor auth verify - (with such a token)", False),
        ("send a token", False),
        ("alwrity-doctor gate\nalwrity-doctor auth", False),
    ],
)
def test_sentence_is_not_taken_for_a_command(text: str, *, is_one: bool) -> None:
    """Only what can be pasted into a shell stands in a block."""
    assert is_command(text) is is_one


def test_written_pages_have_no_difference(tmp_path: Path) -> None:
    """Writing and comparing agree, and pages of rules that are gone are removed."""
    directory = tmp_path / "docs" / "rules"
    write(directory, [rule("TEST001"), rule("TEST002")])
    write(directory, [rule("TEST001")])
    assert [path.name for path in directory.iterdir()] == ["TEST001.md"]
    assert differences(directory, [rule("TEST001")]) == ()


def test_every_difference_is_named(tmp_path: Path) -> None:
    """A page can be missing, outdated or left over."""
    write(tmp_path, [rule("TEST001"), rule("TEST002")])
    (tmp_path / "TEST001.md").write_text("edited by hand")
    assert differences(tmp_path, [rule("TEST001"), rule("TEST003")]) == (
        f"{tmp_path / 'TEST001.md'}: differs from its rule",
        f"{tmp_path / 'TEST002.md'}: has no rule",
        f"{tmp_path / 'TEST003.md'}: missing",
    )


def test_check_ends_with_1_on_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CI fails when somebody changed a rule and not its page."""
    arguments = ["--directory", str(tmp_path)]
    assert main([*arguments, "--check"]) == 1
    assert "missing" in capsys.readouterr().err
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0


def test_pages_of_this_repository_are_current() -> None:
    """`docs/rules` is what the rules say."""
    assert differences(DOCS, rules().values()) == ()
