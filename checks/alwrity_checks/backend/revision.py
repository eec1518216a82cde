"""What the git of a checkout tells, such as its revision; nothing of the checkout is run or written by asking."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["git", "revision_of"]

_PATIENCE: Final = 300.0
_HARMLESS: Final = (
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "diff.external="),
    *("-c", "safe.directory=*", "-c", "protocol.allow=never", "--no-pager"),
)
"""What the checkout's own configuration could have run or fetched. Its owner may be another user, as in a container's
mount: nothing of it is run by what is asked here."""
_ENVIRONMENT: Final = {
    # Locks are not taken, so that asking for a status does not write an index.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    # For a git that does not know the one above (before 2.45): no protocol at all, not even one that the checkout's
    # configuration allows by its name, such as `ext`, which starts a program.
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def git(root: Path, *arguments: str, told: bytes = b"") -> bytes | None:
    """Return what git says below `root` when it is `told` this; None if it refuses, is missing or takes minutes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - git, with arguments of ours
            ["git", "-C", str(root), *_HARMLESS, *arguments],  # noqa: S607 - wherever the user has it
            input=told,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
            env=kept | _ENVIRONMENT,
        ).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def revision_of(root: Path) -> str:
    """Return the commit of a checkout, 8 digits, and whether it was changed since; an empty text without a git."""
    commit = git(root, "rev-parse", "--short=8", "HEAD")
    if not commit:
        return ""
    shown = commit.decode("ascii", "replace").strip()
    filters = _filters(root)
    if any("=" in name for name in filters):
        return f"{shown}, changes not looked for"
    without = [word for name in filters for word in ("-c", f"{name}=")]
    # `dirty`: git would ask for the status of a submodule by that one's configuration.
    changed = git(root, *without, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    return shown + (" with changes" if changed else "")


def _filters(root: Path) -> list[str]:
    """Return the settings that name the programs through which git would compare a file with what was committed.

    git takes what is behind the first `=` for the value: one with it in its name cannot be switched off.
    """
    pattern = r"^filter\..*\.(clean|process|required)$"
    named = git(root, "config", "--null", "--name-only", "--get-regexp", pattern) or b""
    return [name for name in dict.fromkeys(named.decode("utf-8", "surrogateescape").split("\0")) if name]
