"""The patterns in a checkout's sources that betray issue 5: which models it names, and how it loads and shares them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.source_agreement import ModelFacts, agreement_traces, facts_of
from alwrity_checks.models.source_loading import constructor_traces, loading_traces
from alwrity_checks.models.source_names import Naming, SourceScan, Use, scan_source
from alwrity_checks.trees.reading import Reading

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile, Trace

__all__ = ["WANTED", "Naming", "SourceScan", "Use", "across", "facts", "scan_source", "traces"]

WANTED: Final = (
    b"LLM(",
    b"LLMWrapper",
    b".llm",
    b'"llm"',
    b"Embeddings(",
    b"SentenceTransformer",
    b"snapshot_download",
    b"hf_hub_download",
    b"from_pretrained",
    b"pipeline(",
    b"Labels(",
    b"preferred_hf_models",
    b"Qwen/",
    b"TinyLlama/",
    b"llm_text_gen",
)
"""A file that holds none of these names no model and loads none."""


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield what one file shows."""
    yield from loading_traces(Reading.of(file))


def facts(file: SourceFile) -> ModelFacts | None:
    """Return which models a file names, and who loads one when he is made."""
    return facts_of(Reading.of(file))


def across(facts: Sequence[object]) -> Iterator[Trace]:
    """Yield where the files of a checkout disagree, and constructors that load over several files."""
    known = sorted((one for one in facts if isinstance(one, ModelFacts)), key=lambda one: one.path)
    yield from agreement_traces(known)
    yield from constructor_traces([one for fact in known for one in fact.classes])
