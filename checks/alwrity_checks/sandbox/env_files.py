"""The `.env` files of a checkout: left unread by its own code, and handed in only where the user asks for it."""

from __future__ import annotations

import contextlib
import sys
from importlib.util import find_spec
from types import ModuleType

__all__ = ["forget_env_files"]


def forget_env_files() -> bool:
    """Let python-dotenv find nothing and set nothing; say whether it is installed, else it is stood in for."""

    def load_dotenv(*_: object, **__: object) -> bool:
        return False

    def dotenv_values(*_: object, **__: object) -> dict[str, str | None]:
        return {}

    def find_dotenv(*_: object, **__: object) -> str:
        return ""

    told = {"load_dotenv": load_dotenv, "dotenv_values": dotenv_values, "find_dotenv": find_dotenv}
    installed = find_spec("dotenv") is not None
    if not installed:
        sys.modules["dotenv"] = ModuleType("dotenv", "A stand-in of alwrity-doctor: python-dotenv is not installed.")
        vars(sys.modules["dotenv"]).update(told)
        return False
    with contextlib.suppress(ImportError):
        import dotenv
        import dotenv.main

        for module in (dotenv, dotenv.main):
            vars(module).update(told)
    return True
