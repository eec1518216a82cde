"""Whom the loopback router's tokens belong to, as the Hub's API tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["PERMISSION", "TOKEN", "Account"]

TOKEN: Final = "hf_" + "made0up0" * 4
"""Opens nothing but a loopback router."""
PERMISSION: Final = "inference.serverless.write"
"""What a fine-grained token needs to call a model."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token belongs to."""

    name: str = "alice"
    role: str = "fineGrained"
    """`read`, `write` or `fineGrained`."""
    global_permissions: tuple[str, ...] = (PERMISSION,)
    scoped_permissions: tuple[str, ...] = ()
    credits_gone: bool = False
    reads_billing: bool = True
    used_nano_usd: int = 40_000_000
    included_nano_usd: int = 100_000_000

    @property
    def may_infer(self) -> bool:
        """Return whether the token may call a model."""
        return self.role != "fineGrained" or PERMISSION in {*self.global_permissions, *self.scoped_permissions}

    def whoami(self) -> dict[str, Any]:
        """Return the body of `/api/whoami-v2`."""
        access: dict[str, Any] = {"displayName": "ci", "role": self.role, "createdAt": "2026-01-01T00:00:00.000Z"}
        if self.role == "fineGrained":
            entity = {"type": "user", "name": self.name}
            scoped = [{"entity": entity, "permissions": list(self.scoped_permissions)}]
            access["fineGrained"] = {
                "canReadGatedRepos": True,
                "global": list(self.global_permissions),
                "scoped": scoped,
            }
        return {
            "type": "user",
            "id": "5f0c746619cb630495b814fd",
            "name": self.name,
            "fullname": "Alice",
            "email": "alice@example.com",
            "emailVerified": True,
            "canPay": False,
            "isPro": False,
            "periodEnd": None,
            "billingMode": "postpaid",
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": access},
        }

    def usage(self) -> dict[str, Any]:
        """Return the body of `/api/settings/billing/usage-v2`."""
        inference = {
            "usedNanoUsd": self.used_nano_usd,
            "includedNanoUsd": self.included_nano_usd,
            "limitNanoUsd": None,
            "numRequests": 25,
            "periodStart": "2026-11-01T00:00:00.000Z",
            "periodEnd": "2026-12-01T00:00:00.000Z",
        }
        return {"usage": {"inferenceProviders": inference, "jobs": {}}}
