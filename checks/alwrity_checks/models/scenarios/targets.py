"""What the experiment of issue 5 is done to: the historical wrapper, and the component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.models import legacy
from alwrity_checks.models.roles import AGENT, roles
from alwrity_checks.models.scenarios.stage import StageWorks
from alwrity_checks.models.steps import Runtime
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.stage import Stage

__all__ = ["ComponentTarget", "Deployment", "LegacyTarget", "ModelsTarget", "targets"]

FIRST: Final = legacy.DEFAULT_MODEL
"""The model that everybody asks for first."""


class Deployment(Protocol):
    """A target in use, on a stage."""

    def obtain(self) -> None:
        """Have the agents' model loaded, as a call of an agent does. Raises what the target raises."""

    def answer(self, prompt: str) -> str:
        """Answer as the agents' shared face does."""

    def construct(self) -> None:
        """Make an agent."""

    def names(self) -> Mapping[str, str]:
        """Return each place that decides on the agents' model, and which model it decides on."""

    def release(self) -> None:
        """Let the time pass after which an idle model may go."""

    def close(self) -> None:
        """End the use."""


@dataclass(frozen=True, slots=True)
class LegacyTarget:
    """LocalLLMWrapper with its fallbacks, at 8c2d88ef."""

    target: Target = Target(TargetKind.LEGACY, "8c2d88ef", "LocalLLMWrapper")  # noqa: RUF009 - frozen
    facts: tuple[Evidence, ...] = (Evidence("chain", " > ".join(legacy.FALLBACKS)),)

    def deploy(self, stage: Stage, environment: Mapping[str, str] | None = None) -> Deployment:
        """Use it on `stage`; it reads nothing of the environment."""
        del environment
        return _LegacyDeployment(stage)

    def __str__(self) -> str:
        return str(self.target)


@dataclass(frozen=True, slots=True)
class ComponentTarget:
    """The registry, with the historical chain where that makes the two comparable."""

    target: Target = Target(TargetKind.FIXED, "", "ModelRegistry")  # noqa: RUF009 - frozen
    facts: tuple[Evidence, ...] = ()

    def deploy(self, stage: Stage, environment: Mapping[str, str] | None = None) -> Deployment:
        """Use it on `stage`, with the settings of `environment`; None: the historical chain."""
        historical = {"SIF_AGENT_MODEL": FIRST, "SIF_AGENT_FALLBACK_MODELS": ",".join(legacy.FALLBACKS[1:])}
        return _ComponentDeployment(stage, historical if environment is None else environment)

    def __str__(self) -> str:
        return str(self.target)


class ModelsTarget(Protocol):
    """What the scenarios are done to. Its `str` names it in the output."""

    @property
    def target(self) -> Target:
        """What it is called."""

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What is told of it beside what the scenarios see."""

    def deploy(self, stage: Stage, environment: Mapping[str, str] | None = None) -> Deployment:
        """Use it on `stage`, with the settings of `environment`; None: with its historical chain."""


class _LegacyDeployment:
    def __init__(self, stage: Stage) -> None:
        self._modules = legacy.LegacyModules(stage.load)

    def obtain(self) -> None:
        _ = legacy.LegacyWrapper(self._modules, task="language-generation").llm

    def answer(self, prompt: str) -> str:
        local = legacy.LegacyWrapper(self._modules, task="language-generation")
        return legacy.LegacySharedWrapper(local.generate, "user_1").generate(prompt)

    def construct(self) -> None:
        legacy.LegacyAgent(self._modules)

    def names(self) -> Mapping[str, str]:
        return legacy.NAMED

    def release(self) -> None:
        """Nothing is ever released."""

    def close(self) -> None:
        self._modules.kept.clear()


class _ComponentDeployment:
    def __init__(self, stage: Stage, environment: Mapping[str, str]) -> None:
        from alwrity_checks.models.registry import ModelRegistry

        self._stage = stage
        # The default chain wants both runtimes; the historical one is loaded as it was then.
        works = StageWorks(stage, (Runtime.TRANSFORMERS,) if environment else tuple(Runtime))
        self._registry = ModelRegistry(roles(Settings.load(environment)), works, idle=0.05)

    def obtain(self) -> None:
        self._registry.load_sync()

    def answer(self, prompt: str) -> str:
        from alwrity_checks.models.compat import LocalLLMWrapper, SharedLLMWrapper

        local = LocalLLMWrapper(registry=self._registry)

        def generate(asked: str, user_id: str) -> str:
            del user_id
            return local.generate(asked)

        return SharedLLMWrapper("user_1", generate=generate).generate(prompt)

    def construct(self) -> None:
        from alwrity_checks.models.compat import LocalLLMWrapper

        innermost: Any = LocalLLMWrapper(task="text-generation", registry=self._registry)
        for _ in range(3):
            innermost = getattr(innermost, "llm", innermost)

    def names(self) -> Mapping[str, str]:
        from alwrity_checks.models.compat import bootstrap_local_llm_models
        from alwrity_checks.models.scenarios.stage import wait_until

        bootstrap_local_llm_models(self._registry)
        wait_until(lambda: len(self._stage.fetched) == len(self._registry.roles))
        self.obtain()
        return {
            "bootstrap_local_llm_models": self._stage.fetched[0],
            "ModelRegistry.load": self._stage.tried[0],
            "ModelRegistry.steps": self._registry.steps(self._registry.role(AGENT))[0].model,
        }

    def release(self) -> None:
        from alwrity_checks.models.scenarios.stage import wait_until

        wait_until(lambda: not self._stage.alive)

    def close(self) -> None:
        self._registry.close()


def targets() -> tuple[ModelsTarget, ...]:
    """Return every target, the oldest first."""
    return (LegacyTarget(), ComponentTarget())
