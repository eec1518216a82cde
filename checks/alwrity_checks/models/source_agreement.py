"""Whether the files of a checkout agree on their models: what is fetched is loaded, and everybody loads the same."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.source_loading import ClassFacts, classes_of
from alwrity_checks.models.source_names import Naming, Use, namings_of
from alwrity_checks.source import Trace
from alwrity_checks.trees.defaults import environment_read

if TYPE_CHECKING:
    from alwrity_checks.trees.reading import Reading

__all__ = ["ModelFacts", "agreement_traces", "facts_of"]

_SETTING: Final = re.compile(r"MODEL")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What one file contributes to the comparison."""

    path: str
    live: bool
    namings: tuple[Naming, ...]
    classes: tuple[ClassFacts, ...]
    settable: bool
    """Whether the file reads the name of a model from the environment."""


def facts_of(reading: Reading) -> ModelFacts | None:
    """Return what a file contributes, None if that is nothing."""
    namings = namings_of(reading.file)
    classes = tuple(one for one in classes_of(reading) if one.touches or one.loading or one.from_constructor)
    if not namings and not classes:
        return None
    read = (environment_read(reading.tree, one) for one in reading.tree.all(ast.Call))
    settable = bool(namings) and any(name is not None and _SETTING.search(name) for name in read)
    return ModelFacts(reading.file.path, reading.file.live, namings, classes, settable)


def agreement_traces(facts: Sequence[ModelFacts]) -> Iterator[Trace]:
    """Yield where the files disagree; the facts are sorted by path."""
    namings = [one for fact in facts for one in fact.namings]
    live = [one for one in namings if one.live]
    loaded = [one for one in live if one.use is Use.GENERATION and one.call.partition(",")[0] != "Labels"]
    yield from _fetched_in_vain(live, loaded)
    yield from _odd_ones(live, loaded)
    if loaded and not any(fact.settable for fact in facts if fact.live):
        first = loaded[0]
        message = f"{first.model} is fixed in the source here: no environment variable chooses another local model"
        yield _trace("MDL010", first, message, _places(loaded))
    for one in namings:
        if not one.live:
            yield _trace("MDL012", one, f"this file names {one.model}, and nothing that runs imports it", ())


def _fetched_in_vain(live: Sequence[Naming], loaded: Sequence[Naming]) -> Iterator[Trace]:
    used = {one.model for one in live if one.use in {Use.GENERATION, Use.EMBEDDINGS}}
    for one in live:
        if one.use is Use.DOWNLOAD and used and one.model not in used:
            names = ", ".join(dict.fromkeys(other.model for other in loaded)) or "none"
            message = f"{one.model} is downloaded ahead, and nothing that runs loads it; loaded are: {names}"
            yield _trace("MDL009", one, message, _places(live))


def _odd_ones(live: Sequence[Naming], loaded: Sequence[Naming]) -> Iterator[Trace]:
    """Yield the files whose models are none of those on which most files agree."""
    by_file: dict[str, set[str]] = {}
    for one in loaded:
        by_file.setdefault(one.file, set()).add(one.model)
    if len(by_file) < 2:  # noqa: PLR2004 - one file agrees with itself
        return
    counted = Counter(model for models in by_file.values() for model in models)
    common = max(sorted(counted), key=lambda model: counted[model])
    for one in loaded:
        if common not in by_file[one.file]:
            by_file[one.file].add(common)
            message = f"{one.model} is loaded here, while {counted[common]} other files load {common}"
            yield _trace("MDL009", one, message, _places(live))


def _places(namings: Sequence[Naming]) -> tuple[tuple[str, str], ...]:
    return tuple((one.place, f"{one.model} ({one.use}{f': {one.call}' if one.call else ''})") for one in namings)


def _trace(code: str, naming: Naming, message: str, evidence: tuple[tuple[str, str], ...]) -> Trace:
    return Trace(code, naming.file, naming.line, message, f"{naming.use}: {naming.model}", evidence)
