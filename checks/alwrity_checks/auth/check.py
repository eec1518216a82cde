"""What can be checked of a backend's Clerk set-up: settings offline, key server and instance with a network."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.configuration import PUBLISHABLE_KEY_NAMES
from alwrity_checks.auth.findings import finding
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.model import Evidence, Location, LocationKind, Requirement, RequirementKind

if TYPE_CHECKING:
    from alwrity_checks.model import Context, Finding

__all__ = ["CHECKS"]

_NETWORK: Final = Requirement(RequirementKind.NETWORK)
_CLERK_SETTING: Final = Requirement(
    RequirementKind.SETTING, (*PUBLISHABLE_KEY_NAMES, "CLERK_SECRET_KEY", "CLERK_JWT_KEY", "CLERK_PROXY_URL")
)
_CLERK_SETTING_OR_SWITCH: Final = Requirement(
    RequirementKind.SETTING, (*_CLERK_SETTING.names, "DISABLE_AUTH", "ALLOW_UNVERIFIED_JWT_DEV")
)


@dataclass(frozen=True, slots=True)
class _AuthCheck:
    name: str
    title: str
    examine: Callable[[Context], Awaitable[Sequence[Finding]]]
    requires: frozenset[Requirement] = frozenset()
    issue: int = 1
    timeout: timedelta = timedelta(seconds=15)

    async def run(self, context: Context) -> Sequence[Finding]:
        return await self.examine(context)


async def _publishable_key(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.check_settings import publishable_key_findings

    return tuple(publishable_key_findings(context.settings))


async def _secret_key(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.check_settings import secret_key_findings

    return tuple(secret_key_findings(context.settings))


async def _jwt_key(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.check_settings import jwt_key_findings

    return tuple(jwt_key_findings(context.settings))


async def _switches(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.middleware import switch_findings, verifies_by_component

    return tuple(switch_findings(context.settings, by_component=verifies_by_component(context.backend)))


async def _libraries(_context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.libraries import affected

    return tuple(
        finding(
            Reason.VULNERABLE_LIBRARY,
            f"{one.advisory.package} {one.installed}: {one.advisory.name}, {one.advisory.what}",
            Location(LocationKind.PACKAGE, one.advisory.package),
            (Evidence("interpreter", sys.executable), Evidence("affected", one.advisory.range)),
            (f"pip install '{one.advisory.package}>={one.advisory.cured_in}'",),
        )
        for one in affected()
    )


async def _key_server(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.check_network import key_server_findings

    return await key_server_findings(context.settings)


async def _instance(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.check_network import instance_findings

    return await instance_findings(context.settings)


async def _jwt_key_instance(context: Context) -> Sequence[Finding]:
    from alwrity_checks.auth.check_network import jwt_key_instance_findings

    return await jwt_key_instance_findings(context.settings)


def _after(*names: str) -> frozenset[Requirement]:
    return frozenset(Requirement(RequirementKind.CHECK, (name,)) for name in names)


CHECKS: Final = (
    _AuthCheck("auth.switches", "no switch turns verification off", _switches, frozenset({_CLERK_SETTING_OR_SWITCH})),
    _AuthCheck(
        "auth.publishable-key", "the publishable key pins an instance", _publishable_key, frozenset({_CLERK_SETTING})
    ),
    _AuthCheck("auth.secret-key", "the secret key fits the publishable key", _secret_key, frozenset({_CLERK_SETTING})),
    _AuthCheck(
        "auth.jwt-key",
        "CLERK_JWT_KEY is a usable public key",
        _jwt_key,
        frozenset({Requirement(RequirementKind.SETTING, ("CLERK_JWT_KEY",))}),
    ),
    _AuthCheck(
        "auth.libraries",
        "no token library with a known hole is installed beside this program",
        _libraries,
        frozenset({_CLERK_SETTING_OR_SWITCH}),
    ),
    _AuthCheck(
        "auth.key-server",
        "the instance publishes usable keys, and the clocks agree",
        _key_server,
        frozenset({_NETWORK}) | _after("auth.publishable-key"),
    ),
    _AuthCheck(
        "auth.instance",
        "secret and publishable key belong to one instance",
        _instance,
        frozenset({_NETWORK, Requirement(RequirementKind.CREDENTIAL, ("CLERK_SECRET_KEY",))})
        | _after("auth.key-server", "auth.secret-key"),
    ),
    _AuthCheck(
        "auth.jwt-key-instance",
        "CLERK_JWT_KEY is a key of the instance",
        _jwt_key_instance,
        frozenset({_NETWORK}) | _after("auth.key-server", "auth.jwt-key"),
    ),
)
"""Every check of this room."""
