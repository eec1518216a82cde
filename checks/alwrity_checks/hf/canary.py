"""A question whose right answer only the schema tells: what comes back shows whether the schema was heeded.

The schema demands a property with one possible value, a fresh nonce. The question does not mention it, so a model that
writes JSON of its own accord cannot come by it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.hf.causes import Cause, Classification, Mode
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.contract import Contract
from alwrity_checks.hf.reading import Valid, read

if TYPE_CHECKING:
    from alwrity_checks.hf.ladder import Message
    from alwrity_checks.hf.reply import Reply

__all__ = ["Canary", "Structure", "Verdict"]

_WEATHER: Final[Mapping[str, Any]] = {
    # Nothing but what every provider's dialect knows: Cerebras refuses some keywords, Groq wants all of it required.
    "type": "object",
    "properties": {"city": {"type": "string"}, "temperature": {"type": "integer"}},
    "required": ["city", "temperature"],
    "additionalProperties": False,
}
_WEATHER_QUESTION: Final = "Make up a weather report, as JSON with city and temperature."
_QUESTION: Final = "Make up one short example of what is asked for, as JSON."
_CLOSED: Final = frozenset(
    {
        "$ref",
        "$dynamicRef",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "enum",
        "const",
        "maxProperties",
        "propertyNames",
        "patternProperties",
        "dependentSchemas",
    }
)
"""Keywords beside which a further property need not be possible."""


class Structure(StrEnum):
    """What became of the structure that was asked for."""

    HONOURED = "honoured"
    COINCIDENTAL = "coincidental"
    """JSON of the right shape, by the model's own choice: what only the schema says is missing."""
    IGNORED = "ignored"
    CUT = "cut"
    """The answer ended at the limit of tokens: nothing is known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer to the canary shows."""

    structure: Structure | None
    """None where it shows nothing: it is empty, or was filtered."""
    classification: Classification


@dataclass(frozen=True, slots=True)
class Canary:
    """A question with its schema."""

    question: str
    nonce: str
    contract: Contract
    """The schema that is sent."""
    _shape: Contract | None
    """The same without the nonce; None if there is none in it."""

    @classmethod
    def new(cls) -> Canary:
        """Return one that has never been asked. Raises MissingExtra without the jsonschema package."""
        return cls._of(_WEATHER, _WEATHER_QUESTION)

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Canary:
        """Return one that asks for `schema`, with the nonce in one property more.

        A schema that may not take another property is sent as it is; then whatever is valid counts as honoured.
        Raises ConfigurationError where it is no usable schema.
        """
        return cls._of(Contract.of(schema).schema, _QUESTION)

    @classmethod
    def _of(cls, schema: Mapping[str, Any], question: str) -> Canary:
        nonce = secrets.token_hex(4)
        properties, required = schema.get("properties"), schema.get("required", [])
        if schema.get("type") != "object" or not isinstance(properties, Mapping) or _CLOSED & schema.keys():
            return cls(question, nonce, Contract.of(schema), None)
        name = f"proof_{nonce}"
        marked = {name: {"type": "string", "enum": [nonce]}}
        return cls(
            question,
            nonce,
            Contract.of({**schema, "properties": {**properties, **marked}, "required": [*required, name]}),
            Contract.of({**schema, "properties": {**properties, name: {}}}),
        )

    @property
    def schema(self) -> Mapping[str, Any]:
        """What is asked for."""
        return self.contract.schema

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation, which says nothing of the schema."""
        return ({"role": "user", "content": self.question},)

    def judge(self, reply: Reply, mode: Mode) -> Structure | None:
        """Return what `reply` shows of the structure that was asked for in `mode`; None if it shows nothing."""
        return self.verdict(reply, mode).structure

    def verdict(self, reply: Reply, mode: Mode) -> Verdict:
        """Do as `judge` does, and say what follows."""
        result = read(reply, self.contract)
        if isinstance(result, Valid):
            if mode is Mode.TOOL and reply.tool_arguments is None:
                ignored = classification(Cause.STRUCTURE_IGNORED, "valid JSON in the text, and the tool was not called")
                return Verdict(Structure.COINCIDENTAL, ignored)
            return Verdict(Structure.HONOURED, classification(Cause.OK, "valid against the schema"))
        found = result.classification
        if found.cause is Cause.TRUNCATED:
            return Verdict(Structure.CUT, found)
        if found.cause is not Cause.STRUCTURE_IGNORED:
            return Verdict(None, found)
        by_chance = self._shape is not None and isinstance(read(reply, self._shape), Valid)
        return Verdict(Structure.COINCIDENTAL if by_chance else Structure.IGNORED, found)
