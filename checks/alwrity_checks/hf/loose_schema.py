"""What ALwrity's callers hand over as a schema -> a JSON Schema, and what the model is told besides.

Three things are found there (ce9bf293): JSON Schemas, schemas in Gemini's spelling
(api/content_planning/services/content_strategy/autofill/ai_structured_autofill.py), and examples of an answer, which
the historical provider pasted into the prompt as it did with all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.hf.contract import Contract

__all__ = ["asked_for"]

_TYPES: Final = frozenset({"OBJECT", "ARRAY", "STRING", "INTEGER", "NUMBER", "BOOLEAN", "NULL"})
"""Of Gemini's `Schema.Type`; JSON Schema has them in small letters."""
_WORDS: Final = frozenset(
    {"type", "properties", "items", "$ref", "$defs", "definitions", "anyOf", "oneOf", "allOf", "enum", "const", "not"}
)
"""Without any of these, what is called a schema allows everything."""
_LITERAL: Final = frozenset({"const", "enum", "default", "example", "examples"})
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}


def asked_for(schema: object) -> tuple[Mapping[str, Any], str]:
    """Return the schema that an answer has to satisfy, and what the prompt has to say; often nothing.

    What is no schema is an example: any object will do, and the model is shown it. Raises ConfigurationError for what
    cannot be sent as JSON at all, MissingExtra without the jsonschema package.
    """
    if isinstance(schema, Mapping) and _WORDS & schema.keys() and _can_be_applied(spelled := _spelled(schema)):
        return spelled, ""
    try:
        shown = json.dumps(schema, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the schema cannot be sent as JSON: {type(error).__name__}"
        raise ConfigurationError(message, "https://json-schema.org/understanding-json-schema") from None
    return _ANY_OBJECT, f"Answer with one JSON object of this form:\n{shown}"


def _can_be_applied(schema: Mapping[str, Any]) -> bool:
    """Say whether an answer can be held against a schema; what is only like one can be shown to a model."""
    try:
        Contract.of(schema)
    except MissingExtra:
        raise
    except ConfigurationError:
        return False
    return True


def _spelled(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a schema with Gemini's names of the types in the spelling of JSON Schema."""
    if isinstance(node, Mapping):
        return {name: child if name in _LITERAL else _spelled(child) for name, child in node.items()} | (
            {"type": kind.lower()} if isinstance(kind := node.get("type"), str) and kind in _TYPES else {}
        )
    return [_spelled(child) for child in node] if isinstance(node, list) else node
