"""The states of the backend's index service that differ in what they lose."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["DESCRIPTIONS", "LegacyVariant"]


class LegacyVariant(StrEnum):
    """A state of the service, by the commit of AJaySi/ALwrity that brought it about; the oldest first."""

    SILENT = "098424f6"
    """2026-03-09 13:26: starts the initialisation and returns at once, without an error and without the documents."""
    THEIRS = "4230385e-theirs"
    """2026-03-09: one side of a merge conflict that was committed unresolved; the catalogue describes this one."""
    AWAITING = "7e4adce5"
    """2026-03-10 14:04: waits for one initialisation; a further call replaces what an earlier one stored."""
    DOUBLE = "8c2d88ef"
    """2026-03-10: starts an initialisation in the background and another one that it waits for."""
    HEAD = "HEAD"
    """ce9bf293, 2026-06-13: as the one before, and further batches no longer replace the earlier ones."""


DESCRIPTIONS: Final = MappingProxyType(
    {
        LegacyVariant.SILENT: "returns before the index is ready, the documents dropped",
        LegacyVariant.THEIRS: "raises while the index is not ready",
        LegacyVariant.AWAITING: "awaits one initialisation; index() replaces",
        LegacyVariant.DOUBLE: "two initialisations at once; index() replaces",
        LegacyVariant.HEAD: "ce9bf293: two initialisations at once; upsert() adds",
    }
)
