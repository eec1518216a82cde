"""Semantic indexes on the local disk with an encoder made from hashes, which can be held, broken and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
from alwrity_checks.txtai.point import hooked
from tests.support.txtai_store import DIMENSIONS, encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.index import SemanticIndex

THREE = [("a", "alpha", {"kind": "x"}), ("b", "beta", {"kind": "y"}), ("c", "gamma", None)]

PATIENCE = 30.0
"""Seconds until a test that waits gives up; nothing here takes that long."""


class HashEncoder:
    """Encodes texts by their hashes. Refuses texts that hold "poison", and everything while `broken`."""

    def __init__(self, identity: str = "hash-8") -> None:
        self.identity = identity
        self.dimensions = DIMENSIONS
        self.calls: list[list[str]] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.broken: Exception | None = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors once the gate is open."""
        self.threads.add(threading.current_thread().name)
        self.calls.append(list(texts))
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        if self.broken is not None:
            raise self.broken
        if any("poison" in text for text in texts):
            raise ValueError("this text cannot be taken")
        vectors = encode(texts)
        vectors[[number for number, text in enumerate(texts) if "infinite" in text]] = float("inf")
        return vectors

    @property
    def encoded(self) -> list[str]:
        """Every text that was encoded, in order."""
        return [text for call in self.calls for text in call]


class Loader:
    """Loads an encoder; can be held, and can fail a number of times."""

    def __init__(self, encoder: HashEncoder | None = None, failures: Sequence[Exception] = ()) -> None:
        self.encoder = encoder or HashEncoder()
        self.failures = list(failures)
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, _model: str) -> HashEncoder:
        """Return the encoder once the gate is open and the failures are used up."""
        self.calls += 1
        assert self.gate.wait(PATIENCE)
        if self.failures:
            raise self.failures.pop(0)
        return self.encoder


@contextmanager
def running(
    root: Path, load: Loader | None = None, *, fail_fast: bool = True, most_open: int = 64
) -> Iterator[SemanticIndexes]:
    """Run indexes below `root`, and close them; every thread of theirs has ended then."""
    loader = load or Loader()
    indexes = SemanticIndexes(
        partial(SharedStorage, root), load=loader, fail_fast=fail_fast, most_open=most_open, encoders=EncoderRegistry()
    )
    try:
        yield indexes
    finally:
        loader.gate.set()
        loader.encoder.gate.set()
        assert indexes.close_sync(PATIENCE)


@contextmanager
def failing(name: str, error: Callable[[], BaseException], times: int = 1_000_000) -> Iterator[list[str]]:
    """Raise `error` at the first `times` passages of the point `name`; yields the list of what was raised."""
    raised: list[str] = []

    def hook(reached: str, _subject: object) -> None:
        if reached == name and len(raised) < times:
            raised.append(reached)
            raise error()

    with hooked(hook):
        yield raised


@contextmanager
def held(name: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold every thread that reaches the point `name`; yields the event of its arrival, and the one that lets it go."""
    arrived, released = threading.Event(), threading.Event()

    def hook(reached: str, _subject: object) -> None:
        if reached == name and not released.is_set():
            arrived.set()
            assert released.wait(PATIENCE)

    with hooked(hook):
        try:
            yield arrived, released
        finally:
            released.set()


def ids(index: SemanticIndex, text: str, limit: int = 10) -> list[str]:
    """Return the ids of the documents with this very text."""
    return [hit.id for hit in index.search_sync(text, limit=limit) if hit.text == text and hit.score > 0.999]
