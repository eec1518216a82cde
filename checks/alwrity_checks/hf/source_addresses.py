"""Every router address that a source names, judged as `hf probe` judges a setting."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.base_url import lint
from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.hf.rules import rule_of
from alwrity_checks.trees.defaults import environment_read
from alwrity_checks.trees.tree import last_name

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["address_traces", "base_urls", "is_provider"]

_ADDRESS: Final = re.compile(r"\s*[\"'<]?https?://(?:router|api-inference)\.huggingface\.co(?=[/:?#\"'>\s]|\Z)\S*\s*")
_OPERATION: Final = re.compile(r"/(?:chat/completions|completions|responses|models|embeddings)/?\Z")
_TOKENS: Final = frozenset({"HF_TOKEN", "HUGGINGFACE_API_KEY", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN"})
_FILLED: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands in a text for what is put in when the program runs."""
_FIELD: Final = re.compile(r"\{\w*\}")
_CLIENTS: Final = re.compile(r"OpenAI|InferenceClient")
"""The clients that add the path of an operation to their base URL, and nothing before it."""
_BASES: Final = frozenset({"base_url", "api_base", "openai_api_base", "endpoint"})


def is_provider(reading: Reading) -> bool:
    """Say whether a module asks the router itself: it names the router's address, or reads a token for it."""
    if "huggingface.co" not in reading.file.text and not any(name in reading.file.text for name in _TOKENS):
        return False
    if any(_ADDRESS.match(one.value) for one in reading.tree.all(ast.Constant) if isinstance(one.value, str)):
        return True
    reads = (environment_read(reading.tree, one) for one in reading.tree.all(ast.Call))
    return any(name in _TOKENS for name in reads) and "OpenAI" in reading.file.text


def address_traces(reading: Reading) -> Iterator[Trace]:
    """Yield what is wrong with the addresses of the router in a file."""
    if "huggingface.co" not in reading.file.text:
        return
    for node, written in _texts(reading):
        # `str.format` fills these later.
        text = _FIELD.sub(_FILLED, written)
        if not _ADDRESS.fullmatch(text):
            continue
        whole = text.replace(_FILLED, "filled-in")
        base = _is_base(reading, node)
        if not base:
            # A whole address of one request is in order where a base URL with its operation is not.
            whole = _OPERATION.sub("", whole)
        for fault in lint(whole):
            if _settled(fault.reason, text, base=base):
                shown = text.strip().replace(_FILLED, "{}")
                message = f"{shown}: {fault.message}"
                yield reading.trace(rule_of(fault.reason).code, node, message, ("use", fault.right))
                break


def base_urls(reading: Reading) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every address of the router that a client is made with, as far as it is known."""
    for node, text in _texts(reading):
        if _ADDRESS.fullmatch(text) and _FILLED not in text and _is_base(reading, node):
            yield node.lineno, text.strip()


def _texts(reading: Reading) -> Iterator[tuple[ast.expr, str]]:
    """Yield the texts of a file, each with what is put together before it is used as an address."""
    used: set[ast.AST] = set()
    for composed in (*reading.tree.all(ast.JoinedStr), *reading.tree.all(ast.BinOp)):
        if composed in used:
            continue
        text = _folded(reading, composed, used)
        if text is not None:
            yield composed, text
    for one in reading.tree.all(ast.Constant):
        if isinstance(one.value, str) and one not in used and not isinstance(reading.tree.parent(one), ast.Expr):
            yield one, one.value


def _folded(reading: Reading, node: ast.expr, used: set[ast.AST]) -> str | None:
    """Return the text of an expression as far as the file tells it; None if it is none. Notes what it is made of."""
    match node:
        case ast.Constant(value=str() as text):
            used.add(node)
            return text
        case ast.JoinedStr(values=values):
            parts = [_folded(reading, one, used) for one in values]
            return "".join(_FILLED if part is None else part for part in parts)
        case ast.FormattedValue(value=inner):
            return _folded(reading, inner, used)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            used.update((left, right))
            first, second = _folded(reading, left, used), _folded(reading, right, used)
            if first is None and second is None:
                return None
            return f"{_FILLED if first is None else first}{_FILLED if second is None else second}"
        case ast.Name() | ast.Attribute():
            bound = reading.flow.bindings(node)
            if len(bound) == 1 and isinstance(bound[0].value, ast.Constant):
                return _folded(reading, bound[0].value, used)
    return None


def _is_base(reading: Reading, node: ast.expr) -> bool:
    """Say whether an address goes into a client as the base of its requests."""
    for call in reading.tree.all(ast.Call):
        for given in call.keywords if _CLIENTS.search(last_name(call.func)) else ():
            if given.arg in _BASES and node in reading.flow.origins(given.value):
                return True
    return False


def _settled(reason: Reason, text: str, *, base: bool) -> bool:
    """Say whether a fault does not hang on what is put in at run time, or on what is added later."""
    if reason is Reason.BASE_URL_VERSION_MISSING and not base:
        return False
    first = re.sub(r"\A\s*[\"'<]?https?://[^/]*/?", "", text).partition("/")[0]
    return _FILLED not in first or reason in {Reason.BASE_URL_HOST_RETIRED, Reason.BASE_URL_INSECURE}
