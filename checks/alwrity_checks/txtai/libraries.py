"""The libraries under an index, as they are installed beside this program; none of them is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Finding, Location, LocationKind
from alwrity_checks.txtai.inspection import fitting
from alwrity_checks.txtai.rules import rule_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MEASURED", "library_findings"]

MEASURED: Final = "9.14"
"""The first release of txtai that the component was measured with."""

_FAISS: Final = ("faiss-cpu", "faiss-gpu", "faiss")
"""One module, several distributions."""
_INSTALL: Final = 'pip install "alwrity-doctor[txtai]"'


def library_findings(installed: Callable[[str], str] = version) -> Iterator[Finding]:
    """Yield what is missing, what is old, and what does not fit; `installed` gives a distribution's version."""
    txtai, faiss = _first(installed, ("txtai",)), _first(installed, _FAISS)
    for name, found in (("txtai", txtai), ("faiss-cpu", faiss)):
        if found is None:
            yield _finding("library-missing", f"{name} is not installed", name, _INSTALL)
    if txtai is None:
        return
    if faiss is not None and not fitting(txtai, faiss):
        told = f"txtai {txtai} searches with an attribute that faiss {faiss} has not: 'nprobe'"
        yield _finding("index-versions", told, "txtai", f"pip install 'txtai>={MEASURED}'")
    elif _is_older(txtai, MEASURED):
        told = f"txtai {txtai} is installed; the component was measured with {MEASURED}"
        yield _finding("library-old", told, "txtai", f"pip install 'txtai>={MEASURED}'")


def _finding(reason: str, message: str, package: str, command: str) -> Finding:
    return Finding(
        rule_of(reason),
        message,
        (Evidence("reason", reason), Evidence("interpreter", sys.executable)),
        Location(LocationKind.PACKAGE, package),
        (command,),
    )


def _first(installed: Callable[[str], str], names: Sequence[str]) -> str | None:
    for name in names:
        try:
            return installed(name)
        except PackageNotFoundError:
            continue
    return None


def _is_older(found: str, wanted: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(found) < Version(wanted)
    except InvalidVersion:
        return False
