"""`alwrity-doctor models bench`: what each model costs in each runtime, measured."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.steps import Precision
from alwrity_doctor.cli.models_component import component
from alwrity_doctor.cli.output import (
    EnvFileOption,
    FormatOption,
    check_writable,
    deliver,
    env_files,
    parse_formats,
    write_whole,
)

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Observer, Report
    from alwrity_checks.models.bench_figures import Bench, Result, Workload
    from alwrity_checks.models.bench_run import Source
    from alwrity_checks.pictures import Picture

__all__ = ["bench"]

_LARGEST_BASELINE: Final = 64 << 20
_MOST_TOKENS: Final = 32768
_MOST: Final = 1000


def bench(  # noqa: PLR0913 - each parameter is an option of the command
    model: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Names on the hub, or directories.  [default: the models of the agents]",
            show_default=False,
        ),
    ] = None,
    *,
    synthetic: Annotated[
        bool,
        typer.Option("--synthetic", help="Measure random weights of the model's exact shape: nothing is downloaded."),
    ] = False,
    pull: Annotated[
        bool, typer.Option("--pull", help="Download first what is not on this machine, and measure that, too.")
    ] = False,
    runtime: Annotated[
        list[Carrier] | None,
        typer.Option("--runtime", help="Only this runtime; may be repeated.  [default: those that are installed]"),
    ] = None,
    dtype: Annotated[
        list[Precision] | None,
        typer.Option("--dtype", help="Only this precision; may be repeated.  [default: the checkpoint's, and int4]"),
    ] = None,
    repetitions: Annotated[int, typer.Option("--repetitions", metavar="N", min=1, max=_MOST)] = 3,
    warmup: Annotated[
        int, typer.Option("--warmup", metavar="N", min=0, max=_MOST, help="Answers before the measured ones.")
    ] = 1,
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", metavar="N", min=1, max=_MOST_TOKENS)] = 128,
    new_tokens: Annotated[int, typer.Option("--new-tokens", metavar="N", min=2, max=_MOST_TOKENS)] = 32,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, max=_MOST, help="[default: the runtime's choice]")
    ] = None,
    schemas: Annotated[
        int, typer.Option("--schemas", metavar="N", min=0, max=_MOST, help="Also ask for JSON, of N schemas.")
    ] = 0,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Compare with what --save wrote earlier.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write all figures, to compare with later.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that shows the memory over time.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the figures as CSV.")] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="DIR",
            help="Keep synthetic models and their conversions here, for the next time.  [default: they are deleted]",
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Try also what is predicted not to fit into the memory.")
    ] = False,
    env_file: EnvFileOption = None,
    form: FormatOption = None,
) -> None:
    """Measure memory and speed of each model in each runtime and precision, each in a process of its own.

    Peaks are the kernel's. Beside the tokens per second stands what the memory's bandwidth would allow. A model that
    is killed for its memory is a result. Nothing is downloaded without --pull; a conversion to int4 takes minutes the
    first time.
    """
    from alwrity_checks.model import Severity
    from alwrity_checks.models.bench_figures import Workload
    from alwrity_checks.models.pictured import memory_pictures
    from alwrity_doctor.cli.models_bench_view import result_of, settled, tables
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    for path in (save, html, csv):
        if path is not None:
            check_writable(path)
    before = None if baseline is None else _read(baseline)
    if keep is not None and not synthetic:
        raise ConfigurationError("--keep is for synthetic models", "add --synthetic, or drop --keep")
    if pull and synthetic:
        raise ConfigurationError("--pull is for real models", "drop --pull or --synthetic")
    workload = Workload(prompt_tokens, new_tokens, repetitions, warmup, threads, schemas)
    names, cache = _models(model, env_files(env_file))
    run = _Run(
        names, tuple(dict.fromkeys(runtime or _installed())), tuple(dict.fromkeys(dtype or ())), workload, cache, anyway
    )
    run.pulling = env_files(env_file) if pull else None
    results: list[CheckResult] = []
    done: list[Bench] = []

    async def work(observers: Sequence[Observer]) -> Report:
        async def measure() -> None:
            done.append(await run.measured(observers, lambda one: results.append(result_of(one))))
            results.extend(settled(done[0], before))

        def seen() -> tuple[Picture, ...]:
            return tuple(picture for one in done for picture in memory_pictures(one))

        report = await reported("models bench", measure(), Severity.ERROR, results, pictures=seen)
        return replace(report, tables=tables(done[0], before)) if done else report

    with _home(keep) if synthetic else contextlib.nullcontext() as run.home:
        run.prepare()
        code = deliver(work, outputs)
    for one in done:
        _write(one, save, html, csv)
    raise typer.Exit(code)


def _models(named: Sequence[str] | None, files: Sequence[Path]) -> tuple[tuple[str, ...], Path]:
    """Return the models to measure, and the hub's cache."""
    from alwrity_checks.models.roles import AGENT

    _, works, registry = component(files, offline=True)
    with registry:
        return tuple(dict.fromkeys(name.strip() for name in named or registry.role(AGENT).models)), works.cache


def _installed() -> tuple[Carrier, ...]:
    from alwrity_checks.models.runtimes.table import LOADERS

    found = tuple(Carrier(runtime.value) for runtime, loader in LOADERS.items() if loader.installed())
    if not found:
        raise MissingExtra("models", "measuring local models")
    return found


def _read(path: Path) -> Bench:
    from alwrity_checks.models.bench_figures import Bench

    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_BASELINE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the baseline {path} cannot be read: {error.strerror}", "name a file that --save wrote"
        ) from error
    if len(text) > _LARGEST_BASELINE:
        raise ConfigurationError(f"the baseline {path} is too large to be one", "name a file that --save wrote")
    try:
        return Bench.from_json(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"the baseline {path} is none: {error.diagnosis}", error.remedy) from error


@contextlib.contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    """Yield where synthetic models and what is made of them are put."""
    if keep is not None:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="alwrity-doctor-bench-") as folder:
        yield Path(folder)


@dataclass(slots=True)
class _Run:
    """What is measured, and how."""

    names: tuple[str, ...]
    carriers: tuple[Carrier, ...]
    precisions: tuple[Precision, ...]
    workload: Workload
    cache: Path
    anyway: bool
    pulling: Sequence[Path] | None = None
    """The .env files that may name the hub from which what is not here is downloaded; None: nothing is."""
    home: Path | None = None
    """Where synthetic models are put; None: real ones are measured."""
    found: tuple[Source, ...] = ()

    def prepare(self) -> None:
        """See that there is something to measure, before anything runs. Raises ModelError, ConfigurationError."""
        from alwrity_checks.models.bench_run import check_synthetic, find_source
        from alwrity_checks.models.roles import checked_name

        if self.pulling is not None:
            for name in self.names:
                checked_name(name)
        elif self.home is None:
            self.found = tuple(find_source(name, synthetic=None, cache=self.cache) for name in self.names)
        else:
            for name in self.names:
                check_synthetic(name)
        if self.precisions and not any(
            (carrier is Carrier.ONNX) == (precision is Precision.INT4)
            for carrier in self.carriers
            for precision in self.precisions
        ):
            told = ", ".join(self.precisions)
            raise ConfigurationError(
                f"no chosen runtime works in {told}",
                "int4 is for onnxruntime-genai, the other precisions are for transformers",
            )

    async def measured(self, observers: Sequence[Observer], finished: Callable[[Result], None]) -> Bench:
        """Measure in a thread. Cancelled, it ends the child first."""
        import asyncio  # here, because it takes 16 ms to load

        from alwrity_checks.model import Event
        from alwrity_doctor.observers import Broadcast

        broadcast, loop, stop = Broadcast(observers), asyncio.get_running_loop(), threading.Event()
        broadcast.notify(Event("started", "models bench"))

        def say(told: str) -> None:
            loop.call_soon_threadsafe(broadcast.notify, Event("progress", "models bench", told))

        running = loop.run_in_executor(None, self._carry_out, stop, say, finished)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.set()
            # It ends with Stopped, or with what it came to at that very moment: nobody wants either any more.
            await asyncio.wait({running})
            running.exception()
            raise
        finally:
            broadcast.notify(Event("finished", "models bench"))

    def _carry_out(
        self, stop: threading.Event, say: Callable[[str], None], finished: Callable[[Result], None]
    ) -> Bench:
        from alwrity_checks.models.bench import Stopped
        from alwrity_checks.models.bench_run import cases_of, find_source, run_bench
        from alwrity_doctor import __version__

        found = list(self.found) if self.pulling is None else self._pulled(self.pulling, stop, say)
        for name in self.names if self.home is not None else ():
            if stop.is_set():
                raise Stopped
            say(f"writing {name} with random weights")
            found.append(find_source(name, synthetic=self.home))
        return run_bench(
            [(case, one) for one in found for case in cases_of(one, self.carriers, self.precisions)],
            self.workload,
            version=__version__,
            synthetic=self.home is not None,
            conversions=None if self.home is None else self.home / "onnx",
            anyway=self.anyway,
            stop=stop,
            notify=say,
            finished=finished,
        )

    def _pulled(self, files: Sequence[Path], stop: threading.Event, say: Callable[[str], None]) -> list[Source]:
        from alwrity_checks.models.bench_run import pulled_source

        _, works, registry = component(files, offline=False)

        def fetch(model: str, told: Callable[[int, int], None]) -> Path:
            say(f"downloading {model}")
            return works.download(model, progress=told, stop=stop)

        with registry:
            return [pulled_source(name, fetch, self.cache) for name in self.names]


def _write(bench: Bench, save: Path | None, html: Path | None, csv: Path | None) -> None:
    from alwrity_checks.models.bench_picture import page
    from alwrity_doctor.cli.models_bench_view import comma_separated

    if save is not None:
        write_whole(save, bench.to_json())
    if html is not None:
        write_whole(html, page(bench, "models bench: memory over time"))
    if csv is not None:
        write_whole(csv, comma_separated(bench))
