"""The rules as pages: `docs/rules/CODE.md`, written, or compared, by `python -m alwrity_doctor.rulebook [--check]`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.catalogue import rules
from alwrity_doctor.report.phrases import of_issue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alwrity_checks.model import Rule

__all__ = ["differences", "is_command", "main", "page", "sections", "write"]

_COMMAND: Final = re.compile(r"alwrity-doctor [^\n;()]+")
"""A text that is a command and nothing else."""
_NOTICE: Final = "<!-- Made from the rules by `python -m alwrity_doctor.rulebook`; edit them instead. -->"


def sections(rule: Rule) -> Mapping[str, str]:
    """Return what is to be said about `rule`, heading -> text, in the order in which one asks."""
    return {
        "What": f"What has to hold: {rule.title}. "
        f"A finding against it is {_SEVERITIES[rule.severity]} of {of_issue(rule)}.",
        "Why": rule.explanation,
        "Reproduce": rule.reproduction,
        "Fix": rule.remedy,
        "Validate": rule.validation,
    }


_SEVERITIES: Final = {"error": "an error", "warning": "a warning", "note": "a note"}


def is_command(text: str) -> bool:
    """Say whether `text` is a command line to be copied, rather than a sentence."""
    return _COMMAND.fullmatch(text) is not None


def page(rule: Rule) -> str:
    """Return the page about `rule`, in Markdown."""
    parts = [f"# {rule.code}: {rule.title}"]
    for heading, text in sections(rule).items():
        parts += [f"## {heading}", _as_markdown(text)]
    return "\n\n".join(parts) + "\n"


def _as_markdown(text: str) -> str:
    # A command is copied, and Markdown would eat its placeholders in angle brackets.
    return f"```sh\n{text}\n```" if is_command(text) else text


def _pages(rulebook: Iterable[Rule]) -> dict[str, str]:
    return {f"{rule.code}.md": f"{_NOTICE}\n\n{page(rule)}" for rule in rulebook}


def differences(directory: Path, rulebook: Iterable[Rule]) -> tuple[str, ...]:
    """Return a line for each page of `directory` that is missing, differs from its rule, or has no rule."""
    wanted = _pages(rulebook)
    present = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.md")}
    lines = dict.fromkeys(wanted.keys() - present.keys(), "missing")
    lines |= dict.fromkeys(present.keys() - wanted.keys(), "has no rule")
    lines |= {name: "differs from its rule" for name in wanted.keys() & present.keys() if wanted[name] != present[name]}
    return tuple(f"{directory / name}: {lines[name]}" for name in sorted(lines))


def write(directory: Path, rulebook: Iterable[Rule]) -> None:
    """Make `directory` hold the page of every rule and no other page."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = _pages(rulebook)
    for path in directory.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or with `--check` compare them: 0 if they agree with the rules, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m alwrity_doctor.rulebook", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of write; exit code 1 on a difference")
    parser.add_argument("--directory", type=Path, default=Path("docs/rules"), help="default: docs/rules")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.directory, rules().values())
        return 0
    found = differences(options.directory, rules().values())
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
