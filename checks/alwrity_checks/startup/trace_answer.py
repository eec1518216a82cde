"""Asks a server for its first answer, from the moment it listens: any HTTP status will do.

A socket and a line of text: the question is when, and a client's own start would be part of the answer.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Final

__all__ = ["Answer", "Asker", "Question"]

_STATUS: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")
_PAUSE: Final = 0.05
_STEP: Final = 0.1
"""Seconds after which a question that has no answer yet looks whether it is still wanted."""
_LARGEST: Final = 4096
"""Bytes in which the status line has to come."""
_CONNECT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask for."""

    host: str
    port: int
    path: str = "/"
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer."""

    at: float
    """Seconds of the monotonic clock."""
    status: int
    port: int


class Asker:
    """Asks until there is an answer or nobody wants it any longer."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answer: Answer | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"asks port {question.port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join(_CONNECT + 1)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                status = self._ask()
            except OSError:
                status = None
            if status is not None:
                self.answer = Answer(time.monotonic(), status, self.question.port)
                return
            self._stop.wait(_PAUSE)

    def _ask(self) -> int | None:
        asked = self.question
        host = f"[{asked.host}]" if ":" in asked.host else asked.host
        head = (
            f"GET {asked.path} HTTP/1.1\r\nHost: {host}:{asked.port}\r\nUser-Agent: alwrity-doctor\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection((asked.host, asked.port), timeout=_CONNECT) as plain:
            stream = _encrypted(plain, asked.host) if asked.tls else plain
            with stream:
                stream.sendall(head.encode("ascii", "replace"))
                return self._status(stream)

    def _status(self, stream: socket.socket) -> int | None:
        """Wait for as long as the server takes: one whose workers still load accepts, and answers later."""
        got = b""
        while b"\n" not in got and len(got) < _LARGEST:
            pending = isinstance(stream, ssl.SSLSocket) and stream.pending()
            while not pending and not select.select([stream], [], [], _STEP)[0]:
                if self._stop.is_set():
                    return None
            data = stream.recv(_LARGEST)
            if not data:
                break
            got += data
        found = _STATUS.match(got)
        return int(found.group(1)) if found else None


def _encrypted(plain: socket.socket, host: str) -> ssl.SSLSocket:
    # Nothing is entrusted to the other side: the user's own server, with a certificate that is often its own too.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)
