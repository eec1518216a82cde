"""The scenarios of issue 2: what the router answers, and what a caller of the target is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.loopback_router import TOKEN, Account, Behaviour, LoopbackRouter
from alwrity_checks.model import Evidence, Outcome

if TYPE_CHECKING:
    from alwrity_checks.hf.scenarios.targets import HfTarget, Told

__all__ = ["SCENARIOS", "Scenario", "Seen"]

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
_GOOD: Final = "openai/gpt-oss-120b:groq"
_REQUESTS_ALLOWED: Final = 3
_SECONDS_ALLOWED: Final = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scenario showed."""

    outcome: Outcome
    message: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a target for the sake of one rule."""

    code: str
    """The rule's."""
    title: str
    """What is done, in a few words."""
    play: Callable[[HfTarget, LoopbackRouter], Awaitable[Seen]]
    """Does it, on a router that is used for nothing else."""


_USELESS: Final = Seen(Outcome.UNKNOWN, "it generates nothing even where all is well, so nothing follows")
"""What is seen of a target that shows no fault because it shows nothing."""


async def _works(target: HfTarget, router: LoopbackRouter) -> bool:
    """Return whether a generation succeeds where all is well: the control. What it asked is forgotten."""
    works = _valid((await target.generate(router, _GOOD, SCHEMA)).value)
    router.requests.clear()
    router.calls.clear()
    return works


async def _wrong_base_url(target: HfTarget, router: LoopbackRouter) -> Seen:
    if not await _works(target, router):
        return _USELESS
    told = await target.generate(router, _GOOD, SCHEMA, wrong_path=True)
    named = told.cause == Cause.ROUTE_MISSING
    spent = f"{_requests(router)} and {told.seconds:.1f} s until the caller was told"
    slow = router.hits > _REQUESTS_ALLOWED or told.seconds > _SECONDS_ALLOWED
    outcome = Outcome.REPRODUCED if slow or not named else Outcome.ABSENT
    return Seen(outcome, f"{spent} {'the cause' if named else 'something else'}: {told.error}", _evidence(router, told))


async def _moves(target: HfTarget, router: LoopbackRouter, *, model: str, down: str = "") -> Seen:
    """Ask for a model that cannot be served, or whose provider is `down`, where others would do."""
    if not await _works(target, router):
        return _USELESS
    if down:
        router.behave(Behaviour.SERVER_ERROR, provider=down)
    told = await target.generate(router, model, SCHEMA)
    asked = len({request["model"] for request in (one.payload or {} for one in router.requests) if "model" in request})
    evidence = _evidence(router, told)
    if _valid(told.value):
        return Seen(Outcome.ABSENT, f"another deployment served it, after {_requests(router)}", evidence)
    message = f"{_requests(router)} for {asked} model{'s' * (asked != 1)} in {told.seconds:.1f} s, and no value"
    return Seen(Outcome.REPRODUCED, f"{message}: {told.error}", evidence)


async def _repeated(target: HfTarget, router: LoopbackRouter, *, account: Account | None, cause: Cause) -> Seen:
    """Ask with a token that cannot work."""
    if not await _works(target, router):
        return _USELESS
    if account is None:
        del router.accounts[TOKEN]
    else:
        router.accounts[TOKEN] = account
    told = await target.generate(router, _GOOD, SCHEMA)
    outcome = Outcome.REPRODUCED if router.hits > 1 or told.cause != cause else Outcome.ABSENT
    message = f"{_requests(router)} in {told.seconds:.1f} s, then {told.error}"
    return Seen(outcome, message, _evidence(router, told))


async def _not_data(target: HfTarget, router: LoopbackRouter, *, behaviour: Behaviour) -> Seen:
    """Let every model answer with something that the schema does not allow."""
    if not await _works(target, router):
        return _USELESS
    router.behave(behaviour)
    told = await target.generate(router, _GOOD, SCHEMA)
    evidence = _evidence(router, told)
    if told.error:
        return Seen(Outcome.ABSENT, f"an error, after {_requests(router)}: {told.error}", evidence)
    if _valid(told.value):
        return Seen(Outcome.UNKNOWN, "a valid value, although no model gave one", evidence)
    kind = f"an object of {' and '.join(told.value)}" if isinstance(told.value, dict) else type(told.value).__name__
    return Seen(Outcome.REPRODUCED, f"returned as the result: {kind}", evidence)


def _valid(value: object) -> bool:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(SCHEMA).is_valid(value)


def _requests(router: LoopbackRouter) -> str:
    return f"{router.hits} request{'s' * (router.hits != 1)}"


def _evidence(router: LoopbackRouter, told: Told) -> tuple[Evidence, ...]:
    return (Evidence("requests", str(router.hits)), Evidence("seconds", f"{told.seconds:.1f}"))


_UNPARSEABLE: Final = {
    "prose in place of JSON": Behaviour.PROSE,
    "JSON that was cut": Behaviour.TRUNCATED,
    "an empty answer": Behaviour.EMPTY,
}
_REFUSED: Final = {
    "a model that does not exist": "acme/none:groq",
    "a model that nobody serves": "moonshotai/Kimi-K2-Instruct-0905",
    "a provider that was removed": "openai/gpt-oss-120b:nebius",
    "a model that does not chat": "mistralai/Mistral-7B-Instruct-v0.3:groq",
}
_ACCOUNTS: Final = {
    "a token that was revoked": (None, Cause.TOKEN_INVALID),
    "a token without the permission": (Account(global_permissions=()), Cause.PERMISSION_MISSING),
    "an account without credits": (Account(credits_gone=True), Cause.CREDITS_GONE),
}

SCENARIOS: Final = (
    Scenario("HF090", "the base URL ends in /hf/v1", _wrong_base_url),
    *(Scenario("HF091", title, partial(_moves, model=model)) for title, model in _REFUSED.items()),
    Scenario("HF092", "the first provider answers 500 for good", partial(_moves, model=_GOOD, down="groq")),
    *(
        Scenario("HF093", title, partial(_repeated, account=account, cause=cause))
        for title, (account, cause) in _ACCOUNTS.items()
    ),
    *(Scenario("HF094", title, partial(_not_data, behaviour=one)) for title, one in _UNPARSEABLE.items()),
    Scenario("HF095", "JSON of another shape", partial(_not_data, behaviour=Behaviour.OTHER_JSON)),
)
"""Every scenario, in the order in which they are played."""
