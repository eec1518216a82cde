"""What the commands of `hf` share: where they ask, with which token, and which models the backend names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.hf.named_models import NamedModel
    from alwrity_checks.hf.source_names import Named
    from alwrity_checks.settings import Settings

__all__ = [
    "BaseUrlOption",
    "CheckoutOption",
    "ConcurrencyOption",
    "MaxCostOption",
    "MaxRequestsOption",
    "ModelsArgument",
    "TimeoutOption",
    "TokenFileOption",
    "code_of",
    "load_settings",
    "models_of",
    "read_schema",
    "refuse_stray",
]

BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Where to ask.  [default: HF_ROUTER_BASE_URL, else https://router.huggingface.co/v1]",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="F", help="Read the token from this file.  [default: HF_TOKEN]"),
]

ModelsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL[:PROVIDER]]...",
        help="Without a provider: each one that is live.  [default: those that the backend's settings and code name]",
        show_default=False,
    ),
]
CheckoutOption = Annotated[
    Path | None,
    typer.Option(
        "--backend",
        metavar="DIR",
        help="Take base URL and models from the code of this checkout of ALwrity: its root, or backend/.",
    ),
]
ConcurrencyOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=32, help="Requests at a time; never two to one provider.")
]
MaxRequestsOption = Annotated[int, typer.Option(metavar="N", min=1, help="Make no more requests than this.")]
MaxCostOption = Annotated[
    float | None, typer.Option(metavar="USD", min=0, help="Spend no more, by the catalogue's prices.")
]
TimeoutOption = Annotated[float, typer.Option(metavar="S", min=0.1, help="Seconds for one request.")]

_LARGEST_TOKEN: Final = 1 << 14
_LARGEST_SCHEMA: Final = 1 << 20


def code_of(checkout: Path | None) -> Named | None:
    """Return what the code of the checkout names; None if none is named.

    Raises ConfigurationError where there is no checkout, CannotCheck where its code does not tell.
    """
    if checkout is None:
        return None
    from alwrity_checks.backend.checkout import find_checkout
    from alwrity_checks.hf.source_names import named_in

    return named_in(find_checkout(checkout).backend)


def load_settings(
    env_files: Sequence[Path], base_url: str | None, token_file: Path | None, code: Named | None = None
) -> Settings:
    """Return the backend's settings, with what the command line says before them.

    The base URL in a checkout's code counts before a setting, which that code does not read. Raises ConfigurationError
    for a file that cannot be read.
    """
    from dataclasses import replace

    from alwrity_checks.hf.router import BASE_URL_NAMES, TOKEN_NAMES
    from alwrity_checks.model import Location, LocationKind
    from alwrity_checks.redaction import Secret
    from alwrity_checks.settings import Setting, Settings, Source

    flags = {}
    if base_url is not None:
        name, where = BASE_URL_NAMES[0], Location(LocationKind.FLAG, "--base-url")
        flags[name] = Setting(name, Secret(base_url, scrubbed=False), Source.FLAG, where)
    elif code is not None and code.base_urls:
        name, (url, where) = BASE_URL_NAMES[0], code.base_urls[0]
        flags[name] = Setting(name, Secret(url, scrubbed=False), Source.LITERAL, where)
    if token_file is not None:
        name, where = TOKEN_NAMES[0], Location(LocationKind.FILE, str(token_file))
        flags[name] = Setting(name, Secret(_text(token_file, _LARGEST_TOKEN).strip()), Source.FLAG, where)
    return replace(Settings.load(env_files=env_files), flags=flags)


def models_of(given: Sequence[str] | None, settings: Settings, code: Named | None = None) -> tuple[NamedModel, ...]:
    """Return the deployments that are asked for: those of the command line, or else the backend's.

    Raises ConfigurationError for an argument that names no deployment.
    """
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.named_models import NamedModel, models_named
    from alwrity_checks.redaction import scrub

    if not given:
        return models_named(settings, code.models if code is not None else ())
    if any(scrub(one) != one for one in given):
        raise ConfigurationError("a MODEL looks like a token", "set HF_TOKEN, or pass --token-file F")
    return tuple(NamedModel(str(Deployment.parse(one)), "the command line") for one in dict.fromkeys(given))


def refuse_stray(settings: Settings) -> None:
    """Raise ConfigurationError where a .env file would send a token from elsewhere to an address of its own."""
    from alwrity_checks.hf.hub import stray_destination

    stray = stray_destination(settings)
    if stray is not None:
        raise ConfigurationError(
            f"{stray.name} comes from {stray.location}, the token from elsewhere: it is not sent there",
            "set both in one place, or confirm the base URL with --base-url",
        )


def read_schema(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds; a contract refuses what is no schema
    """Return the JSON document in a file. Raises ConfigurationError where it cannot be read or is none."""
    text = _text(path, _LARGEST_SCHEMA)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not JSON: {error}", "name a file that holds a JSON Schema") from None


def _text(path: Path, largest: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", "name a readable file") from error
    if len(data) > largest:
        raise ConfigurationError(f"{path} is larger than {largest >> 10} KiB", "name the right file")
    return data.decode("utf-8-sig", "replace")
