"""From streams to one summary: segments, both processors, and whatever happens on the way.

    summary = scan(streams, probes, gatherer)

This process reads as well: the first segments are done before a worker has begun. What only it can read, a pipe or a
file that was replaced meanwhile, it reads itself. A worker that dies costs the part that it was reading; the part is
read once more, by another one, and a second death skips it: the summary says so.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.logs.choice import Engine, choose, matcher_for
from alwrity_checks.logs.pool import Died, Pool
from alwrity_checks.logs.probe import Gatherer, Probe, SkipReason
from alwrity_checks.logs.segments import SEGMENT, Folding, Part, Reading, Replaced, open_again, parts_of
from alwrity_checks.logs.worker import RAISED, REPLACED, Order

if TYPE_CHECKING:
    from alwrity_checks.logs.blocks import FileSource
    from alwrity_checks.logs.streams import Stream

__all__ = ["scan"]

_PROCESSES: Final = 2
"""So many read unless told otherwise: each takes memory, and 64 MB are the limit for all together."""
_WORTH: Final = 2 * SEGMENT
"""Bytes below which the start of a process takes longer than what it saves."""

Progress = Callable[[str, int], None]
"""Is told a stream's id and how many more of its bytes are done."""


def scan(  # noqa: PLR0913 - a run is described by nothing less
    streams: Sequence[Stream],
    probes: Sequence[Probe],
    gatherer: Callable[[str, int], Gatherer[Any]],
    *,
    workers: int | None = None,
    engine: Engine = "auto",
    progress: Progress | None = None,
    segment: int | None = None,
) -> Any:  # noqa: ANN401 - a summary is whatever the gatherers return
    """Return the merged summary of all streams; what was skipped is in it.

    `gatherer` is called with a stream's id and the offset at which a segment begins; with more than one process it has
    to be one that can be pickled. `workers` counts the processes that read, this one included. `segment` is a length in
    bytes, for tests: the summary does not depend on it.

    Raises MissingExtra or ConfigurationError where hyperscan is asked for and cannot be used. An interrupt passes
    through and leaves no process behind.
    """
    chosen = choose(engine).engine
    reading = Reading(matcher_for(chosen, probes), gatherer, segment)
    run = _Run(reading, progress)
    parts: deque[tuple[int, Part]] = deque()
    for stream in streams:
        for part in parts_of(stream, segment):
            run.parts.append(part)
            (run.ours if stream.path is None else parts).append((len(run.parts) - 1, part))
    helpers = _helpers(workers, parts)
    try:
        if helpers:
            with Pool(helpers, Order(probes, gatherer, chosen, segment)) as pool:
                run.shared(parts, pool)
        run.alone(parts)
        run.alone(run.ours)
    finally:
        run.close()
    return run.folding.summary() if run.parts else gatherer("", 0).result()


def _helpers(workers: int | None, parts: Sequence[tuple[int, Part]]) -> int:
    """Return how many processes are started beside this one."""
    size = sum(_size(part) for _, part in parts)
    if workers is None:
        if size < _WORTH:
            return 0
        affinity = getattr(os, "sched_getaffinity", None)
        workers = min(_PROCESSES, len(affinity(0)) if affinity else os.cpu_count() or 1)
    return max(min(workers, len(parts)) - 1, 0)


def _size(part: Part) -> int:
    if part.stop is not None:
        return part.stop - part.start
    try:
        return os.stat(part.stream.path or "").st_size * 4  # noqa: PTH116 - the path may be empty
    except OSError:
        return 0


class _Run:
    """What is known of the parts while they are read."""

    def __init__(self, reading: Reading, progress: Progress | None) -> None:
        self.parts: list[Part] = []
        self.ours: deque[tuple[int, Part]] = deque()
        """What only this process can read."""
        self.folding = Folding()
        self._reading = reading
        self._progress = progress
        self._sources: dict[str, FileSource] = {}
        self._deaths: dict[int, int] = {}

    def shared(self, parts: deque[tuple[int, Part]], pool: Pool) -> None:
        """Read the parts together with the pool's workers."""
        again: deque[tuple[int, Part]] = deque()

        def serve(*, wait: bool = False) -> None:
            while (answer := pool.answer(wait=wait)) is not None:
                wait = False
                if isinstance(answer, Died):
                    self._after(answer, parts, again)
                elif answer.kind == RAISED:
                    raise answer.value
                elif answer.kind == REPLACED:
                    self.ours.append((answer.number, self.parts[answer.number]))
                else:
                    self._take(self.parts[answer.number], answer.value)
            pool.give(again)
            pool.give(parts)

        serve()
        while parts or again or pool.busy:
            if not pool.alive:
                # Too many have died. What killed one of them is not let near this process.
                for _, part in again:
                    self._take(part, self._reading.nothing(part, SkipReason.DIED))
                return
            if parts:
                self._read(parts.popleft()[1], serve)
            serve(wait=not parts and pool.busy)

    def _after(self, died: Died, parts: deque[tuple[int, Part]], again: deque[tuple[int, Part]]) -> None:
        for number in died.waiting:
            parts.appendleft((number, self.parts[number]))
        if died.reading is None:
            return
        part = self.parts[died.reading]
        if died.reading in self._deaths:
            self._take(part, self._reading.nothing(part, SkipReason.DIED, died.status))
        else:
            self._deaths[died.reading] = 1
            again.append((died.reading, part))

    def alone(self, parts: deque[tuple[int, Part]]) -> None:
        """Read the parts in this process."""
        while parts:
            self._read(parts.popleft()[1])

    def _read(self, part: Part, serve: Callable[[], None] | None = None) -> None:
        stream = part.stream
        try:
            source = self._source(stream) if part.stop is not None else None
            done = self._telling(stream.id, serve) if part.stop is None else None
            summary = self._reading.summary_of(part, source, done)
        except Replaced:
            summary = self._reading.nothing(part, SkipReason.REPLACED)
        except OSError as error:
            summary = self._reading.nothing(part, SkipReason.UNREADABLE, error.strerror or type(error).__name__)
        self._take(part, summary, told=part.stop is None)

    def _telling(self, name: str, serve: Callable[[], None] | None) -> Callable[[int], None]:
        """Return what is done now and then while a long stream is read in one go."""
        progress = self._progress

        def done(count: int) -> None:
            if progress is not None:
                progress(name, count)
            if serve is not None:
                serve()

        return done

    def _source(self, stream: Stream) -> FileSource:
        """Return the file as it was opened first: a name may lead to another one by now."""
        found = self._sources.get(stream.id)
        if found is None:
            found = self._sources[stream.id] = open_again(stream)
        return found

    def _take(self, part: Part, summary: Any, *, told: bool = False) -> None:  # noqa: ANN401 - a summary is whatever the gatherers return
        self.folding.add(summary)
        if self._progress is not None and not told:
            self._progress(part.stream.id, _size(part))

    def close(self) -> None:
        """Close what was opened."""
        for source in self._sources.values():
            source.close()
        self._sources.clear()
