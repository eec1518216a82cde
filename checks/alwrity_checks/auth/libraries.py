"""Releases of token libraries in which a hole is known.

Sources: the GitHub advisory database and the projects' changelogs, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

__all__ = ["ADVISORIES", "Advisory", "Affected", "affected"]


@dataclass(frozen=True, slots=True)
class Advisory:
    """A range of releases with a known hole."""

    package: str
    range: str
    """A PEP 440 version specifier."""
    name: str
    what: str
    cured_in: str
    """The first release without it; empty if there is none."""


ADVISORIES: Final = (
    Advisory("PyJWT", "<2.4", "CVE-2022-29217", "public key taken for a shared secret", "2.4.0"),
    Advisory("PyJWT", "==2.10.0", "GHSA-75c5-xw7c-p5pm", "issuer compared as a substring", "2.10.1"),
    Advisory("PyJWT", "<2.12.0", "CVE-2026-32597", "critical header extensions ignored", "2.12.0"),
    Advisory("PyJWT", "<2.13.0", "CVE-2026-48526", "a JWK taken for a shared secret", "2.13.0"),
    Advisory("PyJWT", "<2.13.0", "GHSA-fhv5-28vv-h8m8", "a failed fetch wipes the key cache", "2.13.0"),
    Advisory("PyJWT", "<2.14.0", "GHSA-ffc3-869f-jxw9", "critical; see the advisory", "2.14.0"),
    Advisory("PyJWT", "<2.14.0", "GHSA-9v7f-9g4p-ffgj", "redirects followed when keys are fetched", "2.14.0"),
    Advisory("PyJWT", "<2.14.0", "GHSA-2gx3-rcp4-g85q", "every unknown key id causes a fetch", "2.14.0"),
    Advisory("PyJWT", "<2.15.0", "changelog of 2.15.0", "a deeply nested payload raises RecursionError", "2.15.0"),
    Advisory("clerk-backend-api", "<7.0.0", "AISEC-82", "keys cached across instances", "7.0.0"),
    Advisory("python-jose", "<3.4.0", "CVE-2024-33663", "public key taken for a shared secret", "3.4.0"),
    Advisory("python-jose", "<3.4.0", "CVE-2024-33664", "compressed tokens exhaust the memory", "3.4.0"),
    Advisory("Authlib", "<1.6.4", "CVE-2025-59420", "critical header extensions ignored", "1.6.4"),
)


@dataclass(frozen=True, slots=True)
class Affected:
    """An installed distribution that an advisory covers."""

    advisory: Advisory
    installed: str


def affected(installed: Callable[[str], str] = version) -> Iterator[Affected]:
    """Yield what is installed beside this program and covered by an advisory."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    for advisory in ADVISORIES:
        try:
            release = installed(advisory.package)
            Version(release)
        except (PackageNotFoundError, InvalidVersion):
            continue
        if SpecifierSet(advisory.range, prereleases=True).contains(release):
            yield Affected(advisory, release)
