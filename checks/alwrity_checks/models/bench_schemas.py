"""JSON Schemas of the kind that the backend's agents ask for, bounded so that an answer comes to an end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

__all__ = ["schemas"]


def schemas(number: int) -> Iterator[dict[str, Any]]:
    """Yield `number` schemas, no two alike."""
    yield from islice(_every(), number)


def _every() -> Iterator[dict[str, Any]]:
    for more in count():
        short, long, most = 8 + more, 16 + more, 1 + more % 4
        yield _object(title=_text(long), score={"type": "integer", "minimum": 0, "maximum": 10 + more})
        yield _object(keywords=_list(_text(short), most), priority={"enum": ["low", "medium", "high", f"level {more}"]})
        yield _object(
            summary=_text(long), approved={"type": "boolean"}, sections=_list(_object(heading=_text(short)), most)
        )
        yield _object(
            persona=_object(name=_text(short), tone={"enum": ["warm", "plain", f"tone {more}"]}), age=_number(more)
        )
        yield _list(_object(id=_number(more), text=_text(short)), most)
        yield _object(rate={"type": "number", "minimum": 0, "maximum": 1 + more}, note={"type": ["string", "null"]})


def _object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401 - schemas
    if "note" in properties:
        properties["note"] |= {"maxLength": 12}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _text(length: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": length}


def _number(more: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": 100 + more}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}
