"""Issues 5 and 6: why no local model answered, and what a start waited for.

Measured on ALwrity's own
services/intelligence/sif_agents.py and start_alwrity_backend.py at 8c2d88ef and ce9bf293.

A walk down the chain is `("chain", how it ended, last reason)`, a start `("gap", its mark, seconds at least)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.logs.causes import Found, counting
from alwrity_checks.logs.times import NOWHERE, Shift, Times
from alwrity_checks.logs.triage import Sureness

if TYPE_CHECKING:
    from alwrity_checks.logs.seen import Seen

__all__ = ["found"]

_SAME: Final = Shift(NOWHERE, 0, absolute=True)
_BLOCKED: Final = 10
"""Seconds of silence that importing alone does not explain."""
_CAUSES: Final = {"offline": "models-offline", "files-missing": "models-offline", "memory": "models-memory"}


def found(seen: Seen) -> Iterator[Found]:
    """Yield what the log says about local models and the start."""
    yield from _chains(seen)
    if (times := seen.times("models.hub-unreachable")).count:
        why = (f"{counting(times.count, 'request')} to the hub failed, and huggingface_hub went on trying",)
        yield Found("models-hub", Sureness.CERTAIN, times, "requests", why)
    if (times := seen.times("models.shared-failed")).count:
        yield Found(
            "models-error-as-answer",
            Sureness.CERTAIN,
            times,
            "generations",
            ("`SharedLLMWrapper failed to generate text`",),
        )
    yield from _download(seen)
    yield from _start(seen)


def _chains(seen: Seen) -> Iterator[Found]:
    by_cause: dict[str, Times] = {}
    for incident, times in seen.incidents.items():
        if incident[0] == "chain":
            reason = incident[2] if len(incident) > 2 else ""  # noqa: PLR2004 - ("chain", end, reason)
            by_cause.setdefault(_CAUSES.get(reason, "models-other"), Times()).join(times, _SAME)
    failures = seen.count("models.load-failed") + seen.count("models.memory")
    models = sorted(seen.entities("models.load-failed", "model") | seen.entities("models.memory", "model"))
    walks, all_times = seen.told("chain")
    for cause, times in by_cause.items():
        why = [f"{counting(times.count, 'walk')} down the chain of models failed, or ended at a fallback"]
        if models:
            why.append(f"models that could not be loaded: {', '.join(models[:4])}")
        yield Found(
            cause,
            Sureness.POSSIBLE if cause == "models-other" else Sureness.CERTAIN,
            times,
            "walks down the chain",
            tuple(why),
        )
    if walks > 1 and failures >= walks:
        text = f"{failures} failed loads in {walks} walks down the same chain: nothing remembers a failure"
        yield Found("models-retried", Sureness.CERTAIN, all_times, "walks down the chain", (text,))
    shared = seen.times("models.shared-not-loaded")
    if shared.count and not by_cause:
        yield Found(
            "models-other", Sureness.POSSIBLE, shared, "loads", ("the orchestrator's own copy could not be loaded",)
        )


def _download(seen: Seen) -> Iterator[Found]:
    blocked = {
        one: times
        for one, times in seen.incidents.items()
        if one[0] == "gap" and one[2].isdigit() and int(one[2]) >= _BLOCKED
    }
    times = Times()
    for one in blocked.values():
        times.join(one, _SAME)
    checking = seen.times("startup.checking-model")
    if times.count:
        longest = max(int(one[2]) for one in blocked)
        by_script = any(one[1] == "script" for one in blocked)
        what = (
            "between the start script's first lines and its summary"
            if by_script
            else "between the service's start and its first line"
        )
        why = [f"{counting(times.count, 'start')} with a silence of {longest} s or more, {what}"]
        if checking.count:
            why.append("`Checking local LLM model` stands before the silence")
        sure = Sureness.CERTAIN if by_script or checking.count else Sureness.LIKELY
        yield Found("startup-download", sure, times, "starts", tuple(why))
    elif checking.count:
        why_untimed = (
            "`Checking local LLM model` is printed before anything listens; the lines have no times that say how long",
        )
        yield Found("startup-download", Sureness.LIKELY, checking, "starts", why_untimed)
    unfinished, times = seen.told("gap", lambda one: one[2] == "open")
    if unfinished:
        text = f"{counting(unfinished, 'start')} without a line behind the one before the download"
        yield Found("startup-unfinished", Sureness.POSSIBLE, times, "starts", (text,))


def _start(seen: Seen) -> Iterator[Found]:
    failed = seen.times("startup.download-failed")
    failed.join(seen.times("startup.download-result", "failed"), _SAME)
    if failed.count:
        yield Found("startup-download-failed", Sureness.CERTAIN, failed, "starts", ("the start script says so",))
    broken = seen.times("startup.installing", "failed")
    lines = sorted(seen.entities("startup.not-installable", "requirement"))
    if broken.count or lines:
        why = [f"{counting(broken.count, 'start')} ended with `installing... Failed`"] if broken.count else []
        if lines:
            why.append(f"pip finds no distribution for: {', '.join(lines[:4])}")
        times = broken if broken.count else seen.times("startup.not-installable")
        yield Found("startup-not-installable", Sureness.CERTAIN, times, "starts", tuple(why))
    for signature, cause in (("startup.died", "startup-died"), ("startup.no-app", "startup-directory")):
        if (times := seen.times(signature)).count:
            yield Found(cause, Sureness.CERTAIN, times, "starts", (f"{counting(times.count, 'start')} ended so",))
