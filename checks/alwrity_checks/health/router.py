"""The routes. What may take time, the queues of many users, is looked at in a thread, once for all who ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.health.parts import Components, Part, Standing, examine

try:
    from fastapi import APIRouter, Response
    from fastapi.responses import JSONResponse
except ModuleNotFoundError:
    raise MissingExtra("health", "alwrity_checks.health") from None

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["router"]

_FRESH: Final = 1.0
"""Seconds for which a look counts: whoever polls harder than that gets the last one."""
_PATIENCE: Final = 5.0
"""Seconds after which a look is not waited for; an orchestrator's own patience is a few seconds."""
_WORKING: Final = frozenset({Standing.READY, Standing.DEGRADED})


def router(
    components: Components, *, required: Collection[str] = ("auth",), metrics: bool = True, patience: float = _PATIENCE
) -> APIRouter:
    """Return the routes `/live`, `/ready` and, unless switched off, `/metrics`.

    `required` names the parts (`auth`, `hf`, `txtai`, `models`) without which this backend shall get no requests:
    `/ready` is 503 while one of them is `waiting` or `failed`. The others are told, and keep nobody away: an index
    that is not ready accepts documents, and a model is loaded by the first call. Raises ConfigurationError for a part
    that was not given, MissingExtra where metrics are wanted without prometheus-client.
    """
    if missing := sorted(set(required) - {name for name, component in components.named if component is not None}):
        raise ConfigurationError(
            f"{', '.join(missing)} is required, and was not given", "give the component, or leave it out of required"
        )
    look = _looking(components, patience)
    routes = APIRouter(tags=["health"])

    @routes.get("/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        parts = await look()
        hindering = [part.name for part in parts if part.name in required and part.standing not in _WORKING]
        hindering += [name for name in required if name not in {part.name for part in parts}]
        content: dict[str, Any] = {
            "status": "not ready" if hindering else "ready",
            "because": hindering,
            "parts": {part.name: {"standing": part.standing, "told": part.told} for part in parts},
        }
        return JSONResponse(content, 503 if hindering else 200, {"Cache-Control": "no-store"})

    if metrics:
        from alwrity_checks.health.metrics import CONTENT_TYPE, exposition

        @routes.get("/metrics", include_in_schema=False)
        async def figures() -> Response:
            return Response(exposition(await look()), media_type=CONTENT_TYPE)

    return routes


def _looking(components: Components, patience: float) -> Callable[[], Awaitable[tuple[Part, ...]]]:
    """Return what looks at the components in a thread: one look at a time, and each counts for a moment.

    A look that does not come back leaves what was seen last; before the first one every part is `waiting`.
    """
    seen: tuple[Part, ...] = ()
    at = float("-inf")
    under_way: asyncio.Task[tuple[Part, ...]] | None = None

    async def look() -> tuple[Part, ...]:
        nonlocal seen, at, under_way
        if time.monotonic() - at < _FRESH:
            return seen
        if under_way is None or under_way.done():
            under_way = asyncio.create_task(asyncio.to_thread(lambda: tuple(examine(components))))
        task = under_way
        done, _ = await asyncio.wait({task}, timeout=patience)
        if not done:
            return tuple(Part(part.name, Standing.FAILED, "it does not answer", part.figures) for part in seen)
        seen, at = task.result(), time.monotonic()
        return seen

    return look
