"""What lies in the hub's cache: models that are used and not there, damaged ones, what killed downloads left."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Evidence, Location, LocationKind
from alwrity_checks.models.cache import cache_directory, cached_snapshot
from alwrity_checks.models.decision import in_bytes
from alwrity_checks.models.findings import finding
from alwrity_checks.models.roles import roles
from alwrity_checks.models.workshop import environment_of

if TYPE_CHECKING:
    from alwrity_checks.model import Finding
    from alwrity_checks.settings import Settings

__all__ = ["cache_findings", "cached_models"]

_PREFIX: Final = "models--"
_CATALOGUED: Final = "Qwen/Qwen2.5-3B-Instruct"
"""What ALwrity's start script downloads, and no agent uses."""


def cached_models(cache: Path) -> Mapping[str, Path]:
    """Return the models of which anything is in the cache, with their directories."""
    try:
        entries = sorted(one for one in cache.iterdir() if one.name.startswith(_PREFIX) and one.is_dir())
    except FileNotFoundError:
        return {}
    return {one.name.removeprefix(_PREFIX).replace("--", "/"): one for one in entries}


def cache_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the cache. Raises CannotCheck if it cannot be looked at."""
    cache = cache_directory(environment_of(settings))
    used = {model for role in roles(settings).values() for model in role.models}
    try:
        here = cached_models(cache)
        for model, directory in here.items():
            yield from _damaged(model, directory, cache, used=model in used)
            yield from _orphans(model, directory)
    except OSError as error:
        raise CannotCheck(
            f"the cache {cache} cannot be looked at: {error.strerror}", "give this user the right to read it"
        ) from error
    yield from _drift(settings, cache, here)
    yield from _read_only(cache)


def _damaged(model: str, directory: Path, cache: Path, *, used: bool) -> Iterator[Finding]:
    snapshots = directory / "snapshots"
    if cached_snapshot(model, cache) is not None or not snapshots.is_dir():
        return
    files = [one for one in snapshots.rglob("*") if one.is_file()]
    weights = [one for one in files if one.suffix in {".safetensors", ".bin", ".pt", ".pth"}]
    location = Location(LocationKind.FILE, str(directory))
    command = (f"alwrity-doctor models pull {model}",)
    if weights and all(one.suffix != ".safetensors" for one in weights):
        told = f"{model} is cached as pickles only, which are not loaded"
        yield finding("pickle-only", told, location)
    elif used:
        told = f"{model} is cached in part: {len(files)} files, {'weights incomplete' if weights else 'no weights'}"
        yield finding("file-missing", told, location, commands=command)


def _orphans(model: str, directory: Path) -> Iterator[Finding]:
    left = [one for one in directory.glob("blobs/*.incomplete") if one.is_file()]
    if left:
        size = sum(one.stat().st_size for one in left)
        told = f"{len(left)} interrupted download{'s' * (len(left) != 1)} of {model}: {in_bytes(size)} of no use"
        evidence = tuple(Evidence("file", one.name) for one in left[:5])
        yield finding("cache-orphan", told, Location(LocationKind.FILE, str(directory / "blobs")), evidence)


def _drift(settings: Settings, cache: Path, here: Mapping[str, Path]) -> Iterator[Finding]:
    """Find the catalogued drift: the model of the start script is here, and none that the agents use."""
    used = roles(settings)["agent"].models
    if _CATALOGUED in used or _CATALOGUED not in here or any(cached_snapshot(one, cache) for one in used):
        return
    size = sum(one.stat().st_size for one in here[_CATALOGUED].glob("blobs/*") if one.is_file())
    told = f"{_CATALOGUED} is cached ({in_bytes(size)}), which no agent uses; of {', '.join(used)} none is"
    yield finding(
        "cache-drift",
        told,
        Location(LocationKind.FILE, str(here[_CATALOGUED])),
        commands=("alwrity-doctor models pull",),
    )


def _read_only(cache: Path) -> Iterator[Finding]:
    """Try to write: asking for permission would not tell a read-only file system, nor would it hold for root."""
    import tempfile

    nearest = next((one for one in (cache, *cache.absolute().parents) if one.is_dir()), None)
    if nearest is None:
        return
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        told = f"{cache} cannot be written: {error.strerror or os.strerror(error.errno or 0)}"
        yield finding("cache-read-only", told, Location(LocationKind.FILE, str(cache)))
