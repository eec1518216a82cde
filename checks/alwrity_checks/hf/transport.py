"""What an HTTP client raised -> the answer that did not come, by the types of the exceptions and never by their text.

The classes of httpx, and of httpx2 below openai 3, share their names and nothing else.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.limits import UnusableAnswer
from alwrity_checks.redaction import scrub

__all__ = ["transport_answer"]

_DETAIL: Final = 200
_BROKEN_OFF: Final = frozenset({"ReadError", "WriteError", "CloseError", "RemoteProtocolError"})
"""Names of classes that say the conversation was broken off, and by which end."""


def transport_answer(error: BaseException) -> Answer:
    """Return the answer that `error`, with all that led to it, stands for."""
    causes = _causes(error)
    seen = next((one for one in causes if isinstance(one, UnusableAnswer) or _fault(one)), causes[0])
    fault = _fault(seen) or TransportFault.OTHER
    return Answer(transport=fault, detail=scrub(f"{type(seen).__name__}: {seen}".rstrip(": "))[:_DETAIL])


def _causes(error: BaseException) -> list[BaseException]:
    """Return `error` and all that led to it, the innermost first: the layers above translate, and lose the kind."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__ or one.__context__]
        waiting += getattr(one, "exceptions", ())  # a group: one per address tried
    return found[::-1]


def _fault(error: BaseException) -> TransportFault | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, socket.gaierror):
        return TransportFault.DNS
    if isinstance(error, ssl.SSLError):
        return TransportFault.TLS
    if isinstance(error, ConnectionRefusedError):
        return TransportFault.REFUSED
    if isinstance(error, TimeoutError) or "TimeoutException" in names:
        return TransportFault.TIMEOUT
    if isinstance(error, ConnectionError) or names & _BROKEN_OFF:
        return TransportFault.RESET
    return None
