"""The same fold on an existing Dask cluster: logs that outgrow one machine are read where they lie.

open_remote        what was named -> streams at fsspec addresses (`s3://...`, `file://...`)
scan_on_cluster    streams -> one summary; each part is a task, and tasks of a worker that dies are done by another one

The cluster is the user's: nothing is started on it but tasks, nothing of it is ended, and it is examined before it is
used. A part's summary depends on its bytes alone, so it does not matter where it was made, or how often.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from alwrity_checks.errors import CannotCheck, ConfigurationError, DoctorError, MissingExtra
from alwrity_checks.logs.inflating import MAGIC_LENGTH, compression_of, decompressor, inflated
from alwrity_checks.logs.probe import Gatherer, Probe, SkipReason
from alwrity_checks.logs.rotation import LOG_NAME
from alwrity_checks.logs.segments import Part, Reading, parts_of
from alwrity_checks.logs.streams import Opened, Stream, Unread

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["RemoteStream", "code_fingerprint", "open_remote", "scan_on_cluster"]

_PURPOSE: Final = "reading logs on a Dask cluster"
_PATIENCE: Final = 10.0
"""Seconds for the scheduler to answer, and again for a worker to be there."""
_AHEAD: Final = 8 * 1024 * 1024
"""Bytes that are asked of a store at a time."""
_WAITING: Final = 4
"""Tasks that are submitted for each thread of the cluster; more would only fill the scheduler."""
_RETRIES: Final = 2
_AGAIN: Final = "look at the cluster's own log, and run the same command again"


@dataclass(frozen=True, slots=True)
class RemoteStream(Stream):
    """A log at an fsspec address; `path` is the address, and any worker can open it."""

    def open(self) -> BinaryIO:
        """Return its decompressed bytes. Raises OSError as `Stream.open` does."""
        import fsspec  # type: ignore[import-untyped]

        with _translated(self.id):
            raw = cast("BinaryIO", fsspec.open(self.path, "rb").open())
        return inflated(raw, self.compression)


class _translated:  # noqa: N801 - reads like a function
    """The stores' own exceptions, of which each has its own, as OSError."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, (OSError, DoctorError)) or not isinstance(error, Exception):
            return
        raise OSError(0, f"{type(error).__name__}") from error


class _Ranged:
    """Bytes at offsets of an object, asked for in large pieces."""

    def __init__(self, url: str) -> None:
        import fsspec

        with _translated(url):
            self._store, self._path = fsspec.core.url_to_fs(url)
        self._kept = b""
        self._start = 0

    def read_at(self, length: int, offset: int, /) -> bytes:
        """Return up to `length` bytes from `offset` on, fewer at the end. Raises OSError."""
        if not self._start <= offset <= offset + length <= self._start + len(self._kept):
            with _translated(self._path):
                self._kept = self._store.cat_file(self._path, offset, offset + max(length, _AHEAD))
            self._start = offset
        begin = offset - self._start
        return self._kept[begin : begin + length]


def open_remote(arguments: Sequence[str]) -> Opened:
    """Return the streams at the addresses and patterns that `arguments` name; a path is one on every worker.

    Raises MissingExtra without fsspec, and ConfigurationError for a store whose package is not installed.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("fleet", _PURPOSE) from error
    streams: dict[str, Stream] = {}
    unread: list[Unread] = []
    notes: list[str] = []
    for argument in arguments:
        if argument == "-":
            unread.append(Unread(argument, "standard input is on this machine alone", "leave --scheduler out"))
            continue
        url = argument if "://" in argument else f"file://{os.path.abspath(argument)}"  # noqa: PTH100 - may be a pattern
        try:
            with _translated(argument):
                store, path = fsspec.core.url_to_fs(url)
                found = _found(store, path)
        except OSError as error:
            unread.append(_unread(argument, error))
            continue
        except DoctorError as error:
            unread.append(Unread(argument, error.diagnosis, error.remedy))
            continue
        if not found:
            unread.append(Unread(argument, "nothing is there", "name logs that exist", missing=True))
        for one in found:
            address = store.unstrip_protocol(one)
            if address in streams:
                notes.append(f"{address} was named twice and is read once")
                continue
            stream = _remote(store, one, address)
            if isinstance(stream, Unread):
                unread.append(stream)
            else:
                streams[address] = stream
    return Opened(tuple(streams.values()), tuple(unread), tuple(notes))


def _unread(name: str, error: OSError) -> Unread:
    if isinstance(error.__cause__, ImportError):
        package = str(error.__cause__).strip().splitlines()[0]
        return Unread(name, f"its store needs a package: {package}", "pip install it, here and on the workers")
    if isinstance(error, FileNotFoundError):
        return Unread(name, "does not exist", "name logs that exist", missing=True)
    return Unread(
        name, f"cannot be listed: {error.strerror or type(error).__name__}", "look at the store's credentials"
    )


def _found(store: Any, path: str) -> list[str]:  # noqa: ANN401 - an fsspec file system
    if store.isdir(path):
        return sorted(one for one in store.ls(path, detail=False) if LOG_NAME.search(one))
    if any(one in path for one in "*?[") and not store.exists(path):
        return sorted(one for one in store.glob(path) if not store.isdir(one))
    return [path] if store.exists(path) else []


def _remote(store: Any, path: str, address: str) -> Stream | Unread:  # noqa: ANN401 - as above
    try:
        with _translated(address):
            size = store.info(path)["size"]
            compression = compression_of(store.cat_file(path, 0, MAGIC_LENGTH))
        if compression:
            decompressor(compression)
    except OSError as error:
        return _unread(address, error)
    except DoctorError as error:
        return Unread(address, error.diagnosis, error.remedy)
    return RemoteStream(address, address, None if compression else size, compression)


class _Order(NamedTuple):
    """What is the same for every task of a run."""

    probes: tuple[Probe, ...]
    gatherer: Callable[[str, int], Gatherer[Any]]
    engine: str
    segment: int | None


_of_this_thread: Final = threading.local()
"""A thread's last order and what was made for it: patterns are compiled once, not for every part."""


def _work(order: _Order, part: Part) -> Any:  # noqa: ANN401 - what the gatherers return
    """Return the summary of a part. Runs on a worker."""
    kept = getattr(_of_this_thread, "reading", None)
    if kept is None or kept[0] != order:
        from alwrity_checks.logs.choice import choose, matcher_for

        chosen = choose(cast("Any", order.engine)).engine
        kept = (order, Reading(matcher_for(chosen, order.probes), order.gatherer, order.segment))
        _of_this_thread.reading = kept
    reading: Reading = kept[1]
    if part.stop is None:
        return reading.summary_of(part)
    try:
        source = _Ranged(str(part.stream.path))
    except OSError as error:
        return reading.nothing(part, SkipReason.UNREADABLE, error.strerror or type(error).__name__)
    return reading.summary_of(part, source)


def scan_on_cluster(  # noqa: PLR0913 - as `engine.scan`
    streams: Sequence[Stream],
    probes: Sequence[Probe],
    gatherer: Callable[[str, int], Gatherer[Any]],
    *,
    scheduler: str,
    engine: str = "auto",
    segment: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Any:  # noqa: ANN401 - what the gatherers return; None for no stream
    """Return the summary of all streams, made on the cluster at `scheduler`; `progress` hears of what was read.

    Raises MissingExtra without Dask, ConfigurationError for a cluster that cannot be reached or does not fit (other
    versions, no worker, workers without this package), and CannotCheck if it is lost meanwhile.
    """
    client = _connected(scheduler)
    try:
        _examine(client, scheduler)
        order = _Order(tuple(probes), gatherer, engine, segment)
        return _fold(client, order, [part for one in streams for part in parts_of(one, segment)], progress)
    finally:
        client.close(timeout=_PATIENCE)


def _connected(address: str) -> Any:  # noqa: ANN401 - distributed.Client
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtra("fleet", _PURPOSE) from error
    remedy = "name the address that the scheduler prints: tcp://HOST:8786"
    _, _, place = address.rpartition("://")
    if not place.rpartition(":")[2].isdigit():
        raise ConfigurationError(f"{address} is not the address of a Dask scheduler", remedy)
    if not _answers(address):
        # Asked before: the client itself waits for ever for what accepts and says nothing.
        raise ConfigurationError(f"no Dask scheduler can be reached at {address}: nothing there answers as one", remedy)
    try:
        return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, TimeoutError) as error:
        raise ConfigurationError(f"no Dask scheduler can be reached at {address}", remedy) from error


def _answers(address: str) -> bool:
    """Say whether a scheduler tells who it is, within the time that there is."""
    import asyncio

    from distributed.core import connect

    async def asked() -> bool:
        comm = await connect(address, timeout=_PATIENCE)
        try:
            await comm.write({"op": "identity", "reply": True})
            answer: Any = await comm.read()
        finally:
            comm.abort()
        return isinstance(answer, dict) and answer.get("type") == "Scheduler"

    async def in_time() -> bool:
        return await asyncio.wait_for(asked(), _PATIENCE)

    try:
        return asyncio.run(in_time())
    except Exception:  # noqa: BLE001 - refusals, time-outs and other protocols, each with its own exception
        return False


def _examine(client: Any, address: str) -> None:  # noqa: ANN401 - distributed.Client
    """Raise ConfigurationError where the cluster could not do the work, with what would change that."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        raise ConfigurationError(
            f"the Dask scheduler at {address} has no worker", f"start one: dask worker {address}"
        ) from error
    try:
        versions = client.get_versions(check=False)
    except Exception as error:
        raise ConfigurationError(
            f"the Dask cluster at {address} does not tell its versions ({type(error).__name__})",
            "install the same release of distributed here and there",
        ) from error
    _compare_versions(versions)
    _compare_code(client)


def _compare_versions(versions: dict[str, Any]) -> None:
    ours = versions["client"]
    for name, theirs in [("the scheduler", versions["scheduler"]), *sorted(versions["workers"].items())]:
        if not theirs:
            continue
        here, there = (_python(one) for one in (ours, theirs))
        if here != there:
            raise ConfigurationError(
                f"this is Python {here}, and {name} of the Dask cluster runs {there}: tasks cannot be handed over",
                f"run alwrity-doctor with Python {there}",
            )
        for package in ("dask", "distributed"):
            mine, other = ours["packages"].get(package), theirs["packages"].get(package)
            if mine != other:
                raise ConfigurationError(
                    f"{package} is {mine} here and {other} on {name} of the Dask cluster",
                    f'pip install "{package}=={other}"',
                )


def _python(side: dict[str, Any]) -> str:
    text: str = side["packages"].get("python") or side["host"].get("python", "")
    return ".".join(text.split(".")[:2])


def code_fingerprint() -> str:
    """Return what is the same where the same triage is installed: a digest of this package's code and signatures."""
    digest = hashlib.blake2b(digest_size=8)
    for room in ("logs", "hf", "auth", "txtai", "models", "startup"):
        for file in sorted(files(f"alwrity_checks.{room}").iterdir(), key=lambda one: one.name):
            if file.name == "signatures.toml" or (room == "logs" and file.name.endswith(".py")):
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _compare_code(client: Any) -> None:  # noqa: ANN401 - distributed.Client
    def told() -> str:
        # Handed over by value, since it has to run where the package is missing.
        from importlib import import_module

        try:
            answer: str = import_module("alwrity_checks.logs.fleet").code_fingerprint()
        except ImportError:
            return ""
        return answer

    answers: dict[str, Any] = client.run(told, on_error="return")
    wanted = code_fingerprint()
    missing = sorted(worker for worker, answer in answers.items() if answer == "" or isinstance(answer, Exception))
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of {len(answers)} workers of the Dask cluster cannot import alwrity_checks: {missing[0]}",
            "install the same release of alwrity-doctor where the workers run, and start them again",
        )
    other = sorted(worker for worker, answer in answers.items() if answer != wanted)
    if other:
        raise ConfigurationError(
            f"{len(other)} of {len(answers)} workers of the Dask cluster have another release of alwrity-doctor: "
            f"{other[0]}",
            "install the same release of alwrity-doctor where the workers run, and start them again",
        )


def _fold(client: Any, order: _Order, parts: Sequence[Part], progress: Callable[[str, int], None] | None) -> Any:  # noqa: ANN401 - distributed's
    """Fold the parts. The order goes with every task: scattered, it would be lost with the worker that holds it."""
    from distributed import as_completed

    threads = sum(client.nthreads().values()) or 1
    waiting = iter(parts)
    of_future: dict[str, Part] = {}

    def submitted(count: int) -> Iterator[Any]:
        # The count first: a part that was taken from `waiting` has to be submitted.
        for _, part in zip(range(count), waiting, strict=False):
            future = client.submit(_work, order, part, pure=False, retries=_RETRIES)
            of_future[future.key] = part
            yield future

    summary: Any = None
    running = as_completed(list(submitted(threads * _WAITING)), loop=client.loop)
    for future in running:
        part = of_future.pop(future.key)
        more = _came_to(future, part, order)
        summary = more if summary is None else summary.merge(more)
        if progress is not None:
            progress(part.stream.id, (part.stop or part.start) - part.start)
        for next_one in submitted(1):
            running.add(next_one)
    if of_future or next(waiting, None) is not None:
        raise CannotCheck("the Dask cluster left parts of the logs unread", _AGAIN)
    return summary


def _came_to(future: Any, part: Part, order: _Order) -> Any:  # noqa: ANN401 - distributed.Future
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        return future.result()
    except KilledWorker:
        # As on one machine: a part that ends every process that reads it is left out, and said to be.
        return Reading(cast("Any", None), order.gatherer).nothing(part, SkipReason.DIED)
    except FutureCancelledError as error:
        raise CannotCheck("the Dask cluster was lost while it read the logs", _AGAIN) from error
    except DoctorError:
        raise
    except Exception as error:
        # A worker that came later than the examination may lack what it takes.
        raise CannotCheck(f"a worker of the Dask cluster failed with {type(error).__name__}", _AGAIN) from error
