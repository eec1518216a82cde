"""Diagnosis of a browser capture: why API requests were refused, and whether they were sent before a session existed.

Every API request that was answered with 401 or 403 gets one cause. The token is judged at the moment it was sent, by
the clock of the server where the capture shows it, and without its signature: a capture holds no key.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.har.causes import Cause, Refusal, Undecided, causes_of
from alwrity_checks.auth.har.reader import CaptureCut, Entry, read_entries
from alwrity_checks.auth.har.request import TokenJudge, clocks
from alwrity_checks.auth.har.text import EXPORT
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.rules import rule_of
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import Event, Finding, Observer

__all__ = ["Capture", "Doubt", "findings", "open_capture", "read_capture"]

_T = TypeVar("_T")
_REFUSED: Final = frozenset({401, 403})
_SUCCESS: Final = range(200, 300)
_SCRIPTED: Final = frozenset({"xhr", "fetch"})
_ERROR: Final = re.compile(r'\berror(?:_description)?\s*=\s*"?([^",]+)')
_PROGRESS: Final = 10_000
"""Entries between two reports of progress."""
_SENSITIVE: Final = (
    'Chrome: DevTools, Settings, Preferences, Network, "Allow to generate HAR with sensitive data"; then hold the '
    'export button down and choose "Export HAR (with sensitive data)"'
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a capture without findings is not a healthy one."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Capture:
    """What a capture shows."""

    entries: int
    """All exchanges, whatever they fetched."""
    api_requests: int
    unanswered: int
    """API requests without a status: aborted, blocked, or hidden from the page by CORS."""
    refused: int
    """API requests answered with 401 or 403."""
    repeats: int
    """How many of these are the front end's own repetition of a refused request."""
    causes: tuple[Cause, ...]
    """The most frequent first."""
    truncated: bool
    """Whether the file could not be read to its end."""
    doubts: tuple[Doubt, ...]
    """If there are any, the verdict is `unknown` at best."""


@contextmanager
def open_capture(name: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input for `-`. Raises ConfigurationError if it cannot be opened."""
    if name == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise ConfigurationError("standard input is closed", "name a .har file")
        yield sys.stdin.buffer
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below; only the opening is inside this try
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise ConfigurationError(
            f"{name} cannot be read: {why}", "name a .har file, or - for standard input"
        ) from error
    with stream:
        yield stream


def read_capture(stream: BinaryIO, *, policy: ClaimPolicy | None = None, observer: Observer | None = None) -> Capture:
    """Read a HAR file, plain or gzip, and find the cause of every refusal.

    `policy.issuers` are the issuers that tokens should name; without any, those that most of the successful requests
    to the same host (else of the whole capture) carried. Memory: a few MiB, and some 400 bytes for each refused
    request. Raises ConfigurationError if the stream is no capture.
    """
    reading = _Reading(policy or ClaimPolicy(frozenset()))
    cut = ""
    try:
        for entry in read_entries(stream):
            reading.add(entry)
            if observer is not None and reading.entries % _PROGRESS == 0:
                observer.notify(Event("progress", "auth.har", f"{reading.entries} requests read"))
    except CaptureCut as error:
        cut = error.diagnosis
    return reading.capture(cut)


def findings(capture: Capture) -> tuple[Finding, ...]:
    """Return a finding for each cause that is a reason; what stays undecided is among the capture's doubts."""
    return tuple(
        Finding(rule_of(cause.reason), cause.message, cause.evidence)
        for cause in capture.causes
        if isinstance(cause.reason, Reason)
    )


@dataclass(slots=True)
class _Reading:
    """What has been seen of a capture so far."""

    policy: ClaimPolicy
    entries: int = 0
    api_requests: int = 0
    unanswered: int = 0
    credentials: bool = False
    """Whether anything at all carried an Authorization or Cookie header."""
    refusals: list[Refusal] = field(default_factory=list)
    issuers: dict[str, Counter[str]] = field(default_factory=dict)
    """Host -> how often successful requests carried each issuer."""
    first_alive: dict[tuple[str | None, str], float] = field(default_factory=dict)
    """(page, or None for any, and host) -> the first moment a living token was sent."""
    clerk_ready: dict[str, float] = field(default_factory=dict)
    """Page -> the first moment Clerk had told the front end of its client."""
    _shared: dict[Any, Any] = field(default_factory=dict)
    _judge: TokenJudge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = TokenJudge(self.policy)

    def add(self, entry: Entry) -> None:
        self.entries += 1
        self.credentials = self.credentials or bool(entry.authorization) or entry.has_cookie
        if entry.method.upper() == "OPTIONS" or entry.resource_type == "preflight":
            return
        try:
            url = urlsplit(entry.url)
            host = url.netloc.rpartition("@")[2].lower()
        except ValueError:
            return
        if _is_clerk(host, url.path):
            self._add_clerk(entry, url)
        elif entry.authorization or _is_scripted(entry) or "/api/" in url.path:
            self._add_api(entry, url, host)

    def _add_clerk(self, entry: Entry, url: SplitResult) -> None:
        if entry.moment is not None and url.path.endswith("/v1/client") and entry.status in _SUCCESS:
            ready = entry.moment + entry.elapsed
            self.clerk_ready[entry.page] = min(ready, self.clerk_ready.get(entry.page, ready))

    def _add_api(self, entry: Entry, url: SplitResult, host: str) -> None:
        self.api_requests += 1
        self.unanswered += entry.status <= 0
        query = _token_of(url.query)
        issuer, alive = self._judge.glance(entry.authorization, query, entry.moment)
        if alive and entry.moment is not None:
            for key in ((None, host), (entry.page, host)):
                self.first_alive[key] = min(entry.moment, self.first_alive.get(key, entry.moment))
        if issuer is not None and entry.status in _SUCCESS:
            self.issuers.setdefault(host, Counter())[issuer] += 1
        if entry.status in _REFUSED:
            when = clocks(entry, self.policy.leeway)
            judgement, seconds = self._judge.judge(entry.authorization, query, when)
            self.refusals.append(
                Refusal(
                    entry.index,
                    entry.moment,
                    entry.elapsed,
                    when.ahead,
                    entry.status,
                    self._share(entry.method),
                    self._share(host),
                    self._share(url.path),
                    self._share(entry.page),
                    hash((entry.method, entry.url)),
                    self._share(judgement),
                    seconds,
                    self._share(_said(entry)),
                )
            )

    def _share(self, value: _T) -> _T:
        """Return an equal object that is kept already, if there is one."""
        shared: _T = self._shared.setdefault(value, value)
        return shared

    def capture(self, cut: str) -> Capture:
        """Come to the causes; `cut` says why the file could not be read to its end, if so."""
        hosts = {refusal.host for refusal in self.refusals}
        ready = {
            (page, host): max(moments)
            for page, host in {(refusal.page, refusal.host) for refusal in self.refusals}
            if (moments := self._ready(page, host))
        }
        causes = causes_of(
            self.refusals,
            {host: self._issuers(host) for host in hosts},
            self.policy,
            ready,
            withheld=not self.credentials,
        )
        return Capture(
            self.entries,
            self.api_requests,
            self.unanswered,
            len(self.refusals),
            sum(cause.repeats for cause in causes),
            causes,
            bool(cut),
            tuple(self._doubts(causes, cut)),
        )

    def _ready(self, page: str, host: str) -> list[float]:
        alive = (self.first_alive.get((where, host)) for where in (None, page))
        return [moment for moment in (*alive, self.clerk_ready.get(page)) if moment is not None]

    def _issuers(self, host: str) -> frozenset[str]:
        """Return the issuers that tokens sent to `host` should name; none if that cannot be told."""
        if self.policy.issuers:
            return self.policy.issuers
        seen = self.issuers.get(host) or sum(self.issuers.values(), Counter())
        return frozenset(issuer for issuer, count in seen.items() if 2 * count > seen.total())

    def _doubts(self, causes: tuple[Cause, ...], cut: str) -> Iterator[Doubt]:
        for cause in causes:
            if cause.reason is Undecided.WITHHELD:
                yield Doubt(f"{cause.message}; it was exported without sensitive data", _SENSITIVE)
            if cause.reason is Undecided.TOKEN_LOOKS_GOOD:
                yield Doubt(
                    cause.message,
                    f"copy the token of log.entries[{cause.first.index}] and run: alwrity-doctor auth verify -",
                )
        if cut:
            yield Doubt(f"{cut}; {self.entries} requests were read", "export it again, and wait until it is complete")
        if self.api_requests == self.unanswered:
            yield Doubt(
                f"none of the capture's {self.api_requests} API requests was answered: there is nothing to judge"
                if self.api_requests
                else "the capture holds no API request: there is nothing to judge",
                f"{EXPORT} while the failing page loads",
            )


def _is_clerk(host: str, path: str) -> bool:
    """Whether a request is Clerk's own: to a Frontend API host, or to one behind a proxy path."""
    bare = host.partition(":")[0]
    if bare.endswith(".accounts.dev"):
        return True
    return (bare.startswith("clerk.") and path.startswith("/v1/")) or "/__clerk/" in path


def _is_scripted(entry: Entry) -> bool:
    """Whether a script sent the request. Only Chrome writes the type; the others show it in a request header."""
    return entry.resource_type in _SCRIPTED or entry.fetch_destination == "empty"


def _token_of(query: str) -> str | None:
    if "token=" not in query:
        return None
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=1000).get("token", [None])[0]
    except ValueError:
        return None


def _said(entry: Entry) -> tuple[str, ...]:
    """Return the reasons among the answer's headers; a bare challenge gives none (RFC 6750 §3.1)."""
    said = []
    for name, value in entry.reasons:
        text = ", ".join(_ERROR.findall(value)) if name == "www-authenticate" else value
        if text:
            said.append(f"{name}: {text}")
    return tuple(said)
