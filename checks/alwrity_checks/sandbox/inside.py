"""The sandbox as a driver sees it, in the process that runs the checkout's code.

A driver is a module with `drive(inside, act, *words)`. It calls `inside.open_checkout()` when it is ready for the
checkout's own names to be importable, and speaks by `speech.say`.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.log_lines import LogLines

if TYPE_CHECKING:
    from alwrity_checks.sandbox.guard import Guard

__all__ = ["Inside"]


@dataclass
class Inside:
    """What a driver has at hand."""

    backend: Path
    """The directory that the checkout's modules are imported from."""
    plan: Mapping[str, Any]
    """What the driver's other half told it."""
    guard: Guard
    isolated: bool
    """Whether the network is away in C as well."""
    command: tuple[str, ...]
    """What starts a further process like this one; the act and its words follow."""
    handed: tuple[str, ...] = ()
    """The names of the settings that came from the checkout's `.env` files, because the user asked for it."""
    home: Path = field(default_factory=Path.cwd)
    """The working directory at the start: inside the sandbox, and removed with it."""
    lines: LogLines = field(default_factory=LogLines)
    """A driver that wants to hear other lines puts its own here, before it opens the checkout."""
    stubs: list[str] = field(default_factory=list)
    """What is not the checkout's or its environment's own, for the report."""

    def open_checkout(self) -> None:
        """Hear what is logged, and let the checkout's modules be imported under their own names."""
        if not self.lines.listen():
            self.stubs.append("loguru (not installed)")
        sys.path.insert(0, str(self.backend))

    def package(self, *names: str) -> None:
        """Let packages of the checkout be imported without running their `__init__`; what lies in them is real."""
        for name in names:
            package = self._put(name)
            package.__path__ = [str(self.backend.joinpath(*name.split(".")))]
            if package.__spec__ is not None:
                package.__spec__.submodule_search_locations = package.__path__
            self._note(f"{name} (package, its __init__ left out)")

    def stand_in(self, name: str, **names: object) -> ModuleType:
        """Put a module of our own with these names where the checkout would import `name`, and note it."""
        module = self._put(name)
        vars(module).update(names)
        self._note(f"{name} ({', '.join(names) or 'empty'})")
        return module

    def _put(self, name: str) -> ModuleType:
        module = ModuleType(name, "A stand-in of alwrity-doctor.")
        module.__spec__ = ModuleSpec(name, None)
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], last, module)
        return module

    def _note(self, what: str) -> None:
        if what not in self.stubs:
            self.stubs.append(what)

    @staticmethod
    def forget(*names: str) -> None:
        """Let modules, with all below them, be imported afresh: as in a backend that was started again."""
        importlib.invalidate_caches()
        # Threads of the checkout's may import meanwhile.
        known = tuple(sys.modules)
        for module in [one for one in known if any(one == name or one.startswith(f"{name}.") for name in names)]:
            sys.modules.pop(module, None)

    def forget_checkout(self) -> None:
        """Forget every module that was imported from the checkout, as `forget` does."""
        own = {path.stem for path in self.backend.iterdir() if path.suffix == ".py" or path.is_dir()}
        self.forget(*(name for name in own if name in sys.modules and self._is_own(sys.modules[name])))

    def _is_own(self, module: ModuleType) -> bool:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        return any(place and Path(place).is_relative_to(self.backend) for place in places)

    @contextmanager
    def loopback(self) -> Iterator[None]:
        """Start the experiment's servers within this block: they, and nobody else, can be connected to from then on.

        They must bind to 127.0.0.1 or ::1, in this thread.
        """
        with self.guard.loopback():
            yield

    def facts(self, *distributions: str) -> tuple[Evidence, ...]:
        """Return what the checkout's code runs on: versions, what was stood in for, the network, settings handed in."""
        versions = [f"{name} {told}" if (told := _version(name)) else f"no {name}" for name in distributions]
        network = "a namespace of its own, not even C gets out of it" if self.isolated else "refused to Python code"
        facts = [
            Evidence("driven on", ", ".join([f"Python {platform.python_version()}", *versions])),
            Evidence("network", network),
            Evidence("stubs", "; ".join(self.stubs) or "none"),
        ]
        if self.handed:
            facts.append(Evidence("settings from .env files", ", ".join(self.handed)))
        return tuple(facts)

    def witnessed(self, outcome: Outcome, message: str, evidence: tuple[Evidence, ...]) -> dict[str, Any]:
        """Return what a scenario saw as a line of JSON, with what was logged and what was refused meanwhile.

        What a refused write may have caused is not blamed on the checkout: then `reproduced` becomes `unknown`.
        """
        refused = self.guard.refusals()
        if outcome is Outcome.REPRODUCED and any(kind == "write" for kind, _ in refused):
            outcome = Outcome.UNKNOWN
            message = f"{message}; but the sandbox had refused a write, so that it proves nothing"
        told = (*evidence, *(Evidence("refused by the sandbox", what) for _, what in refused), *self.lines.told())
        return {
            "outcome": outcome.value,
            "message": scrub(message),
            "evidence": [[one.label, scrub(one.value)] for one in told],
        }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
