"""The patterns in a checkout's sources that betray issue 3: how the semantic index starts, is written and is shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.reading import Reading
from alwrity_checks.txtai.source_index import uses_index
from alwrity_checks.txtai.source_sharing import cache_traces, path_traces, silence_traces
from alwrity_checks.txtai.source_start import start_traces
from alwrity_checks.txtai.source_writes import write_traces

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile, Trace

__all__ = ["WANTED", "traces"]

WANTED: Final = (b"txtai", b".embeddings", b"index_content", b'"global"', b"'global'")
"""A file that holds none of these neither has an index nor uses one."""


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield what one file shows."""
    reading = Reading.of(file)
    yield from cache_traces(reading)
    yield from silence_traces(reading)
    if uses_index(reading):
        yield from start_traces(reading)
        yield from write_traces(reading)
        yield from path_traces(reading)
