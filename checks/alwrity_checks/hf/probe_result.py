"""What a probe has found: one cell per deployment and mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.recommendation import recommended_links

if TYPE_CHECKING:
    from alwrity_checks.hf.canary import Structure
    from alwrity_checks.hf.causes import Classification, Mode
    from alwrity_checks.hf.deployment import Deployment

__all__ = ["Cell", "ProbeResult"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one question to one deployment."""

    deployment: Deployment
    mode: Mode | None
    """None: plain text, as a stream; it shows whether the deployment is alive, and how fast."""
    classification: Classification | None = None
    """Of the last answer; `ok` for a cell that is all right. None if there was none."""
    structure: Structure | None = None
    """None in plain text, and where no answer showed anything of it."""
    status: int | None = None
    """Of the last answer; None where there was none."""
    seconds: float = 0.0
    """From sending the last request to the end of its answer."""
    time_to_first_token: float | None = None
    """Seconds, those for a new connection included; of plain text alone."""
    tokens_per_second: float | None = None
    """After the first token; of plain text alone, and only if the server counts its tokens and sends them as they come.
    """
    served_by: str | None = None
    """Who really served it, if the router said so."""
    request_id: str | None = None
    requests: int = 0
    skipped: str = ""
    """Why there is no answer; empty if there is one."""

    @property
    def ok(self) -> bool:
        """Say whether it answered, and in the structure that was asked for."""
        return self.classification is not None and self.classification.cause is Cause.OK


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Every cell of the plan, in its order."""

    cells: tuple[Cell, ...]
    requests: int
    seconds: float
    cost: float | None
    """USD, by the catalogue's prices and never too low; None if something that was answered has no known price."""
    stopped: Classification | None = None
    """The fault of the endpoint or the account that ended it; None if nothing did."""

    @property
    def by_deployment(self) -> Mapping[Deployment, tuple[Cell, ...]]:
        """The cells of each deployment, in order."""
        found: dict[Deployment, tuple[Cell, ...]] = {}
        for cell in self.cells:
            found[cell.deployment] = (*found.get(cell.deployment, ()), cell)
        return found

    def chain(self, measured_at: datetime | None = None, base_url: str = "") -> Chain | None:
        """Return the chain to recommend; None if nothing answered, or if endpoint or account are at fault.

        `measured_at` has a time zone and is now if it is not given; `base_url` is where the probe asked.
        """
        links = () if self.stopped else recommended_links(self.by_deployment)
        return Chain(links, measured_at or datetime.now(UTC), base_url) if links else None
