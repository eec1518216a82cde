"""Trouble that no signature knows: lines grouped by their form, in bounded memory and whatever the order.

A line's template is its message with everything masked that varies: numbers, ids, paths, quoted texts. Templates are
kept by level and module. Where a module has too many, all of its templates are generalised by one step, and where there
are too many modules, all modules become one; both depend on the set of lines alone, never on their order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.logs.times import NOWHERE, Shift, Times

if TYPE_CHECKING:
    from alwrity_checks.logs.formats import Record

__all__ = ["EXCEPTION", "Cluster", "Clusters", "Template", "template_of"]

EXCEPTION: Final = re.compile(
    rb"(?:[\w]+\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit)(?=:|$)|(?:[\w]+\.)+[A-Z]\w+(?=: )"
)
"""What the last line of a traceback begins with."""

_MASK: Final = re.compile(
    r"""
      https?://[^\s'"<>)]+ | [\w.+-]+@[\w-]+\.[\w.]+                                     # URLs, addresses
    | (?<![A-Za-z])'[^']{0,200}'(?![A-Za-z]) | "[^"]{0,200}" | `[^`]{0,200}`                # quoted texts
    | \b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b | 0x[0-9a-fA-F]+          # ids
    | (?:/[\w.@%+-]+){2,}/? | [A-Za-z]:\\[\w.\\ -]+                                      # paths
    | (?:user|sess|org|req|task|job|agent|plan)_[\w…\#-]+ | \w*…\#?[0-9a-f]*    # names of records; what was masked
    | \b(?=[A-Za-z]*[0-9])[0-9A-Za-z_-]*[0-9][0-9A-Za-z_.-]*                             # whatever holds a digit
    | (?:\[[^\]]{40,}\] | \{[^}]{20,}\} | \([^)]{60,}\))                                 # printed structures
    """,
    re.VERBOSE,
)
_HOLE: Final = "<*>"
_HOLES: Final = re.compile(r"<\*>(?:[\s,;/=:.-]*<\*>)+")
_LONGEST: Final = 240
_NO_WORD: Final = 40
"""Characters; what is so long is a key, a path or data."""
_WORDS: Final = (24, 5, 2, 0)
"""How many words of a template are kept at each degree of generality."""
_MOST_OF_A_MODULE: Final = 12
_MOST_MODULES: Final = 64


@dataclass(frozen=True, slots=True)
class Template:
    """The form of a line of trouble."""

    level: str
    """`exception` for the last line of a traceback."""
    module: str
    """Where the line was written; the exception's class for a traceback; `*` where all modules became one."""
    text: str

    def generalised(self, degree: int) -> Template:
        """Return the template with fewer words."""
        words = self.text.split(" ")
        return Template(self.level, self.module, " ".join(words[: _WORDS[degree]]))


def template_of(record: Record, message: str) -> Template:
    """Return the template of a record whose message, already without secrets, is `message`."""
    text = _HOLES.sub(_HOLE, _MASK.sub(_HOLE, message[:_LONGEST])).strip()
    words = [word if len(word) < _NO_WORD else _HOLE for word in text.split()][: _WORDS[0]]
    if record.level:
        return Template(record.level, record.place.partition(":")[0], " ".join(words))
    found = EXCEPTION.match(record.message)
    return Template("exception", found.group().decode("utf-8", "replace") if found else "", " ".join(words))


@dataclass(slots=True)
class Cluster:
    """Lines of one form."""

    times: Times = field(default_factory=Times)
    sample: str = ""
    """The first line, without secrets."""
    at: int = -1
    """Where that stands in the stream; -1 for no line yet."""

    def join(self, other: Cluster, shift: Shift) -> None:
        """Take in another cluster of the same form."""
        self.times.join(other.times, shift)
        if self.at < 0 or 0 <= other.at < self.at:
            self.sample, self.at = other.sample, other.at


@dataclass(slots=True)
class Clusters:
    """The clusters of a piece."""

    modules: dict[tuple[str, str], dict[Template, Cluster]] = field(default_factory=dict)
    """Level and module -> its templates."""
    degrees: dict[tuple[str, str], int] = field(default_factory=dict)
    """How much the templates of a module are generalised."""
    merged: bool = False
    """Whether all modules became one."""

    def cluster(self, template: Template) -> Cluster:
        """Return the cluster for a template; what is counted in it must be counted before the next call."""
        key, template = self._placed(template)
        held = self.modules.setdefault(key, {})
        if (cluster := held.get(template)) is None:
            cluster = held[template] = Cluster()
        return cluster

    def trim(self) -> None:
        """Generalise where there are too many; needed after each new template has been counted."""
        if not self.merged and len(self.modules) > _MOST_MODULES:
            self.merged = True
            self._rebuild(list(self.modules), _NO_SHIFT)
        for key in [key for key, held in self.modules.items() if len(held) > _MOST_OF_A_MODULE]:
            self._generalise(key)

    def _placed(self, template: Template) -> tuple[tuple[str, str], Template]:
        if self.merged:
            template = Template(template.level, "*", template.text)
        key = (template.level, template.module)
        degree = self.degrees.get(key, 0)
        return key, template.generalised(degree) if degree else template

    def _rebuild(self, keys: list[tuple[str, str]], shift: Shift) -> None:
        old = {key: self.modules.pop(key) for key in keys}
        degrees = {key: self.degrees.pop(key, 0) for key in keys}
        for key, degree in degrees.items():
            to = (key[0], "*")
            self.degrees[to] = max(self.degrees.get(to, 0), degree)
        for held in old.values():
            for template, cluster in held.items():
                self.cluster(template).join(cluster, shift)

    def _generalise(self, key: tuple[str, str]) -> None:
        held = self.modules[key]
        degree = self.degrees.get(key, 0)
        while len(held) > _MOST_OF_A_MODULE:
            degree += 1
            wider: dict[Template, Cluster] = {}
            for template, cluster in held.items():
                wider.setdefault(template.generalised(degree), Cluster()).join(cluster, _NO_SHIFT)
            held = wider
        self.modules[key], self.degrees[key] = held, degree

    def join(self, after: Clusters, shift: Shift) -> None:
        """Take in the clusters of the piece behind this one."""
        if after.merged and not self.merged:
            self.merged = True
            self._rebuild(list(self.modules), _NO_SHIFT)
        for key, degree in after.degrees.items():
            to = (key[0], "*") if self.merged else key
            if degree > self.degrees.get(to, 0):
                self.degrees[to] = degree
                if held := self.modules.pop(to, None):
                    for template, cluster in held.items():
                        self.cluster(template).join(cluster, _NO_SHIFT)
        for held in after.modules.values():
            for template, cluster in held.items():
                self.cluster(template).join(cluster, shift)
        self.trim()

    def items(self) -> list[tuple[Template, Cluster]]:
        """Return every template with its cluster, the most frequent first."""
        found = [pair for held in self.modules.values() for pair in held.items()]
        return sorted(found, key=lambda pair: (-pair[1].times.count, pair[0].level, pair[0].module, pair[0].text))

    def as_data(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {
            "merged": self.merged,
            "degrees": [[*key, degree] for key, degree in sorted(self.degrees.items())],
            "clusters": [
                [one.level, one.module, one.text, cluster.times.as_data(), cluster.sample, cluster.at]
                for one, cluster in self.items()
            ],
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Clusters:
        """Return what `as_data` wrote."""
        whole = cls(
            degrees={(level, module): degree for level, module, degree in data["degrees"]}, merged=data["merged"]
        )
        for level, module, text, times, sample, at in data["clusters"]:
            held = whole.modules.setdefault((level, module), {})
            held[Template(level, module, text)] = Cluster(Times.from_data(times), sample, at)
        return whole


_NO_SHIFT: Final = Shift(NOWHERE, 0, absolute=False)
