"""Index directories as a backend makes them with bare txtai."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.support.txtai_store import encode


def transform(texts: Sequence[str]) -> object:
    """Return vectors: a plain function, as txtai wants it."""
    return encode(texts)


def saved_by_txtai(directory: Path, items: Sequence[object], **more: object) -> Path:
    """Index items into a directory as ALwrity does: the fields as JSON text in a tuple's third place."""
    from txtai.embeddings import Embeddings  # type: ignore[import-untyped]

    index = Embeddings(
        {"method": "external", "transform": transform, "content": True, "objects": True, "backend": "faiss", **more}
    )
    if items:
        index.upsert(items)
    index.save(str(directory))
    index.close()
    return directory


def as_alwrity(document_id: str, text: str, fields: dict[str, object]) -> tuple[str, str, str]:
    """Return what ALwrity hands to txtai for a document."""
    return document_id, text, json.dumps(fields)
