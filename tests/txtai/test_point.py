"""The points at which experiments look, wait and crash."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.point import POINTS, hooked, point
from tests.support.txtai_store import drain, put, store, vector

if TYPE_CHECKING:
    from pathlib import Path


def test_every_point_of_the_storage_is_reached_in_order(tmp_path: Path) -> None:
    """The documented names are those a document's life passes, and no others; encoding is the runtime's."""
    reached: list[str] = []
    alice = store(tmp_path)
    with hooked(lambda name, _: reached.append(name)):
        put(alice, ("a", "alpha"))
        alice.open()
        drain(alice)
        alice.search(vector("alpha"), 1)
        alice.settle(force=True)
        alice.close()
    assert reached == [name for name in POINTS if name not in {"encoding", "encoded"}]


def test_hooks_see_all_threads_and_end_with_their_block() -> None:
    """Two hooks are both called, with the object, in the thread that came by; afterwards a point is nothing."""
    seen: list[tuple[str, object, int]] = []

    def hook(name: str, subject: object) -> None:
        seen.append((name, subject, threading.get_ident()))

    with hooked(hook), hooked(hook):
        thread = threading.Thread(target=point, args=("here", seen))
        thread.start()
        thread.join()
    point("after")
    assert [(name, subject is seen) for name, subject, _ in seen] == [("here", True)] * 2
    assert {identity for _, _, identity in seen}.isdisjoint({threading.get_ident()})


def test_what_a_hook_raises_is_raised_at_the_point() -> None:
    """An injected failure is a failure of the step."""

    def hook(name: str, _: object) -> None:
        raise OSError(name)

    with hooked(hook), pytest.raises(OSError, match="there"):
        point("there")
    point("there")
