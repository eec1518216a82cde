"""The JSON text of a browser capture: decompressed, without byte-order mark, its long strings shortened.

A capture is mostly response bodies. A string that covers a whole block is shortened before the JSON parser sees it, so
the memory needed is that of a few blocks, however long a body is; and the time stays linear, which it is not when ijson
meets such a string itself.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, Final

from alwrity_checks.errors import ConfigurationError

__all__ = ["BLOCK", "EXPORT", "capture_text"]

BLOCK: Final = 1 << 16
"""Bytes. A string shorter than this is never shortened."""
EXPORT: Final = "export a capture: DevTools, tab Network, Export HAR"
"""The remedy for whatever is no capture."""

_SIGNATURES: Final = (
    (b"PK\x03\x04", "a zip archive (Fiddler's .saz is one)", "unpack it; in Fiddler export as HTTPArchive v1.2"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture", EXPORT),
    (b"<", "HTML or XML", EXPORT),
)
_LONGEST_SIGNATURE: Final = 4
_TORN: Final = re.compile(rb"(?:\\(?:u[0-9A-Fa-f]{0,3})?|[\xc2-\xf4][\x80-\xbf]{0,2})\Z")
"""The beginning of an escape sequence or of a UTF-8 sequence at the end of a block."""
_LONGEST_TORN: Final = 5


def capture_text(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the text in blocks.

    Raises ConfigurationError if the stream cannot be read, is empty, or begins like something that is no capture.
    """
    first, pieces = _begun(_pieces(stream))
    if not first:
        raise ConfigurationError("the capture is empty", EXPORT)
    if first.startswith(b"\x1f\x8b"):
        first, pieces = _begun(_inflated(chain([first], pieces)))
        if not first:
            raise ConfigurationError("the capture's compressed data are empty or damaged", EXPORT)
    first = first.removeprefix(b"\xef\xbb\xbf")
    for signature, what, remedy in _SIGNATURES:
        if first.startswith(signature):
            raise ConfigurationError(f"this is not a capture but {what}", remedy)
    return _shortened(_blocks(chain([first], pieces)))


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    try:
        while piece := stream.read(BLOCK):
            yield piece
    except OSError as error:
        raise ConfigurationError(f"the capture cannot be read: {error.strerror or error}", EXPORT) from error


def _begun(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Take off enough to tell what it is, if there is that much."""
    first = b""
    while len(first) < _LONGEST_SIGNATURE and (more := next(pieces, b"")):
        first += more
    return first, pieces


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip. Damaged data end where the damage begins: the JSON parser then sees that text is missing."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            compressed = piece
            while compressed and not inflater.eof:
                if inflated := inflater.decompress(compressed, BLOCK):
                    yield inflated
                compressed = inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error:
        return


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Regroup into blocks of one size: a pipe may deliver in crumbs."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)


def _shortened(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out every block that lies wholly inside one string.

    What is left is the same JSON text with shorter strings. No escape sequence and no character is torn: one that the
    end of a block would tear is moved to the next block.
    """
    inside = False
    carried = b""
    for fresh in blocks:
        block = carried + fresh
        # Pairs of backslashes go first: what is left before a quotation mark then escapes it.
        bare = block.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in block else block
        quotes = bare.count(b'"')
        covered = inside and not quotes
        inside ^= bool(quotes & 1)
        end = _whole(block) if inside else len(block)
        carried = block[end:]
        if not covered:
            yield block[:end]
    if carried:
        yield carried


def _whole(block: bytes) -> int:
    """Return how many bytes of a block that ends inside a string hold whole characters and escape sequences."""
    torn = _TORN.search(block, max(0, len(block) - _LONGEST_TORN))
    if torn is None:
        return len(block)
    start = torn.start()
    backslashes = start + 1 - len(block[: start + 1].rstrip(b"\\"))
    # An even run is whole pairs: the last of them escapes nothing. (For a torn character the run is empty.)
    return len(block) if backslashes and backslashes % 2 == 0 else start
