"""What is read of Python source, and that an edit leaves everything else as it was."""

from __future__ import annotations

import pytest

from alwrity_checks.adoption.calls import Kind, Parameter, Passing, Signature
from alwrity_checks.adoption.syntax import (
    SourceMisfit,
    public_names,
    replace_definitions,
    replace_module,
    unaccepted,
)

pytest.importorskip("libcst")

MODULE = '''"""A module."""

from __future__ import annotations

import os, a.b
from x import (y as z)  # why

try:
    from txtai.pipeline import LLM
except ImportError:
    LLM = None

ONE, (TWO, *_rest) = 1, (2, 3)
_private: int = 4

# ---- A section ----

# About the class alone.
@decorated(
    "so"
)
class Wrapper(Base):
    """Wraps."""

    limit = 3

    def __init__(self, path: str, /, task: str = None, *rest, deep: bool = False, **more): ...
    @staticmethod
    def made(path): return 1
    async def start(self, *, wait=True):
        return f"{'a' if wait else "b"}"   # newer syntax
    # the last word


def after( a,b ):   # oddly spaced
\treturn a
'''


def test_the_names_a_module_binds() -> None:
    """Classes, functions, values and imports, below conditions too, with their lines and their calls."""
    names = public_names(MODULE)
    assert {name: one.kind for name, one in names.items()} == {
        "annotations": Kind.IMPORT,
        "os": Kind.IMPORT,
        "a": Kind.IMPORT,
        "z": Kind.IMPORT,
        "LLM": Kind.VALUE,
        "ONE": Kind.VALUE,
        "TWO": Kind.VALUE,
        "Wrapper": Kind.CLASS,
        "after": Kind.FUNCTION,
    }
    wrapper = names["Wrapper"]
    assert str(wrapper) == "(path, /, task=None, *rest, deep=False, **more)"
    assert {name: (one.kind, str(one)) for name, one in wrapper.members.items()} == {
        "limit": (Kind.VALUE, "()"),
        "__init__": (Kind.FUNCTION, "(path, /, task=None, *rest, deep=False, **more)"),
        "made": (Kind.FUNCTION, "(path)"),
        "start": (Kind.COROUTINE, "(*, wait=True)"),
    }
    assert MODULE.splitlines()[names["after"].line - 1].startswith("def after")
    assert "_private" in public_names(MODULE, private=True)


def test_an_import_in_place_of_a_class() -> None:
    """The class goes with its decorator and its own comment; the section's comment and every other byte stay."""
    after = replace_definitions(MODULE, {"Wrapper": "from ours import Wrapper"})
    head, _, rest = MODULE.partition("# About the class alone.\n")
    _, _, tail = rest.partition("# the last word\n")
    told = head.replace("# why\n", "# why\nfrom ours import Wrapper\n").rstrip("\n") + "\n" + tail
    assert after == told


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("ended", [True, False])
def test_every_line_end_stays(newline: str, ended: bool) -> None:  # noqa: FBT001 - a case of the test
    """A file of Windows stays one, and one without a line end at its end gets none."""
    text = "import os\n\n\ndef old(x):\n    return os\n\n\nLAST = 1\n".replace("\n", newline)
    text = text if ended else text.removesuffix(newline)
    after = replace_definitions(text, {"old": "from ours import old"})
    told = "import os\nfrom ours import old\n\n\nLAST = 1\n".replace("\n", newline)
    assert after == (told if ended else told.removesuffix(newline))


def test_another_definition_takes_the_place() -> None:
    """What is no import stands where the old definition stood; the lines above it stay."""
    text = "import os\n\n# Section\n\ndef old(x):\n    return os\nold(1)\n"
    after = replace_definitions(text, {"old": "def old(x):\n    from ours import new\n\n    return new(x)\n"})
    assert after == ("import os\n\n# Section\n\ndef old(x):\n    from ours import new\n\n    return new(x)\nold(1)\n")


def test_an_import_may_take_the_place() -> None:
    """Where the order of imports matters, the import stands where the definition stood."""
    text = "import os\nuse(os)\ndef old(x):\n    return os\n"
    after = replace_definitions(text, {"old": "from ours import old"}, in_place=True)
    assert after == "import os\nuse(os)\nfrom ours import old\n"


def test_all_definitions_of_a_name_go() -> None:
    """A name that a merge left twice is replaced once."""
    text = '"""Doc."""\ndef old():\n    return 1\ndef old():\n    return 2\n'
    assert replace_definitions(text, {"old": "from ours import old"}) == '"""Doc."""\n\nfrom ours import old\n'


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("x = 1\n", "does not define old", None),
        ("from elsewhere import old\n", "bound by an import", 1),
        ("x = 1\nold = lambda: 1\n", "bound by a value", 2),
        ("if x:\n    def old(): ...\nelse:\n    def old(): ...\n", "below a condition", 2),
        ("def old(): ...\ntry:\n    import y\nexcept ImportError:\n    old = None\n", "bound by a value", 5),
        ("def old(): ...\n<<<<<<< HEAD\n", "merge conflict", 2),
        ("def old(:\n    1\n", "no Python", 2),
        ("x = 1\rdef old(): ...\r", "line ends", None),
    ],
)
def test_what_cannot_be_replaced_is_refused(text: str, said: str, line: int | None) -> None:
    """With the reason and its line; nothing is guessed."""
    with pytest.raises(SourceMisfit, match=said) as caught:
        replace_definitions(text, {"old": "from ours import old"})
    assert caught.value.line == line


def test_a_module_in_the_old_ones_manner() -> None:
    """The byte order mark, the line ends and a licence stay; another comment at the top does not."""
    new = '"""Thin."""\n'
    assert replace_module(None, new) == new
    assert replace_module("# old\nx = 1\n", new) == new
    licence = "\ufeff# Copyright (c) ALwrity\r\n# MIT\r\nx = 1\r\n"
    assert replace_module(licence, new) == '\ufeff# Copyright (c) ALwrity\r\n# MIT\r\n"""Thin."""\r\n'
    mixed = "x = 1\r\ny = 2\n"
    assert replace_module(mixed, new) == new


def call(text: str) -> Signature:
    """Return the signature of the only function of a source."""
    return public_names(text)["f"]


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("def f(a, b=1): ...", "def f(a, b=2, c=3): ...", ""),
        ("def f(a, b=1): ...", "def f(*args, **kwargs): ...", ""),
        ("def f(a, /): ...", "def f(x, /): ...", ""),
        ("def f(*, a): ...", "def f(a): ...", ""),
        ("async def f(): ...", "def f(): ...", "an async function is replaced by a function"),
        ("def f(a, b): ...", "def f(b, a): ...", "a is the first parameter, not b"),
        ("def f(a, b): ...", "def f(a): ...", "b can be given by position"),
        ("def f(a, b): ...", "def f(a, *rest): ...", "b can be given by name"),
        ("def f(a=1): ...", "def f(a): ...", "a can be left out"),
        ("def f(a): ...", "def f(a, b): ...", "b is not needed there"),
        ("def f(a): ...", "def f(a, *, key): ...", "key is not needed there"),
        ("def f(a, *rest): ...", "def f(a): ...", "*rest takes any number"),
        ("def f(**more): ...", "def f(a=1): ...", "**more takes arguments of any name"),
    ],
)
def test_a_call_that_is_not_taken_any_more(theirs: str, ours: str, said: str) -> None:
    """Every way in which a caller could be broken is told; a wider signature breaks nobody."""
    told = unaccepted(call(theirs), call(ours))
    assert told.startswith(said)
    assert bool(told) == bool(said)


def test_a_signature_reads_as_it_is_written() -> None:
    """The marks between the kinds of parameters are where Python wants them."""
    parameters = (Parameter("a", Passing.POSITION), Parameter("b", Passing.POSITION, "1"), Parameter("c", Passing.NAME))
    assert str(Signature(Kind.FUNCTION, 1, parameters)) == "(a, b=1, /, *, c)"
