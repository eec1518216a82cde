"""A load tried in a child process first: where it dies, only the child dies.

A process that is killed for its memory gets no exception, and neither does one in which a native library crashes. The
child loads the model and makes one token; it offers itself to the kernel as the first to be killed.

    python -m alwrity_checks.models.rehearsal '{"directory": …, "runtime": …, "precision": …, …}'
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from alwrity_checks.models.children import child_environment, end_child, end_with
from alwrity_checks.models.errors import LoadFailed, ModelError, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.redaction import scrub

__all__ = ["Rehearse", "rehearse"]

Rehearse = Callable[[Step, Path, int], int]
"""Loads a step from a directory with a context in a child; returns the child's peak of resident memory in bytes."""

_PATIENCE: Final = 600.0
"""Seconds: a load from a slow disk that takes longer is of no use either."""
_LARGEST_ANSWER: Final = 1 << 16
_REMEDY: Final = "free memory, raise the limit, or choose a lighter model: alwrity-doctor models plan"


def rehearse(
    step: Step,
    directory: Path,
    context: int,
    *,
    patience: float = _PATIENCE,
    command: Sequence[str] = (sys.executable, "-m", __name__),
) -> int:
    """Load `step` in a child and return the child's peak of resident memory in bytes. Blocks.

    Raises OutOfMemory, REHEARSAL_DIED, where the child was killed; LoadFailed with its own reason where it said one.
    """
    order = {
        "directory": str(directory), "runtime": step.runtime, "precision": step.precision, "context": context,
        "parent": os.getpid(),
    }  # fmt: skip
    with tempfile.TemporaryFile() as talk:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=talk,
            env=child_environment(),
            start_new_session=True,
        )
        try:
            answer, _ = child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise LoadFailed(
                Reason.LOAD_FAILED,
                f"the rehearsal of {step} did not end within {patience:.0f} s",
                "see what keeps the disk or the processor busy; a lighter model loads sooner",
            ) from None
        finally:
            _kill(child)
        talk.seek(max(0, talk.seek(0, os.SEEK_END) - 2000))
        said = scrub(talk.read().decode("utf-8", "replace").strip().rpartition("\n")[2])[:200]
    return _understood(step, child.returncode, answer[-_LARGEST_ANSWER:], said)


def _understood(step: Step, code: int, answer: bytes, said: str) -> int:
    told: dict[str, Any] = {}
    with contextlib.suppress(ValueError, IndexError, RecursionError):
        document = json.loads(answer.splitlines()[-1])
        told = document if isinstance(document, dict) else {}
    if code == 0 and isinstance(told.get("peak"), int):
        return int(told["peak"])
    if "reason" in told:
        with contextlib.suppress(ValueError):
            reason = Reason(told["reason"])
            kind = OutOfMemory if reason is Reason.OUT_OF_MEMORY else LoadFailed
            raise kind(reason, str(told.get("diagnosis", ""))[:500], str(told.get("remedy", ""))[:500])
    if code < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-code).name
            raise OutOfMemory(Reason.REHEARSAL_DIED, f"the rehearsal of {step} was killed ({how})", _REMEDY)
    told_last = f": {said}" if said else ""
    if "memory" in said.lower() or "MemoryError" in said:
        raise OutOfMemory(Reason.REHEARSAL_DIED, f"the rehearsal of {step} ran out of memory{told_last}", _REMEDY)
    raise LoadFailed(
        Reason.LOAD_FAILED,
        f"the rehearsal of {step} ended with {code}{told_last}",
        "see what the runtime says; upgrade it, or choose another",
    )


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child with whatever it started, and collect it."""
    end_child(child)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _main(order: str) -> NoReturn:
    """Carry the order out: this is the child."""
    with contextlib.suppress(OSError):
        # Linux: of all processes this one is to be killed for its memory. Other systems have no such file.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    told = json.loads(order)
    # It leads a group of its own, which no terminal's end reaches.
    end_with(int(told["parent"]))
    try:
        answer: dict[str, Any] = {"peak": _load(told)}
        code = 0
    except ModelError as error:
        answer, code = {"reason": error.reason, "diagnosis": error.diagnosis, "remedy": error.remedy}, 1
    except MemoryError as error:
        answer = {"reason": Reason.OUT_OF_MEMORY, "diagnosis": f"memory ran out in the rehearsal: {error}"}
        code = 1
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    sys.stdout.flush()
    # Threads of a runtime's pool have been seen to hang at the interpreter's end; nothing is left to be done.
    os._exit(code)


def _load(order: dict[str, Any]) -> int:
    from alwrity_checks.models.runtimes.table import LOADERS

    loader = LOADERS[Runtime(order["runtime"])]
    model = loader.load(Path(order["directory"]), Precision(order["precision"]), context=int(order["context"]))
    session = model.session()
    session.advance([next(iter(sorted(model.ends)), 0)])
    return _peak()


def _peak() -> int:
    """Return this process's peak of resident memory in bytes, as the kernel counts it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    import psutil

    memory = psutil.Process().memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))


if __name__ == "__main__":
    _main(sys.argv[1])
