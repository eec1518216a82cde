"""What the answers of a probe have settled, so that it need not be asked any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.causes import Cause, Classification, Permanence, Scope

if TYPE_CHECKING:
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.plan import Plan, PlannedCell

__all__ = ["Settled"]

_PROVIDER_FAULTS: Final = 3
"""So many questions in a row that a provider fails to answer, and it is given up."""


class Settled:
    """Knows which models, deployments and providers are out of the question, and why."""

    def __init__(self, plan: Plan, *, patience: float) -> None:
        """Start with none. A provider that asks for a longer wait than `patience`, in seconds, is left alone."""
        self._first_honoured_only = plan.first_honoured_only
        self._patience = patience
        self._models: dict[str, str] = {}
        self._deployments: dict[Deployment, str] = {}
        self._providers: dict[str, str] = {}
        self._faults: dict[str, int] = {}

    def objection(self, asked: PlannedCell) -> str:
        """Return why `asked` need not be asked; empty if it must be."""
        return (
            self._models.get(asked.deployment.model)
            or self._deployments.get(asked.deployment)
            or self._providers.get(asked.provider)
            or ""
        )

    def learn(self, asked: PlannedCell, found: Classification) -> None:
        """Draw the conclusions from the last answer to `asked`."""
        deployment, permanent = asked.deployment, found.permanence is Permanence.PERMANENT
        if found.scope is Scope.MODEL and permanent:
            self._models[deployment.model] = f"the model was refused: {found.cause}"
        elif found.scope is Scope.DEPLOYMENT and permanent:
            self._deployments[deployment] = f"the deployment was refused: {found.cause}"
        elif asked.mode is None and not _lives(found):
            self._deployments[deployment] = f"plain text failed: {found.cause}"
        elif asked.mode is not None and found.cause is Cause.OK and self._first_honoured_only:
            self._deployments[deployment] = f"{asked.mode} is honoured, which is enough"
        if asked.provider:
            self._learn_of_provider(asked.provider, found)

    def _learn_of_provider(self, provider: str, found: Classification) -> None:
        faults = self._faults[provider] = self._faults.get(provider, 0) + 1 if found.scope is Scope.PROVIDER else 0
        if faults >= _PROVIDER_FAULTS:
            self._providers[provider] = f"{provider} failed {faults} questions in a row: {found.cause}"
        elif found.retry_after is not None and found.retry_after > self._patience:
            self._providers[provider] = f"{provider} asked to be left alone for {found.retry_after:g} s"


def _lives(found: Classification) -> bool:
    """Say whether the deployment answered, be it with nothing, or with a complaint about the question."""
    return found.cause in {Cause.OK, Cause.EMPTY_ANSWER} or found.scope is Scope.REQUEST
