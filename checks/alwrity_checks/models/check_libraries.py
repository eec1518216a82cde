"""The libraries under a model, as they are installed beside this program; none of them is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Location, LocationKind
from alwrity_checks.models.findings import finding
from alwrity_checks.models.roles import AGENT, roles
from alwrity_checks.models.steps import Runtime

if TYPE_CHECKING:
    from alwrity_checks.model import Finding
    from alwrity_checks.settings import Settings

__all__ = ["library_findings"]

_NEEDED: Final = {
    Runtime.TRANSFORMERS: ("models", ("torch", "transformers")),
    Runtime.ONNX: ("onnx", ("onnxruntime-genai",)),
}
"""Runtime -> its extra, and the distributions without which it does nothing."""
_MEASURED: Final = {"torch": "2.6", "transformers": "5.9", "onnxruntime-genai": "0.10", "llguidance": "1.9"}
"""The first releases with which the component was tried; the extras ask for the same."""


def library_findings(settings: Settings, installed: Callable[[str], str] = version) -> Iterator[Finding]:
    """Yield what is missing and what is old; `installed` gives a distribution's version."""
    there = {
        runtime
        for runtime, (_, names) in _NEEDED.items()
        if all(_version(installed, name) is not None for name in names)
    }
    asked = {one.runtime for one in roles(settings)[AGENT].candidates}
    wanted = next(iter(asked)) if len(asked) == 1 and settings.get("SIF_AGENT_RUNTIME") else None
    if wanted is not None and wanted not in there:
        yield _missing(wanted, f"SIF_AGENT_RUNTIME asks for {wanted}, which is not installed")
    elif not there:
        yield _missing(Runtime.TRANSFORMERS, "no runtime is installed: neither transformers nor onnxruntime-genai")
    elif Runtime.ONNX not in there and wanted is None:
        told = "onnxruntime-genai is not installed: the agents are served by transformers, which is slower and larger"
        yield _finding("runtime-base-only", told, "onnxruntime-genai", 'pip install "alwrity-doctor[onnx]"')
    if there and _version(installed, "llguidance") is None:
        told = "llguidance is not installed: no model's JSON can be constrained by a schema"
        yield _finding("extra-missing", told, "llguidance", 'pip install "alwrity-doctor[models]"')
    for name, first in _MEASURED.items():
        found = _version(installed, name)
        if found is not None and _is_older(found, first):
            told = f"{name} {found} is installed; the component was measured with {first} and later"
            yield _finding("libraries-old", told, name, f"pip install '{name}>={first}'")


def _missing(runtime: Runtime, told: str) -> Finding:
    extra, names = _NEEDED[runtime]
    return _finding("extra-missing", told, names[-1], f'pip install "alwrity-doctor[{extra}]"')


def _finding(reason: str, told: str, package: str, command: str) -> Finding:
    evidence = (Evidence("interpreter", sys.executable),)
    return finding(reason, told, Location(LocationKind.PACKAGE, package), evidence, (command,))


def _version(installed: Callable[[str], str], name: str) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def _is_older(found: str, wanted: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(found) < Version(wanted)
    except InvalidVersion:
        return False
