"""Where indexes lie: below a backend's workspace, and in the directory of the component."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.txtai.paths import user_of

if TYPE_CHECKING:
    from alwrity_checks.settings import Settings

__all__ = ["DIRECTORY_SETTING", "component_directory", "indexes_below", "workspaces"]

DIRECTORY_SETTING: Final = "ALWRITY_TXTAI_DIR"

_WORKSPACES: Final = (Path("workspace"), Path("backend") / "workspace")
"""ALwrity's path is relative to the working directory, which is the root or `backend/`."""
_BACKENDS_INDEX: Final = "workspace_*/indices/txtai"


def workspaces(root: Path = Path()) -> tuple[Path, ...]:
    """Return the workspaces of a backend whose root is `root`, as far as they exist."""
    return tuple(path for name in _WORKSPACES if (path := root / name).is_dir())


def component_directory(settings: Settings) -> Path | None:
    """Return the directory that the settings name for the component; None where they name none."""
    named = settings.text(DIRECTORY_SETTING).strip()
    return Path(named).expanduser() if named else None


def indexes_below(directory: Path) -> Iterator[Path]:
    """Yield the index directories below a workspace, or below the component's own directory. Raises OSError."""
    yield from sorted(path for path in directory.glob(_BACKENDS_INDEX) if path.is_dir())
    for parent in (directory, directory / "semantic-index"):
        if parent.is_dir():
            yield from sorted(path for path in parent.iterdir() if user_of(path) is not None)
