"""What the race is done to: the historical bootstrap, the component, a checkout's script; each before a server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from alwrity_checks.model import Target, TargetKind
from alwrity_checks.startup.legacy import AGENT_MODEL, BOOTSTRAP_MODEL

__all__ = ["StartTarget", "command", "targets"]


def _nothing(port: int) -> None:
    """Nobody has to be asked before a port of this machine is connected to."""
    del port


@dataclass(frozen=True, slots=True)
class StartTarget:
    """A way to start."""

    name: str
    """What it is called among the commands."""
    target: Target
    models: tuple[str, ...]
    """What its start downloads."""
    command: tuple[str, ...]
    """What starts the server."""
    agent: str = AGENT_MODEL
    """The model that an agent's first request asks for; empty where that is not known."""
    used: frozenset[str] = frozenset({AGENT_MODEL})
    """The models that somebody uses."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What its environment has beside what every start's has."""
    reach: Callable[[int], None] = _nothing
    """Is told the server's port before it is connected to."""

    def __str__(self) -> str:
        return str(self.target)


def command(name: str) -> tuple[str, ...]:
    """Return what starts our own server of this name."""
    return (sys.executable, "-m", "alwrity_checks.startup.serve", name)


_TARGETS: Final = (
    StartTarget(
        "legacy",
        Target(TargetKind.LEGACY, "8c2d88ef", "bootstrap_local_llm_models"),
        (BOOTSTRAP_MODEL,),
        command("legacy"),
    ),
    StartTarget("fixed", Target(TargetKind.FIXED, "", "ModelRegistry.prefetch"), (AGENT_MODEL,), command("fixed")),
)


def targets() -> tuple[StartTarget, ...]:
    """Return every target, the oldest first."""
    return _TARGETS
