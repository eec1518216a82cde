"""Small checkouts to scan, laid out as ALwrity's, every line of our own writing; and a git around them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CLEAN", "commit", "git", "lay_out"]

CLEAN: Final[Mapping[str, str]] = {
    "backend/app.py": "from fastapi import FastAPI\n\nfrom routers.reports import router\n\napp = FastAPI()\n",
    "backend/start_alwrity_backend.py": "import uvicorn\n\nuvicorn.run('app:app')\n",
    "backend/middleware/__init__.py": "",
    "backend/routers/__init__.py": "",
    "backend/routers/reports.py": "from services.reports import total\n\nrouter = total\n",
    "backend/services/__init__.py": "",
    "backend/services/reports.py": "def total(values):\n    return sum(values)\n",
    "backend/requirements.txt": "fastapi>=0.115\nloguru>=0.7\nuvicorn[standard]>=0.24\n",
}
"""A checkout in which there is nothing to find."""


def lay_out(root: Path, changes: Mapping[str, str | bytes | None] | None = None) -> Path:
    """Write the clean checkout with `changes`, paths from the root (None leaves a file out); return the root."""
    for name, content in {**CLEAN, **(changes or {})}.items():
        path = root / name
        if content is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def git(root: Path, *arguments: str) -> str:
    """Run git below `root`, with nobody's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    done = subprocess.run(  # noqa: S603 - git, with a test's own arguments
        ["git", "-C", str(root), *arguments],  # noqa: S607 - wherever this machine has it
        env={**kept, **settings},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def commit(root: Path, message: str = "a change") -> str:
    """Commit everything below `root`, making it a repository first if it is none; return the commit."""
    if not (root / ".git").exists():
        git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(root, "rev-parse", "HEAD")
