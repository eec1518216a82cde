"""Reads and checks `tracker.md`, the catalogue of a backend's issues.

    ## Issue N: title
    - **Field**: value                short fields, a row of them below the heading
    ### Field                         long fields, each a section; some hold a list of entries of one form

The file belongs to the people who edit it: nothing here rewrites their text, and every part knows its lines, so that
an entry can be put behind another. `load` refuses only what is no tracker at all; `check` says what is wrong with one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from alwrity_checks.model import Rule

__all__ = ["Entry", "Field", "Issue", "Problem", "Span", "Tracker", "check", "load"]

ISSUES: Final = range(1, 7)
"""Of the catalogue as it was carried over; those that were found later go on from there."""
SHORT_FIELDS: Final = ("Status", "Severity", "Subsystem", "Confidence", "Rules", "Validation")
SECTIONS: Final = (
    "Signatures",
    "Observed",
    "Hypotheses",
    "Root cause",
    "Evidence",
    "Files",
    "Questions",
    "Fix",
    "Session log",
)
FORMS: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "Signatures": ("`log line` (ORIGIN): meaning", re.compile(r"`(?P<literal>[^`]+)` \((?P<mark>.*?)\): (?P<text>.+)")),
    "Hypotheses": ("`VERDICT`: text", re.compile(r"`(?P<mark>[^`]+)`: (?P<text>.+)")),
    "Evidence": ("`KIND`: text", re.compile(r"`(?P<mark>[^`]+)`: (?P<text>.+)")),
    "Questions": (
        "question - **Answer**: text - **Command**: command",
        re.compile(r"(?P<text>.+?) - \*\*Answer\*\*: (?P<answer>.+?) - \*\*Command\*\*: (?P<command>.+)"),
    ),
    "Session log": ("YYYY-MM-DD: text", re.compile(r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}): (?P<text>.+)")),
}
"""Section with a list -> the form of its entries, for a person and for the reader."""
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Status": ("open", "cured-here", "fixed", "regressed", "no-defect"),
    "Severity": ("high", "medium", "low"),
    "Confidence": ("high", "medium", "low"),
    "Signatures": ("catalogue", "source", "log"),
    "Hypotheses": ("confirmed", "refuted", "undecided"),
    "Evidence": ("shown", "source", "measured-outside", "catalogue", "log"),
}
"""Field -> the words it or its entries are marked with; the top of `tracker.md` says what each means."""
PLACEHOLDERS: Final[Mapping[str, str]] = {"none yet": "open", "not needed": "no-defect"}
"""What may stand for a command or rule, with the reason behind it -> the one status in which it may."""
PROGRAM: Final = "alwrity-doctor"

_LARGEST: Final = 1 << 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ISSUE: Final = re.compile(r"## Issue ([0-9]{1,4}): (\S.*)")
_SHORT: Final = re.compile(r"- \*\*(.+?)\*\*:(.*)")
_ENTRY: Final = re.compile(r"(?:- |[0-9]+\. )(.*)")
_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


@dataclass(frozen=True, slots=True)
class Span:
    """A code span."""

    text: str
    """Without the backticks."""
    line: int
    """1-based."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a section's list, with the lines that continue it."""

    text: str
    """Without the bullet; its lines joined by one space."""
    line: int
    """1-based."""
    last_line: int
    """Of the last line that continues it."""
    parts: Mapping[str, str]
    """What the section's form tells apart, by name; empty if the entry does not have that form."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an issue."""

    name: str
    line: int
    """1-based, of the name."""
    lines: tuple[str, ...]
    """The value's lines; a section's begin below its heading, a short field's on the line of the name."""
    section: bool
    """False for a short field."""

    @property
    def text(self) -> str:
        """The value without the space around it."""
        return "\n".join(self.lines).strip()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries of its list, in order. An indented line continues the entry above it."""
        blocks: list[list[tuple[int, str]]] = []
        for number, line in enumerate(self.lines, self.line + self.section):
            start = _ENTRY.fullmatch(line)
            if start:
                blocks.append([(number, start[1])])
            elif blocks and line[:1].isspace() and line.strip():
                blocks[-1].append((number, line))
        return tuple(self._entry(block) for block in blocks)

    def _entry(self, block: Sequence[tuple[int, str]]) -> Entry:
        text = " ".join(line.strip() for _, line in block)
        match = FORMS[self.name][1].fullmatch(text) if self.name in FORMS else None
        return Entry(text, block[0][0], block[-1][0], match.groupdict() if match else {})


@dataclass(frozen=True, slots=True)
class Issue:
    """An entry of the catalogue."""

    number: int
    title: str
    line: int
    """1-based, of the heading."""
    last_line: int
    """The last line before the next heading of its rank."""
    fields: tuple[Field, ...]
    """As they stand in the file: some may be unknown, missing or there twice."""

    def field(self, name: str) -> Field:
        """Return the first field called `name`; an empty one at the heading's line if there is none."""
        return next((one for one in self.fields if one.name == name), Field(name, self.line, (), name in SECTIONS))

    def value(self, name: str) -> str:
        """Return a short field's value: the code span that it begins with, else its text."""
        text = self.field(name).text
        match = _SPAN.match(text)
        return match[2] if match else text


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a tracker."""

    line: int
    """1-based."""
    message: str


@dataclass(frozen=True, slots=True)
class Tracker:
    """A tracker, taken apart."""

    path: Path
    lines: tuple[str, ...]
    """Every line, without its end."""
    issues: tuple[Issue, ...]
    spans: tuple[Span, ...]
    """Every code span, in order."""
    problems: tuple[Problem, ...]
    """What could not be placed while reading."""

    def issue(self, number: int) -> Issue:
        """Return the issue `number`. Raises ConfigurationError, which names the known ones."""
        for issue in self.issues:
            if issue.number == number:
                return issue
        known = ", ".join(str(issue.number) for issue in self.issues)
        raise ConfigurationError(f"{self.path} has no issue {number}", f"name one of {known}")


def load(path: Path) -> Tracker:
    """Read the tracker at `path`: UTF-8, with or without a byte-order mark, lines that end in LF or CRLF.

    Raises ConfigurationError, which names the line where there is one, for a file that cannot be read, is larger than
    1 MiB, is not text, holds something shaped like a credential, or holds no issue.
    """
    lines = tuple(_read(path).split("\n"))
    issues: list[Issue] = []
    problems: list[Problem] = []
    for start, stop in _blocks(lines, "## ", 0, len(lines)):
        match = _ISSUE.fullmatch(lines[start])
        if match:
            fields = tuple(_fields(lines, start + 1, stop, problems))
            issues.append(Issue(int(match[1]), match[2], start + 1, stop, fields))
        elif lines[start].startswith("## Issue"):
            problems.append(Problem(start + 1, "an issue's heading reads `## Issue NUMBER: title`"))
    if not issues:
        raise ConfigurationError(f"{path} holds no issue", "an issue begins with `## Issue NUMBER: title`")
    spans: list[Span] = []
    for number, line in enumerate(lines, 1):
        spans += [Span(match[2].strip(), number) for match in _SPAN.finditer(line)]
        if "`" in _SPAN.sub("", line):
            # A span that runs over the line's end, or a fenced block, would keep its commands from being looked up.
            problems.append(Problem(number, "a backtick without its partner: a code span ends on its own line"))
    return Tracker(path, lines, tuple(issues), tuple(spans), tuple(problems))


def check(tracker: Tracker, known_rules: Mapping[str, Rule], known_commands: Callable[[str], str]) -> list[Problem]:
    """Return everything that is wrong with `tracker`, in the order of its lines.

    `known_commands` is given a command line of this program, and returns what is wrong with it or an empty string.
    """
    problems = [*tracker.problems, *_numbers(tracker), *_spans(tracker, known_rules, known_commands)]
    for issue in tracker.issues:
        problems += [*_layout(issue), *_words(issue), *_commands(issue), *_rules(issue, known_rules)]
        problems += _order(issue.field("Session log"))
        problems += (problem for field in issue.fields if field.name in FORMS for problem in _list(field))
    return sorted(set(problems), key=lambda problem: (problem.line, problem.message))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", "name the tracker with --file") from error
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path} is larger than 1 MiB", "name the tracker with --file")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line} is not UTF-8 text", "save the file as UTF-8") from error
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise ConfigurationError(f"{path}:{line} holds a control character", "a tracker is plain text: remove it")
    clean = scrub(text)
    if clean != text:
        pairs = zip(text.split("\n"), clean.split("\n"), strict=False)  # a key block is scrubbed to one line
        line = next(number for number, (ours, scrubbed) in enumerate(pairs, 1) if ours != scrubbed)
        raise ConfigurationError(
            f"{path}:{line} holds something shaped like a credential", "take it out, and revoke it if it is a real one"
        )
    return text


def _blocks(lines: Sequence[str], prefix: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield where each heading that begins with `prefix` stands, and where what belongs to it ends."""
    starts = [index for index in range(start, stop) if lines[index].startswith(prefix)]
    yield from pairwise([*starts, stop])


def _fields(lines: Sequence[str], start: int, stop: int, problems: list[Problem]) -> Iterator[Field]:
    sections = list(_blocks(lines, "### ", start, stop))
    short: list[tuple[str, int, list[str]]] = []
    for index in range(start, sections[0][0] if sections else stop):
        match = _SHORT.fullmatch(lines[index])
        if match:
            short.append((match[1], index + 1, [match[2]]))
        elif short and lines[index][:1].isspace():
            short[-1][2].append(lines[index])
        elif lines[index].strip():
            problems.append(Problem(index + 1, "text outside a field: a short field reads `- **Field**: value`"))
    for name, line, value in short:
        yield Field(name, line, tuple(value), section=False)
    for first, last in sections:
        yield Field(lines[first].removeprefix("### ").strip(), first + 1, tuple(lines[first + 1 : last]), section=True)


def _numbers(tracker: Tracker) -> Iterator[Problem]:
    first: dict[int, Issue] = {}
    for issue in tracker.issues:
        if issue.number < ISSUES.start:
            yield Problem(issue.line, f"no such issue: they are numbered from {ISSUES.start}")
        elif issue.number in first:
            yield Problem(issue.line, f"issue {issue.number} is there already, at line {first[issue.number].line}")
        first.setdefault(issue.number, issue)
    for number in ISSUES:
        if number not in first:
            yield Problem(len(tracker.lines), f"issue {number} is missing")
    for number, issue in first.items():
        if number > ISSUES[-1] and number - 1 not in first:
            yield Problem(issue.line, f"issue {number} has no issue {number - 1} before it")


def _spans(tracker: Tracker, rules: Mapping[str, Rule], commands: Callable[[str], str]) -> Iterator[Problem]:
    rooms = "|".join(sorted({code.rstrip("0123456789") for code in rules}))
    code = re.compile(rf"\b(?:{rooms})[0-9]{{3}}\b") if rooms else None
    for span in tracker.spans:
        complaint = commands(span.text) if span.text.startswith(f"{PROGRAM} ") else ""
        if complaint:
            yield Problem(span.line, f"`{span.text}`: {complaint}")
        for name in code.findall(span.text) if code else ():
            if name not in rules:
                yield Problem(span.line, f"there is no rule {name}")


def _layout(issue: Issue) -> Iterator[Problem]:
    known = (*SHORT_FIELDS, *SECTIONS)
    seen: dict[str, int] = {}
    furthest = -1
    for one in issue.fields:
        if one.name not in (SECTIONS if one.section else SHORT_FIELDS):
            kind = "section" if one.section else "short field"
            yield Problem(one.line, f"an issue has no {kind} called {one.name}")
            continue
        if one.name in seen:
            yield Problem(one.line, f"{one.name} is there already, at line {seen[one.name]}")
        elif known.index(one.name) < furthest:
            yield Problem(one.line, f"{one.name} belongs before {known[furthest]}")
        if not one.text:
            yield Problem(one.line, f"{one.name} is empty")
        seen.setdefault(one.name, one.line)
        furthest = max(furthest, known.index(one.name))
    for name in known:
        if name not in seen:
            yield Problem(issue.line, f"issue {issue.number} has no {name}")


def _list(section: Field) -> Iterator[Problem]:
    entries = section.entries
    if not entries and section.text.startswith("None. ") and section.name != "Session log":
        return
    if not entries and section.text:
        yield Problem(section.line, f"{section.name} has no entry; write `None.` and the reason if there is nothing")
    taken = {number for entry in entries for number in range(entry.line, entry.last_line + 1)}
    for number, line in enumerate(section.lines, section.line + 1):
        if line.strip() and number not in taken:
            yield Problem(number, f"text outside an entry of {section.name}")
    form = FORMS[section.name][0]
    for entry in entries:
        mark = entry.parts.get("mark")
        if not entry.parts:
            yield Problem(entry.line, f"an entry of {section.name} reads: {form}")
        elif mark is not None and mark not in WORDS[section.name]:
            yield Problem(entry.line, f"{section.name}: {mark!r} is none of {', '.join(WORDS[section.name])}")
        elif mark == "shown" and f"`{PROGRAM} " not in entry.text:
            yield Problem(entry.line, "what is marked as shown names the command that shows it")


def _words(issue: Issue) -> Iterator[Problem]:
    for name in ("Status", "Severity", "Confidence"):
        value = issue.value(name)
        if value and value not in WORDS[name]:
            yield Problem(issue.field(name).line, f"{name}: {value!r} is none of {', '.join(WORDS[name])}")


def _commands(issue: Issue) -> Iterator[Problem]:
    validation = issue.field("Validation")
    asked = [("Validation", validation.line, validation.text)]
    asked += [("Command", entry.line, entry.parts.get("command", "")) for entry in issue.field("Questions").entries]
    for name, line, text in asked:
        if text and not text.startswith(f"`{PROGRAM} "):
            yield from _placeholder(issue, name, line, text)


def _rules(issue: Issue, known_rules: Mapping[str, Rule]) -> Iterator[Problem]:
    field = issue.field("Rules")
    if issue.value("Rules") in PLACEHOLDERS:
        yield from _placeholder(issue, "Rules", field.line, field.text)
        return
    codes = [match[2] for match in _SPAN.finditer(field.text)]
    if field.text and not codes:
        yield Problem(field.line, "Rules names codes, each in a code span")
    for code in codes:
        if code not in known_rules:
            yield Problem(field.line, f"there is no rule {code}")
        elif known_rules[code].issue != issue.number:
            yield Problem(field.line, f"rule {code} belongs to issue {known_rules[code].issue}")


def _placeholder(issue: Issue, name: str, line: int, text: str) -> Iterator[Problem]:
    match = _SPAN.match(text)
    word = match[2] if match else ""
    if word not in PLACEHOLDERS:
        yield Problem(line, f"{name} is a command of {PROGRAM} in a code span, or one of {', '.join(PLACEHOLDERS)}")
        return
    if issue.value("Status") != PLACEHOLDERS[word]:
        yield Problem(line, f"{name}: {word!r} is for an issue whose status is {PLACEHOLDERS[word]}")
    if not re.match(r": +\S", text[len(word) + 2 :]):
        yield Problem(line, f"{name}: {word!r} needs its reason, behind a colon")


def _order(log: Field) -> Iterator[Problem]:
    latest = date.min
    for entry in log.entries:
        try:
            day = date.fromisoformat(entry.parts.get("date", latest.isoformat()))
        except ValueError:
            yield Problem(entry.line, f"{entry.parts['date']} is not a date")
            continue
        if day < latest:
            yield Problem(entry.line, f"the session log is in the order of its dates: {day} stands below {latest}")
        latest = max(day, latest)
