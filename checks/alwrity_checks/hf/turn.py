"""A deployment's turn within one generation: on which rung it stands, and what it is told."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Mode
    from alwrity_checks.hf.contract import Contract
    from alwrity_checks.hf.ladder import Message
    from alwrity_checks.hf.reply import Reply

__all__ = ["Turn"]

_ENLARGEMENT: Final = 4
_QUOTED: Final = 4000
"""Characters of a wrong answer that are shown to the model again."""


class Turn:
    """The state of the conversation with one deployment."""

    def __init__(self, modes: Sequence[Mode], messages: Sequence[Message], max_tokens: int | None) -> None:
        """Begin on the first of `modes`; without `max_tokens` the server's own limit holds."""
        self._modes = list(modes)
        self._asked = tuple(messages)
        self._exchange: tuple[Message, ...] = ()
        self.max_tokens = max_tokens
        self.enlarged = False
        self.failures = 0
        """Passing failures in this turn."""
        self.tool_called = False
        """Whether the last reply called the tool."""
        self._asked_again = False

    @property
    def mode(self) -> Mode:
        """The rung it stands on."""
        return self._modes[0]

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is asked; after a wrong answer with that answer and what is wrong with it."""
        return self._asked + self._exchange

    def answered(self, reply: Reply, complaint: str, contract: Contract) -> None:
        """Note a wrong answer, so that the next request tells the model what was wrong with it."""
        self.tool_called = reply.tool_arguments is not None
        if not complaint:
            return
        said = (reply.tool_arguments or reply.text or reply.reasoning)[:_QUOTED]
        text = (
            f"This answer is not valid: {complaint}. Answer again, with one JSON value that is valid against this "
            f"JSON Schema and with nothing else:\n{json.dumps(contract.schema, ensure_ascii=False)}"
        )
        self._exchange = ({"role": "assistant", "content": said}, {"role": "user", "content": text})

    def ask_again(self) -> bool:
        """Stay on the rung for another request with the complaint; False if that has been done."""
        if self._asked_again:
            return False
        self._asked_again = True
        return True

    def step_down(self, skipped: Collection[Mode] = ()) -> bool:
        """Go to the next rung that is not in `skipped`; False if there is none."""
        below = [mode for mode in self._modes[1:] if mode not in skipped]
        if not below:
            return False
        self._modes = below
        return True

    def enlarge(self) -> bool:
        """Allow more output tokens; False if that has been done, or if the limit is not ours."""
        if self.enlarged or self.max_tokens is None:
            return False
        self.enlarged = True
        self.max_tokens *= _ENLARGEMENT
        return True

    def fail(self) -> int:
        """Count a passing failure; return how many there have been."""
        self.failures += 1
        return self.failures
