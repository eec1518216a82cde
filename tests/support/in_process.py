"""The real command line inside the test's process: a process of its own costs a third of a second."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alwrity_checks import redaction
from alwrity_checks.settings import PUBLIC
from alwrity_doctor.cli import process

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_OURS = ("ALWRITY", "HF_", "HUGGING_FACE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The report on stdout, in the format `json`."""
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def reasons(self) -> list[str]:
        """The reason codes of that report, in the order of its findings."""
        return reasons_of(self.document)

    @property
    def verdicts(self) -> dict[str, str]:
        """Check -> verdict of that report."""
        return {result["name"]: result["verdict"] for result in self.document["results"]}


def reasons_of(document: dict[str, Any]) -> list[str]:
    """Return the reason code of each finding of a report's JSON form, check by check."""
    return [finding["evidence"][0]["value"] for result in document["results"] for finding in result["findings"]]


def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every setting of a backend, of this program and of a proxy out of the environment."""
    import os

    for name in list(os.environ):
        if "CLERK" in name or name in PUBLIC or name.startswith(_OURS) or name.upper() in _PROXIES:
            monkeypatch.delenv(name)


class CommandLine:
    """Runs commands in an empty directory, without any setting but those given, knowing no secret from before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        bare(monkeypatch)
        monkeypatch.chdir(directory)
        # What another test had wrapped would be scrubbed here, and a leak would not be seen.
        monkeypatch.setattr(redaction, "_registered", set())

    def __call__(self, *arguments: str, stdin: bytes | None = None, **variables: str) -> Done:
        """Run one command to its end; without `stdin` standard input is closed."""
        with self._monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin)))
            self._capsys.readouterr()
            # Not `execute`, which may end the process, and with it the tests.
            code = process._execute(arguments)
            captured = self._capsys.readouterr()
        return Done(int(code), captured.out, captured.err)
