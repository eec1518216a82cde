"""Why the requests of a capture were refused: one cause for each kind of reason, with counts and the first example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from alwrity_checks.auth.claims import ClaimPolicy, duration, issuer_fault
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.model import Evidence
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.auth.har.request import Judgement

__all__ = ["Cause", "Example", "Refusal", "Undecided", "causes_of"]

_REPEAT_WITHIN: Final = 10.0
"""Seconds from an answer to its repetition: the front end asks Clerk for a new token in between."""
_MOST_SHOWN: Final = 3
_LONGEST_SHOWN: Final = 160


class Undecided(StrEnum):
    """Why a request's refusal has no reason here."""

    TOKEN_LOOKS_GOOD = "token-looks-good"  # noqa: S105 - a code, not a password
    """Nothing speaks against the token at that moment; the server knows more."""
    WITHHELD = "withheld"
    """The capture was exported without credentials."""


Key: TypeAlias = Reason | Undecided


class Refusal(NamedTuple):
    """A refused API request. There may be a million of them: shared parts are shared objects."""

    entry: int
    """Its place in `log.entries`, from 0."""
    moment: float | None
    elapsed: float
    ahead: float
    """Seconds by which the server's clock is ahead of the browser's."""
    status: int
    method: str
    host: str
    """With the port."""
    path: str
    page: str
    url: int
    """A hash of the whole URL."""
    judgement: Judgement
    seconds: float
    """By how much a time is missed."""
    said: tuple[str, ...]
    """The server's own reasons."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request that can be found again in the capture."""

    index: int
    """Its place in `log.entries`, from 0."""
    method: str
    host: str
    path: str
    """Without the query."""
    moment: datetime | None
    """By the browser's clock."""
    status: int

    def __str__(self) -> str:
        moment = f" at {self.moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}" if self.moment else ""
        return f"{self.method} {self.host}{self.path}{moment}, status {self.status}, log.entries[{self.index}]"


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason why requests were refused."""

    reason: Reason | Undecided
    requests: int
    repeats: int
    """How many of them are the front end's own repetition of a refused request."""
    first: Example
    message: str
    """One line: what, how many, and the first example."""
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class _Group:
    """The refusals of one cause, added up."""

    first: Refusal
    requests: int = 0
    repeats: int = 0
    longest: float = 0.0
    shortest: float = float("inf")
    ahead: set[float] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    details: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)

    def add(self, refusal: Refusal, detail: str, *, repeated: bool) -> None:
        self.requests += 1
        self.repeats += repeated
        if refusal.seconds:
            self.longest = max(self.longest, refusal.seconds)
            self.shortest = min(self.shortest, refusal.seconds)
        if refusal.ahead:
            self.ahead = {min(self.ahead | {refusal.ahead}), max(self.ahead | {refusal.ahead})}
        if refusal.judgement.token:
            self.tokens.add(refusal.judgement.token)
        if detail:
            self.details[detail] += 1
        self.hosts[refusal.host] += 1
        self.statuses[str(refusal.status)] += 1
        self.said.update(refusal.said)


def causes_of(
    refusals: Iterable[Refusal],
    issuers: Mapping[str, frozenset[str]],
    policy: ClaimPolicy,
    ready: Mapping[tuple[str, str], float],
    *,
    withheld: bool,
) -> tuple[Cause, ...]:
    """Group refusals, given in the order of the capture, by their cause; the most frequent first.

    `issuers`: host -> the issuers its tokens should name. `ready`: (page, host) -> the moment from which a session
    existed. `withheld`: nothing in the whole capture carries a credential.
    """
    refusals = tuple(refusals)
    repeated = _repeated(refusals)
    groups: dict[Key, _Group] = {}
    for refusal in refusals:
        key, detail = _cause(refusal, issuers.get(refusal.host, frozenset()), policy, ready, withheld=withheld)
        group = groups.setdefault(key, _Group(refusal))
        group.add(refusal, detail, repeated=refusal.entry in repeated)
    ordered = sorted(groups.items(), key=lambda item: -item[1].requests)
    return tuple(_summary(key, group, len(refusals)) for key, group in ordered)


def _cause(
    refusal: Refusal,
    issuers: frozenset[str],
    policy: ClaimPolicy,
    ready: Mapping[tuple[str, str], float],
    *,
    withheld: bool,
) -> tuple[Key, str]:
    judgement = refusal.judgement
    if judgement.withheld or (withheld and judgement.reason is Reason.TOKEN_MISSING):
        return Undecided.WITHHELD, ""
    if judgement.empty and refusal.moment is not None:
        session = ready.get((refusal.page, refusal.host))
        if session is not None and refusal.moment < session:
            return Reason.HYDRATION, judgement.detail
    if issuers and judgement.issuer is not None and judgement.issuer not in issuers and not judgement.outranks_issuer:
        fault = issuer_fault(
            judgement.issuer, ClaimPolicy(issuers, proxies=policy.proxies, satellites=policy.satellites)
        )
        return fault.reason, fault.detail + (", the issuer of most successful requests" * (not policy.issuers))
    if judgement.reason is None:
        named = _named_by_server(refusal.said)
        return (
            (named, "by the server's word; the token itself looks good") if named else (Undecided.TOKEN_LOOKS_GOOD, "")
        )
    return judgement.reason, judgement.detail


def _named_by_server(said: tuple[str, ...]) -> Reason | None:
    """Return the reason code that our own component gave with its refusal."""
    codes = [text.removeprefix("x-auth-reason: ") for text in said if text.startswith("x-auth-reason: ")]
    return next((Reason(code) for code in codes if code in set(Reason)), None)


def _repeated(refusals: tuple[Refusal, ...]) -> set[int]:
    """Return the indexes of the requests that repeat a refused one.

    The front end repeats every request answered with 401 once, with a new token (`frontend/src/api/client.ts`). A
    repetition is sent after the answer to what it repeats, and nothing is repeated twice.
    """
    found: set[int] = set()
    answered: dict[int, list[float]] = {}
    """Hash of a URL -> a heap of the moments at which requests to it were refused and not yet repeated."""
    for refusal in sorted(refusals, key=lambda refusal: refusal.moment or 0.0):
        moment = refusal.moment
        if moment is None:
            continue
        waiting = answered.setdefault(refusal.url, [])
        while waiting and waiting[0] < moment - _REPEAT_WITHIN:
            heappop(waiting)
        if waiting and waiting[0] <= moment:
            heappop(waiting)
            found.add(refusal.entry)
        elif refusal.status == 401:  # noqa: PLR2004 - HTTP: Unauthorized
            heappush(waiting, moment + refusal.elapsed)
    return found


def _summary(key: Key, group: _Group, refused: int) -> Cause:
    first = group.first
    example = Example(
        first.entry,
        _shown(first.method),
        _shown(first.host),
        _shown(first.path),
        None if first.moment is None else datetime.fromtimestamp(first.moment, UTC),
        first.status,
    )
    plural = "is the front end's own repeat" if group.repeats == 1 else "are the front end's own repeats"
    repeats = f", of which {group.repeats} {plural}" if group.repeats else ""
    message = f"{group.requests} of {refused} refused requests{repeats}: {_what(key, group)}; first {example}"
    evidence = [Evidence("answers", _counted(group.statuses))]
    if len(group.hosts) > 1:
        evidence.append(Evidence("hosts", _counted(group.hosts)))
    if group.repeats:
        evidence.append(Evidence("the front end's own repeats", f"{group.repeats} of {group.requests}"))
    if group.tokens:
        evidence.append(Evidence("tokens", f"{len(group.tokens)} different; what they say is not verified"))
    if len(group.details) > 1:
        evidence.append(Evidence("seen", _counted(group.details)))
    if group.ahead:
        evidence.append(Evidence("clocks", _clocks(group)))
    if group.said:
        evidence.append(Evidence("the server's reason", _counted(group.said)))
    return Cause(key, group.requests, group.repeats, example, message, tuple(evidence))


def _what(key: Key, group: _Group) -> str:
    """Return the cause as a clause."""
    shortest, longest = duration(group.shortest), duration(group.longest)
    span = longest if shortest == longest else f"{shortest} to {longest}"
    details = ", or ".join(_shown(text) for text, _ in group.details.most_common(2))
    match key:
        case Undecided.TOKEN_LOOKS_GOOD:
            return "the token looks good at that moment: the server refused it"
        case Undecided.WITHHELD:
            return "the capture does not hold the credentials they carried"
        case Reason.HYDRATION:
            return f"sent before the session was ready ({details})"
        case Reason.TOKEN_MISSING:
            return f"no token ({details})"
        case Reason.TOKEN_PLACEHOLDER:
            return "the text null or undefined in place of a token"
        case Reason.TOKEN_EXPIRED if group.longest:
            return f"the token had expired {span} before"
        case Reason.TOKEN_NOT_ACTIVE_YET | Reason.TOKEN_IAT_IN_THE_FUTURE if group.longest:
            return f"the token was not valid for another {span}"
        case Reason.CLOCK_SKEW if group.ahead:
            return f"the token was good by the browser's clock but not by the server's: {_clocks(group)}"
    return f"the token is {details}" if key.startswith("wrong-kind") else f"{key}, {details}"


def _clocks(group: _Group) -> str:
    ahead = max(group.ahead, key=abs)
    return f"the server's clock is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the browser's"


def _counted(counts: Counter[str]) -> str:
    shown = [f"{_shown(text)} ({count})" for text, count in counts.most_common(_MOST_SHOWN)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _shown(text: str) -> str:
    """Return foreign text on one printable line, short and without credentials."""
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:4000])
    line = scrub(line)
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 1]}…"
