"""Whether a router stands behind a base URL, and if not, which base URL has one.

The question is `GET {base}/models`, without a token: the router's catalogue needs none. A list of models answers it. A
missing route answers it only together with more: servers that chat need not list their models.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.catalogue import Catalogue
from alwrity_checks.hf.causes import Action, Cause, Classification, Permanence, Scope
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.fetching import fetch
from alwrity_checks.hf.hub import carries_safely, origin

if TYPE_CHECKING:
    from alwrity_checks.hf.router import Router
    from alwrity_checks.redaction import Secret

__all__ = ["Endpoint", "examine_endpoint"]

_MOST_REQUESTS: Final = 3
_BODY_KEPT: Final = 1 << 16
_PAUSE: Final = 0.25
"""Seconds before the one repetition after a passing fault."""
_PATIENCE: Final = 1.0
"""Seconds that a server may ask to wait before it."""
_NEEDS_TOKEN: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_UNREACHED: Final = frozenset(
    {TransportFault.DNS, TransportFault.TLS, TransportFault.REFUSED, TransportFault.RESET, TransportFault.TIMEOUT}
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What was found behind a base URL."""

    base_url: str
    answer: Answer
    """To `GET {base_url}/models`."""
    catalogue: Catalogue | None
    fault: Classification | None
    """None where models are listed. A fault of permanence `unknown` proves nothing: a completion can still succeed."""
    right: str | None
    """Another base URL, seen to list models just now."""
    requests: int
    """At most 3."""

    @property
    def unusable(self) -> bool:
        """Whether nothing more is to be asked of this base URL: it is wrong, or cannot be reached just now."""
        return self.fault is not None and self.fault.action is Action.STOP_ALL


async def examine_endpoint(router: Router, *, timeout: float = 5.0) -> Endpoint:  # noqa: ASYNC109 - bounds what is asked
    """Ask the base URL of `router` for its models, and if there are none, the base URL that was probably meant.

    `timeout` is in seconds, for all requests together. The token is shown only to the base URL itself, once that has
    refused to list its models without one. Never raises for what the network does.
    """
    examination = _Examination(time.monotonic() + timeout)
    answer, catalogue = await examination.first(router)
    if catalogue is not None:
        return Endpoint(router.base_url, answer, catalogue, None, None, examination.requests)
    right = None
    for candidate in _candidates(router, answer):
        if examination.goes_on and (await examination.models_of(candidate))[1] is not None:
            right = candidate
            break
    return Endpoint(router.base_url, answer, None, _fault(router, answer, right), right, examination.requests)


class _Examination:
    """The requests of one examination, and the time that is left for them."""

    def __init__(self, deadline: float) -> None:
        self.requests = 0
        self._deadline = deadline

    @property
    def goes_on(self) -> bool:
        """Whether another request is allowed."""
        return self.requests < _MOST_REQUESTS and self._left > 0

    async def first(self, router: Router) -> tuple[Answer, Catalogue | None]:
        """Ask the base URL itself: once more after a passing fault, and with the token where one is wanted."""
        answer, catalogue = await self.models_of(router.base_url)
        found = classify(answer)
        wait = _PAUSE if found.retry_after is None else found.retry_after
        passes = found.permanence is Permanence.TRANSIENT and found.cause is not Cause.TIMED_OUT
        if passes and wait <= min(_PATIENCE, self._left / 2):
            await asyncio.sleep(wait)
            answer, catalogue = await self.models_of(router.base_url)
        if answer.status in _NEEDS_TOKEN and router.token and carries_safely(router.base_url) and self.goes_on:
            answer, catalogue = await self.models_of(router.base_url, router.token)
        return answer, catalogue

    async def models_of(self, base_url: str, token: Secret | None = None) -> tuple[Answer, Catalogue | None]:
        """Return the answer, its body cut to 64 KiB, and the catalogue in it."""
        self.requests += 1
        answer = await fetch(f"{base_url}/models", token=token, timeout=self._left)
        return replace(answer, body=answer.body[:_BODY_KEPT]), _catalogue(answer)

    @property
    def _left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)


def _catalogue(answer: Answer) -> Catalogue | None:
    if answer.status != HTTPStatus.OK:
        return None
    try:
        return Catalogue.read(json.loads(answer.body))
    except (ValueError, RecursionError):
        return None


def _candidates(router: Router, answer: Answer) -> Iterator[str]:
    """Yield the base URLs that may have been meant, the likeliest first."""
    if classify(answer).permanence is Permanence.TRANSIENT and not router.problems:
        return
    own = origin(router.base_url)
    found = [problem.right for problem in router.problems[:1]]
    found += [f"{own}/v1"] if own else []
    for candidate in dict.fromkeys(found):
        if candidate == router.base_url or (answer.transport in _UNREACHED and origin(candidate) == own):
            continue
        yield candidate


def _fault(router: Router, answer: Answer, right: str | None) -> Classification:
    found = classify(answer)
    if found.action is Action.USE:
        found = classification(Cause.NOT_RECOGNISED, f"HTTP {answer.status}, and no list of models")
    if right is not None:
        found = replace(found, message=f"{found.message}; {right} lists models")
    problem = next(iter(router.problems), None)
    # What only looks wrong is wrong once another base URL is seen to work.
    if problem is not None and (problem.fatal or right is not None):
        certain = found if found.scope is Scope.ENDPOINT else classification(Cause.ROUTE_MISSING, "")
        message = f"{problem.message}: {found.message}"
        return replace(certain, message=message, permanence=Permanence.PERMANENT)
    if right is not None:
        # A gateway may chat here and list its models there.
        return replace(_unsettled(found.message), cause=Cause.ROUTE_MISSING)
    if found.scope is Scope.ENDPOINT and _is_certain(answer, found):
        return found
    if found.permanence is Permanence.TRANSIENT:
        return replace(found, scope=Scope.ENDPOINT)
    return _unsettled(found.message)


def _is_certain(answer: Answer, found: Classification) -> bool:
    """Say whether nothing can work there: what is true of one path need not be true of another."""
    if found.cause is Cause.NOT_A_ROUTER:
        return answer.status == HTTPStatus.OK
    return found.cause is not Cause.ROUTE_MISSING


def _unsettled(message: str) -> Classification:
    found = classification(Cause.NOT_RECOGNISED, f"{message}; whether models answer there, only a completion tells")
    return replace(found, scope=Scope.ENDPOINT)
