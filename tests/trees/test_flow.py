"""Values followed to what they are made of, and worked out where no switch is set."""

from __future__ import annotations

import ast

import pytest

from alwrity_checks.trees.defaults import UNKNOWN, Defaults
from alwrity_checks.trees.flow import Flow
from alwrity_checks.trees.tree import Tree, last_name


def origins(source: str) -> str:
    """Return the constants and unbound names that the argument of `sink(...)` can be made of."""
    tree = Tree(ast.parse(source))
    [call] = [one for one in tree.all(ast.Call) if last_name(one.func) == "sink"]
    flow = Flow(tree)
    found = flow.origins(call.args[0])
    told = {str(one.value) for one in found if isinstance(one, ast.Constant)}
    told |= {one.id for one in found if isinstance(one, ast.Name) and not flow.bindings(one)}
    return " ".join(sorted(told))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 'a'\nsink(x)", "a"),
        ("x = 'a' if c else 'b'\nsink(x)", "a b"),
        ("x = get('a')\nsink(f'{x}/{y}')", "a y"),
        ("x = ['a']\nx.append('b')\nfor one in x:\n    sink(one)", "a b"),
        ("x, y = 'a', 'b'\nsink(y)", "b"),
        ("x = 'a'\ndef f():\n    x = 'b'\n    sink(x)", "b"),
        ("x = 'a'\ndef f():\n    sink(x)", "a"),
        ("class A:\n    x = 'a'\n    def f(self):\n        sink(self.x)", "a self"),
        ("def f(p='a'):\n    sink(p)\nf('b')\nf(p='c')", "a b c"),
        ("def g(v):\n    return v + '!'\nsink(g('a'))", "! a"),
        ("x = len('a')\nsink(x)", ""),
        ("x = not 'a'\nsink(x)", ""),
        ("x = {'k': 'a'}\nsink(x['k'])", "a"),
        ("with open('a') as x:\n    sink(x)", "a"),
        ("x = 'a'\nx = x.strip()\nsink(x)", "a"),
        ("def f():\n    global x\n    x = 'a'\nsink(x)", "a"),
    ],
)
def test_origins(source: str, expected: str) -> None:
    """Through assignments, loops, attributes, arguments and results; not through what only decides or counts."""
    assert origins(source) == expected


def test_a_loop_of_bindings_ends() -> None:
    """Names that are made of each other are followed once."""
    assert origins("a = b\nb = a + 'x'\nsink(a)") == "x"


HEAD = "import os\nfrom os import environ\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sink(os.getenv('X'))", None),
        ("sink(os.getenv('X', 'on') == 'on')", True),
        ("sink(os.environ.get('X', 'no').strip().lower() in {'1', 'true'})", False),
        ("sink(not (os.getenv('X') or environ.get('Y') or 'dev') == 'prod')", True),
        ("x = os.getenv('X')\nif x is None:\n    y = True\nelse:\n    y = x == '1'\nsink(y)", True),
        ("x = os.getenv('X')\nif x:\n    y = True\nelse:\n    y = False\nsink(y)", False),
        ("x = False\nx = True\nsink(x)", True),
        ("def f():\n    if os.getenv('X'):\n        return True\n    return False\nsink(f())", False),
        ("def f(name, d=False):\n    return bool(os.getenv(name, d))\nsink(f('X'))", False),
        ("sink(bool(os.getenv('X', '')))", False),
        ("sink(os.getenv('CLERK_SECRET_KEY', ''))", UNKNOWN),
        ("sink(settings.debug)", UNKNOWN),
        ("try:\n    import z\n    y = True\nexcept ImportError:\n    y = False\nsink(y)", UNKNOWN),
        ("def f(p):\n    sink(p)", UNKNOWN),
        ("sink(os.getenv('X').lower())", UNKNOWN),
        ("sink(os.environ['X'] == '1')", UNKNOWN),
        ("def f():\n    return f()\nsink(f())", UNKNOWN),
    ],
)
def test_what_holds_where_no_switch_is_set(source: str, expected: object) -> None:
    """Defaults are worked out over conditions and helpers; keys, other settings and failures cannot be told."""
    tree = Tree(ast.parse(HEAD + source))
    [call] = [one for one in tree.all(ast.Call) if last_name(one.func) == "sink"]
    assert Defaults(tree, Flow(tree)).value(call.args[0]) == expected
