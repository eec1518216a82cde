"""Whether one source compiles, and why not."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from alwrity_checks.backend import newer
from alwrity_checks.backend.parsing import FlawKind, flaw_of, newer_than, text_of, tree_of

NEWER = b"""def f(items):
    return f'<pre>{"\\n".join(items)}</pre>'
"""
"""An f-string with a backslash in its braces, as ALwrity's ricos_converter.py has one: Python 3.12."""


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\xef\xbb\xbfname = 1\n",
        "# -*- coding: latin-1 -*-\nname = 'caf\u00e9'\n".encode("latin-1"),
        b"x = 1\r\ny = 2\r\n",
        b'"""\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"""\n',
        b"pattern = '\\d'\n",
    ],
)
def test_odd_sources_compile(source: bytes) -> None:
    """An empty file, a BOM, a declared encoding, a docstring that shows markers and a wrong escape are no flaws."""
    assert flaw_of(source) is None
    assert isinstance(tree_of(source), ast.Module)


@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [
        (b"x = 1\n<<<<<<< HEAD\ny = 2\n=======\ny = 3\n>>>>>>> theirs\n", FlawKind.CONFLICT, 2),
        (b"x = 1\n>>>>>>> theirs\n", FlawKind.CONFLICT, 2),
        (b"def f(a=1, b):\n    pass\n", FlawKind.ERROR, 1),
        (b"    x = 1\n", FlawKind.ERROR, 1),
        (b"x = 1\n\ny = \0\n", FlawKind.ERROR, 3),
        (b"x = 1\nreturn x\n", FlawKind.ERROR, 2),
        (b"x = '\xe9'\n", FlawKind.ERROR, 1),
        (b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", FlawKind.ERROR, 1),
    ],
)
def test_a_flaw_has_its_kind_and_its_line(source: bytes, kind: FlawKind, line: int) -> None:
    """Markers are told from errors, and what only the compiler refuses (a return outside a function) is one, too."""
    flaw = flaw_of(source)
    assert flaw is not None
    assert (flaw.kind, flaw.line) == (kind, line)


def test_a_source_that_is_nested_too_deeply_is_undecided() -> None:
    """What this Python cannot read is not called wrong."""
    flaw = flaw_of(b"x = " + b"-" * 100_000 + b"1\n")
    assert flaw is not None
    assert flaw.kind is FlawKind.UNDECIDED


def test_newer_syntax_is_no_error() -> None:
    """Before Python 3.12 an f-string of its kind is undecided; from then on it is what an older one cannot read."""
    flaw = flaw_of(NEWER)
    if sys.version_info < (3, 12):
        assert flaw is not None
        assert (flaw.kind, flaw.line, flaw.needs) == (FlawKind.UNDECIDED, 2, (3, 12))
    else:
        assert flaw is None
        told = newer_than((3, 11), NEWER)
        assert told is not None
        assert (told.kind, told.line, told.needs) == (FlawKind.NEWER, 2, (3, 12))


def test_the_declared_python_is_held_against_the_source() -> None:
    """A match statement asks for 3.10, and says so; what the declared one can read asks for nothing."""
    source = b"match x:\n    case 1:\n        pass\n"
    told = newer_than((3, 9), source)
    assert told is not None
    assert (told.kind, told.needs) == (FlawKind.NEWER, (3, 10))
    assert newer_than((3, 10), source) is None
    assert newer_than(sys.version_info[:2], source) is None


def test_a_text_is_read_in_its_own_encoding() -> None:
    """A declared encoding, a BOM and foreign line ends do not reach the rooms; nonsense does not raise."""
    assert text_of("# coding: latin-1\nx = '\u00e9'\r\n".encode("latin-1")) == "# coding: latin-1\nx = '\u00e9'\n"
    assert text_of(b"\xef\xbb\xbfx = 1\n") == "x = 1\n"
    assert "x" in text_of(b"# coding: no-such\nx = 1\n")


def test_a_tree_that_is_handed_over_is_the_tree() -> None:
    """What a newer interpreter says of a source gives the tree that this one would have made, with its places.

    The interpreter that is asked is this one, so that the test needs no other.
    """
    source = b"import a\n\n\ndef f(x, *, y=...):\n    return [f'{x!r:>{y}}', b'\\x00', 1.5, 2j, None, True, 1e999]\n"
    told = newer.translate(Path(sys.executable), {"a.py": source, "b.py": b"def f(:\n"})
    tree = told["a.py"].tree
    assert tree is not None
    assert ast.dump(tree, include_attributes=True) == ast.dump(ast.parse(source), include_attributes=True)
    compile(tree, "a.py", "exec")
    assert (told["b.py"].tree, told["b.py"].line) == (None, 1)


def test_an_interpreter_that_cannot_be_asked_says_nothing(tmp_path: Path) -> None:
    """No interpreter, or one that is none, is no reason to fail."""
    assert newer.translate(tmp_path / "python", {"a.py": b"x = 1\n"}) == {}


def test_one_source_that_is_too_deep_costs_no_other_its_tree() -> None:
    """It is told as undecided, and the files beside it are handed over."""
    told = newer.translate(
        Path(sys.executable),
        {"deep.py": b"x = " + b"-" * 100_000 + b"1\n", "long.py": b"x = " + b"1 + " * 400 + b"1\n", "a.py": b"x = 1\n"},
    )
    assert told["deep.py"].tree is None
    assert told["deep.py"].error == ""
    assert told["a.py"].tree is not None
