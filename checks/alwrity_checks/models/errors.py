"""The ways in which a local model says no; every one has a `reason`, a diagnosis and a remedy.

ModelError
├── ModelUnavailable     the files cannot be had: hub, network, disk
├── LoadFailed           the files are here, and no model comes of them
│   └── OutOfMemory      there was not enough memory, or there would not be
├── AnswerFailed         the model is loaded, and its answer cannot be used
└── NoModel              no step of a chain could be loaded; carries what each came to
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.reasons import Reason

if TYPE_CHECKING:
    from alwrity_checks.models.steps import Step

__all__ = ["AnswerFailed", "LoadFailed", "ModelError", "ModelUnavailable", "NoModel", "OutOfMemory"]


class ModelError(DoctorError):
    """A local model cannot be had, loaded or used."""

    def __init__(self, reason: Reason, diagnosis: str, remedy: str = "") -> None:
        super().__init__(diagnosis, remedy)
        self.reason = reason


class ModelUnavailable(ModelError):  # noqa: N818 - the condition's name
    """The model's files are not here and cannot be had."""


class LoadFailed(ModelError):  # noqa: N818 - the condition's name
    """The model's files are here, and no model comes of them."""


class OutOfMemory(LoadFailed):
    """There was not enough memory, or there would not be: a lighter step may do."""


class AnswerFailed(ModelError):  # noqa: N818 - the condition's name
    """The model is loaded, and its answer cannot be used."""


class NoModel(ModelError):  # noqa: N818 - the condition's name
    """No step of a chain could be loaded."""

    def __init__(self, attempts: Mapping[Step, ModelError]) -> None:
        """Take what each step came to, in the order of the chain."""
        told = "; ".join(f"{step}: {error.diagnosis}" for step, error in attempts.items()) or "the chain is empty"
        remedy = next((error.remedy for error in attempts.values() if error.remedy), "")
        super().__init__(Reason.CHAIN_EXHAUSTED, f"no local model could be loaded: {told}", remedy)
        self.attempts = dict(attempts)
