"""Which revision a checkout stands at, as its git tells it; nothing of the checkout is run or written by asking."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["git", "revision_of"]

_PATIENCE: Final = 60.0
_HARMLESS: Final = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "diff.external=")
"""What a repository's own configuration could have run: the checkout is somebody's code."""


def git(root: Path, arguments: Sequence[str], timeout: float = _PATIENCE) -> bytes | None:
    """Return what git says below `root`; None if it refuses, is not installed, or takes longer than `timeout` seconds.

    Locks are not taken (GIT_OPTIONAL_LOCKS), so that asking for a status does not write an index.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - git, with arguments of ours
            ["git", "-C", str(root), *_HARMLESS, *arguments],  # noqa: S607 - wherever the user has it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=timeout,
            env={**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def revision_of(root: Path) -> str:
    """Return the commit of a checkout, 8 digits, and whether it was changed since; an empty text without a git."""
    commit = git(root, ("rev-parse", "--short=8", "HEAD"))
    if not commit:
        return ""
    changed = git(root, ("status", "--porcelain", "--untracked-files=no"))
    return commit.decode("ascii", "replace").strip() + (" with changes" if changed else "")
