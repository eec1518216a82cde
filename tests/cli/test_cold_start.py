"""What a command may import before it does anything."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from alwrity_doctor import __version__
from alwrity_doctor.cli import COMMANDS, command_line
from tests.support.command_line import environment

ROOT = Path(__file__).parent.parent.parent
HEAVY = {
    "rich",
    "httpx",
    "pydantic",
    "openai",
    "torch",
    "transformers",
    "txtai",
    "cryptography",
    "jwt",
    "fastapi",
    "jsonschema",
    "dotenv",
    "ijson",
}
PROGRAM = """
import json, sys
from alwrity_doctor.__main__ import main
sys.argv = ["alwrity-doctor", *json.loads(sys.argv[1])]
code = main()
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def imported(tmp_path: Path, *arguments: str) -> tuple[str, set[str]]:
    """Return what the command line writes, and the top-level modules it has imported."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-c", PROGRAM, json.dumps(arguments)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    output, _, last = done.stdout.rstrip("\n").rpartition("\n")
    code, modules = json.loads(last)
    assert code == 0
    return output, set(modules)


def test_version_imports_nothing_of_weight(tmp_path: Path) -> None:
    """`--version` is answered before typer, argparse or asyncio are there."""
    output, modules = imported(tmp_path, "--version")
    assert output == f"alwrity-doctor {__version__}"
    assert not modules & (HEAVY | {"typer", "click", "asyncio", "argparse", "dataclasses", "alwrity_checks"})


def test_help_imports_no_command(tmp_path: Path) -> None:
    """`--help` lists every command from the table and imports none of them."""
    output, modules = imported(tmp_path, "--help")
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in output
        assert line in output
    assert not modules & (HEAVY | {"asyncio"})


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_light(tmp_path: Path, name: str) -> None:
    """A command's own help needs nothing heavy, and offers no installation of shell completion."""
    output, modules = imported(tmp_path, name, "--help")
    assert f"Usage: alwrity-doctor {name}" in output
    assert not modules & (HEAVY | {"asyncio"})
    assert "--install-completion" not in output


def test_version_is_the_distributions() -> None:
    """The version that is written down twice is the same."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_version_is_also_an_option_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`alwrity-doctor --version` after another option is answered by the command line itself."""
    assert command_line().main(["--version", "gate"], standalone_mode=False) == 0
    assert capsys.readouterr().out == f"alwrity-doctor {__version__}\n"
