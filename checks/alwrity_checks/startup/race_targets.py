"""What the race is done to: the historical bootstrap and the component, each before the same small server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alwrity_checks.model import Target, TargetKind
from alwrity_checks.startup.legacy import AGENT_MODEL, BOOTSTRAP_MODEL

__all__ = ["StartTarget", "targets"]


@dataclass(frozen=True, slots=True)
class StartTarget:
    """A way to start."""

    name: str
    """What `serve` calls it."""
    target: Target
    model: str
    """What its start downloads."""

    def __str__(self) -> str:
        return str(self.target)


_TARGETS: Final = (
    StartTarget("legacy", Target(TargetKind.LEGACY, "8c2d88ef", "bootstrap_local_llm_models"), BOOTSTRAP_MODEL),
    StartTarget("fixed", Target(TargetKind.FIXED, "", "ModelRegistry.prefetch"), AGENT_MODEL),
)


def targets() -> tuple[StartTarget, ...]:
    """Return every target, the oldest first."""
    return _TARGETS
