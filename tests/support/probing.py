"""A prober at work on a loopback router, whose pauses are taken and not waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from alwrity_checks.hf.catalogue import Catalogue
from alwrity_checks.hf.loopback_catalogue import listed
from alwrity_checks.hf.plan import DEFAULT_MODES
from alwrity_checks.hf.prober import Cell, Prober, ProbeResult
from alwrity_checks.hf.router import Router

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from alwrity_checks.hf.causes import Mode
    from alwrity_checks.hf.loopback_router import LoopbackRouter

__all__ = ["Pauses", "catalogue_of", "cell", "probe", "use"]


def catalogue_of(server: LoopbackRouter) -> Catalogue:
    """Return what the router would list."""
    found = Catalogue.read({"data": [listed(*one) for one in server.catalogue.items()]})
    assert found is not None
    return found


class Pauses:
    """Takes every pause, and waits for none."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Note a pause."""
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def use(server: LoopbackRouter, action: Callable[[Prober], Awaitable[Any]], *, base_url: str = "", **more: Any) -> Any:  # noqa: ANN401 - whatever the action returns
    """Do something with a prober, in a loop of its own."""

    async def scenario() -> Any:  # noqa: ANN401 - the same
        router = Router(base_url or server.base_url, server.token)
        settings = {"catalogue": catalogue_of(server), "sleep": Pauses(), "timeout": 5.0, **more}
        try:
            return await action(Prober(router, **settings))
        finally:
            await router.aclose()

    return asyncio.run(scenario())


def probe(
    server: LoopbackRouter,
    *models: str,
    modes: Sequence[Mode] = DEFAULT_MODES,
    base_url: str = "",
    **more: Any,  # noqa: ANN401 - arguments of Prober
) -> ProbeResult:
    """Probe once."""
    result = use(server, lambda prober: prober.probe(prober.plan(models, modes)), base_url=base_url, **more)
    assert isinstance(result, ProbeResult)
    return result


def cell(result: ProbeResult, deployment: str, mode: Mode | None = None) -> Cell:
    """Return one cell."""
    return next(one for one in result.cells if (str(one.deployment), one.mode) == (deployment, mode))
