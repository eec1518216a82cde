"""Issue 3: why the index was not ready, or lost what it held.

Measured on ALwrity's own
services/intelligence/txtai_service.py at 098424f6, 4230385e, 7e4adce5, 8c2d88ef and ce9bf293.

A refused call is `("refused", index | call, level, why the start failed last)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.logs.causes import Found, counting, often
from alwrity_checks.logs.times import NOWHERE, Shift, Times
from alwrity_checks.logs.triage import Sureness

if TYPE_CHECKING:
    from alwrity_checks.logs.seen import Seen

__all__ = ["found"]

_SAME: Final = Shift(NOWHERE, 0, absolute=True)
_REASONS: Final = {
    "offline": "its files are not here and the hub cannot be reached",
    "memory": "there was no memory for it",
    "disk-full": "the disk is full",
    "gated": "the hub refused access to it",
    "package-missing": "a package is missing",
    "files-missing": "its files are not there, or not whole",
    "no-permission": "the files cannot be read or written",
    "other": "the text of the error is in the sample",
}
_VARIANTS: Final = (
    ("no-documents", "txtai-no-documents", Sureness.CERTAIN),
    ("other-loop", "txtai-loop", Sureness.CERTAIN),
    ("truncated", "txtai-truncated", Sureness.LIKELY),
    ("locked", "txtai-locked", Sureness.CERTAIN),
    ("", "txtai-failed", Sureness.POSSIBLE),
)


def found(seen: Seen) -> Iterator[Found]:
    """Yield what the log says about the semantic index."""
    yield from _not_ready(seen)
    yield from _lost(seen)
    yield from _failed(seen)
    yield from _doubled(seen)
    for signature, cause, counted in (
        ("txtai.deferred", "txtai-deferred", "calls"),
        ("txtai.similarity", "txtai-similarity", "comparisons"),
    ):
        if (times := seen.times(signature)).count:
            yield Found(cause, Sureness.CERTAIN, times, counted, (f"{counting(times.count, 'line')} of it",))


def _not_ready(seen: Seen) -> Iterator[Found]:
    refused = _refused(seen)
    starts = seen.times("txtai.start-failed")
    broken = refused["broken"]
    if broken.count or starts.count:
        reasons = {variant for (signature, variant) in seen.tallies if signature == "txtai.start-failed"}
        told = "; ".join(_REASONS.get(one, one) for one in sorted(reasons))
        why = [f"{counting(starts.count, 'start')} failed: {told}"]
        if broken.count:
            why.append(f"{counting(broken.count, 'call')} refused after that, in the same stream")
        yield _either("txtai-model", broken, starts, "starts", why)
    absent = seen.times("txtai.missing")
    absent.join(seen.times("txtai.missing-at-start"), _SAME)
    without = refused["missing"]
    if without.count or absent.count:
        why = [f"{counting(absent.count, 'line')} with: txtai is not available, or not installed"]
        if without.count:
            why.append(f"{counting(without.count, 'call')} refused after that")
        yield _either("txtai-missing", without, absent, "lines", why)
    if (race := refused["race"]).count:
        text = f"refused at ERROR, with nothing before that says that the start had failed: {race.count}"
        only = "only the unresolved merge of 4230385e writes this line at ERROR"
        yield Found("txtai-race", Sureness.LIKELY, race, "calls", (text, only))
    if (unexplained := refused["unexplained"]).count:
        text = f"refused, with nothing before in the same stream that says why: {unexplained.count}"
        more = ("a start that failed is told of elsewhere in these logs",) if starts.count or absent.count else ()
        yield Found("txtai-unexplained", Sureness.POSSIBLE, unexplained, "calls", (text, *more))


def _refused(seen: Seen) -> dict[str, Times]:
    """Return the refused calls by what was said before them."""
    found = {name: Times() for name in ("broken", "missing", "race", "unexplained")}
    for incident, times in seen.incidents.items():
        if incident[0] == "refused":
            _, asked, level, why = incident
            first = "race" if asked == "index" and level == "ERROR" else "unexplained"
            found["missing" if why == "missing" else "broken" if why else first].join(times, _SAME)
    return found


def _either(cause: str, calls: Times, others: Times, counted: str, why: list[str]) -> Found:
    if calls.count:
        return Found(cause, Sureness.CERTAIN, calls, "calls", tuple(why))
    return Found(cause, Sureness.CERTAIN, others, counted, tuple(why))


def _lost(seen: Seen) -> Iterator[Found]:
    if (times := seen.times("txtai.index-lost", "never-saved")).count:
        why = [f"{often(times.count)} the vectors' file was not there when the index was loaded"]
        sure = Sureness.LIKELY
        if _twice(seen):
            why.append("and a user's index was initialised twice in one process")
            sure = Sureness.CERTAIN
        yield Found("txtai-lost", sure, times, "starts", tuple(why))
    for variant, cause in (
        ("truncated", "txtai-truncated"),
        ("no-documents", "txtai-no-documents"),
        ("", "txtai-failed"),
    ):
        if (times := seen.times("txtai.index-lost", variant)).count:
            why_cut = (f"{often(times.count)} an index could not be loaded, and an empty one took its place",)
            yield Found(cause, Sureness.LIKELY if variant else Sureness.POSSIBLE, times, "starts", why_cut)


def _failed(seen: Seen) -> Iterator[Found]:
    for variant, cause, sure in _VARIANTS:
        times = Times()
        for signature in ("txtai.call-failed", "txtai.indexing-failed"):
            times.join(seen.times(signature, variant), _SAME)
        if cause == "txtai-locked":
            times = times if times.count else seen.times("txtai.save-skipped")
        if times.count:
            yield Found(cause, sure, times, "calls", (f"{counting(times.count, 'call')} failed in this way",))
    versions = seen.times("txtai.versions")
    versions = versions if versions.count else seen.times("txtai.call-failed", "versions")
    if versions.count:
        why = ("`IndexIDMap` without `nprobe`: txtai up to 9.1.0 with faiss from 1.13.0 on",)
        yield Found("txtai-versions", Sureness.CERTAIN, versions, "calls", why)


def _twice(seen: Seen) -> int:
    """Return how many users, of those that were kept, had more initialisations than starts and failures explain."""
    again = 1 + seen.count("logs.reload") + seen.count("startup.server-process") + seen.count("startup.process")
    if seen.count("txtai.start-failed"):
        return 0
    return sum(times > again for times in seen.entities("txtai.starting", "user").values())


def _doubled(seen: Seen) -> Iterator[Found]:
    if users := _twice(seen):
        why = (
            f"{counting(users, 'user')} with more `Initializing txtai embeddings` lines than the process had starts",
        )
        yield Found("txtai-double", Sureness.CERTAIN, seen.times("txtai.starting"), "initialisations", why)
