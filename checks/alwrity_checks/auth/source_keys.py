"""Where a checkout gets the keys from, how it waits for them, and how long it keeps them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.source_tokens import unverified_decodes
from alwrity_checks.trees.defaults import environment_read
from alwrity_checks.trees.flow import keyword
from alwrity_checks.trees.tree import last_name, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["key_traces"]

_FETCHES: Final = re.compile(
    r"(?:.*\.)?PyJWKClient|requests\.(?:get|request|Session\.get)|httpx\.(?:get|request|stream)"
    r"|urllib\.request\.(?:urlopen|urlretrieve)|urllib3?\.(?:request|urlopen)|urlopen"
)
"""Calls that fetch, or will, and stand still meanwhile."""
_ASKS: Final = frozenset(
    {"get_signing_key_from_jwt", "get_signing_key", "get_jwk_set", "get_signing_keys", "fetch_data"}
)
"""PyJWKClient's methods that fetch, with urllib, on the thread that calls them."""
_UNVERIFIED_HEADER: Final = re.compile(r"(?:.*\.)?get_unverified_headers?")
_KEYS_PATH: Final = re.compile(r"/\.well-known/|jwks", re.IGNORECASE)
_KEY_NAME: Final = re.compile(r"publishable_?key", re.IGNORECASE)
_DECODERS: Final = frozenset({"b64decode", "urlsafe_b64decode", "standard_b64decode", "decodebytes", "a2b_base64"})
_PROMISES: Final = re.compile(r"decode|frontend_api|parse_publishable|from_publishable", re.IGNORECASE)
_NAMED_BY_TOKEN: Final = frozenset({"iss", "jku", "x5u"})
_MEMOS: Final = frozenset({"lru_cache", "cache"})


def key_traces(reading: Reading) -> Iterator[Trace]:
    """Yield what is wrong with the way to the keys."""
    named = list(_named_by_token(reading))
    yield from named
    yield from _undecoded_key(reading, harmless=any(one.code == "AUTH003" for one in named))
    yield from _waits_on_loop(reading)
    yield from _kept_for_ever(reading)


def _named_by_token(reading: Reading) -> Iterator[Trace]:
    """Follow the issuer that the token itself claims into an address, and the address into a fetch."""
    sources = list(_attacker_values(reading))
    if not sources:
        return
    for composed in _compositions(reading):
        if _KEYS_PATH.search(_constant_text(composed)):
            source = _unchecked(reading, composed, composed, sources)
            if source is not None:
                message = f"the address of the keys is made of {text_of(source)}, which the token itself says"
                yield reading.trace("AUTH003", composed, message, ("read without verification", line(source)))
    for call in reading.tree.all(ast.Call):
        if _FETCHES.fullmatch(reading.tree.name(call.func)) and call.args:
            source = _unchecked(reading, call.args[0], call, sources)
            if source is not None:
                message = f"a token makes the server fetch the address {text_of(call.args[0])}"
                yield reading.trace("AUTH007", call, message, ("named by the token", line(source)))


def _attacker_values(reading: Reading) -> Iterator[ast.expr]:
    """Yield where the claim that names an issuer, or the header that names a key set, is read unverified."""
    unverified: set[ast.expr] = set(unverified_decodes(reading))
    unverified |= {
        call for call in reading.tree.all(ast.Call) if _UNVERIFIED_HEADER.fullmatch(reading.tree.name(call.func))
    }
    for node in (*reading.tree.all(ast.Call), *reading.tree.all(ast.Subscript)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="get" | "pop", value=owner), args=[ast.Constant(value=str() as name), *_]
            ):
                pass
            case ast.Subscript(slice=ast.Constant(value=str() as name), value=owner):
                pass
            case _:
                continue
        if name in _NAMED_BY_TOKEN and unverified.intersection(reading.flow.origins(owner)):
            yield node


def _unchecked(reading: Reading, expression: ast.expr, sink: ast.expr, sources: Sequence[ast.expr]) -> ast.expr | None:
    """Return which of the sources an expression is made of, unless a condition has compared it before."""
    origins = set(reading.flow.origins(expression))
    return next((one for one in sources if one in origins and not _is_compared(reading, one, sink)), None)


def _is_compared(reading: Reading, source: ast.expr, sink: ast.expr) -> bool:
    """Say whether a condition lets only known values get from the source to the sink.

    That the address made of it is looked up in a cache is no such condition: whoever is not in it gets in.
    """
    for decision in reading.tree.all(ast.If):
        for compared in ast.walk(decision.test):
            if isinstance(compared, ast.Compare) and _compares_with_known(reading, compared, source):
                refuses = isinstance(compared.ops[0], ast.NotEq | ast.NotIn)
                leaves = isinstance(decision.body[-1], ast.Return | ast.Raise)
                inside = any(reading.tree.within(sink, one) for one in decision.body)
                if (refuses and leaves and not inside) or (not refuses and inside):
                    return True
    return False


def _compares_with_known(reading: Reading, compared: ast.Compare, source: ast.expr) -> bool:
    if not isinstance(compared.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
        return False
    sides = [compared.left, *compared.comparators]
    told = [source in reading.flow.origins(side) for side in sides]
    empty = [isinstance(side, ast.Constant) and not side.value for side in sides]
    return any(told) and not all(told) and not any(empty)


def _compositions(reading: Reading) -> Iterator[ast.expr]:
    """Yield the expressions that put a text together, the outermost only."""
    tree = reading.tree
    yield from tree.all(ast.JoinedStr)
    for one in tree.all(ast.BinOp):
        if isinstance(one.op, ast.Add | ast.Mod) and not isinstance(tree.parent(one), ast.BinOp):
            yield one
    for call in tree.all(ast.Call):
        if last_name(call.func) in {"format", "urljoin", "join"}:
            yield call


def _constant_text(composed: ast.expr) -> str:
    return "".join(
        one.value for one in ast.walk(composed) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def _undecoded_key(reading: Reading, *, harmless: bool) -> Iterator[Trace]:
    """Follow the publishable key into an https address; on the way it has to be decoded."""
    for composed in _compositions(reading):
        if not re.match(r"https?://(?![^/]*/)|https?://\Z", _leading_text(composed)):
            continue
        origins = reading.flow.origins(composed)
        if not any(_is_publishable_key(reading, one) for one in origins):
            continue
        if any(isinstance(one, ast.Call) and _decodes(one) for one in origins):
            continue
        split = next((one for one in origins if isinstance(one, ast.Call) and last_name(one.func) == "split"), None)
        message = "the host of the keys is the publishable key's text, which is base64 and was not decoded"
        evidence = [] if split is None else [("the key is split", line(split))]
        if harmless:
            evidence.append(("used", "only for a token that names no issuer: Clerk's always name one"))
        yield reading.trace("AUTH103" if harmless else "AUTH004", composed, message, *evidence)


def _leading_text(composed: ast.expr) -> str:
    match composed:
        case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
            return text
        case ast.BinOp(left=left):
            return _leading_text(left)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            return text.partition("{")[0]
        case ast.Constant(value=str() as text):
            return text.partition("%s")[0]
    return ""


def _is_publishable_key(reading: Reading, expression: ast.expr) -> bool:
    variable = environment_read(reading.tree, expression)
    return bool(_KEY_NAME.search(variable if variable is not None else last_name(expression)))


def _decodes(call: ast.Call) -> bool:
    """Say whether a call decodes base64, or has a name that promises to: `frontend_api(key)`, `decode_key(key)`."""
    name = last_name(call.func)
    return name in _DECODERS or (bool(call.args) and _PROMISES.search(name) is not None)


def _waits_on_loop(reading: Reading) -> Iterator[Trace]:
    """Find fetches of keys that an `async def` carries out itself."""
    clients = [one for one in reading.tree.all(ast.Call) if last_name(one.func) == "PyJWKClient"]
    for call in reading.tree.all(ast.Call):
        if not reading.tree.on_loop(call) or reading.tree.is_awaited(call):
            continue
        asks = last_name(call.func) in _ASKS and bool(clients)
        fetches = (
            not asks
            and last_name(call.func) != "PyJWKClient"
            and _FETCHES.fullmatch(reading.tree.name(call.func)) is not None
            and _is_of_keys(reading, call)
        )
        if asks or fetches:
            message = f"{last_name(call.func)} fetches keys on the event loop: every request stands still meanwhile"
            made = [("client", line(one)) for one in clients[:1]] if asks else []
            yield reading.trace("AUTH054", call, message, *made)


def _is_of_keys(reading: Reading, call: ast.Call) -> bool:
    origins = reading.flow.origins(call.args[0]) if call.args else []
    return any(
        bool(_KEYS_PATH.search(one.value if isinstance(one, ast.Constant) and isinstance(one.value, str) else ""))
        or "jwks" in last_name(one).lower()
        for one in (*origins, *(part for one in origins for part in ast.walk(one) if isinstance(part, ast.Constant)))
    )


def _kept_for_ever(reading: Reading) -> Iterator[Trace]:
    """Find caches of single keys, or of the whole set, that nothing empties."""
    for call in reading.tree.all(ast.Call):
        switch = keyword(call, "cache_keys")
        if last_name(call.func) == "PyJWKClient" and switch is not None:
            if isinstance(switch.value, ast.Constant) and switch.value.value is True:
                message = "cache_keys=True keeps single keys without expiry: a withdrawn key verifies until the restart"
                yield reading.trace("AUTH056", switch, message)
        elif _FETCHES.fullmatch(reading.tree.name(call.func)) and _is_of_keys(reading, call):
            function = reading.tree.function(call)
            decorators = [] if function is None or isinstance(function, ast.Lambda) else function.decorator_list
            for one in decorators:
                if last_name(one.func if isinstance(one, ast.Call) else one) in _MEMOS:
                    message = f"{text_of(one)} keeps the keys until the restart: a withdrawn key goes on verifying"
                    yield reading.trace("AUTH056", one, message)
