"""What the loopback router's models say is valid, by the judgement of the reference validator."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from alwrity_checks.hf.loopback_content import instance_of, schema_of

TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"$ref": "#/$defs/node"},
                "all": {"$ref": "#/$defs/many"},
            },
            "required": ["name"],
        },
        "many": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False},
        {"properties": {"a": {"enum": ["x", "y"]}, "b": {"const": None}}, "required": ["a", "b"]},
        {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 3}, "minItems": 2, "maxItems": 2},
        {"type": "array", "items": {"type": "string"}, "maxItems": 0},
        {"type": "object", "properties": {"s": {"type": "string", "minLength": 9, "maxLength": 9}}, "required": ["s"]},
        {"type": "object", "properties": {"s": {"type": "string", "maxLength": 2}}, "required": ["s"]},
        {"type": "number", "exclusiveMinimum": 2},
        {"type": "integer", "maximum": -4},
        {"type": ["null", "boolean"]},
        {"type": "null"},
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {"type": "null"}]},
        {},
        TREE,
    ],
)
def test_instance_is_valid(schema: dict[str, Any]) -> None:
    """Every form of schema that the tests use has an instance, and schemas that refer to themselves end."""
    Draft202012Validator(schema).validate(instance_of(schema))


def test_schema_is_found_among_other_braces() -> None:
    """An example in the prompt is not mistaken for the schema; a prompt without one has none."""
    prompt = 'Use {curly} braces, as in {"title": "x"}. The schema: {"type": "object", "properties": {}} Thanks.'
    assert schema_of({"messages": [{"content": prompt}]}) == {"type": "object", "properties": {}}
    assert schema_of({"messages": [{"content": 'as in {"title": "x"}'}, {"content": None}]}) is None
