"""Another operating system, as the product's own modules see it: run as a program, in a process that is nobody else's.

What a system has is read from typeshed, which mypy brings: the very stubs that say `if sys.platform != "win32":`. The
standard library and third parties keep the real system, for they have to work; only what `alwrity_checks` and
`alwrity_doctor` import is trimmed.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import sys
import traceback
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ROOTS", "absent_modules", "absent_names", "product_modules"]

ROOTS: Final = {"alwrity_checks": "checks", "alwrity_doctor": "."}
"""The import packages, and where each lies in the repository."""
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_SITECUSTOMIZE: Final = "sitecustomize"
"""A module of that name is carried out by an interpreter's start; importing it would look for the user's own."""


def product_modules() -> Iterator[str]:
    """Yield the dotted name of every module of both packages."""
    for package, root in ROOTS.items():
        base = _REPOSITORY / root
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            if parts[-1] != _SITECUSTOMIZE:
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def absent_names(module: str, platform: str) -> frozenset[str]:
    """Return the names that `module` has on Linux and lacks on `platform`."""
    return _names(module, "linux") - _names(module, platform)


@cache
def absent_modules(platform: str) -> frozenset[str]:
    """Return the modules of the standard library of which Linux has something and `platform` nothing."""
    return frozenset(name for name in sys.stdlib_module_names if _is_absent(name, platform))


def _is_absent(module: str, platform: str) -> bool:
    return module in sys.stdlib_module_names and bool(_public(module, "linux")) and not _public(module, platform)


def _public(module: str, platform: str) -> list[str]:
    return [name for name in _names(module, platform) if not name.startswith("_")]


@cache
def _names(module: str, platform: str) -> frozenset[str]:
    """Return what `module` defines on `platform`; nothing for a module without a stub."""
    stub = _stub(module)
    return frozenset(_defined_on(platform, ast.parse(stub.read_text("utf-8")).body)) if stub else frozenset()


def _stub(module: str) -> Path | None:
    spec = find_spec("mypy")
    assert spec is not None
    assert spec.origin is not None
    base = Path(spec.origin).parent / "typeshed" / "stdlib" / Path(*module.split("."))
    return next((path for path in (base.with_suffix(".pyi"), base / "__init__.pyi") if path.is_file()), None)


def _defined_on(platform: str, body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If):
            holds = _holds(node.test, platform)
            if holds is not False:
                yield from _defined_on(platform, node.body)
            if holds is not True:
                yield from _defined_on(platform, node.orelse)
        else:
            yield from _defined(node)


def _holds(test: ast.expr, platform: str) -> bool | None:
    """Say whether a stub's condition holds on `platform`; None where it does not speak of platform or version."""
    if isinstance(test, ast.BoolOp):
        parts = [_holds(one, platform) for one in test.values]
        if isinstance(test.op, ast.And):
            return False if False in parts else None if None in parts else True
        return True if True in parts else None if None in parts else False
    told = ast.unparse(test)
    if not told.startswith(("sys.platform", "sys.version_info")):
        return None
    view = ModuleType("sys")
    view.__dict__.update(platform=platform, version_info=sys.version_info)
    return bool(eval(told, {"sys": view}))  # noqa: S307 - a condition of typeshed


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name) and target.id != "__all__")
    elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("_") and node.module != "_typeshed":
        # A stub's other imports are its own; what comes from the C half of a module are the module's names.
        yield from (alias.asname or alias.name for alias in node.names)


class _Trimmed(ModuleType):
    """A module without the names that a system lacks; everything else is the real module's."""

    def __init__(self, real: ModuleType, absent: frozenset[str], other: Mapping[str, object]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _absent=absent, _other=other)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        if name in self.__dict__["_other"]:
            return self.__dict__["_other"][name]
        if name in self.__dict__["_absent"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} there", name=name, obj=self)
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["_real"], name, value)


def pretend(platform: str) -> None:
    """Show the product's modules `platform` from now on: in what they import, wherever the import stands."""
    real_import = builtins.__import__
    shown: dict[str, ModuleType] = {}

    def show(module: ModuleType) -> ModuleType:
        name = module.__name__
        other: dict[str, object] = {}
        if name == "sys":
            other = {"platform": platform}
        elif name == "os":
            other = {"name": "nt" if platform == "win32" else "posix"}
        missing = absent_names(name, platform) if name.partition(".")[0] in sys.stdlib_module_names else frozenset()
        if not missing and not other:
            return module
        return shown.setdefault(name, _Trimmed(module, missing, other))

    def imported(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the same
        locals: Mapping[str, object] | None = None,  # noqa: A002 - the same
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        importer = str((globals or {}).get("__name__", "")).partition(".")[0]
        if importer not in ROOTS:
            return real_import(name, globals, locals, fromlist, level)
        if _is_absent(name.partition(".")[0], platform):
            raise ModuleNotFoundError(f"No module named {name!r} on {platform}", name=name)
        if platform == "win32" and name == "msvcrt":
            return _msvcrt()
        return show(real_import(name, globals, locals, fromlist, level))

    builtins.__import__ = imported


@cache
def _msvcrt() -> ModuleType:
    """Return Windows' locks on the byte at a file's position, by the lock that this system has for them."""
    import fcntl

    module = ModuleType("msvcrt")

    def locking(descriptor: int, mode: int, length: int) -> None:
        wanted = fcntl.LOCK_EX | fcntl.LOCK_NB if mode == module.LK_NBLCK else fcntl.LOCK_UN
        fcntl.lockf(descriptor, wanted, length, 0, 1)

    module.__dict__.update(LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, locking=locking)
    return module


def main(words: list[str]) -> int:
    """Import all modules under the platform that is named; or, after `run`, carry out a command of the program.

    Prints name -> what it raised, as JSON, of the modules that are named or else of all.
    """
    platform, *names = words
    pretend(platform)
    if names[:1] == ["run"]:
        from alwrity_doctor.cli.process import execute

        return execute(names[1:])
    failed: dict[str, str] = {}
    for name in names or list(product_modules()):
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the import failed
            last = traceback.extract_tb(error.__traceback__)[-1]
            failed[name] = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
    sys.stdout.write(json.dumps(failed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
