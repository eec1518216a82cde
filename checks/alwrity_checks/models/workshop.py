"""The real works of a registry: facts, memory, download, conversion, rehearsal and the runtimes, put together."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.available import ADDRESS_SPACE
from alwrity_checks.models.errors import LoadFailed, ModelError, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Runtime
from alwrity_checks.models.verdicts import Verdicts

if TYPE_CHECKING:
    from alwrity_checks.models.decision import Verdict
    from alwrity_checks.models.embedding import Encoder
    from alwrity_checks.models.facts import ModelFacts
    from alwrity_checks.models.hub import Hub
    from alwrity_checks.models.machine import Machine
    from alwrity_checks.models.plan import Plan
    from alwrity_checks.models.prefetch import Downloads, Progress
    from alwrity_checks.models.rehearsal import Rehearse
    from alwrity_checks.models.runtimes.interface import LoadedModel
    from alwrity_checks.models.steps import Step
    from alwrity_checks.settings import Settings

__all__ = ["HUB_SETTINGS", "Workshop", "environment_of"]

HUB_SETTINGS = (
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "XDG_CACHE_HOME",
)
"""What says where models come from and where they are kept."""


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment as the settings have it: a .env file counts where a variable is not set."""
    given = {setting.name: setting.value.reveal() for setting in settings.every(*HUB_SETTINGS)}
    return dict(settings.environment) | given


_NO_HUB: Final = frozenset(
    {Reason.HUB_OFFLINE, Reason.HUB_UNREACHABLE, Reason.HUB_ERROR, Reason.HUB_RATE_LIMITED, Reason.HUB_UNAUTHORISED}
)
_LIBRARIES: Final = {Runtime.TRANSFORMERS: ("torch", "transformers"), Runtime.ONNX: ("onnxruntime_genai",)}
"""Runtime -> what it imports."""
_TRIED_ALL_THE_SAME: Final = frozenset({Reason.ARCHITECTURE_UNSUPPORTED, Reason.CONFIG_UNUSABLE})
"""What cannot be predicted and may load all the same: in a rehearsal first."""


class Workshop:
    """The works on this machine. Thread-safe."""

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        rehearse: Rehearse | None = None,
        imported: Callable[[str], bool] = sys.modules.__contains__,
    ) -> None:
        """Take the environment that says where the hub and the cache are; looks at neither.

        `imported` says of a library whether this process has it in memory.
        """
        self._imported = imported
        self._environment = dict(os.environ if environment is None else environment)
        self._rehearse = rehearse
        self._verdicts = Verdicts.at_home(self._environment)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._made_hub: Hub | None = None
        self._made_downloads: Downloads | None = None
        self._facts: dict[str, ModelFacts] = {}
        self._unknown: set[str] = set()
        """The models of which nothing could be found out when they were last looked for."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the works that the settings describe."""
        return cls(environment_of(settings))

    @property
    def cache(self) -> Path:
        """The hub's cache."""
        from alwrity_checks.models.cache import cache_directory

        return cache_directory(self._environment)

    def hub(self) -> Hub:
        """Return the hub. Raises ModelUnavailable(SETTING_INVALID)."""
        from alwrity_checks.models.hub import Hub

        with self._lock:
            if self._made_hub is None:
                self._made_hub = Hub.from_environment(self._environment)
            return self._made_hub

    def installed(self) -> frozenset[Runtime]:
        """Return the runtimes whose libraries are installed."""
        from alwrity_checks.models.runtimes.table import LOADERS

        return frozenset(runtime for runtime, loader in LOADERS.items() if loader.installed())

    def native_bfloat16(self) -> bool:
        """Say whether this processor calculates in bfloat16."""
        return self.machine().native_bfloat16

    def machine(self, *, measure: bool = False) -> Machine:
        """Return what this machine can do and has left: measured before, or as is assumed; with `measure`, measured."""
        from alwrity_checks.models.machine import cache_file, this_machine

        return this_machine(measure=measure, cache=cache_file(self._environment))

    def facts(self, model: str) -> ModelFacts:
        """Return what is known of a model: from its directory, the cache, the hub, or the catalogue.

        Raises ModelError.
        """
        from alwrity_checks.models.facts import find_facts

        known = self._facts.get(model)
        # What the hub or the catalogue told holds until the files are here; files are looked at anew, because they are
        # converted, repaired and removed meanwhile, by others too.
        if known is None or known.directory is not None or self._is_here(model):
            try:
                known = self._facts[model] = find_facts(model, hub=self.hub(), cache=self.cache)
            except ModelError:
                self._unknown.add(model)
                raise
            self._unknown.discard(model)
        return known

    def need(self, step: Step, context: int) -> int | None:
        """Return the predicted peak of resident memory in bytes; None if nobody can tell."""
        from alwrity_checks.models.prediction import predict

        # The hub is asked again by the next attempt to load it, not by each call meanwhile.
        if step.model in self._unknown:
            return None
        try:
            return predict(self.facts(step.model), step, self.machine(), context=context).peak_rss
        except DoctorError:
            return None

    def available(self, step: Step) -> int:
        """Return the bytes of memory that loading `step` can have: what is left, and what is paid for already."""
        return self._machine_here(step.runtime).available.bytes

    def refusal(self, step: Step, context: int) -> ModelError | None:
        """Return why `step` cannot be loaded here, before anything of it is fetched."""
        from alwrity_checks.models.plan import Fit, plan

        facts: ModelFacts | ModelError
        try:
            facts = self.facts(step.model)
        except ModelError as error:
            facts = error
        machine = self._machine_here(step.runtime)
        row = plan((step,), machine, {step.model: facts}, context=context).rows[0]
        if row.fits or row.reason in _TRIED_ALL_THE_SAME:
            return None
        if row.fit is Fit.UNKNOWN and isinstance(facts, ModelError):
            return facts
        reason, kind = row.reason or Reason.LOAD_FAILED, LoadFailed
        if reason is Reason.DOES_NOT_FIT:
            fits = row.peak is not None and row.peak <= machine.available.bytes
            # That only its conversion does not fit says nothing of the same model in another runtime.
            reason, kind = (
                (Reason.CONVERSION_FAILED, LoadFailed) if fits and row.conversion_peak else (reason, OutOfMemory)
            )
        return kind(reason, f"{step} {row.why}", row.remedy)

    def _machine_here(self, runtime: Runtime) -> Machine:
        """Return the machine as this very process finds it: what the runtime takes for itself may be taken already."""
        import psutil

        machine = self.machine()
        if not all(map(self._imported, _LIBRARIES[runtime])):
            return machine
        floor = machine.details[runtime]
        paid = min(floor.peak, int(psutil.Process().memory_info().rss))
        parts = tuple(
            replace(part, bytes=part.bytes + (floor.address_space if part.name == ADDRESS_SPACE else paid))
            for part in machine.available.parts
        )
        return replace(machine, available=type(machine.available).of(parts)) if parts else machine

    def _is_here(self, model: str) -> bool:
        from alwrity_checks.models.cache import cached_snapshot

        return cached_snapshot(model, self.cache) is not None

    def fetch(self, step: Step) -> Path:
        """Return the directory from which `step` is loaded: downloaded and converted, as far as it is not."""
        from alwrity_checks.models.embedding import embedded_directory

        try:
            directory = self.download(step.model)
        except ModelError as error:
            # The extra [embedded] holds the very weights, for where no hub can be reached.
            embedded = embedded_directory(step.model) if error.reason in _NO_HUB else None
            if embedded is None:
                raise
            return embedded
        return directory if step.runtime is Runtime.TRANSFORMERS else self.convert(directory)

    def download(
        self,
        model: str,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Path:
        """Return a model's directory, downloaded as far as it is not here. Raises ModelError; Stopped by `stop`."""
        from alwrity_checks.models.download import download

        return download(model, hub=self.hub(), cache=self.cache, progress=progress, stop=stop or self._stop)

    def convert(self, directory: Path, *, stop: threading.Event | None = None) -> Path:
        """Return what onnxruntime-genai reads of a model, converted as far as it is not. Raises ModelError."""
        from alwrity_checks.models.conversion import convert, converted

        try:
            return converted(directory) or convert(directory, stop=stop or self._stop)
        except OutOfMemory as error:
            # Converting takes several times what the model needs: that it does not fit says nothing about the model.
            raise LoadFailed(Reason.CONVERSION_FAILED, error.diagnosis, error.remedy) from error

    def verdict(self, step: Step, directory: Path, context: int) -> Verdict | None:
        """Return what loading `step` came to on this machine before."""
        return self._verdicts.of(step, directory, context)

    def remember(self, step: Step, directory: Path, context: int, verdict: Verdict) -> None:
        """Keep what loading `step` came to."""
        self._verdicts.remember(step, directory, context, verdict)

    def rehearse(self, step: Step, directory: Path, context: int) -> int:
        """Load `step` in a child process and return its peak of resident memory in bytes."""
        from alwrity_checks.models.rehearsal import rehearse

        return (self._rehearse or rehearse)(step, directory, context)

    def load(self, step: Step, directory: Path, context: int) -> LoadedModel:
        """Load `step` into this process."""
        from alwrity_checks.models.runtimes.table import LOADERS

        return LOADERS[step.runtime].load(directory, step.precision, context=context)

    def load_encoder(self, directory: Path) -> Encoder:
        """Load what makes embeddings into this process."""
        from alwrity_checks.models.embedding import load_encoder

        return load_encoder(directory)

    def plan(
        self,
        steps: Sequence[Step],
        context: int,
        available: int | None,
        *,
        measure: bool = False,
        download_rate: float | None = None,
    ) -> Plan:
        """Return what fits into `available` bytes, into what is there if None, and why the rest does not.

        With `measure` the machine is measured first, if it never was: 10 to 20 s, in children.
        """
        from alwrity_checks.models.plan import plan

        found: dict[str, ModelFacts | ModelError] = {}
        for model in dict.fromkeys(step.model for step in steps):
            try:
                found[model] = self.facts(model)
            except ModelError as error:
                found[model] = error
        machine = self.machine(measure=measure)
        return plan(steps, machine, found, available=available, context=context, download_rate=download_rate)

    def prefetch(self, model: str) -> None:
        """Begin to download a model that is not here; returns at once."""
        if not self._is_here(model):
            self._downloads().start(model)

    def downloads(self) -> Mapping[str, Progress]:
        """Return how each download that was begun stands."""
        return {} if self._made_downloads is None else self._made_downloads.status()

    def close(self) -> None:
        """Stop what runs in the background."""
        self._stop.set()
        with self._lock:
            downloads, hub = self._made_downloads, self._made_hub
        if downloads is not None:
            downloads.close()
        if hub is not None:
            hub.close()

    def _downloads(self) -> Downloads:
        from alwrity_checks.models.prefetch import Downloads

        with self._lock:
            if self._made_downloads is None:
                self._made_downloads = Downloads.from_environment(self._environment)
            return self._made_downloads
