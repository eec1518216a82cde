"""One module for each issue that a checkout can be cured of; each is imported when its issue is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Face

__all__ = ["FACES", "face"]

FACES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "alwrity_checks.adoption.faces.auth",
        2: "alwrity_checks.adoption.faces.hf",
        3: "alwrity_checks.adoption.faces.txtai",
        5: "alwrity_checks.adoption.faces.models",
        6: "alwrity_checks.adoption.faces.startup",
    }
)
"""The issue -> the module whose `propose` cures a checkout of it; issue 4 is no defect."""


def face(issue: int) -> Face:
    """Return the face of `issue`. Raises KeyError where there is none."""
    return cast("Face", import_module(FACES[issue]))
