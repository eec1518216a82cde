"""One play of the experiment in a process of its own: python -m alwrity_checks.models.scenarios.child PLAY SIDE DIR.

The last line of standard output is what was seen, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, SupportsIndex

from alwrity_checks.errors import DoctorError
from alwrity_checks.models import legacy
from alwrity_checks.models.steps import Precision, Runtime, Step

if TYPE_CHECKING:
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.runtimes.interface import LoadedModel

__all__ = ["PROMPT", "SCHEMA", "judged", "limit_address_space"]

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 12},
        "score": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["title", "score"],
    "additionalProperties": False,
}
PROMPT: Final = 'Answer in JSON only: {"title": a title of at most 12 characters, "score": 0 to 9}.'
_CONTEXT: Final = 512
_ROOM: Final = 700 << 20
"""Bytes of address space that are left when the loads begin: more than the runtime and the small model need, less than
the 2 + 4 bytes for each weight of the large one."""


def _offline_legacy(directory: Path) -> dict[str, Any]:
    """Load as the real client does, in the historical wrapper; pauses are counted and not waited for."""
    del directory
    pauses = 0.0

    def sleep(seconds: float | SupportsIndex, /) -> None:
        nonlocal pauses
        pauses += float(seconds)

    from huggingface_hub import hf_hub_download

    time.sleep = sleep

    def load(model: str) -> Callable[..., str]:
        hf_hub_download(model, "config.json")
        raise AssertionError

    started, error = time.monotonic(), ""
    try:
        _ = legacy.LegacyWrapper(legacy.LegacyModules(load)).llm
    except Exception as raised:  # noqa: BLE001 - whatever the client raises is what a caller is told
        error = f"{type(raised).__name__}: {raised}"
    return {"seconds": time.monotonic() - started + pauses, "pauses": pauses, "error": error}


def _offline_fixed(directory: Path) -> dict[str, Any]:
    from alwrity_checks.models.registry import ModelRegistry

    del directory
    started, error = time.monotonic(), ""
    with ModelRegistry.from_environment() as registry:
        try:
            registry.load_sync()
        except DoctorError as raised:
            error = f"{type(raised).__name__}: {raised}"
        seconds = time.monotonic() - started
    return {"seconds": seconds, "pauses": 0.0, "error": error}


def _memory_legacy(directory: Path) -> dict[str, Any]:
    from alwrity_checks.models.runtimes.table import LOADERS

    places = _two_models(directory)
    begun: list[str] = []
    failures: list[str] = []

    def load(model: str) -> Callable[..., str]:
        place = places[min(legacy.FALLBACKS.index(model), 1)]
        begun.append(place.name)
        try:
            LOADERS[Runtime.TRANSFORMERS].load(place, Precision.FLOAT32, context=128)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            raise
        return lambda _prompt: ""

    if (unsupported := limit_address_space()) is not None:
        return {"unsupported": unsupported}
    _ = legacy.LegacyWrapper(legacy.LegacyModules(load)).llm
    return {"begun": begun, "loaded": begun[-1], "failure": failures[0] if failures else ""}


def _memory_fixed(directory: Path) -> dict[str, Any]:
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import roles
    from alwrity_checks.models.workshop import Workshop
    from alwrity_checks.settings import Settings

    large, small = _two_models(directory)
    os.environ |= {
        "SIF_AGENT_MODEL": str(large),
        "SIF_AGENT_FALLBACK_MODELS": str(small),
        "SIF_AGENT_RUNTIME": "transformers",
        "SIF_AGENT_PRECISION": "float32",
    }
    if (unsupported := limit_address_space()) is not None:
        return {"unsupported": unsupported}
    begun: list[str] = []

    class Counting(Workshop):
        """Counts the loads that are begun in this process."""

        def load(self, step: Step, directory: Path, context: int) -> LoadedModel:
            """Load."""
            begun.append(Path(step.model).name)
            return super().load(step, directory, context)

    with ModelRegistry(roles(Settings.load()), Counting()) as registry:
        try:
            registry.load_sync()
        except DoctorError as error:
            return {"begun": begun or [""], "loaded": "", "failure": str(error)}
        conditions = registry.status().steps
    failure = next((str(one.error) for one in conditions.values() if one.error), "")
    return {"begun": begun, "loaded": begun[-1], "failure": failure}


def _two_models(directory: Path) -> tuple[Path, Path]:
    """Write a model of 300 MB with the vocabulary of the 0.5B one, and one of half a megabyte."""
    import torch  # noqa: F401 - before the limit, as in a backend that has it loaded
    import transformers  # noqa: F401 - as above

    from alwrity_checks.models.synthetic import write_checkpoint

    large = write_checkpoint(directory / "large", "Qwen/Qwen2.5-0.5B-Instruct", layers=2)
    return large, write_checkpoint(directory / "small", "tiny")


def limit_address_space() -> str | None:
    """Limit the address space to what is in use and `_ROOM`; return why it cannot be done."""
    if sys.platform == "win32":
        return "Windows cannot limit a process's address space"
    import resource

    try:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, used + _ROOM))
    except (OSError, ValueError) as error:
        return f"this system cannot limit a process's address space: {error}"
    return None


def _json_legacy(directory: Path) -> dict[str, Any]:
    """Ask for JSON in words, as ALwrity's prompts do, and read what comes."""
    answers = {}
    for step, place in _models(directory).items():
        model = _loaded(step, place)
        answers[_named(step)] = judged(model.generate_sync(PROMPT, max_new_tokens=48).text)
    return {"answers": answers}


def _json_fixed(directory: Path) -> dict[str, Any]:
    """Ask for JSON by the schema."""
    answers = {}
    for step, place in _chain(directory).items():
        try:
            value = _loaded(step, place).generate_json_sync(PROMPT, SCHEMA, max_new_tokens=48)
            answers[_named(step)] = judged(json.dumps(value))
        except DoctorError as error:
            answers[_named(step)] = f"{type(error).__name__}: {error}"
    return {"answers": answers}


def _models(directory: Path) -> dict[Step, Path]:
    """Return tiny models of both architectures, as the historical wrapper loads them."""
    from alwrity_checks.models.synthetic import write_checkpoint

    places = {name: write_checkpoint(directory / name, name) for name in ("tiny", "tiny-llama")}
    return {Step(name, Runtime.TRANSFORMERS, Precision.FLOAT32): place for name, place in places.items()}


def _chain(directory: Path) -> dict[Step, Path]:
    """Return the same, and one of them in the other runtime, if that is installed."""
    from alwrity_checks.models.conversion import convert
    from alwrity_checks.models.runtimes.table import LOADERS

    models = _models(directory)
    if LOADERS[Runtime.ONNX].installed():
        converted = convert(directory / "tiny", cache=directory / "onnx")
        models[Step("tiny", Runtime.ONNX, Precision.INT4)] = converted
    return models


def _loaded(step: Step, place: Path) -> LocalModel:
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.runtimes.table import LOADERS

    return LocalModel(LOADERS[step.runtime].load(place, step.precision, context=_CONTEXT), step)


def _named(step: Step) -> str:
    return f"{step.model} in {step.runtime}"


def judged(text: str) -> str:
    """Return whether a text is JSON that is valid against the schema, in its first word, and the text."""
    import jsonschema

    try:
        jsonschema.validate(json.loads(text), SCHEMA)
    except (ValueError, RecursionError):
        return f"not JSON: {text!r:.60}"
    except jsonschema.ValidationError as error:
        return f"not valid: {error.message:.60}"
    return f"valid: {text:.60}"


_PLAYS: Final[Mapping[tuple[str, str], Callable[[Path], dict[str, Any]]]] = {
    ("offline", "legacy"): _offline_legacy,
    ("offline", "fixed"): _offline_fixed,
    ("memory", "legacy"): _memory_legacy,
    ("memory", "fixed"): _memory_fixed,
    ("json", "legacy"): _json_legacy,
    ("json", "fixed"): _json_fixed,
}


def _main(play: str, side: str, directory: str) -> NoReturn:
    told = _PLAYS[play, side](Path(directory))
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    sys.stdout.flush()
    # Threads of a runtime's pool have been seen to hang at the interpreter's end.
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:4])
