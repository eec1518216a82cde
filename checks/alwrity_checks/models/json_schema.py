"""The schema that an answer must satisfy: checked before anything is asked, and applied to what came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, Final, NoReturn

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.json_scanner import LONGEST
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

__all__ = ["AnswerSchema", "strict_json"]

_REFERENCE: Final = "https://json-schema.org/understanding-json-schema"
_TOLD: Final = 300
_FORMATS: Final = frozenset(
    {"date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"}
)
"""The formats that llguidance has a grammar for. A format is a comment in JSON Schema: another one binds nobody."""
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords under which values stand, not schemas."""
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords under which names stand, and schemas under them."""
_EXACT: Final = 2**53
"""Up to here a float64 holds every integer."""
_LEAST: Final = -(2**63) + 1024
"""What lies below it becomes the least integer of 64 bits, or nearly, as a float64."""
_REFERRING: Final = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A JSON Schema, valid in itself, its references resolved without any network."""

    text: str
    """The schema as JSON; the same for the same schema."""
    grammar: dict[str, Any]
    """What the grammar is made of: the schema without the formats that have none."""
    longest_number: int
    """Characters that a number may need: a grammar writes those of the schema without an exponent."""
    _validator: Any

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> AnswerSchema:
        """Check `schema` (draft 2020-12 unless its `$schema` says otherwise).

        Raises AnswerFailed: SCHEMA_INVALID, with the place of what is wrong, or SCHEMA_UNSUPPORTED for a number that no
        grammar writes; MissingExtra without jsonschema.
        """
        try:
            import jsonschema
            from jsonschema.validators import validator_for
            from referencing import Registry
        except ModuleNotFoundError as error:
            raise MissingExtra("models", "JSON from a local model") from error
        if not isinstance(schema, Mapping):
            raise _invalid("it is not a JSON object")
        try:
            text = json.dumps(schema, allow_nan=False, ensure_ascii=False)
            plain = json.loads(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise _invalid(f"it cannot be written as JSON: {_said(error)}") from None
        kind: Any = validator_for(plain, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(plain, format_checker=kind.FORMAT_CHECKER)
        except jsonschema.SchemaError as error:
            raise _invalid(f"at {error.json_path}: {_said(error.message)}") from None
        except RecursionError:
            raise _invalid("it is nested too deeply") from None
        _resolve_references(plain)
        _refuse_unwritable(plain)
        # With a registry of its own the validator fetches nothing.
        validator = kind(plain, registry=Registry())
        try:
            validator.is_valid(None)
        except RecursionError:
            raise _invalid("it refers to itself without end") from None
        return cls(text, _without_foreign_formats(plain), max((LONGEST, *map(_length, _numbers(plain)))), validator)

    def value(self, text: str) -> Any:  # noqa: ANN401 - JSON is any value
        """Return the value that `text` is, parsed strictly and validated. Raises AnswerFailed, ANSWER_INVALID."""
        from jsonschema.exceptions import best_match

        try:
            value = strict_json(text)
        except (ValueError, RecursionError) as error:
            raise _unusable(f"it is not JSON: {_said(error)}", text) from None
        try:
            complaint = best_match(self._validator.iter_errors(value))
        except RecursionError:
            raise _unusable("it is nested too deeply", text) from None
        if complaint is not None:
            raise _unusable(f"at {complaint.json_path}: {_said(complaint.message)}", text)
        return value


def strict_json(text: str) -> Any:  # noqa: ANN401 - JSON is any value
    """Return the value of a JSON text (RFC 8259), whose names are unique and whose numbers are finite.

    Raises ValueError, RecursionError.
    """
    return _DECODER.decode(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if isfinite(number) else _refuse(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return found


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)


def _invalid(what: str) -> AnswerFailed:
    return AnswerFailed(Reason.SCHEMA_INVALID, f"the schema is invalid: {what}", f"correct it: {_REFERENCE}")


def _unusable(what: str, text: str) -> AnswerFailed:
    return AnswerFailed(
        Reason.ANSWER_INVALID,
        f"the answer is not valid against the schema: {what}; it ends with {scrub(text[-60:])!r}",
        "ask again with a temperature, or simplify the schema at this place",
    )


def _said(error: object) -> str:
    """Return another's words, which quote the schema or the answer, cut and redacted."""
    return scrub(str(error))[:_TOLD]


def _without_foreign_formats(node: Any) -> Any:  # noqa: ANN401 - JSON is any value
    if isinstance(node, list):
        return [_without_foreign_formats(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for name, child in node.items():
        if name == "format" and child not in _FORMATS:
            continue
        if name in _VALUES:
            kept[name] = child
        elif name in _NAMED and isinstance(child, dict):
            kept[name] = {one: _without_foreign_formats(schema) for one, schema in child.items()}
        else:
            kept[name] = _without_foreign_formats(child)
    return kept


def _refuse_unwritable(schema: dict[str, Any]) -> None:
    """Refuse the numbers that llguidance (1.9.1) cannot write: it keeps each as a float64, and integers as 64 bits.

    Of a range that ends with the least of those it makes a grammar without end, which kills the process.
    """
    named = (one[name] for one in _schemas(schema) for name in ("const", "enum") if name in one)
    inexact = (number for values in named for number in _numbers(values) if not _is_exact(number))
    least = (one for one in _numbers(schema) if one < _LEAST)
    for number in (*inexact, *least):
        raise AnswerFailed(
            Reason.SCHEMA_UNSUPPORTED,
            f"no grammar can be made of the schema: the number {number!r:.60} in it is written by none exactly",
            "let such a number be a string, or leave it out of the schema and check it yourself",
        )


def _is_exact(number: float) -> bool:
    """Say whether a number is the same again when it has been written in digits and read."""
    if isinstance(number, int):
        return abs(number) <= _EXACT
    return not number.is_integer() or int(number) == Decimal(repr(number))


def _numbers(node: Any) -> Iterator[int | float]:  # noqa: ANN401 - JSON is any value
    if isinstance(node, int | float) and not isinstance(node, bool):
        yield node
    elif isinstance(node, dict):
        yield from _numbers(list(node.values()))
    elif isinstance(node, list):
        for child in node:
            yield from _numbers(child)


def _length(number: float) -> int:
    """Return the characters of a number that is written without an exponent."""
    return len(format(Decimal(repr(number)), "f"))


def _resolve_references(schema: dict[str, Any]) -> None:
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource(resource.id() or "", resource).resolver(resource.id() or "")
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except (Unresolvable, ValueError):
            raise _invalid(
                f"it refers to {reference!r:.100}, which is not in it; put that under $defs, nothing is fetched"
            ) from None


def _references(schema: dict[str, Any]) -> Iterator[str]:
    return (one[name] for one in _schemas(schema) for name in _REFERRING if isinstance(one.get(name), str))


def _schemas(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON is any value
    """Yield a schema and every one in it; what stands under `properties` is a name, whatever it is called."""
    if isinstance(node, dict):
        yield node
        for name, child in node.items():
            if name in _NAMED and isinstance(child, dict):
                yield from _schemas(list(child.values()))
            elif name not in _VALUES:
                yield from _schemas(child)
    elif isinstance(node, list):
        for child in node:
            yield from _schemas(child)
