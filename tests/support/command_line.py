"""The real command line in a real process, with third parties' distributions beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMAND = (sys.executable, "-m", "alwrity_doctor")


def install(directory: Path, distribution: str, module: str, source: str, group: str = "alwrity_doctor.checks") -> None:
    """Lay a distribution with one module into `directory`; its entry point loads the module's `CHECKS`."""
    directory.mkdir(exist_ok=True)
    (directory / f"{module}.py").write_text(source)
    metadata = directory / f"{distribution.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{module} = {module}:CHECKS\n")


def environment(plugins: Path | None = None, **variables: str) -> Mapping[str, str]:
    """Return this process's environment without any of a backend's settings, and with `plugins` importable."""
    kept = {name: value for name, value in os.environ.items() if "CLERK" not in name}
    path = [str(plugins)] if plugins else []
    path += [kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else []
    return kept | {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"} | variables


def run(*arguments: str, cwd: Path, plugins: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(plugins, **variables),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def start(*arguments: str, cwd: Path, plugins: Path | None = None) -> subprocess.Popen[str]:
    """Start the command line; the caller ends it."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(plugins),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
