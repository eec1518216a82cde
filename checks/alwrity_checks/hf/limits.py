"""A limit on the size of an answer, inside the openai client's own HTTP client.

That client is httpx below openai 3 and httpx2 since, so nothing of either is named here: the stream's base class is
found in the stream itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Final

__all__ = ["LARGEST_ANSWER", "UnusableAnswer", "limit_answer"]

LARGEST_ANSWER: Final = 8 << 20
"""Bytes: a thousand times what a model writes."""


class UnusableAnswer(Exception):  # noqa: N818 - a property of the answer; it never leaves the room
    """The answer is larger than allowed, or compressed although no compression was asked for."""


async def limit_answer(response: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's, by openai release
    """Be the client's response hook: refuse what is encoded, and count the bytes of everything else."""
    if response.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise UnusableAnswer("a compressed answer, although none was asked for")
    response.stream = _counting(_stream_class(type(response.stream)))(response.stream)


def _stream_class(kind: type) -> type:
    return next(base for base in kind.__mro__ if base.__name__ == "AsyncByteStream")


@cache
def _counting(base: type) -> type:
    async def chunks(self: Any) -> AsyncIterator[bytes]:  # noqa: ANN401 - of the class made below
        received = 0
        async for chunk in self.stream:
            received += len(chunk)
            if received > LARGEST_ANSWER:
                raise UnusableAnswer(f"the answer is larger than {LARGEST_ANSWER} bytes")
            yield chunk

    async def aclose(self: Any) -> None:  # noqa: ANN401 - the same
        await self.stream.aclose()

    def init(self: Any, stream: Any) -> None:  # noqa: ANN401 - the same
        self.stream = stream

    return type("CountingStream", (base,), {"__init__": init, "__aiter__": chunks, "aclose": aclose})
