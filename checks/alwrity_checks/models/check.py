"""What can be checked of local models before a backend uses one: settings, libraries, cache, hub, memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Requirement, RequirementKind
from alwrity_checks.models.roles import SETTINGS

if TYPE_CHECKING:
    from alwrity_checks.model import Context, Finding

__all__ = ["CHECKS"]

_SETTING: Final = Requirement(RequirementKind.SETTING, SETTINGS)


@dataclass(frozen=True, slots=True)
class _ModelsCheck:
    name: str
    title: str
    examine: Callable[[Context], Awaitable[Sequence[Finding]]]
    after: tuple[str, ...] = ()
    issue: int = 5
    timeout: timedelta = timedelta(seconds=30)

    @property
    def requires(self) -> frozenset[Requirement]:
        """A runtime that is installed says as much as a setting: then local models are in use, or meant to be."""
        others = frozenset(Requirement(RequirementKind.CHECK, (name,)) for name in self.after)
        installed = find_spec("transformers") is not None or find_spec("onnxruntime_genai") is not None
        return others if installed else others | {_SETTING}

    async def run(self, context: Context) -> Sequence[Finding]:
        return await self.examine(context)


async def _settings(context: Context) -> Sequence[Finding]:
    from alwrity_checks.models.check_settings import setting_findings

    return tuple(setting_findings(context.settings))


async def _libraries(context: Context) -> Sequence[Finding]:
    from alwrity_checks.models.check_libraries import library_findings

    return tuple(library_findings(context.settings))


async def _cache(context: Context) -> Sequence[Finding]:
    from alwrity_checks.models.check_cache import cache_findings

    return await asyncio.to_thread(lambda: tuple(cache_findings(context.settings)))


async def _hub(context: Context) -> Sequence[Finding]:
    from alwrity_checks.models.check_hub import hub_findings

    return await asyncio.to_thread(lambda: tuple(hub_findings(context.settings, offline=context.offline)))


async def _memory(context: Context) -> Sequence[Finding]:
    from alwrity_checks.models.check_memory import memory_findings

    return await asyncio.to_thread(lambda: tuple(memory_findings(context.settings, offline=context.offline)))


CHECKS: Final = (
    _ModelsCheck("models.settings", "the settings of the local models mean what they seem to mean", _settings),
    _ModelsCheck(
        "models.libraries",
        "the libraries of a runtime are installed and fit together",
        _libraries,
        ("models.settings",),
    ),
    _ModelsCheck("models.cache", "the hub's cache holds the models that are used, whole", _cache, ("models.settings",)),
    _ModelsCheck("models.hub", "a model that is missing can be had", _hub, ("models.settings",)),
    _ModelsCheck("models.memory", "a model of the agents fits into memory", _memory, ("models.settings",)),
)
"""Every check of this room."""
