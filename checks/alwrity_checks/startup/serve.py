"""A small server of a race: the same one with the historical bootstrap, with the component, and without models.

    python -m alwrity_checks.startup.serve legacy|fixed|bare

Tells what happens as JSON lines on stdout; everything else it says, on either stream, is its log. `/health` answers at
once, `/agent` once the agents' model is on this machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.models import ModelRegistry

__all__ = ["DRIVEN", "EVENT", "ROOM_VARIABLE", "fill_disk", "main", "serve", "tell", "watch"]

EVENT: Final = "\x1e"
"""Begins a line that tells an event (the record separator, RFC 7464)."""
DRIVEN: Final = '{"event": '
"""Begins one from a server in the sandbox, which has standard output for nothing else."""
ROOM_VARIABLE: Final = "ALWRITY_RACE_ROOM"
"""Bytes that the disk has left: what the disk's free space is said to be, and beyond which a file cannot grow."""
_LOOK: Final = 0.02
_telling = threading.Lock()

Agent = Callable[[], Awaitable[object]]
Tell = Callable[..., None]
"""Tells an event by its name, and more of it as named values."""


def tell(event: str, **more: object) -> None:
    """Tell an event to whoever started this server."""
    with _telling:
        sys.__stdout__.write(f"{EVENT}{json.dumps({'event': event, **more})}\n")  # type: ignore[union-attr]  # a pipe
        sys.__stdout__.flush()  # type: ignore[union-attr]  # the same


def main(target: str) -> None:
    """Start as `target` does, and serve until killed."""
    tell("started")
    fill_disk()
    asyncio.run({"legacy": _legacy, "fixed": _fixed, "bare": _bare}[target]())


def fill_disk() -> None:
    """Make the disk as good as full for this process, if the race wants it: in what is said of it, and can be written.

    No root is needed for it, as for a small file system; the price is that a write fails with EFBIG, not ENOSPC.
    """
    if not (told := os.environ.get(ROOM_VARIABLE)):
        return
    room = int(told)
    usage = shutil.disk_usage
    shutil.disk_usage = lambda path: usage(path)._replace(free=room)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


async def _legacy() -> None:
    """Block for the bootstrap, then listen; the agents' model comes with the first request for it."""
    from alwrity_checks.startup.legacy import bootstrap_local_llm_models, load_agent_model

    tell("download-began")
    done = bootstrap_local_llm_models()  # blocks the loop, which serves nobody yet: that is the fault
    tell("download-ended", ok=done)
    await serve(lambda: asyncio.to_thread(load_agent_model))


async def _fixed() -> None:
    """Begin to fetch ahead what the agents use, in the background, and listen."""
    from alwrity_checks.models import ModelRegistry

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    with ModelRegistry.from_environment() as registry:
        registry.prefetch("agent")
        tell("download-began")
        watching = asyncio.create_task(watch(registry, tell))
        try:
            await serve(lambda: asyncio.shield(watching))
        finally:
            watching.cancel()


async def watch(registry: ModelRegistry, tell: Tell) -> None:
    """Tell what becomes of the download, and return when the model is here. Raises RuntimeError where it never will."""
    troubled = False
    while True:
        status = registry.status()
        downloads = list(status.downloads.values())
        error = status.trouble or next((one.error for one in downloads if one.error is not None), None)
        if error is not None and not troubled:
            troubled = True
            tell("download-troubled", reason=str(getattr(error, "reason", "")))
        failed = status.trouble is not None or any(one.state == "failed" for one in downloads)
        if failed or (downloads and all(one.state == "done" for one in downloads)):
            tell("download-ended", ok=not failed)
            if failed:
                raise RuntimeError("the model cannot be had")
            return
        await asyncio.sleep(_LOOK)


async def _bare() -> None:
    async def nothing() -> None:
        """There is no model."""

    await serve(nothing)


async def serve(agent: Agent, tell: Tell = tell) -> None:
    """Answer requests until killed; tell the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readline()).split(b" ")[1]
            status = await _answer(path, agent)
            writer.write(b"HTTP/1.1 %d \r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
            await writer.drain()
        except (OSError, IndexError, ValueError):
            return  # the client has gone away, or speaks no HTTP
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    tell("listening", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _answer(path: bytes, agent: Agent) -> int:
    if path != b"/agent":
        return 200
    try:
        await agent()
    except Exception:  # whatever a target raises is a request that failed
        logging.getLogger(__name__).exception("an agent's request failed")
        return 503
    return 200


if __name__ == "__main__":
    main(sys.argv[1])
