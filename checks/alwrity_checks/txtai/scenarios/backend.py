"""The service of the user's checkout as a target, seen from our own process: it plays in the user's interpreter."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.txtai.scenarios.child import Launch
from alwrity_checks.txtai.scenarios.sandbox import environment

if TYPE_CHECKING:
    from alwrity_checks.errors import CannotCheck

__all__ = ["MODULES", "NEEDED", "BackendTarget"]

MODULES: Final = (
    (True, "services.intelligence.txtai_service"),
    (False, "services.intelligence.semantic_cache"),
)
"""Of the checkout, what is imported for real, and whether there is no driving it without."""
NEEDED: Final = ("txtai", "faiss", "numpy")
"""Modules that the interpreter must have."""
_DRIVER: Final = Path(__file__).parents[1] / "driver.py"
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

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.backend))

    @contextmanager
    def sandboxed(self, act: str, *words: str) -> Iterator[Launch]:
        """Give what carries out an act, in a directory that is removed in the end with all that was left in it."""
        with tempfile.TemporaryDirectory(prefix="alwrity-doctor-", ignore_cleanup_errors=True) as name:
            directory = Path(name).resolve()
            work = directory / "work"
            work.mkdir()
            told = {"backend": str(self.backend), "sandbox": str(directory), "lean": self.lean}
            command = [str(self.interpreter), str(_DRIVER), json.dumps(told), act, *words]
            yield Launch(command, environment(directory, self.interpreter), str(work))

    def __str__(self) -> str:
        return str(self.target)
