"""From a reply to a valid value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alwrity_checks.hf.causes import Action, Cause
from alwrity_checks.hf.contract import Contract
from alwrity_checks.hf.reading import Invalid, Valid, read, without_reasoning
from alwrity_checks.hf.reply import Reply, StreamedReply, reply_of

CONTRACT = Contract.of({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 1}',
        '\n```json\n{"n": 1}\n```\n',
        'Here it is:\n```\n{"n": 1}\n```\nAnything else?',
        'Sure! {"n": 1} is the answer.',
        '<think>maybe {"n": 7}?</think>{"n": 1}',
        'maybe {"n": 7}?</think>\n{"n": 1}',
        'An example is {"m": 2}; the answer is {"n": 1}.',
        '[[[ {"n": 1}',
    ],
)
def test_the_value_is_found(text: str) -> None:
    """In fences, in prose, behind reasoning, after something else that is JSON."""
    assert read(Reply(text), CONTRACT) == Valid({"n": 1})


def test_a_string_may_hold_what_looks_like_reasoning() -> None:
    """JSON that is whole as it stands is taken as it stands."""
    value = {"n": 1, "text": "<think>not reasoning</think>"}
    assert read(Reply(json.dumps(value)), CONTRACT) == Valid(value)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('so <think>{"n": 1}', "so"),
        ("<think>a</think>b<THINKING>c</THINKING>d", "bd"),
        ("a</think>b", "b"),
        ("a</think>b</think>c<think>d</think>e", "ce"),
        ("<think>a<think>b</think>c", "c"),
        ("<think>a<thinking>b</think>c", "c"),
        ("a < b", "a < b"),
    ],
)
def test_reasoning_is_taken_off(text: str, bare: str) -> None:
    """Closed blocks, what comes before an end without a beginning, and everything after a beginning without an end."""
    assert without_reasoning(text) == bare


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<think><thinking>", "```json\n", "```", "{", '{"a":', "[", "\n"], ids=repr
)
def test_a_model_that_repeats_itself_is_read_in_passing(piece: str) -> None:
    """Reading takes time in proportion to the length, whatever is repeated: thirty times as much takes no hours."""
    text = f"```json{piece * 300_000}x"
    assert isinstance(read(Reply(text), CONTRACT), Invalid)


@pytest.mark.parametrize(
    ("text", "of_shape"),
    [("no JSON", True), ('{"m": 3}', True), ('{"n": "3"}', True), ('{"n": 2}', False), ('{"n": 3, "s": "ab"}', False)],
)
def test_what_strict_output_could_not_have_let_pass(text: str, of_shape: bool) -> None:  # noqa: FBT001 - of the case
    """A missing or mistyped property shows that nobody sees to the structure; a range may be beyond who does."""
    properties = {"n": {"type": "integer", "minimum": 3}, "s": {"type": "string", "maxLength": 1}}
    found = read(Reply(text), Contract.of({"type": "object", "properties": properties, "required": ["n"]}))
    assert isinstance(found, Invalid)
    assert found.of_shape is of_shape


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (Reply("no JSON here"), Cause.STRUCTURE_IGNORED),
        (Reply('{"n": "one"}'), Cause.STRUCTURE_IGNORED),
        (Reply('{"n": NaN}'), Cause.STRUCTURE_IGNORED),
        (Reply('{"n": 1e999}'), Cause.STRUCTURE_IGNORED),
        (Reply("[" * 100_000), Cause.STRUCTURE_IGNORED),
        (Reply('{"n": 1', finish_reason="length"), Cause.TRUNCATED),
        (Reply("", finish_reason="length"), Cause.TRUNCATED),
        (Reply("  "), Cause.EMPTY_ANSWER),
        (Reply("", finish_reason="content_filter"), Cause.CONTENT_FILTERED),
        (Reply('{"n"', finish_reason="sensitive"), Cause.CONTENT_FILTERED),
        (Reply('{"n"', finish_reason="network_error"), Cause.PROVIDER_FAULT),
        (Reply("", refusal="I cannot do that"), Cause.CONTENT_FILTERED),
    ],
    ids=lambda value: str(value)[:40],
)
def test_why_there_is_none(reply: Reply, cause: Cause) -> None:
    """Invalid, cut, empty and filtered are four different things."""
    found = read(reply, CONTRACT)
    assert isinstance(found, Invalid)
    assert found.classification.cause is cause
    assert bool(found.complaint) is (found.classification.action is Action.STEP_DOWN)


def test_a_tool_s_arguments_and_lone_reasoning_count() -> None:
    """The tool's arguments come first; reasoning is read where nothing else was written."""
    assert read(Reply("chatter", tool_arguments='{"n": 1}'), CONTRACT) == Valid({"n": 1})
    assert read(Reply("", reasoning='so: {"n": 1}'), CONTRACT) == Valid({"n": 1})


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"choices": []}, {"choices": [1]}, {"choices": [{"message": "x"}]}, {"error": {}, "choices": None},
     {"error": {"code": "1"}, "choices": [{"message": {"content": "x"}}]}],
)  # fmt: skip
def test_what_is_no_completion(document: Any) -> None:  # noqa: ANN401 - whatever a server may send
    """Anything without a message, or with an error, is no reply, and breaks nothing."""
    assert reply_of(document, {}, 0.0) is None


def test_the_forms_of_a_message() -> None:
    """Content in parts, arguments as an object, numbers that are none: each server has its manner."""
    message = {"content": [{"text": "a"}, {"text": "b"}, 3], "tool_calls": [{"function": {"arguments": {"n": 1}}}]}
    reply = reply_of({"choices": [{"message": message}], "usage": {"completion_tokens": "x"}}, {}, 1.0)
    assert reply is not None
    assert (reply.text, reply.tool_arguments, reply.completion_tokens) == ("ab", '{"n": 1}', None)


def test_a_stream_is_put_together() -> None:
    """The pieces of content and of a tool's arguments, the usage at the end, the time of the first piece."""
    streamed = StreamedReply(10.0)
    assert streamed.take(b'{"model":"m","choices":[{"delta":{"role":"assistant","content":""}}]}', 11.0)
    assert streamed.take(b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\\"n\\""}}]}}]}', 12.0)
    assert streamed.take(b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":": 1}"}}]}}]}', 13.0)
    assert streamed.take(
        b'{"choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":{"completion_tokens":9}}', 14.0
    )
    assert streamed.take(b"[DONE]", 14.0)
    reply = streamed.reply({"x-inference-provider": "groq"}, 15.0)
    assert (reply.tool_arguments, reply.completion_tokens, reply.time_to_first_token) == ('{"n": 1}', 9, 2.0)
    assert (reply.seconds, reply.provider, reply.finish_reason, streamed.done) == (5.0, "groq", "tool_calls", True)


@pytest.mark.parametrize(
    "event", [b"", b"no", b"[]", b"[" * 100_000, b'{"error": {"message": "x"}}', b'{"message": "x"}']
)
def test_an_event_that_is_no_piece(event: bytes) -> None:
    """An error between the pieces is seen."""
    assert not StreamedReply(0.0).take(event, 0.0)


@pytest.mark.parametrize("event", [b'{"type": "ping"}', b'{"choices": null}', b'{"usage": {"completion_tokens": 9}}'])
def test_an_event_that_adds_nothing(event: bytes) -> None:
    """What providers send between the pieces neither ends the stream nor begins the answer."""
    streamed = StreamedReply(0.0)
    assert streamed.take(event, 1.0)
    assert streamed.take(b'{"choices":[{"delta":{"content":"x"}}]}', 2.0)
    assert streamed.reply({}, 3.0).time_to_first_token == 2.0
