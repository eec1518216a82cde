"""The canary: honoured is told from guessed, ignored and cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.canary import Canary, Structure
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.loopback_content import instance_of
from alwrity_checks.hf.reply import Reply

BLOG: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 70},
        "sections": {"type": "array", "items": {"$ref": "#/$defs/section"}},
    },
    "required": ["title", "sections"],
    "additionalProperties": False,
    "$defs": {"section": {"type": "object", "properties": {"heading": {"type": "string"}}, "required": ["heading"]}},
}
STRICT = Mode.JSON_SCHEMA_STRICT


def said(value: object, **more: Any) -> Reply:  # noqa: ANN401 - fields of a reply
    """Return a reply whose text is `value`, as JSON unless it is text."""
    return Reply(value if isinstance(value, str) else json.dumps(value), **{"finish_reason": "stop", **more})


def right(canary: Canary) -> dict[str, Any]:
    """Return what the schema asks for."""
    made: dict[str, Any] = instance_of(canary.schema)
    return made


def marker(canary: Canary) -> str:
    """Return the name of the property that holds the nonce."""
    return f"proof_{canary.nonce}"


@pytest.mark.parametrize("canary", [Canary.new(), Canary.of(BLOG)], ids=["its own", "a caller's"])
@pytest.mark.parametrize("wrapped", ["{}", "<think>{{hm}}</think>\n{}", "Sure!\n```json\n{}\n```"])
def test_what_only_the_schema_tells_is_honoured(canary: Canary, wrapped: str) -> None:
    """The nonce came back in a valid value: however it is wrapped, the schema was read."""
    assert canary.judge(said(wrapped.format(json.dumps(right(canary)))), STRICT) is Structure.HONOURED


@pytest.mark.parametrize("canary", [Canary.new(), Canary.of(BLOG)], ids=["its own", "a caller's"])
def test_the_right_shape_without_the_nonce_is_coincidental(canary: Canary) -> None:
    """A model that guesses the shape, and even one that guesses there is a nonce, is found out."""
    guess = right(canary)
    name = marker(canary)
    assert canary.judge(said({**guess, name: "00000000"}), STRICT) is Structure.COINCIDENTAL
    del guess[name]
    verdict = canary.verdict(said(guess), STRICT)
    assert verdict.structure is Structure.COINCIDENTAL
    assert verdict.classification.cause is Cause.STRUCTURE_IGNORED


@pytest.mark.parametrize("text", ["It is sunny in Paris.", '{"answer": 42}', "[1, 2]", '{"city": "Paris"'])
def test_anything_else_is_ignored(text: str) -> None:
    """Prose, other JSON and broken JSON, all of them complete answers."""
    assert Canary.new().judge(said(text), STRICT) is Structure.IGNORED


def test_a_cut_answer_shows_nothing_of_the_structure() -> None:
    """Whether it would have been honoured is not known, even if what there is looks right."""
    canary = Canary.new()
    cut = said(right(canary), finish_reason="length")
    assert canary.judge(cut, STRICT) is Structure.CUT
    assert canary.verdict(cut, STRICT).classification.cause is Cause.TRUNCATED


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (said(""), Cause.EMPTY_ANSWER),
        (said("", finish_reason="content_filter"), Cause.CONTENT_FILTERED),
        (said("", refusal="I cannot."), Cause.CONTENT_FILTERED),
    ],
)
def test_an_answer_without_content_is_no_verdict(reply: Reply, cause: Cause) -> None:
    """A filter says nothing against the mode."""
    verdict = Canary.new().verdict(reply, STRICT)
    assert verdict.structure is None
    assert verdict.classification.cause is cause


def test_a_tool_has_to_be_called() -> None:
    """The right value in the text is the model's kindness; in the arguments it is the tool's."""
    canary = Canary.new()
    value = right(canary)
    assert canary.judge(said(value), Mode.TOOL) is Structure.COINCIDENTAL
    assert canary.judge(said("", tool_arguments=json.dumps(value)), Mode.TOOL) is Structure.HONOURED


def test_every_canary_is_new() -> None:
    """An answer that some cache remembers proves nothing."""
    assert len({Canary.new().nonce for _ in range(50)}) == 50
    old, fresh = Canary.new(), Canary.new()
    assert fresh.judge(said(right(old)), STRICT) is not Structure.HONOURED


def test_the_question_does_not_tell_the_nonce() -> None:
    """Else a model could copy it."""
    canary = Canary.of(BLOG)
    assert canary.nonce not in json.dumps(canary.messages)
    assert canary.nonce in json.dumps(canary.schema)


def test_a_callers_schema_is_kept() -> None:
    """What is valid against the marked schema is, without the mark, valid against the caller's."""
    canary = Canary.of(BLOG)
    value = right(canary)
    del value[marker(canary)]
    Draft202012Validator(BLOG).validate(value)
    assert "proof" not in json.dumps(BLOG)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "maxProperties": 1},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}},
    ],
)
def test_a_schema_without_room_is_sent_as_it_is(schema: dict[str, Any]) -> None:
    """Then validity is all that can be seen."""
    canary = Canary.of(schema)
    assert canary.schema == schema
    assert canary.judge(said(instance_of(schema)), STRICT) is Structure.HONOURED
    assert canary.judge(said("prose"), STRICT) is Structure.IGNORED


def test_an_unusable_schema_is_refused() -> None:
    """As everywhere in this room."""
    with pytest.raises(ConfigurationError):
        Canary.of({"type": "no-such-type"})
