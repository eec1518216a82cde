"""The driver that is asked what its interpreter is and has: see `program`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alwrity_checks.sandbox.speech import say

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["drive"]


def drive(inside: Inside, act: str, *words: str) -> None:
    """Say the version, and which of the modules `words` are there; none of them is imported."""
    del inside, act
    say(version=sys.version_info[:3], there=[name for name in words if find_spec(name) is not None])
