"""Why a model cannot be had, loaded or used. The value is the reason code that rules.toml assigns to a rule."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """One cause; each has its own remedy."""

    # What is asked for.
    SETTING_INVALID = "setting-invalid"
    MODEL_NAME_INVALID = "model-name-invalid"
    EXTRA_MISSING = "extra-missing"

    # The hub and the way to it.
    HUB_UNREACHABLE = "hub-unreachable"
    HUB_OFFLINE = "hub-offline"
    """Offline mode is set, and the model is not on this machine."""
    HUB_RATE_LIMITED = "hub-rate-limited"
    HUB_UNAUTHORISED = "hub-unauthorised"
    HUB_ERROR = "hub-error"
    """The hub answered something that is none of the others."""
    MODEL_UNKNOWN = "model-unknown"
    MODEL_GATED = "model-gated"
    REVISION_UNKNOWN = "revision-unknown"
    PICKLE_ONLY = "pickle-only"
    """The repository has no safetensors; loading a pickle runs its code."""
    DOWNLOAD_STALLED = "download-stalled"
    DOWNLOAD_BROKEN = "download-broken"
    """What arrived is not what the hub announced."""

    # The disk.
    DISK_FULL = "disk-full"
    CACHE_READ_ONLY = "cache-read-only"
    FILE_MISSING = "file-missing"
    FILE_TRUNCATED = "file-truncated"
    FILE_CORRUPT = "file-corrupt"

    # The model in this process.
    CONFIG_UNUSABLE = "config-unusable"
    ARCHITECTURE_UNSUPPORTED = "architecture-unsupported"
    DOES_NOT_FIT = "does-not-fit"
    """Predicted to need more memory than there is: it was not tried."""
    OUT_OF_MEMORY = "out-of-memory"
    REHEARSAL_DIED = "rehearsal-died"
    """The child in which the load was rehearsed was killed."""
    CONVERSION_FAILED = "conversion-failed"
    LOAD_FAILED = "load-failed"
    """Loading raised something that is none of the others."""
    CHAIN_EXHAUSTED = "chain-exhausted"

    # The answer.
    PROMPT_TOO_LONG = "prompt-too-long"
    SCHEMA_INVALID = "schema-invalid"
    SCHEMA_UNSUPPORTED = "schema-without-grammar"
    """Valid, but no grammar can be made of it."""
    ANSWER_TRUNCATED = "answer-truncated"
    ANSWER_INVALID = "answer-invalid"
