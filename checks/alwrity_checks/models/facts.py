"""What is known of a model before a byte of its weights is downloaded: from where it lies, or from some kilobytes.

Looked for in this order: a directory, the hub's cache, the hub (by ranges, at most 200 kB), and what is known of the
models that ALwrity names (`known.toml`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache as cached
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from alwrity_checks.models.cache import cached_snapshot
from alwrity_checks.models.errors import LoadFailed, ModelUnavailable
from alwrity_checks.models.listing import is_model_name
from alwrity_checks.models.model_card import Card, read_card, template_kind
from alwrity_checks.models.needed import CONFIG, GENAI_CONFIG, INDEX, SINGLE, needed
from alwrity_checks.models.ranges import LARGEST_READ, Ranges, TooMuch, weights_on_hub
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.shape import LARGEST_CONFIG, Shape, read_config
from alwrity_checks.models.steps import Precision
from alwrity_checks.models.weights import Weights, weights_in
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.hub import Hub

__all__ = ["LARGEST_READ", "ModelFacts", "find_facts", "known_models"]

_CARD: Final = 2048
"""Bytes: the head of a model card stands at its beginning."""
_LARGEST_TEMPLATE: Final = 16_384
_TOKENIZER: Final = "tokenizer.json"
_GRAPH: Final = re.compile(r"[^/]+\.onnx(?:[._]data[^/]*)?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_NO_WEIGHTS: Final = Weights({}, 0, 0, 0, 0)
"""Of a directory that only onnxruntime-genai reads."""
_STILL_KNOWN: Final = frozenset(
    {Reason.HUB_OFFLINE, Reason.HUB_UNREACHABLE, Reason.HUB_RATE_LIMITED, Reason.HUB_UNAUTHORISED, Reason.HUB_ERROR}
)
"""Why a hub may say nothing of a model that exists."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a prediction is made from."""

    model: str
    """A name on the hub, or a directory."""
    revision: str | None
    """The commit; None for a directory, and for what is known without one."""
    origin: Literal["directory", "cache", "hub", "catalogue"]
    shape: Shape
    weights: Weights
    tokenizer_bytes: int
    """Bytes of `tokenizer.json`; 0 where there is none."""
    download_bytes: int
    """Bytes that are still to be downloaded; 0 for what is on this machine."""
    bytes_read: int = 0
    """Bytes that were read from the hub to know this."""
    licence: str | None = None
    """As the model card names it; None where nobody says."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes, of the model card."""
    template: str | None = None
    """How a conversation is written: `chatml`, `zephyr`, `other`; None where the model has no template."""
    commercial_use: bool = True
    """False where the licence is known to forbid it."""
    directory: Path | None = None
    """Where the files are, if they are on this machine."""
    converted_bytes: int | None = None
    """Bytes of the int4 graph for onnxruntime-genai, where there is one on this machine."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, such as why the hub was not heard."""


def find_facts(model: str, *, hub: Hub | None, cache: Path | None = None) -> ModelFacts:
    """Return what is known of `model`, a name on the hub or a directory. Blocks; reads at most 200 kB from `hub`.

    `hub` None asks nobody. `cache` is huggingface_hub's cache, by default the one of the environment.

    Raises ModelUnavailable: MODEL_NAME_INVALID, PICKLE_ONLY, MODEL_UNKNOWN, MODEL_GATED, …, as the hub answered, and
    HUB_OFFLINE where it was not asked; LoadFailed: CONFIG_UNUSABLE, ARCHITECTURE_UNSUPPORTED, FILE_MISSING,
    FILE_TRUNCATED, FILE_CORRUPT for files that are here or there and cannot be used.
    """
    directory = Path(model).expanduser()
    if model and (model.startswith((".", "/", "~", "\\")) or directory.is_absolute() or directory.is_dir()):
        if not directory.is_dir():
            raise ModelUnavailable(
                Reason.MODEL_NAME_INVALID, f"the model directory {scrub(model)!r:.200} does not exist", "correct it"
            )
        return _of_directory(model, directory, "directory")
    if not is_model_name(model):
        raise ModelUnavailable(
            Reason.MODEL_NAME_INVALID,
            f"{scrub(model)!r:.200} is no name of a model on the hub",
            "write OWNER/NAME, such as Qwen/Qwen2.5-0.5B-Instruct, or the path of a directory, such as ./model",
        )
    snapshot = cached_snapshot(model, cache)
    if snapshot is not None:
        return _of_directory(model, snapshot, "cache")
    return _of_hub_or_catalogue(model, hub)


@cached
def known_models() -> Mapping[str, ModelFacts]:
    """Return the models that ALwrity names, by name, as they are published."""
    document = tomllib.loads(files("alwrity_checks.models").joinpath("known.toml").read_text("utf-8"))
    return {entry["name"]: _known(entry) for entry in document["model"]}


def _known(entry: Mapping[str, Any]) -> ModelFacts:
    shape, told = Shape.from_config(entry["config"]), entry["weights"]
    precision, other = Precision(told["precision"]), told.get("other", 0)
    weights = Weights(
        {precision: shape.parameters * precision.bits // 8},
        other,
        told["tensors"],
        sum(told["files"]),
        len(told["files"]),
    )
    return ModelFacts(
        model=entry["name"],
        revision=None,
        origin="catalogue",
        shape=shape,
        weights=weights,
        tokenizer_bytes=entry["tokenizer_bytes"],
        download_bytes=weights.file_bytes + entry["tokenizer_bytes"],
        licence=entry["licence"],
        languages=tuple(entry["languages"]),
        template=entry.get("template"),
        commercial_use=entry.get("commercial_use", True),
    )


def _of_hub_or_catalogue(model: str, hub: Hub | None) -> ModelFacts:
    known = known_models().get(model)
    if hub is None:
        if known is not None:
            return replace(known, notes=("no hub was asked: these are the figures as they were published",))
        raise ModelUnavailable(
            Reason.HUB_OFFLINE,
            f"{model} is not on this machine, and no hub was asked",
            f"download it (alwrity-doctor models pull {model}), or name its directory",
        )
    try:
        return _of_hub(model, hub)
    except ModelUnavailable as error:
        if known is None or error.reason not in _STILL_KNOWN:
            raise
        return replace(known, notes=(f"the figures as they were published, because {error.diagnosis}",))


def _of_directory(model: str, directory: Path, origin: Literal["directory", "cache"]) -> ModelFacts:
    ready = (directory / GENAI_CONFIG).is_file() and not any((directory / name).is_file() for name in (SINGLE, INDEX))
    genai = ready and not (directory / CONFIG).is_file()
    try:
        path = directory / (GENAI_CONFIG if genai else CONFIG)
        config = read_config(_bounded(path, LARGEST_CONFIG + 1), str(path))
        shape = Shape.from_genai(config) if genai else Shape.from_config(config)
    except FileNotFoundError:
        raise LoadFailed(
            Reason.FILE_MISSING, f"{directory / CONFIG} is missing", "name the directory of a transformers model"
        ) from None
    except OSError as error:
        raise LoadFailed(
            Reason.LOAD_FAILED, f"{directory / CONFIG} cannot be read: {error.strerror}", "see who may read it"
        ) from error
    if not ready:
        _refuse_pickles(directory)
    tokenizer = directory / _TOKENIZER
    told = {
        name: _quietly(directory / name, _LARGEST_TEMPLATE)
        for name in ("tokenizer_config.json", "chat_template.jinja", "chat_template.json")
    }
    facts = ModelFacts(
        model=model,
        revision=directory.name if origin == "cache" and _COMMIT.fullmatch(directory.name) else None,
        origin=origin,
        shape=shape,
        weights=_NO_WEIGHTS if ready else weights_in(directory),
        tokenizer_bytes=tokenizer.stat().st_size if tokenizer.is_file() else 0,
        download_bytes=0,
        template=template_kind(b"".join(told.values())),
        directory=directory,
        converted_bytes=_converted_bytes(directory),
    )
    return _with_card(facts, read_card(_quietly(directory / "README.md", _CARD)))


def _converted_bytes(directory: Path) -> int | None:
    """Return the bytes of the int4 graph that `directory` holds, or was converted to before."""
    from alwrity_checks.models.conversion import converted

    try:
        found = converted(directory)
        if found is None:
            return None
        return sum(one.stat().st_size for one in found.iterdir() if _GRAPH.fullmatch(one.name)) or None
    except OSError:
        return None


def _refuse_pickles(directory: Path) -> None:
    if (directory / SINGLE).is_file() or (directory / INDEX).is_file():
        return
    if pickles := sorted(one.name for pattern in ("*.bin", "*.pt", "*.pth") for one in directory.glob(pattern)):
        raise ModelUnavailable(
            Reason.PICKLE_ONLY,
            f"{directory} has its weights only as {pickles[0]}: loading a pickle runs the code in it",
            "choose a model with safetensors, or convert this one where running its code does no harm",
        )


def _of_hub(model: str, hub: Hub) -> ModelFacts:
    ranges = Ranges(hub, model)
    wanted = needed(ranges.listing)
    graphs = sum(file.size for file in wanted if _GRAPH.fullmatch(file.name))
    name = CONFIG if ranges.size(CONFIG) else GENAI_CONFIG
    try:
        config = read_config(ranges.whole(name), f"the {name} of {model}")
    except TooMuch:
        raise LoadFailed(
            Reason.CONFIG_UNUSABLE, f"the {name} of {model} is larger than a configuration is", "choose another model"
        ) from None
    shape = Shape.from_config(config) if name == CONFIG else Shape.from_genai(config)
    sizes = {file.name: file.size for file in wanted if file.name.endswith(".safetensors") and "/" not in file.name}
    weights = weights_on_hub(ranges, sizes, shape) if sizes else _NO_WEIGHTS
    templates = ranges.beginning("chat_template.jinja", _LARGEST_TEMPLATE) or ranges.beginning(
        "tokenizer_config.json", _LARGEST_TEMPLATE
    )
    card = read_card(ranges.beginning("README.md", _CARD))
    facts = ModelFacts(
        model=model,
        revision=ranges.listing.revision,
        origin="hub",
        shape=shape,
        weights=weights,
        tokenizer_bytes=ranges.size(_TOKENIZER),
        download_bytes=sum(file.size for file in wanted),
        bytes_read=ranges.spent,
        template=template_kind(templates),
        converted_bytes=graphs if graphs and not sizes else None,
        notes=() if weights.exact else ("the weights are told by the sizes of the files alone",),
    )
    return _with_card(facts, card)


def _with_card(facts: ModelFacts, card: Card) -> ModelFacts:
    """Add what a model card says; what is known of the model by name holds where it says nothing."""
    known = known_models().get(facts.model)
    if known is None:
        return replace(facts, licence=card.licence, languages=card.languages)
    return replace(
        facts,
        licence=known.licence,
        languages=known.languages,
        template=facts.template or known.template,
        commercial_use=known.commercial_use,
    )


def _bounded(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def _quietly(path: Path, most: int) -> bytes:
    """Return the beginning of a file that is only of interest; nothing where there is none."""
    try:
        return _bounded(path, most)
    except OSError:
        return b""
