"""The walk of a tree: who holds whom, which function a node runs in, and what a place is known by."""

from __future__ import annotations

import ast

import pytest

from alwrity_checks.trees.tree import Tree, last_name, text_of, tree_of


def only(tree: Tree, name: str) -> ast.Call:
    """Return the one call of a function of that name."""
    [found] = [one for one in tree.all(ast.Call) if last_name(one.func) == name]
    return found


def test_every_node_is_there_once_and_in_order() -> None:
    """Nothing that ast.walk finds is missing, and nodes of a kind come as they stand in the file."""
    module = ast.parse(
        "import os\nclass A:\n    x: int = 1\n    def f(self, *a, b=2):\n        return [i for i in a if i]\n"
    )
    tree = Tree(module)
    kinds = {type(one) for one in ast.walk(module)}
    assert {one for kind in kinds for one in tree.all(kind)} == set(ast.walk(module))
    lines = [one.lineno for one in tree.all(ast.Name)]
    assert lines == sorted(lines)


def test_defaults_and_decorators_run_outside_of_their_function() -> None:
    """A default is worked out when the function is made, in the scope around it; a nested body is not the outer's."""
    source = """
async def f(a=default()):
    here()
    def g():
        inner()
    return lambda: later()
@deco()
def h():
    pass
"""
    tree = tree_of(ast.parse(source))
    assert tree.function(only(tree, "default")) is None
    assert tree.function(only(tree, "deco")) is None
    assert tree.on_loop(only(tree, "here"))
    assert not tree.on_loop(only(tree, "inner"))
    assert not tree.on_loop(only(tree, "later"))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from jwt import PyJWKClient as Keys\nKeys()", "jwt.PyJWKClient"),
        ("import jwt as j\nj.PyJWKClient()", "jwt.PyJWKClient"),
        ("import a.b\na.b.c()", "a.b.c"),
        ("from .deep import thing\nthing()", "deep.thing"),
        ("f()()", ""),
    ],
)
def test_imports_are_undone(source: str, name: str) -> None:
    """A renamed import is known by what it is."""
    tree = Tree(ast.parse(source))
    assert tree.name(tree.all(ast.Call)[0].func) == name


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("class A:\n    def f(self):\n        x = call( 1,\n            2 )\n", "A.f: x = call(1, 2)"),
        ("def f():\n    if call():\n        other = 1\n", "f: if call(): pass"),
        (
            "def f():\n    try:\n        other = 1\n    except call() as e:\n        pass\n",
            "f: except call() as e: pass",
        ),
        ("def f():\n    match call():\n        case 1:\n            pass\n", "f: match call():"),
        ("async def f():\n    async with call() as x, y:\n        other = 1\n", "f: async with call() as x, y: pass"),
        ("def f():\n    for x in call():\n        pass\n    else:\n        other = 1\n", "f: for x in call(): pass"),
    ],
)
def test_a_key_is_the_place_and_the_statement(source: str, key: str) -> None:
    """Layout and what stands inside a compound statement do not change it; neither does what comes before."""
    for text in (source, "\n# a comment\nx = 1\n" + source):
        tree = Tree(ast.parse(text))
        assert tree.key(only(tree, "call")) == key


def test_a_shown_expression_is_short_and_holds_no_secret() -> None:
    """What is quoted in a message is one line, cut, and scrubbed."""
    token = "sk_live_" + "a" * 30
    shown = text_of(ast.parse(f"Client(\n    key='{token}',\n    other=[{', '.join('1' * 90)}])").body[0])
    assert "\n" not in shown
    assert token not in shown
    assert len(shown) <= 81
