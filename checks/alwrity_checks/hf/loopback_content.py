"""What a model of the loopback router says: instances of schemas, completions, streams."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from alwrity_checks.hf.causes import Mode
from alwrity_checks.hf.loopback_replies import Behaviour, error_reply
from alwrity_checks.loopback_http import Reply

__all__ = ["Json", "completion", "instance_of", "mode_of", "schema_of"]

Json: TypeAlias = Any
"""Any value that JSON can carry."""
PROSE: Final = "Certainly! Here is what I found about your question."
_OTHER: Final = {"answer": PROSE}
_THOUGHT: Final = 'The schema is {"type": "object"}, so I write {"a": 1} first.'
_DEEPEST: Final = 8
"""Below this, only what a schema requires: a schema may refer to itself."""
_SCHEMA_WORDS: Final = frozenset({"type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "items"})


def mode_of(payload: Mapping[str, Any]) -> Mode:
    """Return how a request asks for structure. A request that does not is one in which the prompt may do so."""
    asked = payload.get("response_format")
    kind = asked.get("type") if isinstance(asked, Mapping) else None
    if kind == "json_schema":
        inner = asked.get("json_schema") if isinstance(asked, Mapping) else None
        strict = isinstance(inner, Mapping) and inner.get("strict") is True
        return Mode.JSON_SCHEMA_STRICT if strict else Mode.JSON_SCHEMA
    if payload.get("tools"):
        return Mode.TOOL
    return Mode.JSON_OBJECT if kind == "json_object" else Mode.PROMPT


def schema_of(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that a request carries: in its own field, in its first tool, or in a message's text."""
    mode = mode_of(payload)
    if mode in {Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA}:
        asked = payload["response_format"]
        found = (asked.get("json_schema") or asked).get("schema")
    elif mode is Mode.TOOL:
        found = payload["tools"][0]["function"].get("parameters")
    else:
        texts = [message.get("content") for message in payload.get("messages", ())]
        found = next(filter(None, (_schema_in(text) for text in texts if isinstance(text, str))), None)
    return found if isinstance(found, Mapping) else None


def _schema_in(text: str) -> Mapping[str, Any] | None:
    """Return the first JSON object in `text` that reads like a schema."""
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except ValueError:
            found = None
        if isinstance(found, Mapping) and _SCHEMA_WORDS & found.keys():
            return found
        start = text.find("{", start + 1)
    return None


def instance_of(schema: Json, root: Json = None, depth: int = 0) -> Json:
    """Return a small instance of a JSON Schema, the same every time. `pattern` and `format` are not looked at."""
    if not isinstance(schema, Mapping):
        return "text"
    root = schema if root is None else root
    if "$ref" in schema:
        return instance_of(_referred(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            # The last alternative below the limit: an optional reference to itself ends in null by custom.
            return instance_of(schema[word][-1 if depth > _DEEPEST else 0], root, depth + 1)
    return _of_kind(schema, root, depth)


def _referred(reference: str, root: Json) -> Json:
    found = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _of_kind(schema: Mapping[str, Any], root: Json, depth: int) -> Json:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        names = schema.get("required", ()) if depth > _DEEPEST else properties
        return {name: instance_of(properties.get(name), root, depth + 1) for name in names}
    if kind == "array":
        count = int(schema.get("minItems", 1 if depth <= _DEEPEST else 0))
        return [
            instance_of(schema.get("items"), root, depth + 1) for _ in range(min(count, schema.get("maxItems", count)))
        ]
    return _scalar(kind, schema)


def _scalar(kind: object, schema: Mapping[str, Any]) -> Json:
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    if kind in {"integer", "number"}:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(low, schema.get("maximum", low))
    text = "text".ljust(int(schema.get("minLength", 0)), "x")
    return text[: schema.get("maxLength")]


def _speech(behaviour: Behaviour, payload: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return content, reasoning and finish reason."""
    schema = schema_of(payload)
    structured = schema is not None or mode_of(payload) is not Mode.PROMPT
    right = json.dumps(instance_of(schema) if schema is not None else _OTHER) if structured else PROSE
    match behaviour:
        case Behaviour.PROSE:
            return PROSE, "", "stop"
        case Behaviour.OTHER_JSON:
            return json.dumps(_OTHER), "", "stop"
        case Behaviour.FENCED:
            return f"{PROSE}\n\n```json\n{right}\n```\n", "", "stop"
        case Behaviour.THINKS:
            return f"<think>\n{_THOUGHT}\n</think>\n\n{right}", "", "stop"
        case Behaviour.REASONS:
            return right, _THOUGHT, "stop"
        case Behaviour.BROKEN_JSON:
            return right[: len(right) // 2], "", "stop"
        case Behaviour.TRUNCATED:
            return right[: len(right) // 2], "", "length"
        case Behaviour.EMPTY:
            return "", "", "length"
        case Behaviour.FILTERED:
            return "", "", "content_filter"
        case _:
            return right, "", "stop"


def completion(behaviour: Behaviour, payload: Mapping[str, Any], *, model: str, pause: float = 0.0) -> Reply:
    """Return what `behaviour` makes of a request, as a stream if it asks for one; `pause` lies between the chunks."""
    content, reasoning, finish = _speech(behaviour, payload)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning
    # Whoever ignores the structure ignores the tool as well.
    if mode_of(payload) is Mode.TOOL and behaviour not in {Behaviour.PROSE, Behaviour.EMPTY, Behaviour.FILTERED}:
        call = {"name": payload["tools"][0]["function"]["name"], "arguments": content}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
        finish = "tool_calls" if finish == "stop" else finish
    usage = {"prompt_tokens": len(json.dumps(payload.get("messages", ""))) // 4, "completion_tokens": len(content) // 4}
    usage["total_tokens"] = sum(usage.values())
    body: dict[str, Any] = {"id": "chatcmpl-1", "created": int(time.time()), "model": model}
    if not payload.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body |= {"object": "chat.completion", "choices": [choice], "usage": usage}
        return Reply(body=json.dumps(body).encode())
    body["object"] = "chat.completion.chunk"
    return _stream(behaviour, body, message, finish, usage, pause)


def _stream(  # noqa: PLR0913, PLR0917 - a completion, in its parts
    behaviour: Behaviour,
    body: Mapping[str, Any],
    message: dict[str, Any],
    finish: str,
    usage: Mapping[str, int],
    pause: float,
) -> Reply:
    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**body, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if "reasoning_content" in message:
        deltas.append({"reasoning_content": message["reasoning_content"]})
    for call in message.get("tool_calls", ()):
        arguments = call["function"]["arguments"]
        middle = len(arguments) // 2
        named = {**call, "index": 0, "function": {**call["function"], "arguments": arguments[:middle]}}
        deltas += [
            {"tool_calls": [named]},
            {"tool_calls": [{"index": 0, "function": {"arguments": arguments[middle:]}}]},
        ]
    content = message["content"] or ""
    deltas += [{"content": content[start : start + 16]} for start in range(0, len(content), 16)]
    events = [chunk(delta) for delta in deltas]
    if behaviour is Behaviour.ERROR_IN_200 and (error := error_reply(behaviour)):
        events = [*events[:2], json.loads(error.body)]
    else:
        events += [chunk({}, finish), {**body, "choices": [], "usage": usage}]
    lines = (*(f"data: {json.dumps(event)}\n\n".encode() for event in events), b"data: [DONE]\n\n")
    return Reply(content_type="text/event-stream", events=lines, pause=pause)
