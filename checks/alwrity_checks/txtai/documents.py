"""What may enter an index, judged at the door.

txtai itself finds out in the middle of an insert that a field cannot be serialised, and the half-written batch then
poisons the index for good. So everything that could go wrong there is refused here, before anything is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from alwrity_checks.errors import DoctorError

__all__ = [
    "LARGEST_DOCUMENT",
    "RESERVED",
    "Document",
    "Item",
    "UnusableDocument",
    "digest_of",
    "documents",
    "fields_of",
]

RESERVED: Final = frozenset({"data", "entry", "id", "indexid", "object", "score", "tags", "text"})
"""Names that mean something else in txtai's SQL: a field of that name would be unreachable or would take its place."""

LARGEST_DOCUMENT: Final = 10_000_000
"""Bytes of one document's text and fields in UTF-8; the encoder reads only the beginning of such a text anyway."""

LONGEST_ID: Final = 1024
"""Characters of an id."""

DEEPEST_FIELD: Final = 64
"""Lists and mappings inside each other; SQLite reads a thousand, and Python's recursion ends at what is left of it."""

_JSON_REMEDY: Final = "send strings, finite numbers, booleans, None, lists and mappings; a date as date.isoformat()"
_PAIR: Final = 2
_TRIPLE: Final = 3


@dataclass(frozen=True, slots=True)
class Document:
    """One text to be found again, with its fields."""

    id: str
    text: str
    fields: Mapping[str, Any]
    """What searches can filter by and hits give back; JSON values only."""
    digest: str
    """SHA-256 of text and fields in a canonical form, hexadecimal: equal digests need no new vector."""


Item: TypeAlias = Document | Mapping[str, Any] | tuple[Any, ...]
"""A document; a mapping of `id`, `text` and further fields; or `(id, text, fields)`, with or without the fields."""


class UnusableDocument(DoctorError):  # noqa: N818 - a decision, like TokenRejected
    """A document cannot be indexed; nothing of the call it came with was kept."""

    def __init__(self, position: int, document_id: object, reason: str, remedy: str) -> None:
        """Name the document by its position in the call, counted from 0, and by its id as far as it has one."""
        named = f" ({document_id!r:.80})" if document_id is not None else ""
        super().__init__(f"document {position}{named} {reason}", remedy)
        self.position = position
        self.id = document_id
        self.reason = reason


def documents(items: Iterable[Item]) -> tuple[Document, ...]:
    """Return the documents that `items` describe, each id once. Raises UnusableDocument for the first unusable one."""
    accepted: dict[str, Document] = {}
    if not isinstance(items, Iterable):
        raise UnusableDocument(0, None, f"cannot be had from a {type(items).__name__}", "send a list of documents")
    for position, item in enumerate(items):
        document = _document(position, item)
        before = accepted.setdefault(document.id, document)
        if before.digest != document.digest:
            raise UnusableDocument(
                position,
                document.id,
                "has the id of an earlier document in this call, with other content",
                "give every document an id of its own, or send the versions in separate calls",
            )
    return tuple(accepted.values())


def digest_of(text: str, fields: Mapping[str, Any]) -> str:
    """Return the digest of a text with its fields; the order of the fields does not matter."""
    return hashlib.sha256(_canonical(text, fields)).hexdigest()


def _canonical(text: str, fields: Mapping[str, Any]) -> bytes:
    return json.dumps(
        [text, fields], allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode()


def fields_of(data: str | None) -> dict[str, Any]:
    """Return the fields in the JSON that txtai keeps of a document."""
    return {name: value for name, value in json.loads(data or "{}").items() if name not in RESERVED}


def _document(position: int, item: Item) -> Document:
    document_id, text, fields = _parts(position, item)
    fault = _fault_in_id(document_id) or _fault_in_text(text) or _fault_in_names(fields)
    if fault is None and isinstance(document_id, str) and isinstance(text, str) and isinstance(fields, Mapping):
        try:
            document_id.encode()
            canonical = _canonical(text, {**fields})
        except UnicodeEncodeError:
            fault = ("holds a lone surrogate, which is no character", 'decode what was read with errors="replace"')
        except (TypeError, ValueError, RecursionError) as error:
            fault = (f"has a field that JSON cannot hold: {error}", _JSON_REMEDY)
        else:
            if len(canonical) <= LARGEST_DOCUMENT:
                digest = hashlib.sha256(canonical).hexdigest()
                return Document(str(document_id), str(text), json.loads(canonical)[1], digest)
            fault = (
                f"is {len(canonical):,} bytes long, more than {LARGEST_DOCUMENT:,}",
                "split the text into sections",
            )
    raise UnusableDocument(position, document_id, *(fault or ("is of the wrong kind", "send id, text and fields")))


def _fault_in_id(document_id: object) -> tuple[str, str] | None:
    if not isinstance(document_id, str):
        return f"has an id of type {type(document_id).__name__}", "make the id a string: str(id)"
    if not 0 < len(document_id) <= LONGEST_ID or "\0" in document_id:
        return (
            "has an empty id, one with a NUL in it, or one that is too long",
            f"use an id of 1 to {LONGEST_ID} characters",
        )
    return None


def _fault_in_text(text: object) -> tuple[str, str] | None:
    if not isinstance(text, str):
        return f"has a text of type {type(text).__name__}", "send the text as a string"
    if not text.strip():
        return "has an empty text", "leave documents without a text out: there is nothing to search for"
    return None


def _parts(position: int, item: object) -> tuple[object, object, object]:
    if isinstance(item, Document):
        return item.id, item.text, item.fields
    if isinstance(item, Mapping):
        missing = [name for name in ("id", "text") if name not in item]
        if missing:
            raise UnusableDocument(
                position, item.get("id"), f"has no {' and no '.join(missing)}", "send a mapping with id and text"
            )
        return item["id"], item["text"], {name: item[name] for name in item if name not in {"id", "text"}}
    if isinstance(item, tuple) and len(item) == _PAIR:
        return item[0], item[1], {}
    if isinstance(item, tuple) and len(item) == _TRIPLE:
        return item[0], item[1], {} if item[2] is None else item[2]
    raise UnusableDocument(
        position, None, f"is a {type(item).__name__}", "send (id, text, fields) or a mapping with id and text"
    )


def _fault_in_names(fields: object) -> tuple[str, str] | None:
    """Return what is wrong with the fields' names, at any depth, and the remedy."""
    if not isinstance(fields, Mapping):
        return f"has fields of type {type(fields).__name__}", "send the fields as a mapping of names to values"
    reserved = sorted(RESERVED.intersection(name for name in fields if isinstance(name, str)))
    if reserved:
        return f"has a field with the reserved name {reserved[0]!r}", "give the field another name"
    level: list[object] = [fields]
    for _ in range(DEEPEST_FIELD + 1):
        inside: dict[int, object] = {}
        for value in level:
            if isinstance(value, Mapping):
                for name in value:
                    if not isinstance(name, str):
                        return f"has a field whose name is a {type(name).__name__}", "make the names strings"
                inside.update((id(one), one) for one in value.values())
            elif isinstance(value, (list, tuple)):
                inside.update((id(one), one) for one in value)
        if not inside:
            return None
        level = list(inside.values())
    return f"has a field with more than {DEEPEST_FIELD} levels, or one that contains itself", "flatten the field"
