"""Whether one source compiles, and why not: a merge left half done, a newer Python's syntax, or a plain error.

The compiler runs and its result is thrown away; nothing of the source is carried out.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from alwrity_checks.redaction import scrub

__all__ = ["PEP_701", "Flaw", "FlawKind", "flaw_of", "newer_than", "text_of", "tree_of"]

Version = tuple[int, int]

PEP_701: Final[Version] = (3, 12)
"""From here on an f-string may hold its own quotes, backslashes and line ends: what ALwrity's newer syntax is."""
_MARKER: Final = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
_F_STRING: Final = re.compile(r"""(?<![\w"'])[rR]?[fF][rR]?["']""")
_QUOTES: Final = re.compile(r"[fFrR]+(\"\"\"|'''|\"|')")
_LONGEST: Final = 200


class FlawKind(StrEnum):
    """Why a source does not compile."""

    CONFLICT = "conflict"
    """A merge conflict was committed unresolved."""
    NEWER = "newer"
    """It compiles with a newer Python than the one that is declared, or than this one."""
    ERROR = "error"
    UNDECIDED = "undecided"
    """This Python cannot tell: it may be newer syntax, or is nested too deeply."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why, and where."""

    kind: FlawKind
    line: int
    message: str
    """What the compiler said, or what it would have."""
    needs: Version | None = None
    """For NEWER: the Python from which on it compiles, as far as that is known."""


def flaw_of(data: bytes) -> Flaw | None:
    """Return why `data` does not compile with this Python; None if it does."""
    try:
        with warnings.catch_warnings():
            # What the checkout's author escapes wrongly is not the reader's to see.
            warnings.simplefilter("ignore")
            compile(data, "source", "exec", dont_inherit=True, optimize=0)
    except (RecursionError, MemoryError):
        return Flaw(FlawKind.UNDECIDED, 1, "is nested too deeply to be read")
    except (SyntaxError, ValueError) as error:
        return _flaw(data, error)
    return None


def _flaw(data: bytes, error: SyntaxError | ValueError) -> Flaw:
    line = max(getattr(error, "lineno", None) or 1, 1)
    said = scrub(getattr(error, "msg", None) or str(error))[:_LONGEST]
    # A docstring may show a marker: only in a file that does not compile is it one.
    if marker := _MARKER.search(data):
        return Flaw(FlawKind.CONFLICT, data.count(b"\n", 0, marker.start()) + 1, "a merge conflict was left in it")
    if b"\0" in data:
        return Flaw(FlawKind.ERROR, data.count(b"\n", 0, data.index(b"\0")) + 1, "it holds null bytes")
    if sys.version_info < PEP_701 and (
        said.startswith(("f-string", "unterminated")) or _F_STRING.search(_line(data, line))
    ):
        return Flaw(FlawKind.UNDECIDED, line, said, PEP_701)
    return Flaw(FlawKind.ERROR, line, said)


def _line(data: bytes, number: int) -> str:
    lines = data.splitlines()
    return lines[number - 1].decode("utf-8", "replace") if number <= len(lines) else ""


def tree_of(data: bytes) -> ast.Module:
    """Return the tree of a source that compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(data)


def text_of(data: bytes) -> str:
    """Return a source's text, in the encoding that it declares, with plain line ends."""
    try:
        return importlib.util.decode_source(data)
    except (SyntaxError, UnicodeDecodeError):
        return data.decode("utf-8", "replace")


def newer_than(version: Version, data: bytes) -> Flaw | None:
    """Return where a source that compiles with this Python asks for more than `version`; None if it does not."""
    if version >= sys.version_info[:2]:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data, feature_version=version)
    except SyntaxError as error:
        return Flaw(FlawKind.NEWER, max(error.lineno or 1, 1), scrub(error.msg)[:_LONGEST], _named(error.msg))
    if version < PEP_701 <= sys.version_info[:2]:
        return _newer_f_string(tree, text_of(data))
    return None


def _named(message: str) -> Version | None:
    named = re.search(r"Python (\d+)\.(\d+) and greater", message)
    return (int(named.group(1)), int(named.group(2))) if named else None


def _newer_f_string(tree: ast.Module, text: str) -> Flaw | None:
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and any(isinstance(one, ast.FormattedValue) for one in node.values):
            end = node.end_lineno or node.lineno
            for offset in _broken_by_older(lines[node.lineno - 1 : end]):
                return Flaw(
                    FlawKind.NEWER,
                    node.lineno + offset,
                    "an f-string holds its own quotes, a backslash or a comment in its braces",
                    PEP_701,
                )
    return None


def _broken_by_older(lines: list[str]) -> Iterator[int]:
    """Yield the lines, from 0, on which an f-string's braces hold what they may hold from Python 3.12 on."""
    opened: list[tuple[str, int]] = []
    """The quotes of each f-string that is open, the outermost first, and the braces that are open in it."""
    start, middle, end = (getattr(tokenize, f"FSTRING_{name}") for name in ("START", "MIDDLE", "END"))
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
            around = [quotes for quotes, depth in opened if depth]
            if token.type == start:
                mark = _QUOTES.match(token.string)
                opened.append((mark.group(1) if mark else '"', 0))
            elif token.type == end:
                opened.pop()
            elif token.type == tokenize.OP and opened and token.string in {"{", "}"}:
                quotes, depth = opened[-1]
                opened[-1] = (quotes, depth + (1 if token.string == "{" else -1))
            if around and _is_newer(token, around, is_text=token.type in {tokenize.STRING, start, middle}):
                yield token.start[0] - 1
    except (tokenize.TokenError, IndentationError, SyntaxError, IndexError):
        return  # the lines of one expression are no program: what was seen until here is right


def _is_newer(token: tokenize.TokenInfo, around: list[str], *, is_text: bool) -> bool:
    if is_text:
        return "\\" in token.string or any(quotes in token.string for quotes in around)
    single_line = any(len(quotes) == 1 for quotes in around)
    return token.type == tokenize.COMMENT or (token.type in {tokenize.NL, tokenize.NEWLINE} and single_line)
