"""What may be read of a model on a hub to know it: ranges of its files, no more than 200 kB all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.errors import LoadFailed, ModelError
from alwrity_checks.models.needed import INDEX, SINGLE
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision
from alwrity_checks.models.weights import Weights, read_weights, shards_of

if TYPE_CHECKING:
    from alwrity_checks.models.hub import Hub, Listing
    from alwrity_checks.models.shape import Shape

__all__ = ["LARGEST_READ", "Ranges", "TooMuch", "weights_on_hub"]

LARGEST_READ: Final = 200_000
"""Bytes that are read from a hub, all together, to plan with a model."""


class TooMuch(Exception):  # noqa: N818 - a condition; no caller sees it
    """More than may be read to plan with a model."""


class Ranges:
    """Reads from a model on a hub, and counts: the listing is included."""

    def __init__(self, hub: Hub, model: str) -> None:
        """Ask for the listing; raises as the hub does."""
        self._hub, self._began = hub, hub.bytes_read
        self.listing: Listing = hub.listing(model)

    @property
    def spent(self) -> int:
        """Bytes that were read so far."""
        return self._hub.bytes_read - self._began

    def read(self, name: str, start: int, end: int) -> bytes:
        """Return a range of a file. Raises TooMuch where it would be more than may be read."""
        if self.spent + end - start > LARGEST_READ:
            raise TooMuch
        return self._hub.read(self.listing.model, self.listing.revision, name, start, end, limit=max(1, end - start))

    def whole(self, name: str) -> bytes:
        """Return a whole file; nothing where the repository has none of that name."""
        size = self.size(name)
        return self.read(name, 0, size) if size else b""

    def beginning(self, name: str, most: int) -> bytes:
        """Return the first bytes of a file that is only of interest; nothing where that fails or is too much."""
        try:
            return self.read(name, 0, min(self.size(name), most)) if self.size(name) else b""
        except (TooMuch, ModelError):
            return b""

    def size(self, name: str) -> int:
        """Return a file's bytes; 0 where there is none of that name."""
        file = self.listing.file(name)
        return 0 if file is None else file.size


def weights_on_hub(ranges: Ranges, sizes: Mapping[str, int], shape: Shape) -> Weights:
    """Return the weights in the files of `sizes`, by their headers; by the sizes alone where those are too much.

    Raises LoadFailed as `read_weights`, and FILE_CORRUPT for an index that names other files.
    """
    try:
        if SINGLE not in sizes and ranges.size(INDEX) and set(shards_of(ranges.whole(INDEX))) != set(sizes):
            raise LoadFailed(
                Reason.FILE_CORRUPT,
                f"the index of {ranges.listing.model} names other files than there are",
                "choose another model, or another revision",
            )
        return read_weights(sizes, ranges.read)
    except TooMuch:
        # What a file holds besides the weights, its header, is less than a thousandth of it.
        total = sum(sizes.values())
        return Weights({shape.precision or Precision.FLOAT32: total}, 0, 0, total, len(sizes), exact=False)
