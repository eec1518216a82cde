"""Requests that are bounded as a whole: in time, whatever drips in, and in bytes; and that can be broken off.

httpx limits each read, not all of them together: a server that sends a byte of its answer's head now and then holds a
caller for ever. So a watchman shuts the connection at the deadline, or when the caller is told to stop.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError

if TYPE_CHECKING:
    import httpx

__all__ = ["Stopped", "TimedOut", "Transfers", "answers_within", "is_loopback"]

_CONNECT_TIMEOUT: Final = 3.0
_WATCH: Final = 0.1
"""Seconds between two looks at what the caller wants."""


class TimedOut(Exception):  # noqa: N818 - a condition; it becomes one of our errors in `hub`
    """The deadline came before the end of the answer."""


class Stopped(DoctorError):  # noqa: N818 - the caller's own wish, not a fault
    """The caller wants it no more; what has arrived is kept."""

    def __init__(self) -> None:
        super().__init__("the transfer was stopped", "start it again: it goes on where it was")


@dataclass(eq=False, slots=True)
class _Line:
    """A client that serves one request at a time, and the sockets that it has opened."""

    client: httpx.Client
    sockets: list[socket.socket] = field(default_factory=list)

    def notice(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the socket of a new connection; httpcore tells of its steps by name."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                self.sockets = [one for one in self.sockets if one.fileno() >= 0] + [found]

    def shut(self) -> None:
        """End whatever is under way: a read in another thread ends at once."""
        for one in self.sockets:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own, which takes the TLS state away from under the thread that reads.
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connections up."""
        with contextlib.suppress(Exception):  # what cannot be closed in order is gone all the same
            self.client.close()


class Transfers:
    """Makes requests, from any number of threads, and keeps the connections for the next ones."""

    def __init__(self, direct: str | None = None) -> None:
        """Reach the host `direct` without a proxy; every other one by the proxies of the environment."""
        self._direct = direct
        self._lock = threading.Lock()
        self._abandoned: object = None
        self._idle: list[_Line] = []
        self._busy: set[_Line] = set()
        self._tls: ssl.SSLContext | None = None
        self._bytes_read = 0
        _every.add(self)

    @property
    def bytes_read(self) -> int:
        """Bytes of all bodies so far."""
        return self._bytes_read

    def count(self, arrived: int) -> None:
        """Take note of so many bytes."""
        with self._lock:
            self._bytes_read += arrived

    @contextlib.contextmanager
    def request(  # noqa: PLR0913 - each is one bound or one part of a request
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        read_timeout: float,
        total: float | None,
        stop: threading.Event | None = None,
    ) -> Iterator[httpx.Response]:
        """Yield the answer, its body unread. No redirect is followed.

        `read_timeout` is for each read, `total` for everything up to the block's end, in seconds; None: no such limit.
        Raises TimedOut, Stopped, and httpx.HTTPError for every other fault of the way, when the body is read too.
        """
        import httpx

        line = self._take()
        watch = _Watchman(line, total, stop)
        sound = False
        try:
            with watch:
                limits = httpx.Timeout(read_timeout, connect=min(_CONNECT_TIMEOUT, read_timeout))
                request = line.client.build_request(
                    method, url, headers=dict(headers), timeout=limits, extensions={"trace": line.notice}
                )
                response = line.client.send(request, stream=True)
                try:
                    yield response
                    sound = True
                finally:
                    response.close()
            if watch.struck is not None:
                # An answer that ends with its connection seems whole when we are the ones who ended that.
                raise watch.struck()
        except httpx.HTTPError as error:
            watch.explain(error)
            raise
        finally:
            self._put_back(line, sound=sound and not watch.struck)

    def _take(self) -> _Line:
        with self._lock:
            line = self._idle.pop() if self._idle else self._new()
            self._busy.add(line)
            return line

    def _put_back(self, line: _Line, *, sound: bool) -> None:
        with self._lock:
            kept = sound and line in self._busy
            self._busy.discard(line)
            if kept:
                self._idle.append(line)
        if not kept:
            line.close()

    def _new(self) -> _Line:
        import httpx

        mounts: dict[str, httpx.BaseTransport | None] = {}
        if self._direct is not None:
            mounts[f"all://[{self._direct}]" if ":" in self._direct else f"all://{self._direct}"] = None
        try:
            if self._tls is None:
                self._tls = httpx.create_ssl_context()
            return _Line(httpx.Client(verify=self._tls, follow_redirects=False, mounts=mounts))
        except (OSError, ValueError, ImportError) as error:
            told = f"the environment's proxy or certificate settings cannot be used: {error}"
            raise httpx.ProxyError(told) from error

    def close(self) -> None:
        """End every request that is under way, and give the connections up."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy, self._busy = self._busy, set()
        for line in busy:
            line.shut()
        for line in idle:
            line.close()

    def forget(self) -> None:
        """Begin anew in a forked child: two processes on one connection would mix their answers."""
        self._lock = threading.Lock()
        self._abandoned = (self._idle, self._busy)  # closing them would say goodbye in the parent's name
        self._idle, self._busy = [], set()


_every: Final[weakref.WeakSet[Transfers]] = weakref.WeakSet()


def _forget_all() -> None:
    for one in list(_every):
        one.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class _Watchman:
    """Shuts a line at the deadline, or when told to stop; a thread only while the block runs."""

    def __init__(self, line: _Line, total: float | None, stop: threading.Event | None) -> None:
        self._line = line
        self._deadline = None if total is None else time.monotonic() + total
        self._stop = stop
        self._over = threading.Event()
        self.struck: type[Stopped | TimedOut] | None = None
        """Why the line was shut, if it was."""

    def __enter__(self) -> None:
        if self._deadline is not None or self._stop is not None:
            threading.Thread(target=self._watch, name="model-hub-watch", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.is_set():
            if self._stop is not None and self._stop.is_set():
                self.struck = Stopped
            elif self._deadline is not None and time.monotonic() >= self._deadline:
                self.struck = TimedOut
            if self.struck is not None:
                self._line.shut()  # again and again: the connection may be about to be opened
            left = None if self._deadline is None else self._deadline - time.monotonic()
            pause = left if self._stop is None and left is not None and left > 0 else _WATCH
            self._over.wait(max(pause, 0.01) if self.struck is None else _WATCH)

    def explain(self, error: Exception) -> None:
        """Raise what we did in place of what it looked like."""
        import httpx

        if self.struck is not None:
            raise self.struck() from error
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            raise TimedOut from error


def answers_within(look: Callable[[], bool], seconds: float) -> bool:
    """Say what `look` says; False where it takes longer. It runs in a thread that nobody waits for afterwards."""
    found: list[bool] = []
    done = threading.Event()

    def run() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.append(look())
        done.set()

    threading.Thread(target=run, name="model-hub-look", daemon=True).start()
    return done.wait(seconds) and found == [True]


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine, told from its name alone."""
    import ipaddress

    if host in {"localhost", ""}:
        return host == "localhost"
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
