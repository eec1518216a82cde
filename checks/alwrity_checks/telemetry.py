"""What a library would tell its maker about this machine, switched off before it is imported.

onnxruntime 1.32 connects to mobile.events.data.microsoft.com when a session is made, on Linux too and through a proxy
that is set. It looks at its switch when it is loaded: afterwards neither the variable nor `disable_telemetry_events`
keeps the connection from being made (measured with 1.32.0). A backend that imports onnxruntime before us has to set the
variable itself.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["SWITCHES", "no_telemetry"]

SWITCHES: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""Variable -> the value that keeps a library silent."""


def no_telemetry() -> None:
    """Switch it off for this process and its children; who has set the variable has decided. Call before the import."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
