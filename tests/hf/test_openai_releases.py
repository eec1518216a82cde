"""The component works with another major release of the openai client than the installed one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OTHER = os.environ.get("OPENAI_OTHER_RELEASE", "")


@pytest.mark.skipif(
    not OTHER,
    reason="OPENAI_OTHER_RELEASE is not set: pip install --target DIR 'openai<3', and set it to DIR",
)
def test_the_same_tests_pass_with_the_other_release() -> None:
    """The router's, the generator's and the prober's tests, in an interpreter that finds the other release first."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_OTHER_RELEASE"}
    which = [sys.executable, "-c", "import openai; print(openai.__version__)"]
    ours, theirs = (
        subprocess.run(which, env=environment | path, capture_output=True, text=True, check=True, timeout=60).stdout  # noqa: S603 - our own interpreter
        for path in ({}, {"PYTHONPATH": OTHER})
    )
    assert ours.partition(".")[0] != theirs.partition(".")[0]
    subprocess.run(  # noqa: S603 - the same
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            HERE / "test_router.py",
            HERE / "test_generator.py",
            HERE / "test_prober.py",
        ],
        env=environment | {"PYTHONPATH": OTHER},
        cwd=HERE.parent.parent,
        check=True,
        timeout=300,
    )
