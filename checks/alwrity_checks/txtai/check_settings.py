"""What the settings of the index say by themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Finding
from alwrity_checks.txtai.rules import rule_of
from alwrity_checks.txtai.workspace import DIRECTORY_SETTING, component_directory

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting, Settings

__all__ = ["setting_findings"]

_ON: Final = frozenset({"1", "true", "yes", "on"})
"""The words that ALwrity's service and the component know; every other one is off."""
_OFF: Final = frozenset({"0", "false", "no", "off"})
"""Words with which somebody means off."""


def setting_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with SIF_FAIL_FAST and with the directory of the index."""
    yield from _fail_fast(settings.get("SIF_FAIL_FAST"))
    named, directory = settings.get(DIRECTORY_SETTING), component_directory(settings)
    if named is not None and directory is not None:
        yield from _directory(named, directory)


def _fail_fast(setting: Setting | None) -> Iterator[Finding]:
    if setting is None:
        return
    word = setting.value.reveal().strip().lower()
    if word in _ON:
        return
    if word not in _OFF:
        yield _finding("fail-fast-word", f"SIF_FAIL_FAST is {setting.shown!r:.60}, which counts as false", setting)
    yield _finding("fail-fast-off", "SIF_FAIL_FAST is off: an index that is not ready looks like an empty one", setting)


def _directory(setting: Setting, directory: Path) -> Iterator[Finding]:
    if not directory.is_absolute():
        told = f"{DIRECTORY_SETTING} is relative: it begins at the working directory, which is {Path.cwd()} now"
        yield _finding("directory-relative", told, setting)
    trouble = _trouble(directory)
    if trouble is not None:
        yield _finding("storage-failed", trouble, setting)


def _trouble(directory: Path) -> str | None:
    """Return why no index can be kept in `directory`; None if one can, or if the directory can be made."""
    try:
        nearest = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        if not nearest.is_dir():
            return f"{nearest} is no directory"
        # Asking for permission would not tell a read-only file system, nor would it hold for root.
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"\0")
    except OSError as error:
        return f"{directory} cannot be written: {error.strerror}"
    return None


def _finding(reason: str, message: str, setting: Setting) -> Finding:
    return Finding(rule_of(reason), message, (Evidence("reason", reason),), setting.location)
