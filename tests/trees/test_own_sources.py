"""What the rooms look for in others' sources is not in ours, except where a fault was rebuilt on purpose."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import alwrity_checks
from alwrity_checks.rulefile import load_rules
from alwrity_checks.source import SourceFile
from alwrity_checks.trees.scopes import unbound_names

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(alwrity_checks.__file__).parent
ROOMS = {"auth": 1, "hf": 2, "txtai": 3, "models": 5, "startup": 6}
REBUILT = ("legacy", "/loopback", "scenarios/", "adoption/contract/")
"""Files that hold a fault so that it can be shown, or that do what a checkout's callers do."""

SWITCH = ("auth/compat.py", "AUTH102")
"""The face keeps ALwrity's DISABLE_AUTH; that a constructor refuses in production is more than a pattern can see."""


def room(name: str) -> ModuleType:
    """Return the room's `source` module."""
    return import_module(f"alwrity_checks.{name}.source")


@cache
def own_files() -> list[SourceFile]:
    """Return every module of the substance, as a scan would hand it over."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text("utf-8")
        found.append(SourceFile(path.relative_to(ROOT).as_posix(), ast.parse(text), text, live=True))
    return found


@pytest.mark.parametrize("name", ROOMS)
def test_our_own_modules_show_nothing(name: str) -> None:
    """Hundreds of healthy modules, some of them about the very same things, and not one accused."""
    source = room(name)
    accused = [
        f"{trace.path}:{trace.line} {trace.code} {trace.message}"
        for file in own_files()
        if any(wanted in file.text.encode() for wanted in source.WANTED)
        and not any(one in file.path for one in REBUILT)
        for trace in source.traces(file)
        if (trace.path, trace.code) != SWITCH
    ]
    assert accused == []


def test_the_rebuilt_fault_is_found_in_our_own_legacy() -> None:
    """The middleware that was rebuilt for the experiments shows in its source what they show of it."""
    path = ROOT / "auth" / "legacy.py"
    text = path.read_text("utf-8")
    codes = {one.code for one in room("auth").traces(SourceFile("legacy.py", ast.parse(text), text, live=True))}
    assert {"AUTH001", "AUTH008", "AUTH009", "AUTH054", "AUTH056"} <= codes


@pytest.mark.parametrize("name", ROOMS)
def test_every_code_that_a_source_names_is_a_rule(name: str) -> None:
    """What a pattern accuses can be explained."""
    known = {one.code for one in load_rules(f"alwrity_checks.{name}", ROOMS[name]).rules}
    prefix = min(known)[:3]
    named = {
        constant.value
        for path in (ROOT / name).glob("source*.py")
        for constant in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        if constant.value.startswith(prefix) and constant.value[-3:].isdigit() and constant.value.isupper()
    }
    assert named - known == set()
    assert named


def test_our_own_names_are_bound() -> None:
    """No module of the substance uses a name that nothing binds."""
    assert [
        f"{file.path}:{one.lineno} {one.id}" for file in own_files() for one in unbound_names(file.tree, file.text)
    ] == []
