"""The schema that an answer must satisfy: checked before anything is asked, applied to everything that comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.redaction import scrub

__all__ = ["Complaint", "Contract", "Contracts"]

_REMEDY: Final = "https://json-schema.org/understanding-json-schema"
_COMPLAINT: Final = 300
_KEPT: Final = 64
"""Contracts: more than a backend has kinds of answers."""
_OF_VALUES: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
        "format", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "minProperties",
        "maxProperties", "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas",
    }
)  # fmt: skip
"""Keywords that strict structured output need not know (OpenAI's guide, "Supported schemas")."""
_REFERRING: Final = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a value."""

    text: str
    """One line, with the place."""
    of_shape: bool = True
    """Whether no server that sees to the structure would have let it pass; False for a number out of range."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A JSON Schema that can be applied: valid in itself, its references resolved without any network."""

    schema: Mapping[str, Any]
    _validator: Any

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Contract:
        """Check `schema` (draft 2020-12 unless its `$schema` says otherwise).

        Raises ConfigurationError where it is no schema, cannot be sent as JSON, or refers to something that is not in
        it; MissingExtra without the jsonschema package.
        """
        try:
            import jsonschema
            from jsonschema.validators import validator_for
            from referencing import Registry
        except ImportError:
            raise MissingExtra("hf", "validating answers") from None
        if not isinstance(schema, Mapping):
            raise ConfigurationError("the schema is not a JSON object", _REMEDY)
        try:
            schema = json.loads(json.dumps(schema, allow_nan=False, ensure_ascii=False).encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"the schema cannot be sent as JSON: {_said(error)}", _REMEDY) from None
        kind: Any = validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema, format_checker=kind.FORMAT_CHECKER)
        except jsonschema.SchemaError as error:
            message = f"the schema is invalid at {error.json_path}: {_said(error.message)}"
            raise ConfigurationError(message, _REMEDY) from None
        _resolve_references(schema)
        # With a registry of its own the validator fetches nothing.
        validator = kind(schema, registry=Registry())
        try:
            validator.is_valid(None)
        except RecursionError:
            raise ConfigurationError("the schema refers to itself without end", _REMEDY) from None
        return cls(schema, validator)

    def complaint(self, value: object) -> Complaint | None:
        """Return what is wrong with `value`; None if it is valid."""
        from jsonschema.exceptions import best_match

        try:
            error = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return Complaint("the answer is nested too deeply")
        if error is None:
            return None
        return Complaint(f"at {error.json_path}: {error.message[:_COMPLAINT]}", error.validator not in _OF_VALUES)


class Contracts:
    """Contracts by their schema. To make one takes milliseconds, and the first one of a process half a second."""

    def __init__(self) -> None:
        """Start with none."""
        self._made: dict[str, Contract] = {}

    async def of(self, schema: Mapping[str, Any]) -> Contract:
        """Return the contract, made on a thread if it is new. Raises as `Contract.of` does."""
        try:
            key = json.dumps(schema, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return Contract.of(schema)  # which says what is wrong with it
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = await asyncio.to_thread(Contract.of, schema)
            for oldest in tuple(self._made)[:-_KEPT]:
                self._made.pop(oldest, None)
        return found


def _said(error: object) -> str:
    """Return another's words, which quote the schema, cut and redacted."""
    return scrub(str(error))[:_COMPLAINT]


def _resolve_references(schema: Mapping[str, Any]) -> None:
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource(resource.id() or "", resource).resolver(resource.id() or "")
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except (Unresolvable, ValueError):
            raise ConfigurationError(
                f"the schema refers to {reference!r}, which is not in it",
                "put what is referred to under $defs; nothing is fetched",
            ) from None


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        yield from (node[one] for one in _REFERRING if isinstance(node.get(one), str))
        for name, child in node.items():
            if name not in {"const", "enum", "default", "examples"}:
                yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
