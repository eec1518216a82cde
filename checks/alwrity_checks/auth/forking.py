"""What must be made anew in a forked child: the locks and threads of the parent do not exist there."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["after_fork"]

_registering = threading.Lock()
_renewals: list[weakref.WeakMethod[Callable[[], Any]]] = []


def after_fork(renew: Callable[[], None]) -> None:
    """Call the bound method `renew` in every child forked from now on, for as long as its object lives."""
    with _registering:
        _renewals[:] = [reference for reference in _renewals if reference() is not None]
        _renewals.append(weakref.WeakMethod(renew))


def _renew_all() -> None:
    global _registering  # noqa: PLW0603 - another thread of the parent may have held it
    _registering = threading.Lock()
    for reference in tuple(_renewals):
        renew = reference()
        if renew is not None:
            renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
