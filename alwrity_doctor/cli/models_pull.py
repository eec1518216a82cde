"""`alwrity-doctor models pull`: have a model on this machine before anybody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_doctor.cli.models_component import component, examined, fact, failed, role_of
from alwrity_doctor.cli.output import EnvFileOption, FormatOption, OfflineOption, deliver, env_files, parse_formats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alwrity_checks.model import CheckResult, Observer, Report
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.workshop import Workshop

__all__ = ["pull"]

_TITLE: Final = "the model is on this machine, whole"
_EVERY: Final = 0.5
"""Seconds between two words about a download."""


def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL | ROLE]...", help="A name on the hub, or agent, embeddings.  [default: each role]"
        ),
    ] = None,
    *,
    convert: Annotated[
        bool, typer.Option("--convert", help="Convert it to int4 for onnxruntime-genai too, as loading it would.")
    ] = False,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    form: FormatOption = None,
) -> None:
    """Download models into the hub's cache, only the files that are needed, and go on where an earlier try stopped.

    Of a role it is the first model that fits into this machine's memory. Room on the disk is checked first, and every
    file against its checksum. Interrupted, it keeps what has arrived.
    """
    from alwrity_checks.model import Severity
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    _, works, registry = component(env_files(env_file), offline=offline)
    roles = [role_of(registry, name) for name in names] if names else list(registry.roles.values())
    results: list[CheckResult] = []

    async def work(observers: Sequence[Observer]) -> Report:
        async def each() -> None:
            for role in roles:
                result = await _pulled(role, registry, works, observers, convert=convert)
                results.append(result)

        return await reported("models pull", each(), Severity.ERROR, results)

    with registry:
        raise typer.Exit(deliver(work, outputs))


async def _pulled(
    role: Role, registry: ModelRegistry, works: Workshop, observers: Sequence[Observer], *, convert: bool
) -> CheckResult:
    import asyncio

    from alwrity_checks.errors import DoctorError
    from alwrity_checks.models.steps import Runtime

    name, title = f"models.pull {role.name}", f"{role.name}: {_TITLE}"
    stop, started = threading.Event(), time.monotonic()

    def fetch() -> tuple[str, Path, Path | None]:
        # A model that was named is fetched whether it fits or not: it may be for another machine.
        model = role.models[0] if role.name not in registry.roles else registry.first_fitting(role).model
        directory = works.download(model, progress=_teller(name, model, observers), stop=stop)
        wanted = convert or any(step.runtime is Runtime.ONNX for step in registry.steps(role) if step.model == model)
        return model, directory, works.convert(directory, stop=stop) if convert and wanted else None

    try:
        model, directory, made = await asyncio.to_thread(fetch)
    except DoctorError as error:
        return failed(name, title, error)
    finally:
        stop.set()
    facts = [fact("model", model), fact("directory", directory), fact("seconds", f"{time.monotonic() - started:.1f}")]
    if made is not None:
        facts.append(fact("converted", made))
    return examined(name, title, (), facts, f"{model}: {made or directory}")


def _teller(name: str, model: str, observers: Sequence[Observer]) -> Callable[[int, int], None]:
    """Return what tells the observers how far a download is, not more often than one can read."""
    from alwrity_checks.model import Event
    from alwrity_checks.models.decision import in_bytes

    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _EVERY and done < total:
            return
        last = now
        for observer in observers:
            observer.notify(Event("progress", name, f"{model}: {in_bytes(done)} of {in_bytes(total)}"))

    return tell
