"""Measure JSON from models with random weights, on each runtime: whether it comes, and what the mask costs.

`rows()` is a part of `make bench-models`. By itself: `python -m benchmarks.models_generation [DIRECTORY OF 0.5B]`.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.conversion import convert
from alwrity_checks.models.generation import LocalModel
from alwrity_checks.models.runtimes.table import LOADERS
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.models.synthetic import write_checkpoint
from benchmarks.measure import at_most, fact, table

SCHEMAS, TOKENS = 200, 384
MEASURED, ROUNDS = "Qwen/Qwen2.5-0.5B-Instruct", 3
STEPS = ((Runtime.TRANSFORMERS, Precision.FLOAT32), (Runtime.ONNX, Precision.INT4))
PROMPT = "Rate this article."
ARTICLE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 70},
        "summary": {"type": "string"},
        "score": {"type": "integer", "minimum": 1, "maximum": 10},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["title", "summary", "score", "tags"],
    "additionalProperties": False,
}

Row: TypeAlias = tuple[str, ...]


def random_schema(chance: random.Random, depth: int = 3) -> dict[str, Any]:
    """Return a schema of what structured answers are made of, most of it without bounds."""
    leaves: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: {"type": "string"},
        lambda: {"type": "string", "maxLength": chance.randint(1, 40)},
        lambda: {"type": "string", "minLength": 3, "maxLength": 12},
        lambda: {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        lambda: {"type": "string", "format": chance.choice(("date", "date-time", "email", "uuid", "uri"))},
        lambda: {"type": "integer"},
        lambda: {"type": "integer", "minimum": -5, "maximum": chance.randint(0, 9000)},
        lambda: {"type": "number"},
        lambda: {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        lambda: {"type": "boolean"},
        lambda: {"type": ["string", "null"]},
        lambda: {"enum": ["low", "medium", "high", 3, None]},
        lambda: {"const": {"kind": "article"}},
        dict,
    )
    if depth == 0:
        return chance.choice(leaves)()
    names = chance.sample(("title", "score", "tags", "summary", "author", "ümlaut", 'quo"te', ""), chance.randint(1, 4))
    composed: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: {
            "type": "object",
            "properties": {name: random_schema(chance, depth - 1) for name in names},
            "required": chance.sample(names, chance.randint(0, len(names))),
            "additionalProperties": chance.choice((False, False, True, {"type": "integer"})),
        },
        lambda: {"type": "array", "items": random_schema(chance, depth - 1)},
        lambda: {"type": "array", "items": random_schema(chance, depth - 1), "minItems": 1, "maxItems": 3},
        lambda: {"type": "array", "prefixItems": [random_schema(chance, 0), random_schema(chance, 0)], "minItems": 2},
        lambda: {"type": "object", "additionalProperties": random_schema(chance, 0), "minProperties": 1},
        lambda: {"anyOf": [random_schema(chance, depth - 1), random_schema(chance, 0)]},
        lambda: {
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
            "$ref": "#/$defs/node",
        },
    )
    return chance.choice((*composed, leaves[0]))()


def _without_nested_definitions(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its definitions at the root, where its references look for them."""
    text = json.dumps(schema)
    if '"#/$defs/node"' not in text or "$ref" in schema:
        return schema
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    return {**schema, "$defs": {"node": node}}


def schemas(count: int, seed: int = 5) -> list[dict[str, Any]]:
    """Return `count` schemas, the same each time."""
    chance = random.Random(seed)  # noqa: S311 - the same schemas each time
    return [_without_nested_definitions(random_schema(chance)) for _ in range(count)]


def loaded(directory: Path, runtime: Runtime, precision: Precision, cache: Path | None = None) -> LocalModel:
    """Return the model in `directory`, converted if the runtime needs it."""
    place = convert(directory, cache=cache) if runtime is Runtime.ONNX else directory
    model = LOADERS[runtime].load(place, precision, context=2048)
    return LocalModel(model, Step(str(directory), runtime, precision))


def validity(model: LocalModel) -> tuple[int, list[str]]:
    """Return how many of the schemas got a valid answer, and what became of the others."""
    valid, failed = 0, []
    for number, schema in enumerate(schemas(SCHEMAS)):
        try:
            answer = model.answer_json_sync(
                PROMPT, schema, max_new_tokens=TOKENS, tell_schema=False, temperature=number % 3 / 2, seed=number
            )
            jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))
        except (DoctorError, jsonschema.ValidationError, ValueError) as error:
            failed.append(f"{json.dumps(schema)}: {error}")
        else:
            valid += 1
    return valid, failed


def overhead(model: LocalModel) -> tuple[float, float]:
    """Return the seconds that a token takes without a schema, and those that a schema adds to a pass.

    What a schema forces is not counted as a gain: its tokens need no pass of their own.
    """
    model.answer_json_sync(PROMPT, ARTICLE, max_new_tokens=64, tell_schema=False)  # reads the vocabulary
    plain, added = [], []
    for seed in range(ROUNDS):
        free = model.generate_sync(PROMPT, max_new_tokens=64, min_new_tokens=64)
        plain.append(free.decode_seconds / (free.tokens - 1))
        answer = model.answer_json_sync(
            PROMPT, ARTICLE, max_new_tokens=128, tell_schema=False, temperature=1.0, seed=seed
        )
        added.append(answer.constraint_seconds / answer.passes)
    return statistics.median(plain), statistics.median(added)


def rows(measured: Path | None = None) -> list[Row]:
    """Return the rows of both runtimes; `measured` is a checkpoint of 0.5B, written now without it."""
    with tempfile.TemporaryDirectory() as scratch:
        found: list[Row] = []
        tiny = write_checkpoint(Path(scratch, "tiny"), "tiny")
        for runtime, precision in STEPS:
            model = loaded(tiny, runtime, precision, Path(scratch, "onnx"))
            valid, failed = validity(model)
            model.close()
            for one in failed:
                print(f"  {runtime}: {one}", file=sys.stderr)
            found.append(
                (f"valid JSON from random weights, {runtime}", f"{valid} of {SCHEMAS}", f"{SCHEMAS} of {SCHEMAS}",
                 "yes" if valid == SCHEMAS else "NO")
            )  # fmt: skip
        directory = measured or write_checkpoint(Path(scratch, "0.5B"), MEASURED)
        for runtime, precision in STEPS[::-1]:
            model = loaded(directory, runtime, precision, None if measured else Path(scratch, "onnx"))
            plain, added = overhead(model)
            model.close()
            found += [
                fact(f"a token of 0.5B, {runtime} {precision}", f"{1000 * plain:.3g} ms"),
                at_most(f"the schema's overhead per token, {runtime}", 100 * added / plain, 15, " %"),
            ]
        return found


def main() -> None:
    """Print the table."""
    measured = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(table([("measure", "value", "goal", "reached"), *rows(measured)]))


if __name__ == "__main__":
    main()
