"""Where somebody stands who has just arrived: what is here, found in a blink, without running or asking anything."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import SCHEMA

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.settings import Setting

__all__ = ["SETTINGS", "KeptReport", "Standing", "stand"]

SETTINGS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        1: (
            *("CLERK_PUBLISHABLE_KEY", "REACT_APP_CLERK_PUBLISHABLE_KEY", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY"),
            *("VITE_CLERK_PUBLISHABLE_KEY", "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY", "CLERK_SECRET_KEY", "CLERK_JWT_KEY"),
            *("CLERK_AUTHORIZED_PARTIES", "CLERK_PROXY_URL", "CLERK_DOMAIN", "ENVIRONMENT", "APP_ENV", "ENV"),
            *("DISABLE_AUTH", "ALLOW_UNVERIFIED_JWT_DEV"),
        ),
        2: ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ROUTER_BASE_URL", "HF_FALLBACK_MODELS", "GPT_PROVIDER"),
        3: ("SIF_FAIL_FAST", "ALWRITY_TXTAI_DIR", "ALWRITY_TXTAI_MODEL", "ALWRITY_TXTAI_ENCODER"),
        5: ("SIF_AGENT_MODEL", "SIF_AGENT_FALLBACK_MODELS", "SIF_AGENT_RUNTIME", "SIF_AGENT_PRECISION"),
        6: ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT"),
    }
)
"""Issue -> the settings that bear on it, what the room's checks ask for first; of a key's other names one suffices."""

_ENV_FILES: Final = (Path("backend/.env"), Path(".env"))
"""Those that the gate reads by itself."""
_HEAD: Final = 2048
"""Bytes of a report that hold its schema, verdict, command and moment."""
_LOOKED_AT: Final = 500
"""Entries of a directory; somebody may stand in one that holds a million."""
_REPORT: Final = re.compile(
    rf'\s*\{{\s*"schema":\s*"{re.escape(SCHEMA)}",\s*"verdict":\s*"(?P<verdict>[a-z]+)".*?'
    r'"command":\s*"(?P<command>[a-z ]+)".*?"started":\s*"(?P<started>[^"\s]+)"',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report that somebody kept as JSON."""

    path: Path
    command: str
    verdict: str
    started: datetime
    """Aware."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found here; no value of a setting is part of it."""

    checkout: Checkout | None
    revision: str
    """Its branch and commit, `main at ce9bf293`; empty without a git."""
    env_files: tuple[Path, ...]
    settings: tuple[Setting, ...]
    """Those of `SETTINGS` that are set, in that order."""
    unreadable: str
    """Why the .env files could not be read; empty if they could, or if there are none."""
    extras: Mapping[str, bool]
    """Extra of alwrity-doctor -> whether it is installed."""
    report: KeptReport | None
    """The last one that was made."""
    log: Path | None
    """The log that was written to last."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The extras that are not installed."""
        return tuple(name for name, installed in self.extras.items() if not installed)


def stand(directory: Path) -> Standing:
    """Look around in `directory`, an absolute path: the checkout that it is in, the settings that hold for it.

    Reads a few small files and the names in a few directories; imports nothing of an extra, asks no network, and runs
    nothing but git, for the name of the commit.
    """
    checkout = _checkout(directory)
    places = _places(directory, checkout)
    root = directory if checkout is None else checkout.root
    env_files = tuple(path for name in _ENV_FILES if (path := root / name).is_file())
    settings, unreadable = _settings(env_files)
    return Standing(
        checkout=checkout,
        revision="" if checkout is None else _revision(checkout),
        env_files=env_files,
        settings=settings,
        unreadable=unreadable,
        extras=_extras(),
        report=_last_report(places),
        log=_last_log(places),
    )


def _checkout(directory: Path) -> Checkout | None:
    from alwrity_checks.backend.checkout import find_checkout

    for place in (directory, *directory.parents):
        try:
            return find_checkout(place)
        except ConfigurationError:
            continue
    return None


def _revision(checkout: Checkout) -> str:
    from alwrity_checks.backend.revision import git

    commit = (git(checkout.backend, "rev-parse", "--short=8", "HEAD") or b"").decode("ascii", "replace").strip()
    branch = (git(checkout.backend, "symbolic-ref", "--quiet", "--short", "HEAD") or b"").decode("utf-8", "replace")
    return f"{branch.strip()} at {commit}" if commit and branch.strip() else commit


def _settings(env_files: Sequence[Path]) -> tuple[tuple[Setting, ...], str]:
    from alwrity_checks.settings import Settings

    unreadable = ""
    try:
        settings = Settings.load(env_files=env_files)
    except ConfigurationError as error:
        settings, unreadable = Settings.load(), error.diagnosis
    return tuple(one for names in SETTINGS.values() for one in settings.every(*names)), unreadable


def _extras() -> Mapping[str, bool]:
    from alwrity_doctor.facts import EXTRAS

    return {
        extra: all(importlib.util.find_spec(module) is not None for module in modules)
        for extra, modules in EXTRAS.items()
    }


def _places(directory: Path, checkout: Checkout | None) -> tuple[Path, ...]:
    """Return the directories in which a report or a log of this backend may lie."""
    own = () if checkout is None else (checkout.root, checkout.backend)
    return tuple(dict.fromkeys((directory, *own)))


def _last_report(places: Sequence[Path]) -> KeptReport | None:
    found = [report for path in _files(places, ".json") if (report := _report(path))]
    return max(found, key=lambda report: report.started, default=None)


def _report(path: Path) -> KeptReport | None:
    """Return what the beginning of a file says of the report that it is; None if it is none."""
    try:
        with path.open("rb") as file:
            head = _REPORT.match(file.read(_HEAD).decode("utf-8", "replace"))
        started = datetime.fromisoformat(head["started"]) if head else None
    except (OSError, ValueError):
        return None
    if head is None or started is None or started.tzinfo is None:
        return None
    return KeptReport(path, head["command"], head["verdict"], started.astimezone(UTC))


def _last_log(places: Sequence[Path]) -> Path | None:
    logs = _files([*places, *(place / "logs" for place in places)], ".log")
    return max(logs, key=_written, default=None)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _files(places: Sequence[Path], ending: str) -> Iterator[Path]:
    """Yield the files with this ending that are not empty: no pipe, no name that nobody could type."""
    for place in places:
        try:
            with os.scandir(place) as entries:
                for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                    named = entry.name.endswith(ending) and entry.name.isprintable()
                    if named and entry.is_file() and entry.stat().st_size:
                        yield place / entry.name
        except OSError:
            continue
