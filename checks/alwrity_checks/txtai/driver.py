"""Runs inside the interpreter of the user's checkout and speaks to its index service: see `sandbox.program`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from alwrity_checks.sandbox.log_lines import LogLines
from alwrity_checks.sandbox.speech import say
from alwrity_checks.txtai.scenarios import child

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["drive"]

_TOLD: Final = ("Initializing txtai embeddings",)
"""Of the ordinary lines the only one that tells: twice in one process, it is a double initialisation."""
_UNTOLD: Final = ("Full traceback", "This may be due to")
"""How lines begin whose first line says nothing."""


def drive(inside: Inside, act: str, *words: str) -> None:
    """Carry out one act; the plan's `lean` says whether to do so without torch."""
    if inside.plan["lean"]:
        child.without_torch()
    from alwrity_checks.txtai.scenarios.driven import DrivenTarget

    if act == "meet":
        say(begins="txtai was imported")
    try:
        import txtai  # type: ignore[import-untyped]  # noqa: F401 - before the checkout's own names are on the path
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        say(unmet=f"txtai cannot be imported: {type(error).__name__}: {error}"[:300], heavier=True)
        os._exit(0)
    inside.lines = LogLines(told=_TOLD, untold=_UNTOLD)
    inside.open_checkout()
    target = DrivenTarget(inside)
    getattr(import_module(f"alwrity_checks.txtai.scenarios.{child.ACTS[act]}"), act)(target, *words)
