"""A Hugging Face router on this machine: its routes, its catalogue and its words, over real HTTP.

    with LoopbackRouter() as router:  # router.base_url ends in /v1; router.token works
        router.serve("acme/tiny", "groq", "novita")  # a new model; CATALOGUE is served anyway
        router.behave(Behaviour.PROSE, model="acme/tiny", mode=Mode.JSON_SCHEMA)  # the most specific rule wins
        router.behave(Behaviour.RATE_LIMITED, Behaviour.FOLLOWS, provider="groq")  # in turn; the last one stays
        router.calls[-1]  # what was asked: model, provider, mode, behaviour

`router.everywhere` answers every path alike (a retired host, a captive portal); `router.accounts` holds the tokens.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs

from alwrity_checks.hf.deployment import PROVIDERS, Policy
from alwrity_checks.hf.loopback_account import TOKEN, Account
from alwrity_checks.hf.loopback_catalogue import (
    CATALOGUE,
    NOT_CHAT,
    NOT_ENABLED,
    listed,
    partner_mapping,
    provider_mapping,
    served,
)
from alwrity_checks.hf.loopback_content import Json, completion, mode_of
from alwrity_checks.hf.loopback_replies import DELIVERIES, Behaviour, error_reply
from alwrity_checks.loopback_http import HttpServer, Reply, Request

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Mode

__all__ = ["CATALOGUE", "TOKEN", "Account", "Behaviour", "Call", "LoopbackRouter", "Reply"]

_POLICIES: Final = frozenset(Policy)


@dataclass(frozen=True, slots=True)
class Call:
    """A chat completion that was asked for."""

    model: str
    """Without a suffix."""
    provider: str
    """Who was to serve it; empty if nobody could."""
    mode: Mode
    stream: bool
    behaviour: Behaviour
    payload: Mapping[str, Any]
    bill_to: str = ""
    """The header `X-HF-Bill-To`."""


Chooser = Callable[[Call], Behaviour]
"""Decides on each call by itself: a random fault, for example. The call's own behaviour is FOLLOWS."""


@dataclass(slots=True)
class _Turns:
    choices: list[Behaviour | Chooser] = field(default_factory=list)

    def next(self, call: Call) -> Behaviour:
        chosen = self.choices.pop(0) if len(self.choices) > 1 else self.choices[0]
        return chosen if isinstance(chosen, Behaviour) else chosen(call)


class LoopbackRouter:
    """The router; a context manager. Every public attribute may be changed while it serves."""

    def __init__(self, *, latency: float = 0.0, port: int = 0) -> None:
        """`latency` is in seconds, before the first byte of each chat completion; port 0 is any free one."""
        self._port = port
        self.latency = latency
        self.pause = 0.0
        """Seconds between the chunks of a stream."""
        self.retry_after = "1"
        """What RATE_LIMITED_FOR asks for: seconds, or an HTTP date."""
        self.catalogue: dict[str, dict[str, dict[str, Any]]] = {
            model: {name: dict(fields) for name, fields in providers.items()} for model, providers in CATALOGUE.items()
        }
        self.accounts: dict[str, Account] = {TOKEN: Account()}
        self.everywhere: Behaviour | None = None
        """What every path answers, where it is not None."""
        self.requests: list[Request] = []
        """Every request, in the order of arrival."""
        self.missed: list[str] = []
        """Method and path of every request that led to no route, in the order of arrival."""
        self.calls: list[Call] = []
        """Every chat completion that got past the token, in the order of arrival."""
        self.most_at_once: Counter[str] = Counter()
        """Provider -> the most calls that it had at the same time; the key "" counts those of all providers."""
        self._at_once: Counter[str] = Counter()
        self._turns: dict[tuple[str | None, str | None, Mode | None], _Turns] = {}
        self._numbers = itertools.count(1)
        self._server = HttpServer(self._handle, "loopback-router")

    def __enter__(self) -> Self:
        """Start. Raises OSError where this machine does not hand out the port."""
        self._server.start(self._port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop at once, whatever is under way."""
        self._server.stop()

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:<port>`; the Hub's API is served here too."""
        return self._server.origin

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants."""
        return f"{self.origin}/v1"

    @property
    def wrong_base_url(self) -> str:
        """The one of the catalogue's issue 2."""
        return f"{self.origin}/hf/v1"

    @property
    def token(self) -> str:
        """A token that may do everything."""
        return TOKEN

    @property
    def hits(self) -> int:
        """How many requests have arrived."""
        return len(self.requests)

    def serve(self, model: str, *providers: str, **entry: Json) -> None:
        """Add `model` to the catalogue; `entry` are the arguments of `served`, and further fields."""
        found = self.catalogue.setdefault(model, {})
        found.update({provider: served(**entry) for provider in providers})

    def behave(
        self,
        *behaviours: Behaviour | Chooser,
        model: str | None = None,
        provider: str | None = None,
        mode: Mode | None = None,
    ) -> None:
        """Let the calls that match answer with `behaviours` in turn; the last one stays.

        None matches all. Of several rules the one with the most specific model, then provider, then mode counts.
        """
        self._turns[model, provider, mode] = _Turns(list(behaviours))

    @asynccontextmanager
    async def _handle(self, request: Request) -> AsyncIterator[Reply]:
        self.requests.append(request)
        served = ""
        try:
            if self.everywhere is not None:
                reply = self._canned(self.everywhere, model="", provider="")
            elif request.method == "POST" and request.path == "/v1/chat/completions":
                reply, served = self._chat(request)
                if served:
                    self._enter(served)
                await asyncio.sleep(self.latency)
            else:
                reply = self._get(request) or self._no_route(request)
            number = {"x-request-id": f"Root=1-{next(self._numbers):08x}"}
            yield replace(reply, headers={**number, **reply.headers})
        finally:
            if served:
                self._at_once.subtract(("", served))

    def _enter(self, provider: str) -> None:
        self._at_once.update(("", provider))
        self.most_at_once |= self._at_once

    def _chat(self, request: Request) -> tuple[Reply, str]:
        """Return the answer, and who is busy with it."""
        account = self._account(request)
        if account is None:
            return self._canned(Behaviour.TOKEN_INVALID), ""
        payload = request.payload
        if payload is None or not isinstance(payload.get("model"), str):
            return self._canned(Behaviour.PARAMETER_INVALID), ""
        model, provider, behaviour = self._route(payload["model"])
        if not account.may_infer:
            behaviour = Behaviour.PERMISSION_MISSING
        elif account.credits_gone:
            behaviour = Behaviour.CREDITS_GONE
        bill_to = request.headers.get("x-hf-bill-to", "")
        call = Call(model, provider, mode_of(payload), bool(payload.get("stream")), behaviour, payload, bill_to)
        if behaviour is Behaviour.FOLLOWS:
            call = replace(call, behaviour=self._choose(call))
        self.calls.append(call)
        suffix = provider or payload["model"].rpartition(":")[2]
        reply = self._canned(call.behaviour, model=model, provider=suffix, user=account.name, payload=payload)
        if not provider:
            return reply, ""
        who = {"x-inference-provider": provider, "x-router-route": provider, "x-router-model": model}
        return replace(reply, headers={**who, **reply.headers}), provider

    def _route(self, asked: str) -> tuple[str, str, Behaviour]:
        """Return the model, who serves it, and FOLLOWS or why nobody does."""
        model, _, suffix = asked.rpartition(":") if ":" in asked else (asked, "", "")
        live = [name for name, entry in self.catalogue.get(model, {}).items() if entry.get("status") == "live"]
        pinned = suffix and suffix not in _POLICIES
        known = PROVIDERS.union(*self.catalogue.values())
        if pinned and suffix not in known:
            return model, "", Behaviour.SUFFIX_INVALID
        if model in NOT_CHAT:
            return model, "", Behaviour.NOT_A_CHAT_MODEL
        if model not in self.catalogue and model not in NOT_ENABLED:
            return model, "", Behaviour.MODEL_NOT_FOUND
        if pinned:
            return (model, suffix, Behaviour.FOLLOWS) if suffix in live else (model, "", Behaviour.DEPLOYMENT_MISSING)
        return (model, live[0], Behaviour.FOLLOWS) if live else (model, "", Behaviour.MODEL_NOT_SUPPORTED)

    def _choose(self, call: Call) -> Behaviour:
        for key in itertools.product((call.model, None), (call.provider, None), (call.mode, None)):
            if key in self._turns:
                return self._turns[key].next(call)
        return Behaviour.FOLLOWS

    def _canned(
        self,
        behaviour: Behaviour,
        *,
        model: str = "",
        provider: str = "",
        user: str = "alice",
        payload: Mapping[str, Any] | None = None,
    ) -> Reply:
        payload = payload or {}
        streamed_error = behaviour is Behaviour.ERROR_IN_200 and payload.get("stream")
        error = error_reply(behaviour, model=model, provider=provider, user=user, retry_after=self.retry_after)
        if error is not None and not streamed_error:
            return error
        reply = completion(behaviour, payload, model=model, pause=self.pause)
        return replace(reply, delivery=DELIVERIES[behaviour]) if behaviour in DELIVERIES else reply

    def _account(self, request: Request) -> Account | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self.accounts.get(token.strip()) if scheme.lower() == "bearer" else None

    def _no_route(self, request: Request) -> Reply:
        self.missed.append(f"{request.method} {request.path}")
        return self._canned(Behaviour.ROUTE_MISSING)

    def _get(self, request: Request) -> Reply | None:
        """Return the answer to everything but a chat completion; None where there is no such route."""
        if request.method != "GET":
            return None
        match request.path.strip("/").split("/"):
            case ["v1", "models"]:
                return _json({"object": "list", "data": [listed(*one) for one in self.catalogue.items()]})
            case ["v1", "models", *parts] if (model := "/".join(parts)) in self.catalogue:
                return _json(listed(model, self.catalogue[model]))
            case ["api", "whoami-v2"]:
                return _json(account.whoami()) if (account := self._account(request)) else _UNKNOWN_TOKEN
            case ["api", "settings", "billing", "usage-v2"]:
                return self._billing(self._account(request))
            case ["api", "partners", provider, "models"]:
                return _json(
                    partner_mapping(self.catalogue, provider, *parse_qs(request.query).get("status", ["live"])[:1])
                )
            case ["api", "models", *parts]:
                return self._mapping("/".join(parts))
        return None

    def _mapping(self, model: str) -> Reply:
        if model not in {*self.catalogue, *NOT_CHAT, *NOT_ENABLED}:
            return _json({"error": "Invalid username or password."}, 401)
        return _json(provider_mapping(model, self.catalogue.get(model, {})))

    @staticmethod
    def _billing(account: Account | None) -> Reply:
        if account is None:
            return _UNKNOWN_TOKEN
        return _json(account.usage()) if account.reads_billing else _json({"error": "Forbidden"}, 403)


def _json(document: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode())


_UNKNOWN_TOKEN: Final = _json({"error": "Invalid credentials in Authorization header"}, 401)
