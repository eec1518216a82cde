"""A module carried out in a fresh child process, which answers with one line of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

__all__ = ["answer_of", "child_environment", "end_child", "end_with"]

_LARGEST: Final = 1 << 16
_SECRETS: Final = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
_LOOK: Final = 1.0
"""Seconds between two looks whether the parent is there."""


def answer_of(module: str, order: Mapping[str, Any], *, timeout: float) -> Mapping[str, Any]:
    """Return what `python -m module ORDER` answers on the last line of its stdout. Blocks, at most `timeout` seconds.

    The child imports from where this process does, asks no hub, and leads a group of its own, which is ended with it.
    Raises LoadFailed(LOAD_FAILED) where it died, was too slow, reported an `error`, or answered with no JSON.
    """
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module, json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise _failed(f"{module} did not answer within {timeout:g} s") from None
        finally:
            end_child(child)
    lines = output[-_LARGEST:].decode("utf-8", "replace").strip().splitlines()
    if child.returncode:
        how = f"was killed by signal {-child.returncode}" if child.returncode < 0 else f"ended with {child.returncode}"
        raise _failed(f"{module} {how}")
    try:
        answer = json.loads(lines[-1] if lines else "")
    except (ValueError, RecursionError):
        raise _failed(f"{module} answered with no JSON") from None
    if not isinstance(answer, dict) or "error" in answer:
        told = answer.get("error") if isinstance(answer, dict) else "no object"
        raise _failed(f"{module}: {scrub(str(told))[:300]}")
    return answer


def child_environment() -> dict[str, str]:
    """Return an environment in which a child imports from where this process does, and asks no hub, with no token."""
    path = os.pathsep.join(one for one in sys.path if one)
    kept = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return kept | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def end_child(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that leads a group of its own, with whatever it started, if it has not ended."""
    if child.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "win32":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()


def end_with(parent: int) -> None:
    """End this process soon after `parent` has ended, which started it: whatever it does then, nobody waits for.

    Where the system does not tell that a parent has ended (Windows), it goes on.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _failed(what: str) -> LoadFailed:
    return LoadFailed(Reason.LOAD_FAILED, what, "")
