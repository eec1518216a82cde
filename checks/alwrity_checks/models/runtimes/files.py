"""A model's directory, looked at before a library reads it: what is wrong with it is then said in our words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alwrity_checks.models.errors import LoadFailed, ModelUnavailable
from alwrity_checks.models.needed import CONFIG, GENAI_CONFIG, INDEX, SINGLE, is_pickle
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import remedy
from alwrity_checks.models.weights import Weights, weights_in

__all__ = ["checked_weights", "ends_of", "read_json"]


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`. Raises LoadFailed: FILE_MISSING, or CONFIG_UNUSABLE for what is no object."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise LoadFailed(Reason.FILE_MISSING, f"{path} is missing", remedy(Reason.FILE_MISSING)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise LoadFailed(
            Reason.CONFIG_UNUSABLE, f"{path} cannot be read: {error}", remedy(Reason.CONFIG_UNUSABLE)
        ) from None
    if not isinstance(found, dict):
        raise LoadFailed(Reason.CONFIG_UNUSABLE, f"{path} holds no JSON object", remedy(Reason.CONFIG_UNUSABLE))
    return found


def checked_weights(directory: Path) -> Weights:
    """Return the weights in `directory`, whose files are as long as their headers say; reads the headers alone.

    Raises ModelUnavailable, PICKLE_ONLY, for a directory that holds only pickles; LoadFailed: FILE_MISSING,
    FILE_TRUNCATED, FILE_CORRUPT.
    """
    if not any((directory / name).is_file() for name in (SINGLE, INDEX)) and directory.is_dir():
        pickles = sorted(path.name for path in directory.iterdir() if is_pickle(path.name))
        if pickles:
            raise ModelUnavailable(
                Reason.PICKLE_ONLY,
                f"{directory} has no safetensors, only {', '.join(pickles[:3])}: loading a pickle runs the code in it",
                "choose a model that is published as safetensors: alwrity-doctor models list",
            )
    return weights_in(directory)


def ends_of(directory: Path) -> frozenset[int]:
    """Return the tokens at which the model ends an answer; empty where none of its files says."""
    for name in ("generation_config.json", GENAI_CONFIG, CONFIG):
        if not (directory / name).is_file():
            continue
        found: Any = read_json(directory / name)
        found = found.get("model") if name == GENAI_CONFIG else found
        ends = found.get("eos_token_id") if isinstance(found, dict) else None
        ends = ends if isinstance(ends, list) else [ends]
        if numbers := frozenset(end for end in ends if isinstance(end, int) and not isinstance(end, bool)):
            return numbers
    return frozenset()
