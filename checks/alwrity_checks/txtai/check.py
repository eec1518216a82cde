"""What can be checked of a semantic index before a backend uses it: libraries, model, settings, directories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Requirement, RequirementKind
from alwrity_checks.txtai.workspace import indexes_below, workspaces

if TYPE_CHECKING:
    from alwrity_checks.model import Context, Finding

__all__ = ["CHECKS"]

_TXTAI_SETTING: Final = Requirement(
    RequirementKind.SETTING, ("SIF_FAIL_FAST", "ALWRITY_TXTAI_DIR", "ALWRITY_TXTAI_MODEL")
)


@dataclass(frozen=True, slots=True)
class _TxtaiCheck:
    name: str
    title: str
    examine: Callable[[Context], Awaitable[Sequence[Finding]]]
    after: tuple[str, ...] = ()
    issue: int = 3
    timeout: timedelta = timedelta(seconds=15)

    @property
    def requires(self) -> frozenset[Requirement]:
        """An index that is there says as much as a setting: then something of it is in use."""
        others = frozenset(Requirement(RequirementKind.CHECK, (name,)) for name in self.after)
        return others if _index_is_here() else others | {_TXTAI_SETTING}

    async def run(self, context: Context) -> Sequence[Finding]:
        return await self.examine(context)


def _index_is_here() -> bool:
    try:
        return any(True for workspace in workspaces() for _ in indexes_below(workspace))
    except OSError:
        # It cannot be looked at, which `txtai.indexes` is to say.
        return True


async def _libraries(_context: Context) -> Sequence[Finding]:
    from alwrity_checks.txtai.libraries import library_findings

    return tuple(library_findings())


async def _model(context: Context) -> Sequence[Finding]:
    from alwrity_checks.txtai.check_model import model_findings

    return tuple(model_findings(context.settings, offline=context.offline))


async def _settings(context: Context) -> Sequence[Finding]:
    from alwrity_checks.txtai.check_settings import setting_findings

    return tuple(setting_findings(context.settings))


async def _indexes(context: Context) -> Sequence[Finding]:
    from alwrity_checks.txtai.check_indexes import index_findings

    return tuple(index_findings(context.settings, Path(context.backend) if context.backend else None))


CHECKS: Final = (
    _TxtaiCheck("txtai.libraries", "txtai and faiss are installed and work together", _libraries),
    _TxtaiCheck("txtai.settings", "the settings of the index mean what they seem to mean", _settings),
    _TxtaiCheck("txtai.model", "the embedding model can be had without long waits", _model, ("txtai.libraries",)),
    _TxtaiCheck(
        "txtai.indexes",
        "every index in the workspace can be read and holds together",
        _indexes,
        timeout=timedelta(seconds=120),
    ),
)
"""Every check of this room."""
