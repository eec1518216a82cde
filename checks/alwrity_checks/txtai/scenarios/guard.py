"""The inner half of the sandbox: installed in the process itself, before any of the user's code is imported.

It guards against accidents, not against malice: code that means harm gets past it. What Python does is refused by an
audit hook (PEP 578), which cannot be taken out again; what a library does in C is not seen by it, and is kept from the
network where the system lets us have a network namespace of our own.

refused               by the hook                                       in C as well
the network           connecting, sending, binding, resolving           on Linux, where namespaces are allowed
writing               files and directories outside of the sandbox      no
reading `.env`        by any name that begins so                        no
starting a program    all but our own driver                            no
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["Guard", "Refused", "forget_env_files", "isolate_network"]

_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
"""CLONE_NEWNET and CLONE_NEWUSER of <sched.h>."""
_ISOLATED: Final = "ALWRITY_DOCTOR_ISOLATED"
"""Set in the environment of the children of an isolated process: they need not do it again."""
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
_PROGRAMS: Final = frozenset({"os.exec", "os.system", "os.spawn", "os.startfile", "pty.spawn"})
_CHANGES: Final[Mapping[str, Sequence[int]]] = {
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.chmod": (0,),
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

    def __init__(self, directory: Path, driver: str) -> None:
        """Allow writing below `directory`, and starting this interpreter on `driver`."""
        self._directory = os.path.realpath(directory)
        self._driver = driver
        self._lock = threading.Lock()
        self._refused: list[tuple[str, str]] = []

    def install(self) -> None:
        """Begin to refuse; there is no end."""
        sys.addaudithook(self._hear)

    def refusals(self) -> tuple[tuple[str, str], ...]:
        """Return what was refused since the last time, each with its kind, and forget it."""
        with self._lock:
            told, self._refused = tuple(dict.fromkeys(self._refused)), []
        return told

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._opening(*arguments[:3])
        elif event in _NETWORK:
            self._connecting(event, arguments)
        elif event in _CHANGES:
            for number in _CHANGES[event]:
                self._changing(arguments[number])
        elif event == "sqlite3.connect":
            if arguments[0] not in {"", ":memory:", b":memory:"}:
                self._changing(arguments[0])
        elif event in {"subprocess.Popen", "os.posix_spawn"}:
            if list(map(str, arguments[1]))[:2] != [sys.executable, self._driver]:
                self._refuse("start", f"to start {os.fsdecode(arguments[0] or arguments[1][0])}")
        elif event in _PROGRAMS:
            self._refuse("start", f"to start a program by {event}")

    def _opening(self, path: object, mode: object, flags: object) -> None:
        del mode
        if not isinstance(path, (str, bytes)):
            return
        if os.path.basename(os.fsdecode(path)).startswith(_ENV_FILE):  # noqa: PTH119 - a hook must not make objects
            self._refuse("read", f"to open {os.fsdecode(path)}")
        if isinstance(flags, int) and flags & _WRITING:
            self._changing(path)

    def _changing(self, path: object) -> None:
        """Refuse a path outside of the sandbox; one that is relative to a descriptor is taken to be inside."""
        if not isinstance(path, (str, bytes)):
            return
        try:
            place = os.path.realpath(os.fsdecode(path))
        except OSError:
            return  # relative to a directory that is gone: nothing can be made there
        if place not in {os.devnull, self._directory} and not place.startswith(self._directory + os.sep):
            self._refuse("write", f"to write {place}")

    def _connecting(self, event: str, arguments: tuple[Any, ...]) -> None:
        if sys.platform == "win32" and _is_loopback(arguments):
            return  # an event loop wakes itself up by a connection there
        told = arguments[1] if event in {"socket.connect", "socket.bind"} else arguments[0]
        if event in {"socket.sendto", "socket.sendmsg"}:
            told = arguments[-1]
            if told is None:
                return  # on a socket that was connected, or is a pair
        self._refuse("network", f"{event.partition('.')[2]} {told!r:.200}")

    def _refuse(self, kind: str, what: str) -> None:
        with self._lock:
            self._refused.append((kind, what))
        raise Refused(f"the sandbox of alwrity-doctor refuses {what}")


def _is_loopback(arguments: tuple[Any, ...]) -> bool:
    return any(isinstance(one, tuple) and one and one[0] in {"127.0.0.1", "::1"} for one in arguments)


def forget_env_files() -> None:
    """Let python-dotenv, where it is installed, find nothing and set nothing."""
    with contextlib.suppress(ImportError):
        import dotenv
        import dotenv.main

        def load_dotenv(*_: object, **__: object) -> bool:
            return False

        def dotenv_values(*_: object, **__: object) -> dict[str, str | None]:
            return {}

        for module in (dotenv, dotenv.main):
            vars(module).update(load_dotenv=load_dotenv, dotenv_values=dotenv_values)


def isolate_network() -> bool:
    """Leave every network behind, loopback included, as far as the system allows; say whether it did.

    Must be called while the process has one thread. Linux only: unshare(2).
    """
    if os.environ.get(_ISOLATED):
        return True
    if sys.platform != "linux" or not _rehearsed() or not _unshared():
        return False
    os.environ[_ISOLATED] = "1"
    return True


def _rehearsed() -> bool:
    """Try it in a child: where a namespace is granted by halves, a process is not the same afterwards."""
    import tempfile

    child = os.fork()
    if child == 0:
        code = 1
        try:
            if _unshared():
                with tempfile.TemporaryFile() as file:
                    file.write(b"a file can still be made")
                code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _unshared() -> bool:
    import ctypes

    unshare: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).unshare
    user, group = os.getuid(), os.getgid()
    if unshare(_NEW_NETWORK) == 0:
        return True
    if unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    try:
        # user_namespaces(7): groups must be given up before an unprivileged process may map its own.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
    except OSError:
        return False
    return True
