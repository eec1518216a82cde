"""The parts' figures in Prometheus' text format, by its own client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import MissingExtra
from alwrity_checks.health.parts import Part, Standing

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.registry import Collector
except ModuleNotFoundError:
    raise MissingExtra("health", "the route /metrics") from None

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_HELP: Final = {
    "keys": "Keys that verify tokens",
    "keys_age_seconds": "Time since the known keys were fetched",
    "deployments": "Deployments of the chain",
    "deployments_held_off": "Deployments that are not asked now",
    "chain_measured": "Whether the chain's measurement counts",
    "chain_age_seconds": "Time since the chain was measured",
    "indexes": "Indexes that this process has used",
    "indexes_failed": "Indexes that could not be opened",
    "queued": "Accepted documents that are not searchable yet",
    "dead_letters": "Documents that were put aside",
    "oldest_queued_seconds": "Age of the oldest document that is not searchable yet",
    "steps_loading": "Local models that are being loaded",
    "steps_ready": "Local models that are loaded",
    "steps_failed": "Local models that could not be loaded",
    "downloads_running": "Downloads of models under way",
}


class _Parts(Collector):
    """What was seen, as it is asked for; names of users and models are no labels, which would have no end."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        """Yield a family of each figure."""
        standing = GaugeMetricFamily("alwrity_part_standing", "1 for how the part stands", labels=("part", "standing"))
        for part in self._parts:
            for one in Standing:
                standing.add_metric([part.name, str(one)], float(part.standing is one))
        yield standing
        for part in self._parts:
            for name, value in part.figures.items():
                yield GaugeMetricFamily(f"alwrity_{part.name}_{name}", _HELP[name], value=value)


def exposition(parts: Sequence[Part]) -> bytes:
    """Return the figures; the registry is of this call alone, so that an application's own metrics stay its own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Parts(parts))
    return generate_latest(registry)
