"""The seam below the registry: what finds out, fetches, rehearses and loads. The real one is `workshop.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alwrity_checks.models.decision import Verdict
    from alwrity_checks.models.embedding import Encoder
    from alwrity_checks.models.errors import ModelError
    from alwrity_checks.models.plan import Plan
    from alwrity_checks.models.prefetch import Progress
    from alwrity_checks.models.runtimes.interface import LoadedModel
    from alwrity_checks.models.steps import Runtime, Step

__all__ = ["Works"]


class Works(Protocol):
    """What a registry works with. Everything blocks, and may be called from any thread."""

    def installed(self) -> frozenset[Runtime]:
        """Return the runtimes whose libraries are installed."""

    def native_bfloat16(self) -> bool:
        """Say whether this processor calculates in bfloat16."""

    def need(self, step: Step, context: int) -> int | None:
        """Return the predicted peak of resident memory in bytes; None if nobody can tell. Never raises."""

    def available(self, step: Step) -> int:
        """Return the bytes of memory that loading `step` can have: those that are left, and what is paid for already.

        A prediction is for a fresh process; in this one the runtime's libraries may have been imported before.
        """

    def refusal(self, step: Step, context: int) -> ModelError | None:
        """Return why `step` cannot be loaded here, before anything of it is fetched; None if nothing speaks against it.

        It does not fit, its conversion or the disk does not allow it, or the hub says that it cannot be had.
        """

    def fetch(self, step: Step) -> Path:
        """Return the directory from which `step` is loaded: downloaded and converted, as far as it is not.

        Raises ModelError.
        """

    def verdict(self, step: Step, directory: Path, context: int) -> Verdict | None:
        """Return what loading `step` came to on this machine before."""

    def remember(self, step: Step, directory: Path, context: int, verdict: Verdict) -> None:
        """Keep what loading `step` came to."""

    def rehearse(self, step: Step, directory: Path, context: int) -> int:
        """Load `step` in a child process and return its peak of resident memory in bytes. Raises LoadFailed."""

    def load(self, step: Step, directory: Path, context: int) -> LoadedModel:
        """Load `step` into this process. Raises LoadFailed, MissingExtra."""

    def load_encoder(self, directory: Path) -> Encoder:
        """Load what makes embeddings into this process. Raises LoadFailed, MissingExtra."""

    def plan(self, steps: Sequence[Step], context: int, available: int | None) -> Plan:
        """Return what fits into `available` bytes, into what is there if None, and why the rest does not."""

    def prefetch(self, model: str) -> None:
        """Begin to download a model that is not here; returns at once."""

    def downloads(self) -> Mapping[str, Progress]:
        """Return how each download that was begun stands."""

    def close(self) -> None:
        """Stop what runs in the background."""
