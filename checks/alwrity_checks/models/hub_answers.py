"""What a hub's refusal means, and what to do about it.

The header `X-Error-Code` decides where there is one; it is what huggingface_hub goes by. A repository that is gated is
told apart from an unknown one first, because huggingface_hub's own class for the former is a subclass of the latter.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

__all__ = ["HubFault", "Question", "refusal", "retry_after", "unreachable"]

_BAD_CREDENTIALS: Final = re.compile(r"invalid (credentials|user ?token|username or password)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LONGEST_TOLD: Final = 200
_TOKEN_REMEDY: Final = "make a read token at https://huggingface.co/settings/tokens and set HF_TOKEN"  # noqa: S105 - words


class HubFault(ModelUnavailable):
    """The hub did not give what was asked for."""

    def __init__(
        self,
        reason: Reason,
        diagnosis: str,
        remedy: str = "",
        *,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """Take what happened; `transient` where asking again may help, `retry_after` in seconds where the hub says."""
        super().__init__(reason, diagnosis, remedy)
        self.transient = transient
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked for."""

    endpoint: str
    model: str
    revision: str
    name: str = ""
    """The file; empty for the listing."""
    with_token: bool = False
    """Whether a token was sent."""

    def __str__(self) -> str:
        return f"{self.name} of {self.model}" if self.name else self.model


def refusal(question: Question, status: int, headers: Mapping[str, str]) -> HubFault:
    """Return what the answer `status` means; `headers` with names in lower case."""
    said = scrub(headers.get("x-error-message", ""))[:_LONGEST_TOLD]
    fault = _by_code(question, headers.get("x-error-code", "")) or _by_status(question, status, headers, said)
    if said and said not in fault.diagnosis:
        fault.diagnosis += f' (the hub says: "{said}")'
        fault.args = (fault.diagnosis,)
    return fault


def _by_code(question: Question, code: str) -> HubFault | None:
    match code:
        case "GatedRepo":
            page = f"{question.endpoint}/{question.model}"
            return HubFault(
                Reason.MODEL_GATED,
                f"{question.model} is gated: its owner gives it only to those who have accepted the conditions",
                f"accept them at {page} with the account whose token HF_TOKEN holds, or choose another model"
                if question.with_token
                else f"accept them at {page}, then {_TOKEN_REMEDY}",
            )
        case "RepoNotFound":
            return _unknown(question)
        case "RevisionNotFound":
            return HubFault(
                Reason.REVISION_UNKNOWN,
                f"{question.model} has no revision {question.revision}",
                f"choose one of those at {question.endpoint}/{question.model}/tree/main, or leave it out",
            )
        case "EntryNotFound":
            return HubFault(
                Reason.FILE_MISSING,
                f"{question.model} has no file {question.name}",
                f"look at {question.endpoint}/{question.model}/tree/{question.revision}",
            )
    return None


def _unknown(question: Question) -> HubFault:
    whose = "" if question.with_token else f"; if it is private, {_TOKEN_REMEDY}"
    return HubFault(
        Reason.MODEL_UNKNOWN,
        f"{question.endpoint} knows no model {question.model}, or keeps it from whoever asked",
        f"check the spelling (owner/name) at {question.endpoint}/models{whose}",
    )


def _by_status(question: Question, status: int, headers: Mapping[str, str], said: str) -> HubFault:
    match status:
        case HTTPStatus.UNAUTHORIZED if question.with_token or _BAD_CREDENTIALS.search(said):
            return HubFault(
                Reason.HUB_UNAUTHORISED,
                f"{question.endpoint} does not accept the token (401): it is wrong, expired or revoked",
                f"unset HF_TOKEN for a public model; otherwise {_TOKEN_REMEDY}",
            )
        case HTTPStatus.UNAUTHORIZED:
            # The hub answers a stranger so for every name that it does not show to everybody.
            return _unknown(question)
        case HTTPStatus.FORBIDDEN:
            return HubFault(
                Reason.HUB_UNAUTHORISED,
                f"{question.endpoint} forbids reading {question} (403)",
                "give the token the right to read this repository, or ask whoever runs the mirror",
            )
        case HTTPStatus.NOT_FOUND:
            return _by_code(question, "EntryNotFound" if question.name else "RepoNotFound") or _unknown(question)
        case HTTPStatus.TOO_MANY_REQUESTS:
            wait = retry_after(headers)
            told = "" if wait is None else f"; it asks to wait {wait:.0f} s"
            return HubFault(
                Reason.HUB_RATE_LIMITED,
                f"{question.endpoint} has had too many requests from here (429){told}",
                "wait and try again; a token (HF_TOKEN) raises the limit",
                transient=True,
                retry_after=wait,
            )
    own_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return HubFault(
        Reason.HUB_ERROR,
        f"{question.endpoint} answered {status} for {question}",
        "try again later; https://status.huggingface.co says how the hub is"
        if own_fault
        else "check HF_ENDPOINT: it must be a hub, or a mirror of one",
        transient=own_fault or status == HTTPStatus.REQUEST_TIMEOUT,
        retry_after=retry_after(headers),
    )


def unreachable(endpoint: str, because: str) -> HubFault:
    """Return the fault of a hub that nobody answers for."""
    return HubFault(
        Reason.HUB_UNREACHABLE,
        f"{endpoint} cannot be reached: {because}",
        "check the network and the proxy settings; without a network set HF_HUB_OFFLINE=1 and use what is in the cache",
        transient=True,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After` (RFC 9110: seconds, or a date), None without it. Never raises.

    A date counts from the answer's own `Date`, because the two clocks need not agree.
    """
    value = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    if (until := _moment(value)) is None:
        return None
    since = _moment(headers.get("date", ""))
    return max(0.0, until - (time.time() if since is None else since))


def _moment(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None
