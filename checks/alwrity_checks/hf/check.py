"""What can be checked of a backend's way to Hugging Face's router: settings offline, the rest with a network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Requirement, RequirementKind

if TYPE_CHECKING:
    from alwrity_checks.model import Context, Finding

__all__ = ["CHECKS"]

_TOKEN_NAMES: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_NETWORK: Final = Requirement(RequirementKind.NETWORK)
_TOKEN: Final = Requirement(RequirementKind.CREDENTIAL, _TOKEN_NAMES)
_TOKEN_SETTING: Final = Requirement(RequirementKind.SETTING, _TOKEN_NAMES)
# The router's address has a default, so that only these tell whether a backend asks it at all.
_HF_SETTING: Final = Requirement(RequirementKind.SETTING, (*_TOKEN_NAMES, "HF_ROUTER_BASE_URL", "HF_FALLBACK_MODELS"))


@dataclass(frozen=True, slots=True)
class _HfCheck:
    name: str
    title: str
    examine: Callable[[Context], Awaitable[Sequence[Finding]]]
    requires: frozenset[Requirement] = frozenset()
    issue: int = 2
    timeout: timedelta = timedelta(seconds=15)

    async def run(self, context: Context) -> Sequence[Finding]:
        return await self.examine(context)


async def _base_url(context: Context) -> Sequence[Finding]:
    from alwrity_checks.hf.check_settings import base_url_findings

    return base_url_findings(context.settings, offline=context.offline)


async def _token(context: Context) -> Sequence[Finding]:
    from alwrity_checks.hf.check_settings import token_findings

    return tuple(token_findings(context.settings))


async def _endpoint(context: Context) -> Sequence[Finding]:
    from alwrity_checks.hf.check_network import endpoint_findings

    return await endpoint_findings(context.settings)


async def _account(context: Context) -> Sequence[Finding]:
    from alwrity_checks.hf.check_network import account_findings

    return await account_findings(context.settings)


async def _models(context: Context) -> Sequence[Finding]:
    from alwrity_checks.hf.check_network import models_findings

    return await models_findings(context.settings)


def _after(*names: str) -> frozenset[Requirement]:
    return frozenset(Requirement(RequirementKind.CHECK, (name,)) for name in names)


CHECKS: Final = (
    _HfCheck("hf.base-url", "the base URL has the form of a router's", _base_url, frozenset({_HF_SETTING})),
    _HfCheck("hf.token", "the token has the form of a Hugging Face token", _token, frozenset({_TOKEN_SETTING})),
    _HfCheck("hf.endpoint", "a router stands behind the base URL", _endpoint, frozenset({_NETWORK, _HF_SETTING})),
    _HfCheck(
        "hf.account",
        "the token is valid and may call models",
        _account,
        _after("hf.token") | {_NETWORK, _TOKEN},
    ),
    _HfCheck(
        "hf.models",
        "the router lists the models that the backend asks for",
        _models,
        _after("hf.endpoint") | {_NETWORK},
    ),
)
"""Every check of this room."""
