"""What the code of a checkout logs: heard through loguru, or through a small stand-in where it is not installed."""

from __future__ import annotations

import sys
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from alwrity_checks.model import Evidence
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.loguru_stand_in import stand_in

__all__ = ["LogLines", "Record"]

_KEPT: Final = 2000
"""Lines between two looks; older ones are forgotten."""
_SHOWN: Final = 5
_LONGEST: Final = 200
_GRAVE: Final = ("CRITICAL", "ERROR")
_TELLING: Final = frozenset({*_GRAVE, "WARNING"})


@dataclass(frozen=True, slots=True)
class Record:
    """One record, as it was logged: not scrubbed."""

    process: int
    """Of the backend, by its number: see `LogLines.restart`."""
    level: str
    message: str
    where: str = ""
    """`module:function:line`; empty where loguru is stood in for."""


class LogLines:
    """Hears what is logged from any thread. One for a process."""

    def __init__(self, *, told: Sequence[str] = (), untold: Sequence[str] = ()) -> None:
        """Name how lines begin that are told although they are ordinary, or are not although they are warnings."""
        self._told = tuple(told)
        self._untold = tuple(untold)
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._process = 0
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Note that what is logged from now on is of another process of the backend."""
        with self._lock:
            self._process += 1

    def listen(self) -> bool:
        """Take the place of loguru's sinks; say whether it was loguru, or had to be stood in for.

        Only the messages are taken: loguru's own traces of exceptions show the values of variables.
        """
        if find_spec("loguru") is None:
            sys.modules["loguru"] = stand_in(self.hear)
            return False
        import loguru  # type: ignore[import-not-found, unused-ignore]

        loguru.logger.remove()
        loguru.logger.add(self._take, level=0, format="{message}", backtrace=False, diagnose=False, catch=True)
        return True

    def _take(self, message: Any) -> None:  # noqa: ANN401 - loguru's message, a str with a record
        record = message.record
        where = f"{record['name']}:{record['function']}:{record['line']}"
        self.hear(record["level"].name, record["message"], where)

    def hear(self, level: str, message: str, where: str = "") -> None:
        """Take note of a record."""
        with self._lock:
            self._records.append(Record(self._process, level, message, where))

    def records(self) -> tuple[Record, ...]:
        """Return what was heard since the last time, and forget it."""
        with self._lock:
            records = tuple(self._records)
            self._records.clear()
        return records

    def told(self) -> tuple[Evidence, ...]:
        """Return the lines that tell something since the last time, each once, and forget them.

        Of many, the errors are told first. With each goes how often it came in one process of the backend, where that
        is more than once.
        """
        counted: dict[str, Counter[int]] = {}
        for record in self.records():
            told = record.level in _TELLING and not record.message.startswith(self._untold)
            if told or record.message.startswith(self._told):
                first = next(iter(scrub(record.message).strip().splitlines()), "")
                counted.setdefault(f"{record.level} {first[:_LONGEST]}", Counter())[record.process] += 1
        gravest_first = sorted(counted.items(), key=lambda one: not one[0].startswith(_GRAVE))
        return tuple(
            Evidence("log", f"{line} ({most} times in one process)" if (most := max(seen.values())) > 1 else line)
            for line, seen in gravest_first[:_SHOWN]
        )
