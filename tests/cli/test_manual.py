"""The pages made from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alwrity_checks.catalogue import rules
from alwrity_doctor.cli import COMMANDS
from alwrity_doctor.cli.manual import commands, differences, main, pages, write
from tests.support.checks import rule
from tests.support.command_line import run

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
README = """
```console
$ alwrity-doctor auth verify --help
the help
$ alwrity-doctor auth verify -
FAIL: expired
$ alwrity-doctor auth verify --token-file F
PASS
```
"""


def test_every_command_has_a_page() -> None:
    """No command of the table is left out, nor one below a group."""
    told = {words for words, _, _ in commands()}
    assert set(COMMANDS) <= told
    assert {"auth verify", "tracker record", "startup trace"} <= told
    made = pages("", [])
    assert {f"commands/{words.replace(' ', '-')}.md" for words in told} == {
        path for path in made if path.startswith("commands/") and path != "commands/index.md"
    }


def test_a_page_holds_what_help_prints(tmp_path: Path) -> None:
    """The usage is the program's own help, to the letter, where a terminal is 80 columns wide."""
    printed = run("auth", "verify", "--help", cwd=tmp_path, COLUMNS="80").stdout.strip()
    assert f"```text\n{printed}\n```" in pages("", [])["commands/auth-verify.md"]


def test_the_example_is_the_first_of_the_readme() -> None:
    """What the README records for a command stands on its page; help is no example, and a group has none of its own."""
    made = pages(README, [])
    assert "```console\n$ alwrity-doctor auth verify -\nFAIL: expired\n```" in made["commands/auth-verify.md"]
    assert "console" not in made["commands/auth-env.md"]
    assert "console" not in made["commands/auth.md"]


def test_every_rule_is_listed_under_its_issue() -> None:
    """The list leads to the rules' own pages."""
    text = pages("", [rule("TEST001"), rule("TEST002")])["rules.md"]
    assert "## Issue 1" in text
    assert "| [TEST001](rules/TEST001.md) | TEST001 holds |" in text


def test_a_command_without_a_description_is_none() -> None:
    """Each says in a sentence what it does."""
    assert [words for words, first, _ in commands() if not first.endswith(".")] == []


def test_every_difference_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page can be missing, outdated, or of a command that is gone; written anew, nothing differs."""
    (tmp_path / "README.md").touch()
    wanted = pages("", rules().values())
    arguments = ["--directory", str(tmp_path), "--readme", str(tmp_path / "README.md")]
    write(tmp_path, wanted)
    assert main([*arguments, "--check"]) == 0
    (tmp_path / "commands" / "gate.md").write_text("edited by hand")
    (tmp_path / "commands" / "cure.md").write_text("gone")
    (tmp_path / "rules.md").unlink()
    assert differences(tmp_path, wanted) == (
        f"{tmp_path / 'commands/cure.md'}: has no command",
        f"{tmp_path / 'commands/gate.md'}: differs from the code",
        f"{tmp_path / 'rules.md'}: missing",
    )
    assert main([*arguments, "--check"]) == 1
    assert "differs from the code" in capsys.readouterr().err
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0


def test_pages_of_this_repository_are_current() -> None:
    """`docs/commands` and `docs/rules.md` are what the code says."""
    wanted = pages((ROOT / "README.md").read_text("utf-8"), rules().values())
    assert differences(ROOT / "docs", wanted) == ()
