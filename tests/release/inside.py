"""Carried out by the interpreter of a fresh environment that has the wheel and the base dependencies, and nothing else.

Imports every module of both packages. A module may need what an extra brings: one that a user imports says which extra,
one behind it lacks the library itself. Whatever else is raised is a fault.
Prints module -> what it raised, as JSON: `{"missing": {...}, "wrong": {...}}`, and where the packages were found.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

FROM_EXTRAS = {
    "fastapi",
    "libcst",
    "numpy",
    "onnx",
    "openai",
    "prometheus_client",
    "psycopg",
    "starlette",
    "torch",
    "txtai",
}
"""What the extras bring, and modules of ours import at their top."""
PACKAGES = ("alwrity_checks", "alwrity_doctor")


def main() -> int:
    """Import, and print."""
    errors = importlib.import_module("alwrity_checks.errors")
    missing: dict[str, str] = {}
    wrong: dict[str, str] = {}
    places: dict[str, str] = {}
    for package in PACKAGES:
        base = Path(importlib.import_module(package).__path__[0])
        places[package] = str(base)
        for path in sorted(base.rglob("*.py")):
            parts = (package, *path.relative_to(base).with_suffix("").parts)
            if parts[-1] == "sitecustomize":
                continue
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            try:
                importlib.import_module(name)
            except errors.MissingExtra as error:
                missing[name] = str(error)
            except ModuleNotFoundError as error:
                told = missing if (error.name or "").partition(".")[0] in FROM_EXTRAS else wrong
                told[name] = str(error)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
                wrong[name] = f"{type(error).__name__}: {error}"
    heavy = sorted({"fastapi", "numpy", "openai", "pydantic", "torch", "transformers", "txtai"} & sys.modules.keys())
    sys.stdout.write(json.dumps({"missing": missing, "wrong": wrong, "places": places, "heavy": heavy}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
