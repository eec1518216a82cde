"""What the service of a checkout logs: heard through loguru, or through a small stand-in where it is not installed."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, NoReturn

from alwrity_checks.model import Evidence
from alwrity_checks.redaction import scrub

__all__ = ["LogLines"]

_KEPT: Final = 2000
"""Lines between two looks; older ones are forgotten."""
_SHOWN: Final = 5
_LONGEST: Final = 200
_TELLING: Final = frozenset({"WARNING", "ERROR", "CRITICAL"})
_ONCE: Final = "Initializing txtai embeddings"
"""Of the ordinary lines the only one that tells: twice in one process, it is a double initialisation."""
_LONG: Final = ("Full traceback", "This may be due to")
"""How lines begin whose first line says nothing."""
_LEVELS: Final = ("trace", "debug", "info", "success", "warning", "error", "critical")


class LogLines:
    """Hears what is logged from any thread. One for a process."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str, str]] = deque(maxlen=_KEPT)
        """The process of the backend, by its number, then the level and the message."""
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
            sys.modules["loguru"] = _stand_in(self._hear)
            return False
        import loguru  # type: ignore[import-not-found, unused-ignore]

        loguru.logger.remove()
        loguru.logger.add(self._take, level=0, format="{message}", backtrace=False, diagnose=False, catch=True)
        return True

    def _take(self, message: Any) -> None:  # noqa: ANN401 - loguru's message, a str with a record
        self._hear(message.record["level"].name, message.record["message"])

    def _hear(self, level: str, message: str) -> None:
        with self._lock:
            self._lines.append((self._process, level, message))

    def told(self) -> tuple[Evidence, ...]:
        """Return the lines that tell something since the last time, each once, and forget them.

        With each goes how often it came in one process of the backend, where that is more than once.
        """
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
        counted: dict[str, Counter[int]] = {}
        for process, level, message in lines:
            if (level in _TELLING and not message.startswith(_LONG)) or message.startswith(_ONCE):
                first = next(iter(scrub(message).strip().splitlines()), "")
                counted.setdefault(f"{level} {first[:_LONGEST]}", Counter())[process] += 1
        return tuple(
            Evidence("log", f"{line} ({most} times in one process)" if (most := max(seen.values())) > 1 else line)
            for line, seen in list(counted.items())[:_SHOWN]
        )


def _stand_in(hear: Callable[[str, str], None]) -> ModuleType:
    """Return a module that has of loguru what a service calls on its logger, with loguru's way of formatting."""
    module = ModuleType("loguru", "A stand-in of alwrity-doctor: loguru is not installed.")
    vars(module)["logger"] = _Logger(hear)
    vars(module)["__version__"] = "0"
    return module


class _Logger:
    """As loguru's: a method for each level, and `warn` for none."""

    def __init__(self, hear: Callable[[str, str], None]) -> None:
        self._hear = hear
        for level in _LEVELS:
            setattr(self, level, self._at(level.upper()))
        self.exception = self._at("ERROR")

    def _at(self, level: str) -> Callable[..., None]:
        def log(message: object, *arguments: object, **options: object) -> None:
            self.log(level, message, *arguments, **options)

        return log

    def log(self, level: object, message: object, *arguments: object, **options: object) -> None:
        """Format only where there is something to put in: a brace in a bare message is a brace."""
        text = str(message)
        self._hear(str(level), text.format(*arguments, **options) if arguments or options else text)

    def opt(self, *_: object, **__: object) -> _Logger:
        return self

    bind = patch = opt

    @contextlib.contextmanager
    def contextualize(self, **_: object) -> Iterator[None]:
        yield

    def add(self, *_: object, **__: object) -> int:
        return 0

    def remove(self, *_: object) -> None:
        """Keep the one sink there is."""

    configure = complete = enable = disable = remove

    def catch(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("the stand-in of alwrity-doctor for loguru has no `catch`: install loguru")
