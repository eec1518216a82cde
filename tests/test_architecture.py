"""The sentences of the design about who may import whom, read from the syntax trees."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SUBSTANCE = ROOT / "checks" / "alwrity_checks"
FACE = ROOT / "alwrity_doctor"
SHARED = {"sandbox", "trees"}
"""Packages that lie beside the rooms, for all of them."""
ROOMS = {directory.name for directory in SUBSTANCE.iterdir() if (directory / "__init__.py").exists()} - SHARED
READ_EVERY_ROOM = {"adoption", "backend", "logs", "health"}
BUILT_ON = {"startup": {"models"}}
"""The cure of a start that waits for a model is the models' registry."""


def modules(package: Path) -> list[Path]:
    """Return the modules of `package`."""
    return sorted(package.rglob("*.py"))


def label(path: Path) -> str:
    """Return the name of a module for the test's id."""
    return str(path.relative_to(ROOT))


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield every import of `tree` that can be carried out, so none that is only there for annotations."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (one for branch in node.orelse for one in statements(branch))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        else:
            yield from statements(node)


def imported(path: Path) -> set[str]:
    """Return the dotted names that the module at `path` imports: `a.b` and `a.b.c` for `from a.b import c`."""
    names: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def reaches(names: set[str], package: str) -> bool:
    """Say whether one of `names` is `package` or below it."""
    return any(name == package or name.startswith(f"{package}.") for name in names)


@pytest.mark.parametrize("path", modules(SUBSTANCE), ids=label)
def test_substance_does_not_know_the_face(path: Path) -> None:
    """A backend imports a component without the command line, typer or rich."""
    for package in ("alwrity_doctor", "typer", "rich"):
        assert not reaches(imported(path), package)


@pytest.mark.parametrize(
    "path",
    [path for path in modules(SUBSTANCE) if path.relative_to(SUBSTANCE).parts[0] in ROOMS - READ_EVERY_ROOM],
    ids=label,
)
def test_rooms_do_not_import_each_other(path: Path) -> None:
    """A room stands for itself or on the one it is built on; only triage, scanner, adoption and health read all."""
    own = path.relative_to(SUBSTANCE).parts[0]
    for room in ROOMS - {own} - BUILT_ON.get(own, set()):
        assert not reaches(imported(path), f"alwrity_checks.{room}")


@pytest.mark.parametrize(
    "path", [path for path in modules(SUBSTANCE) if path.relative_to(SUBSTANCE).parts[0] not in ROOMS], ids=label
)
def test_what_all_rooms_share_knows_none(path: Path) -> None:
    """What lies beside the rooms imports none of them; the catalogue finds them by name, when they are asked for."""
    for room in ROOMS:
        assert not reaches(imported(path), f"alwrity_checks.{room}")


def test_model_needs_the_standard_library_alone() -> None:
    """Everything can speak in the model's words, because they depend on nothing."""
    words = ("model", "exit_code", "pictures", "verdict")
    names = set().union(*(imported(SUBSTANCE / f"{word}.py") for word in words))
    own = tuple(f"alwrity_checks.{word}" for word in words)
    assert {name.partition(".")[0] for name in names if not name.startswith(own)} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", [path for path in modules(FACE) if path.parent != FACE / "cli"], ids=label)
def test_nothing_below_the_command_line_knows_it(path: Path) -> None:
    """Gate, reports and tracker can be used without a command line; only the process begins with it."""
    assert path.name == "__main__.py" or not reaches(imported(path), "alwrity_doctor.cli")


@pytest.mark.parametrize("path", [path for path in modules(FACE) if path.parent != FACE / "cli"], ids=label)
def test_only_the_command_line_knows_typer(path: Path) -> None:
    """Below the command line nothing parses arguments or writes to a terminal."""
    assert not reaches(imported(path), "typer")
