"""The service of the user's checkout as a target, seen from our own process: it plays in the user's interpreter."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from alwrity_checks.errors import CannotCheck
    from alwrity_checks.redaction import Secret

__all__ = ["MODULES", "NEEDED", "BackendTarget"]

MODULES: Final = (
    (True, "services.intelligence.txtai_service"),
    (False, "services.intelligence.semantic_cache"),
)
"""Of the checkout, what is imported for real, and whether there is no driving it without."""
NEEDED: Final = ("txtai", "faiss", "numpy")
"""Modules that the interpreter must have."""
_DRIVER: Final = "alwrity_checks.txtai.driver"
_PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True)
class BackendTarget:
    """The checkout's service."""

    backend: Path
    """The directory that the checkout's modules are imported from."""
    interpreter: Path = Path(sys.executable)
    note: str = ""
    """Whose interpreter that is, and why this one."""
    obstacle: CannotCheck | None = None
    """What hinders it from being driven, if that is known already."""
    lean: bool = True
    """Whether it is driven without torch and its kin, which a recent txtai does not need for vectors from outside."""
    facts: tuple[Evidence, ...] = ()
    patience: float = _PATIENCE
    """Seconds for the first import and the first document; what takes longer is taken to hang."""
    handed: Mapping[str, Secret] = field(default_factory=dict)
    """Settings from the checkout's `.env` files, where the user wants them used."""

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.backend))

    @property
    def sandbox(self) -> Sandbox:
        """Where it runs."""
        return Sandbox(self.backend, _DRIVER, self.interpreter, {"lean": self.lean}, self.handed)

    def __str__(self) -> str:
        return str(self.target)
