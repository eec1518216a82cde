"""What can follow on a command line, worked out from the commands themselves: for the shells' completion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_doctor.cli import COMMANDS, command_line
from alwrity_doctor.report import FORMATS

if TYPE_CHECKING:
    from typer._click import Command, Parameter

__all__ = ["CHECKS", "ISSUES", "Kind", "Proposal", "proposal"]

ISSUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": "Clerk tokens, keys and settings",
        "2": "the Hugging Face router, structured JSON",
        "3": "the semantic index",
        "4": "the development server's reloads",
        "5": "local models",
        "6": "what a server's start waits for",
    }
)
"""The catalogue's numbers, and what each is about."""

CHECKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "auth": (
            *("switches", "publishable-key", "secret-key", "jwt-key", "libraries", "key-server", "instance"),
            "jwt-key-instance",
        ),
        "hf": ("base-url", "token", "endpoint", "account", "models"),
        "txtai": ("libraries", "settings", "model", "indexes"),
        "models": ("settings", "libraries", "cache", "hub", "memory"),
        "startup": ("next_start",),
        "scan": (*("files", "requirements", "auth", "hf", "txtai", "reload", "models", "startup", "logging", "names"),),
    }
)
"""The names of our own checks. Asking the entry points for them imports every room: twice the time that a keystroke
may take; so a third party's check is not proposed."""

_LONGEST: Final = 70
"""Characters of an explanation beside a proposal."""
_RULE: Final = re.compile(r'^code = "([A-Z0-9]+)"\ntitle = "((?:[^"\\]|\\.)*)"$', re.MULTILINE)
_SEPARATORS: Final = frozenset("=:")
"""Where bash breaks a word into several, each of them by itself (COMP_WORDBREAKS)."""


class Kind(StrEnum):
    """What the shell proposes."""

    WORDS = "words"
    FILES = "files"
    DIRECTORIES = "directories"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What can stand in place of the word under the cursor."""

    kind: Kind
    words: tuple[tuple[str, str], ...] = ()
    """Each word with its explanation, which may be empty."""

    def limited(self, beginning: str) -> Proposal:
        """Return the proposal with the words that begin with `beginning`."""
        return Proposal(self.kind, tuple(one for one in self.words if one[0].startswith(beginning)))


_NOTHING: Final = Proposal(Kind.WORDS)


def proposal(words: Sequence[str], *, broken: bool = False) -> Proposal:
    """Return what can stand in place of the last of `words`, of which the first is the program's name.

    `broken` says that the words are bash's, in which `--issue=3` is three: what is proposed then replaces only what
    comes behind the last `=` or `:`.
    """
    tail = ""
    if broken:
        words, tail = _mended(words)
    *before, current = words[1:] or [""]
    place = _Place(command_line())
    if not all(place.passed(word) for word in before):
        return _NOTHING
    proposed = place.proposed(current).limited(current)
    return Proposal(proposed.kind, tuple((word.removeprefix(tail), why) for word, why in proposed.words))


def _mended(words: Sequence[str]) -> tuple[list[str], str]:
    """Return bash's pieces put together again, and of the last word what bash takes for a word before it."""
    whole: list[str] = []
    joined = False
    head = ""
    for word in words:
        separator = word != "" and set(word) <= _SEPARATORS
        if whole and (separator or joined):
            head = whole[-1] + word if separator else whole[-1]
            whole[-1] += word
        else:
            head = ""
            whole.append(word)
        joined = separator
    return whole, head


class _Place:
    """Where in the tree of commands the cursor is, and what was already said there."""

    def __init__(self, command: Command) -> None:
        self._root = self._command = command
        self._pending: Parameter | None = None
        self._said: set[str | None] = set()
        self._arguments = 0
        self._literal = False

    def passed(self, word: str) -> bool:
        """Go past a word before the cursor; False if nothing can be known behind it."""
        if self._pending is not None:
            self._pending = None
        elif word == "--" and not self._literal:
            self._literal = True
        elif self._is_option(word):
            name, given, _ = word.partition("=")
            option = self._option(name)
            if option is not None:
                self._said.add(option.name)
                self._pending = option if _takes_value(option) and not given else None
        elif commands := _commands(self._command):
            if word not in commands:
                return False
            self._command, self._said, self._arguments = commands[word], set(), 0
        else:
            self._arguments += 1
        return True

    def proposed(self, current: str) -> Proposal:
        """Return what can stand here, whatever of it `current` is the beginning of."""
        if self._pending is not None:
            return _values(self._pending, current)
        if self._is_option(current):
            name, given, _ = current.partition("=")
            option = self._option(name) if given else None
            if option is None:
                return _NOTHING if given else Proposal(Kind.WORDS, tuple(self._options()))
            values = _values(option, current.partition("=")[2])
            return Proposal(values.kind, tuple((f"{name}={value}", why) for value, why in values.words))
        if self._command is self._root:
            # From the table: looking a command up would import its module.
            return Proposal(Kind.WORDS, tuple((name, line) for name, (_, line) in COMMANDS.items()))
        if commands := _commands(self._command):
            return Proposal(Kind.WORDS, tuple((name, _brief(one.help)) for name, one in commands.items()))
        if argument := self._argument():
            return _values(argument, current)
        return Proposal(Kind.WORDS, tuple(self._options()))

    def _is_option(self, word: str) -> bool:
        return not self._literal and len(word) > 0 and word[0] == "-"

    def _option(self, name: str) -> Parameter | None:
        return next((one for one in self._parameters("option") if name in (*one.opts, *one.secondary_opts)), None)

    def _options(self) -> Iterator[tuple[str, str]]:
        for option in self._parameters("option"):
            if option.name not in self._said or getattr(option, "multiple", False):
                yield from (
                    (name, _brief(getattr(option, "help", ""))) for name in (*option.opts, *option.secondary_opts)
                )
        yield "--help", "Show what the command does and exit."

    def _argument(self) -> Parameter | None:
        arguments = self._parameters("argument")
        if self._arguments < len(arguments):
            return arguments[self._arguments]
        return arguments[-1] if arguments and arguments[-1].nargs < 0 else None

    def _parameters(self, kind: str) -> list[Parameter]:
        return [
            one for one in self._command.params if one.param_type_name == kind and not getattr(one, "hidden", False)
        ]


def _commands(command: Command) -> Mapping[str, Command]:
    commands: Mapping[str, Command] = getattr(command, "commands", {})
    return commands


def _takes_value(option: Parameter) -> bool:
    return not getattr(option, "is_flag", False) and not getattr(option, "count", False)


def _brief(text: str | None) -> str:
    """Return the first sentence of an explanation, in one line."""
    sentence = " ".join((text or "").split()).partition(". ")[0].rstrip(".")
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"


def _values(parameter: Parameter, current: str) -> Proposal:
    """Return what `parameter` takes, as its type or its metavar says."""
    choices = getattr(parameter.type, "choices", ())
    if choices:
        return Proposal(Kind.WORDS, tuple((str(choice), "") for choice in choices))
    if parameter.metavar == "F[=FILE]":
        # Behind a format's name comes a file.
        return Proposal(Kind.FILES) if "=" in current else Proposal(Kind.WORDS, tuple((one, "") for one in FORMATS))
    metavar = (parameter.metavar or "").strip("[].")
    if parameter.name in {"issue", "issues"} or metavar == "ISSUE":
        return Proposal(Kind.WORDS, tuple(ISSUES.items()))
    if metavar in _WORDS:
        return Proposal(Kind.WORDS, tuple(_WORDS[metavar]()))
    if metavar == "DIR":
        return Proposal(Kind.DIRECTORIES)
    named = metavar in {"FILE", "LOG", "TEXT|@FILE", "OUT", "BUNDLE", "TOKEN | -"}
    return Proposal(Kind.FILES) if named or parameter.type.name in {"path", "file", "directory"} else _NOTHING


def _rules() -> Iterator[tuple[str, str]]:
    """Yield every rule's code and title. Reading the files as TOML takes longer than a keystroke may."""
    import alwrity_checks
    from alwrity_checks.catalogue import ROOMS

    (place,) = alwrity_checks.__path__
    found: dict[str, str] = {}
    for room in ROOMS:
        found.update(_RULE.findall((Path(place) / room / "rules.toml").read_text("utf-8")))
    yield from sorted((code, _brief(title.replace('\\"', '"'))) for code, title in found.items())


def _checks() -> Iterator[tuple[str, str]]:
    for room, names in CHECKS.items():
        yield room, "all of them"
        yield from ((f"{room}.{name}", "") for name in names)


_WORDS: Final[Mapping[str, Callable[[], Iterable[tuple[str, str]]]]] = MappingProxyType(
    {"CODE": _rules, "CHECK": _checks}
)
"""Metavar -> the words that can stand in its place."""
