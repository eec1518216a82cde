"""The scenarios of issue 2: what the router answers, and what a caller of the target is told of it.

The standard library must do here: they are played in the interpreter of a checkout as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.loopback_router import TOKEN, Account, Behaviour, LoopbackRouter
from alwrity_checks.hf.scenarios.targets import ApiPath, Function
from alwrity_checks.model import Evidence, Outcome

if TYPE_CHECKING:
    from alwrity_checks.hf.scenarios.targets import HfTarget, Told

__all__ = ["GOOD", "SCENARIOS", "SCHEMA", "Scenario", "Seen", "is_value", "useless"]

Schema: TypeAlias = Mapping[str, Any]

SCHEMA: Final[Schema] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
GOOD: Final = "openai/gpt-oss-120b:groq"
"""A deployment that the router serves."""
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
    function: Function = Function.STRUCTURED
    """What the target is asked for; it is left out of a target that has no such function."""


async def useless(target: HfTarget, router: LoopbackRouter, schema: Schema | None = SCHEMA) -> Seen | None:
    """Return what is seen of a target that shows no fault because it shows nothing; None where a generation succeeds.

    This is the control: nothing is wrong yet. What was asked is forgotten.
    """
    told = await target.generate(router, GOOD, schema)
    if is_value(told.value, schema):
        router.requests.clear()
        router.calls.clear()
        router.missed.clear()
        return None
    what = told.error or f"returned {_kind(told.value)}"
    asked = f"; the router of the experiment has no {router.missed[0]}" if router.missed else ""
    asked = asked if router.requests else "; it asked nothing of the router"
    return Seen(
        Outcome.UNKNOWN,
        f"it generates nothing even where all is well, so nothing follows: {what}{asked}",
        _evidence(router, told),
    )


async def _wrong_base_url(target: HfTarget, router: LoopbackRouter, *, schema: Schema | None) -> Seen:
    if seen := await useless(target, router, schema):
        return seen
    told = await target.generate(router, GOOD, schema, path=ApiPath.WRONG)
    evidence = _evidence(router, told)
    if not router.missed:
        return Seen(Outcome.UNKNOWN, f"it could not be led to {ApiPath.WRONG}: {_requests(router)}", evidence)
    named = told.cause == Cause.ROUTE_MISSING
    spent = f"{_requests(router)} and {told.seconds:.1f} s until the caller was told"
    slow = router.hits > _REQUESTS_ALLOWED or told.seconds > _SECONDS_ALLOWED
    outcome = Outcome.REPRODUCED if slow or not named else Outcome.ABSENT
    return Seen(outcome, f"{spent} {'the cause' if named else 'something else'}: {_told(told)}", evidence)


async def _own_base_url(target: HfTarget, router: LoopbackRouter, *, schema: Schema | None) -> Seen:
    if seen := await useless(target, router, schema):
        return seen
    told = await target.generate(router, GOOD, schema, path=ApiPath.OWN)
    evidence = _evidence(router, told)
    if router.missed:
        message = f"{router.missed[0]} is no route: {_requests(router)} in {told.seconds:.1f} s, then {_told(told)}"
        return Seen(Outcome.REPRODUCED, message, evidence)
    if is_value(told.value, schema):
        return Seen(Outcome.ABSENT, f"{_last_path(router)} was served", evidence)
    return Seen(Outcome.UNKNOWN, f"{_requests(router)} to routes that are right, and no value: {_told(told)}", evidence)


async def _moves(target: HfTarget, router: LoopbackRouter, *, model: str, down: str = "") -> Seen:
    """Ask for a model that cannot be served, or whose provider is `down`, where others would do."""
    if seen := await useless(target, router):
        return seen
    if down:
        router.behave(Behaviour.SERVER_ERROR, provider=down)
    told = await target.generate(router, model, SCHEMA)
    asked = len({request["model"] for request in (one.payload or {} for one in router.requests) if "model" in request})
    evidence = _evidence(router, told)
    if is_value(told.value, SCHEMA):
        return Seen(Outcome.ABSENT, f"another deployment served it, after {_requests(router)}", evidence)
    message = f"{_requests(router)} for {asked} model{'s' * (asked != 1)} in {told.seconds:.1f} s, and no value"
    return Seen(Outcome.REPRODUCED, f"{message}: {_told(told)}", evidence)


async def _repeated(target: HfTarget, router: LoopbackRouter, *, account: Account | None, cause: Cause) -> Seen:
    """Ask with a token that cannot work."""
    if seen := await useless(target, router):
        return seen
    if account is None:
        del router.accounts[TOKEN]
    else:
        router.accounts[TOKEN] = account
    told = await target.generate(router, GOOD, SCHEMA)
    outcome = Outcome.REPRODUCED if router.hits > 1 or told.cause != cause else Outcome.ABSENT
    message = f"{_requests(router)} in {told.seconds:.1f} s, then {_told(told)}"
    return Seen(outcome, message, _evidence(router, told))


async def _not_data(target: HfTarget, router: LoopbackRouter, *, behaviour: Behaviour) -> Seen:
    """Let every model answer with something that the schema does not allow."""
    if seen := await useless(target, router):
        return seen
    router.behave(behaviour)
    told = await target.generate(router, GOOD, SCHEMA)
    evidence = _evidence(router, told)
    if told.unanswered:
        return Seen(Outcome.UNKNOWN, f"nothing was returned, after {_requests(router)}: {told.error}", evidence)
    if told.error:
        return Seen(Outcome.ABSENT, f"an error, after {_requests(router)}: {told.error}", evidence)
    if is_value(told.value, SCHEMA):
        return Seen(Outcome.UNKNOWN, "a valid value, although no model gave one", evidence)
    return Seen(Outcome.REPRODUCED, f"returned as the result: {_kind(told.value)}", evidence)


def is_value(value: object, schema: Schema | None) -> bool:
    """Say whether `value` is what was asked for: an instance of SCHEMA, or text where there is none.

    By hand: the interpreter of a checkout may have no jsonschema, and the one schema there is must do without.
    """
    if schema is None:
        return isinstance(value, str) and bool(value.strip())
    if not isinstance(value, dict) or value.keys() != {"title", "score"} or not isinstance(value["title"], str):
        return False
    score = value["score"]
    # In JSON a number without a fraction is an integer, and True is none.
    return not isinstance(score, bool) and (isinstance(score, int) or (isinstance(score, float) and score.is_integer()))


def _kind(value: object) -> str:
    return f"an object of {' and '.join(map(str, value))}" if isinstance(value, dict) else type(value).__name__


def _told(told: Told) -> str:
    return told.error or f"returned {_kind(told.value)}"


def _requests(router: LoopbackRouter) -> str:
    return f"{router.hits} request{'s' * (router.hits != 1)}"


def _last_path(router: LoopbackRouter) -> str:
    last = router.requests[-1]
    return f"{last.method} {last.path}"


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
    Scenario("HF090", "the base URL ends in /hf/v1", partial(_wrong_base_url, schema=SCHEMA)),
    Scenario("HF090", "text: the base URL ends in /hf/v1", partial(_wrong_base_url, schema=None), Function.TEXT),
    *(Scenario("HF091", title, partial(_moves, model=model)) for title, model in _REFUSED.items()),
    Scenario("HF092", "the first provider answers 500 for good", partial(_moves, model=GOOD, down="groq")),
    *(
        Scenario("HF093", title, partial(_repeated, account=account, cause=cause))
        for title, (account, cause) in _ACCOUNTS.items()
    ),
    *(Scenario("HF094", title, partial(_not_data, behaviour=one)) for title, one in _UNPARSEABLE.items()),
    Scenario("HF095", "JSON of another shape", partial(_not_data, behaviour=Behaviour.OTHER_JSON)),
    Scenario("HF096", "the base URL of its own", partial(_own_base_url, schema=SCHEMA)),
    Scenario("HF096", "text: the base URL of its own", partial(_own_base_url, schema=None), Function.TEXT),
)
"""Every scenario, in the order in which they are played."""
