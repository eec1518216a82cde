"""`alwrity-doctor completion`: what the shells propose, asked of the real shells as far as they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.catalogue import EXPERIMENTS, rules
from alwrity_doctor.cli import COMMANDS, command_line
from alwrity_doctor.cli.completing import CHECKS, ISSUES, Kind, proposal
from alwrity_doctor.discovery import discover
from alwrity_doctor.report import FORMATS
from tests.support.command_line import environment, run
from tests.support.shells import Terminal, on_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

needs_terminal = pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")


def needs(shell: str) -> pytest.MarkDecorator:
    """Skip where the shell is not installed."""
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def words(*line: str, broken: bool = False) -> list[str]:
    """Return the words proposed for the last of `line`."""
    proposed = proposal(["alwrity-doctor", *line], broken=broken)
    assert proposed.kind is Kind.WORDS
    return [word for word, _ in proposed.words]


def test_every_command_is_proposed() -> None:
    """The first word is a command of the table, with its line of the help."""
    assert dict(proposal(["alwrity-doctor", ""]).words) == {name: line for name, (_, line) in COMMANDS.items()}
    assert words("ga") == ["gate"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_proposed(name: str) -> None:
    """What a command's help names, its completion proposes, with an explanation; hidden options are in neither."""
    command = command_line().get_command(None, name)  # type: ignore[arg-type]  # the table needs no context
    assert command is not None
    if subcommands := getattr(command, "commands", None):
        assert words(name, "") == list(subcommands)
        return
    options = [
        spelling
        for one in command.params
        if one.param_type_name == "option" and not getattr(one, "hidden", False)
        for spelling in (*one.opts, *one.secondary_opts)
    ]
    assert words(name, "-") == [*options, "--help"]
    assert all(why for _, why in proposal(["alwrity-doctor", name, "-"]).words)


def test_rules_are_proposed() -> None:
    """Every rule's code, with its title, wherever a code can stand."""
    proposed = dict(proposal(["alwrity-doctor", "explain", ""]).words)
    assert list(proposed) == list(rules())
    assert proposed["AUTH001"] == rules()["AUTH001"].title
    assert words("models", "reproduce", "--rule", "MDL00") == [code for code in rules() if code.startswith("MDL00")]


def test_issues_are_proposed() -> None:
    """The catalogue's numbers, for an option and for arguments; those that are experiments are among them."""
    assert words("gate", "--issue", "") == words("reproduce", "") == words("reproduce", "1", "") == list(ISSUES)
    assert {str(issue) for issue in EXPERIMENTS} <= ISSUES.keys()


def test_checks_are_proposed() -> None:
    """The table of names is that of the checks that are installed, which nobody asks for them at a keystroke."""
    ours = [check.name for check in discover() if check.name.partition(".")[0] in CHECKS]
    assert sorted(f"{room}.{name}" for room, names in CHECKS.items() for name in names) == sorted(ours)
    assert words("gate", "auth.s") == ["auth.switches", "auth.secret-key"]
    assert words("gate", "auth", "h") == ["hf", *(f"hf.{name}" for name in CHECKS["hf"])]


def test_choices_and_formats_are_proposed() -> None:
    """An option's own words; a format may be followed by a file."""
    assert words("gate", "--fail-on", "") == ["warn", "fail"]
    assert words("gate", "--format", "") == list(FORMATS)
    assert words("gate", "--format=ht") == ["--format=html"]
    assert proposal(["alwrity-doctor", "gate", "--format", "html="]).kind is Kind.FILES


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (("gate", "--backend", ""), Kind.DIRECTORIES),
        (("scan", "ba"), Kind.DIRECTORIES),
        (("gate", "--env-file", ""), Kind.FILES),
        (("triage", "a.log", ""), Kind.FILES),
        (("diff", "before.json", ""), Kind.FILES),
    ],
)
def test_paths_are_left_to_the_shell(line: tuple[str, ...], kind: Kind) -> None:
    """A shell knows how to complete a path, and how to quote it."""
    assert proposal(["alwrity-doctor", *line]).kind is kind


def test_an_option_that_was_given_is_not_proposed_again() -> None:
    """Unless it may be repeated; behind `--` nothing is an option."""
    proposed = words("gate", "--offline", "--issue", "1", "-")
    assert "--offline" not in proposed
    assert "--issue" in proposed
    assert words("gate", "--", "--off") == []


@pytest.mark.parametrize(
    "line", [("nope", ""), ("gate", "--nope="), ("gate", "--wait", ""), ("nope", "-"), ("hf", "probe", "--base-url=h")]
)
def test_where_nothing_is_known_nothing_is_proposed(line: tuple[str, ...]) -> None:
    """A mistyped command or option, or a value that nobody can guess, is no error."""
    assert words(*line) == []


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        (("gate", "--issue", "="), list(ISSUES)),
        (("gate", "--issue", "=", "3"), ["3"]),
        (("gate", "--format=ht"), ["--format=html"]),
        (("gate", "--format", "=", "ht"), ["html"]),
        (("gate", "--fail-on", "=", "warn", "ht"), []),
        (("gate", "--issue", "=", "1", "--offl"), ["--offline"]),
    ],
)
def test_words_that_bash_broke_are_mended(line: tuple[str, ...], proposed: list[str]) -> None:
    """Bash makes three words of `--issue=3`, and replaces the last of them alone."""
    assert words(*line, broken=True) == proposed


def test_no_word_is_an_argument_of_the_process_that_answers(tmp_path: Path) -> None:
    """The shells hand the words over through a pipe, ended by NULs: one of them may be a token."""
    for shell in ("bash", "zsh", "fish"):
        script = run("completion", shell, cwd=tmp_path).stdout
        assert f"completion {shell} --words" in script
        assert r"printf '%s\0'" in script


@pytest.mark.parametrize("line", [("",), ("gate", ""), ("explain", "A"), ("models", "bench", "-")], ids=str)
def test_a_keystroke_imports_nothing_of_weight(tmp_path: Path, line: tuple[str, ...]) -> None:
    """No rules are parsed, no check is asked for, and no library is there that the proposals do not need."""
    program = (
        "import sys; from alwrity_doctor.__main__ import main; "
        "sys.argv = ['alwrity-doctor', 'completion', 'bash', '--words']; main(); print(*sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        input="".join(f"{word}\0" for word in ("alwrity-doctor", *line)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said, _, modules = done.stdout.rstrip("\n").rpartition("\n")
    assert len(said.splitlines()) > 3
    weighty = {"rich", "httpx", "pydantic", "openai", "torch", "transformers", "txtai", "cryptography", "asyncio"}
    assert {name.partition(".")[0] for name in modules.split()}.isdisjoint(weighty | {"dotenv", "importlib.metadata"})
    assert "alwrity_checks.auth.rules" not in modules


def test_a_shell_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """Wrong usage, with the shells that there are."""
    done = run("completion", "tcsh", cwd=tmp_path)
    assert done.returncode == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Make a directory with something to complete."""
    directory = tmp_path / "here"
    (directory / "back end").mkdir(parents=True)
    (directory / "backdoor.txt").touch()
    return directory


def bash_array(tmp_path: Path, here: Path, line: tuple[str, ...]) -> list[str]:
    """Return what bash's function puts into COMPREPLY, outside of readline."""
    program = (
        'eval "$(alwrity-doctor completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_alwrity_doctor "$1" "${!#}" ""; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(  # noqa: S603 - bash, with a test's own words
        ["bash", "--norc", "-c", program, "bash", "alwrity-doctor", *line],  # noqa: S607 - wherever this machine has it
        cwd=here,
        env=on_path(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@needs("bash")
def test_bash_gets_the_words(tmp_path: Path, here: Path) -> None:
    """The function fills COMPREPLY, whatever is on the line before: a glob, a quote, a command to substitute."""
    assert bash_array(tmp_path, here, ("gate", "*", "$(touch x)", "'", "--issue", "=", "3")) == ["3"]
    assert not (here / "x").exists()


@needs("bash")
@needs_terminal
def test_bash_completes_on_a_terminal(tmp_path: Path, here: Path) -> None:
    """In a real bash the tabulator completes commands, values and directories, and quotes what has a space."""
    command = ("bash", "--norc", "--noprofile", "-i")
    with closing(Terminal(command, on_path(tmp_path, PS1="ready> "), here)) as bash:
        bash.type('eval "$(alwrity-doctor completion bash)"; echo set "up"\n', "set up\r\n")
        bash.type("alwrity-doctor ga\t", "gate ")
        bash.type("--format=ht\t", "html")
        bash.type(" --backend b\t", "back\\ end/")


@needs("zsh")
@needs_terminal
@pytest.mark.parametrize("way", ["evaluated", "in fpath"])
def test_zsh_completes_on_a_terminal(tmp_path: Path, here: Path, way: str) -> None:
    """A real zsh that nobody has configured does too, again and again, and shows what each proposal means."""
    set_up = 'eval "$(alwrity-doctor completion zsh)"'
    if way == "in fpath":
        functions = tmp_path / "functions"
        functions.mkdir()
        (functions / "_alwrity-doctor").write_text(run("completion", "zsh", cwd=tmp_path).stdout)
        set_up = f"fpath=('{functions}' $fpath); autoload -Uz compinit; compinit -u"
    with closing(Terminal(("zsh", "-f", "-i"), on_path(tmp_path, PS1="ready> "), here)) as zsh:
        zsh.type(f'{set_up}; echo set "up"\n', "set up\r\n")
        zsh.type("alwrity-doctor ga\t", "gate ")
        zsh.type("--format=ht\t", "html")
        zsh.type(" --backend b\t", "back\\ end/")
        zsh.type(" --issue=\t\t", "Clerk tokens")


def fish(variables: Mapping[str, str], here: Path, line: str) -> list[str]:
    """Return what fish proposes for `line`."""
    done = subprocess.run(  # noqa: S603 - fish, with a test's own line
        ["fish", "-c", "complete -C $argv[1]", line],  # noqa: S607 - wherever this machine has it
        cwd=here,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [one.partition("\t")[0] for one in done.stdout.splitlines()]


@needs("fish")
def test_fish_completes(tmp_path: Path, here: Path) -> None:
    """Fish loads the file where the help says to put it, and proposes the same."""
    variables = on_path(tmp_path)
    place = tmp_path / "home/.config/fish/completions"
    place.mkdir(parents=True)
    (place / "alwrity-doctor.fish").write_text(run("completion", "fish", cwd=tmp_path).stdout)
    assert fish(variables, here, "alwrity-doctor ga") == ["gate"]
    assert fish(variables, here, "alwrity-doctor gate --issue=3") == ["--issue=3"]
    assert fish(variables, here, "alwrity-doctor gate --backend b") == ["back end/"]
    assert set(fish(variables, here, "alwrity-doctor gate --format json=b")) == {
        "json=back end/",
        "json=backdoor.txt",
    }
