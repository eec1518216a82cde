"""Every link of every Markdown file leads somewhere, and every command that one names exists."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from alwrity_checks.catalogue import rules
from alwrity_doctor.cli.manual import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent
DOCUMENTS: Final = sorted(
    [path for path in ROOT.glob("*.md") if path.name != "PKG-INFO"]
    + [path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "rules"]
)
"""The rules' pages are one form, filled in 250 times; they are looked at together."""
RULES: Final = ROOT / "docs" / "rules"
FENCE: Final = re.compile(r"^(?P<mark>```+|~~~+).*?^(?P=mark)\s*$", re.DOTALL | re.MULTILINE)
SPAN: Final = re.compile(r"`[^`\n]+`")
LINK: Final = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
OUTSIDE: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
COMMAND: Final = re.compile(r"(?:^|[`$ (])alwrity-doctor ((?:[a-z]+)(?: [a-z]+)?)(?=[ `\n).,;:]|$)", re.MULTILINE)


def label(path: Path) -> str:
    """Return a document's name for the test's id."""
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Return a document without its code."""
    return SPAN.sub("", FENCE.sub("", text))


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a document's headings, as GitHub makes them: the second of a name ends in -1."""
    found: dict[str, int] = {}
    names = set()
    for line in FENCE.sub("", path.read_text("utf-8")).splitlines():
        heading = re.match(r"#{1,6}\s+(?P<text>.+?)\s*#*$", line)
        if heading:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"]).replace("`", "").lower()
            kept = "".join(one for one in text if one in " -_" or unicodedata.category(one)[0] in "LN")
            name = kept.replace(" ", "-")
            names.add(f"{name}-{found[name]}" if name in found else name)
            found[name] = found.get(name, 0) + 1
    return frozenset(names)


def dead(path: Path, text: str) -> Iterator[str]:
    """Yield the links of a document that lead nowhere: no such file, none of this repository's, or no such heading."""
    for link in LINK.finditer(prose(text)):
        target, _, anchor = link["target"].partition("#")
        if OUTSIDE.match(target):
            continue
        there = (path.parent / target).resolve() if target else path
        if not there.is_relative_to(ROOT.resolve()) or not there.exists():
            yield f"{link['target']}: no such file"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{link['target']}: no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=label)
def test_every_link_leads_somewhere(path: Path) -> None:
    """Files are there, and headings: a page that was moved or renamed is noticed where it is linked to."""
    assert list(dead(path, path.read_text("utf-8"))) == []


def test_no_page_of_a_rule_has_a_dead_link() -> None:
    """The same for the pages that are made from the rules."""
    found = {path.name: list(dead(path, path.read_text("utf-8"))) for path in sorted(RULES.glob("*.md"))}
    assert {name: links for name, links in found.items() if links} == {}
    assert len(found) == len(rules())


def test_a_dead_link_is_found() -> None:
    """The search can fail: a missing file, a heading that is not there, a file outside; and code holds no links."""
    page = ROOT / "docs" / "index.md"
    text = (
        "[a](no-such-file.md) [b](runbook.md#no-such-heading) [c](../../outside.md) [d](runbook.md#only-a-log)\n"
        "[e](https://example.com/#x) [f](#commands-nobody-has) `[g](in-code.md)`\n```\n[h](in-a-block.md)\n```\n"
    )
    assert list(dead(page, text)) == [
        "no-such-file.md: no such file",
        "runbook.md#no-such-heading: no such heading",
        "../../outside.md: no such file",
        "#commands-nobody-has: no such heading",
    ]


@cache
def known_commands() -> frozenset[str]:
    """Return the words behind the program's name, for every command and group."""
    return frozenset(words for words, _, _ in commands())


def unknown_commands(text: str) -> list[str]:
    """Return the commands of the program that a text names and that do not exist."""
    known = known_commands()
    groups = {words.partition(" ")[0] for words in known if " " in words}
    found = []
    for named in COMMAND.finditer(text):
        first, _, second = named[1].partition(" ")
        if first not in known or (second and first in groups and f"{first} {second}" not in known):
            found.append(named[1])
    return found


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=label)
def test_every_command_that_is_named_exists(path: Path) -> None:
    """What a page tells to run is a command of this program."""
    text = path.read_text("utf-8")
    spans, indented = SPAN.findall(FENCE.sub("", text)), re.findall(r"(?m)^    .*", text)
    assert unknown_commands("\n".join([*spans, *indented])) == []


def test_an_unknown_command_is_found() -> None:
    """The search can fail: a group without such a command, and no such group; arguments are not commands."""
    assert unknown_commands("`alwrity-doctor auth guess` `alwrity-doctor cure` `alwrity-doctor gate auth`") == [
        "auth guess",
        "cure",
    ]


def test_every_issue_of_the_catalogue_has_a_page() -> None:
    """Each of the six issues has its page, and each page is one of an issue."""
    assert sorted(path.name for path in (ROOT / "docs" / "issues").iterdir()) == [
        f"{issue}.md" for issue in range(1, 7)
    ]
