"""The local models of a checkout as a target, in the process that runs its code: see `models.driver`.

`services.intelligence.sif_agents`, its base classes and the start script are the checkout's own. What is put in their
way is txtai's LLM, whose loads the stage counts, delays and refuses, and its Agent, which needs an extra of txtai.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Target, TargetKind
from alwrity_checks.models import legacy
from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.roles import SETTINGS, roles
from alwrity_checks.models.scenarios.driven_imports import (
    AGENTS,
    CORE,
    ORCHESTRATOR,
    SPECIALIZED,
    Anything,
    Application,
    put_in_txtai,
)
from alwrity_checks.models.scenarios.driven_start import BOOTSTRAP, Downloads, load_start_script
from alwrity_checks.models.scenarios.stage import Stage, StageWorks, wait_until
from alwrity_checks.models.steps import Runtime
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from alwrity_checks.model import Evidence
    from alwrity_checks.models.scenarios.targets import Deployment
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["HISTORICAL", "WRAPPER", "DrivenTarget", "calls_ours", "default_model", "is_ours", "wrapped"]

WRAPPER: Final = "LocalLLMWrapper"
_SHARED: Final = "SharedLLMWrapper"
_AGENT: Final = "SIFBaseAgent"
_BASE: Final = "BaseALwrityAgent"
_TEAM: Final = "AgentTeamConfiguration"
HISTORICAL: Final = MappingProxyType(
    {"SIF_AGENT_MODEL": legacy.DEFAULT_MODEL, "SIF_AGENT_FALLBACK_MODELS": ",".join(legacy.FALLBACKS[1:])}
)
"""Settings under which our registry has the chain of the historical wrapper."""
_TASK: Final = "language-generation"
"""As agents/specialized/base.py asks; sif_agents.py asks for `text-generation` (ALwrity 8c2d88ef)."""
_USER: Final = "user_1"
_PROMPT: Final = "Name a title."
_IDLE: Final = 0.05
_PATIENCE: Final = 10.0
_LATER: Final = 0.3
"""Seconds that a checkout has for letting go what nobody uses, before it is asked whether it still means to."""


class DrivenTarget:
    """The checkout's local models; a deployment is a fresh process of the backend, as far as imports go."""

    def __init__(self, inside: Inside) -> None:
        """Take the sandbox, before it is opened for the checkout."""
        self.inside = inside
        self._stage = Stage()
        self._application = Application(inside, self._answer_remotely)
        self._users = {name: os.environ[name] for name in SETTINGS if name in inside.handed}

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.inside.backend))

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """Nothing beside what the meeting told."""
        return ()

    def deploy(self, stage: Stage, environment: Mapping[str, str] | None = None) -> Deployment:
        """Use the checkout's modules on `stage`, with the settings of `environment`. Raises what their import raises.

        None: where the checkout has our drop-in, the historical chain, so that the two are comparable.
        """
        return _Deployment(self, stage, HISTORICAL if environment is None else environment)

    def staged(self, stage: Stage, settings: Mapping[str, str]) -> tuple[ModuleType, ModelRegistry]:
        """Import the modules anew: what they load is loaded on `stage`, through txtai or through our registry."""
        from alwrity_checks.models import compat

        self._stage = stage
        settings = self._users | dict(settings)
        works = StageWorks(stage, (Runtime.TRANSFORMERS,) if settings else tuple(Runtime))
        compat._shared.registry = ModelRegistry(roles(Settings.load(settings)), works, idle=_IDLE)  # noqa: SLF001 - ours
        return self.imported(settings, LLM=_staged(stage), Agent=_Agent), compat._shared.registry  # noqa: SLF001 - ours

    def imported(self, settings: Mapping[str, str], **classes: type) -> ModuleType:
        """Import the agents' module anew, with these classes in txtai, and return it. Raises what the import raises.

        `settings` win over those of the user's `.env` files, where those are to be used.
        """
        self.inside.lines.restart()
        for name in set(SETTINGS) & set(os.environ):
            del os.environ[name]
        os.environ.update(self._users | dict(settings))
        self._application.renew()
        put_in_txtai(**classes)
        return importlib.import_module(AGENTS)

    def _answer_remotely(self, prompt: str, *_: object, **__: object) -> str:
        """Stand for the remote provider: it fails when the stage lets a load fail."""
        return self._stage.load("the remote provider")(prompt)

    def __str__(self) -> str:
        return str(self.target)


def is_ours(module: ModuleType, name: str) -> bool:
    """Say whether what a checkout has under this name is our own drop-in."""
    found = getattr(module, name, None)
    return str(getattr(found, "__module__", "")).partition(".")[0] == __name__.partition(".")[0]


def calls_ours(function: Any) -> bool:  # noqa: ANN401 - whatever a script has under a name
    """Say whether a function of a checkout imports our drop-in, to call it."""
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    return any(name.partition(".")[0] == __name__.partition(".")[0] for name in names)


def default_model(agents: ModuleType) -> str:
    """Return the model that an agent asks for by default, where its constructor says so."""
    try:
        default = inspect.signature(getattr(agents, _AGENT).__init__).parameters["model_name"].default
    except (AttributeError, KeyError, TypeError, ValueError):
        return legacy.DEFAULT_MODEL
    return default if isinstance(default, str) else legacy.DEFAULT_MODEL


def wrapped(agents: ModuleType, model: str, task: str = _TASK) -> Any:  # noqa: ANN401 - the checkout's class
    """Make a LocalLLMWrapper as an agent does. Raises AttributeError where there is no such class."""
    wrapper: Callable[..., Any] = getattr(agents, WRAPPER)
    knows_tasks = "task" in inspect.signature(wrapper).parameters
    return wrapper(model, task=task) if knows_tasks else wrapper(model)


def _staged(stage: Stage) -> type:
    class LLM:
        """In the place of txtai's: loads on the stage, and is gone from it when nobody holds it any longer."""

        def __init__(self, path: str | None = None, *_: object, **__: object) -> None:
            stage.begin(str(path))
            weakref.finalize(self, stage.end)

        def __call__(self, text: object, *_: object, **__: object) -> str:
            del text
            return stage.answer

    return LLM


class _Agent:
    """In the place of txtai's: holds its model."""

    def __init__(self, *_: object, **options: object) -> None:
        self.options = options


class _Deployment:
    """The checkout's modules in use."""

    def __init__(self, target: DrivenTarget, stage: Stage, settings: Mapping[str, str]) -> None:
        self._target = target
        self._stage = stage
        self._settings = settings
        self._agents, self._registry = target.staged(stage, settings)
        self._held: list[object] = []
        self._before = frozenset(threading.enumerate())

    def obtain(self) -> None:
        """Have the model loaded as an agent's first call does: through a wrapper of its own."""
        wrapper = wrapped(self._agents, default_model(self._agents))
        self._held.append(wrapper)
        if is_ours(self._agents, WRAPPER):
            # Its `.llm` loads nothing, and its `generate` would ask the stage's model for tokens.
            self._registry.load_sync(wrapper._role(self._registry))  # noqa: SLF001 - our own class
        else:
            self._held.append(wrapper.llm)

    def answer(self, prompt: str) -> str:
        """Ask the agents' face of the remote provider."""
        text: str = getattr(self._agents, _SHARED)(_USER).generate(prompt)
        return text

    def construct(self) -> None:
        """Make an agent of each of the two base classes, as far as the checkout has them."""
        made = [self._agent(name) for name in (AGENTS, SPECIALIZED) if self._has(name, _AGENT)]
        if not made:
            raise LookupError(f"neither {AGENTS} nor {SPECIALIZED} has a {_AGENT}")
        self._held.extend(made)

    def names(self) -> Mapping[str, str]:
        """Ask every place that decides, by what it has fetched or loaded, each in a fresh process of the backend."""
        asked: Mapping[str, Callable[[], object]] = {
            f"start_alwrity_backend.{BOOTSTRAP}": self._bootstrap,
            f"{AGENTS}.{_AGENT}": self.obtain,
            f"{SPECIALIZED}.{_AGENT}": lambda: self._agent_that_loads(SPECIALIZED),
            f"{CORE}.{_BASE}": self._core_agent_that_loads,
            f"{ORCHESTRATOR}.{_TEAM}": self._orchestrate,
        }
        return {place: model for place, ask in asked.items() if (model := self._decided_by(ask))}

    def _decided_by(self, ask: Callable[[], object]) -> str:
        """Return the first model that is fetched or loaded; empty for a place that cannot be asked."""
        self._agents, self._registry = self._target.staged(self._stage, self._settings)
        self._stage.tried.clear()
        self._stage.fetched.clear()
        with contextlib.suppress(Exception):
            self._held.append(ask())
        return next(iter((*self._stage.fetched, *self._stage.tried)), "")

    def _bootstrap(self) -> None:
        downloads = Downloads(self._stage.fetched)
        with downloads.listening(self._target.inside):
            script = load_start_script(self._target.inside)
            getattr(script, BOOTSTRAP)()
            if is_ours(script, BOOTSTRAP) or calls_ours(getattr(script, BOOTSTRAP)):
                wait_until(lambda: len(self._stage.fetched) == len(self._registry.roles))

    def _orchestrate(self) -> None:
        team = getattr(importlib.import_module(ORCHESTRATOR), _TEAM)
        self._stage.tried.append(str(team(user_id=_USER).shared_llm))

    def _has(self, module: str, name: str) -> bool:
        with contextlib.suppress(ImportError):
            return hasattr(importlib.import_module(module), name)
        return False

    def _agent(self, module: str) -> object:
        return _made(getattr(importlib.import_module(module), _AGENT), Anything(), _USER)

    def _agent_that_loads(self, module: str) -> object:
        agent = self._agent(module)
        if not self._stage.tried:
            self.obtain()  # a constructor that loads nothing: its wrapper is the agents'
        return agent

    def _core_agent_that_loads(self) -> object:
        base: Any = getattr(importlib.import_module(CORE), _BASE)
        own = type("Core", (base,), {"_create_txtai_agent": lambda _: object()})
        agent: Any = _made(own, _USER, "probe")
        if not self._stage.tried:
            self._held.append(agent)
            agent.llm(_PROMPT)  # a constructor that loads nothing: its model is loaded when it is asked
        return agent

    def release(self) -> None:
        """Let go of everything, and give the checkout time. Raises where it may yet let go later."""
        self._held.clear()
        gc.collect()
        patience = _PATIENCE if is_ours(self._agents, WRAPPER) else _LATER
        if not wait_until(lambda: not self._stage.alive, patience):
            later = [one.name for one in threading.enumerate() if one not in self._before]
            if later:
                raise RuntimeError(f"the checkout still runs {', '.join(later)}, which may let the model go later")

    def close(self) -> None:
        """Let go."""
        self._held.clear()
        self._registry.close()


def _made(base: type, *arguments: object) -> object:
    """Make an object of a class that may be abstract."""
    probe = type("Probe", (base,), {})
    probe.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]  # what abc itself looks at
    return probe(*arguments)
