"""The ladder of structured output: how each mode asks, and which mode comes after it.

Strict `json_schema`, non-strict `json_schema`, a forced tool call, `json_object` with the schema in the prompt, the
prompt alone. What is refused or ignored on one rung is asked for on a lower one, of the same deployment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from alwrity_checks.hf.causes import Mode

if TYPE_CHECKING:
    from alwrity_checks.hf.deployment import Deployment

__all__ = ["ENFORCED", "UNSAID", "Message", "Refusals", "Sampling", "modes_for", "request_payload"]

Message = Mapping[str, Any]
"""`{"role": …, "content": …}`, as the chat completions API takes it."""

_NAME: Final = "answer"
ENFORCED: Final = (Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA)
"""The rungs on which the server itself is to see to the structure."""
_OBJECTS_ONLY: Final = (Mode.TOOL, Mode.JSON_OBJECT)
REFUSAL_HORIZON: Final = 6 * 3600.0
"""Seconds. The router re-validates what a provider supports every six hours."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is to choose its tokens; what is None is left to the server."""

    temperature: float | None = None
    """0 to 2."""
    top_p: float | None = None
    """0 to 1."""

    @property
    def fields(self) -> dict[str, float]:
        """What goes into a request."""
        given = {"temperature": self.temperature, "top_p": self.top_p}
        return {name: value for name, value in given.items() if value is not None}


UNSAID: Final = Sampling()


def modes_for(schema: Mapping[str, Any]) -> tuple[Mode, ...]:
    """Return the rungs that can express `schema`: a tool's arguments and `json_object` are objects, nothing else."""
    objects = schema.get("type") == "object" or "properties" in schema
    return tuple(mode for mode in Mode if objects or mode not in _OBJECTS_ONLY)


def request_payload(  # noqa: PLR0913 - what a request consists of
    deployment: Deployment,
    messages: Sequence[Message],
    *,
    mode: Mode | None,
    schema: Mapping[str, Any] | None,
    max_tokens: int | None,
    sampling: Sampling = UNSAID,
) -> dict[str, Any]:
    """Return the chat completion request that asks for `schema` in `mode`; for plain text if either is None.

    Without `max_tokens` the server's own limit holds.
    """
    payload: dict[str, Any] = {"model": str(deployment), "messages": list(messages), **sampling.fields}
    if max_tokens is not None:
        payload["max_tokens"] = max_tokens
    if mode is None or schema is None:
        return payload
    if mode in ENFORCED:
        envelope = {"name": _NAME, "schema": schema, "strict": mode is Mode.JSON_SCHEMA_STRICT}
        return payload | {"response_format": {"type": "json_schema", "json_schema": envelope}}
    if mode is Mode.TOOL:
        function = {"name": _NAME, "description": "Give the answer.", "parameters": schema}
        return payload | {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": _NAME}},
        }
    payload["messages"] = _with_schema(messages, schema)
    if mode is Mode.JSON_OBJECT:
        payload["response_format"] = {"type": "json_object"}
    return payload


def _with_schema(messages: Sequence[Message], schema: Mapping[str, Any]) -> list[Message]:
    text = (
        "Answer with one JSON value that is valid against this JSON Schema, and with nothing else: no prose, "
        f"no code fence.\n{json.dumps(schema, ensure_ascii=False)}"
    )
    if messages and messages[0].get("role") == "system" and isinstance(messages[0].get("content"), str):
        # One system message: the templates of some models take no second one.
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


class Refusals:
    """Which modes a deployment has refused or ignored, so that they are not asked for again, for six hours."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with none. `clock` counts seconds."""
        self._clock = clock
        self._until: dict[tuple[str, Deployment, Mode], float] = {}

    def remember(self, base_url: str, deployment: Deployment, mode: Mode) -> None:
        """Do not ask this again on this host for the horizon."""
        self._until[_host(base_url), deployment, mode] = self._clock() + REFUSAL_HORIZON

    def remaining(self, base_url: str, deployment: Deployment, modes: Sequence[Mode]) -> tuple[Mode, ...]:
        """Return those of `modes` that have not been refused; the last of `modes` always stays."""
        host, now = _host(base_url), self._clock()
        return tuple(
            mode for mode in modes if mode is modes[-1] or self._until.get((host, deployment, mode), now) <= now
        )


def _host(base_url: str) -> str:
    return urlsplit(base_url).netloc.lower()
