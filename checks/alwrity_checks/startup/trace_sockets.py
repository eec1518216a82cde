"""The TCP sockets of a set of processes, seen from outside: who listens where, who has received how much from whom.

Linux gives them by a socket of the family NETLINK (sock_diag(7)) with the bytes each has received, or by
/proc/net/tcp without; other systems through psutil, without the bytes too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Peer", "Sockets", "TcpSocket"]

_LINUX: Final = sys.platform.startswith("linux")
_ESTABLISHED, _SYN_SENT, _LISTEN = 1, 2, 10
"""enum tcp_state of linux/tcp.h."""
_STATES: Final = 1 << _ESTABLISHED | 1 << _SYN_SENT | 1 << _LISTEN
_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP = 4, 20, 0x301
_DONE, _ERROR, _DIAG_INFO = 3, 2, 2
_HEADER: Final = struct.Struct("=IHHII")
_INODE_AT, _ATTRIBUTES_AT = 68, 72
"""In struct inet_diag_msg of linux/inet_diag.h."""
_RECEIVED_AT: Final = 128
"""tcpi_bytes_received in struct tcp_info of linux/tcp.h, since Linux 4.1."""
_DOUBT: Final = 2.0
"""Seconds for which the owner of a socket is looked for."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """A TCP socket."""

    local: Peer
    remote: Peer
    listens: bool
    identity: object
    """What is equal for as long as the socket lives."""
    owners: frozenset[int]
    """Those of the processes asked about that hold it."""
    received: int | None = None
    """Bytes so far, where the system tells."""


class Sockets:
    """Looks at sockets again and again; what it has found out about one it keeps."""

    def __init__(self) -> None:
        self._owners: dict[int, frozenset[int]] = {}
        self._met: dict[int, float] = {}
        self._diagnosed = _LINUX

    def of(self, pids: Iterable[int]) -> tuple[TcpSocket, ...]:
        """Return the sockets of the processes that listen, connect or are connected."""
        wanted = frozenset(pids)
        if not _LINUX:
            return tuple(_by_psutil(wanted))
        entries = list(self._entries())
        now = time.monotonic()
        # A process may become known a moment later than its socket; one that stays nobody's is somebody else's.
        fresh = {
            inode
            for *_, inode, _ in entries
            if not self._owners.get(inode) and now - self._met.setdefault(inode, now) < _DOUBT
        }
        if fresh:
            self._owners.update(_owners(fresh, wanted))
        return tuple(
            TcpSocket(local, remote, state == _LISTEN, inode, held, received)
            for state, local, remote, inode, received in entries
            if (held := self._owners.get(inode))
        )

    def holders(self, one: TcpSocket, pids: Iterable[int]) -> frozenset[int]:
        """Return which of the processes hold the socket now: forked workers come to hold their master's."""
        if not _LINUX or not isinstance(one.identity, int):
            return one.owners
        return _owners({one.identity}, frozenset(pids)).get(one.identity, frozenset())

    def _entries(self) -> Iterator[tuple[int, Peer, Peer, int, int | None]]:
        if self._diagnosed:
            try:
                found = [one for family in (socket.AF_INET, socket.AF_INET6) for one in _diagnosed(family)]
            except (OSError, struct.error):
                self._diagnosed = False  # a kernel, or a container's policy, without it
            else:
                yield from found
                return
        for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            with contextlib.suppress(OSError):
                yield from _listed(Path("/proc/net", name).read_text("ascii"), family)


def _diagnosed(family: int) -> list[tuple[int, Peer, Peer, int, int | None]]:
    if sys.platform != "linux":
        raise OSError("only Linux lists its sockets in this way")
    found: list[tuple[int, Peer, Peer, int, int | None]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as netlink:
        netlink.settimeout(1.0)
        request = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 1 << (_DIAG_INFO - 1), 0, _STATES)
        netlink.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
        while True:
            data = netlink.recv(1 << 17)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError("the kernel does not list its sockets")
                found.append(_message(data[at + _HEADER.size : at + length]))
                at += (length + 3) & ~3


def _message(body: bytes) -> tuple[int, Peer, Peer, int, int | None]:
    family, state, _, _, local_port, remote_port = struct.unpack_from("!BBBBHH", body)
    size = 4 if family == socket.AF_INET else 16
    local, remote = (_plain(socket.inet_ntop(family, body[at : at + size])) for at in (8, 24))
    (inode,) = struct.unpack_from("=I", body, _INODE_AT)
    received = None
    at = _ATTRIBUTES_AT
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if kind == _DIAG_INFO and length >= 4 + _RECEIVED_AT + 8:
            (received,) = struct.unpack_from("=Q", body, at + 4 + _RECEIVED_AT)
        at += max((length + 3) & ~3, 4)
    return state, Peer(local, local_port), Peer(remote, remote_port), inode, received


def _listed(text: str, family: int) -> Iterator[tuple[int, Peer, Peer, int, int | None]]:
    """Read /proc/net/tcp or tcp6; addresses are 32-bit words in the machine's byte order."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        state = int(fields[3], 16)
        if 1 << state & _STATES:
            yield state, _peer(fields[1], family), _peer(fields[2], family), int(fields[9]), None


def _peer(field: str, family: int) -> Peer:
    words, _, port = field.partition(":")
    raw = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    return Peer(_plain(socket.inet_ntop(family, raw)), int(port, 16))


def _plain(host: str) -> str:
    """Return an IPv4 address in its own spelling where it is written as an IPv6 one."""
    return host.removeprefix("::ffff:") if "." in host else host


def _owners(inodes: set[int], pids: frozenset[int]) -> dict[int, frozenset[int]]:
    found: dict[int, set[int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError, ValueError):
                    target = os.readlink(entry.path)  # noqa: PTH115 - hundreds of them, fifty times a second
                    if target.startswith("socket:[") and (inode := int(target[8:-1])) in inodes:
                        found.setdefault(inode, set()).add(pid)
    return {inode: frozenset(held) for inode, held in found.items()}


def _by_psutil(pids: frozenset[int]) -> Iterator[TcpSocket]:
    import psutil

    for pid in pids:
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(pid).net_connections("tcp"):
                local, remote = _end(one.laddr), _end(one.raddr)
                listens = one.status == psutil.CONN_LISTEN
                yield TcpSocket(local, remote, listens, (pid, local, remote), frozenset({pid}))


def _end(address: tuple[Any, ...]) -> Peer:
    """Return the end of a connection of psutil's, which is empty where there is none."""
    return Peer(*address) if address else Peer("", 0)
