"""Base URLs that cannot work, told from their text alone, and the one that can.

What follows the router's host is `/v1`, or `/{provider}` and the path of that provider's own API
(https://huggingface.co/docs/inference-providers; huggingface_hub 2.4, `inference/_providers`). The openai client adds
`/chat/completions` to whatever it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from alwrity_checks.hf.deployment import NO_CHAT, REMOVED_PROVIDERS
from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.redaction import scrub

__all__ = ["PROVIDER_PATHS", "ROUTER", "BaseUrlFault", "is_loopback", "is_router", "lint", "right_url"]

ROUTER: Final = "https://router.huggingface.co/v1"
"""The base URL for chat, whoever serves the model."""

PROVIDER_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("cerebras", "together", "nscale", "scaleway", "ovhcloud", "publicai", "featherless-ai", "baseten"), "v1"
    )
    | {
        "groq": "openai/v1",
        "fireworks-ai": "inference/v1",
        "novita": "v3/openai",
        "deepinfra": "v1/openai",
        "cohere": "compatibility/v1",
        "zai-org": "api/paas/v4",
    }
)
"""Provider -> what follows its name in the base URL of its own chat API; `model` is then the provider's own id."""

_HOST: Final = "router.huggingface.co"
_RETIRED_HOST: Final = "api-inference.huggingface.co"
_LOOPBACK: Final = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")
_SIBLINGS: Final = frozenset(
    {
        "huggingface.co",
        "hf.co",
        "api.huggingface.co",
        "inference.huggingface.co",
        "router.huggingface.com",
        "huggingface.com",
        "router.hf.co",
    }
)
"""Names next to the right one that are not it."""
_OPERATION: Final = re.compile(r"/(?:chat/completions|chat|completions|responses|models|embeddings)\Z", re.IGNORECASE)
_LONGEST_SHOWN: Final = 120
_QUOTES: Final = "'\"`\u201c\u201d\u2018\u2019<>"
_HOST_FIRST: Final = re.compile(r"[\w.-]+\.[a-z]{2,}(?::\d+)?(?:/|\Z)", re.IGNORECASE)
_FOREIGN: Final = frozenset({"openai", "api", "openai-compatible", "compatible-mode", "inference"})
"""First parts of the paths of other vendors' APIs."""


_Complaint: TypeAlias = tuple[Reason, str, bool]
"""A reason, its message, and whether it is fatal."""


@dataclass(frozen=True, slots=True)
class BaseUrlFault:
    """What is wrong with a base URL."""

    reason: Reason
    message: str
    right: str
    """A base URL without this fault and the others."""
    fatal: bool = True
    """Whether no request can succeed; otherwise the live answer decides."""


def lint(url: str) -> tuple[BaseUrlFault, ...]:
    """Return what is wrong with `url`, the gravest first; nothing for one that can work. Never raises.

    Another host than Hugging Face's can have any path: there only what the client itself adds is a sure fault.
    """
    tidy = url.strip().strip(_QUOTES).strip()
    if not tidy:
        return (BaseUrlFault(Reason.BASE_URL_MALFORMED, "it is empty", ROUTER),)
    without_scheme = _HOST_FIRST.match(tidy) is not None
    parts = _split(f"https://{tidy}" if without_scheme else tidy)
    if parts is None:
        return (BaseUrlFault(Reason.BASE_URL_MALFORMED, f"{_shown(url)!r} is not a URL", ROUTER),)
    complaints: list[_Complaint] = []
    if without_scheme:
        complaints.append((Reason.BASE_URL_MALFORMED, "it does not begin with https://", True))
    if foreign := _of_host(parts.hostname or ""):
        complaints.append(foreign)
        right = ROUTER
    else:
        path, found = _of_path(parts.path, of_router=parts.hostname == _HOST)
        complaints += found
        right = _joined(parts, path)
    complaints += _blemishes(url, parts)
    complaints.sort(key=lambda complaint: not complaint[2])
    return tuple(BaseUrlFault(reason, message, right, fatal) for reason, message, fatal in complaints)


def right_url(url: str) -> str:
    """Return the base URL to use instead of `url`; `url` itself if nothing is wrong with it."""
    faults = lint(url)
    return faults[0].right if faults else url


def is_loopback(url: str) -> bool:
    """Say whether `url` points to this machine. Never raises."""
    return _LOOPBACK.fullmatch(_host_of(url)) is not None


def is_router(url: str) -> bool:
    """Say whether `url` points to Hugging Face's own router. Never raises."""
    return _host_of(url) == _HOST


def _host_of(url: str) -> str:
    parts = _split(url)
    return (parts.hostname or "") if parts else ""


def _split(text: str) -> SplitResult | None:
    if any(character.isspace() or not character.isprintable() for character in text):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it is what finds a port that is none
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _of_host(host: str) -> _Complaint | None:
    if host == _RETIRED_HOST:
        return Reason.BASE_URL_HOST_RETIRED, f"{host} was retired; it answers 410", True
    if host in _SIBLINGS:
        return Reason.BASE_URL_HOST_WRONG, f"{_shown(host)} is not the router's host, {_HOST}", True
    return None


def _of_path(path: str, *, of_router: bool) -> tuple[str, list[_Complaint]]:
    """Return the path to use, and what is wrong with `path`."""
    complaints: list[_Complaint] = []
    path = path.rstrip("/")
    while operation := _OPERATION.search(path):
        message = f"the client adds {operation.group()} itself: the path is doubled"
        complaints.append((Reason.BASE_URL_PATH_DOUBLED, message, True))
        path = path[: operation.start()].rstrip("/")
    segments = [segment for segment in path.split("/") if segment]
    if not of_router:
        if segments[:1] == ["hf"]:
            complaints.append((Reason.BASE_URL_UNKNOWN_PROVIDER, "/hf/ is no path of the router's", False))
            return "/v1", complaints
        return f"/{'/'.join(segments)}" if segments else "", complaints
    right, reason, message = _of_router_path(segments)
    if reason:
        complaints.append((reason, message, True))
    return right, complaints


def _of_router_path(segments: Sequence[str]) -> tuple[str, Reason | None, str]:
    first, rest = (segments[0].lower(), "/".join(segments[1:])) if segments else ("", "")
    written, shown = f"/{'/'.join(segments)}", _shown(f"/{'/'.join(segments)}")
    if not first:
        return "/v1", Reason.BASE_URL_VERSION_MISSING, "/v1 is missing"
    if first == "v1":
        if rest:
            return "/v1", Reason.BASE_URL_MODEL_IN_PATH, f"a model is named in the body, not in the path: {shown}"
        return "/v1", None, ""
    if first in REMOVED_PROVIDERS:
        return "/v1", Reason.BASE_URL_PROVIDER_REMOVED, f"the provider {first} was removed on 2026-07-01"
    if first in PROVIDER_PATHS:
        own = PROVIDER_PATHS[first]
        if rest == own:
            return written, None, ""
        message = f"{first}'s own path is /{first}/{own} (with its own ids of models); through /v1 it is model:{first}"
        return "/v1", Reason.BASE_URL_PROVIDER_PATH, message
    if first == "hf-inference":
        return _of_hf_inference(written, rest)
    if first in NO_CHAT:
        return "/v1", Reason.BASE_URL_PROVIDER_PATH, f"{first} serves no chat models"
    if first in _FOREIGN:
        return "/v1", Reason.BASE_URL_FOREIGN_GRAMMAR, f"{shown} is the path of another vendor's API"
    return "/v1", Reason.BASE_URL_UNKNOWN_PROVIDER, f"{_shown(first)!r} is not a provider, so {shown} is no route"


def _of_hf_inference(written: str, rest: str) -> tuple[str, Reason | None, str]:
    if re.fullmatch(r"models/[^/]+(?:/[^/]+)?/v1", rest):
        return written, None, ""
    if re.fullmatch(r"models/[^/]+(?:/[^/]+)?", rest):
        return f"{written}/v1", Reason.BASE_URL_VERSION_MISSING, "/v1 is missing after the model"
    message = "hf-inference needs the model in the path: /hf-inference/models/{id}/v1"
    return "/v1", Reason.BASE_URL_PROVIDER_PATH, message


def _blemishes(url: str, parts: SplitResult) -> Iterator[_Complaint]:
    host = parts.hostname or ""
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        yield Reason.BASE_URL_INSECURE, "http:// sends the token in the clear", False
    tidied = url.strip()
    found = {
        "blanks around it": url != tidied,
        "quotation marks": tidied != tidied.strip(_QUOTES),
        "a user name": parts.username is not None,
        "a query or fragment": bool(parts.query or parts.fragment),
    }
    if any(found.values()):
        held = " and ".join(words for words, holds in found.items() if holds)
        yield Reason.BASE_URL_UNTIDY, f"there are {held}" if held.startswith("blanks") else f"it holds {held}", False


def _joined(parts: SplitResult, path: str) -> str:
    host = parts.hostname or ""
    if host == _HOST:
        return f"https://{host}{path}"
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}{'' if parts.port is None else f':{parts.port}'}{path}"


def _shown(text: str) -> str:
    text = scrub(text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
