"""What the tests of `models` commands share: tiny checkpoints, a hub on this machine, an empty home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.models.synthetic import write_checkpoint
from tests.support.in_process import CommandLine, Done

if TYPE_CHECKING:
    import pytest

SCHEMA: Final = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 12},
        "score": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["title", "score"],
    "additionalProperties": False,
}


def tiny(directory: Path) -> Path:
    """Return a tiny checkpoint below `directory`, written at the first call."""
    return write_checkpoint(directory / "tiny", "tiny")


class Models:
    """Runs `models` commands in an empty home, in transformers, which loads at once what onnxruntime would convert."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        self.home = directory
        self._run = CommandLine(monkeypatch, capsys, directory)
        self.variables = {
            "HF_HOME": str(directory / "hf"),
            "XDG_CACHE_HOME": str(directory / "cache"),
            "HOME": str(directory),
            "SIF_AGENT_RUNTIME": "transformers",
        }

    def __call__(self, *arguments: str, stdin: bytes | None = None, **variables: str) -> Done:
        """Run one command to its end."""
        return self._run("models", *arguments, stdin=stdin, **(self.variables | variables))

    def json(self, *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
        """Run one command for its report; return the exit code and the report."""
        done = self(*arguments, "--format", "json", stdin=None, **variables)
        return done.code, done.document

    def report(self, *arguments: str, **variables: str) -> tuple[Done, dict[str, Any]]:
        """Run one command whose report goes to a file; return what it came to and the report."""
        path = self.home / "report.json"
        done = self(*arguments, "--format", f"json={path}", stdin=None, **variables)
        return done, json.loads(path.read_text("utf-8"))

    @contextmanager
    def hub(self, models: dict[str, Path], **manner: Any) -> Iterator[LoopbackHub]:  # noqa: ANN401 - LoopbackHub's
        """Serve models at the address that the commands ask."""
        with LoopbackHub(models, **manner) as hub:
            self.variables["HF_ENDPOINT"] = hub.endpoint
            yield hub


def reasons(document: dict[str, Any]) -> list[str]:
    """Return the reason of each finding of a report."""
    return [finding["evidence"][0]["value"] for result in document["results"] for finding in result["findings"]]
