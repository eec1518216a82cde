"""The report as JSON, complete: every other format can be made from it later.

`report-1.schema.json` beside this file describes it. A lone surrogate, which UTF-8 cannot hold, is written as its
Python escape; everything else comes back from `load` as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import SCHEMA, Finding, Report
from alwrity_checks.pictures import KINDS, Picture
from alwrity_doctor.report.phrases import utc

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["load", "render"]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which zone it is")
    moment.astimezone(UTC)  # raises OverflowError for one that is before or after all time there
    return moment


_SCALARS: Final[Mapping[object, Callable[[Any], object]]] = MappingProxyType(
    {
        datetime: _moment,
        date: date.fromisoformat,
        timedelta: lambda seconds: timedelta(seconds=seconds),
    }
)


_ADDED: Final[Mapping[str, object]] = MappingProxyType({"tables": [], "summary": "", "pictures": []})
"""Fields that the first reports of this schema did not have yet, and what their absence means."""
_ADDED_BELOW: Final = frozenset({(Finding, "identity")})
"""The same, of what a report is made of: their absence means their default."""
_KIND: Final = "kind"
"""The field that tells which kind of picture an object is."""
_NAMES: Final[Mapping[type, str]] = MappingProxyType({kind: name for name, kind in KINDS.items()})
_LATE: Final = {"Picture": Picture}
"""Names that the model's annotations use and that it does not import: few commands make pictures."""


def render(report: Report) -> str:
    """Return the report and what follows from it: the verdict, the exit code, the first cause's code.

    Durations are in seconds, moments in ISO 8601 with `Z`.
    """
    cause = report.first_cause
    summary = {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "exit_code": int(report.exit_code),
        "first_cause": None if cause is None else _encoded(cause.rule.code),
    }
    facts = {field.name: _encoded(getattr(report, field.name)) for field in fields(report)}
    return json.dumps(summary | facts, indent=2, allow_nan=False) + "\n"


def load(text: str) -> Report:
    """Return the report that `render` wrote; what follows from it is worked out anew.

    Raises ConfigurationError for anything else.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("a report is a JSON object")  # noqa: TRY301 - told like everything else that is wrong with it
        if document["schema"] != SCHEMA:
            raise ConfigurationError(
                f"the report's schema is {document['schema']!r}, not {SCHEMA!r}",
                "read it with the version of alwrity-doctor that wrote it",
            )
        report: Report = _decoded(Report, {**_ADDED, **document})
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            f"this is not a report that alwrity-doctor wrote: {type(error).__name__}: {error}",
            "name a file that was written with --format json",
        ) from error
    return report


def _encoded(value: object) -> object:
    if is_dataclass(value):
        told = {_KIND: _NAMES[type(value)]} if type(value) in _NAMES else {}
        return told | {field.name: _encoded(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_encoded(name): _encoded(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_encoded(one) for one in value]
    return _encoded_leaf(value)


def _encoded_leaf(value: object) -> object:
    match value:
        case StrEnum():
            return value.value
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case datetime():
            return utc(value)
        case date():
            return value.isoformat()
        case timedelta():
            return round(value.total_seconds(), 6)
    return value


def _decoded(hint: Any, value: Any) -> Any:  # noqa: ANN401 - what JSON holds, and what a hint denotes, is seen only here
    if is_dataclass(hint) and isinstance(hint, type):
        given = {name: one for name, one in _hints(hint).items() if name in value or (hint, name) not in _ADDED_BELOW}
        return hint(**{name: _decoded(one, value[name]) for name, one in given.items()})
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType and arguments[0] in _NAMES:
        return _decoded(KINDS[value[_KIND]], value)
    if origin is UnionType:
        return None if value is None else _decoded(arguments[0], value)
    if origin is tuple and isinstance(value, list):
        return tuple(_decoded(arguments[0], one) for one in value)
    if origin is Mapping and isinstance(value, dict):
        return {name: _decoded(arguments[1], one) for name, one in value.items()}
    return _decoded_leaf(hint, value)


@cache
def _hints(kind: type[DataclassInstance]) -> Mapping[str, Any]:
    """Return name -> type of each field: worked out once, for a report may hold a hundred thousand findings."""
    hints = get_type_hints(kind, localns=_LATE)
    return MappingProxyType({field.name: hints[field.name] for field in fields(kind)})


def _decoded_leaf(hint: Any, value: Any) -> object:  # noqa: ANN401 - as in _decoded
    if hint in _SCALARS:
        return _SCALARS[hint](value)
    if type(value) is hint:
        return value
    if hint is float and type(value) is int:
        return float(value)  # a whole number, as another writer may have put it
    if isinstance(value, str) and isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    raise TypeError(f"{value!r} is not of type {hint}")
