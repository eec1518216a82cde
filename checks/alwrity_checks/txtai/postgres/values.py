"""Documents as the database keeps them, and filters as it compares them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from alwrity_checks.txtai.documents import Document
from alwrity_checks.txtai.storage import UnusableFilter

__all__ = ["comparable", "content_of", "document_of", "filter_of", "key_of"]

_SCALARS: Final = (str, int, float, bool, type(None))
_INCOMPARABLE: Final[list[object]] = []
"""Stands for a list or mapping: it is there, and equals nothing that a filter can name."""


def key_of(name: str) -> bytes:
    """Return what stands for the id of a user or document in an index, 32 bytes."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def content_of(document: Document) -> str:
    """Return a document's text and fields as JSON."""
    return json.dumps({"text": document.text, "fields": document.fields}, allow_nan=False, ensure_ascii=False)


def document_of(document_id: str, digest: str, content: Mapping[str, Any]) -> Document:
    """Return the document that was kept."""
    return Document(document_id, content["text"], content["fields"], digest)


def comparable(fields: Mapping[str, Any]) -> str:
    """Return, as JSON, what filters can find of the fields. Null is left out: it is the same as absent."""
    found = {name: _value(value) for name, value in fields.items() if value is not None and "\0" not in name}
    return json.dumps(found, allow_nan=False, ensure_ascii=False)


def _value(value: object) -> object:
    if isinstance(value, str) and "\0" in value:
        # jsonb holds no NUL. No other value is a mapping here.
        return {"json": json.dumps(value)}
    return value if isinstance(value, _SCALARS) else _INCOMPARABLE


def filter_of(where: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the values that `fields` must have, as JSON, and the names that it must not have. Raises UnusableFilter.

    In jsonb, as in JSON, true and 1 are two values, and 1 and 1.0 are one.
    """
    for name, value in where.items():
        _check(name, value)
    present = {name: _value(value) for name, value in where.items() if value is not None}
    return json.dumps(present, ensure_ascii=False), [name for name, value in where.items() if value is None]


def _check(name: str, value: object) -> None:
    if not isinstance(value, _SCALARS) or (isinstance(value, float) and not math.isfinite(value)):
        kind = type(value).__name__ if not isinstance(value, float) else repr(value)
        raise UnusableFilter(
            f"the filter {name!r:.60} cannot be compared with a {kind}",
            "filter by a string, a finite number, a boolean or None",
        )
    if "\0" in name:
        raise UnusableFilter(f"the filter {name!r:.60} has a NUL in its name", "filter by another field")
    for text in (name, value):
        try:
            str(text).encode()
        except UnicodeEncodeError:
            raise UnusableFilter(
                f"the filter {name!r:.60} holds a lone surrogate, which is no character",
                'decode what was read with errors="replace"',
            ) from None
