"""What stands in for loguru where a checkout's environment has none: its logger's calls, and no sinks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Final, NoReturn

__all__ = ["stand_in"]

_LEVELS: Final = ("trace", "debug", "info", "success", "warning", "error", "critical")


def stand_in(hear: Callable[[str, str], None]) -> ModuleType:
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
