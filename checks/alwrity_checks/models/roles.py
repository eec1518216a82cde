"""What models are for: a role's chain of steps, by default and by setting.

SIF_AGENT_MODEL             the first model of the agents: a name on the hub, or a directory
SIF_AGENT_FALLBACK_MODELS   what follows it, separated by commas; set to nothing: no fallback
SIF_AGENT_RUNTIME           transformers or onnxruntime-genai; unset: what is installed, the faster one first
SIF_AGENT_PRECISION         float32, bfloat16, float16 or int4; unset: what the runtime and the processor do best
SIF_EMBEDDINGS_MODEL        the model of the embeddings; ALWRITY_TXTAI_MODEL counts where it is unset
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime, Step

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting, Settings

__all__ = ["AGENT", "EMBEDDINGS", "SETTINGS", "Candidate", "Role", "checked_name", "roles"]

AGENT: Final = "agent"
EMBEDDINGS: Final = "embeddings"

SETTINGS: Final = (
    "SIF_AGENT_MODEL",
    "SIF_AGENT_FALLBACK_MODELS",
    "SIF_AGENT_RUNTIME",
    "SIF_AGENT_PRECISION",
    "SIF_EMBEDDINGS_MODEL",
    "ALWRITY_TXTAI_MODEL",
)
"""Every setting that chooses a model."""

_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
"""One part of a name on the hub; huggingface_hub's own rule."""
_RUNTIMES: Final = {
    "transformers": Runtime.TRANSFORMERS,
    "onnxruntime-genai": Runtime.ONNX,
    "onnx": Runtime.ONNX,
}
_WORKS: Final[Mapping[Runtime, tuple[Precision, ...]]] = {
    Runtime.ONNX: (Precision.INT4,),
    Runtime.TRANSFORMERS: (Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16),
}
"""In which precisions a runtime carries models out."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place in a chain, before it is known what is installed and what the processor can do."""

    model: str
    runtime: Runtime | None = None
    """None: every one that is installed."""
    precision: Precision | None = None
    """None: what the runtime and the processor do best."""


@dataclass(frozen=True, slots=True)
class Role:
    """What models are used for, and which ones, in the order of preference."""

    name: str
    purpose: str
    context: int
    """Tokens, prompt and answer together, for which memory is planned."""
    candidates: tuple[Candidate, ...]
    settings: tuple[Setting, ...] = ()
    """The settings that made the chain what it is; none: it is the default."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models by name, each once, the preferred one first."""
        return tuple(dict.fromkeys(one.model for one in self.candidates))

    def steps(self, installed: Collection[Runtime], *, native_bfloat16: bool) -> tuple[Step, ...]:
        """Return the chain on a machine: the steps of the faster runtime first, each step once.

        A step whose runtime is missing is left out, unless that leaves nothing: then the chain says what is missing.
        """
        wanted = tuple(self._every(native_bfloat16=native_bfloat16))
        return tuple(one for one in wanted if one.runtime in installed) or wanted

    def preferring(self, model: str) -> Role:
        """Return the same role with `model` before all others. Raises ModelError for a name that is none."""
        others = (one for one in self.candidates if one.model != model)
        return replace(self, candidates=(Candidate(checked_name(model)), *others))

    def _every(self, *, native_bfloat16: bool) -> Iterator[Step]:
        seen = set()
        for runtime in (Runtime.ONNX, Runtime.TRANSFORMERS):
            for one in self.candidates:
                if one.runtime not in {None, runtime}:
                    continue
                for precision in _precisions(runtime, one.precision, native_bfloat16=native_bfloat16):
                    step = Step(one.model, runtime, precision)
                    if step not in seen:
                        seen.add(step)
                        yield step


def _precisions(runtime: Runtime, wanted: Precision | None, *, native_bfloat16: bool) -> tuple[Precision, ...]:
    """Return the precisions to try, the better first and each lighter than the one before."""
    if wanted is not None:
        return (wanted,) if wanted in _WORKS[runtime] else ()
    if runtime is Runtime.ONNX:
        return (Precision.INT4,)
    # Without native bfloat16 a prompt of 128 tokens takes 4.6 s instead of 0.8: a model in float32 is worth its memory.
    return (Precision.BFLOAT16,) if native_bfloat16 else (Precision.FLOAT32, Precision.BFLOAT16)


def roles(settings: Settings) -> Mapping[str, Role]:
    """Return every role by its name, as the settings want it.

    Raises ModelError, SETTING_INVALID or MODEL_NAME_INVALID, with the setting and where it came from.
    """
    defaults = _defaults()
    return {AGENT: _agent(defaults[AGENT], settings), EMBEDDINGS: _embeddings(defaults[EMBEDDINGS], settings)}


def checked_name(model: str, setting: Setting | None = None) -> str:
    """Return a model's name, or its directory made absolute. Raises ModelError, MODEL_NAME_INVALID, for anything else.

    A directory is told by its beginning (`/`, `.`, `~`, a drive) or by being there.
    """
    name = model.strip()
    where = "" if setting is None else f" ({setting.name}, from {setting.location})"
    path = _expanded(name) if name and "\0" not in name else Path()
    looks_like_a_path = name.startswith((".", "/", "~", "\\")) or path.is_absolute()
    parts = name.split("/")
    if name and (looks_like_a_path or (len(parts) > 1 and path.is_dir())):
        if path.is_dir():
            return str(path.resolve())
        raise ModelError(
            Reason.MODEL_NAME_INVALID, f"the model directory {name!r:.200} does not exist{where}", "correct the path"
        )
    if len(parts) > 2 or "--" in name or ".." in name or not all(map(_NAME.fullmatch, parts)):  # noqa: PLR2004 - owner and name
        raise ModelError(
            Reason.MODEL_NAME_INVALID,
            f"{name!r:.200} is no name of a model on the hub{where}" if name else f"the model's name is empty{where}",
            "write OWNER/NAME, such as Qwen/Qwen2.5-0.5B-Instruct, or the path of a directory, such as ./model",
        )
    return name


@cache
def _defaults() -> Mapping[str, Role]:
    document = tomllib.loads(files("alwrity_checks.models").joinpath("chains.toml").read_text("utf-8"))
    return {
        name: Role(name, one["purpose"], one["context"], _candidates(one["step"])) for name, one in document.items()
    }


def _candidates(entries: Iterable[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            one["model"],
            Runtime(one["runtime"]) if "runtime" in one else None,
            Precision(one["precision"]) if "precision" in one else None,
        )
        for one in entries
    )


def _agent(default: Role, settings: Settings) -> Role:
    first, others = settings.get("SIF_AGENT_MODEL"), settings.get("SIF_AGENT_FALLBACK_MODELS")
    runtime, precision = _runtime(settings), _precision(settings)
    _refuse_impossible(settings, runtime, precision)
    chain = list(default.candidates)
    if _given(first) or others is not None:
        head = [Candidate(checked_name(_text(first), first))] if _given(first) else chain[:1]
        rest = [Candidate(checked_name(one, others)) for one in _text(others).split(",") if one.strip()]
        chain = [*head, *(chain if others is None else rest)]
    chain = [
        Candidate(one.model, runtime or one.runtime, precision or one.precision)
        for one in chain
        if runtime is None or one.runtime in {None, runtime}
    ]
    decided = (first, others, *(settings.get(name) for name in ("SIF_AGENT_RUNTIME", "SIF_AGENT_PRECISION")))
    return replace(
        default, candidates=tuple(dict.fromkeys(chain)), settings=tuple(filter(_given, filter(None, decided)))
    )


def _embeddings(default: Role, settings: Settings) -> Role:
    named = next(filter(_given, settings.every("SIF_EMBEDDINGS_MODEL", "ALWRITY_TXTAI_MODEL")), None)
    if named is None:
        return default
    model = checked_name(_text(named), named)
    if model == "all-MiniLM-L6-v2":
        model = default.models[0]
    candidate = Candidate(model, Runtime.TRANSFORMERS, Precision.FLOAT32)
    return replace(default, candidates=(candidate,), settings=(named,))


def _runtime(settings: Settings) -> Runtime | None:
    setting = settings.get("SIF_AGENT_RUNTIME")
    if setting is None or not _given(setting):
        return None
    runtime = _RUNTIMES.get(_text(setting).strip().lower())
    if runtime is None:
        raise _unusable(setting, "is no runtime", "transformers or onnxruntime-genai")
    return runtime


def _precision(settings: Settings) -> Precision | None:
    setting = settings.get("SIF_AGENT_PRECISION")
    if setting is None or not _given(setting):
        return None
    try:
        return Precision(_text(setting).strip().lower())
    except ValueError:
        raise _unusable(setting, "is no precision", "float32, bfloat16, float16 or int4") from None


def _refuse_impossible(settings: Settings, runtime: Runtime | None, precision: Precision | None) -> None:
    setting = settings.get("SIF_AGENT_PRECISION")
    if runtime is not None and precision is not None and setting is not None and precision not in _WORKS[runtime]:
        possible = " or ".join(_WORKS[runtime])
        raise _unusable(
            setting, f"is no precision of the runtime {runtime}", f"{possible}, or another SIF_AGENT_RUNTIME"
        )


def _given(setting: Setting | None) -> bool:
    return setting is not None and bool(_text(setting).strip())


def _text(setting: Setting | None) -> str:
    return "" if setting is None else setting.value.reveal()


def _unusable(setting: Setting, what: str, remedy: str) -> ModelError:
    told = f"{setting.name} (from {setting.location}) {what}: {_text(setting)!r:.80}"
    return ModelError(Reason.SETTING_INVALID, told, f"set it to {remedy}")


def _expanded(name: str) -> Path:
    """Return the path with its `~` put in; `~0`, which is nobody's home, stays as it is."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)
