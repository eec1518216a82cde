"""Whether a hub is there at all, asked within seconds.

A name look-up cannot be timed out, so it has a thread of its own; and every address is tried at once, because a
machine whose IPv6 leads nowhere would otherwise spend the whole time on it.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from alwrity_checks.models.transfer import answers_within, is_loopback

__all__ = ["first_hop", "reachable"]

_PORTS: Final = {"http": 80, "https": 443}
_UNDER_WAY: Final = frozenset(
    {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", 0)}
)


def first_hop(url: str) -> tuple[str, int]:
    """Return the host and port that a request to `url` goes to first: a proxy, where the environment names one."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    proxies = {} if is_loopback(host) else getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return host, port
    way = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        return way.hostname or host, way.port or _PORTS.get(way.scheme, 1080 if way.scheme.startswith("socks") else 80)
    except ValueError:  # a port that is none
        return host, port


def reachable(url: str, timeout: float) -> bool:
    """Say whether a connection to the server of `url` (or to the proxy before it) comes about in `timeout` seconds."""
    host, port = first_hop(url)
    return answers_within(lambda: _connects(host, port, time.monotonic() + timeout), timeout)


def _connects(host: str, port: int, deadline: float) -> bool:
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with contextlib.suppress(OSError):  # a family that this machine does not have
                one = stack.enter_context(socket.socket(family, kind, protocol))
                one.setblocking(False)
                if one.connect_ex(address) in _UNDER_WAY:
                    selector.register(one, selectors.EVENT_WRITE)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                tried = key.fileobj
                selector.unregister(tried)
                if isinstance(tried, socket.socket) and not tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return True
    return False
