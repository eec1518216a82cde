"""The plays that need real models, in processes of their own: txtai's own LLM loads and answers, within the sandbox.

What is loaded are checkpoints of our own under the names that the checkout asks for, in a cache of the sandbox's: tiny
ones, and one whose file is as large as the 1.5B model's and all holes.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.models import legacy
from alwrity_checks.models.scenarios import child, real
from alwrity_checks.sandbox.speech import say

if TYPE_CHECKING:
    from types import ModuleType

    from alwrity_checks.models.scenarios.driven import DrivenTarget
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["PLAYS"]

_COMMIT: Final = "0123456789abcdef" * 2 + "01234567"
_LARGE: Final = "Qwen/Qwen2.5-1.5B-Instruct"
_OFFLINE: Final = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


class _Unplayable(Exception):  # noqa: N818 - what a play is, and never leaves this module
    """The play shows nothing here; why is its text."""


class _Play:
    """One play's checkout, with txtai's own LLM; which loads were begun is said at once, and remembered."""

    def __init__(self, inside: Inside) -> None:
        """Import what loads real models. Raises _Unplayable where that is not installed."""
        from alwrity_checks.models.scenarios.driven import DrivenTarget

        for name in ("torch", "transformers"):
            try:
                importlib.import_module(name)
            except Exception as error:  # a broken installation may raise anything
                raise _Unplayable(f"{name} cannot be imported in this interpreter: {error}") from error
        import txtai  # type: ignore[import-untyped]

        self._llm: type[Any] = txtai.LLM
        self.inside = inside
        self.target: DrivenTarget = DrivenTarget(inside)
        inside.open_checkout()
        self.begun: list[str] = []
        self.failures: list[str] = []

    def chain(self) -> list[str]:
        """Return the models that are tried one after the other where none can be loaded."""
        from alwrity_checks.models.scenarios.driven import WRAPPER, default_model, is_ours, wrapped

        tried: list[str] = []

        class Refusing:
            """Loads nothing."""

            def __init__(self, path: str | None = None, *_: object, **__: object) -> None:
                tried.append(str(path))
                raise OSError("no model can be loaded")

        agents = self.target.imported({}, LLM=Refusing)
        if is_ours(agents, WRAPPER):
            return list(legacy.FALLBACKS[:2])
        words = ""
        try:
            _ = wrapped(agents, default_model(agents)).llm
        except Exception as error:  # noqa: BLE001 - the checkout's
            words = f"{type(error).__name__}: {error}"
        if not tried:
            raise _Unplayable(f"no load was begun: {words}")
        return list(dict.fromkeys(tried))

    def agents(self, settings: Mapping[str, str], named: Callable[[str], str] = str) -> tuple[ModuleType, bool]:
        """Import the agents with the real LLM; say whether they have our drop-in. `named` gives a load its name."""
        from alwrity_checks.models.scenarios.driven import WRAPPER, is_ours

        noted, real_llm = self._noted, self._llm

        class LLM(real_llm):  # type: ignore[misc, valid-type]  # txtai's
            """As txtai's."""

            def __init__(self, path: str | None = None, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as txtai's
                noted(named(str(path)), lambda: super(LLM, self).__init__(path, *arguments, **options))

        agents = self.target.imported(settings, LLM=LLM)
        if ours := is_ours(agents, WRAPPER):
            self._count_ours(named)
        return agents, ours

    def _noted(self, name: str, load: Callable[[], Any]) -> Any:  # noqa: ANN401 - handed through
        self.begun.append(name)
        say(begun=name)
        try:
            return load()
        except BaseException as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            raise

    def _count_ours(self, named: Callable[[str], str]) -> None:
        from alwrity_checks.models.workshop import Workshop

        noted, load = self._noted, Workshop.load

        def counted(workshop: Workshop, step: Any, *arguments: Any) -> Any:  # noqa: ANN401 - as the method's
            return noted(named(step.model), lambda: load(workshop, step, *arguments))

        Workshop.load = counted  # type: ignore[method-assign, assignment]  # in a process that ends with this play


def _offline(inside: Inside) -> dict[str, Any]:
    """Ask where nobody listens at the hub's address; pauses are counted and not waited for."""
    for name in _OFFLINE:
        os.environ.pop(name, None)
    taken = socket.socket()
    with inside.loopback():
        taken.bind(("127.0.0.1", 0))  # and nobody listens
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{taken.getsockname()[1]}"
    play = _Play(inside)
    first = play.chain()[0]
    from alwrity_checks.models.scenarios.driven import wrapped

    agents, ours = play.agents({})
    pauses, sleep_really = 0.0, time.sleep

    def sleep(seconds: float, /) -> None:
        nonlocal pauses
        if threading.current_thread() is threading.main_thread():
            pauses += float(seconds)
        else:
            sleep_really(seconds)

    time.sleep = sleep  # type: ignore[assignment]  # for the rest of this process
    started, error = time.monotonic(), ""
    try:
        wrapper = wrapped(agents, first)
        _ = wrapper.generate("Name a title.") if ours else wrapper.llm
    except Exception as raised:  # noqa: BLE001 - whatever comes is what a caller is told
        error = f"{type(raised).__name__}: {raised}"
    return {"seconds": time.monotonic() - started + pauses, "pauses": pauses, "error": error}


def _memory(inside: Inside) -> dict[str, Any]:
    """Limit the address space, and ask for a model that cannot fit into what is left, and has fallbacks that can."""
    play = _Play(inside)
    large, *others = play.chain()
    if not others:
        raise _Unplayable(f"the chain has no model behind {large}, so that nothing can be loaded under the limit")
    _write_hollow(_place(large))
    for model in others:
        _write_tiny(model)
    from alwrity_checks.models.scenarios.driven import wrapped

    settings = {
        "SIF_AGENT_MODEL": large,
        "SIF_AGENT_FALLBACK_MODELS": ",".join(others),
        "SIF_AGENT_RUNTIME": "transformers",
        "SIF_AGENT_PRECISION": "float32",
    }
    agents, ours = play.agents(settings, lambda path: real.LARGE if path == large else real.SMALL)
    if (unsupported := child.limit_address_space()) is not None:
        return {"unsupported": unsupported}
    failure = ""
    try:
        if ours:
            from alwrity_checks.models.compat import shared_registry

            registry = shared_registry()
            registry.load_sync()
            failure = next((str(one.error) for one in registry.status().steps.values() if one.error), "")
        else:
            _ = wrapped(agents, large).llm
    except (Exception, MemoryError) as error:  # noqa: BLE001 - what it came to is told by the loads that were begun
        play.failures.append(f"{type(error).__name__}: {error}")
        return {"begun": play.begun or [""], "loaded": "", "failure": play.failures[0]}
    failure = next(iter(play.failures), failure)
    return {"begun": play.begun or [""], "loaded": (play.begun or [""])[-1], "failure": failure}


def _json(inside: Inside) -> dict[str, Any]:
    """Ask every model of the chain for JSON, by the schema where that is offered, else in words."""
    play = _Play(inside)
    chain = play.chain()
    for model in chain:
        _write_tiny(model)
    agents, ours = play.agents({"SIF_AGENT_RUNTIME": "transformers", "SIF_AGENT_PRECISION": "float32"})
    answers = {}
    for model in chain:
        try:
            answers[model] = child.judged(_asked_for_json(agents, model, ours=ours))
        except MissingExtra as error:
            raise _Unplayable(error.diagnosis) from error
        except DoctorError as error:
            answers[model] = f"{type(error).__name__}: {error}"
    return {"answers": answers}


def _asked_for_json(agents: ModuleType, model: str, *, ours: bool) -> str:
    from alwrity_checks.models.scenarios.driven import wrapped

    wrapper = wrapped(agents, model)
    if ours:
        from alwrity_checks.models.compat import shared_registry

        registry = shared_registry()
        loaded = registry.load_sync(wrapper._role(registry))  # noqa: SLF001 - our own class
        return json.dumps(loaded.generate_json_sync(child.PROMPT, child.SCHEMA, max_new_tokens=48))
    if callable(by_schema := getattr(wrapper, "generate_json", None)):
        value = by_schema(child.PROMPT, child.SCHEMA)
        return value if isinstance(value, str) else json.dumps(value)
    return str(wrapper.generate(child.PROMPT))


def _place(model: str) -> Path:
    """Return where the hub's client keeps a model of which it has seen one state; it is made known as `main`."""
    root = Path(os.environ["HF_HOME"], "hub", f"models--{model.replace('/', '--')}")
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(_COMMIT)
    return root / "snapshots" / _COMMIT


def _write_tiny(model: str) -> None:
    from alwrity_checks.models.synthetic import write_checkpoint

    write_checkpoint(_place(model), "tiny-llama" if "llama" in model.lower() else "tiny")


def _write_hollow(directory: Path) -> None:
    """Write a checkpoint with the header and the length of a large one; the system keeps no block of its holes."""
    from alwrity_checks.models.steps import Precision
    from alwrity_checks.models.synthetic import write_checkpoint
    from alwrity_checks.models.synthetic_files import dealt
    from alwrity_checks.models.synthetic_models import SHAPES

    write_checkpoint(directory, "tiny")
    shape = SHAPES[_LARGE]
    (file,) = dealt(shape, Precision.BFLOAT16, 1)
    with (directory / file.name).open("wb") as weights:
        weights.write(file.header)
        weights.truncate(file.size)
    (directory / "config.json").write_text(json.dumps(shape.config(Precision.BFLOAT16)))


def _carried_out(act: str, play: Callable[[Inside], dict[str, Any]]) -> Callable[[Inside], None]:
    def carry_out(inside: Inside) -> None:
        # Nothing of the hub's client is imported yet; another play's models are not this one's.
        os.environ["HF_HOME"] = str(Path(os.environ["HF_HOME"]).with_name(f"hub-{act}"))
        try:
            say(told=play(inside))
        except _Unplayable as error:
            say(unplayable=str(error))

    return carry_out


PLAYS: Final[Mapping[str, Callable[[Inside], None]]] = {
    act: _carried_out(act, play) for act, play in (("offline", _offline), ("memory", _memory), ("json", _json))
}
"""The act -> what carries it out, and says what it showed."""
