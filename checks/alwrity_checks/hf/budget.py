"""How much a probe may ask and spend: what is under way counts with the most that it can cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.hf.answer import Answer

if TYPE_CHECKING:
    from alwrity_checks.hf.plan import PlannedCell
    from alwrity_checks.hf.reply import Reply

__all__ = ["Budget"]


class Budget:
    """Counts requests and USD against their limits."""

    def __init__(self, max_requests: int, max_cost: float | None) -> None:
        """Allow so many requests, and so many USD; None allows any cost."""
        self._max_requests = max_requests
        self._max_cost = max_cost
        self.requests = 0
        self._spent = 0.0
        self._priced = False
        self._unpriced = False

    @property
    def cost(self) -> float | None:
        """USD spent, by the catalogue's prices and never too low.

        None if an answer had no known price, or if nothing that was asked had one.
        """
        known = self._priced or not self.requests
        return self._spent if known and not self._unpriced else None

    def objection(self, cell: PlannedCell) -> str:
        """Return why a request for `cell` may not be made; empty if it may."""
        if self.requests >= self._max_requests:
            return f"the limit of {self._max_requests} requests is reached"
        if self._max_cost is None:
            return ""
        if cell.most_cost is None:
            return "its price is not known, so the limit of cost cannot be kept"
        if self._spent + cell.most_cost > self._max_cost:
            return f"it could cost more than what is left of {self._max_cost:g} USD"
        return ""

    def begin(self, cell: PlannedCell) -> None:
        """Count a request, with the most that it can cost."""
        self.requests += 1
        self._priced |= cell.price is not None
        self._spent += cell.most_cost or 0.0

    def settle(self, cell: PlannedCell, came: Reply | Answer) -> None:
        """Count what the answer cost in place of what it could have cost.

        Only successes are billed (the router's pricing page). What ended without an answer, or does not tell its
        tokens, may have cost the most.
        """
        if isinstance(came, Answer):
            refused = came.status is not None and came.status >= 400  # noqa: PLR2004 - where HTTP's errors begin
            self._spent -= (cell.most_cost or 0.0) if refused else 0.0
            self._unpriced |= cell.price is None and not refused
            return
        self._unpriced |= cell.price is None
        prompt, completion = came.prompt_tokens, came.completion_tokens
        if cell.price and prompt is not None and completion is not None and min(prompt, completion) >= 0:
            self._spent += cell.price.of(prompt, completion) - (cell.most_cost or 0.0)
