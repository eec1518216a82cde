"""The scenarios of threads and event loops: who may call from where, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.sandbox.speech import say
from alwrity_checks.txtai.legacy.engine import hashed
from alwrity_checks.txtai.scenarios.calls import warm
from alwrity_checks.txtai.scenarios.child import Ended, run
from alwrity_checks.txtai.scenarios.scenario import USER, Offer, Scenario, Seen, batch
from alwrity_checks.txtai.scenarios.stage import EMBEDDINGS_CALLS, ENGINE_CALLS, Model, Stage, embeddings_class
from alwrity_checks.txtai.watching import Call, watched

if TYPE_CHECKING:
    import numpy as np

    from alwrity_checks.txtai.scenarios.targets import Deployment, TxtaiTarget

__all__ = ["SCENARIOS", "hammer", "loops"]

_LOOPS: Final = 3
"""The first takes the lock, the second waits for it on its own loop, the third finds it bound to the second's."""
_LONGEST: Final = 30.0
"""Seconds in which at least one call ends."""
_HUNG_AFTER: Final = 2.0
"""Seconds after the end of one call, in which the others would have ended too."""
_THREADS: Final = 4
_ROUNDS: Final = 60
_MEETING: Final = 0.5
"""Seconds that the first thread inside an index waits for a second one."""
_CHILD: Final = 60.0
_STANDSTILL: Final = 5.0
"""Seconds in which no call of four threads ends: then none will."""
_ENCODING: Final = 0.15


def loops(target: TxtaiTarget, directory: str) -> None:
    """Make the first call to one user from three loops while the model loads; say how each ended."""
    calling = itertools.count(1)
    all_called, loaded, first = threading.Event(), threading.Event(), threading.Event()

    def load() -> None:
        if not loaded.is_set():
            all_called.wait(_LONGEST)
            # The calls have begun; now they reach the lock.
            time.sleep(0.2)
            loaded.set()

    ends: list[str] = []
    with Stage(model=Model(load=load), root=Path(directory)) as stage:
        deployment = target.deploy(stage)

        def caller(number: int) -> None:
            async def call() -> None:
                if next(calling) == _LOOPS:
                    all_called.set()
                offer = Offer()
                await offer.make(deployment.of(USER), batch(f"loop{number}"))
                ends.append(offer.errors[0] if offer.errors else "ok")
                if loaded.is_set() or len(ends) == _LOOPS:
                    first.set()

            # No timeout within: its timer would wake the loop and hide the hang.
            asyncio.run(call())

        threads = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(_LOOPS)]
        for thread in threads:
            thread.start()
        first.wait(_LONGEST)
        deadline = time.monotonic() + _HUNG_AFTER
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        say(ended=ends, hung=sum(thread.is_alive() for thread in threads))


def _across_loops(target: TxtaiTarget) -> Seen:
    child = _in_a_child("loops", target)
    if child.code != 0 or not child.lines:
        return _without_an_answer(child)
    told = child.lines[-1]
    ends, hung = told["ended"], told["hung"]
    counted = Counter("ok" if end == "ok" else "error" for end in ends)
    counted["hung"] = hung
    message = f"{_LOOPS} loops: " + ", ".join(f"{number} {end}" for end, number in counted.items() if number)
    errors = tuple(Evidence("error", end) for end in dict.fromkeys(ends) if end != "ok")
    if hung or any("event loop" in end for end in ends):
        return Seen(Outcome.REPRODUCED, message, errors)
    outcome = Outcome.UNKNOWN if counted["error"] else Outcome.ABSENT
    return Seen(outcome, message, errors)


class _Meeting:
    """Sees whether two threads are inside one index at the same time; the first one inside waits for a second."""

    def __init__(self) -> None:
        self.overlaps = 0
        self._inside: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()
        self._met = threading.Event()
        self._waited = False

    def entered(self, call: Call) -> None:
        with self._lock:
            inside = self._inside.setdefault(call.subject, Counter())
            inside[call.thread] += 1
            if len(inside) > 1:
                self.overlaps += 1
                self._met.set()
            wait, self._waited = not self._waited, True
        if wait:
            self._met.wait(_MEETING)

    def left(self, call: Call, error: BaseException | None) -> None:
        del error
        with self._lock:
            inside = self._inside[call.subject]
            inside[call.thread] -= 1
            if not inside[call.thread]:
                del inside[call.thread]


def hammer(target: TxtaiTarget, directory: str) -> None:
    """Search and index from four threads with a loop each, on one ready index; say what came of it, if anything can."""
    from alwrity_checks.txtai.engine import Engine

    errors: Counter[str] = Counter()
    ended: Counter[int] = Counter()
    with Stage(root=Path(directory)) as stage:
        deployment = target.deploy(stage)
        asyncio.run(_filled(deployment))
        say(ready=True)
        meeting = _Meeting()

        def work(number: int) -> None:
            async def calls() -> None:
                service = deployment.of(USER)
                for turn in range(_ROUNDS):
                    try:
                        if number % 2:
                            await service.search(f"what day{turn % 5} task 1 is about")
                        else:
                            await service.index_content(batch(f"day{turn % 5}"))
                    except Exception as error:  # noqa: BLE001 - a target may be anybody's code
                        errors[f"{type(error).__name__}: {error}"[:120]] += 1
                    ended[number] += 1

            asyncio.run(calls())

        with watched(embeddings_class(), EMBEDDINGS_CALLS, [meeting]), watched(Engine, ENGINE_CALLS, [meeting]):
            threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(_THREADS)]
            for thread in threads:
                thread.start()
            hung = not _joined(threads, ended)
        say(overlaps=meeting.overlaps, errors=dict(errors.most_common(3)), hung=hung)
        if not hung:
            deployment.close()


def _joined(threads: Sequence[threading.Thread], ended: Counter[int]) -> bool:
    """Wait for the threads for as long as calls end; say whether all came to their end."""
    before, since = -1, time.monotonic()
    while any(thread.is_alive() for thread in threads):
        if ended.total() != before:
            before, since = ended.total(), time.monotonic()
        elif time.monotonic() - since > _STANDSTILL:
            return False
        time.sleep(0.05)
    return True


async def _filled(deployment: Deployment) -> None:
    await warm(deployment)
    for day in range(5):
        await deployment.of(USER).index_content(batch(f"day{day}"))
    await asyncio.to_thread(deployment.wait, _CHILD)


def _threads(target: TxtaiTarget) -> Seen:
    child = _in_a_child("hammer", target)
    where = f"{_THREADS} threads search and index"
    if child.signal and child.lines:
        return Seen(Outcome.REPRODUCED, f"{where}: the interpreter died of {child.signal}")
    if child.lines and (child.code is None or child.lines[-1].get("hung")):
        return Seen(Outcome.REPRODUCED, f"{where}: the process hung")
    if child.code != 0 or "overlaps" not in (child.lines or ({},))[-1]:
        return _without_an_answer(child)
    told = child.lines[-1]
    errors = tuple(Evidence("error", f"{error} ({number} times)") for error, number in told["errors"].items())
    if told["overlaps"]:
        message = f"{where}: two of them inside one index at once, {told['overlaps']} times"
        return Seen(Outcome.REPRODUCED, message, errors)
    if errors:
        return Seen(Outcome.UNKNOWN, f"{where}: never two inside one index, but calls failed", errors)
    return Seen(Outcome.ABSENT, f"{where}: never two inside one index, {_THREADS * _ROUNDS} calls without an error")


def _in_a_child(act: str, target: TxtaiTarget) -> Ended:
    with tempfile.TemporaryDirectory(prefix="txtai-race-") as directory:
        return run(act, target, directory, timeout=_CHILD)


def _without_an_answer(child: Ended) -> Seen:
    last = child.errors.strip().rpartition("\n")[2]
    ended = child.signal or ("after its time was up" if child.code is None else f"with {child.code}")
    return Seen(Outcome.UNKNOWN, f"the child ended {ended} before it could say anything", (Evidence("stderr", last),))


def _stall(target: TxtaiTarget) -> Seen:
    """Index on a ready index with a model that takes its time, and look on which thread it takes it."""
    encoded_on: set[int] = set()

    def encode(texts: Sequence[str]) -> np.ndarray:
        if any("today" in text for text in texts):
            encoded_on.add(threading.get_ident())
            time.sleep(_ENCODING)
        return hashed(texts)

    with Stage(model=Model(encode=encode)) as stage:
        deployment = target.deploy(stage)
        longest, offer = asyncio.run(_with_a_ticker(deployment))
        loop = threading.get_ident()
        deployment.wait(_CHILD)
        deployment.close()
        recording = stage.recorder.recording("")
    if not encoded_on:
        return Seen(Outcome.UNKNOWN, f"nothing was encoded: {'; '.join(offer.errors) or 'the documents were dropped'}")
    evidence = (Evidence("longest stall of the loop", f"{longest * 1e3:.0f} ms"),)
    if loop in encoded_on:
        message = f"{_ENCODING * 1e3:.0f} ms of encoding ran on the event loop"
        return Seen(Outcome.REPRODUCED, message, evidence, recording=recording)
    return Seen(Outcome.ABSENT, "the encoding ran beside the event loop", evidence, recording=recording)


async def _with_a_ticker(deployment: Deployment) -> tuple[float, Offer]:
    """Offer a batch to a ready index; return the longest time for which the loop did not turn, in seconds."""
    await warm(deployment)
    offer, longest = Offer(), 0.0
    task = asyncio.ensure_future(offer.make(deployment.of(USER), batch("today")))
    before = time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    await task
    return longest, offer


SCENARIOS: Final = (
    Scenario("TXT008", "cross-loop", "the first call from three event loops while the model loads", _across_loops),
    Scenario("TXT009", "loop-stall", "a batch that takes the model a while", _stall),
    Scenario("TXT010", "segv", "searches and calls from four threads", _threads),
)
