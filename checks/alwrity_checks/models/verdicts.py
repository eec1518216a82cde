"""What loads came to on this machine, remembered on the disk: by files, runtime, precision, context and libraries.

A verdict that is lost costs one rehearsal, so that a damaged or unwritable file is no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.decision import Verdict

if TYPE_CHECKING:
    from alwrity_checks.models.steps import Step

__all__ = ["Verdicts", "fingerprint"]

_LIBRARIES: Final = ("torch", "transformers", "onnxruntime", "onnxruntime-genai")
_LARGEST: Final = 1 << 20
_MOST: Final = 200
"""Verdicts; the oldest go first."""
_DEATH_HOLDS: Final = 24 * 3600.0
"""Seconds: what killed a load may have been another process, or a crash that has been cured since."""


def fingerprint(directory: Path) -> str:
    """Return 16 hexadecimal digits that change when a file of the model changes; reads no weights.

    Names, sizes and times of change of the files, as they lie behind the links of the hub's cache.
    """
    digest = hashlib.sha256()
    for path in sorted(one for one in directory.rglob("*") if one.is_file()):
        facts = path.stat()
        digest.update(f"{path.relative_to(directory)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The remembered verdicts."""

    path: Path

    @classmethod
    def at_home(cls, environment: Mapping[str, str] | None = None) -> Verdicts:
        """Return those below `XDG_CACHE_HOME`, else `~/.cache`."""
        known = os.environ if environment is None else environment
        home = known.get("XDG_CACHE_HOME", "").strip()
        cache = Path(home) if home else Path.home() / ".cache"
        return cls(cache / "alwrity-doctor" / "verdicts.json")

    def of(self, step: Step, directory: Path, context: int) -> Verdict | None:
        """Return what loading `step` from `directory` came to here; None if nobody has tried.

        A death of more than a day ago is told as one with no memory at all: it is rehearsed again, and not just loaded.
        """
        entry = self._read().get(_key(step, directory, context))
        try:
            if not entry:
                return None
            found = Verdict(bool(entry["loaded"]), int(entry["peak"]), int(entry["available"]))
            old = not 0 <= time.time() - float(entry["at"]) <= _DEATH_HOLDS
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return replace(found, available=0) if old and not found.loaded else found

    def remember(self, step: Step, directory: Path, context: int, verdict: Verdict) -> None:
        """Keep a verdict."""
        entries = self._read()
        key = _key(step, directory, context)
        entries.pop(key, None)
        entries[key] = asdict(verdict) | {"step": str(step), "at": time.time()}
        for oldest in list(entries)[: max(0, len(entries) - _MOST)]:
            del entries[oldest]
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_text(json.dumps(entries, indent=1), encoding="utf-8")
                beside.replace(self.path)
            finally:
                beside.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            if self.path.stat().st_size > _LARGEST:
                return {}
            document = json.loads(self.path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _key(step: Step, directory: Path, context: int) -> str:
    installed = []
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            installed.append(f"{name} {version(name)}")
    facts = (fingerprint(directory), step.runtime, step.precision, context, sys.version, platform.machine(), *installed)
    return hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:32]
