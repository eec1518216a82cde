"""The scenarios of calls and threads: models that cost nothing, loaded through the real code of both targets."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.models.scenarios.scenario import Scenario, Seen
from alwrity_checks.models.scenarios.stage import NEEDS, Stage, wait_until
from alwrity_checks.models.steps import Precision, Runtime
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.targets import Deployment, ModelsTarget

__all__ = ["SCENARIOS"]

_THREADS: Final = 4
_CALLS: Final = 4
_PATIENCE: Final = 10.0
_GATHERING: Final = 1.0
"""Seconds for which the first load waits for others to begin."""
_STALL: Final = 0.3
"""Seconds that a load takes where the event loop is watched."""
_HEALTHY: Final = 0.1
"""Seconds for which a loop may stand still; a load on it stops it for `_STALL`."""
_OTHER: Final = "acme/custom-model"


def _threads(target: ModelsTarget) -> Seen:
    """Ask from four threads at once; no load ends before every load that is going to begin has begun."""
    everybody = threading.Barrier(_THREADS + 1)
    asked = threading.Event()

    def load(_model: str) -> None:
        asked.wait(_PATIENCE)
        wait_until(lambda: len(stage.tried) == _THREADS, _GATHERING)

    stage = Stage(load)
    deployment = target.deploy(stage)
    errors: list[str] = []

    def ask() -> None:
        everybody.wait(_PATIENCE)
        try:
            deployment.obtain()
        except Exception as error:  # noqa: BLE001 - a target may be anybody's code
            errors.append(_words(error))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    everybody.wait(_PATIENCE)
    asked.set()
    for thread in threads:
        thread.join(_PATIENCE)
    hanging = sum(thread.is_alive() for thread in threads)
    deployment.close()
    loads = len(stage.tried)
    facts = (Evidence("threads", str(_THREADS)), Evidence("loads", str(loads)), *_evidence(errors))
    if hanging or errors or not loads:
        why = f" ({errors[0]})" if errors else ""
        message = f"{hanging} of {_THREADS} threads hang, {len(errors)} failed{why}, {loads} loads"
        return Seen(Outcome.UNKNOWN, message, facts)
    outcome = Outcome.REPRODUCED if loads > 1 else Outcome.ABSENT
    return Seen(outcome, f"{_THREADS} threads, {loads} load{'s' * (loads != 1)} of one model", facts)


def _failing_primary(target: ModelsTarget) -> Seen:
    """Ask four times, one after the other, where the first model cannot be loaded and the second can."""

    def load(model: str) -> None:
        if model == stage.tried[0]:
            raise OSError("the model's files are damaged")

    stage = Stage(load)
    deployment = target.deploy(stage)
    served = sum(_served(deployment) for _ in range(_CALLS))
    deployment.close()
    primary = stage.tried.count(stage.tried[0]) if stage.tried else 0
    facts = (
        Evidence("calls", str(_CALLS)),
        Evidence("attempts at the failing model", str(primary)),
        Evidence("loads", str(len(stage.tried))),
    )
    # Where there is no fallback nobody is served, and the attempts count all the same.
    if primary <= 1 and (served < _CALLS or not primary):
        return Seen(Outcome.UNKNOWN, f"{served} of {_CALLS} calls got a model, {primary} attempts at the first", facts)
    outcome = Outcome.REPRODUCED if primary > 1 else Outcome.ABSENT
    return Seen(outcome, f"{_CALLS} calls: the failing model was tried {primary} time{'s' * (primary != 1)}", facts)


def _order(target: ModelsTarget) -> Seen:
    """Let memory run out at every load, as it does on Linux, and see what is tried next."""

    def load(_model: str) -> None:
        raise MemoryError("DefaultCPUAllocator: can't allocate memory")

    stage = Stage(load)
    deployment = target.deploy(stage)
    served = _served(deployment)
    deployment.close()
    tried = [(model, _need(model)) for model in stage.tried]
    told = " > ".join(f"{model.rpartition('/')[2]} ({_mebibytes(need)})" for model, need in tried)
    facts = (Evidence("tried", told),)
    if served or len(tried) < 2:  # noqa: PLR2004 - an order takes two
        return Seen(Outcome.UNKNOWN, "no fallback was tried, so that no order was seen", facts)
    known = [need for _, need in tried if need is not None]
    if any(after >= before for before, after in itertools.pairwise(known)):
        return Seen(Outcome.REPRODUCED, f"memory ran out, and something larger was tried next: {told}", facts)
    if len(known) < len(tried):
        return Seen(Outcome.UNKNOWN, f"how much one of these needs was never measured: {told}", facts)
    return Seen(Outcome.ABSENT, f"memory ran out, and only lighter models were tried: {told}", facts)


def _error_text(target: ModelsTarget) -> Seen:
    """Ask where no model can be loaded."""

    def load(_model: str) -> None:
        raise OSError("no such model")

    stage = Stage(load)
    deployment = target.deploy(stage)
    try:
        answer = deployment.answer("Name a title.")
    except Exception as error:  # noqa: BLE001 - that it raises is the subject
        if not stage.tried:
            return Seen(Outcome.UNKNOWN, f"no model was asked for: {_words(error)}")
        return Seen(Outcome.ABSENT, f"the caller is told by an error: {_words(error)}")
    finally:
        deployment.close()
    return Seen(Outcome.REPRODUCED, f"the caller gets an answer: {answer!r:.120}")


def _constructor(target: ModelsTarget) -> Seen:
    """Make an agent on an event loop, with a model that takes a while to load; a heart beats beside it."""
    stage = Stage(lambda _model: time.sleep(_STALL))
    deployment = target.deploy(stage)

    async def work() -> float:
        longest, last = 0.0, time.monotonic()

        async def beat() -> None:
            nonlocal longest, last
            while True:
                await asyncio.sleep(0.002)
                now = time.monotonic()
                longest, last = max(longest, now - last), now

        heart = asyncio.create_task(beat())
        await asyncio.sleep(0.02)
        longest = 0.0
        deployment.construct()
        await asyncio.sleep(0.02)
        heart.cancel()
        return longest

    try:
        stall = asyncio.run(work())
    except Exception as error:  # noqa: BLE001 - a target may be anybody's code
        return Seen(Outcome.UNKNOWN, f"no agent could be made: {_words(error)}")
    finally:
        deployment.close()
    facts = (Evidence("loop stall", f"{stall * 1000:.0f} ms"), Evidence("loads", str(len(stage.tried))))
    if stage.tried and stall >= _HEALTHY:
        message = f"the constructor loaded the model; the event loop stood for {stall * 1000:.0f} ms"
        return Seen(Outcome.REPRODUCED, message, facts)
    if stage.tried:
        return Seen(
            Outcome.UNKNOWN, f"the constructor began a load, and the loop stood for {stall * 1000:.0f} ms", facts
        )
    return Seen(Outcome.ABSENT, f"the constructor loads nothing; the loop stood for {stall * 1000:.0f} ms", facts)


def _names(target: ModelsTarget) -> Seen:
    """Ask every place that decides on the agents' model."""
    deployment = target.deploy(Stage(), {})
    names = deployment.names()
    deployment.close()
    facts = tuple(Evidence(place, model) for place, model in names.items())
    different = sorted(set(names.values()))
    if len(names) < 2:  # noqa: PLR2004 - one place cannot disagree
        return Seen(Outcome.UNKNOWN, "only one place was asked", facts)
    if len(different) > 1:
        return Seen(Outcome.REPRODUCED, f"{len(names)} places, {len(different)} models: {', '.join(different)}", facts)
    return Seen(Outcome.ABSENT, f"{len(names)} places, one model: {different[0]}", facts)


def _override(target: ModelsTarget) -> Seen:
    """Set SIF_AGENT_MODEL, and see which model is loaded."""
    stage = Stage()
    deployment = target.deploy(stage, {"SIF_AGENT_MODEL": _OTHER})
    _served(deployment)
    deployment.close()
    if not stage.tried:
        return Seen(Outcome.UNKNOWN, "no model was loaded")
    followed = stage.tried[0] == _OTHER
    message = f"SIF_AGENT_MODEL={_OTHER}: {stage.tried[0]} was loaded"
    return Seen(Outcome.ABSENT if followed else Outcome.REPRODUCED, message)


def _idle(target: ModelsTarget) -> Seen:
    """Load under both of the task's names, use nothing any more, and count what is left in memory."""
    stage = Stage()
    deployment = target.deploy(stage)
    try:
        deployment.obtain()
        deployment.construct()
        most = stage.alive
        deployment.release()
    except Exception as error:  # noqa: BLE001 - a target may be anybody's code
        return Seen(Outcome.UNKNOWN, f"no model could be loaded: {_words(error)}")
    finally:
        left = stage.alive
        deployment.close()
    facts = (Evidence("copies at most", str(most)), Evidence("copies left", str(left)))
    copies = f"{most} cop{'ies' if most != 1 else 'y'} in memory, {left} left when nobody uses it"
    return Seen(Outcome.REPRODUCED if left else Outcome.ABSENT, copies, facts)


def _served(deployment: Deployment) -> bool:
    try:
        deployment.obtain()
    except (DoctorError, OSError, MemoryError):
        return False
    return True


def _need(model: str) -> int | None:
    return NEEDS.get((model, Runtime.TRANSFORMERS, Precision.BFLOAT16))


def _mebibytes(need: int | None) -> str:
    return "unknown" if need is None else f"{need >> 20} MiB"


def _words(error: BaseException) -> str:
    return scrub(f"{type(error).__name__}: {error}")[:200]


def _evidence(errors: list[str]) -> tuple[Evidence, ...]:
    return tuple(Evidence("error", error) for error in dict.fromkeys(errors))


SCENARIOS: Final = (
    Scenario("MDL001", "four threads ask for one model at once", _threads),
    Scenario("MDL002", "four calls, and the first model cannot be loaded", _failing_primary),
    Scenario("MDL003", "memory runs out at each load of the chain", _order),
    Scenario("MDL004", "no model can be loaded, and somebody asks", _error_text),
    Scenario("MDL005", "an agent is made on an event loop", _constructor),
    Scenario("MDL009", "every place that names the agents' model is asked", _names),
    Scenario("MDL010", "SIF_AGENT_MODEL names another model", _override),
    Scenario("MDL011", "nobody uses the model any more", _idle),
)
