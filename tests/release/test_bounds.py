"""The bounds of the dependencies: the oldest releases that they allow are tested, and the newest too."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.release.building import ROOT

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOWEST_EXTRAS: Final = ("adopt", "fast", "fastapi", "fleet", "health", "hf", "zstd")
"""The extras whose oldest releases `make test-lowest` installs; the others carry runtimes of a gigabyte."""


def pins(name: str) -> dict[str, Version]:
    """Return distribution -> release of a file of constraints."""
    lines = (line.partition("==") for line in (ROOT / name).read_text("utf-8").splitlines() if not line.startswith("#"))
    return {canonicalize_name(left): Version(right) for left, _, right in lines if right}


def required(*extras: str) -> list[Requirement]:
    """Return what the base, and these extras, require of others."""
    declared = [*PROJECT["dependencies"], *(one for extra in extras for one in PROJECT["optional-dependencies"][extra])]
    return [one for one in map(Requirement, declared) if one.name != PROJECT["name"]]


def lower_bound(requirement: Requirement) -> Version | None:
    """Return the oldest release that a requirement allows; None where it names none."""
    return next((Version(part.version) for part in requirement.specifier if part.operator in {">=", "=="}), None)


def test_the_oldest_releases_are_the_lower_bounds() -> None:
    """What `make test-lowest` installs is exactly what the bounds promise: a bound that is moved is tried."""
    oldest = pins("constraints-lowest.txt")
    wrong = {
        str(one): str(oldest.get(canonicalize_name(one.name)))
        for one in required(*LOWEST_EXTRAS)
        if oldest.get(canonicalize_name(one.name)) != lower_bound(one)
    }
    assert wrong == {}


def test_every_dependency_has_a_lower_bound() -> None:
    """A dependency without one promises releases that nobody has run; the tools of the tests may have none."""
    extras = set(PROJECT["optional-dependencies"]) - {"test"}
    assert [str(one) for one in required(*sorted(extras)) if lower_bound(one) is None] == []


def test_the_newest_releases_are_within_the_bounds() -> None:
    """What `make test` installs is allowed by the bounds, so that what is tested can be what is installed."""
    newest = pins("constraints.txt")
    outside = {
        str(one): str(newest[canonicalize_name(one.name)])
        for one in required(*PROJECT["optional-dependencies"])
        if canonicalize_name(one.name) in newest and newest[canonicalize_name(one.name)] not in one.specifier
    }
    assert outside == {}


def test_every_dependency_is_pinned_for_the_tests() -> None:
    """No dependency of the tests floats: the same commit is tested with the same releases."""
    newest = pins("constraints.txt")
    assert [
        str(one) for one in required(*PROJECT["optional-dependencies"]) if canonicalize_name(one.name) not in newest
    ] == []


def test_what_lowest_runs_is_there() -> None:
    """Every file that `make test-lowest` names, to run or to leave out, exists."""
    lines = (ROOT / "tests" / "release" / "lowest.txt").read_text("utf-8").split()
    named = [re.sub(r"^--\w+=|::.*$", "", line) for line in lines]
    assert [name for name in named if not (ROOT / name).exists()] == []
