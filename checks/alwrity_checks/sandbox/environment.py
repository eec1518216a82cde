"""The environment in which the user's own code runs: what it is given, and what it is not.

This is the outer half, which is done before the process starts; `guard` is the inner one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from alwrity_checks.redaction import Secret, scrub
from alwrity_checks.telemetry import SWITCHES

__all__ = ["environment"]

_KEPT: Final = frozenset(
    {
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        # Libraries that are not where a loader looks for them.
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        # Windows starts no interpreter without them.
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "NUMBER_OF_PROCESSORS",
        "PROCESSOR_ARCHITECTURE",
    }
)
"""The variables that are handed on. Everything else is left out, so that nobody has to know what a secret is called."""
_SECRETIVE: Final = re.compile(r"TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH|DSN|DATABASE|_URL|_URI", re.IGNORECASE)
_SHORTEST: Final = 8
"""Characters: a shorter value would be found in any path."""
_OURS: Final = re.compile(r"(?:PYTHON|LD_|DYLD_|ALWRITY_DOCTOR_).*|.*_PROXY", re.IGNORECASE)
"""What a `.env` file has no say in: how the interpreter starts, and where its requests go."""


def environment(
    directory: Path,
    interpreter: Path,
    given: Mapping[str, str] = os.environ,
    own: Path = Path(sys.executable),
    handed: Mapping[str, Secret] | None = None,
) -> dict[str, str]:
    """Return the environment of a process that runs foreign code with `interpreter`.

    Home, temporary files and caches are made below `directory`; no token, no key and no setting of the user's is in
    it, except those that are `handed` in. Only our own interpreter is told where our own libraries are.
    """
    home, temporary = directory / "home", directory / "tmp"
    for place in (home, temporary):
        place.mkdir(exist_ok=True)
    secrets = {value for name, value in given.items() if _SECRETIVE.search(name) and len(value) >= _SHORTEST}
    kept = {
        name: value
        for name, value in given.items()
        if (name.upper() in _KEPT or name.startswith("LC_"))
        and scrub(value) == value
        and not any(secret in value for secret in secrets)
    }
    made = {
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home,
        "LOCALAPPDATA": home,
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local",
        "HF_HOME": home / "huggingface",
        "TMPDIR": temporary,
        "TEMP": temporary,
        "TMP": temporary,
    }
    fixed = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        **SWITCHES,
        "HF_DATASETS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # Nothing is written beside the user's sources, and nothing imported from the directory of a script.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }
    return {
        # First: a variable that is set wins over the same one in a `.env` file.
        **{name: value.reveal() for name, value in (handed or {}).items() if not _OURS.fullmatch(name)},
        **kept,
        **{name: str(path) for name, path in made.items()},
        **fixed,
        **_libraries(interpreter, given, own),
    }


def _libraries(interpreter: Path, given: Mapping[str, str], own: Path) -> dict[str, str]:
    """Return where our own interpreter has its libraries from; its home is another one in the sandbox."""
    if interpreter != own:
        return {}
    import site

    told = {"PYTHONPATH": given.get("PYTHONPATH", ""), "PYTHONUSERBASE": site.getuserbase()}
    return {name: value for name, value in told.items() if value}
