"""How often a model is loaded: four threads, and a first model that fails; the historical wrapper beside the registry.

python -m benchmarks.models_loading
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.legacy import FALLBACKS
from alwrity_checks.models.loading import Loading, pause
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.scenarios.calls import SCENARIOS
from alwrity_checks.models.scenarios.stage import Stage
from alwrity_checks.models.scenarios.targets import ComponentTarget, LegacyTarget, ModelsTarget

CALLS = 200
HOUR = 3600.0


@dataclass(frozen=True)
class Row:
    """A measure, for the wrapper and for the registry, beside what is wanted."""

    measure: str
    legacy: str
    fixed: str
    wanted: str
    met: bool


def rows() -> Iterator[Row]:
    """Yield what was measured."""
    yield _threads()
    yield _primary()
    yield _backoff()
    yield _overhead()


def _threads() -> Row:
    scenario = next(one for one in SCENARIOS if one.code == "MDL001")
    loads = [
        next(fact.value for fact in scenario.play(target).evidence if fact.label == "loads")
        for target in (LegacyTarget(), ComponentTarget())
    ]
    return Row("four threads, one model: loads", loads[0], loads[1], "1", loads[1] == "1")


def _primary() -> Row:
    tried = [_attempts(target) for target in (LegacyTarget(), ComponentTarget())]
    measure = f"{CALLS} calls, the first model fails: attempts at it"
    return Row(measure, str(tried[0]), str(tried[1]), "1 within a backoff", tried[1] == 1)


def _attempts(target: ModelsTarget) -> int:
    def load(model: str) -> None:
        if model == FALLBACKS[0]:
            raise OSError("damaged")

    stage = Stage(load)
    deployment = target.deploy(stage)
    for _ in range(CALLS):
        deployment.obtain()
    deployment.close()
    return stage.tried.count(FALLBACKS[0])


def _backoff() -> Row:
    """Ask once a second for an hour, on a clock of its own, while the model goes on failing."""
    now = 0.0
    one: Loading[None] = Loading(clock=lambda: now, jitter=lambda: 1.0)
    error, attempts = LoadFailed(Reason.LOAD_FAILED, "damaged"), 0
    while now < HOUR:
        attempt = one.begin()
        if attempt is not None:
            attempts += 1
            one.fail(attempt, error)
        now += 1.0
    allowed, waited = 0, 0.0
    while waited < HOUR:
        allowed += 1
        waited += pause(error, allowed)
    return Row(
        "an hour of failing, a call a second: attempts",
        str(int(HOUR)),
        str(attempts),
        f"{allowed}",
        attempts <= allowed,
    )


def _overhead() -> Row:
    """Time a call when the model is there."""
    seconds = [_each(target) for target in (LegacyTarget(), ComponentTarget())]
    told = [f"{one * 1e6:.0f} us" for one in seconds]
    return Row("a call when the model is loaded", told[0], told[1], "below 1 ms", seconds[1] < 1e-3)


def _each(target: ModelsTarget) -> float:
    deployment = target.deploy(Stage())
    deployment.obtain()
    took = _timed(deployment.obtain)
    deployment.close()
    return took


def _timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - began) / CALLS


def main() -> None:
    """Print the table."""
    found = list(rows())
    print(f"{'measure':<55} {'wrapper':>10} {'registry':>10}   wanted")
    for row in found:
        print(f"{row.measure:<55} {row.legacy:>10} {row.fixed:>10}   {row.wanted}{'' if row.met else '   NOT MET'}")


if __name__ == "__main__":
    main()
