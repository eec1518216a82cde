"""Local models (issues 5 and 6): the runtime API.

    registry = ModelRegistry.from_environment()             # the one source of defaults, with overrides
    registry.prefetch()                                     # returns at once; registry.status() tells how it stands
    plan = registry.plan("agent")                           # what fits this machine now, and why not the others
    model = await registry.load("agent")                    # one load for all; falls back only to something lighter
    text = await model.generate("…", max_new_tokens=64)
    value = await model.generate_json("…", schema)          # valid against the schema, or an error that says why

Names are imported on first use. Nothing is loaded, fetched or measured before it is asked for.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.models.compat import LocalLLMWrapper, SharedLLMWrapper, bootstrap_local_llm_models
    from alwrity_checks.models.embedding import LocalEmbedder
    from alwrity_checks.models.errors import (
        AnswerFailed,
        LoadFailed,
        ModelError,
        ModelUnavailable,
        NoModel,
        OutOfMemory,
    )
    from alwrity_checks.models.generation import Generation, LocalModel
    from alwrity_checks.models.plan import Plan, PlanRow
    from alwrity_checks.models.prefetch import Downloads, Progress
    from alwrity_checks.models.reasons import Reason
    from alwrity_checks.models.registry import ModelRegistry, RegistryStatus
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.sharing import Closed, ForkedProcess, NotLoadedYet
    from alwrity_checks.models.steps import Precision, Runtime, Step

__all__ = [
    "AnswerFailed",
    "Closed",
    "Downloads",
    "ForkedProcess",
    "Generation",
    "LoadFailed",
    "LocalEmbedder",
    "LocalLLMWrapper",
    "LocalModel",
    "ModelError",
    "ModelRegistry",
    "ModelUnavailable",
    "NoModel",
    "NotLoadedYet",
    "OutOfMemory",
    "Plan",
    "PlanRow",
    "Precision",
    "Progress",
    "Reason",
    "RegistryStatus",
    "Role",
    "Runtime",
    "SharedLLMWrapper",
    "Step",
    "bootstrap_local_llm_models",
]

_HOME: Final = {
    "AnswerFailed": "errors",
    "Closed": "sharing",
    "Downloads": "prefetch",
    "ForkedProcess": "sharing",
    "Generation": "generation",
    "LoadFailed": "errors",
    "LocalLLMWrapper": "compat",
    "LocalEmbedder": "embedding",
    "LocalModel": "generation",
    "ModelError": "errors",
    "ModelRegistry": "registry",
    "ModelUnavailable": "errors",
    "NoModel": "errors",
    "NotLoadedYet": "sharing",
    "OutOfMemory": "errors",
    "Plan": "plan",
    "PlanRow": "plan",
    "Precision": "steps",
    "Progress": "prefetch",
    "Reason": "reasons",
    "RegistryStatus": "registry",
    "Role": "roles",
    "Runtime": "steps",
    "SharedLLMWrapper": "compat",
    "Step": "steps",
    "bootstrap_local_llm_models": "compat",
}

# A library says nothing on stderr by itself: who wants its log configures one.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
