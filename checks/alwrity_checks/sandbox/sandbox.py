"""The sandbox as our own process sees it: how a driver is started, and where."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.sandbox.environment import environment

if TYPE_CHECKING:
    from alwrity_checks.redaction import Secret

__all__ = ["Launch", "Sandbox"]

_PROGRAM: Final = Path(__file__).with_name("program.py")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started."""

    arguments: list[str]
    environment: Mapping[str, str]
    directory: str | None = None
    """Where; None for where its parent is."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A checkout, the interpreter that runs it, and the driver that speaks to it there."""

    backend: Path
    """The directory that the checkout's modules are imported from."""
    driver: str
    """The module of this package whose `drive(inside, act, *words)` does the speaking."""
    interpreter: Path = Path(sys.executable)
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What the driver is told beside its act: JSON, and nothing secret, for it can be seen in the process list."""
    handed: Mapping[str, Secret] = field(default_factory=dict)
    """Settings from the checkout's own `.env` files, where the user wants them used."""

    @contextmanager
    def launched(self, act: str, *words: str) -> Iterator[Launch]:
        """Give what carries out an act, in a directory that is removed in the end with all that was left in it."""
        with tempfile.TemporaryDirectory(prefix="alwrity-doctor-", ignore_cleanup_errors=True) as name:
            directory = Path(name).resolve()
            work = directory / "work"
            work.mkdir()
            order = {
                "backend": str(self.backend),
                "sandbox": str(directory),
                "driver": self.driver,
                "handed": sorted(self.handed),
                "plan": self.plan,
            }
            # -S: what the interpreter's site-packages run at each start waits until the guard is there.
            command = [str(self.interpreter), "-S", str(_PROGRAM), json.dumps(order), act, *words]
            yield Launch(command, environment(directory, self.interpreter, handed=self.handed), str(work))
