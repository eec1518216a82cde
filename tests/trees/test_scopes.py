"""Names that nothing binds: found where they are used, and never where Python would bind them after all."""

from __future__ import annotations

import ast

import pytest

from alwrity_checks.trees.scopes import unbound_names


def unbound(source: str) -> list[tuple[int, str]]:
    """Return the uses that are found: line and name."""
    return [(one.lineno, one.id) for one in unbound_names(ast.parse(source), source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a):\n    return g(a, fallback_models)\ndef g(*a): pass\n", [(2, "fallback_models")]),
        ("def f():\n    for x in missing:\n        print(x)\n", [(2, "missing")]),
        ("class A:\n    limit = 1\n    def f(self):\n        return limit\n", [(4, "limit")]),
        ("def f():\n    return [missing for x in y]\ny = 1\n", [(2, "missing")]),
        ("async def f():\n    await asyncio.sleep(1)\n", [(2, "asyncio")]),
        ("def f():\n    x = 1\ndef g():\n    return x\n", [(4, "x")]),
        ("@missing\ndef f(): pass\n", [(1, "missing")]),
        ("f = lambda a: a + missing\n", [(1, "missing")]),
    ],
)
def test_a_name_that_nothing_binds(source: str, expected: list[tuple[int, str]]) -> None:
    """In functions, comprehensions, methods that reach for a class's name, decorators and lambdas."""
    assert unbound(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "from x import *\ndef f():\n    return missing\n",
        "def f():\n    return __file__, __name__, len, WindowsError\n",
        "def f():\n    global made\n    made = 1\ndef g():\n    return made\n",
        "import a.b as c, d.e\ndef f():\n    return c, d\n",
        "try:\n    unicode\nexcept NameError:\n    unicode = str\n",
        "def f():\n    try:\n        return reveal\n    except NameError:\n        return None\n",
        "def f(x: Missing) -> Missing:\n    y: Missing = x\n    return y\n",
        "def f():\n    return [y for x in [[1]] for y in x]\n",
        "def f():\n    if (n := 1):\n        return n\n",
        "class A:\n    x = 1\n    y = x\n    def f(self): return __class__\n",
        "def f():\n    with open('x') as h, open('y') as (a, b):\n        return h, a, b\n",
        "def f(v):\n    match v:\n        case {'k': k, **rest}:\n            return k, rest\n",
        "def f(v):\n    match v:\n        case [a, *b] | (a as b):\n            return a, b\n",
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x += 1\n        return x\n    return g\n",
        "def f():\n    exec('made = 1')\n    return made\n",
        "if 'missing' in globals():\n    print(missing)\n",
        "def f():\n    try:\n        pass\n    except OSError as e:\n        return e\n",
        "def f():\n    import os.path\n    def g():\n        return os\n    return g\n",
        "x: int\ndef f():\n    return x\n",
        "for i in range(3):\n    pass\ndef f():\n    return i\n",
        "def f(*args, key=1, **kw):\n    return args, key, kw\n",
        "",
    ],
)
def test_what_python_binds_is_left_alone(source: str) -> None:
    """Every form of binding that the language has, and files in which a name may come from anywhere."""
    assert unbound(source) == []


def test_a_tree_of_a_newer_python_is_asked_itself() -> None:
    """Where this Python cannot read the text, the tree that another one made of it suffices."""
    tree = ast.parse("import os\nA = 1\ndef f(x):\n    y = [z for z in x]\n    return os, A, y, len(x), missing\n")
    assert [(one.lineno, one.id) for one in unbound_names(tree, "f'{'newer'}' (")] == [(5, "missing")]
