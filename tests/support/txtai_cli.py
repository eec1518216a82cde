"""What the tests of `alwrity-doctor txtai` share: files of documents, and small disks."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import COMMAND, environment

JSON = ("--format", "json")

DOCUMENTS: tuple[Mapping[str, Any], ...] = (
    {"id": "invoice", "text": "The invoice of March has not been paid", "kind": "task", "priority": 3},
    {"id": "bread", "text": "How to bake sourdough bread at home", "kind": "note", "priority": 1},
    {"id": "garden", "text": "Roses want to be cut in early spring", "kind": "note", "priority": 3},
)


def lines(path: Path, *items: object) -> str:
    """Write a file of JSON lines, an item that is a string as it is, and return its name."""
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in items))
    return str(path)


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True)  # noqa: S607 - the system's own
    return tried.returncode == 0


needs_mount = pytest.mark.skipif(not _can_mount(), reason="a small disk needs the right to mount one")


def on_a_small_disk(disk: Path, *commands: tuple[str, ...] | str, size: str) -> list[subprocess.CompletedProcess[str]]:
    """Run commands of the program one after the other with a disk of `size` at `disk`, which goes when they end.

    A command that is a string is the shell's.
    """
    disk.mkdir(exist_ok=True)
    parts = [f"mount -t tmpfs -o size={size} none {disk}"]
    for number, command in enumerate(commands):
        if isinstance(command, str):
            parts.append(command)
        else:
            words = " ".join(f"'{word}'" for word in (*COMMAND, *command))
            parts.append(f"{{ {words} >{disk}.{number}.out 2>{disk}.{number}.err; echo $? >{disk}.{number}.code; }}")
    subprocess.run(  # noqa: S603 - our own words
        ["unshare", "-m", "sh", "-c", " && ".join(parts)],  # noqa: S607 - the system's own
        cwd=disk.parent,
        env=environment(HF_HUB_OFFLINE="1"),
        check=True,
        capture_output=True,
        timeout=120,
    )
    return [
        subprocess.CompletedProcess(
            command,
            int(Path(f"{disk}.{number}.code").read_text()),
            Path(f"{disk}.{number}.out").read_text(),
            Path(f"{disk}.{number}.err").read_text(),
        )
        for number, command in enumerate(commands)
        if not isinstance(command, str)
    ]
