"""A network of the process's own, in which nothing is but itself: the servers that it starts are reached, nobody else.

Linux only: unshare(2), user_namespaces(7), netdevice(7).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["isolate_network"]

_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
"""CLONE_NEWNET and CLONE_NEWUSER of <sched.h>."""
_SET_FLAGS: Final = 0x8914
"""SIOCSIFFLAGS of <linux/sockios.h>."""
_UP_AND_RUNNING: Final = 0x1 | 0x40
"""IFF_UP and IFF_RUNNING of <net/if.h>."""
_ISOLATED: Final = "ALWRITY_DOCTOR_ISOLATED"
"""Set in the environment of the children of an isolated process: they need not do it again."""


def isolate_network() -> bool:
    """Leave every network behind, as far as the system allows; say whether it did.

    What is left is a loopback device of the process's own, on which nobody listens yet: not even this machine's other
    servers are reached. Must be called while the process has one thread.
    """
    if os.environ.get(_ISOLATED):
        return True
    if not _rehearsed() or not _unshared():
        return False
    os.environ[_ISOLATED] = "1"
    return True


def _rehearsed() -> bool:
    """Try it in a child: where a namespace is granted by halves, a process is not the same afterwards."""
    if sys.platform != "linux":
        return False
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
    if sys.platform != "linux":
        return False
    import ctypes

    unshare: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).unshare
    user, group = os.getuid(), os.getgid()
    if unshare(_NEW_NETWORK) != 0:
        if unshare(_NEW_USER | _NEW_NETWORK) != 0:
            return False
        try:
            # user_namespaces(7): groups must be given up before an unprivileged process may map its own.
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                Path("/proc/self", name).write_text(text)
        except OSError:
            return False
    return _loopback_is_up()


def _loopback_is_up() -> bool:
    """Switch on the loopback device, which is off in a new namespace."""
    if sys.platform != "linux":
        return False
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP_AND_RUNNING))
        except OSError:
            return False
    return True
