"""No library that a component imports gets to tell its maker about the machine."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from alwrity_checks.telemetry import no_telemetry
from tests.support.command_line import environment

PROGRAM: Final = """
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {"faiss", "txtai", "onnxruntime", "onnxruntime_genai"}:
            print(name, os.environ.get("ORT_DISABLE_TELEMETRY"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watch())
"""
IMPORTING: Final = {
    "the index's encoder": "from alwrity_checks.txtai.encoder import import_libraries as go; go()",
    "its int8 form": "from alwrity_checks.txtai.onnx_encoder import OnnxEncoder as Go; Go(None)",
    "a local model": "from alwrity_checks.models.runtimes.genai_runtime import GenaiModel as Go; Go(None, {}, 1, None)",
    "a conversion": "from alwrity_checks.models.conversion_child import _build as go; go(None, None)",
}


@pytest.mark.parametrize("code", IMPORTING.values(), ids=IMPORTING)
def test_the_switch_is_set_before_the_library_is_imported(code: str) -> None:
    """At the moment of the import the variable says no: later would be too late."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", PROGRAM + code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split()[1:] == ["1"], done.stdout + done.stderr


def test_who_has_decided_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set stays as it is."""
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    no_telemetry()
    import os

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
