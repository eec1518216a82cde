"""The table of advisories (rule AUTH036): which release is covered by which, to the last digit."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from alwrity_checks.auth.libraries import ADVISORIES, Advisory, affected

if TYPE_CHECKING:
    from collections.abc import Callable


def only(package: str, release: str) -> Callable[[str], str]:
    """Return what is installed: one distribution."""

    def installed(name: str) -> str:
        if name != package:
            raise PackageNotFoundError(name)
        return release

    return installed


def names(package: str, release: str) -> set[str]:
    """Return the advisories that cover the release."""
    return {one.advisory.name for one in affected(only(package, release))}


SINCE_15 = {"changelog of 2.15.0"}
SINCE_14 = SINCE_15 | {"GHSA-ffc3-869f-jxw9", "GHSA-9v7f-9g4p-ffgj", "GHSA-2gx3-rcp4-g85q"}
SINCE_13 = SINCE_14 | {"CVE-2026-48526", "GHSA-fhv5-28vv-h8m8"}
SINCE_12 = SINCE_13 | {"CVE-2026-32597"}
SUBSTRING = {"GHSA-75c5-xw7c-p5pm"}


@pytest.mark.parametrize(
    ("package", "release", "expected"),
    [
        ("PyJWT", "1.7.1", SINCE_12 | {"CVE-2022-29217"}),
        ("PyJWT", "2.3.0", SINCE_12 | {"CVE-2022-29217"}),
        ("PyJWT", "2.4.0", SINCE_12),
        ("PyJWT", "2.8.0", SINCE_12),
        ("PyJWT", "2.9.0", SINCE_12),
        ("PyJWT", "2.10.0", SINCE_12 | SUBSTRING),
        ("PyJWT", "2.10", SINCE_12 | SUBSTRING),
        ("PyJWT", "2.10.1", SINCE_12),
        ("PyJWT", "2.11.0", SINCE_12),
        ("PyJWT", "2.12.0", SINCE_13),
        ("PyJWT", "2.12.1", SINCE_13),
        ("PyJWT", "2.13.0", SINCE_14),
        ("PyJWT", "2.13.0.post1", SINCE_14),
        ("PyJWT", "2.14.0rc1", SINCE_15),  # PEP 440: "<V" does not hold V's own pre-releases
        ("PyJWT", "2.14.0", SINCE_15),
        ("PyJWT", "2.15.0", set()),
        ("PyJWT", "2.15.1", set()),
        ("PyJWT", "10.0.0", set()),
        ("clerk-backend-api", "6.0.1", {"AISEC-82"}),
        ("clerk-backend-api", "7.0.0", set()),
        ("python-jose", "3.3.0", {"CVE-2024-33663", "CVE-2024-33664"}),
        ("python-jose", "3.4.0", set()),
        ("Authlib", "1.6.3", {"CVE-2025-59420"}),
        ("Authlib", "1.6.4", set()),
        ("cryptography", "1.0", set()),
    ],
)
def test_the_boundaries(package: str, release: str, expected: set[str]) -> None:
    """The last affected release is named, the first cured one is not."""
    assert names(package, release) == expected


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda advisory: f"{advisory.package} {advisory.name}")
def test_every_advisory_ends_where_it_is_cured(advisory: Advisory) -> None:
    """The release that is advised is outside the range; its predecessor, in the last digit or in the one before, in."""
    assert advisory.name not in names(advisory.package, advisory.cured_in)
    cured = Version(advisory.cured_in)
    before = (
        f"{cured.major}.{cured.minor}.{cured.micro - 1}"
        if cured.micro
        else f"{cured.major}.{cured.minor - 1}.99"
        if cured.minor
        else f"{cured.major - 1}.99.99"
    )
    assert advisory.name in names(advisory.package, before)


def test_what_is_found_names_the_installed_release() -> None:
    """The release is the installed one, for the message."""
    assert {one.installed for one in affected(only("PyJWT", "2.12.1"))} == {"2.12.1"}


def test_nothing_installed_is_nothing_found() -> None:
    """A distribution that is absent is no finding."""
    assert list(affected(only("none", "0"))) == []


def test_this_very_environment() -> None:
    """What is installed here is looked up for real; what pyproject.toml permits carries none of the holes."""
    assert {one.advisory.package for one in affected()} <= {"python-jose", "Authlib", "clerk-backend-api"}
    assert Version(version("PyJWT")) >= Version("2.14")


def test_the_recursion_before_2_15_is_listed() -> None:
    """PyJWT below 2.15.0 is flagged as well."""
    assert names("PyJWT", "2.14.0")


@pytest.mark.parametrize("release", ["unknown", "2.8.0-patched-by-us!", ""])
def test_a_version_that_is_none(release: str) -> None:
    """A distribution whose version cannot be read does not keep the others from being judged."""

    def installed(name: str) -> str:
        return release if name == "PyJWT" else "1.0.0"

    assert {one.advisory.package for one in affected(installed)} >= {"Authlib", "python-jose"}
