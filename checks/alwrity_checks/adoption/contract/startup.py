"""What the start script's own start relies on of its bootstrap, and the driver that tries it.

The hub is asked by nobody: what would be fetched is only counted, and everything that the script imports of its
application is stood in for, as in the experiment of issue 6.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from alwrity_checks.adoption.contract.contract import Attempt, Contract, expect
from alwrity_checks.adoption.contract.inside import attend

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.driven_start import Downloads
    from alwrity_checks.models.scenarios.stage import Stage
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["CONTRACTS", "drive"]

_SOURCE: Final = "ALwrity ce9bf293, "
_DISTRIBUTIONS: Final = ("huggingface_hub", "uvicorn", "python-dotenv")
_RESULT: Final = "BootstrapResult"
_GATE: Final = "should_bootstrap_local_llm_models"
_FEATURES: Final = "ALWRITY_ENABLED_FEATURES"
_CLOUDS: Final = ("RENDER", "RAILWAY_ENVIRONMENT")
_PATIENCE: Final = 10.0
_SHORTLY: Final = 1.5
"""Seconds in which what is begun in the background would have begun: the registry leaves a start half a second."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """The script, run afresh under a name that starts nothing."""

    script: Any
    downloads: Downloads
    stage: Stage

    def bootstrap(self) -> Any:  # noqa: ANN401 - whatever the script returns
        """Call the bootstrap as the script does."""
        from alwrity_checks.models.scenarios.driven_start import BOOTSTRAP

        return getattr(self.script, BOOTSTRAP)()

    def fetched(self, patience: float) -> list[str]:
        """Return what was fetched, or begun to be, once there is something; nothing after `patience` seconds."""
        from alwrity_checks.models.scenarios.stage import wait_until

        wait_until(lambda: bool(self.downloads.models or self.stage.fetched), patience)
        return [*self.downloads.models, *self.stage.fetched]


def drive(inside: Inside, act: str, *words: str) -> None:
    """Meet the script, or try contracts on it."""
    from alwrity_checks.models import compat
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import roles
    from alwrity_checks.models.scenarios.driven_imports import Application
    from alwrity_checks.models.scenarios.driven_start import Downloads, load_start_script
    from alwrity_checks.models.scenarios.stage import Stage, StageWorks
    from alwrity_checks.settings import Settings

    application = Application(inside, lambda *_, **__: "", real=frozenset())
    inside.open_checkout()

    @contextmanager
    def bench() -> Iterator[_Bench]:
        application.renew()
        stage, downloads = Stage(), Downloads()
        compat._shared.registry = ModelRegistry(roles(Settings.load({})), StageWorks(stage))  # noqa: SLF001 - ours
        without = {name: value for name, value in os.environ.items() if name not in {*_CLOUDS, _FEATURES}}
        try:
            with mock.patch.dict(os.environ, without, clear=True), downloads.listening(inside):
                yield _Bench(load_start_script(inside), downloads, stage)
        finally:
            compat._shared.registry.close()  # noqa: SLF001 - ours

    attend(inside, act, words, CONTRACTS, bench, *_DISTRIBUTIONS)


def _judged(bench: _Bench, result: object) -> dict[str, Any]:
    """Return what the start makes of a result, for its summary. Raises Broken where it cannot."""
    kind = getattr(bench.script, _RESULT, None)
    if kind is None:
        expect(isinstance(result, bool), f"it returns {result!r:.80}")
        return {"success": result, "skipped": None}
    expect(isinstance(result, kind), f"it returns {result!r:.80}")
    told: dict[str, Any] = dataclasses.asdict(result)  # type: ignore[call-overload]  # the checkout's own class
    json.dumps(told)
    missing = {"name", "success", "skipped", "reason"} - set(told)
    expect(not missing, f"its result has no {', '.join(sorted(missing))}")
    expect(told["name"] == "local_llm_models", f"its result is called {told['name']!r}")
    return told


def _summary(bench: _Bench) -> str:
    told = _judged(bench, bench.bootstrap())
    expect(told["success"] is True and not told["skipped"], f"it came to {told!r:.160}")
    expect(bench.fetched(_PATIENCE), "nothing was fetched, nor begun to be")
    return "a success, of which the start's summary can be made"


def _clouds(bench: _Bench) -> str:
    for name in _CLOUDS:
        with mock.patch.dict(os.environ, {name: "true"}):
            told = _judged(bench, bench.bootstrap())
        expect(told["success"] is True and told["skipped"] in {True, None}, f"with {name} it came to {told!r:.160}")
    fetched = bench.fetched(_SHORTLY)
    expect(not fetched, f"{', '.join(fetched)} was fetched all the same")
    return "skipped, and nothing fetched"


def _trouble(bench: _Bench) -> str:
    from alwrity_checks.models.registry import ModelRegistry

    def fail(*_: object, **__: object) -> str:
        raise OSError("the hub cannot be reached")

    import huggingface_hub

    with (
        mock.patch.object(huggingface_hub, "snapshot_download", fail),
        mock.patch.object(ModelRegistry, "prefetch", fail),
    ):
        told = _judged(bench, bench.bootstrap())
    expect(told["success"] is False, f"it came to {told!r:.160}")
    return "no success, and no exception: the start goes on"


def _gate(bench: _Bench) -> str:
    decide = getattr(bench.script, _GATE, None)
    if decide is None:
        return f"this revision has no {_GATE}"
    for features, wanted in (("all", True), ("podcast", False), ("podcast,youtube", False)):
        with mock.patch.dict(os.environ, {_FEATURES: features}):
            expect(decide() is wanted, f"with {_FEATURES}={features} it says {decide()!r}")
    return "yes for all features, no for some"


_ATTEMPTS: Final[tuple[tuple[str, str, tuple[str, ...], Attempt], ...]] = (
    (
        "summary",
        "the bootstrap returns what the summary of the start is made of",
        ("start_alwrity_backend.py:259", "start_alwrity_backend.py:269"),
        _summary,
    ),
    (
        "clouds",
        "on Render and Railway no model is fetched",
        ("start_alwrity_backend.py:194",),
        _clouds,
    ),
    (
        "trouble",
        "what goes wrong is no exception, so that the server starts all the same",
        ("start_alwrity_backend.py:259",),
        _trouble,
    ),
    (
        "features",
        "with some features only, the bootstrap is not called",
        ("start_alwrity_backend.py:258",),
        _gate,
    ),
)
CONTRACTS: Final = tuple(
    Contract(6, f"startup.{name}", title, tuple(f"{_SOURCE}{place}" for place in places), attempt)
    for name, title, places, attempt in _ATTEMPTS
)
