"""A signature for trouble that is not known yet, in the form that the rooms' `signatures.toml` have.

It is a beginning: who keeps it says what it means, which rule it breaks, and which of its words vary.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alwrity_checks.logs.triage import ClusterFound

__all__ = ["pattern_of", "suggestion", "suggestions"]

_HOLE: Final = "<*>"
_SPECIAL: Final = frozenset(".()*+?{}|$")
_ENOUGH: Final = 8
"""Characters of a literal that is worth looking for."""


def suggestions(clusters: Iterable[ClusterFound]) -> str:
    """Return a draft for each cluster, the most frequent first, and a remark for those that have nothing in common."""
    drafts, names = [], Counter[str]()
    for one in clusters:
        # A shorter literal would hold the engine up at every other line.
        if len(pattern_of(one.template, one.sample)[0]) < _ENOUGH:
            drafts.append(f"# {one.count} lines like this have no words in common: {one.sample!r}\n")
            continue
        name = _name(one)
        names[name] += 1
        drafts.append(suggestion(one, name if names[name] == 1 else f"{name}-{names[name]}"))
    if not drafts:
        return "# every line of trouble is known: there is nothing to suggest\n"
    told = "# Drafts for a room's signatures.toml; say what the line means, whose it is, and which rule it breaks.\n\n"
    return told + "\n".join(drafts)


def suggestion(cluster: ClusterFound, name: str = "") -> str:
    """Return the TOML of a signature that matches the lines of a cluster.

    `name` is the signature's id, `logs.` and words of the line unless given.
    """
    literal, pattern = pattern_of(cluster.template, cluster.sample)
    lines = [
        "[[signature]]",
        f"id = {_quoted(name or _name(cluster))}",
        'kind = "symptom"  # or cause, configuration, alarm, harmless, downstream, evidence',
        'subsystem = "provider"  # or configuration, startup, auth, model, index, reload',
        f"level = {_quoted(cluster.level)}",
        f"literal = {_quoted(literal)}",
        *([f"pattern = {_quoted(pattern)}"] if pattern else []),
        'meaning = ""',
        "samples = [",
        f"    {_quoted(cluster.sample)},",
        "]",
    ]
    return "\n".join(lines) + "\n"


def _name(cluster: ClusterFound) -> str:
    words = re.findall(r"[a-z]{3,}", cluster.template.replace(_HOLE, " ").lower())[:4]
    return "logs." + ("-".join(words) or "unknown")


def pattern_of(template: str, sample: str) -> tuple[str, str]:
    """Return the literal and the pattern of a template; the pattern is empty where the literal says it all."""
    parts = template.split(_HOLE)
    runs = [run.strip(" ") for run in parts]
    present = [run for run in runs if run and run in sample]
    words = [word for run in runs for word in run.split(" ") if word and word in sample]
    literal = max(present, key=len, default="") or max(words, key=len, default="")
    if literal == template:
        return literal, ""
    # The literal stands in every matching line only if the pattern has its very spaces.
    pattern = ".*".join(
        (" " if part.strip(" ") == literal else " +").join(_escaped(word) for word in part.split(" ")) for part in parts
    )
    if len(literal) < _ENOUGH and words:
        literal = max([literal, *words], key=len)
    return literal, re.sub(r"(?:\.\*)+$|^(?:\.\*)+", "", re.sub(r" \+?\.\*", ".*", re.sub(r"\.\* \+?", ".*", pattern)))


def _escaped(word: str) -> str:
    """Escape for grep -E, re and hyperscan alike; what they read differently becomes any character."""
    return "".join(
        f"[{one}]" if one in _SPECIAL else one if one.isprintable() and one not in "\\^[]" else "." for one in word
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped) + '"'
