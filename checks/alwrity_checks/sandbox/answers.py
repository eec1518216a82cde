"""Asking an interpreter of the checkout one question: whatever it is in truth, asking has an end and a size."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

from alwrity_checks.sandbox.conversation import end_group

__all__ = ["answer_of"]

_LARGEST = 1 << 20
"""Bytes of an answer: a program that calls itself an interpreter may print for ever."""


def answer_of(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout: float,
    told: bytes = b"",
    directory: str | None = None,
) -> bytes:
    """Return what a program prints that is `told` this on its stdin, and end it with all that it started.

    Raises OSError if it cannot be started, CalledProcessError if it fails or prints more than 1 MiB, TimeoutExpired
    after `timeout` seconds.
    """
    with tempfile.TemporaryFile() as given:
        given.write(told)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - an interpreter of the checkout, on a program of ours
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
    late = threading.Event()

    def give_up() -> None:
        late.set()
        end_group(process)

    alarm = threading.Timer(timeout, give_up)
    alarm.start()
    try:
        answer = process.stdout.read(_LARGEST + 1) if process.stdout else b""
        if len(answer) > _LARGEST:
            end_group(process)
        code = process.wait()
    finally:
        alarm.cancel()
        end_group(process)
        if process.stdout:
            process.stdout.close()
        process.wait()
    if late.is_set():
        raise subprocess.TimeoutExpired(command, timeout)
    if code:
        raise subprocess.CalledProcessError(code, command)
    return answer
