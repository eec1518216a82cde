"""A model hub, asked for listings and for ranges of files, within limits that always hold.

Unlike the client of huggingface_hub: one look says within two seconds whether the hub is there at all; every call has
a deadline as a whole, retries included; a token goes to the hub's own origin and to nobody else; and every refusal is
one of our reasons.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import quote

from alwrity_checks.models import reach
from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.hub_answers import HubFault, Question, unreachable
from alwrity_checks.models.hub_requests import Answer, Ask, Requests
from alwrity_checks.models.hub_settings import checked_endpoint, is_offline, sendable, token_of
from alwrity_checks.models.listing import Listing, RemoteFile, file_of_head, is_model_name, read_listing
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.redaction import Secret

__all__ = ["DEFAULT_ENDPOINT", "Hub", "Listing", "Part", "RemoteFile"]

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_LARGEST_LISTING: Final = 16 << 20
_PATIENCE_TO_REACH: Final = 2.0
_REMEMBERED: Final = {True: 60.0, False: 5.0}
"""Seconds for which the look whether the hub is there holds."""
_FIRST_PAUSE: Final = 0.4
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Part:
    """A file from some byte on, while it arrives."""

    start: int
    """Where it begins: what was asked for, or 0 where the server knows no ranges."""
    total: int | None
    """The whole file's size, where the server says it."""
    etag: str | None
    """What the hub says that the content is known by; None where it says nothing."""
    chunks: Iterator[bytes]
    """Raises HubFault where the way or the server fails."""


class Hub:
    """A hub, or a mirror of one. Thread-safe: requests at the same time have a connection each.

    What asks raises ModelUnavailable with the reason: HUB_OFFLINE, HUB_UNREACHABLE, HUB_RATE_LIMITED,
    HUB_UNAUTHORISED, HUB_ERROR, MODEL_UNKNOWN, MODEL_GATED, REVISION_UNKNOWN, FILE_MISSING, MODEL_NAME_INVALID,
    DOWNLOAD_BROKEN.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: Secret | None = None,
        *,
        timeout: float = 10.0,
        offline: bool = False,
    ) -> None:
        """Ask at `endpoint` (https://huggingface.co). `timeout` bounds every call, in seconds, its retries included.

        With `offline` nothing is asked, and what would ask raises HUB_OFFLINE. Raises ModelUnavailable with
        SETTING_INVALID for an endpoint or a token that cannot be one. A token is sent over TLS, or to this machine.
        """
        self.endpoint = checked_endpoint(endpoint or DEFAULT_ENDPOINT)
        self.timeout = timeout
        self.offline = offline
        self._requests = Requests(self.endpoint, sendable(token), timeout)
        self._looked: tuple[float, bool] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, *, timeout: float = 10.0) -> Self:
        """Return the hub that huggingface_hub would use, by the same settings.

        `HF_ENDPOINT`; `HF_TOKEN`, or the token that `hf auth login` has left; `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`.
        Raises ModelUnavailable(SETTING_INVALID).
        """
        known = os.environ if environment is None else environment
        endpoint = known.get("HF_ENDPOINT", "").strip() or None
        return cls(endpoint, token_of(known), timeout=timeout, offline=is_offline(known))

    @property
    def bytes_read(self) -> int:
        """Bytes of all bodies so far, refusals included, heads not."""
        return self._requests.transfers.bytes_read

    def reachable(self, timeout: float = _PATIENCE_TO_REACH) -> bool:
        """Say within `timeout` seconds whether somebody answers at the endpoint (or at the proxy before it)."""
        if self.offline:
            return False
        found = reach.reachable(self.endpoint, timeout)
        self._looked = time.monotonic(), found
        return found

    def listing(self, model: str, revision: str = "main") -> Listing:
        """Return the files of a model at a revision, with their sizes and what their content is known by."""
        question = self._question(model, revision)
        path = f"/api/models/{model}" + ("" if revision == "main" else f"/revision/{quote(revision, safe='')}")
        document = self._persistently(partial(self._document, question, f"{path}?blobs=true"))
        listing, bare = read_listing(question, document)
        # A mirror may not tell sizes: the files' own heads do.
        heads = [
            self._persistently(partial(self._head, self._question(model, listing.revision, name))) for name in bare
        ]
        return Listing(listing.model, listing.revision, (*listing.files, *heads))

    def read(  # noqa: PLR0913, PLR0917 - a file is named by three, its range by two, and one is the limit
        self, model: str, revision: str, name: str, start: int = 0, end: int | None = None, limit: int = 1 << 20
    ) -> bytes:
        """Return the bytes `start` to `end` (exclusive; None: the end) of a file; fewer where the file ends before.

        A file of which more than `limit` bytes are to come is refused with DOWNLOAD_BROKEN. Raises ValueError for a
        range that is none, or is longer than `limit`.
        """
        if start < 0 or (end is not None and not 0 <= end - start <= limit):
            raise ValueError(f"no range of at most {limit} bytes: {start} to {end}")
        if end == start:
            return b""
        question = self._question(model, revision, name)
        return self._persistently(partial(self._read, question, start, end, limit))

    @contextlib.contextmanager
    def stream(
        self, model: str, revision: str, name: str, start: int = 0, *, stop: threading.Event | None = None
    ) -> Iterator[Part]:
        """Yield a file from byte `start` on: one attempt, ended only by a silence of more than `timeout` seconds.

        Raises besides DOWNLOAD_STALLED for such a silence, and Stopped once `stop` is set.
        """
        self._look_first()
        question = self._question(model, revision, name)
        with self._file(question, start, None, Ask(_resolve(question), stop=stop)) as part:
            yield part

    def close(self) -> None:
        """End what is under way, and give the connections up."""
        self._requests.transfers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _question(self, model: str, revision: str, name: str = "") -> Question:
        if not is_model_name(model):
            raise ModelUnavailable(
                Reason.MODEL_NAME_INVALID,
                f"{scrub(model)[:100]!r} is not the name of a model on a hub",
                "name it owner/name, as Qwen/Qwen2.5-0.5B-Instruct, or give a directory that exists",
            )
        return Question(self.endpoint, model, revision, name, with_token=self._requests.sends_token)

    def _persistently(self, attempt: Callable[[float], _T]) -> _T:
        """Return what `attempt` returns, called with the seconds that are left; what may pass is tried again."""
        self._look_first()
        deadline, pause = time.monotonic() + self.timeout, _FIRST_PAUSE
        while True:
            try:
                return attempt(max(0.001, deadline - time.monotonic()))
            except HubFault as fault:
                wait = pause if fault.retry_after is None else fault.retry_after
                if not fault.transient or time.monotonic() + wait >= deadline:
                    raise
            time.sleep(wait)
            pause *= 2

    def _look_first(self) -> None:
        """Raise at once, and not after a ladder of retries, where there is no network."""
        if self.offline:
            raise ModelUnavailable(
                Reason.HUB_OFFLINE,
                "offline mode is set (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE), and the model is not on this machine",
                "unset it to download, or copy the model into the cache from a machine that has it",
            )
        looked = self._looked
        there = looked[1] if looked and time.monotonic() - looked[0] < _REMEMBERED[looked[1]] else self.reachable()
        if not there:
            host, port = reach.first_hop(self.endpoint)
            raise unreachable(self.endpoint, f"no connection to {host}:{port} within {_PATIENCE_TO_REACH:g} s")

    def _document(self, question: Question, path: str, seconds: float) -> object:
        body = bytearray()
        with self._answer(question, Ask(path, seconds=seconds)) as answer:
            for chunk in answer.chunks:
                body += chunk
                if len(body) > _LARGEST_LISTING:
                    raise _too_large(question, _LARGEST_LISTING)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise HubFault(
                Reason.HUB_ERROR,
                f"{self.endpoint} answered for {question} with something that is no JSON",
                "check HF_ENDPOINT, and whether this network wants a login in the browser first",
            ) from None

    def _head(self, question: Question, seconds: float) -> RemoteFile:
        with self._answer(question, Ask(_resolve(question), "HEAD", seconds=seconds)) as answer:
            return file_of_head(question, answer.said)

    def _read(self, question: Question, start: int, end: int | None, limit: int, seconds: float) -> bytes:
        most = limit if end is None else end - start
        with self._file(question, start, end, Ask(_resolve(question), seconds=seconds)) as part:
            skip = start - part.start  # of a server that knows no ranges
            if skip > limit or (end is None and part.total is not None and part.total - start > limit):
                raise _too_large(question, limit)
            found = bytearray()
            for chunk in part.chunks:
                found += chunk
                if len(found) > skip + most:
                    break
            if end is None and len(found) > skip + most:
                raise _too_large(question, limit)
            return bytes(found[skip : skip + most])

    @contextlib.contextmanager
    def _file(self, question: Question, start: int, end: int | None, ask: Ask) -> Iterator[Part]:
        if start or end is not None:
            ask = Ask(
                ask.path,
                headers={"Range": f"bytes={start}-{'' if end is None else end - 1}"},
                seconds=ask.seconds,
                stop=ask.stop,
            )
        with self._answer(question, ask) as answer:
            begins, total = _range_of(question, answer, start)
            etag = answer.said.get("x-linked-etag") or answer.said.get("etag")
            yield Part(begins, total, etag.removeprefix("W/").strip('"') if etag else None, answer.chunks)

    @contextlib.contextmanager
    def _answer(self, question: Question, ask: Ask) -> Iterator[Answer]:
        try:
            with self._requests.answer(question, ask) as answer:
                yield answer
        except HubFault as fault:
            if fault.reason is Reason.HUB_UNREACHABLE:
                self._looked = None  # it has gone away since
            raise


def _resolve(question: Question) -> str:
    return f"/{question.model}/resolve/{quote(question.revision, safe='')}/{quote(question.name)}"


def _too_large(question: Question, limit: int) -> HubFault:
    return HubFault(
        Reason.DOWNLOAD_BROKEN, f"more came of {question} than the {limit} bytes it may have", "check the model's files"
    )


def _range_of(question: Question, answer: Answer, start: int) -> tuple[int, int | None]:
    """Return where an answer's body begins in the file, and the file's size."""
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        length = answer.headers.get("content-length", "")
        return 0, int(length) if re.fullmatch(r"\d{1,18}", length) else None
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None or int(found[1]) != start:
        raise HubFault(
            Reason.DOWNLOAD_BROKEN,
            f"{question.endpoint} sent another part of {question} than the one that was asked for",
            "try again; if it stays so, check HF_ENDPOINT and the proxy",
            transient=True,
        )
    return start, int(found[3])
