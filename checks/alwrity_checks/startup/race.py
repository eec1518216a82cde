"""One start of a server against one hub, watched from outside: what happened in which order, and when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.redaction import scrub
from alwrity_checks.startup.legacy import AGENT_MODEL
from alwrity_checks.startup.serve import DRIVEN, EVENT

if TYPE_CHECKING:
    from alwrity_checks.startup.race_targets import StartTarget

__all__ = ["Moment", "RunningServer", "Start", "environment", "running"]

_NOT_HANDED_DOWN: Final = (
    "RENDER",
    "RAILWAY_ENVIRONMENT",
    "ALWRITY_VERBOSE",
    "HF_TOKEN",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
)
_LONGEST_LOG: Final = 1 << 16
_ENDING: Final = 5.0
_LOOK: Final = 0.02


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened."""

    event: str
    at: float
    """Seconds since the process was started."""
    told: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Start:
    """What is known of a start."""

    moments: list[Moment] = field(default_factory=list)
    log: str = ""
    ended: bool = False
    """Whether the server's process has ended by itself."""
    code: int | None = None
    """The exit code it ended with by itself, negative for a signal."""

    def at(self, event: str) -> float | None:
        """Return when `event` first happened; None if it has not."""
        return next((moment.at for moment in self.moments if moment.event == event), None)

    def told(self, event: str, name: str) -> object:
        """Return what `event` told under `name`."""
        return next((moment.told.get(name) for moment in self.moments if moment.event == event), None)

    @property
    def listened_first(self) -> bool | None:
        """Whether the server answered before its download had ended; None where it cannot be said.

        It is the order of the events that counts, and no time: a machine may be as slow as it likes.
        """
        answered, ended = self.at("answered"), self.at("download-ended")
        if self.at("download-began") is None:
            return None
        if answered is None:
            return None if self.ended else False
        return ended is None or answered < ended

    def to_json(self) -> dict[str, object]:
        """Return what `from_json` makes it from."""
        moments = [[one.event, one.at, dict(one.told)] for one in self.moments]
        return {"moments": moments, "log": self.log, "ended": self.ended}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Start:
        """Return what `to_json` was made from; the log is scrubbed once more, with the secrets that are known here."""
        moments = [Moment(str(event), float(at), dict(more)) for event, at, more in told["moments"]]
        return cls(moments, scrub(str(told["log"])), bool(told["ended"]))


class RunningServer:
    """A server that was started, until the block ends."""

    def __init__(
        self, process: asyncio.subprocess.Process, log: IO[bytes], began: float, reach: Callable[[int], None]
    ) -> None:
        self.start = Start()
        self._reach = reach
        self._process = process
        self._log = log
        self._began = began
        self._killed = False
        self._changed = asyncio.Event()
        self._following = asyncio.create_task(self._follow())

    async def until(self, holds: Callable[[Start], bool], seconds: float) -> bool:
        """Wait until `holds` of what is known; False if it does not within `seconds`, or never will."""
        deadline = time.monotonic() + seconds
        while not holds(self.start):
            if self.start.ended:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                return holds(self.start)
        return True

    async def until_event(self, event: str, seconds: float) -> bool:
        """Wait for an event."""
        return await self.until(lambda start: start.at(event) is not None, seconds)

    async def until_seen(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until `holds`, which nobody tells of; False if it does not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not holds():
            if self.start.ended or time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def ask(self, path: str, event: str, seconds: float) -> bool:
        """Ask the server for `path`, and note the answer as `event`; False if none comes, or none that is good."""
        port = self.start.told("listening", "port")
        if not isinstance(port, int):
            return False
        self._reach(port)
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
                    good = (await reader.readline()).split(b" ")[1:2] == [b"200"]
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return False
        if good:
            self._note(event)
        return good

    def read_log(self) -> str:
        """Return what the server has said so far, scrubbed."""
        self._log.flush()
        self._log.seek(0)
        self.start.log = scrub(self._log.read(_LONGEST_LOG).decode("utf-8", "replace"))
        return self.start.log

    async def kill(self) -> None:
        """End it as `kill -9` does, and read the rest; how long it was watched is noted as `watched`."""
        if not self._killed:
            self._note("watched")
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                await self._following
        await self._process.wait()
        self.read_log()

    async def _follow(self) -> None:
        if self._process.stdout is None:
            raise CannotCheck("the server's output is no pipe", "report it as a fault of alwrity-doctor")
        async for line in self._process.stdout:
            text = line.decode("utf-8", "replace")
            if not text.startswith((EVENT, DRIVEN)):
                self._log.write(line)
                continue
            told = json.loads(text.removeprefix(EVENT))
            self._note(told.pop("event"), told)
        code = await self._process.wait()
        if not self._killed:
            self.start.ended, self.start.code = True, code
        self._changed.set()

    def _note(self, event: str, told: Mapping[str, object] | None = None) -> None:
        self.start.moments.append(Moment(event, time.monotonic() - self._began, told or {}))
        self._changed.set()


def environment(endpoint: str, cache: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a server whose hub is `endpoint`, and which knows no other."""
    known = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_DOWN}
    loopback = ",".join(filter(None, (known.get("no_proxy"), "127.0.0.1")))
    return known | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_CACHE": str(cache / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "PYTHONUNBUFFERED": "1",
        # Whatever this machine's chain is: the race is about the model that ALwrity's agents name.
        "SIF_AGENT_MODEL": AGENT_MODEL,
        "SIF_AGENT_FALLBACK_MODELS": "",
        **(more or {}),
    }


@asynccontextmanager
async def running(target: StartTarget, variables: Mapping[str, str]) -> AsyncIterator[RunningServer]:
    """Start the server of `target` and yield it; it is gone when the block ends."""
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *target.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=dict(variables),
        )
        server = RunningServer(process, log, began, target.reach)
        try:
            yield server
        finally:
            await server.kill()
