"""Where each setting came from.

Precedence is the backend's own (python-dotenv without override): a flag, then the process environment, then the .env
files in the order given. A variable that is set to nothing is set: it hides what comes after it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import Location, LocationKind
from alwrity_checks.redaction import Secret, scrub

__all__ = ["Setting", "Settings", "Source", "wrap"]

PUBLIC: Final = frozenset(
    {
        "ALLOW_UNVERIFIED_JWT_DEV",
        "ALWRITY_TXTAI_DIR",
        "ALWRITY_TXTAI_ENCODER",
        "ALWRITY_TXTAI_MODEL",
        "APP_ENV",
        "CLERK_API_URL",
        "CLERK_API_VERSION",
        "CLERK_AUTHORIZED_PARTIES",
        "CLERK_DOMAIN",
        "CLERK_IS_SATELLITE",
        "CLERK_PROXY_URL",
        "DEPLOY_ENV",
        "DISABLE_AUTH",
        "ENV",
        "ENVIRONMENT",
        "GPT_PROVIDER",
        "HF_CHAIN_FILE",
        "HF_ENDPOINT",
        "HF_FALLBACK_MODELS",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_ROUTER_BASE_URL",
        "HUGGINGFACE_HUB_CACHE",
        "REACT_APP_CLERK_JWT_TEMPLATE",
        "REACT_APP_ENVIRONMENT",
        "SIF_AGENT_FALLBACK_MODELS",
        "SIF_AGENT_MODEL",
        "SIF_AGENT_PRECISION",
        "SIF_AGENT_RUNTIME",
        "SIF_EMBEDDINGS_MODEL",
        "SIF_FAIL_FAST",
        "TEXTGEN_AI_MODELS",
        "TRANSFORMERS_OFFLINE",
    }
)
"""Settings whose value is shown: none of them opens anything. A value's shape can still get it scrubbed."""

_LARGEST_ENV_FILE: Final = 1 << 20


class Source(StrEnum):
    """Where a setting came from."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    LITERAL = "source literal"
    """The code of a checkout, which no setting overrules."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's value, and where it came from."""

    name: str
    value: Secret
    source: Source
    location: Location

    @property
    def shown(self) -> str:
        """The value if its name says that it is public and its form does not say otherwise, else its mask."""
        return scrub(self.value.reveal()) if self.name in PUBLIC else repr(self.value)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a backend, by name, the effective source first."""

    flags: Mapping[str, Setting]
    environment: Mapping[str, str] = field(repr=False)
    """The process environment: wrapped only where it is asked for, most of it is nobody's business."""
    dotenv: tuple[Mapping[str, Setting], ...] = ()
    files: tuple[Path, ...] = ()
    """The .env files that were read."""

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str] | None = None,
        env_files: Iterable[Path] = (),
        flags: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read the process environment (or `environment`) and `env_files`.

        Raises ConfigurationError for a file that cannot be read, is larger than 1 MiB or is not UTF-8 text.
        """
        environment = os.environ if environment is None else environment
        files = tuple(env_files)
        given = {
            name: Setting(name, wrap(name, value), Source.FLAG, Location(LocationKind.FLAG, name))
            for name, value in (flags or {}).items()
        }
        return cls(given, environment, tuple(_read(path, environment) for path in files), files)

    def get(self, *names: str) -> Setting | None:
        """Return the effective setting of the first of `names` that is set at all."""
        for name in names:
            if name in self.flags:
                return self.flags[name]
            if name in self.environment:
                value, location = wrap(name, self.environment[name]), Location(LocationKind.ENVIRONMENT, name)
                return Setting(name, value, Source.ENVIRONMENT, location)
            for layer in self.dotenv:
                if name in layer:
                    return layer[name]
        return None

    def every(self, *names: str) -> tuple[Setting, ...]:
        """Return the effective setting of each of `names` that is set, in the order of `names`."""
        return tuple(setting for name in names if (setting := self.get(name)))

    def text(self, name: str, default: str = "") -> str:
        """Return the effective value of `name`, or `default`."""
        setting = self.get(name)
        return default if setting is None else setting.value.reveal()


def wrap(name: str, value: str) -> Secret:
    """Return a setting's value as a secret; one that is public is not cut out of other texts."""
    return Secret(value, scrubbed=name not in PUBLIC and "PUBLISHABLE" not in name)


def _read(path: Path, environment: Mapping[str, str]) -> dict[str, Setting]:
    from dotenv.main import DotEnv
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    try:
        if path.stat().st_size > _LARGEST_ENV_FILE:
            raise ConfigurationError(f"{path} is larger than 1 MiB: not a .env file", "name the .env file itself")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", "name a readable .env file") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is not UTF-8 text", "save it as UTF-8; the backend reads it so too"
        ) from error
    lines = {
        # What stands between two settings, blank lines too, belongs to the second.
        binding.key: binding.original.line + blank.group().count("\n")
        for binding in parse_stream(StringIO(text))
        if binding.key and (blank := re.match(r"\s*(?=\S)", binding.original.string))
    }
    values: dict[str, str | None] = {}
    for name, value in DotEnv(None, StringIO(text), interpolate=False).dict().items():
        # As the backend's load_dotenv does: a name in ${} means the process's variable first.
        known = values | dict(environment)
        values[name] = None if value is None else "".join(atom.resolve(known) for atom in parse_variables(value))
    return {
        name: Setting(name, wrap(name, value), Source.DOTENV, Location(LocationKind.FILE, str(path), lines.get(name)))
        for name, value in values.items()
        if value is not None
    }
