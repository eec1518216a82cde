"""The provider of a checkout as a target, in the process that runs its code: see `driver`.

The module is imported under its own name, below packages whose real `__init__` is left out, because it would bring in
the whole application. Nothing of it is changed but where its openai clients are led: to the host of the experiment's
router, on the path that the scenario wants, or that the module itself has chosen.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from alwrity_checks.errors import CannotCheck
from alwrity_checks.hf.loopback_account import TOKEN
from alwrity_checks.hf.scenarios.targets import PROMPT, SECOND, ApiPath, Function, Told, Unanswered, tell
from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.loopback_router import LoopbackRouter
    from alwrity_checks.hf.scenarios.waits import Waits
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["FUNCTIONS", "MODULE", "PACKAGES", "DrivenTarget"]

_FACE: Final = "alwrity_checks.hf.compat"
"""Our own module that a checkout may have in the provider's place: like the checkout's, it keeps what it has made."""
PACKAGES: Final = ("services", "services.llm_providers")
"""Imported without their `__init__`."""
MODULE: Final = "services.llm_providers.huggingface_provider"
FUNCTIONS: Final[Mapping[Function, str]] = {
    Function.STRUCTURED: "huggingface_structured_json_response",
    Function.TEXT: "huggingface_text_response",
}
"""What a caller, `services.llm_providers.main_text_generation`, imports by these names from 3219e6bb on."""
_TOKENS: Final = ("HF_TOKEN", "HUGGINGFACE_API_KEY", "HUGGINGFACE_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HF_API_KEY")
"""Where a provider may look for its token; the historical one does in the first."""
_SCHEMA_NAMES: Final = ("schema", "json_schema", "json_struct", "response_schema")
_LOOPBACK: Final = "127.0.0.1"
_FALLBACKS: Final = "fallback_models"
"""Where a version takes them, its caller hands them in (ALwrity 01881bb4, main_text_generation.py:420)."""


@dataclass
class DrivenTarget:
    """The checkout's provider; each scenario has it imported afresh, as in a backend that was started again."""

    inside: Inside
    waits: Waits
    patience: float
    """Seconds, really waited, after which a call is taken not to return."""
    facts: tuple[Evidence, ...] = ()
    functions: frozenset[Function] = frozenset(Function)
    base_urls: list[str] = field(default_factory=list)
    """Of every client that the provider has made, each once: without user name and password."""
    _router: LoopbackRouter | None = None
    _path: ApiPath = ApiPath.RIGHT
    _clients: list[tuple[weakref.ref[Any], str]] = field(default_factory=list)
    """Those that live, and the path that each was made with."""

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.inside.backend))

    def lead(self) -> None:
        """Lead every client that is made from now on to the experiment's router."""
        import openai

        for kind in (openai.OpenAI, openai.AsyncOpenAI):
            self._lead(kind)

    def _lead(self, kind: Any) -> None:  # noqa: ANN401 - a class of openai's
        make = kind.__init__

        @functools.wraps(make)
        def made(client: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever openai takes
            make(client, *arguments, **options)
            chosen = urlsplit(str(client.base_url))
            if chosen.hostname == _LOOPBACK:
                return  # a copy of one that is led already
            url = f"{chosen.scheme}://{chosen.netloc.rpartition('@')[2]}{chosen.path.rstrip('/')}"
            if url not in self.base_urls:
                self.base_urls.append(url)
            self._clients.append((weakref.ref(client), chosen.path))
            self._turn()

        kind.__init__ = made

    def _turn(self) -> None:
        """Turn every client to the router and the path of the scenario; some were made when the module was imported."""
        self._clients = [one for one in self._clients if one[0]() is not None]
        for made, path in self._clients:
            if self._router is not None and (client := made()) is not None:
                client.base_url = self._router.origin + (self._path or path)

    def lead_to(self, router: LoopbackRouter, path: ApiPath = ApiPath.RIGHT) -> None:
        """Lead every client, whenever it was made, to this router and path."""
        self._router, self._path = router, path
        self._turn()

    def load(self) -> ModuleType:
        """Import the module anew. Raises what its import raises."""
        self._forget()
        os.environ.update(dict.fromkeys(_TOKENS, TOKEN))
        self.inside.package(*PACKAGES)
        return importlib.import_module(MODULE)

    def _forget(self) -> None:
        """Forget all modules of the checkout, whatever they are called."""
        top = {path.stem for path in self.inside.backend.iterdir() if path.suffix == ".py" or path.is_dir()}
        mine = {name for name in sys.modules if name.partition(".")[0] in top and self._is_of_checkout(name)}
        self.inside.forget("services", _FACE, *mine)

    def _is_of_checkout(self, name: str) -> bool:
        file = getattr(sys.modules[name], "__file__", None)
        return file is not None and Path(file).is_relative_to(self.inside.backend)

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any] | None, *, path: ApiPath = ApiPath.RIGHT
    ) -> Told:
        """Call the module's function on a thread of its own. Raises CannotCheck where it is not there any more."""
        function = Function.TEXT if schema is None else Function.STRUCTURED
        module = sys.modules.get(MODULE) or self.load()
        call = _call_of(module, function, model, schema)
        self.lead_to(router, path)
        self.waits.restart()
        return await tell(_answered(call, self.patience), lambda: self.waits.seconds, self.base_urls)

    def restart(self) -> None:
        """Let the next call find a module that was never called, and a log without lines."""
        self.load()
        self.inside.lines.restart()

    def __str__(self) -> str:
        return str(self.target)


def _call_of(
    module: ModuleType, function: Function, model: str, schema: Mapping[str, Any] | None
) -> Callable[[], object]:
    """Return the call, with what the function's own signature has names for. Raises CannotCheck."""
    name = FUNCTIONS[function]
    found = getattr(module, name, None)
    if not callable(found):
        others = [one for one, value in vars(module).items() if inspect.isfunction(value) and not one.startswith("_")]
        message = f"{MODULE} has no function {name}; it has {', '.join(others[:8]) or 'none'}"
        raise CannotCheck(message, "look whether this is the revision you mean")
    parameters = inspect.signature(found).parameters
    given: dict[str, object] = {"prompt": PROMPT, "model": model}
    if schema is not None:
        given[next((one for one in _SCHEMA_NAMES if one in parameters), "schema")] = schema
    if _FALLBACKS in parameters:
        given[_FALLBACKS] = [SECOND]
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    unknown = [] if takes_all else [one for one in given if one not in parameters]
    wanted = [
        one.name
        for one in parameters.values()
        if one.default is one.empty
        and one.kind not in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
        and one.name not in given
    ]
    if unknown or wanted:
        told = " and ".join(
            [f"takes no {', no '.join(unknown)}"] * bool(unknown) + [f"wants {', '.join(wanted)}"] * bool(wanted)
        )
        raise CannotCheck(f"{name} {told}: this program does not know how to call it", "report it, with the revision")

    def call() -> object:
        result = found(**given)
        if inspect.isawaitable(result):
            return asyncio.run(_awaited(result))
        return result

    return call


async def _awaited(result: Any) -> object:  # noqa: ANN401 - any awaitable
    return await result


async def _answered(call: Callable[[], object], patience: float) -> object:
    """Return what a call comes to, on a thread that is left behind if it does not return."""
    future: Future[object] = Future()
    future.set_running_or_notify_cancel()  # from here on it cannot be cancelled, only given up

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - what the caller is told
            future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - it may want to exit, or has waited too long
            future.set_exception(Unanswered(scrub(f"{type(error).__name__.lstrip('_')}: {error}")))

    threading.Thread(target=run, name="caller", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), patience)
    except TimeoutError:
        # The function may have raised one itself.
        if future.done():
            raise
        raise Unanswered(f"it did not return within {patience:g} s") from None
