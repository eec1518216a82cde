"""Where a scenario plays: an instance with its key server, an attacker with his, and the network between them."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from alwrity_checks.auth.hosts import is_loopback
from alwrity_checks.auth.loopback import LoopbackServer
from alwrity_checks.auth.mint import Instance

__all__ = ["DEFAULT", "ORIGIN", "PRODUCTION", "Cast", "Stage"]

ORIGIN: Final = "https://app.example"
"""The origin that the deployments accept tokens for (`azp`)."""
DEFAULT: Final[Mapping[str, str]] = {}
"""The environment of a deployment whose owner set nothing but the keys."""
PRODUCTION: Final[Mapping[str, str]] = {"ENVIRONMENT": "production"}


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays. Making the keys takes most of a second, so that one cast serves many scenarios."""

    instance: Instance = field(default_factory=Instance)
    successor: Instance = field(default_factory=lambda: Instance(kid="ins_2fooBarInstance0000000000002"))
    """The instance again, with the key it rotates to."""
    attacker: Instance = field(
        default_factory=lambda: Instance(issuer="https://attacker.example", kid="ins_2attackerInstance00000000001")
    )


class Stage:
    """The servers of one scenario; a context manager."""

    def __init__(self, cast: Cast) -> None:
        self.instance = cast.instance
        self.successor = cast.successor
        self.attacker = cast.attacker
        self.key_server = LoopbackServer(cast.instance.jwks())
        """The instance's."""
        self.attacker_server = LoopbackServer(cast.attacker.jwks())
        """The attacker's; it notes every path it is asked for."""
        host = urlsplit(cast.instance.issuer).netloc
        self.environment: Mapping[str, str] = {
            "CLERK_PUBLISHABLE_KEY": "pk_test_" + b64encode(f"{host}$".encode()).decode(),
            "CLERK_SECRET_KEY": "sk_test_" + "made0up0" * 5,
        }
        """What a deployment of the instance has set."""
        self.dead = False
        """Whether nobody listens where the instance's key server should be."""
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        """Start both servers. Raises OSError where this machine hands out no port."""
        with ExitStack() as exits:
            exits.enter_context(self.key_server)
            exits.enter_context(self.attacker_server)
            # Bound and not listening: whoever connects is refused at once, as if nobody were there.
            nobody = exits.enter_context(socket.socket())
            nobody.bind(("127.0.0.1", 0))
            self._nowhere = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both servers."""
        self._exits.close()

    def resolve(self, url: str) -> str:
        """Map a URL as DNS would: the instance's host is its key server, this machine is itself, no other exists."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_loopback(host):
            return url
        known = host == urlsplit(self.instance.issuer).hostname
        origin = self.key_server.origin if known and not self.dead else self._nowhere
        return f"{origin}{parts.path}{'?' if parts.query else ''}{parts.query}"

    def genuine(self, signer: Instance | None = None, *, now: float | None = None, **changes: object) -> str:
        """Return a token that the instance minted for our origin, with `changes` to its claims."""
        claims: dict[str, Any] = {"azp": ORIGIN, **changes}
        return (signer or self.instance).token(now=now, **claims)
