"""ALwrity's model bootstrap, rebuilt from the description of its behaviour: the fault of issue 6, small.

The start script calls it under `__main__`, before it parses its arguments and before it imports anything of the
application. It is skipped on Render and Railway and nowhere else: not offline, and not for `--help`. What it downloads
is not what the agents load; `--verbose` sets ALWRITY_VERBOSE later, so it says nothing at all. The state is that of
8c2d88ef (March 2026).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

__all__ = ["AGENT_MODEL", "BOOTSTRAP_MODEL", "bootstrap_local_llm_models", "load_agent_model"]

BOOTSTRAP_MODEL: Final = "Qwen/Qwen2.5-3B-Instruct"
"""6.2 GB, and no agent uses it."""
AGENT_MODEL: Final = "Qwen/Qwen2.5-1.5B-Instruct"
"""What the agents load at their first call, inside a request."""


def bootstrap_local_llm_models(environment: Mapping[str, str] | None = None) -> bool:
    """Download a model, blocking until the last byte is there; False where that failed, and the start goes on."""
    known = os.environ if environment is None else environment
    if known.get("RENDER") or known.get("RAILWAY_ENVIRONMENT"):
        return True
    verbose = known.get("ALWRITY_VERBOSE", "false").lower() == "true"
    try:
        from huggingface_hub import snapshot_download

        if verbose:
            print(f"Downloading {BOOTSTRAP_MODEL}")  # noqa: T201 - the historical script prints
        snapshot_download(repo_id=BOOTSTRAP_MODEL, repo_type="model")
    except Exception as error:  # noqa: BLE001 - as the historical script does
        if verbose:
            print(f"Model download failed: {error}")  # noqa: T201 - the historical script prints
        return False
    return True


def load_agent_model() -> str:
    """Get the model that an agent uses, as its first call does; return the directory. Raises the client's errors."""
    from huggingface_hub import snapshot_download

    return str(snapshot_download(repo_id=AGENT_MODEL, repo_type="model"))
