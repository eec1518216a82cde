"""The patterns in a checkout's sources that betray issue 6: what a start downloads and installs before it listens."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.source_names import Naming, Use, namings_of
from alwrity_checks.source import Trace
from alwrity_checks.startup.source_reach import Reach
from alwrity_checks.trees.flow import keyword
from alwrity_checks.trees.reading import Reading
from alwrity_checks.trees.tree import last_name, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile

__all__ = ["WANTED", "across", "facts", "traces"]

WANTED: Final = (
    b"snapshot_download",
    b"hf_hub_download",
    b"from_pretrained",
    b"nltk.download",
    b"spacy.cli",
    b"urlretrieve",
    b"subprocess",
    b"LLM(",
    b"LLMWrapper",
    b"SentenceTransformer",
    b"Embeddings(",
    b"pipeline(",
)
"""A file that holds none of these fetches nothing, installs nothing and loads no model."""
_DOWNLOADS: Final = frozenset({"snapshot_download", "hf_hub_download", "cached_download"})
_OF_OTHERS: Final = re.compile(
    r"nltk\.download|spacy\.cli\.download|(?:.*\.)?urlretrieve|gdown\.download|torch\.hub\.\w+"
)
_RUNS: Final = re.compile(r"subprocess\.(?:run|call|check_call|check_output)|os\.system")
_INSTALLS: Final = re.compile(
    r"\b(?:pip3?|npm|yarn|pnpm|playwright|apt|apt-get|brew|conda|poetry)\b(?:\s+-\S+)*\s+install\b"
    r"|\bspacy(?:\s+-\S+)*\s+download\b|\bnltk\.downloader\b|\bensurepip\b"
)


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield what one file shows."""
    reading = Reading.of(file)
    reach = Reach(reading)
    yield from _downloads(reading, reach)
    yield from _installs(reading, reach)


def facts(file: SourceFile) -> tuple[Naming, ...] | None:
    """Return the models that a file names, None if it names none."""
    return namings_of(file) or None


def across(facts: Sequence[object]) -> Iterator[Trace]:
    """Yield downloads of models that nothing that runs loads."""
    namings = sorted(
        (one for fact in facts if isinstance(fact, tuple) for one in fact if isinstance(one, Naming) and one.live),
        key=lambda one: (one.file, one.line),
    )
    loaded = {one.model for one in namings if one.use in {Use.GENERATION, Use.EMBEDDINGS}}
    for one in namings:
        if one.use is Use.DOWNLOAD and loaded and one.model not in loaded:
            users = tuple((other.place, other.model) for other in namings if other.use is Use.GENERATION)
            message = f"the start fetches {one.model} ({one.call}), and nothing that runs loads it"
            yield Trace("STA006", one.file, one.line, message, f"download: {one.model}", users[:8])


def _downloads(reading: Reading, reach: Reach) -> Iterator[Trace]:
    others: list[ast.Call] = []
    for call in reading.tree.all(ast.Call):
        model = last_name(call.func) in _DOWNLOADS and not _is_local_only(call)
        other = _OF_OTHERS.fullmatch(reading.tree.name(call.func)) is not None
        way = reach.way(call) if model or other else None
        if way is None:
            continue
        if other:
            others.append(call)
            continue
        message = (
            f"{text_of(call)} stands between the start and the server: nothing listens until the last byte is there"
        )
        yield reading.trace("STA001", call, message, *way)
    if others:
        more = [("also", ", ".join(line(one) for one in others[1:]))] if others[1:] else []
        message = f"{text_of(others[0])} waits for another host before the server listens"
        yield reading.trace("STA012", others[0], message, *(reach.way(others[0]) or ()), *more)


def _is_local_only(call: ast.Call) -> bool:
    switch = keyword(call, "local_files_only")
    return switch is not None and isinstance(switch.value, ast.Constant) and switch.value.value is True


def _installs(reading: Reading, reach: Reach) -> Iterator[Trace]:
    """Find programs run to install or download something, with nothing that ends a wait for them."""
    for call in reading.tree.all(ast.Call):
        if not _RUNS.fullmatch(reading.tree.name(call.func)) or keyword(call, "timeout") is not None:
            continue
        words = " ".join(text for given in call.args[:1] for text in _words(reading, given))
        found = _INSTALLS.search(words)
        if found is None:
            continue
        way = reach.way(call)
        when = "before the server listens" if way is not None else "where it is called"
        message = f"{text_of(call.func)} runs `{' '.join(found.group().split())}` without a timeout {when}"
        yield reading.trace("STA014", call, message, *(way or ()))


def _words(reading: Reading, command: ast.expr) -> Iterator[str]:
    """Yield the constant parts of a command, in their order."""
    for origin in reading.flow.origins(command):
        parts = origin.values if isinstance(origin, ast.JoinedStr) else [origin]
        yield from (one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str))
