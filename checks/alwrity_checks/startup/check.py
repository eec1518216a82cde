"""What the next start of a checkout would wait for on this machine: its source says what, the hub's cache whether."""

from __future__ import annotations

import ast
import asyncio
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Requirement, RequirementKind

if TYPE_CHECKING:
    from alwrity_checks.model import Context, Finding
    from alwrity_checks.settings import Settings
    from alwrity_checks.source import SourceFile

__all__ = ["CHECKS", "next_start_findings"]

_SCRIPT: Final = "start_alwrity_backend.py"
_CHECKOUT: Final = frozenset({Requirement(RequirementKind.CHECKOUT)})
_CLOUD: Final = ("RENDER", "RAILWAY_ENVIRONMENT")
"""Settings under which ALwrity's script leaves its bootstrap out (8c2d88ef, start_alwrity_backend.py)."""


@dataclass(frozen=True, slots=True)
class _NextStart:
    name: str = "startup.next_start"
    title: str = "the next start on this machine waits for no model download"
    issue: int = 6
    requires: frozenset[Requirement] = _CHECKOUT
    timeout: timedelta = timedelta(seconds=30)

    async def run(self, context: Context) -> Sequence[Finding]:
        """Return a finding for each model. Raises CannotCheck for a script that is not there or cannot be read."""
        root = Path(context.backend or ".")
        return await asyncio.to_thread(lambda: tuple(next_start_findings(root, context.settings)))


def next_start_findings(root: Path, settings: Settings) -> Iterator[Finding]:
    """Yield the models that the start script fetches before it listens, and that are not in the hub's cache.

    A script that fetches on a thread, or not at all, has none, and so has one that leaves it out under these settings.
    Raises CannotCheck.
    """
    from alwrity_checks.model import Evidence, Finding, Location, LocationKind
    from alwrity_checks.models.cache import cache_directory, cached_snapshot
    from alwrity_checks.models.decision import in_bytes
    from alwrity_checks.models.facts import known_models
    from alwrity_checks.models.source_names import Use, namings_of
    from alwrity_checks.models.workshop import environment_of
    from alwrity_checks.startup.rules import rule
    from alwrity_checks.startup.source import traces

    script, place = _script(root)
    blocking = [one for one in traces(script) if one.code == "STA001"]
    if not blocking or any(setting in script.text and settings.text(setting) for setting in _CLOUD):
        return
    cache = cache_directory(environment_of(settings))
    for naming in namings_of(script):
        if naming.use is not Use.DOWNLOAD or cached_snapshot(naming.model, cache) is not None:
            continue
        known = known_models().get(naming.model)
        size = f" ({in_bytes(known.download_bytes)})" if known else ""
        yield Finding(
            rule("STA001"),
            f"the next start downloads {naming.model}{size} before it listens: it is not in {cache}",
            tuple(Evidence(label, value) for label, value in blocking[0].evidence),
            Location(LocationKind.FILE, place, naming.line),
            (f"alwrity-doctor models pull {naming.model}",),
        )


def _script(root: Path) -> tuple[SourceFile, str]:
    """Return the start script, and where it is below `root`. Raises CannotCheck."""
    from alwrity_checks.source import SourceFile

    path = next((one for one in (root / _SCRIPT, root / "backend" / _SCRIPT) if one.is_file()), None)
    if path is None:
        raise CannotCheck(f"{root} has no {_SCRIPT}", "name the root of your checkout, or its backend/")
    try:
        text = path.read_text("utf-8")
        with warnings.catch_warnings():
            # What the checkout's author escapes wrongly is not the user's to read here.
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise CannotCheck(f"{path}{line} cannot be read as Python: {error}", "correct the file") from error
    return SourceFile(_SCRIPT, tree, text, live=True), path.relative_to(root).as_posix()


CHECKS: Final = (_NextStart(),)
"""What is known of a start before it is made."""
