"""The semantic indexes of all users: one encoder, a few threads, a bounded number of indexes in memory."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.events import emit
from alwrity_checks.redaction import scrub
from alwrity_checks.settings import Settings
from alwrity_checks.txtai.encoder import Encoder, SentenceEncoder
from alwrity_checks.txtai.encoding import EncoderRegistry, Urgency, shared_encoders
from alwrity_checks.txtai.errors import Closed, NotReady
from alwrity_checks.txtai.index import IndexStatus, Pools, SemanticIndex
from alwrity_checks.txtai.initialisation import State
from alwrity_checks.txtai.model_source import MINILM
from alwrity_checks.txtai.process import Owner
from alwrity_checks.txtai.steps import Overdue, Steps, deadline_of, in_loop, in_thread, remaining
from alwrity_checks.txtai.storage import Storage, UserStore
from alwrity_checks.txtai.workers import Workers
from alwrity_checks.txtai.writer import Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEFAULT_DIRECTORY", "IndexesStatus", "SemanticIndexes", "StorageMaker"]

DEFAULT_DIRECTORY: Final = Path("workspace") / "semantic-index"
"""Below the working directory at the time of `from_environment`."""

StorageMaker: TypeAlias = Callable[[str, int], Storage]
"""Makes the storage for an encoder's identity and dimensions.

The one made for ("", 0) only accepts, and is never opened: documents are accepted before the encoder is known.
"""

_PATIENCE: Final = 30.0
_WORKERS: Final = 4
_MOST_OPEN: Final = 64
_CLOSING: Final = 20.0
_LAST_MOMENTS: Final = 10.0
"""Seconds for what is under way when the interpreter ends; everything accepted is durable anyway."""

_log: Final = logging.getLogger("alwrity_checks.txtai")


@dataclass(frozen=True, slots=True)
class IndexesStatus:
    """How the indexes of a process stand."""

    encoder: State
    encoder_error: str | None
    encoder_retry_at: float | None
    """When the encoder is tried again, in seconds since the epoch; None if that is not waited for."""
    indexes: Mapping[str, IndexStatus]
    """By user id: those that this process has used."""


class SemanticIndexes:
    """Makes and keeps the indexes of all users. Thread-safe; one instance serves a process.

    It belongs to the process that uses it first: one that was made before a fork, and not used, may be used after it.
    """

    def __init__(  # noqa: PLR0913 - each is a knob that somebody must be able to turn
        self,
        storage: StorageMaker,
        *,
        model: str = MINILM,
        load: Callable[[str], Encoder] = SentenceEncoder.load,
        fail_fast: bool = True,
        most_open: int = _MOST_OPEN,
        encoders: EncoderRegistry = shared_encoders,
    ) -> None:
        """Name where documents are kept, and the encoder's model (a directory, or a name on the hub).

        `fail_fast` says whether a search is critical where it does not say so itself; `most_open` bounds the indexes in
        memory that nothing is being done with. Nothing is read, written or started yet.
        """
        self.model = model
        self.fail_fast = fail_fast
        self._storage = storage
        self._most_open = most_open
        self._encoders = encoders
        self._key = (model, load)
        self._load = partial(load, model)
        self._owner = Owner()
        self._lock = threading.Lock()
        self._indexes: dict[str, tuple[SemanticIndex, Writer]] = {}
        self._open: OrderedDict[Writer, None] = OrderedDict()
        self._encoder = encoders.acquire(self._key, self._load)
        self._workers = Workers(_WORKERS, "txtai-worker")
        self._pools = Pools(
            ThreadPoolExecutor(2, thread_name_prefix="txtai-accept"),
            ThreadPoolExecutor(4, thread_name_prefix="txtai-search"),
        )
        self._door = storage("", 0)
        self._started = False
        self._closed = False
        self._ended: Future[bool] = Future()
        self._released = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> SemanticIndexes:
        """Read the settings from the process environment (or `environment`).

        `ALWRITY_TXTAI_DIR` is where documents are kept (`workspace/semantic-index` without it), `ALWRITY_TXTAI_MODEL`
        the encoder's model (MiniLM without it), `ALWRITY_TXTAI_ENCODER=int8` takes the faster encoder of the extra
        [onnx], and `SIF_FAIL_FAST`, ALwrity's own switch, says whether searches that
        say nothing are critical (they are unless it is set to something other than 1, true, yes or on). With
        `ALWRITY_TXTAI_URL` documents are kept in that PostgreSQL database instead, which several hosts may share.
        Raises ConfigurationError for a URL that is none, and MissingExtra.
        """
        settings = Settings.load(environment)
        fail_fast = settings.text("SIF_FAIL_FAST", "true").strip().lower() in {"1", "true", "yes", "on"}
        return cls(
            _storage(settings),
            model=settings.text("ALWRITY_TXTAI_MODEL").strip() or MINILM,
            load=_encoder(settings),
            fail_fast=fail_fast,
        )

    def of(self, user_id: object) -> SemanticIndex:
        """Return the index of a user, the same object every time. Any string will do; no path is made of it.

        Raises ConfigurationError for what is no user id, ForkedProcess and Closed.
        """
        if not isinstance(user_id, str) or not user_id:
            raise ConfigurationError(f"the user id {user_id!r:.80} is no string, or an empty one", "pass the user's id")
        self._owner.check()
        with self._lock:
            if self._closed:
                raise Closed
            known = self._indexes.get(user_id)
            if known is None:
                known = self._indexes[user_id] = self._made(user_id)
            elif known[1] in self._open:
                self._open.move_to_end(known[1])
            return known[0]

    def start(self) -> None:
        """Load the encoder, and go on with what was accepted before this process began; in the background."""
        self._owner.check()
        with self._lock:
            if self._started or self._closed:
                return
            self._started = True
        atexit.register(self._at_exit)
        self._encoder.start()
        self._workers.submit(self._resume)

    async def ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - raises NotReady, no TimeoutError
        """Wait until the encoder is loaded.

        Raises NotReady after `timeout` seconds, or at once if the next attempt is later than that, and Closed.
        """
        await in_loop(self._until_ready(deadline_of(timeout)), timeout)

    def ready_sync(self, timeout: float | None = None) -> None:
        """Do as `ready` does, in a thread."""
        in_thread(self._until_ready(deadline_of(timeout)), timeout)

    async def encode(self, texts: Sequence[str], timeout: float | None = _PATIENCE) -> NDArray[np.float32]:  # noqa: ASYNC109 - as in `ready`
        """Return the texts' vectors, float32 of shape (len(texts), dimensions), each of length 1.

        Raises NotReady after `timeout` seconds, or if the encoder cannot take the texts, and Closed.
        """
        return await in_loop(self._encode(texts, deadline_of(timeout)), timeout)

    def encode_sync(self, texts: Sequence[str], timeout: float | None = _PATIENCE) -> NDArray[np.float32]:
        """Do as `encode` does, in a thread."""
        return in_thread(self._encode(texts, deadline_of(timeout)), timeout)

    def status(self) -> IndexesStatus:
        """Return how everything stands; reads the queue of every user that was used, so call it in a thread."""
        self._owner.check()
        condition = self._encoder.condition
        with self._lock:
            indexes = {user_id: index for user_id, (index, _) in self._indexes.items()}
        return IndexesStatus(
            condition.state,
            scrub(str(condition.error)) if condition.error else None,
            time.time() + self._encoder.until_retry() if condition.state is State.FAILED else None,
            {user_id: index.status() for user_id, index in indexes.items()},
        )

    async def close(self, timeout: float = _CLOSING) -> bool:  # noqa: ASYNC109 - what is not done then, is not lost
        """End what is under way, give everything up; say whether that was done within `timeout` seconds.

        What was accepted and is not searchable yet becomes so after the next start.
        """
        waiting: Future[bool] = Future()
        waiting.set_running_or_notify_cancel()  # whoever gives up waiting does not stop the closing

        def close() -> None:
            waiting.set_result(self.close_sync(timeout))

        threading.Thread(target=close, name="txtai-close", daemon=True).start()
        return await in_loop(_result_of(waiting), None)

    def close_sync(self, timeout: float = _CLOSING) -> bool:
        """Do as `close` does, in a thread."""
        self._owner.check()
        deadline = deadline_of(timeout)
        with self._lock:
            first, self._closed = not self._closed, True
        if not first:
            return self._ended_after(deadline)
        ended = False
        try:
            ended = self._end(deadline)
        finally:
            self._ended.set_result(ended)
            # Not before: an interpreter that ends meanwhile has to wait.
            atexit.unregister(self._at_exit)
        return ended

    def _end(self, deadline: float | None) -> bool:
        for writer in self._writers():
            writer.close()
        self._pools.accepting.shutdown(wait=False, cancel_futures=True)
        self._pools.searching.shutdown(wait=False, cancel_futures=True)
        self._released = self._encoders.release(self._key, self._encoder, remaining(deadline))
        return self._wait(deadline)

    def _ended_after(self, deadline: float | None) -> bool:
        """Wait for whoever closes, and for what he has not waited for to the end."""
        try:
            ended = self._ended.result(remaining(deadline))
        except TimeoutError:
            return False
        # An encoder that others use was released at once, and is not ours to close.
        self._released = self._released or self._encoder.close(remaining(deadline))
        return ended or self._wait(deadline)

    def _wait(self, deadline: float | None) -> bool:
        done = [self._released]
        for writer in self._writers():
            with contextlib.suppress(TimeoutError):
                writer.closed.result(remaining(deadline))
            done.append(writer.closed.done())
        # Writers that are not closed yet need a thread to give their stores up, and the right to write with them.
        done.append(all(done[1:]) and self._workers.close(remaining(deadline)))
        for writer in self._writers():
            writer.outstanding.abandon(Closed())
        return all(done)

    def _writers(self) -> list[Writer]:
        with self._lock:
            return [writer for _, writer in self._indexes.values()]

    def _at_exit(self) -> None:
        # A daemon thread inside torch or SQLite while the interpreter goes down can take it down with a signal.
        with contextlib.suppress(Exception):
            self.close_sync(_LAST_MOMENTS)

    def _until_ready(self, deadline: float | None) -> Steps[None]:
        self.start()
        while True:
            condition, changed = self._encoder.observe()
            if condition.state is State.READY:
                return
            if condition.state is State.CLOSED:
                raise Closed
            left = remaining(deadline)
            if condition.state is State.FAILED and left is not None and self._encoder.until_retry() > left:
                raise self._not_ready()
            try:
                yield changed
            except Overdue:
                raise self._not_ready() from None

    def _encode(self, texts: Sequence[str], deadline: float | None) -> Steps[NDArray[np.float32]]:
        yield from self._until_ready(deadline)
        try:
            vectors: NDArray[np.float32] = yield self._encoder.encode(texts, Urgency.QUERY)
        except Overdue:
            raise self._not_ready() from None
        except Closed:
            raise
        except Exception as error:
            raise NotReady(f"the texts could not be encoded: {scrub(str(error))}") from error
        return vectors

    def _not_ready(self) -> NotReady:
        condition = self._encoder.condition
        failed = condition.state is State.FAILED
        return NotReady(
            scrub(str(condition.error)) if condition.error else "the encoder is still being loaded, or busy",
            getattr(condition.error, "remedy", ""),
            retry_at=time.time() + self._encoder.until_retry() if failed else None,
        )

    def _made(self, user_id: str) -> tuple[SemanticIndex, Writer]:
        door = self._door.user(user_id)
        writer = Writer(door, partial(self._make_store, user_id), self._encoder, self._workers, self._note_open)
        index = SemanticIndex(
            user_id,
            door=door,
            writer=writer,
            encoder=self._encoder,
            pools=self._pools,
            fail_fast=self.fail_fast,
            begin=self.start,
            owner=self._owner,
        )
        return index, writer

    def _make_store(self, user_id: str) -> UserStore:
        encoder = self._encoder.encoder
        if encoder is None:
            raise Closed
        return self._storage(encoder.identity, encoder.dimensions).user(user_id)

    def _note_open(self, writer: Writer) -> None:
        """Make room for an index that was opened."""
        with self._lock:
            self._open[writer] = None
            self._open.move_to_end(writer)
            candidates = [one for one in self._open if one is not writer]
        for candidate in candidates:
            with self._lock:
                if len(self._open) <= self._most_open:
                    return
                self._open.pop(candidate, None)
            if not candidate.try_to_give_up():
                with self._lock:
                    self._open[candidate] = None
                    self._open.move_to_end(candidate, last=False)

    def _resume(self) -> None:
        """Go on with what an earlier process accepted and did not come to."""
        try:
            for user_id in self._door.users():
                if self._closed:
                    return
                self._resume_user(user_id)
        except Exception as error:  # noqa: BLE001 - whoever uses the indexes hears of it there
            emit(
                _log,
                logging.WARNING,
                "txtai.backlog-unread",
                "what was accepted earlier could not be looked through",
                error=error,
            )

    def _resume_user(self, user_id: str) -> None:
        with self._lock:
            if user_id in self._indexes:
                return
        try:
            if self._has_backlog(user_id):
                self.of(user_id)
                self._indexes[user_id][1].wake()
        except Exception as error:  # noqa: BLE001 - one damaged index is no reason to forget the others
            emit(
                _log,
                logging.WARNING,
                "txtai.backlog-unread",
                "what was accepted earlier for a user cannot be taken up",
                error=error,
            )

    def _has_backlog(self, user_id: str) -> bool:
        store = self._door.user(user_id)
        try:
            return store.status().queued > 0
        finally:
            store.close()


def _encoder(settings: Settings) -> Callable[[str], Encoder]:
    match settings.text("ALWRITY_TXTAI_ENCODER").strip().lower():
        case "":
            return SentenceEncoder.load
        case "int8":
            from alwrity_checks.txtai.onnx_encoder import OnnxEncoder

            return OnnxEncoder.load
        case other:
            raise ConfigurationError(f"ALWRITY_TXTAI_ENCODER is {other!r:.40}", "set it to int8, or not at all")


def _storage(settings: Settings) -> StorageMaker:
    url = settings.get("ALWRITY_TXTAI_URL")
    if url is not None and url.value.reveal().strip():
        from alwrity_checks.txtai.postgres import storage_at

        return storage_at(url.value)
    from alwrity_checks.txtai.lease import SharedStorage

    directory = settings.text("ALWRITY_TXTAI_DIR").strip()
    return partial(SharedStorage, (Path(directory).expanduser() if directory else DEFAULT_DIRECTORY).absolute())


def _result_of(future: Future[bool]) -> Steps[bool]:
    result: bool = yield future
    return result
