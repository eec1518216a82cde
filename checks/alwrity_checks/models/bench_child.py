"""The process in which one case is measured, and nothing else happens.

    python -m alwrity_checks.models.bench_child     the order as a line of JSON on stdin, events as lines on stdout

Stdin stays open for as long as the parent lives: at its end the child ends, wherever it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO, TypeVar

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import IMPORTS, JSON, LOAD, MEASURED, RELEASE, WARM_UP, Case, Workload
from alwrity_checks.models.bench_schemas import schemas
from alwrity_checks.models.bench_subjects import LIBRARIES, Subject, subject
from alwrity_checks.models.errors import ModelError, OutOfMemory
from alwrity_checks.models.measuring import Meter
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision

__all__ = ["measure"]

_NO_ROOM: Final = "failed to map segment"
_LIGHTER: Final = "choose a lighter step: alwrity-doctor models plan"

_T = TypeVar("_T")
Tell = Callable[[str, Any], None]
"""Takes an event's name and what belongs to it."""


def measure(subject_: Subject, workload: Workload, tell: Tell) -> None:
    """Carry the workload out, phase by phase, and tell of each. Raises what the subject raises."""
    meter = Meter()

    def phase(name: str, call: Callable[[], _T]) -> _T:
        tell("begin", name)
        try:
            with meter.phase(name):
                returned = call()
        finally:
            tell("usage", asdict(meter.usages[-1]))
        return returned

    phase(IMPORTS, subject_.imports)
    phase(LOAD, subject_.load)
    if workload.warmup:
        answers = phase(WARM_UP, lambda: [subject_.answer() for _ in range(workload.warmup)])
        tell("first", asdict(answers[0]))
    for answer in phase(MEASURED, lambda: [subject_.answer() for _ in range(workload.repetitions)]):
        tell("answer", asdict(answer))
    if workload.schemas:
        valid = phase(JSON, lambda: sum(subject_.json(schema) for schema in schemas(workload.schemas)))
        tell("json", valid)
    phase(RELEASE, subject_.close)


def _main() -> NoReturn:
    # What libraries print must not come between the events.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):
        # Linux: of all processes this one is to be killed for its memory. Other systems have no such file.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    code = _carry_out(order, events)
    events.flush()
    # Threads of a runtime's pool have been seen to hang at the interpreter's end; nothing is left to be done.
    os._exit(code)


def _carry_out(order: dict[str, Any], events: TextIO) -> int:
    def tell(event: str, value: Any) -> None:  # noqa: ANN401 - JSON
        events.write(json.dumps({"event": event, "value": value}) + "\n")
        events.flush()

    case = Case(order["model"], Carrier(order["carrier"]), Precision(order["precision"]))
    workload = Workload(**order["workload"])
    tell("libraries", {name: told for name in LIBRARIES[case.carrier] if (told := _version(name))})
    try:
        measure(subject(case, Path(order["directory"]), workload), workload, tell)
    except (Exception, MemoryError) as error:  # noqa: BLE001 - whatever a library raises is this case's result
        found = _ours(error)
        reason = found.reason if isinstance(found, ModelError) else Reason.SETTING_INVALID
        reason = Reason.EXTRA_MISSING if isinstance(found, MissingExtra) else reason
        tell("failure", {"reason": reason, "diagnosis": found.diagnosis, "remedy": found.remedy})
    else:
        tell("done", None)
        return 0
    return 1


def _ours(error: BaseException) -> DoctorError:
    """Return what an exception means for a person."""
    from alwrity_checks.models.runtimes.failures import failure

    if isinstance(error, ImportError) and _NO_ROOM in str(error):
        # The dynamic linker has no other words for a lack of address space.
        return OutOfMemory(Reason.OUT_OF_MEMORY, f"memory ran out while importing: {error}", _LIGHTER)
    return failure(error, "measuring")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _end_with_parent() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    _main()
