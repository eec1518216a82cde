"""What a converted directory says of itself: from which weights it was made, how, and how long its files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.files import read_json

__all__ = ["MANIFEST", "check_whole", "write_manifest"]

MANIFEST: Final = "conversion.json"


def write_manifest(directory: Path, **told: str) -> None:
    """Write what `directory` holds, and what is `told` of it."""
    files = {path.name: path.stat().st_size for path in sorted(directory.iterdir()) if path.name != MANIFEST}
    (directory / MANIFEST).write_text(json.dumps({**told, "files": files}, indent=1), encoding="utf-8")


def check_whole(directory: Path) -> None:
    """See that a converted directory is as it was written; of one without a manifest nothing is known.

    Raises LoadFailed: FILE_MISSING, FILE_TRUNCATED, FILE_CORRUPT, CONFIG_UNUSABLE.
    """
    if not (directory / MANIFEST).is_file():
        return
    files = read_json(directory / MANIFEST).get("files")
    for name, size in files.items() if isinstance(files, dict) else ():
        path = directory / str(name)
        if not path.is_file():
            raise LoadFailed(Reason.FILE_MISSING, f"{path} is missing", _remedy(directory))
        here = path.stat().st_size
        if here != size:
            reason = Reason.FILE_TRUNCATED if here < size else Reason.FILE_CORRUPT
            raise LoadFailed(reason, f"{path} has {here:,} bytes instead of {size:,}", _remedy(directory))


def _remedy(directory: Path) -> str:
    return f"remove {directory}; the model is then converted again"
