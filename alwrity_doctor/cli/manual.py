"""The command line as pages: `docs/commands/` and `docs/rules.md`, by `python -m alwrity_doctor.cli.manual [--check]`.

A page holds what `--help` prints and, where the README records one, an example. What stands in them is changed in the
code or the README; `--check` compares instead of writing, as `alwrity_doctor.rulebook` does for the rules' own pages.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.catalogue import rules
from alwrity_doctor.cli import COMMANDS, command_line
from alwrity_doctor.report.phrases import of_issue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alwrity_checks.model import Rule

__all__ = ["commands", "differences", "main", "pages", "write"]

_NOTICE: Final = "<!-- Made from the code by `python -m alwrity_doctor.cli.manual`; edit that instead. -->"
_PROGRAM: Final = "alwrity-doctor"
_WIDTH: Final = 78
"""What a terminal of 80 columns leaves to the help."""
_ISSUES: Final[Mapping[str, int]] = {"auth": 1, "hf": 2, "txtai": 3, "models": 5, "startup": 6}
"""Command group -> the issue that it is about."""
_BLOCK: Final = re.compile(r"```console\n(.*?)```", re.DOTALL)
_EXITS: Final = """
| code | meaning |
| --- | --- |
| 0 | healthy |
| 1 | a finding at or above `--fail-on` |
| 2 | usage or configuration |
| 3 | something could not be checked, and nothing is worse |
| 130 | interrupted |
"""
_RULES: Final = """# Rules

What can be wrong, each under the title that says the healthy condition. `alwrity-doctor explain CODE` prints the same
pages."""


def commands() -> Iterator[tuple[str, str, str]]:
    """Yield (words behind the program's name, first sentence of the help, whole help) of every command and group."""
    root = command_line()
    context = root.context_class(root, info_name=_PROGRAM, terminal_width=_WIDTH, **root.context_settings)
    for name in COMMANDS:
        yield from _below(root.commands[name], context, (name,))


def _below(command: Any, parent: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 - typer's click
    if command.hidden:
        return
    context = command.context_class(command, info_name=words[-1], parent=parent, terminal_width=_WIDTH)
    first = " ".join((command.help or COMMANDS[words[0]][1]).strip().partition("\n\n")[0].split())
    yield " ".join(words), first, command.get_help(context)
    for name, one in getattr(command, "commands", {}).items():
        yield from _below(one, context, (*words, name))


def pages(readme: str, rulebook: Iterable[Rule]) -> dict[str, str]:
    """Return path below `docs/` -> content of every page."""
    told = list(commands())
    made = {f"commands/{_file(words)}": _page(words, first, text, told, readme) for words, first, text in told}
    made["commands/index.md"] = _contents(told)
    made["rules.md"] = _rules(rulebook)
    return {path: f"{_NOTICE}\n\n{content.strip()}\n" for path, content in made.items()}


def _file(words: str) -> str:
    return f"{words.replace(' ', '-')}.md"


def _page(words: str, first: str, text: str, told: Sequence[tuple[str, str, str]], readme: str) -> str:
    parts = [f"# {_PROGRAM} {words}", first, f"## Usage\n\n```text\n{text.strip()}\n```"]
    if within := [one for one in told if one[0].startswith(f"{words} ")]:
        parts.append("## Its commands\n\n" + _table(within))
    elif example := _example(words, readme):
        parts.append(f"## An example\n\n```console\n{example}\n```")
    also = ["- [Exit codes, and all commands](index.md)", "- [From a symptom to the proof](../runbook.md)"]
    if issue := _ISSUES.get(words.partition(" ")[0]):
        also.insert(0, f"- [Issue {issue}](../issues/{issue}.md)")
    parts.append("## See also\n\n" + "\n".join(also))
    return "\n\n".join(parts)


def _example(words: str, readme: str) -> str:
    """Return the first command of the README that is this one, with what it prints; empty if there is none."""
    for block in _BLOCK.findall(readme):
        for part in re.split(r"(?m)^(?=\$ )", block):
            command = part.partition("\n")[0]
            called = re.match(rf"\$ {_PROGRAM} {re.escape(words)}(?= |$)", command)
            if called and "--help" not in command:
                return part.strip("\n")
    return ""


def _contents(told: Sequence[tuple[str, str, str]]) -> str:
    return f"""# Commands

Every command ends with the same exit codes, writes its data to stdout and its talk to stderr, and takes `--help`.
{_EXITS}
{_table(told)}
"""


def _table(told: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| [`{words}`]({_file(words)}) | {first} |" for words, first, _ in told]
    return "\n".join(["| command | what it does |", "| --- | --- |", *lines])


def _rules(rulebook: Iterable[Rule]) -> str:
    groups: dict[str, list[Rule]] = {}
    for rule in sorted(rulebook, key=lambda rule: rule.code):
        groups.setdefault(of_issue(rule), []).append(rule)
    parts = [_RULES]
    for issue in sorted(groups):
        rows = [f"| [{rule.code}](rules/{rule.code}.md) | {rule.title} | {rule.severity} |" for rule in groups[issue]]
        head = ["| rule | what has to hold | severity |", "| --- | --- | --- |"]
        parts += [f"## {issue.capitalize()}", "\n".join([*head, *rows])]
    return "\n\n".join(parts)


def differences(directory: Path, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each page below `directory` that is missing, differs from the code, or has no command."""
    present = {f"commands/{path.name}" for path in directory.glob("commands/*.md")}
    lines = dict.fromkeys(present - wanted.keys(), "has no command")
    for path, content in wanted.items():
        there = directory / path
        if not there.is_file():
            lines[path] = "missing"
        elif there.read_text("utf-8") != content:
            lines[path] = "differs from the code"
    return tuple(f"{directory / path}: {lines[path]}" for path in sorted(lines))


def write(directory: Path, wanted: Mapping[str, str]) -> None:
    """Write the pages below `directory`, and remove those of commands that are gone."""
    (directory / "commands").mkdir(parents=True, exist_ok=True)
    for path in directory.glob("commands/*.md"):
        if f"commands/{path.name}" not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (directory / name).write_text(content, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or with `--check` compare them: 0 if they agree with the code, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m alwrity_doctor.cli.manual", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of write; exit code 1 on a difference")
    parser.add_argument("--directory", type=Path, default=Path("docs"), help="default: docs")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="where examples are; default: README.md")
    options = parser.parse_args(arguments)
    wanted = pages(options.readme.read_text("utf-8"), rules().values())
    if not options.check:
        write(options.directory, wanted)
        return 0
    found = differences(options.directory, wanted)
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
