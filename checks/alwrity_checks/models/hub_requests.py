"""One question to a hub, through its redirects, as an answer or as one of our faults.

A hub answers for a large file with a redirect to where it keeps its files. What it says of the file stands in that
redirect; the token is for the hub alone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from alwrity_checks.models.hub_answers import HubFault, Question, refusal, unreachable
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.transfer import TimedOut, Transfers, is_loopback
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    import httpx

    from alwrity_checks.redaction import Secret

__all__ = ["Answer", "Ask", "Requests"]

_LARGEST_REFUSAL: Final = 1 << 16
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Ask:
    """How something is asked for."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    """For everything together; None: for as long as something comes."""
    stop: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no refusal."""

    status: int
    headers: Mapping[str, str]
    """Of the answer that holds the body, with names in lower case."""
    said: Mapping[str, str]
    """Of the hub's own answer, which a redirect may have followed."""
    chunks: Iterator[bytes]
    """The body. Raises HubFault."""


class Requests:
    """Asks one hub."""

    def __init__(self, endpoint: str, token: Secret | None, silence: float) -> None:
        """Take the hub's checked address, and for how many seconds it may be silent."""
        host = urlsplit(endpoint).hostname or ""
        safe = endpoint.startswith("https:") or is_loopback(host)  # encrypted, or never off this machine
        self._endpoint = endpoint
        self._token = token if safe else None
        self._silence = silence
        self.transfers = Transfers(host if is_loopback(host) else None)

    @property
    def sends_token(self) -> bool:
        """Whether the hub is sent a token: there is one, and it travels safely."""
        return self._token is not None

    @contextlib.contextmanager
    def answer(self, question: Question, ask: Ask) -> Iterator[Answer]:
        """Yield the answer at the end of the redirects; of a HEAD the hub's own. Raises HubFault, and Stopped."""
        import httpx

        ends = None if ask.seconds is None else time.monotonic() + ask.seconds
        url, said = self._endpoint + ask.path, dict[str, str]()
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                left = None if ends is None else max(0.001, ends - time.monotonic())
                with self.transfers.request(
                    ask.method, url, self._headers(url, ask), read_timeout=self._silence, total=left, stop=ask.stop
                ) as response:
                    fields = {name.lower(): value for name, value in response.headers.items()}
                    following = self._following(question, response, url)
                    if not said and (following is None or not _renamed(fields, url, following)):
                        said = fields
                    if response.status_code >= HTTPStatus.BAD_REQUEST:
                        self._take_in(response)
                        raise refusal(question, response.status_code, fields)
                    if following is None or (ask.method == "HEAD" and said):
                        yield Answer(response.status_code, fields, said, self._body(question, response))
                        return
                    self._take_in(response)
                    url = following
            raise HubFault(Reason.HUB_ERROR, f"{self._endpoint} sends in circles for {question}", "check HF_ENDPOINT")
        except TimedOut:
            raise self._silent(question, ask) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # what the block itself raises is not the hub's
            raise self._broken_off(question, error) from None

    def _headers(self, url: str, ask: Ask) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "alwrity-doctor", **ask.headers}
        if self._token is not None and _origin(url) == _origin(self._endpoint):
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return headers

    def _following(self, question: Question, response: httpx.Response, url: str) -> str | None:
        """Return where a redirect leads, None for any other answer. To another host only for a file."""
        location: str = response.headers.get("location", "")
        if response.status_code not in _REDIRECTS or not location:
            return None
        following = urljoin(url, location)
        elsewhere = _origin(following) != _origin(self._endpoint)
        scheme = urlsplit(following).scheme
        safe = scheme == "https" or (scheme == "http" and not self._endpoint.startswith("https:"))
        if elsewhere and not (question.name and safe):
            raise HubFault(
                Reason.HUB_ERROR,
                f"{self._endpoint} sends the question for {question} on to {scrub(_origin(following))[:100]}",
                "check HF_ENDPOINT, and whether this network wants a login in the browser first",
            )
        return following

    def _body(self, question: Question, response: httpx.Response) -> Iterator[bytes]:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise HubFault(
                Reason.DOWNLOAD_BROKEN,
                f"{self._endpoint} sends {question} compressed, although it was asked not to",
                "check HF_ENDPOINT and the proxy",
            )
        for chunk in response.iter_raw():  # as it arrives: a size would hold a slow line's bytes back
            self.transfers.count(len(chunk))
            yield chunk

    def _take_in(self, response: httpx.Response) -> None:
        """Read what nobody wants to know, so that the connection can serve again; a long one is left."""
        taken = 0
        for chunk in response.iter_raw():
            self.transfers.count(len(chunk))
            taken += len(chunk)
            if taken > _LARGEST_REFUSAL:
                return

    def _silent(self, question: Question, ask: Ask) -> HubFault:
        if ask.seconds is None:
            return HubFault(
                Reason.DOWNLOAD_STALLED,
                f"nothing more of {question} came for {self._silence:g} s",
                "try again: what is here already is kept",
                transient=True,
            )
        return unreachable(self._endpoint, f"no complete answer for {question} within {ask.seconds:.2g} s")

    def _broken_off(self, question: Question, error: Exception) -> HubFault:
        import httpx

        told = f"{type(error).__name__}: {scrub(str(error))}"[:160].rstrip(": ")
        if question.name and isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError):
            return HubFault(
                Reason.DOWNLOAD_BROKEN,
                f"the connection to {self._endpoint} broke off while {question} was read ({told})",
                "try again: what is here already is kept",
                transient=True,
            )
        return unreachable(self._endpoint, told)


def _renamed(fields: Mapping[str, str], url: str, following: str) -> bool:
    """Say whether a redirect is only to a model's new name, and says nothing of a file yet."""
    return _origin(following) == _origin(url) and "x-linked-etag" not in fields


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
