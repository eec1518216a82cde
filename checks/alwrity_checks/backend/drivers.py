"""Who drives which module of the checkout: one experiment's target for each issue that has a driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.interpreters import choose
from alwrity_checks.backend.syntax import syntax_fault
from alwrity_checks.errors import CannotCheck
from alwrity_checks.txtai.scenarios.backend import MODULES, NEEDED, BackendTarget

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout

__all__ = ["DRIVERS", "txtai_target"]


def txtai_target(checkout: Checkout) -> BackendTarget:
    """Return the semantic index of the checkout as a target of issue 3.

    Its files are parsed and its interpreters asked here; what speaks against driving it is in the target, which says
    so when it is put through the experiment.
    """
    try:
        candidates = list(checkout.interpreters())
        chosen = choose(candidates, NEEDED)
        others = [path for path in (*candidates, Path(sys.executable)) if path != chosen.path]
        _refuse_what_does_not_parse(checkout, chosen.path, others)
    except CannotCheck as error:
        return BackendTarget(checkout.backend, obstacle=error)
    return BackendTarget(checkout.backend, chosen.path, chosen.note)


def _refuse_what_does_not_parse(checkout: Checkout, interpreter: Path, others: list[Path]) -> None:
    for required, name in MODULES:
        path = checkout.module(name)
        if not path.is_file():
            if required:
                message = f"the checkout has no {path.relative_to(checkout.backend).as_posix()}"
                raise CannotCheck(message, "look whether this is the revision you mean")
            continue
        if fault := syntax_fault(path, interpreter, others):
            raise CannotCheck(fault.message, fault.remedy)


DRIVERS: Final[Mapping[int, Callable[[Checkout], object]]] = MappingProxyType({3: txtai_target})
"""The issue -> what makes its experiment's target of a checkout. The other issues have none yet."""
