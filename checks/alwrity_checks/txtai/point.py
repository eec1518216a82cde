"""Named points on the way of a document, at which an experiment can look, wait or crash.

In production `point` does nothing. A test or the race installs a hook, which is called in the thread that reached the
point and may record it, hold the thread, or raise: an exception raised at a point acts as a failure of the step there.
A step that takes time has a point at its begin and one at its end, so that hooks can draw it as a span.

| point                     | reached                                                                            |
|---------------------------|------------------------------------------------------------------------------------|
| `enqueueing` `enqueued`   | before and after the commit that acknowledges documents                            |
| `loading` `loaded`        | a store reads its last generation and replays what came after it                   |
| `encoding` `encoded`      | a batch is turned into vectors                                                     |
| `applying` `applied`      | the index in memory takes a batch; from `applied` on it is searchable              |
| `noted`                   | the queue holds the vectors of the batch: a replay needs no encoding               |
| `searching` `searched`    | a search holds the index                                                           |
| `saving` `saved-work`     | a snapshot begins; txtai has written its files into the new generation's draft     |
| `copied`                  | the draft is complete: vectors, documents and the watermark                        |
| `synced`                  | every file of the draft has reached the disk                                       |
| `renamed`                 | the draft bears its final name                                                     |
| `switched`                | `CURRENT` names the new generation                                                 |
| `trimmed`                 | the queue rows that the generation holds, and older generations, are gone          |
| `closing` `closed`        | a store gives up its index in memory                                               |
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

__all__ = ["POINTS", "Hook", "hooked", "point"]

POINTS: Final = (
    "enqueueing",
    "enqueued",
    "loading",
    "loaded",
    "encoding",
    "encoded",
    "applying",
    "applied",
    "noted",
    "searching",
    "searched",
    "saving",
    "saved-work",
    "copied",
    "synced",
    "renamed",
    "switched",
    "trimmed",
    "closing",
    "closed",
)
"""The points of the storage and the encoder, in the order of a document's life."""

Hook: TypeAlias = Callable[[str, object], None]
"""Called with the point's name and the object that the step works on."""

_hooks: tuple[Hook, ...] = ()
_installing = threading.Lock()


def point(name: str, subject: object = None) -> None:
    """Say that the calling thread has reached the point `name` while it works on `subject`."""
    for hook in _hooks:
        hook(name, subject)


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Have `hook` called at every point, in every thread of this process, for as long as the block runs."""
    global _hooks  # noqa: PLW0603 - one process, one set of hooks
    with _installing:
        _hooks = (*_hooks, hook)
    try:
        yield
    finally:
        with _installing:
            remaining = list(_hooks)
            remaining.remove(hook)
            _hooks = tuple(remaining)
