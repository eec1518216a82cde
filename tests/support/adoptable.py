"""Small checkouts of our own, under git, to which the cures of issues 3 and 6 fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support.backend_checkout import DOUBLE, write_checkout
from tests.support.scanned_checkout import commit, git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CALLER", "REQUIREMENTS", "SERVICE", "START", "adoptable", "state"]

SERVICE: Final = "backend/services/intelligence/txtai_service.py"
START: Final = "backend/start_alwrity_backend.py"
REQUIREMENTS: Final = "backend/requirements.txt"
CALLER: Final = "backend/services/intelligence/agents.py"

_START: Final = '''"""Starts the backend."""

from dataclasses import dataclass


@dataclass
class BootstrapResult:
    name: str
    success: bool
    skipped: bool = False
    reason: str = ""


def bootstrap_local_llm_models() -> BootstrapResult:
    """Download the models that the agents use."""
    import os
    verbose = os.getenv("ALWRITY_VERBOSE", "false").lower() == "true"
    if os.getenv("RENDER"):
        return BootstrapResult(name="local_llm_models", success=True, skipped=True, reason="cloud_environment")
    try:
        from huggingface_hub import snapshot_download

        for model in ("Qwen/Qwen2.5-1.5B-Instruct",):
            snapshot_download(repo_id=model)
    except Exception as e:
        if verbose:
            print(f"failed: {e}")
        return BootstrapResult(name="local_llm_models", success=False, reason=str(e))
    return BootstrapResult(name="local_llm_models", success=True)


if __name__ == "__main__":
    bootstrap_local_llm_models()
'''
_CALLER: Final = "from .txtai_service import TxtaiIntelligenceService\n\nservice = TxtaiIntelligenceService\n"


def adoptable(root: Path, changes: Mapping[str, str | bytes | None] | None = None) -> Path:
    """Lay out a checkout with `changes`, paths from the root (None leaves a file out), commit it; return the root."""
    backend = write_checkout(root, DOUBLE)
    (backend / ".env").write_text("SIF_FAIL_FAST=false\nHF_TOKEN=hf_neverShown0123456789\n", encoding="utf-8")
    files: dict[str, str | bytes | None] = {
        START: _START,
        REQUIREMENTS: "fastapi>=0.115\n",
        CALLER: _CALLER,
        ".gitignore": ".env\nworkspace/\n",
        **(changes or {}),
    }
    for name, content in files.items():
        path = root / name
        if content is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    commit(root)
    git(root, "config", "user.name", "A Maintainer")
    git(root, "config", "user.email", "maintainer@example.com")
    return root


def state(root: Path) -> tuple[str, ...]:
    """Return what git knows of a checkout and what is on its disk: equal before and after, nothing has happened."""
    files = sorted(
        f"{path.relative_to(root)} {path.lstat().st_mode} {path.read_bytes()!r}"
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    )
    asked = (("status", "--porcelain"), ("for-each-ref",), ("rev-parse", "HEAD"), ("ls-files", "-s"))
    return (*(git(root, *arguments) for arguments in asked), (root / ".git" / "HEAD").read_text("utf-8"), *files)
