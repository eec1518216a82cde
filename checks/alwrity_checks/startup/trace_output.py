"""What the traced command says: its last lines are kept, without secrets, and shown as they come if that is wanted.

The secrets of a command are in its arguments and its environment. Both are known here, and both are scrubbed from what
it says, beside everything that has the form of a credential, and what a secret's name stands in front of.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Final

from alwrity_checks.redaction import Secret, fingerprint, scrub

__all__ = ["Output", "wrap_secrets"]

_LINES: Final = 40
_LONGEST: Final = 500
"""Characters of a line that are kept."""
_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|[_-])(?:token|secret|password|passwd|pwd|credentials?|api_?-?key|key|auth|dsn)(?:$|[_-])"
)
_ASSIGNED: Final = re.compile(
    r"""(?ix)
    ( (?<![a-z0-9]) (?:[a-z0-9]{1,40}[_-]){0,4}
      (?:token|secret|password|passwd|pwd|credentials?|api_?-?key|secret_key|access_key|private_key|dsn)
      (?: ["']?\s*=\s* | ["']\s*:\s* | (?<!token):\s* )  # "unexpected token: x" is what a parser says
      ["']?
    )
    ([^\s"',;…{}()\[\]]{4,})
    """
)
"""A name of a secret, and what is assigned to it."""
_DIRECTORIES: Final = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})
_NOT_SECRET: Final = re.compile(
    r"(?i)(?:true|false|none|null|yes|no|on|off|\d{1,6}|[./~].*\.(?:py|toml|ya?ml|json|ini))"
)


def wrap_secrets(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Make every value that a command's arguments and environment mark as secret one that `scrub` takes out."""
    named = (value for name, value in environment.items() if _SECRET_NAME.search(name) and name not in _DIRECTORIES)
    for value in (*_of_arguments(command), *named):
        if not _NOT_SECRET.fullmatch(value):
            Secret(value)


def _of_arguments(command: Sequence[str]) -> Iterator[str]:
    secret = False
    for argument in command[1:]:
        name, separator, value = argument.partition("=")
        if secret and not argument.startswith("-"):
            yield argument
        named = _SECRET_NAME.search(name.lstrip("-")) is not None
        if separator and named:
            yield value
        secret = named and not separator and argument.startswith("-")


class Output:
    """Reads a stream to its end on a thread of its own."""

    def __init__(self, stream: IO[bytes], heard: Callable[[str], None] | None = None) -> None:
        self._stream = stream
        self._heard = heard
        self._tail: deque[str] = deque(maxlen=_LINES)
        self._thread = threading.Thread(target=self._read, name="reads the command's output", daemon=True)
        self._thread.start()

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines so far."""
        return tuple(self._tail)

    def close(self, timeout: float = 2.0) -> None:
        """Wait until everything was read; a stream that a stranger holds open is left to him."""
        self._thread.join(timeout)

    def _read(self) -> None:
        with self._stream:
            while data := self._stream.readline(1 << 16):
                # Scrubbed first: a secret that is cut has not its form any more.
                line = _ASSIGNED.sub(_masked, scrub(data.decode("utf-8", "replace").rstrip("\r\n")))[:_LONGEST]
                self._tail.append(line)
                if self._heard is not None:
                    self._heard(line)


def _masked(match: re.Match[str]) -> str:
    name, value = match.groups()
    return match.group() if _NOT_SECRET.fullmatch(value) else f"{name}…#{fingerprint(value)}"
