"""How a checkout decodes tokens: what it lets pass unverified, how long after expiry, and without which claims."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.defaults import UNKNOWN
from alwrity_checks.trees.flow import keyword
from alwrity_checks.trees.tree import Function, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["LONGEST_LEEWAY", "is_unverified", "token_traces", "unverified_decodes"]

LONGEST_LEEWAY: Final = 60
"""Seconds: what a clock may differ by. Clerk's own SDKs allow 5; a session token lives for 60."""

_DECODES: Final = re.compile(r"(?:.*\.)?jwt\.decode(?:_complete)?")
_UNVERIFIED: Final = re.compile(r"(?:.*\.)?(?:get_unverified_claims|decode_unverified|decode_without_verification)")
_PUBLIC_KEY: Final = re.compile(r"(?:RS|ES|PS)(?:256|384|512)|EdDSA")
_JUDGES: Final = re.compile(r"verif|(?<!o)auth|clerk|(?:current|optional|get)_user|validate|check_token")
"""Modules, classes and functions of such names decide who somebody is; others look into a token for another reason."""
_IDENTITY: Final = frozenset({"sub", "user_id", "uid", "sid", "email"})
_UNITS: Final = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def token_traces(reading: Reading) -> Iterator[Trace]:
    """Yield what is wrong with the calls that decode tokens."""
    unverified = unverified_decodes(reading)
    yield from _accepted_unverified(reading, unverified)
    for call in _decodes(reading):
        if call not in unverified:
            yield from _leeway(reading, call, unverified)
            yield from _unlimited(reading, call)


def unverified_decodes(reading: Reading) -> Sequence[ast.Call]:
    """Return the calls that read a token's claims without looking at its signature."""
    return [
        call
        for call in reading.tree.all(ast.Call)
        if _UNVERIFIED.fullmatch(reading.tree.name(call.func))
        or (_DECODES.fullmatch(reading.tree.name(call.func)) and is_unverified(reading, call))
    ]


def is_unverified(reading: Reading, call: ast.Call) -> bool:
    """Say whether a call of `jwt.decode` is told not to verify the signature."""
    switch = keyword(call, "verify")
    if switch is not None:
        return isinstance(switch.value, ast.Constant) and switch.value.value is False
    return any(
        isinstance(value, ast.Constant) and value.value is False
        for value in _options(reading, call, "verify_signature")
    )


def _decodes(reading: Reading) -> Iterator[ast.Call]:
    for call in reading.tree.all(ast.Call):
        if _DECODES.fullmatch(reading.tree.name(call.func)):
            yield call


def _options(reading: Reading, call: ast.Call, name: str) -> Iterator[ast.expr]:
    given = keyword(call, "options")
    for origin in reading.flow.origins(given.value) if given is not None else ():
        if isinstance(origin, ast.Dict):
            for key, value in zip(origin.keys, origin.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == name:
                    yield value


def _accepted_unverified(reading: Reading, unverified: Sequence[ast.Call]) -> Iterator[Trace]:
    """Say of each unverified decode whether somebody can be let in by it, and whether that needs a setting."""
    stem = reading.file.path.rpartition("/")[2]
    for call in unverified:
        function = reading.tree.function(call)
        if not isinstance(function, Function) or not _JUDGES.search(f"{stem} {reading.tree.place(call)}".lower()):
            continue
        for returned in reading.flow.returned(function):
            if returned.value is not None and _is_identity(reading, returned.value, call):
                yield _acceptance(reading, call, returned)
                break


def _acceptance(reading: Reading, call: ast.Call, returned: ast.Return) -> Trace:
    guards = list(_guards(reading, returned, call))
    barriers = list(_barriers(reading, returned, guards))
    evidence = [
        ("returned", line(returned)),
        *((f"guard {text_of(guard)}", _meaning(reading, guard)) for guard in (*guards, *barriers)),
    ]
    told = " and ".join(text_of(guard) for guard in guards)
    if not barriers and all(_holds(reading.defaults.value(guard)) for guard in guards):
        when = f" as long as {told}, which holds where no variable is set" if guards else ""
        message = f"a token whose signature nobody looked at is accepted{when}"
        return reading.trace("AUTH001", call, message, *evidence)
    when = f" if {told}" if guards else f" unless stopped by {text_of(barriers[0])}"
    return reading.trace("AUTH100", call, f"a token whose signature nobody looked at is accepted{when}", *evidence)


def _holds(value: object) -> bool:
    return value is not UNKNOWN and bool(value)


def _is_identity(reading: Reading, value: ast.expr, call: ast.Call) -> bool:
    """Say whether a returned value holds the claims of this decode, or of them who somebody is.

    Where one name holds a verified and an unverified result in turn, the decode that stands nearest above counts.
    """
    origins = reading.flow.origins(value)
    if call not in origins:
        return False
    function = reading.tree.function(call)
    above = [
        one
        for one in origins
        if isinstance(one, ast.Call)
        and _DECODES.fullmatch(reading.tree.name(one.func))
        and reading.tree.function(one) is function
        and one.lineno <= value.lineno
    ]
    if above and max(above, key=lambda one: one.lineno) is not call:
        return False
    whole = value is call or any(one is call for one in reading.flow.parts(value))
    return whole or any(_claim(one) in _IDENTITY for one in origins)


def _claim(expression: ast.expr) -> str:
    """Return the claim that an expression reads; empty if it reads none."""
    match expression:
        case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=str() as name), *_]):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def _guards(reading: Reading, returned: ast.Return, call: ast.Call) -> Iterator[ast.expr]:
    """Yield the conditions between the decode and the return that the token itself does not decide."""
    holders = list(reading.tree.ancestors(call))
    below: ast.AST = returned
    for above in reading.tree.ancestors(returned):
        if above in holders:
            return
        if isinstance(above, ast.If) and below in above.body:
            tests = above.test.values if isinstance(above.test, ast.BoolOp) else [above.test]
            yield from (test for test in tests if call not in reading.flow.origins(test))
        below = above


def _barriers(reading: Reading, returned: ast.Return, guards: Sequence[ast.expr]) -> Iterator[ast.expr]:
    """Yield the other conditions that keep control from the return where no switch is set."""
    below: ast.AST = returned
    for above in reading.tree.ancestors(returned):
        decides = isinstance(above, ast.If) and below in above.body and not set(ast.walk(above.test)) & set(guards)
        if decides and isinstance(above, ast.If) and reading.defaults.value(above.test) is False:
            yield above.test
        body = next((block for block in _blocks(above) if below in block), [])
        for earlier in body[: body.index(below)] if below in body else []:
            leaves = isinstance(earlier, ast.If) and isinstance(earlier.body[-1], ast.Return | ast.Raise)
            if leaves and isinstance(earlier, ast.If) and reading.defaults.value(earlier.test) is True:
                yield earlier.test
        if isinstance(above, Function):
            return
        below = above


def _blocks(node: ast.AST) -> Iterator[list[ast.AST]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _meaning(reading: Reading, guard: ast.expr) -> str:
    """Say what a guard is by default, and where that is written."""
    value = reading.defaults.value(guard)
    inner = guard.operand if isinstance(guard, ast.UnaryOp) else guard
    written = [one.value for one in reading.flow.bindings(inner)]
    places = ", ".join(f"{text_of(one)} ({line(one)})" for one in written[:4])
    default = "cannot be told" if value is UNKNOWN else str(bool(value)).lower()
    return f"{default} without any setting" + (f": {places}" if places else "")


def _leeway(reading: Reading, call: ast.Call, unverified: Sequence[ast.Call]) -> Iterator[Trace]:
    given = keyword(call, "leeway")
    seconds = _seconds(reading, given.value) if given is not None else 0.0
    if given is None or seconds <= LONGEST_LEEWAY:
        return
    idle = [one for one in unverified if (other := keyword(one, "leeway")) and _seconds(reading, other.value)]
    evidence = [("also, without effect, on unverified decodes", ", ".join(line(one) for one in idle))] if idle else []
    message = f"a token is accepted for {seconds:g} s after it has expired"
    yield reading.trace("AUTH008", given, message, *evidence)


def _seconds(reading: Reading, value: ast.expr) -> float:
    for origin in reading.flow.origins(value):
        match origin:
            case ast.Constant(value=int() | float() as seconds):
                return float(seconds)
            case ast.Call() if reading.tree.name(origin.func).endswith("timedelta"):
                return sum(
                    _UNITS.get(one.arg or "", 0) * one.value.value
                    for one in origin.keywords
                    if isinstance(one.value, ast.Constant) and isinstance(one.value.value, int | float)
                )
    return 0.0


def _unlimited(reading: Reading, call: ast.Call) -> Iterator[Trace]:
    """Say which claims that limit a session token nobody looks at, neither the library nor the code behind it."""
    if not _is_of_session(reading, call):
        return
    read = {_claim(one) for one in (*reading.tree.all(ast.Call), *reading.tree.all(ast.Subscript))}
    required = {
        one.value
        for value in _options(reading, call, "require")
        for one in reading.flow.origins(value)
        if isinstance(one, ast.Constant)
    }
    missing = []
    if keyword(call, "issuer") is None and not _compares(reading, "iss"):
        missing.append("issuer (iss)")
    if keyword(call, "audience") is None and "azp" not in read:
        missing.append("authorised party (azp)")
    if "exp" not in required and not _compares(reading, "exp"):
        missing.append("presence of an expiry (exp)")
    if "sts" not in read:
        missing.append("session state (sts)")
    if missing and missing != ["session state (sts)"]:
        told = ", ".join(missing)
        yield reading.trace("AUTH009", call, f"a token is accepted without a look at its {told}")


def _is_of_session(reading: Reading, call: ast.Call) -> bool:
    """Say whether a decode verifies with a public key: session tokens do, tokens of one's own seldom."""
    given = [one.value for one in call.keywords if one.arg == "algorithms"] or call.args[2:3]
    algorithms = [
        str(one.value) for value in given for one in reading.flow.origins(value) if isinstance(one, ast.Constant)
    ]
    return any(_PUBLIC_KEY.fullmatch(one) for one in algorithms)


def _compares(reading: Reading, claim: str) -> bool:
    """Say whether the file compares a claim itself with something, and not only what is made of it."""
    for compared in reading.tree.all(ast.Compare):
        for side in (compared.left, *compared.comparators):
            named = [side, *(one.value for one in reading.flow.bindings(side))]
            if any(_claim(one) == claim for one in named):
                return True
    return False
