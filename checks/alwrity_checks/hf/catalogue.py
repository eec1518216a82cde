"""What a server says it serves: the answer of `GET {base}/models`, read defensively.

The router lists each model's providers with prices and flags (https://huggingface.co/docs/inference-providers,
"Hub API"). The flags come from probes that run every six hours: a hint, no proof. Other servers of the same API list
ids alone, so that only `id` is required of an entry.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from alwrity_checks.hf.deployment import Deployment, Policy

__all__ = ["Catalogue", "Offer"]

_LIVE: Final = "live"
_LONGEST_NAME: Final = 200
"""Of a model or a provider, in characters: the Hub's own limit is 96 for `organisation/name`."""
_ALIKE: Final = 0.6
"""From which similarity on an id is worth suggesting (difflib's own default)."""
_COMPARED: Final = 1000
"""Ids that are compared at most, a millisecond for each two: the router lists some hundreds."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider of a model, as advertised. None is "not said"."""

    provider: str
    status: str | None = None
    """`live` or `error`."""
    context_length: int | None = None
    """In tokens."""
    input_price: float | None = None
    """In USD per million tokens."""
    output_price: float | None = None
    """The same."""
    tools: bool | None = None
    structured_output: bool | None = None
    first_token_seconds: float | None = None
    """As the router's own latest probe measured it."""
    throughput: float | None = None
    """In tokens per second; likewise."""

    @property
    def live(self) -> bool:
        """Whether it is said to answer."""
        return self.status == _LIVE


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Models, and who offers them."""

    models: Mapping[str, tuple[Offer, ...]]
    """By id, in the server's order; the offers are empty where the server names none."""
    names_providers: bool
    """Whether the server names providers at all; one that does not serves its models itself."""

    @classmethod
    def read(cls, document: object) -> Catalogue | None:
        """Read the parsed body of `GET /models`; None if it is no list of models. Never raises."""
        entries = document.get("data") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            return None
        models: dict[str, tuple[Offer, ...]] = {}
        names_providers = False
        for entry in entries:
            if isinstance(entry, dict) and (name := _name(entry.get("id"))):
                providers = entry.get("providers")
                names_providers |= isinstance(providers, list)
                models.setdefault(name, _offers(providers))
        if entries and not models:
            return None
        return cls(MappingProxyType(models), names_providers)

    def offers(self, model: str) -> tuple[Offer, ...]:
        """Return who offers `model`; nobody if it is not listed."""
        return self.models.get(model, ())

    def live(self, model: str) -> tuple[Offer, ...]:
        """Return who offers `model` and is said to answer."""
        return tuple(offer for offer in self.offers(model) if offer.live)

    def offer(self, deployment: Deployment) -> Offer | None:
        """Return what is advertised of `deployment`; None where the catalogue does not tell.

        Under a policy it is the live offer that the policy would choose by the advertised numbers. `:preferred` is
        chosen by the account's own settings, so that it is known only where there is nothing to choose.
        """
        if deployment.provider is not None:
            return next((one for one in self.offers(deployment.model) if one.provider == deployment.provider), None)
        live = self.live(deployment.model)
        if len(live) == 1:
            return live[0]
        if deployment.policy is Policy.FASTEST:
            return _best(live, lambda offer: None if offer.throughput is None else -offer.throughput)
        if deployment.policy is Policy.CHEAPEST:
            return _best(live, lambda offer: offer.output_price)
        return None

    def suggestions(self, model: str, most: int = 3) -> tuple[str, ...]:
        """Return the listed ids that may have been meant, the likeliest first, without `model` itself.

        First the same id in another case, then the same name of another organisation (or of none), then similar ids.
        """
        wanted = model.lower()
        if not wanted or len(wanted) > _LONGEST_NAME:
            return ()
        listed: dict[str, list[str]] = {}
        for one in self.models:
            if one != model:
                listed.setdefault(one.lower(), []).append(one)
        name = _bare(wanted)
        keys = [wanted, *(one for one in listed if _bare(one) == name)]
        keys += difflib.get_close_matches(wanted, list(listed)[:_COMPARED], n=most, cutoff=_ALIKE)
        found = [one for key in dict.fromkeys(keys) for one in listed.get(key, ())]
        return tuple(found[:most])


def _bare(model: str) -> str:
    return model.rpartition("/")[2]


def _best(offers: Iterable[Offer], rank: Callable[[Offer], float | None]) -> Offer | None:
    """Return the offer of the lowest rank among those that have one."""
    ranked = [(value, offer) for offer in offers if (value := rank(offer)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _offers(providers: object) -> tuple[Offer, ...]:
    if not isinstance(providers, list):
        return ()
    found: dict[str, Offer] = {}
    for entry in providers:
        if isinstance(entry, dict) and (provider := _name(entry.get("provider"))):
            found.setdefault(provider, _offer(provider, entry))
    return tuple(found.values())


def _offer(provider: str, entry: Mapping[str, Any]) -> Offer:
    pricing = entry.get("pricing")
    prices: Mapping[str, Any] = pricing if isinstance(pricing, dict) else {}
    context_length = _amount(entry.get("context_length"))
    milliseconds = _amount(entry.get("first_token_latency_ms"))
    return Offer(
        provider,
        status=_name(entry.get("status")),
        context_length=None if context_length is None else int(context_length),
        input_price=_amount(prices.get("input")),
        output_price=_amount(prices.get("output")),
        tools=_flag(entry.get("supports_tools")),
        structured_output=_flag(entry.get("supports_structured_output")),
        first_token_seconds=None if milliseconds is None else milliseconds / 1000,
        throughput=_amount(entry.get("throughput")),
    )


def _name(value: object) -> str | None:
    """Return `value` if it can be printed in a table, and a request can name it."""
    usable = isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and " " not in value
    return value if isinstance(value, str) and usable else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _amount(value: object) -> float | None:
    """Return a number that can be an amount: finite, not negative, and no boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None
