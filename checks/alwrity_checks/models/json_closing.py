"""The shortest way that is at hand from an unfinished answer to a valid one.

A model that does not come to an end (one with random weights never does) fills any budget of tokens inside the first
string that has no length. So while it writes we know of a way to the end that still fits; when the next token would
leave too little for one, the way is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.models.json_scanner import JsonScanner

__all__ = ["Closing"]

_IN_STRING: Final = ('"',)
_OUTSIDE: Final = ("}", "]", ",", *"0123456789", "null", "true", '"', "[", "{", "-", ".", ":", " ")
"""In the order in which they lead to an end: a value before one that has to be closed, an end before more."""
_MARKS: Final = ("-", "@", ".", ":", "/", "T", "Z", "+", "_", "#", "0")
"""What leads from one part of a pattern or a format to the next; each is tried once in a string before it is filled."""
_FILLERS: Final = "a0x1 b the information international; this is not about people, government or development"
"""What a string that may not end yet is filled with: the tokens of this text, the longest first."""
_SEARCHED: Final = 512
"""Tokens of a mask that are looked at where none of these is allowed."""


@dataclass(frozen=True, slots=True)
class _Pieces:
    outside: tuple[int, ...]
    in_string: tuple[int, ...]
    marks: tuple[int, ...]
    fillers: tuple[int, ...]


class Closing:
    """Finds ways to the end; one for each vocabulary."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - llguidance's tokenizer, whose types are not read here
        """Take llguidance's tokenizer."""
        self._tokenizer = tokenizer
        self._bytes: dict[int, bytes] = {}

        def tokens(texts: tuple[str, ...]) -> tuple[int, ...]:
            whole = (tokenizer.tokenize_str(text) for text in texts)
            return tuple(dict.fromkeys(found[0] for found in whole if len(found) == 1))

        fillers = dict.fromkeys(tokenizer.tokenize_str(_FILLERS))
        longest_first = tuple(sorted(fillers, key=lambda one: -len(self.bytes_of(one))))
        self._pieces = _Pieces(tokens(_OUTSIDE), tokens(_IN_STRING), tokens(_MARKS), longest_first)

    def bytes_of(self, token: int) -> bytes:
        """Return the bytes of a token."""
        found = self._bytes.get(token)
        if found is None:
            found = self._bytes[token] = bytes(self._tokenizer.decode_bytes([token]))
        return found

    def way(self, matcher: Any, scanner: JsonScanner, most: int) -> list[int] | None:  # noqa: ANN401 - llguidance
        """Return tokens after which the answer is whole; None if none are found within `most`.

        Leaves `matcher` as it is.
        """
        matcher = matcher.deep_copy()
        way: list[int] = []
        string: list[int] = []  # what of the way belongs to the string that is open
        while not matcher.is_accepting():
            forced = matcher.compute_ff_tokens()
            for token in forced or self._candidates(matcher, scanner, string):
                if len(way) == most:
                    return None
                after = scanner.push(self.bytes_of(token)) if matcher.validate_tokens([token]) else None
                if after is None:
                    if forced:
                        return None
                    continue
                matcher.consume_token(token)
                scanner = after
                way.append(token)
                string.append(token)
                if b'"' in self.bytes_of(token):
                    string.clear()
                if not forced:
                    break
            else:
                if not forced:
                    return None
        return way

    def _candidates(self, matcher: Any, scanner: JsonScanner, string: list[int]) -> Iterator[int]:  # noqa: ANN401 - llguidance
        pieces = self._pieces
        if scanner.in_string:
            yield from pieces.in_string
            yield from (mark for mark in pieces.marks if mark not in string)
            yield from pieces.fillers
        else:
            yield from pieces.outside
        yield from self._allowed(matcher)

    def _allowed(self, matcher: Any) -> list[int]:  # noqa: ANN401 - llguidance
        """Return the tokens that the grammar allows, the longest first."""
        import numpy as np

        mask = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.flatnonzero(np.unpackbits(mask, bitorder="little"))[:_SEARCHED].tolist()
        ends = set(self._tokenizer.eos_tokens)
        return sorted((token for token in allowed if token not in ends), key=lambda one: -len(self.bytes_of(one)))
