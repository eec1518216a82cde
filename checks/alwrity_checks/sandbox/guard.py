"""The inner half of the sandbox: installed in the process itself, before any of the user's code is imported.

It guards against accidents, not against malice: code that means harm gets past it. What Python does is refused by an
audit hook (PEP 578), which cannot be taken out again; what a library does in C is not seen by it, and is kept from the
network where the system lets us have a network namespace of our own (`network`).

refused               by the hook                                       in C as well
the network           connecting, sending, binding, resolving;          on Linux, where namespaces are allowed
                      all but the experiment's own loopback servers
writing               files and directories outside of the sandbox      no
reading `.env`        by any name that begins so                        no
starting a program    all but our own                                   no
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["Guard", "Refused"]

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ENV_FILE: Final = ".env"
_NETWORK: Final = frozenset(
    {
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
        "socket.getnameinfo",
    }
)
_ADDRESSED: Final = frozenset({"socket.connect", "socket.bind"})
_SENDING: Final = frozenset({"socket.sendto", "socket.sendmsg"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_LOCAL: Final = _LOOPBACK | {"localhost"}
_PROGRAMS: Final = frozenset({"os.exec", "os.system", "os.spawn", "os.startfile", "pty.spawn"})
_CHANGES: Final[Mapping[str, Sequence[int]]] = {
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
}
"""An event -> which of its arguments are paths that it changes."""


class Refused(OSError):  # noqa: N818 - what happened, like ConnectionRefusedError
    """The sandbox said no.

    Not a PermissionError: the historical service takes one for a file lock of Windows, and goes on as if it had saved.
    """


class Guard:
    """An audit hook that refuses what the sandbox does not allow, and remembers what it refused."""

    def __init__(self, directory: Path, program: str) -> None:
        """Allow writing below `directory`, and starting this interpreter on `program`."""
        self._directory = os.path.realpath(directory)
        self._program = program
        self._lock = threading.Lock()
        self._refused: list[tuple[str, str]] = []
        self._ports: set[int] = set()
        self._opening = threading.local()

    def install(self) -> None:
        """Begin to refuse; there is no end."""
        sys.addaudithook(self._hear)

    def refusals(self) -> tuple[tuple[str, str], ...]:
        """Return what was refused since the last time, each with its kind, and forget it."""
        with self._lock:
            told, self._refused = tuple(dict.fromkeys(self._refused)), []
        return told

    @contextmanager
    def loopback(self) -> Iterator[None]:
        """Let this thread bind to this machine within the block; whoever was bound then can be connected to."""
        bound: list[socket.socket] = []
        self._opening.bound = bound
        try:
            yield
        finally:
            del self._opening.bound
            self._ports |= {one.getsockname()[1] for one in bound if one.fileno() >= 0}

    def allow(self, *ports: int) -> None:
        """Let these ports of this machine be connected to: servers of ours, in processes that this one started."""
        self._ports |= set(ports)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._opens(*arguments[:3])
        elif event in _NETWORK:
            self._connects(event, arguments)
        elif event in _CHANGES:
            for number in _CHANGES[event]:
                self._changes(arguments[number])
        elif event == "sqlite3.connect":
            if arguments[0] not in {"", ":memory:", b":memory:"}:
                self._changes(arguments[0], address=True)
        elif event in {"subprocess.Popen", "os.posix_spawn"}:
            ours = [sys.executable, "-S", self._program]
            # What is started is the first argument, whatever it is told that it is called.
            if [os.fspath(arguments[0] or ours[0]), *map(str, arguments[1][1:3])] != ours:
                self._refuse("start", f"to start {os.fsdecode(arguments[0] or arguments[1][0])}")
        elif event in _PROGRAMS:
            self._refuse("start", f"to start a program by {event}")

    def _opens(self, path: object, mode: object, flags: object) -> None:
        del mode
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        place = os.fsdecode(path)
        # A link is asked where it leads to: the name alone tells nothing of it.
        for name in (place, os.path.realpath(place)) if os.path.islink(place) else (place,):  # noqa: PTH114 - as below
            if os.path.basename(name).startswith(_ENV_FILE):  # noqa: PTH119 - a hook must not make objects
                self._refuse("read", f"to open {name}")
        if isinstance(flags, int) and flags & _WRITING:
            self._changes(path)

    def _changes(self, path: object, *, address: bool = False) -> None:
        """Refuse a path outside of the sandbox; one that is relative to a descriptor is taken to be inside.

        `address`: it may be SQLite's, `file:PATH?mode=...`.
        """
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.fsdecode(path)
        if address and name.startswith("file:"):
            name = name.removeprefix("file:").partition("?")[0].removeprefix("//localhost").removeprefix("//")
        try:
            place = os.path.realpath(name)
        except OSError:
            return  # relative to a directory that is gone: nothing can be made there
        if place not in {os.devnull, self._directory} and not place.startswith(self._directory + os.sep):
            self._refuse("write", f"to write {place}")

    def _connects(self, event: str, arguments: tuple[Any, ...]) -> None:
        if sys.platform == "win32" and any(isinstance(one, tuple) and _port(one, _LOOPBACK) for one in arguments):
            return  # an event loop wakes itself up by a connection there
        told = arguments[1] if event in _ADDRESSED else arguments[:2]
        if event in _SENDING:
            told = arguments[-1]
            if told is None:
                return  # on a socket that was connected, or is a pair
        if event == "socket.bind" and isinstance(bound := getattr(self._opening, "bound", None), list):
            if _port(told, _LOOPBACK) is not None:
                bound.append(arguments[0])
                return
        elif _port(told, _LOCAL) in self._ports:
            return
        self._refuse("network", f"{event.partition('.')[2]} {told!r:.200}")

    def _refuse(self, kind: str, what: str) -> None:
        with self._lock:
            self._refused.append((kind, what))
        raise Refused(f"the sandbox of alwrity-doctor refuses {what}")


def _port(address: object, hosts: frozenset[str]) -> int | None:
    """Return the port of an address of this machine; None for any other."""
    if not isinstance(address, tuple) or len(address) < 2:  # noqa: PLR2004 - host and port
        return None
    host, port = address[0], address[1]
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if isinstance(port, (str, bytes)) and port.isdigit():
        port = int(port)
    return port if host in hosts and isinstance(port, int) else None
