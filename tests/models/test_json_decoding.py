"""JSON from a model: valid whatever the weights, whole or an error, and refused early where the schema is at fault."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.json_scanner import JsonScanner
from alwrity_checks.models.json_schema import AnswerSchema, strict_json
from alwrity_checks.models.reasons import Reason
from benchmarks.models_generation import schemas

if TYPE_CHECKING:
    from alwrity_checks.models.generation import LocalModel

SCORE: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 10}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
ENDLESS: dict[str, Any] = {**SCORE, "properties": {**SCORE["properties"], "title": {"type": "string", "minLength": 80}}}
"""What the random weights do not come to the end of in 60 tokens, and a filler does."""


def test_trained_model_follows_the_schema(trained_model: LocalModel) -> None:
    """Each runtime gives the value that the model has learnt: the schema is told, and the mask lets it through."""
    answer = trained_model.answer_json_sync("hello there", SCORE)
    assert answer.value == {"title": "Hello", "score": 7}
    assert not answer.shortened
    assert answer.passes < answer.tokens
    assert answer.constraint_seconds >= 0


def test_awaited_value_is_the_same(trained_model: LocalModel) -> None:
    """The asynchronous call gives what the blocking one gives."""
    assert asyncio.run(trained_model.generate_json("hello there", SCORE)) == {"title": "Hello", "score": 7}


@pytest.mark.parametrize("schema", schemas(12, seed=9), ids=str)
def test_random_weights_answer_validly_on_each_runtime(untrained_model: LocalModel, schema: dict[str, Any]) -> None:
    """A model that knows nothing gives valid JSON in every runtime, most of the schemas having no bounds."""
    answer = untrained_model.answer_json_sync("hello", schema, max_new_tokens=160, tell_schema=False)
    jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))
    assert answer.tokens <= 160


def test_varied_schemas_are_answered(random_model: LocalModel) -> None:
    """Varied schemas all get a valid answer from random weights, greedy and drawn; the benchmark takes 200."""
    for number, schema in enumerate(schemas(60)):
        answer = random_model.answer_json_sync(
            "hello", schema, max_new_tokens=384, tell_schema=False, temperature=number % 3 / 2, seed=number
        )
        jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))


_LEAVES = st.one_of(
    st.sampled_from(
        (
            {"type": "boolean"},
            {"type": "null"},
            {"type": "string"},
            {"type": "number"},
            {"type": "string", "pattern": "^[a-c]+[0-9]$"},
            {"type": ["integer", "boolean"]},
        )
    ),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-(10**6), 10**6),
        st.integers(0, 10**6),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    st.lists(
        st.one_of(st.text(max_size=8), st.integers(-(2**53), 2**53), st.none()), min_size=1, max_size=4, unique_by=repr
    ).map(lambda values: {"enum": values}),
)


def _objects(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda properties, closed: {
            "type": "object",
            "properties": properties,
            "required": list(properties)[::2],
            "additionalProperties": not closed,
        },
        st.dictionaries(st.text(max_size=6), children, max_size=4),
        st.booleans(),
    )


def _arrays(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda items, low: {"type": "array", "items": items, "minItems": low}, children, st.integers(0, 2))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    schema=st.recursive(_LEAVES, lambda children: st.one_of(_objects(children), _arrays(children)), max_leaves=6),
    seed=st.integers(0, 1000),
)
def test_any_schema_of_the_family_is_answered(random_model: LocalModel, schema: dict[str, Any], seed: int) -> None:
    """For every schema of a family, names and texts of any characters included, the answer is valid."""
    answer = random_model.answer_json_sync(
        "hello", schema, max_new_tokens=400, tell_schema=False, temperature=1.0, seed=seed
    )
    jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))


def test_endless_answer_is_brought_to_an_end_and_says_so(random_model: LocalModel) -> None:
    """A string without a length is cut where the budget is, and closed: valid, and marked."""
    answer = random_model.answer_json_sync("hello", ENDLESS, max_new_tokens=60, tell_schema=False)
    assert set(answer.value) == {"title", "score"}
    assert answer.shortened
    assert answer.tokens <= 60


def test_budget_without_an_end_is_an_error(random_model: LocalModel) -> None:
    """Where the shortest answer does not fit, there is an error that says so, never half an object."""
    with pytest.raises(AnswerFailed, match=r"cut after 8 of 8 tokens; it ends with '\{") as caught:
        random_model.generate_json_sync("hello", SCORE, max_new_tokens=8, tell_schema=False)
    assert caught.value.reason is Reason.ANSWER_TRUNCATED
    assert "max_new_tokens" in caught.value.remedy


def test_shortening_can_be_refused(random_model: LocalModel) -> None:
    """Who wants the model's own end or none gets an error at the budget."""
    with pytest.raises(AnswerFailed) as caught:
        random_model.generate_json_sync("hello", ENDLESS, max_new_tokens=60, tell_schema=False, shorten=False)
    assert caught.value.reason is Reason.ANSWER_TRUNCATED


def test_schema_without_an_end_is_an_error(random_model: LocalModel) -> None:
    """A schema that refers to itself without a way out has no answer, and ends in an error of ours, not in a hang."""
    schema = {"$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}}
    with pytest.raises(AnswerFailed) as caught:
        random_model.generate_json_sync("hello", {**schema, "$ref": "#/$defs/a"}, max_new_tokens=64, tell_schema=False)
    assert caught.value.reason in {Reason.ANSWER_TRUNCATED, Reason.SCHEMA_UNSUPPORTED}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "at $.type"),
        ({"properties": {"a": {"minLength": -1}}}, "at $.properties.a.minLength"),
        ({"$ref": "#/$defs/nowhere"}, "nowhere"),
        ({"$ref": "https://example.com/schema.json"}, "nothing is fetched"),
        ({"$ref": "#"}, "without end"),
        ({"enum": [float("nan")]}, "cannot be written as JSON"),
        ([], "not a JSON object"),
        ({"pattern": "["}, "at $.pattern"),
    ],
)
def test_invalid_schema_is_told_with_its_place(random_model: LocalModel, schema: dict[str, Any], said: str) -> None:
    """What is no schema is refused before the model is asked, with the place and what is wrong."""
    with pytest.raises(AnswerFailed) as caught:
        random_model.generate_json_sync("hello", schema)
    assert caught.value.reason is Reason.SCHEMA_INVALID
    assert said in caught.value.diagnosis


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "uniqueItems"),
        ({"not": {"type": "string"}}, "not"),
        ({"type": "string", "pattern": "^(?=a)b$"}, "look-ahead"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "greater than maximum"),
    ],
)
def test_schema_without_a_grammar_is_told(random_model: LocalModel, schema: dict[str, Any], said: str) -> None:
    """What no mask can enforce is not left to chance: it is refused, and named."""
    with pytest.raises(AnswerFailed) as caught:
        random_model.generate_json_sync("hello", schema)
    assert caught.value.reason is Reason.SCHEMA_UNSUPPORTED
    assert said in caught.value.diagnosis


@pytest.mark.parametrize("seed", range(6))
def test_names_never_come_twice(random_model: LocalModel, seed: int) -> None:
    """An object of free names, whose grammar allows the same one again, has each once."""
    schema = {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 4}
    answer = random_model.answer_json_sync("x", schema, max_new_tokens=120, tell_schema=False, seed=seed, temperature=1)
    assert len(strict_json(answer.text)) >= 4


def test_unknown_format_binds_nobody(random_model: LocalModel) -> None:
    """A format is a comment in JSON Schema: one without a grammar does not make the schema unusable."""
    schema = {"type": "object", "properties": {"format": {"type": "string", "format": "regex"}}, "required": ["format"]}
    value = random_model.generate_json_sync("x", schema, max_new_tokens=40, tell_schema=False)
    assert isinstance(value["format"], str)


def test_one_of_is_validated_after_it(random_model: LocalModel) -> None:
    """Alternatives that the grammar cannot tell apart are validated: an answer to two of them is an error."""
    schema = {"oneOf": [{"type": "integer", "maximum": 9, "minimum": 0}, {"type": "integer", "minimum": 0}]}
    settings: dict[str, Any] = {"tell_schema": False, "temperature": 1.0}
    with pytest.raises(AnswerFailed) as caught:  # noqa: PT012 - one of these draws a value of both
        for seed in range(40):
            random_model.generate_json_sync("x", schema, seed=seed, **settings)
    assert caught.value.reason is Reason.ANSWER_INVALID


@pytest.mark.parametrize("text", ["{'a': 1}", '{"a": 1, "a": 2}', "NaN", "1e999", "[1,]", '"\n"', "", "[" * 100_000])
def test_json_is_read_strictly(text: str) -> None:
    """What another reader would take otherwise, or not at all, is no JSON here."""
    with pytest.raises(AnswerFailed) as caught:
        AnswerSchema.of({}).value(text)
    assert caught.value.reason is Reason.ANSWER_INVALID


_MODERATE = st.floats(-1e200, 1e200).filter(lambda number: number == 0 or abs(number) > 1e-200)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), _MODERATE, st.text(max_size=12)),
    lambda values: st.one_of(st.lists(values, max_size=4), st.dictionaries(st.text(max_size=6), values, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=80)
@given(value=_JSON, ascii_only=st.booleans())
def test_scanner_lets_json_pass(value: object, *, ascii_only: bool) -> None:
    """Every JSON text with moderate numbers and names that differ is let through, and ends where it began."""
    place = JsonScanner().push(json.dumps(value, ensure_ascii=ascii_only).encode())
    assert place is not None
    assert place.level is None
    assert not place.in_string


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a"',
        r'{"a": 1, "\u0061"',
        '[{"b": {"a": {}}, "b"',
        "1e309",
        "[1.5e+999",
        '{"n": -' + "1" * 33,
    ],
)
def test_scanner_stops_what_no_grammar_says(text: str) -> None:
    """A name that is there already, however it is written, and a number that is too great are stopped."""
    assert JsonScanner().push(text.encode()) is None


def test_same_name_elsewhere_is_another_one() -> None:
    """Names are compared within one object, texts not at all."""
    text = '{"a": {"a": "a"}, "b": [{"a": 1}, {"a": "b", "b": "}{"}]}'
    assert JsonScanner().push(text.encode()) == JsonScanner(naming=False)


@pytest.mark.parametrize("number", [5e-324, -1e-300, 1e22, 2**53])
def test_long_number_of_the_schema_can_be_written(random_model: LocalModel, number: float) -> None:
    """A grammar writes a number of the schema without an exponent, in up to 327 characters: none is too long."""
    schema = {
        "type": "object",
        "properties": {"n": {"const": number}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert random_model.generate_json_sync("hello", schema, max_new_tokens=500, tell_schema=False) == {"n": number}


@pytest.mark.parametrize(
    ("text", "taken"), [("9" * 309, True), ("9" * 309 + ".0", False), ("1e308", True), ("-2e308", False)]
)
def test_longer_number_is_still_finite(text: str, *, taken: bool) -> None:
    """Where longer numbers are allowed, one that no float64 holds is stopped all the same."""
    assert (JsonScanner(longest=400).push(text.encode()) is not None) is taken


@pytest.mark.parametrize(
    "schema",
    [
        {"const": -(2**63)},
        {"enum": [1, {"a": [-(2**63)]}], "type": "integer"},
        {"allOf": [{"const": -1e19}, {"type": "integer"}]},
        {"type": "integer", "minimum": -(2**63) + 1, "maximum": -(2**63) + 1},
        {"const": 2**53 + 1},
        {"enum": [2**64]},
        {"const": 1e40},
    ],
    ids=str,
)
def test_number_that_no_grammar_writes_is_refused(schema: dict[str, Any]) -> None:
    """The first four end the whole process in llguidance, the others come out as another number."""
    with pytest.raises(AnswerFailed) as caught:
        AnswerSchema.of(schema)
    assert caught.value.reason is Reason.SCHEMA_UNSUPPORTED
    assert caught.value.remedy


def test_property_may_be_called_as_a_keyword_is() -> None:
    """Under `properties` everything is a name: a reference below it is looked at, a bound there names no value."""
    AnswerSchema.of({"properties": {"enum": {"type": "integer", "maximum": 2**60}}})
    with pytest.raises(AnswerFailed, match="nothing is fetched") as caught:
        AnswerSchema.of({"properties": {"const": {"$ref": "https://elsewhere.test/schema"}}})
    assert caught.value.reason is Reason.SCHEMA_INVALID


def test_end_is_found_behind_a_pattern_that_text_alone_never_leaves(random_model: LocalModel) -> None:
    """A pattern that has to end with a digit is no trap on the way to the end, wherever it stands."""
    schema = {
        "type": "object",
        "properties": {
            "00": {"type": "object"},
            "": {"type": "string", "pattern": "^[a-c]+[0-9]$"},
            "0": {"type": "boolean"},
        },
        "required": ["00", "0"],
    }
    answer = random_model.answer_json_sync(
        "hello", schema, max_new_tokens=400, tell_schema=False, temperature=1.0, seed=29
    )
    assert answer.tokens <= 400


@pytest.mark.parametrize("text", ["\u1f71", "\u212b", "e\u0301", "\u2126"], ids=ascii)
def test_text_in_another_form_of_unicode_is_written_as_it_stands(random_model: LocalModel, text: str) -> None:
    """Qwen's tokenizer brings what it reads to NFC; names and values of the schema stay as they are."""
    schema = {"type": "object", "properties": {text: {"enum": [text]}}, "required": [text]}
    value = random_model.generate_json_sync("hello", schema, max_new_tokens=200, tell_schema=False)
    assert value[text] == text
