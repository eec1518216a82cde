"""A checkout's start script, run as it is from its first line to the call of its server: see `startup.driver`.

In the server's place stands the small one of the race, and in that of the application, its database and its set-up
stand-ins; what the script does before it calls the server, it does itself.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import runpy
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.scenarios.driven_imports import Application
from alwrity_checks.models.scenarios.driven_start import BOOTSTRAP, FILE, GATE, Downloads
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.speech import say
from alwrity_checks.startup.race_scenarios import PORTS_VARIABLE
from alwrity_checks.startup.serve import fill_disk, serve, watch

if TYPE_CHECKING:
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["start"]

_UTILITIES: Final = "alwrity_utils"
_LANGUAGE: Final = ("spacy", "nltk")
"""What the script downloads by another program, which is another matter."""
_telling: Final = threading.Lock()


def tell(event: str, **more: object) -> None:
    """Tell an event to whoever started this server."""
    with _telling:
        say(event=event, **more)


class _Ready:
    """What the script's set-up utilities come to: all is done already."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take whatever the real one takes."""

    def check_critical_dependencies(self) -> tuple[bool, list[str]]:
        """Say that nothing is missing."""
        return True, []

    def __getattr__(self, name: str) -> Callable[..., bool]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: True


def start(inside: Inside, *, bare: bool) -> None:
    """Run the script. `bare`: a download is done as soon as it is asked for, and what the script is, is told."""
    tell("started")
    inside.guard.allow(*(int(port) for port in os.environ.get(PORTS_VARIABLE, "").split(",") if port))
    fill_disk()
    script = _Start(inside, bare=bare)
    try:
        script.run()
    except SystemExit as error:
        why = f"the script ended with {error.code}"
    except BaseException as error:  # noqa: BLE001 - anybody's code
        why = f"the script raised {type(error).__name__}: {scrub(str(error))[:200]}"
    else:
        why = "the script came to its end without a server"
    tell("known", why=why, **script.known)


class _Start:
    """One start."""

    def __init__(self, inside: Inside, *, bare: bool) -> None:
        self._inside = inside
        self._bare = bare
        self._script: dict[str, Any] = {}
        self._downloads = Downloads(work=_asked if bare else _download())
        self.known: dict[str, Any] = {}

    def run(self) -> None:
        """Run the script as `__main__`, from a directory in which it finds the application's file."""
        inside = self._inside
        path = inside.backend / FILE
        application = Application(inside, lambda *_, **__: "", real=frozenset())
        inside.open_checkout()
        application.renew()
        for name in _LANGUAGE:
            if name not in sys.modules:
                # What the import system itself knows as "there is no such module".
                sys.modules[name] = None  # type: ignore[assignment]
        inside.stubs.append("spaCy and NLTK (as if not installed)")
        inside.stand_in(_UTILITIES, __getattr__=_utility)
        self._stand_in_for_the_server()
        Path("app.py").touch()
        sys.argv = [str(path), "--production"]
        with self._downloads.listening(inside):
            runpy.run_path(str(path), run_name="__main__")

    def _stand_in_for_the_server(self) -> None:
        listen = self._listen

        class Server:
            """As uvicorn's, of which only its start is used."""

            def __init__(self, *_: object, **__: object) -> None:
                """Take whatever the real one takes."""

            def run(self, *_: object, **__: object) -> None:
                """Listen."""
                listen()

            async def serve(self, *_: object, **__: object) -> None:
                """Listen, on the loop of the caller."""
                await asyncio.to_thread(listen)

        self._inside.stand_in("uvicorn", run=lambda *_, **__: listen(), Config=_Ready, Server=Server)

    def _listen(self) -> None:
        """Serve in the server's place."""
        self._know(sys.modules["__main__"])
        with self._inside.loopback():
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        registry = _our_registry()
        watching: asyncio.Task[None] | None = None
        if registry is not None and not self._bare:
            tell("download-began")
            watching = asyncio.create_task(watch(registry, tell))

        async def agent() -> object:
            if watching is not None:
                return await asyncio.shield(watching)
            return await asyncio.to_thread(_snapshot(), repo_id=self._inside.plan["agent"], repo_type="model")

        await serve(agent, tell)

    def _know(self, script: ModuleType) -> None:
        """Take note of what the script has fetched so far; in a bare start, ask its functions as well."""
        asked = list(dict.fromkeys(self._downloads.models))
        if (registry := _our_registry()) is not None:
            # Its downloads begin on threads of its own, so that they are told by its roles.
            asked += [registry.steps(role)[0].model for role in registry.roles.values()]
        bootstrap, gate = (getattr(script, name, None) for name in (BOOTSTRAP, GATE))
        self.known = {
            "found": callable(bootstrap),
            "asked": asked,
            "ours": registry is not None,
            "result": _result(bootstrap) if self._bare else "",
            "gate": _result(gate) if self._bare and callable(gate) else "",
            "stubs": list(self._inside.stubs),
        }
        if self._bare:
            tell("known", **self.known)


def _result(function: Any) -> str:  # noqa: ANN401 - whatever the script has under the name
    if not callable(function):
        return "there is none"
    try:
        return scrub(f"returned {function()!r}")[:200]
    except BaseException as error:  # noqa: BLE001 - anybody's code
        return scrub(f"raised {type(error).__name__}: {error}")[:200]


def _utility(name: str) -> type[_Ready]:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Ready


def _asked(*_: object, **__: object) -> str:
    """Be done with a download as soon as it is asked for."""
    tell("asked")
    return "/nowhere"


def _snapshot() -> Callable[..., str]:
    """Return the hub's own function, which the script's calls reach through ours."""
    module = importlib.import_module("huggingface_hub")
    function = module.snapshot_download
    return function.work if isinstance(function, Downloads) and function.work else function


def _download() -> Callable[..., str]:
    """Return the hub's own function, which tells when it begins and ends."""
    real: Callable[..., str] = importlib.import_module("huggingface_hub").snapshot_download

    def download(*arguments: Any, **options: Any) -> str:  # noqa: ANN401 - as the library's
        tell("download-began")
        try:
            place = real(*arguments, **options)
        except BaseException:
            tell("download-ended", ok=False)
            raise
        tell("download-ended", ok=True)
        return place

    return download


def _our_registry() -> ModelRegistry | None:
    """Return the registry of our drop-in, if the script has called for it."""
    compat = sys.modules.get("alwrity_checks.models.compat")
    return None if compat is None else compat._shared.registry  # noqa: SLF001 - our own
