"""The scenarios that need the real thing: the hub's client, a limit on memory, models. Each plays in a child process.

The directory of a play holds a cache of its own, so that neither the user's models nor their cache are touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Evidence, Outcome, TargetKind
from alwrity_checks.models.scenarios.scenario import Scenario, Seen
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.targets import ModelsTarget

__all__ = ["LARGE", "SCENARIOS", "SMALL", "json_seen", "memory_seen", "offline_seen", "stop"]

_PATIENCE: Final = 90.0
"""Seconds until a child is taken to hang: the longest play takes twenty."""
_SECONDS_ALLOWED: Final = 5.0
LARGE: Final = "large"
SMALL: Final = "small"
"""What the models are called of which one cannot fit under the limit."""
_running: Final[set[subprocess.Popen[bytes]]] = set()
_lock: Final = threading.Lock()


def stop() -> None:
    """End every child that still runs."""
    with _lock:
        running = tuple(_running)
    for child in running:
        _kill(child)


def _offline(target: ModelsTarget) -> Seen:
    """Ask where nobody listens at the hub's address, and nothing says that this machine is offline."""
    with _nobody() as endpoint:
        return offline_seen(_play("offline", target, {"HF_ENDPOINT": endpoint}))


def _memory(target: ModelsTarget) -> Seen:
    """Ask for a model that cannot fit under a limit of the address space, with one behind it that can."""
    return memory_seen(_play("memory", target, {"HF_HUB_OFFLINE": "1"}))


def _json(target: ModelsTarget) -> Seen:
    """Ask every model of a chain, in each runtime, for JSON that satisfies a schema."""
    return json_seen(_play("json", target, {"HF_HUB_OFFLINE": "1"}))


def offline_seen(told: Mapping[str, Any]) -> Seen:
    """Return what a play without a network shows: `seconds` of them `pauses`, and the `error` that a caller gets."""
    seconds, error = float(told["seconds"]), str(told["error"])
    facts = (
        Evidence("error", scrub(error)[:200]),
        Evidence("seconds", f"{seconds:.1f}"),
        Evidence("of it pauses, counted and not waited for", f"{float(told['pauses']):.1f}"),
    )
    if not error:
        return Seen(Outcome.UNKNOWN, "a model was found where there is none", facts)
    outcome = Outcome.REPRODUCED if seconds > _SECONDS_ALLOWED else Outcome.ABSENT
    return Seen(outcome, f"{seconds:.1f} s until the caller is told that no model can be had", facts)


def memory_seen(told: Mapping[str, Any]) -> Seen:
    """Return what a play under a limit shows: the loads that were `begun`, what was `loaded`, and the first `failure`.

    `unsupported` says why it could not be played.
    """
    facts = tuple(Evidence(label, scrub(str(value))[:200]) for label, value in told.items())
    if told.get("unsupported"):
        return Seen(Outcome.UNKNOWN, str(told["unsupported"]), facts)
    if told["loaded"] != SMALL:
        return Seen(Outcome.UNKNOWN, "neither model could be loaded under the limit", facts)
    if told["begun"][0] == LARGE:
        message = f"the load of what cannot fit was begun, and failed: {told['failure']}"
        return Seen(Outcome.REPRODUCED, scrub(message)[:240], facts)
    return Seen(Outcome.ABSENT, f"what cannot fit was not tried: {scrub(str(told['failure']))[:160]}", facts)


def json_seen(told: Mapping[str, Any]) -> Seen:
    """Return what a play shows in which models were asked for JSON: the `answers`, each judged in its first word."""
    answers: Mapping[str, str] = told["answers"]
    facts = tuple(Evidence(step, scrub(answer)[:120]) for step, answer in answers.items())
    facts = (*facts, Evidence("models", "tiny, with random weights"))
    valid = sum(answer.startswith("valid") for answer in answers.values())
    if not answers:
        return Seen(Outcome.UNKNOWN, "no model answered", facts)
    message = f"{valid} of {len(answers)} models gave JSON that is valid against the schema"
    return Seen(Outcome.ABSENT if valid == len(answers) else Outcome.REPRODUCED, message, facts)


def _play(name: str, target: ModelsTarget, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what the child says of its play. Raises RuntimeError if it says nothing."""
    side = "fixed" if target.target.kind is TargetKind.FIXED else "legacy"
    with tempfile.TemporaryDirectory(prefix="alwrity-models-") as directory, tempfile.TemporaryFile() as talk:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "alwrity_checks.models.scenarios.child", name, side, directory],
            env=_environment(directory) | dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=talk,
            start_new_session=True,
        )
        with _lock:
            _running.add(child)
        try:
            answer, _ = child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the child did not end within {_PATIENCE:.0f} s") from None
        finally:
            _kill(child)
            with _lock:
                _running.discard(child)
        talk.seek(max(0, talk.seek(0, os.SEEK_END) - 1000))
        last = talk.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        told: dict[str, Any] = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        raise RuntimeError(f"the child ended with {child.returncode}: {last}") from None
    return told


def _environment(directory: str) -> dict[str, str]:
    """Return the environment without a backend's settings, with every cache inside `directory`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SIF_", "ALWRITY_"))}
    kept.pop("TRANSFORMERS_OFFLINE", None)
    path = os.pathsep.join(one for one in sys.path if one)
    return kept | {
        "PYTHONPATH": path,
        "HF_HOME": directory,
        "XDG_CACHE_HOME": directory,
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


@contextlib.contextmanager
def _nobody() -> Iterator[str]:
    """Yield the address of a port that is taken and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform != "win32":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
    child.wait()


SCENARIOS: Final = (
    Scenario("MDL006", "no network, and no HF_HUB_OFFLINE", _offline),
    Scenario("MDL007", "the first model of the chain cannot fit under the limit", _memory),
    Scenario("MDL008", "every model of the chain is asked for JSON", _json),
)
