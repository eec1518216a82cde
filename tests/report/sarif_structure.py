"""The part of SARIF 2.1.0 that we write, as a closed JSON Schema; the numbers are sections of the standard."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["LOG"]

Schema = dict[str, Any]

_STRING: Final[Schema] = {"type": "string"}
_LEVEL: Final[Schema] = {"enum": ["none", "note", "warning", "error"]}
_MOMENT: Final[Schema] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_BAG: Final[Schema] = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}


def _object(required: Schema, **optional: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


_MESSAGE: Final = _object({"text": _STRING})
_DESCRIPTION: Final = _object({"text": _STRING}, markdown=_STRING)
"""multiformatMessageString, 3.12: the plain text is never absent."""
_RULE: Final = _object(
    {
        "id": _STRING,
        "name": _STRING,
        "shortDescription": _DESCRIPTION,
        "fullDescription": _DESCRIPTION,
        "help": _DESCRIPTION,
        "defaultConfiguration": _object({"level": _LEVEL}),
    },
    properties=_BAG,
)
"""reportingDescriptor, 3.49."""
_ARTIFACT: Final = _object({"uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~/%:-]*$"}}, uriBaseId=_STRING)
"""artifactLocation, 3.4: everything but unreserved characters is percent-encoded."""
_LOCATION: Final = {
    "oneOf": [
        _object(
            {
                "physicalLocation": _object(
                    {"artifactLocation": _ARTIFACT}, region=_object({"startLine": {"type": "integer", "minimum": 1}})
                )
            }
        ),
        _object({"logicalLocations": _list(_object({"name": _STRING, "kind": _STRING}), minItems=1)}),
    ]
}
"""location, 3.28."""
_RESULT: Final = _object(
    {
        "ruleId": _STRING,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": _LEVEL,
        "message": _MESSAGE,
        "partialFingerprints": {"type": "object", "additionalProperties": _STRING, "minProperties": 1},
    },
    locations=_list(_LOCATION, minItems=1, maxItems=1),
    suppressions=_list(_object({"kind": {"enum": ["inSource", "external"]}, "justification": _STRING})),
    properties=_BAG,
)
"""result, 3.27."""
_NOTIFICATION: Final = _object({"level": _LEVEL, "message": _MESSAGE}, properties=_BAG)
"""notification, 3.58."""
_INVOCATION: Final = _object(
    {
        "executionSuccessful": {"type": "boolean"},
        "exitCode": {"type": "integer"},
        "exitCodeDescription": _STRING,
        "startTimeUtc": _MOMENT,
        "endTimeUtc": _MOMENT,
        "toolExecutionNotifications": _list(_NOTIFICATION),
    },
    properties=_BAG,
)
"""invocation, 3.20."""
_RUN: Final = _object(
    {
        "tool": _object({"driver": _object({"name": _STRING, "version": _STRING, "rules": _list(_RULE)})}),
        "invocations": _list(_INVOCATION, minItems=1, maxItems=1),
        "originalUriBaseIds": _object({"%SRCROOT%": _object({"description": _MESSAGE})}),
        "results": _list(_RESULT),
    },
    properties=_BAG,
)
"""run, 3.14."""
LOG: Final = _object({"$schema": _STRING, "version": {"const": "2.1.0"}, "runs": _list(_RUN, minItems=1, maxItems=1)})
"""sarifLog, 3.13."""
