"""A process that reads parts of logs for another one.

It is started with `-c START`, reads pickles from its standard input (the import path; then an Order; then numbered
parts), and answers each part on its standard output with one pickle: (number, kind, what it came to). It ends with
its input.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Gatherer, Probe

__all__ = ["RAISED", "REPLACED", "START", "SUMMARY", "Order", "main"]

START: Final = (
    "import sys, pickle; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from alwrity_checks.logs.worker import main; main()"
)
SUMMARY, REPLACED, RAISED = "summary", "replaced", "raised"


class Order(NamedTuple):
    """What a worker does with every part."""

    probes: Sequence[Probe]
    gatherer: Callable[[str, int], Gatherer[Any]]
    engine: str
    segment: int | None


def main() -> None:
    """Read parts until there are no more."""
    # An interrupt is for the process that started us; it ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    # Whatever is printed by accident must not land among the answers.
    sys.stdout = sys.stderr
    try:
        _serve(orders, answers)
    except (BrokenPipeError, EOFError):
        # The process that started us is gone, or has enough: there is nobody left to tell, and nothing to flush.
        os._exit(0)


def _serve(orders: Any, answers: Any) -> None:  # noqa: ANN401 - binary files
    from alwrity_checks.logs.choice import matcher_for
    from alwrity_checks.logs.segments import Reading, Replaced

    order: Order = pickle.load(orders)  # noqa: S301 - from our own process, through a pipe that nobody else holds
    reading = Reading(matcher_for(order.engine, order.probes), order.gatherer, order.segment)
    while True:
        number, part = pickle.load(orders)  # noqa: S301 - from our own process, through a pipe that nobody else holds
        try:
            answer = (number, SUMMARY, reading.summary_of(part))
        except Replaced:
            answer = (number, REPLACED, None)
        except Exception as error:  # noqa: BLE001 - it is raised again where the run was started
            answer = (number, RAISED, error)
        try:
            data = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - it is raised again where the run was started
            failure = RuntimeError(f"what part {number} came to cannot be handed on: {type(error).__name__}")
            data = pickle.dumps((number, RAISED, failure))
        answers.write(data)
        answers.flush()
