"""Whose the token is, whether it may call a model, and what credit is left.

`GET {hub}/api/whoami-v2` says whose it is, and of a fine-grained token what it may do; classic tokens carry no list.
`GET {hub}/api/settings/billing/usage-v2` is undocumented, so that whatever is not understood is unknown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.classify import shown
from alwrity_checks.hf.fetching import fetch
from alwrity_checks.hf.hub import ENDPOINT_NAME, carries_safely, hub_url
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from alwrity_checks.hf.router import Router
    from alwrity_checks.redaction import Secret

__all__ = ["PERMISSION", "Account", "examine_account", "forget_accounts"]

PERMISSION: Final = "inference.serverless.write"
"""What a fine-grained token needs to call a model."""

_CLASSIC_ROLES: Final = frozenset({"read", "write"})
_LARGEST_ANSWER: Final = 1 << 20
_NANO: Final = 1e9
_DEFINITE: Final = frozenset({HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Answers about the token itself; the others pass."""
_REMEMBERED: Final = 64
_whoami: dict[tuple[str, Secret], Answer] = {}
"""Hub and token -> what the Hub said of it, for the life of the process: its rate limit is strict on purpose."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token belongs to."""

    name: str
    kind: str
    """`user`, `org` or `app`."""
    role: str
    """`read`, `write` or `fineGrained`; empty where the Hub does not say."""
    may_infer: bool | None
    """Whether it may call a model on behalf of who pays; None where the Hub does not say."""
    remaining_usd: float | None
    """What is left of the included credits and of the account's own limit; never below zero."""
    period_end: datetime | None
    """When the included credits come back."""
    orgs: tuple[str, ...]
    billing: str
    """Why `remaining_usd` is unknown; empty where it is known."""
    can_pay: bool | None = None
    """Whether calls go on once the included credits are used up."""

    @property
    def credits_gone(self) -> bool | None:
        """Whether calls are answered 402; None where that does not follow from what is known."""
        if self.remaining_usd is None:
            return None
        if self.remaining_usd > 0:
            return False
        return True if self.can_pay is False else None


async def examine_account(
    router: Router,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 - turned into an answer by what it is passed to
    hub: str | None = None,
) -> Account | Answer:
    """Ask the Hub whose the token of `router` is; return its answer if that names nobody.

    `hub` is the Hub's URL; None stands for that of `HF_ENDPOINT`, else the one that belongs to the router. `timeout` is
    in seconds, for each of the two requests. Who the token is is asked once in a process; what credit is left, each
    time. Raises ConfigurationError without a token.
    """
    if not router.token:
        raise ConfigurationError("there is no token whose account could be examined", "set HF_TOKEN")
    hub = hub_url(router.base_url, Settings.load().text(ENDPOINT_NAME)) if hub is None else hub.rstrip("/")
    if not carries_safely(hub):
        detail = f"the token is not sent to {shown(hub)}: it would travel in the clear, or nowhere"
        return Answer(transport=TransportFault.OTHER, detail=detail)
    answer = await _who(hub, router.token, timeout)
    account = _account(_object(answer), router.bill_to)
    if account is None:
        return answer
    if router.bill_to:
        return replace(account, billing=f"{shown(router.bill_to)} pays, and the credits of others are not shown")
    return await _with_credits(account, hub, router.token, timeout)


def forget_accounts() -> None:
    """Forget whose tokens are: after one's permissions were changed."""
    _whoami.clear()


async def _who(hub: str, token: Secret, timeout: float) -> Answer:  # noqa: ASYNC109 - the same
    known = _whoami.get((hub, token))
    if known is not None:
        return known
    answer = await fetch(f"{hub}/api/whoami-v2", token=token, timeout=timeout, largest=_LARGEST_ANSWER)
    if answer.status in _DEFINITE:
        while len(_whoami) >= _REMEMBERED:
            _whoami.pop(next(iter(_whoami)), None)
        _whoami[hub, token] = answer
    return answer


async def _with_credits(account: Account, hub: str, token: Secret, timeout: float) -> Account:  # noqa: ASYNC109 - the same
    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = f"startDate={start.timestamp():.0f}&endDate={now.timestamp():.0f}"
    url = f"{hub}/api/settings/billing/usage-v2?{period}"
    answer = await fetch(url, token=token, timeout=timeout, largest=_LARGEST_ANSWER)
    if answer.status is None:
        return replace(account, billing=f"there was no answer about the billing: {shown(answer.detail)}")
    if answer.status == HTTPStatus.FORBIDDEN:
        return replace(account, billing="the token may not read the billing (it lacks user.billing.read)")
    usage = _at(_object(answer), "usage", "inferenceProviders")
    used, included = (_number(usage.get(name)) for name in ("usedNanoUsd", "includedNanoUsd"))
    if answer.status != HTTPStatus.OK or used is None or included is None:
        return replace(account, billing=f"HTTP {answer.status}, and nothing that tells what is left")
    limit = _number(usage.get("limitNanoUsd")) or 0.0
    remaining = max(0.0, included + limit - used) / _NANO
    return replace(account, remaining_usd=remaining, period_end=_moment(usage.get("periodEnd")) or account.period_end)


def _account(document: Mapping[str, Any], bill_to: str | None) -> Account | None:
    """Read the body of `whoami-v2`; None if it names nobody."""
    name, kind = document.get("name"), document.get("type")
    if not isinstance(name, str) or not name or not isinstance(kind, str):
        return None
    access = _at(document, "auth", "accessToken")
    role = access.get("role")
    role = role if isinstance(role, str) else ""
    orgs = (one.get("name") for one in _objects(document.get("orgs")))
    can_pay = document.get("canPay")
    return Account(
        shown(name),
        shown(kind),
        shown(role),
        _may_infer(role, access.get("fineGrained"), bill_to or name),
        remaining_usd=None,
        period_end=_moment(document.get("periodEnd")),
        orgs=tuple(shown(one) for one in orgs if isinstance(one, str)),
        billing="",
        can_pay=can_pay if isinstance(can_pay, bool) else None,
    )


def _may_infer(role: str, granted: object, payer: str) -> bool | None:
    """Say whether the token may call models on behalf of `payer`.

    The permission stands in the list for everything, or in that of one user or organisation.
    """
    if role in _CLASSIC_ROLES:
        return True
    if not isinstance(granted, dict):
        return None
    if _has_permission(granted.get("global")):
        return True
    scoped = [one for one in _objects(granted.get("scoped")) if _has_permission(one.get("permissions"))]
    entities = [_at(one, "entity") for one in scoped]
    if any(payer in (entity.get("name"), entity.get("_id")) for entity in entities):
        return True
    return None if scoped else False


def _has_permission(granted: object) -> bool:
    return isinstance(granted, list) and PERMISSION in granted


def _object(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object of a successful answer; an empty one where there is none."""
    if answer.status != HTTPStatus.OK:
        return {}
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _at(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the object below `names`; an empty one where there is none."""
    for name in names:
        found = document.get(name)
        document = found if isinstance(found, dict) else {}
    return document


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _moment(value: object) -> datetime | None:
    """Read an ISO 8601 time, or seconds since the epoch."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        seconds = _number(value)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
