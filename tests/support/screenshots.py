"""Two screenshots compared as a person would: what is a little lighter is the same, what says something else is not."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Difference", "differences", "reduced"]

_BLOCK: Final = 8
"""Pixels; letters are about as high. The mean of a block hides how a release of Chromium smooths an edge."""
_SHIFT: Final = 1
"""Pixels by which anything may be out of place: text that begins half a pixel further on looks the same."""
_NOTICEABLE: Final = 15
"""Of 255, in the channel that differs most. Half a pixel comes to 10, a letter more in a line to 40."""
_FORGIVEN: Final = 2
"""Blocks that touch each other; fewer are less than a word."""
_HEIGHT: Final = 0.01
"""A page may be higher or lower by so much: a line's height is rounded."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of a page that looks otherwise than it should."""

    left: int
    """CSS pixels from the left and top edge of the page; so are the others."""
    top: int
    right: int
    bottom: int
    strength: int
    """The greatest difference of a block's mean, of 255."""


def reduced(screenshot: bytes) -> bytes:
    """Return a screenshot with as few colours as it needs, to be kept."""
    with Image.open(BytesIO(screenshot)) as image:
        kept = BytesIO()
        image.convert("RGB").quantize(255, Image.Quantize.MAXCOVERAGE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def differences(expected: bytes, seen: bytes) -> tuple[tuple[Difference, ...], bytes]:
    """Return the parts in which two screenshots differ, from top to bottom, and a picture in which they stand out.

    Where one page is longer by more than a rounding, what is below the other's end is a part that differs.
    """
    with Image.open(BytesIO(expected)) as first, Image.open(BytesIO(seen)) as second:
        one, two = first.convert("RGB"), second.convert("RGB")
    size = (min(one.width, two.width), min(one.height, two.height))
    changed = _changed(one.crop((0, 0, *size)), two.crop((0, 0, *size)))
    blocks = changed.reduce(_BLOCK)
    strength = {
        (x, y): most
        for y in range(blocks.height)
        for x in range(blocks.width)
        if (most := max(_pixel(blocks, x, y))) > _NOTICEABLE
    }
    parts = [_around(part, strength) for part in _touching(set(strength)) if len(part) > _FORGIVEN]
    low, high = sorted((one.height, two.height))
    if one.width != two.width or high - low > _HEIGHT * low:
        parts.append(Difference(0, low, max(one.width, two.width), high, 255))
    shown = BytesIO()
    ImageChops.invert(changed).save(shown, "PNG")
    return tuple(sorted(parts, key=lambda part: (part.top, part.left))), shown.getvalue()


def _changed(one: Image.Image, two: Image.Image) -> Image.Image:
    """Return by how much each pixel differs from the likest of those around its place."""
    least = ImageChops.difference(one, two)
    steps = range(-_SHIFT, _SHIFT + 1)
    for x, y in ((x, y) for x in steps for y in steps):
        least = ImageChops.darker(least, ImageChops.difference(one, ImageChops.offset(two, x, y)))
    return least


def _pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(map(int, value))


def _touching(blocks: set[tuple[int, int]]) -> Iterator[set[tuple[int, int]]]:
    """Yield groups of blocks that are at most one block apart."""
    while blocks:
        edge = {blocks.pop()}
        part = set(edge)
        while edge:
            around = {(x + dx, y + dy) for x, y in edge for dx in range(-2, 3) for dy in range(-2, 3)}
            edge = around & blocks
            blocks -= edge
            part |= edge
        yield part


def _around(part: set[tuple[int, int]], strength: dict[tuple[int, int], int]) -> Difference:
    columns, rows = [x for x, _ in part], [y for _, y in part]
    return Difference(
        min(columns) * _BLOCK,
        min(rows) * _BLOCK,
        (max(columns) + 1) * _BLOCK,
        (max(rows) + 1) * _BLOCK,
        max(strength[one] for one in part),
    )
