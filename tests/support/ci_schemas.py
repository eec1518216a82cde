"""The schemas of CI systems' files, which check-jsonschema carries with it: no network."""

from __future__ import annotations

import subprocess
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["complaints", "hooks_complaints"]

_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # GitLab has tags of its own, such as !reference; Microsoft's schema has patterns of an older JavaScript.
        "gitlab-ci": ("--data-transform", "gitlab-ci"),
        "azure-pipelines": ("--data-transform", "azure-pipelines", "--regex-variant", "nonunicode"),
    }
)


def complaints(schema: str, path: Path) -> str:
    """Return what is wrong with the file at `path` by a vendored schema, such as `gitlab-ci`; empty if it is valid."""
    options = _OPTIONS.get(schema, ())
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *options, str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours
    return "" if done.returncode == 0 else done.stdout + done.stderr


def hooks_complaints(path: Path, kind: str = "manifest") -> str:
    """Return what pre-commit has against a file of hooks, or against the `config` that chooses some."""
    command = (sys.executable, "-m", "pre_commit", f"validate-{kind}", str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours
    return "" if done.returncode == 0 else done.stdout + done.stderr
