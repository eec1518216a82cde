"""Where a checkout defines a function that is not where a driver looks for it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.files import snapshot

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout

__all__ = ["definitions"]

_NAMED: Final = 3


def definitions(checkout: Checkout, names: Collection[str]) -> str:
    """Return in words where functions or classes of these names are defined; an empty text if nowhere.

    By their text, so that a file which does not parse is found as well. Nothing is run.
    """
    pattern = re.compile(rb"^[ \t]*(?:async def|def|class) (%s)\b" % "|".join(sorted(names)).encode(), re.MULTILINE)
    found = []
    for path, source in snapshot(checkout).sources.items():
        for match in pattern.finditer(source):
            line = source.count(b"\n", 0, match.start()) + 1
            found.append(f"{match[1].decode()} is defined in {path}:{line}")
    more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
