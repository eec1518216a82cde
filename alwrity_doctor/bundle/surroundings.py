"""What a report was made with: versions, the machine, the checkout, and where each setting comes from, never its value.

Nothing of the checkout is run: its environments are read as files.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.settings import PUBLIC, Source
from alwrity_doctor import __version__
from alwrity_doctor.facts import EXTRAS, environment

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.settings import Settings

__all__ = ["checkout_facts", "machine", "settings_sources", "versions"]

_OF_A_BACKEND: Final = ("ALWRITY_", "CLERK_", "HF_", "HUGGING", "SIF_", "TEXTGEN_", "TRANSFORMERS_", "TXTAI_")
"""How the names begin of settings that a backend, or a library beneath it, reads."""
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_PLACES: Final = ("lib/python*/site-packages", "Lib/site-packages")


def versions(checkout: Checkout | None) -> dict[str, Any]:
    """Return the versions of this program, of what it runs on, and of what the checkout's environments hold."""
    found: dict[str, Any] = {
        "alwrity-doctor": __version__,
        "here": dict(environment()),
        "extras": {name: _installed(modules) for name, modules in EXTRAS.items()},
    }
    if checkout is not None:
        found["backend"] = [_environment(root) for root in _environments(checkout)]
        found["requirements"] = _requirements(checkout)
    return found


def _installed(modules: Iterable[str]) -> bool:
    import importlib.util

    return all(importlib.util.find_spec(module) is not None for module in modules)


def _environments(checkout: Checkout) -> Iterator[Path]:
    yield from dict.fromkeys(interpreter.parent.parent for interpreter in checkout.interpreters())


def _environment(root: Path) -> dict[str, Any]:
    """Return where an environment is, and the versions in it, from the metadata that pip has left there."""
    python = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        stated = re.search(r"(?m)^version(?:_info)? *= *(\S+)", (root / "pyvenv.cfg").read_text("utf-8"))
        python = stated.group(1) if stated else ""
    places = [str(place) for pattern in _PLACES for place in sorted(root.glob(pattern))]
    packages = dict(sorted(_names(distributions(path=places)))) if places else {}
    return {"environment": str(root), "python": python, "packages": packages}


def _names(found: Iterable[Distribution]) -> Iterator[tuple[str, str]]:
    from alwrity_checks.backend.declarations import normalised

    for one in found:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            # A directory that an interrupted installation has left may say neither.
            yield normalised(one.metadata["Name"]), one.version


def _requirements(checkout: Checkout) -> list[dict[str, str]]:
    from alwrity_checks.backend.declarations import lines
    from alwrity_checks.backend.files import is_declaration

    declared: dict[str, bytes] = {}
    for directory in dict.fromkeys((checkout.root, checkout.backend)):
        with contextlib.suppress(OSError):
            for path in sorted(directory.iterdir()):
                # A link may lead to anything: what it leads to is not this checkout's.
                if is_declaration(path.name) and path.is_file() and not path.is_symlink():
                    declared[path.relative_to(checkout.root).as_posix()] = path.read_bytes()[: 1 << 20]
    return [{"where": f"{one.path}:{one.number}", "asks": one.text} for one in lines(declared)]


def machine() -> dict[str, Any]:
    """Return what bears on a start and on local models: processors, memory and room on the disk, in bytes."""
    import psutil

    memory = psutil.virtual_memory()
    found: dict[str, Any] = {
        "processors": os.cpu_count() or 0,
        "memory": memory.total,
        "memory available": memory.available,
    }
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(Path.cwd())
        found |= {"disk": disk.total, "disk free": disk.free}
    found["container"] = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
    found["byte order"] = sys.byteorder
    return found


def checkout_facts(checkout: Checkout) -> dict[str, Any]:
    """Return where the checkout is, at which revision, and which settings files lie in it: their names and sizes."""
    from alwrity_checks.backend.files import repository_root
    from alwrity_checks.backend.revision import revision_of

    root = repository_root(checkout)
    files: list[dict[str, Any]] = []
    for directory in dict.fromkeys((root, checkout.backend)):
        with contextlib.suppress(OSError):
            found = [path for path in sorted(directory.glob(".env*")) if path.is_file()]
            files += [{"file": path.relative_to(root).as_posix(), "bytes": path.stat().st_size} for path in found]
    return {
        "backend": str(checkout.backend),
        "revision": revision_of(root) or "no git checkout that can be read",
        "settings files": files,
    }


def settings_sources(settings: Settings) -> list[dict[str, Any]]:
    """Return of each setting where it comes from, whether it is empty, and which places it hides; never a value.

    Of the process environment only what a backend or its libraries read is told, of the .env files everything.
    """
    stated = [name for layer in settings.dotenv for name in layer]
    read = sorted(name for name in settings.environment if name in PUBLIC or name.startswith(_OF_A_BACKEND))
    return [_source(settings, name) for name in sorted(dict.fromkeys([*stated, *read]))]


def _source(settings: Settings, name: str) -> dict[str, Any]:
    effective = settings.get(name)
    places = [str(layer[name].location) for layer in settings.dotenv if name in layer]
    if name in settings.environment:
        places.insert(0, f"{Source.ENVIRONMENT}")
    # What stands before a sign of equality in a file of settings may be a key that somebody has pasted there.
    shown = name if _NAME.fullmatch(name) else "(no name of a setting)"
    return {
        "name": shown,
        "from": places[0],
        "state": "set" if effective is not None and effective.value.reveal().strip() else "set to nothing",
        "hides": places[1:],
    }
