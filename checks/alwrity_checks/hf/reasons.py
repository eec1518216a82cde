"""What can be wrong with the settings, before anything is asked. The causes of answers are in `causes.py`."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ConfigurationReason"]


class ConfigurationReason(StrEnum):
    """Why a setting is unusable or doubtful. The value is the reason code that rules.toml assigns to a rule."""

    BASE_URL_MALFORMED = "base-url-malformed"
    BASE_URL_HOST_RETIRED = "base-url-host-retired"
    BASE_URL_HOST_WRONG = "base-url-host-wrong"
    BASE_URL_INSECURE = "base-url-insecure"
    BASE_URL_UNTIDY = "base-url-untidy"
    BASE_URL_UNKNOWN_PROVIDER = "base-url-unknown-provider"
    BASE_URL_VERSION_MISSING = "base-url-version-missing"
    BASE_URL_PATH_DOUBLED = "base-url-path-doubled"
    BASE_URL_FOREIGN_GRAMMAR = "base-url-foreign-grammar"
    BASE_URL_MODEL_IN_PATH = "base-url-model-in-path"
    BASE_URL_PROVIDER_PATH = "base-url-provider-path"
    BASE_URL_PROVIDER_REMOVED = "base-url-provider-removed"
    TOKEN_MISSING = "token-missing"  # noqa: S105 - a code
    TOKEN_WRAPPED = "token-wrapped"  # noqa: S105 - a code
    TOKEN_PLACEHOLDER = "token-placeholder"  # noqa: S105 - a code
    TOKEN_FOREIGN = "token-foreign"  # noqa: S105 - a code
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105 - a code
