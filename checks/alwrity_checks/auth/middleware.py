"""The switches of ALwrity's own middleware, read with its own precedence.

`ALLOW_UNVERIFIED_JWT_DEV` wins in both directions, and only `true` means yes. Where it is unset, `ENVIRONMENT`, else
`APP_ENV`, decides: `prod` and `production` close the fallback, everything else, nothing included, opens it (the
middleware since commit 01881bb4). A middleware that took our component in reads neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.findings import finding
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.unsafe import ENVIRONMENT_NAMES, says_production
from alwrity_checks.model import Evidence, Finding

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting, Settings

__all__ = ["SWITCHES", "switch_findings", "verifies_by_component"]

SWITCHES: Final = ("DISABLE_AUTH", "ALLOW_UNVERIFIED_JWT_DEV", *ENVIRONMENT_NAMES)
_READ: Final = ("ENVIRONMENT", "APP_ENV")
_LARGEST: Final = 1 << 20
_CLOSING: Final = frozenset({"prod", "production"})


def verifies_by_component(checkout: str | None) -> bool:
    """Say whether the middleware of a checkout (its root or `backend/`; None: this directory) is our component's face.

    Its source is read and never run; what cannot be read or parsed is not.
    """
    import ast

    root = Path(checkout or ".")
    for directory in (root, root / "backend"):
        try:
            with (directory / "middleware" / "auth_middleware.py").open("rb") as file:
                tree = ast.parse(file.read(_LARGEST))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return any(
            isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("alwrity_checks.auth")
            and any((alias.asname or alias.name) == "get_current_user" for alias in node.names)
            for node in tree.body
        )
    return False


def switch_findings(settings: Settings, *, by_component: bool = False) -> Iterator[Finding]:
    """Yield what the switches do to verification, by ALwrity's own middleware or by the component's face."""
    disabled = settings.get("DISABLE_AUTH")
    if by_component:
        # The face heeds it only where nothing says production, and says so in the log elsewhere.
        ignored = any(says_production(one.value.reveal()) for one in settings.every(*ENVIRONMENT_NAMES))
        if disabled is not None and _is_true(disabled) and not ignored:
            yield finding(Reason.AUTH_DISABLED, f"{disabled.name} is true: every request is the mock user", disabled)
        return
    if disabled is not None and _is_true(disabled):
        yield finding(Reason.AUTH_DISABLED, f"{disabled.name} is true: every request is the mock user", disabled)
    override = settings.get("ALLOW_UNVERIFIED_JWT_DEV")
    effective = next((one for one in settings.every(*_READ) if one.value), None)
    facts = tuple(Evidence(one.name, f"{one.shown!r:.40} from {one.location}") for one in settings.every(*SWITCHES))
    if override is not None:
        if _is_true(override):
            yield finding(
                Reason.UNVERIFIED_FALLBACK_ENABLED,
                f"{override.name} is true: forged tokens are accepted, in production too",
                override,
                facts,
            )
        return
    name = effective.value.reveal().strip().lower() if effective else ""
    if name in _CLOSING:
        return
    message = f"{effective.name} is {effective.shown!r:.40}" if effective else "neither ENVIRONMENT nor APP_ENV is set"
    yield finding(
        Reason.UNVERIFIED_FALLBACK_ENABLED,
        f"{message}: the middleware takes this for development and accepts forged tokens",
        effective,
        facts,
        commands=("export ENVIRONMENT=production",),
    )
    for trap in settings.every(*(one for one in ENVIRONMENT_NAMES if one not in _READ)):
        if says_production(trap.value.reveal()):
            yield finding(
                Reason.ENVIRONMENT_NAME_TRAP, f"{trap.name} says production, but the middleware does not read it", trap
            )


def _is_true(setting: Setting) -> bool:
    return setting.value.reveal().lower() == "true"  # not stripped: " true " is not true to the middleware
