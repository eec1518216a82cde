"""`transformers serve` with the tiny model: a chat server that nobody here wrote, in a process of its own.

It takes `response_format` and `tool_choice` with a 200 and ignores them, which is what makes it worth asking. It needs
no token, and lists ids without providers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import httpx

from tests.support import tiny_qwen

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MODELS", "TransformersServe", "tiny_model"]

MODELS: Final = ("openai/gpt-oss-120b", "tiny-org/tiny-qwen")
"""The ids it serves, all with the one model; the first is a default of ALwrity's, without its provider."""

_ROOT: Final = Path(__file__).parents[2]
_REVISION: Final = "0" * 40
_UNTIL_READY: Final = 120.0
"""Seconds. It takes 4 on an idle machine."""
_LISTENING: Final = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


def tiny_model(shelf: Path) -> Path:
    """Return the folder in `shelf` that holds the trained model; train it if this recipe has not been followed yet."""
    recipe = (tiny_qwen.__file__, version("torch"), version("transformers"))
    digest = hashlib.sha256(Path(recipe[0]).read_bytes() + repr(recipe[1:]).encode()).hexdigest()
    model = shelf / digest[:16]
    if not model.is_dir():
        with tempfile.TemporaryDirectory(dir=shelf, prefix="training-") as name:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "tests.support.tiny_qwen", f"{name}/model"],
                cwd=_ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            with contextlib.suppress(FileExistsError):  # another session was quicker
                Path(name, "model").rename(model)
    return model


class TransformersServe:
    """The server; a context manager."""

    def __init__(self, model: Path, directory: Path) -> None:
        """Serve `model` under the ids of `MODELS`; its hub cache and its log are laid into `directory`."""
        self.origin = ""
        """`http://127.0.0.1:<port>`, once it serves."""
        self._home = directory / "home"
        self._log = directory / "log"
        for name in MODELS:
            folder = self._home / "hub" / f"models--{name.replace('/', '--')}"
            shutil.copytree(model, folder / "snapshots" / _REVISION)
            (folder / "refs").mkdir()
            (folder / "refs" / "main").write_text(_REVISION)

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants."""
        return f"{self.origin}/v1"

    @property
    def wrong_base_url(self) -> str:
        """The one of the catalogue's issue 2."""
        return f"{self.origin}/hf/v1"

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        """Start, and wait until it is ready."""
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
        options = ["--host", "127.0.0.1", "--port", "0", "--device", "cpu", "--dtype", "float32"]
        offline = {"HF_HOME": str(self._home), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        cache = {name for name in os.environ if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
        environment = {name: value for name, value in os.environ.items() if name not in cache} | offline
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [*command, *options], cwd=self._home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self.origin = self._address()
            health = httpx.get(f"{self.origin}/health", trust_env=False, timeout=10)
            assert health.json() == {"status": "ok"}
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop at once, whatever is under way."""
        self._stop()

    def _address(self) -> str:
        """Wait for the port: the server chooses a free one itself, and says which."""
        ends_at = time.monotonic() + _UNTIL_READY
        while time.monotonic() < ends_at and self._process.poll() is None:
            if listening := _LISTENING.search(self.log):
                return listening[1]
            time.sleep(0.05)
        raise RuntimeError(f"transformers serve did not start:\n{self.log}")

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
