"""The openai client of each event loop, made on a thread.

To import it, to load the certificates and to build it takes up to a second, in which no loop need stand still.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.hf.base_url import is_loopback
from alwrity_checks.hf.limits import limit_answer
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.redaction import Secret

__all__ = ["Clients"]

_BILL_TO: Final = "X-HF-Bill-To"


@dataclass(slots=True)
class _Slot:
    """A loop's client, once it is made."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: Any = None


class Clients:
    """One openai client per event loop: its connections cannot be used on another."""

    def __init__(self) -> None:
        """Start with none."""
        self._slots: dict[asyncio.AbstractEventLoop, _Slot] = {}

    async def get(self, base_url: str, token: Secret, bill_to: str | None) -> Any:  # noqa: ANN401 - openai's, of the release that is installed
        """Return the running loop's client. Raises as `_new_client` does."""
        loop = asyncio.get_running_loop()
        for one in tuple(self._slots):
            if one.is_closed():
                self._slots.pop(one, None)
        slot = self._slots.setdefault(loop, _Slot())
        async with slot.lock:
            if slot.client is None:
                slot.client = await asyncio.to_thread(_new_client, base_url, token, bill_to)
            return slot.client

    async def aclose(self) -> None:
        """Close the running loop's."""
        slot = self._slots.pop(asyncio.get_running_loop(), None)
        if slot is not None and slot.client is not None:
            await slot.client.close()


def _new_client(base_url: str, token: Secret, bill_to: str | None) -> Any:  # noqa: ANN401 - the same
    """Make a client.

    Raises MissingExtra without the openai package, ConfigurationError for a base URL, or a proxy of the environment,
    that its HTTP library refuses.
    """
    try:
        import openai
    except ImportError:
        raise MissingExtra("hf", "asking the router") from None
    headers = {"Accept-Encoding": "identity"}
    if bill_to:
        headers[_BILL_TO] = bill_to
    try:
        client = openai.AsyncOpenAI(
            api_key=token.reveal(),
            base_url=base_url,
            max_retries=0,  # the retries are ours: these would multiply them, and know no deadline
            default_headers=headers,
            # The client's own defaults, of whichever HTTP library it is built on.
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                # A proxy could not reach this machine's own servers.
                trust_env=not is_loopback(base_url),
                event_hooks={"response": [limit_answer]},
            ),
        )
    except Exception as error:
        raise ConfigurationError(
            f"the HTTP client refuses its settings: {scrub(str(error))}",
            "look at the base URL, and at HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE",
        ) from error
    _ = client.chat.completions.with_raw_response  # imports what the first request needs
    return client
