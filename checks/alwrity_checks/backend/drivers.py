"""Who drives which module of the checkout: one experiment's target for each issue that has a driver."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.driving import Driver, Surroundings, checkout_target, chosen_interpreter
from alwrity_checks.backend.moved import definitions
from alwrity_checks.errors import CannotCheck
from alwrity_checks.hf.scenarios.driven import FUNCTIONS, MODULE
from alwrity_checks.txtai.scenarios.backend import MODULES, NEEDED, BackendTarget

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.sandbox.target import CheckoutTarget

__all__ = ["DRIVERS", "auth_target", "hf_target", "models_target", "startup_target", "txtai_target"]

_AUTH: Final = Driver(
    "alwrity_checks.auth.driver",
    modules=((True, "middleware.auth_middleware"),),
    needed=("jwt", "cryptography", "fastapi"),
    names=("verify_token", "get_current_user"),
    component=("httpx", "dotenv"),
)
_HF: Final = Driver(
    "alwrity_checks.hf.driver",
    modules=((True, MODULE), (False, "utils.logger_utils")),
    needed=("openai",),
)
_HF_ALSO: Final = {b"tenacity": "tenacity", b"alwrity_checks": "jsonschema"}
"""What stands in the provider -> what it needs besides: the historical one's retries, and our component's validator."""
_MODELS: Final = Driver(
    "alwrity_checks.models.driver",
    modules=(
        (True, "services.intelligence.sif_agents"),
        (False, "services.intelligence.txtai_service"),
        (False, "services.intelligence.agents.core_agent_framework"),
    ),
    needed=("txtai",),
    names=("LocalLLMWrapper",),
    component=("httpx", "jsonschema", "llguidance", "psutil", "torch", "transformers"),
)
_STARTUP: Final = Driver(
    "alwrity_checks.startup.driver",
    modules=((True, "start_alwrity_backend"),),
    needed=("huggingface_hub",),
    names=("bootstrap_local_llm_models",),
    component=("httpx", "psutil"),
)
_UNSAID: Final = Surroundings()


def auth_target(checkout: Checkout, around: Surroundings = _UNSAID) -> CheckoutTarget:
    """Return the authentication of the checkout as a target of issue 1."""
    return checkout_target(checkout, around, _AUTH)


def hf_target(checkout: Checkout, around: Surroundings = _UNSAID) -> CheckoutTarget:
    """Return the Hugging Face provider of the checkout as a target of issue 2; of a moved one, where it is now."""
    path = checkout.module(MODULE)
    source = path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else b""
    also = [name for word, name in _HF_ALSO.items() if word in source]
    target = checkout_target(checkout, around, replace(_HF, needed=(*_HF.needed, *also)))
    if target.obstacle is None or path.is_file():
        return target
    names = FUNCTIONS.values()
    place = definitions(checkout, names) or f"nothing defines {' or '.join(names)}"
    return replace(target, obstacle=CannotCheck(f"{target.obstacle.diagnosis}; {place}", target.obstacle.remedy))


def txtai_target(checkout: Checkout, around: Surroundings = _UNSAID) -> BackendTarget:
    """Return the semantic index of the checkout as a target of issue 3.

    Its files are parsed and its interpreters asked here; what speaks against driving it is in the target, which says
    so when it is put through the experiment.
    """
    try:
        choice = chosen_interpreter(checkout, around, NEEDED, MODULES)
    except CannotCheck as error:
        return BackendTarget(checkout.backend, obstacle=error)
    return BackendTarget(checkout.backend, choice.path, choice.note, handed=around.handed)


def models_target(checkout: Checkout, around: Surroundings = _UNSAID) -> CheckoutTarget:
    """Return the local models of the checkout's agents as a target of issue 5."""
    return checkout_target(checkout, around, _MODELS)


def startup_target(checkout: Checkout, around: Surroundings = _UNSAID) -> CheckoutTarget:
    """Return the start script of the checkout as a target of issue 6."""
    return checkout_target(checkout, around, _STARTUP)


DRIVERS: Final[Mapping[int, Callable[[Checkout, Surroundings], object]]] = MappingProxyType(
    {
        1: auth_target,
        2: hf_target,
        3: txtai_target,
        5: models_target,
        6: startup_target,
    }
)
"""The issue -> what makes its experiment's target of a checkout."""
