"""Schemas are checked before anything is asked."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.contract import Complaint, Contract, Contracts


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "invalid at"),
        ({"type": "object", "required": "title"}, "invalid at"),
        ({"pattern": "["}, "invalid at"),
        ({"$ref": "https://example.invalid/schema.json"}, "not in it"),
        ({"$ref": "#/$defs/missing"}, "not in it"),
        ({"items": {"$dynamicRef": "https://example.invalid/schema.json"}}, "not in it"),
        ({"$ref": "#"}, "without end"),
        ({"const": math.nan}, "as JSON"),
        ({"const": {1, 2}}, "as JSON"),
        ({"const": "\ud800"}, "as JSON"),
        (["object"], "not a JSON object"),
    ],
)
def test_an_unusable_schema_is_refused(schema: Any, said: str) -> None:  # noqa: ANN401 - wrong types too
    """What is no schema, cannot be sent or refers to something elsewhere is refused; nothing is fetched."""
    with pytest.raises(ConfigurationError, match=said):
        Contract.of(schema)


def test_what_is_wrong_is_said_with_its_place() -> None:
    """A complaint names the place and the fault; a valid value has none."""
    contract = Contract.of(
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"minimum": 3}}}
    )
    assert contract.complaint({"n": 3}) is None
    assert contract.complaint({"n": 2}) == Complaint("at $.n: 2 is less than the minimum of 3", of_shape=False)


def test_a_deep_value_is_an_invalid_one() -> None:
    """A value nested deeper than the interpreter's stack is a complaint, no crash."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    contract = Contract.of({"type": "array", "items": {"$ref": "#"}})
    assert contract.complaint(value) == Complaint("the answer is nested too deeply")


def test_a_refusal_does_not_repeat_the_schema() -> None:
    """What the schema holds is cut and redacted."""
    with pytest.raises(ConfigurationError) as caught:
        Contract.of({"type": "hf_" + "a1b2c3d4" * 4, "title": "x" * 100_000, "required": "x" * 100_000})
    assert "a1b2" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_contract_is_made_once() -> None:
    """The same schema has the same contract; old ones are forgotten; an unusable schema is refused."""
    contracts = Contracts()

    async def scenario() -> None:
        first = await contracts.of({"minimum": 0})
        assert await contracts.of({"minimum": 0}) is first
        for number in range(1, 65):
            assert (await contracts.of({"minimum": number})).schema == {"minimum": number}
        assert await contracts.of({"minimum": 0}) is not first
        for unusable in ({"type": "objekt"}, {"const": math.nan}):
            with pytest.raises(ConfigurationError):
                await contracts.of(unusable)

    asyncio.run(scenario())
