"""An ordered list of deployments, with the time they were measured: a small file that a backend loads."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.causes import Mode
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.redaction import scrub

__all__ = ["LIFETIME", "SCHEMA", "Chain", "Link"]

SCHEMA: Final = "alwrity-doctor/hf-chain/1"
LIFETIME: Final = timedelta(hours=6)
"""The router re-validates every mapping in this interval: what was measured before it says little."""
_LARGEST_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """A deployment of a chain."""

    deployment: Deployment
    mode: Mode | None = None
    """The strictest mode that was seen honoured; None if none was measured."""
    reason: str = ""
    """Why it stands where it stands."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Deployments in the order in which they are asked."""

    links: tuple[Link, ...]
    measured_at: datetime | None = None
    """With a time zone; None if nothing was measured."""
    base_url: str = ""
    """Where it was measured."""

    def __post_init__(self) -> None:
        if not self.links:
            raise ConfigurationError("the chain names no deployment", "name at least one model")
        if self.measured_at is not None and self.measured_at.tzinfo is None:
            raise ConfigurationError("the chain's measured_at has no time zone", "write it with +00:00")

    @classmethod
    def unmeasured(cls, *deployments: str) -> Chain:
        """Make a chain of deployments that nobody has tried. Raises ConfigurationError where one is none."""
        return cls(tuple(Link(Deployment.parse(one)) for one in dict.fromkeys(deployments)))

    @property
    def lapses_at(self) -> datetime | None:
        """When the measurement no longer counts; None if there was none."""
        return None if self.measured_at is None else self.measured_at + LIFETIME

    def counts_at(self, now: datetime | None = None) -> bool:
        """Say whether the measurement counts: there was one, it is not from the future, and it has not lapsed."""
        now = now or datetime.now(UTC)
        return self.measured_at is not None and self.measured_at - timedelta(minutes=5) <= now < (
            self.measured_at + LIFETIME
        )

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises ConfigurationError where it cannot be written."""
        document = {
            "schema": SCHEMA,
            "base_url": scrub(self.base_url),
            "measured_at": self.measured_at and self.measured_at.isoformat(timespec="seconds"),
            "lapses_at": self.lapses_at and self.lapses_at.isoformat(timespec="seconds"),
            "deployments": [
                {"deployment": str(link.deployment), "mode": link.mode, "reason": link.reason} for link in self.links
            ],
        }
        try:
            _replace(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}", "name a writable place") from error

    @classmethod
    def load(cls, path: Path) -> Chain:
        """Read a file that `save` wrote. Raises ConfigurationError where it is none. A lapsed chain is read too."""
        remedy = f"alwrity-doctor hf chain --write {path}"
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST_FILE + 1)
            if len(text) > _LARGEST_FILE:
                raise ConfigurationError(f"{path} is larger than 1 MiB: not a chain", remedy)
            document = json.loads(text)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}", remedy) from error
        except (ValueError, RecursionError):
            raise ConfigurationError(f"{path} is not JSON", remedy) from None
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ConfigurationError(f"{path} is not a chain: its schema is not {SCHEMA}", remedy)
        try:
            links = tuple(_links(document["deployments"]))
            measured = document.get("measured_at")
            return cls(
                links, None if measured is None else datetime.fromisoformat(measured), str(document.get("base_url", ""))
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{path} is not a chain: {type(error).__name__} {error}", remedy) from None


def _links(entries: Iterable[dict[str, Any]]) -> Iterable[Link]:
    for entry in entries:
        deployment = Deployment.parse(str(entry["deployment"]))
        mode = entry.get("mode")
        yield Link(deployment, None if mode is None else Mode(mode), str(entry.get("reason", "")))


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename: a reader meets the old file or the new one, and never half of one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # the backend may run as someone else; there is no secret in it
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
