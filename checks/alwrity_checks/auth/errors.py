"""The two ways in which a token does not become a session."""

from __future__ import annotations

from dataclasses import dataclass

from alwrity_checks.auth.reasons import Reason
from alwrity_checks.errors import DoctorError

__all__ = ["Fault", "KeysUnavailable", "TokenRejected"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason against a token, with what was expected and what was found.

    `detail` may name key ids and issuers: it is for logs and the command line, never for an HTTP answer.
    """

    reason: Reason
    detail: str


class TokenRejected(DoctorError):  # noqa: N818 - a decision, not a malfunction
    """A token was refused; `reason` is the first reason, `faults` holds every one that could be established."""

    status: int = 401
    """The HTTP status that fits."""

    def __init__(self, reason: Reason, detail: str = "", *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason), f"alwrity-doctor explain {reason}")
        self.reason = reason
        self.detail = detail
        self.faults = faults or (Fault(reason, detail),)
        if reason in {Reason.SESSION_PENDING, Reason.INSUFFICIENT_SCOPE}:
            self.status = 403


class KeysUnavailable(TokenRejected):
    """No key could be had to judge the token with: the token may be good, so answer 503 and log nobody out."""

    status = 503

    def __init__(self, reason: Reason, detail: str, *, retry_after: float) -> None:
        super().__init__(reason, detail)
        self.retry_after = retry_after
        """Seconds until another attempt at the keys can be worth it."""
