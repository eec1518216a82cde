"""Which files of a repository a model on this machine needs, and no others.

A repository may hold the same weights five times over, for runtimes that nobody here uses. What transformers reads is
chosen by name; a pickle is never among it, because loading one runs whatever code its author put there.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.reasons import Reason

if TYPE_CHECKING:
    from alwrity_checks.models.listing import Listing, RemoteFile

__all__ = ["CONFIG", "GENAI_CONFIG", "INDEX", "SINGLE", "is_pickle", "needed"]

CONFIG: Final = "config.json"
SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
GENAI_CONFIG: Final = "genai_config.json"
"""What marks a directory that onnxruntime-genai reads as it is."""

_SHARD: Final = re.compile(r"model-\d{1,6}-of-\d{1,6}\.safetensors")
_BESIDE: Final = re.compile(
    r"""
    (?: (?:generation_|tokenizer_|special_tokens_map|added_tokens|preprocessor_)? (?:config)? \.json
      | tokenizer [^/]* | vocab\.(?:json|txt) | merges\.txt | spiece\.model | sentencepiece\.bpe\.model
      | chat_template [^/]* | additional_chat_templates/ [^/]+ \.jinja
      | modules\.json | sentence_bert_config\.json | config_sentence_transformers\.json
      | \d_[A-Z][A-Za-z]*/(?:config\.json|model\.safetensors)
    )
    """,
    re.VERBOSE,
)
"""Configuration, tokenizer, chat template; and how sentence-transformers makes an embedding of the tokens' vectors."""
_ONNX: Final = re.compile(r"[^/]+\.onnx(?:[._]data[^/]*)?|[^/]+\.data")
_PICKLES: Final = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".h5", ".msgpack"}
)
"""What unpickles, or may (NumPy's files can hold objects), and other runtimes' weights: none of it is read here."""


def is_pickle(name: str) -> bool:
    """Say whether a file of that name may run code, or be of no use, when it is loaded."""
    return PurePosixPath(name).suffix.lower() in _PICKLES


def needed(listing: Listing) -> tuple[RemoteFile, ...]:
    """Return the files to download, the small ones first, so that what cannot be used is known early.

    Raises ModelUnavailable: PICKLE_ONLY where there are weights, and only as pickles; FILE_MISSING where there is no
    configuration, no weights that are read here, or a shard less than its name says.
    """
    names = {file.name: file for file in listing.files}
    weights = _weights(listing, names)
    if GENAI_CONFIG not in names and CONFIG not in names:
        raise _missing(listing, f"no {CONFIG}")
    beside = [
        file for name, file in names.items() if _BESIDE.fullmatch(name) and not is_pickle(name) and file not in weights
    ]
    return (*sorted(beside, key=lambda file: (file.size, file.name)), *weights)


def _weights(listing: Listing, names: dict[str, RemoteFile]) -> tuple[RemoteFile, ...]:
    """Return the weights, in the order in which transformers looks for them, and what says how they belong together."""
    if SINGLE in names:
        return (names[SINGLE],)
    if INDEX in names:
        shards = sorted(name for name in names if _SHARD.fullmatch(name))
        if not shards or len(shards) < int(shards[0].rpartition("-of-")[2].split(".")[0]):
            raise _missing(listing, f"{len(shards)} of the shards of its weights")
        return (names[INDEX], *(names[name] for name in shards))
    if GENAI_CONFIG in names and (graphs := sorted(name for name in names if _ONNX.fullmatch(name))):
        return (names[GENAI_CONFIG], *(names[name] for name in graphs))
    if pickles := sorted(name for name in names if is_pickle(name)):
        raise ModelUnavailable(
            Reason.PICKLE_ONLY,
            f"{listing.model} offers its weights only as {pickles[0]}: loading a pickle runs the code in it",
            "choose a model with safetensors, or a revision that has them (the hub's bot opens refs/pr/… for many)",
        )
    raise _missing(listing, f"no {SINGLE}")


def _missing(listing: Listing, what: str) -> ModelUnavailable:
    return ModelUnavailable(
        Reason.FILE_MISSING,
        f"{listing.model} has {what}, so transformers cannot read it",
        "choose the repository that holds the model itself, not one made for another runtime (GGUF, MLX, an adapter)",
    )
