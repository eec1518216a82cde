"""An answer of a server, or its absence, as it came: the only thing that is classified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Answer", "TransportFault"]


class TransportFault(StrEnum):
    """Why there was no answer."""

    DNS = "dns"
    TLS = "tls"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with a status, or a transport fault."""

    status: int | None = None
    body: bytes = b""
    """At most the first 64 KiB."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    transport: TransportFault | None = None
    """Set exactly if `status` is None."""
    detail: str = ""
    """What the transport said, redacted."""

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; empty if there was none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()
