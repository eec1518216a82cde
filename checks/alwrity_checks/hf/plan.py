"""What a probe is going to ask, and what that can cost at most: made before anything is asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.hf.canary import Canary
from alwrity_checks.hf.causes import Mode
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.ladder import Message, modes_for, request_payload

if TYPE_CHECKING:
    from alwrity_checks.hf.catalogue import Catalogue

__all__ = ["DEFAULT_MODES", "REQUESTS_PER_CELL", "Plan", "PlannedCell", "Price", "make_plan"]

DEFAULT_MODES: Final = (Mode.JSON_SCHEMA_STRICT, Mode.TOOL, Mode.JSON_OBJECT)
REQUESTS_PER_CELL: Final = 2
"""One, and another if the first met a fault that may pass."""
_PLAIN: Final[tuple[Message, ...]] = ({"role": "user", "content": "Count from one to thirty, in words."},)
_PLAIN_TOKENS: Final = 64
"""Reasoning models answer nothing within 5; from 16 on all do, and a rate wants some more to be counted on."""
_STRUCTURED_TOKENS: Final = 2048
"""What a generation allows by default: what fits here fits there."""
_TEMPLATE_TOKENS: Final = 256
"""What a chat template adds to a request, at most."""
_MILLION: Final = 1e6


@dataclass(frozen=True, slots=True)
class Price:
    """What a provider charges, in USD per million tokens."""

    input: float
    output: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of one answer, in USD."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / _MILLION


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One question to one deployment."""

    deployment: Deployment
    mode: Mode | None
    """None: plain text, as a stream."""
    messages: tuple[Message, ...] = field(hash=False)
    max_tokens: int
    price: Price | None
    """The dearest that can be met; None if the catalogue does not say."""
    most_prompt_tokens: int

    @property
    def provider(self) -> str:
        """Who will be asked; empty where the router chooses."""
        return self.deployment.provider or ""

    @property
    def most_cost(self) -> float | None:
        """What one request can cost, in USD; None if no price is known."""
        return None if self.price is None else self.price.of(self.most_prompt_tokens, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Plan:
    """The questions, in order: those to one deployment stand together, the plain one first."""

    cells: tuple[PlannedCell, ...]
    canary: Canary
    first_honoured_only: bool = False
    """Whether a deployment's questions end with the first mode that it honours."""

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Those that will be asked, in order."""
        return tuple(dict.fromkeys(cell.deployment for cell in self.cells))

    @property
    def cells_of_provider(self) -> Mapping[str, int]:
        """How many questions each provider gets; the key "" counts those for which the router chooses."""
        return Counter(cell.provider for cell in self.cells)

    @property
    def most_requests(self) -> int:
        """How many requests there can be, at most."""
        return REQUESTS_PER_CELL * len(self.cells)

    @property
    def most_cost(self) -> float | None:
        """What all of it can cost at most, in USD; None if some price is not known."""
        costs = [cell.most_cost for cell in self.cells]
        return None if None in costs else REQUESTS_PER_CELL * sum(cost for cost in costs if cost is not None)

    @property
    def unpriced(self) -> tuple[Deployment, ...]:
        """The deployments whose price is not known."""
        return tuple(dict.fromkeys(cell.deployment for cell in self.cells if cell.price is None))


def make_plan(
    models: Sequence[str],
    modes: Sequence[Mode] = DEFAULT_MODES,
    *,
    catalogue: Catalogue | None = None,
    schema: Mapping[str, Any] | None = None,
    first_honoured_only: bool = False,
) -> Plan:
    """Plan to ask each of `models` in plain text and in those of `modes` that can express the schema.

    A model without a suffix becomes one deployment for each of its live providers, as far as the catalogue names them.
    `schema` is what will be asked for in production. Raises ConfigurationError where one of `models` names no
    deployment or the schema is unusable, MissingExtra without the jsonschema package.
    """
    canary = Canary.new() if schema is None else Canary.of(schema)
    possible = [mode for mode in modes_for(canary.schema) if mode in modes]
    deployments = dict.fromkeys(one for text in models for one in _expanded(Deployment.parse(text), catalogue))
    return Plan(
        tuple(_cell(one, mode, canary, catalogue) for one in deployments for mode in (None, *possible)),
        canary,
        first_honoured_only,
    )


def _expanded(deployment: Deployment, catalogue: Catalogue | None) -> Iterator[Deployment]:
    offers = () if deployment.suffix or catalogue is None else catalogue.live(deployment.model)
    if not offers:
        yield deployment  # the router's own answer says more about it than a catalogue can
    for offer in offers:
        yield Deployment(deployment.model, offer.provider)


def _cell(deployment: Deployment, mode: Mode | None, canary: Canary, catalogue: Catalogue | None) -> PlannedCell:
    messages = _PLAIN if mode is None else canary.messages
    most = _PLAIN_TOKENS if mode is None else _STRUCTURED_TOKENS
    payload = request_payload(deployment, messages, mode=mode, schema=canary.schema, max_tokens=most)
    # No tokenizer makes more tokens than there are bytes.
    prompt = len(json.dumps(payload).encode()) + _TEMPLATE_TOKENS
    return PlannedCell(deployment, mode, messages, most, _price(deployment, catalogue), prompt)


def _price(deployment: Deployment, catalogue: Catalogue | None) -> Price | None:
    if catalogue is None:
        return None
    if deployment.provider is None:
        offers = catalogue.live(deployment.model)
    else:
        offer = catalogue.offer(deployment)
        offers = () if offer is None else (offer,)
    inputs = [offer.input_price for offer in offers]
    outputs = [offer.output_price for offer in offers]
    if not offers or None in inputs or None in outputs:
        return None
    return Price(max(one for one in inputs if one is not None), max(one for one in outputs if one is not None))
