"""What the generator logs of its calls: for whoever looks later at why an answer was late, another model's, or none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from alwrity_checks.events import emit

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Classification
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.generation import Generation, GenerationFailed

__all__ = ["generation_failed", "held_off", "served_by_fallback"]

_log: Final = logging.getLogger("alwrity_checks.hf")


def generation_failed(failed: GenerationFailed) -> None:
    """Say that a call ended without a value, and by which deployment the last request was answered."""
    emit(
        _log,
        logging.WARNING,
        "hf.generation-failed",
        "there is no valid answer",
        reason=failed.classification.cause,
        model=failed.attempts[-1].deployment if failed.attempts else None,
        requests=len(failed.attempts),
        error=failed.classification.message,
    )


def held_off(deployment: Deployment, because: Classification, failures: int) -> None:
    """Say that a deployment is not asked any more until a pause is over."""
    emit(
        _log,
        logging.WARNING,
        "hf.deployment-held-off",
        "a deployment is not asked for a while",
        reason=because.cause,
        model=deployment,
        failures=failures,
        error=because.message,
    )


def served_by_fallback(generation: Generation, first: Deployment) -> None:
    """Say that not the first model of the chain answered."""
    emit(
        _log,
        logging.INFO,
        "hf.served-by-fallback",
        "another model of the chain answered",
        model=generation.model,
        first=first,
        requests=len(generation.attempts),
    )
