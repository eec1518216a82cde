"""The program on a path of its own, and interactive shells on a pseudo-terminal to complete its commands in."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.support.command_line import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Terminal", "on_path"]

_PATIENCE: Final = 60.0
"""Seconds until a shell counts as hanging."""


def on_path(directory: Path, **variables: str) -> Mapping[str, str]:
    """Return an environment in which `alwrity-doctor` is this checkout's, with a home below `directory`."""
    programs, home = directory / "bin", directory / "home"
    programs.mkdir(parents=True)
    home.mkdir()
    program = programs / "alwrity-doctor"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m alwrity_doctor "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath)))
    kept = {name: value for name, value in environment().items() if name not in {"ENV", "BASH_ENV", "ZDOTDIR"}}
    return (
        kept | {"PATH": path, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "TERM": "dumb"} | variables
    )


class Terminal:
    """A shell that believes to speak to a person."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], directory: Path) -> None:
        self._device, end = os.openpty()
        try:
            # Not pty.fork, which a process with threads should not do.
            self._process = subprocess.Popen(  # noqa: S603 - a shell, which the test names
                command, stdin=end, stdout=end, stderr=end, env=variables, cwd=directory, start_new_session=True
            )
        finally:
            os.close(end)
        self._heard = ""

    def type(self, keys: str, until: str) -> str:
        """Press `keys`, and return what is then heard, up to `until`."""
        self._heard = ""
        os.write(self._device, keys.encode())
        deadline = time.monotonic() + _PATIENCE
        while until not in self._heard:
            left = deadline - time.monotonic()
            assert left > 0, f"the shell never said {until!r}, but {self._heard!r}"
            if select.select([self._device], [], [], left)[0]:
                self._heard += os.read(self._device, 65536).decode("utf-8", "replace")
        return self._heard

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        os.close(self._device)
