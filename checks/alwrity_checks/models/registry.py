"""The one place that decides which model serves a role, loads it, falls back and shares it.

    registry = ModelRegistry.from_environment()
    registry.prefetch()                                  # returns at once
    model = await registry.load("agent")                 # or load_sync, in a thread
    text = await model.generate("…", max_new_tokens=64)

Nothing is loaded, fetched or imported before it is asked for, and no thread is started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.events import emit
from alwrity_checks.models.errors import LoadFailed, ModelError, NoModel, OutOfMemory
from alwrity_checks.models.reasons import Reason

# The rest of the room is imported by who needs it: a server makes a registry before it listens.
if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.models.embedding import Encoder, LocalEmbedder
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.loading import Condition
    from alwrity_checks.models.plan import Plan
    from alwrity_checks.models.prefetch import Progress
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.runtimes.interface import LoadedModel
    from alwrity_checks.models.sharing import SharedModels
    from alwrity_checks.models.steps import Step
    from alwrity_checks.models.works import Works
    from alwrity_checks.settings import Settings

__all__ = ["ModelRegistry", "RegistryStatus"]

_log: Final = logging.getLogger("alwrity_checks.models")
_AGENT, _EMBEDDINGS = "agent", "embeddings"
"""The roles that there always are; `roles.py` has them too, and takes longer to import."""
_GRACE: Final = 0.5
"""Seconds that a start has to itself before what is fetched ahead is looked at, which takes Python's lock."""

_Asked: TypeAlias = "Callable[[], Any] | Step"
"""What the walk along a chain asks of who carries it out: to call something that blocks, or to obtain a step."""


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """How a registry stands."""

    steps: Mapping[Step, Condition]
    """Every step that somebody asked for."""
    downloads: Mapping[str, Progress]
    """Every download that was begun, by the model."""
    trouble: DoctorError | None = None
    """Why prefetching could not begin."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a registry is made of."""

    roles: Mapping[str, Role]
    works: Works
    context: int
    models: SharedModels[LoadedModel]
    encoders: SharedModels[Encoder]


class ModelRegistry:
    """Models by role. Thread-safe, and usable from any number of event loops."""

    def __init__(self, every: Mapping[str, Role], works: Works, *, idle: float = 900.0) -> None:
        """Serve the roles `every`; a model that nobody has used for `idle` seconds is unloaded."""
        self._begin(lambda: (every, works), idle)
        self._parts  # noqa: B018 - made now

    def _begin(self, made_of: Callable[[], tuple[Mapping[str, Role], Works]], idle: float) -> None:
        self._made_of, self._idle = made_of, idle
        self._made: _Parts | None = None
        self._closed = False
        self._making = threading.Lock()
        self._memory = threading.Lock()
        """Held from the decision to the end of a load: two loads at once would be decided on the same free memory."""
        self._faces: dict[Step, LocalModel] = {}
        self._embedders: dict[Step, LocalEmbedder] = {}
        self._trouble: DoctorError | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, *, idle: float = 900.0) -> Self:
        """Return the registry that the environment wants, as it is now; looks at nothing else, and raises nothing.

        A server makes it while somebody waits for it to listen, so what it is made of is imported by whatever first
        needs it. That raises ModelError, SETTING_INVALID or MODEL_NAME_INVALID, for a setting that is unusable;
        `prefetch` logs it and `status` has it as its trouble.
        """
        known = dict(os.environ if environment is None else environment)

        def made_of() -> tuple[Mapping[str, Role], Works]:
            from alwrity_checks.settings import Settings

            return _of_settings(Settings.load(known))

        registry = cls.__new__(cls)
        registry._begin(made_of, idle)  # noqa: SLF001 - our own
        return registry

    @classmethod
    def from_settings(cls, settings: Settings, *, idle: float = 900.0) -> Self:
        """Return the registry that the settings want. Raises ModelError, SETTING_INVALID or MODEL_NAME_INVALID."""
        return cls(*_of_settings(settings), idle=idle)

    @property
    def _parts(self) -> _Parts:
        from alwrity_checks.models.sharing import Closed, SharedModels

        with self._making:
            if self._made is None:
                if self._closed:
                    raise Closed
                every, works = self._made_of()
                context = max((role.context for role in every.values() if role.name == _AGENT), default=4096)
                models = SharedModels(self._load_step, lambda model: model.close(), idle=self._idle)
                encoders = SharedModels(self._load_encoder, lambda one: one.close(), idle=self._idle)
                self._made = _Parts(dict(every), works, context, models, encoders)
            return self._made

    @property
    def roles(self) -> Mapping[str, Role]:
        """Every role by its name."""
        return dict(self._parts.roles)

    def role(self, name: str = _AGENT, *, model: str | None = None) -> Role:
        """Return a role, with `model` before its others if one is named.

        Raises ModelError: SETTING_INVALID for an unknown role, MODEL_NAME_INVALID for a name that is none.
        """
        if name not in self._parts.roles:
            known = " and ".join(self._parts.roles)
            raise ModelError(Reason.SETTING_INVALID, f"there is no role {name!r:.60}", f"the roles are {known}")
        role = self._parts.roles[name]
        if model is None:
            return role
        from alwrity_checks.models.roles import checked_name

        return role.preferring(checked_name(model))

    def steps(self, role: Role) -> tuple[Step, ...]:
        """Return the role's chain on this machine. Blocks: the first time, the processor is looked at."""
        return role.steps(self._parts.works.installed(), native_bfloat16=self._parts.works.native_bfloat16())

    def plan(
        self,
        role: str | Role = _AGENT,
        *,
        available: int | None = None,
        context: int | None = None,
    ) -> Plan:
        """Return which step fits this machine now, and why not the others. Blocks; reads at most 200 kB from the hub.

        `available` are bytes to plan with instead of those that are there, `context` tokens instead of the role's.
        """
        wanted = self.role(role) if isinstance(role, str) else role
        return self._parts.works.plan(self.steps(wanted), context or wanted.context, available)

    def prefetch(self, *names: str) -> None:
        """Begin to download what the roles (all, or those named) will load; returns at once.

        `status` tells how it stands and what went wrong. Nothing is downloaded that does not fit.
        """
        for name in names:
            if name not in {_AGENT, _EMBEDDINGS}:
                self.role(name)

        def work() -> None:
            time.sleep(_GRACE)
            for name in names or (_AGENT, _EMBEDDINGS):
                try:
                    self._parts.works.prefetch(self.first_fitting(self.role(name)).model)
                except DoctorError as error:
                    if self._closed:
                        return
                    emit(
                        _log,
                        logging.WARNING,
                        "models.download-failed",
                        "the models of a role cannot be fetched ahead",
                        role=name,
                        reason=getattr(error, "reason", None),
                        error=error,
                    )
                    self._trouble = error

        threading.Thread(target=work, name="model-prefetch", daemon=True).start()

    def status(self) -> RegistryStatus:
        """Return how everything stands; returns at once, and raises nothing: who asks is a health check."""
        try:
            parts = self._parts
        except DoctorError as error:
            return RegistryStatus({}, {}, self._trouble or error)
        steps = {**parts.models.conditions(), **parts.encoders.conditions()}
        return RegistryStatus(steps, parts.works.downloads(), self._trouble)

    def load_sync(self, role: str | Role = _AGENT, *, timeout: float | None = None) -> LocalModel:
        """Return the role's model, loaded now if it is not. Blocks: never call it on an event loop.

        Any number of threads and event loops cause one load. A step that failed is left alone until its time has come,
        and only something lighter follows it. Raises NoModel with what each step came to; NotLoadedYet after `timeout`
        seconds for a step, while the load goes on; Closed; ForkedProcess.
        """
        return self._face(self._walked(self._agents(role), self._parts.models, timeout))

    async def load(
        self,
        role: str | Role = _AGENT,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the load outlives the waiting, and the error says so
    ) -> LocalModel:
        """As `load_sync`, without blocking the event loop; cancelling it cancels nothing but the waiting."""
        return self._face(await self._walked_async(self._agents(role), self._parts.models, timeout))

    def load_embeddings_sync(self, *, timeout: float | None = None) -> LocalEmbedder:
        """Return the embeddings, their model loaded now if it is not. Blocks. Raises as `load_sync`."""
        return self._embedder(self._walked(self.role(_EMBEDDINGS), self._parts.encoders, timeout))

    async def load_embeddings(self, *, timeout: float | None = None) -> LocalEmbedder:  # noqa: ASYNC109 - as in `load`
        """As `load_embeddings_sync`, without blocking the event loop."""
        return self._embedder(await self._walked_async(self.role(_EMBEDDINGS), self._parts.encoders, timeout))

    def _agents(self, role: str | Role) -> Role:
        wanted = self.role(role) if isinstance(role, str) else role
        if wanted.name == _EMBEDDINGS:
            raise ModelError(
                Reason.SETTING_INVALID, "the role embeddings makes vectors and no text", "call load_embeddings"
            )
        return wanted

    def _walked(self, role: Role, models: SharedModels[Any], timeout: float | None) -> Step:
        """Go along the chain, each thing that it asks for carried out by this thread."""
        walk = self._walk(role)
        carry_out: Callable[[], Any] = walk.__next__
        while True:
            try:
                asked = carry_out()
            except StopIteration as end:
                step: Step = end.value
                return step
            try:
                answer = asked() if callable(asked) else models.obtain(asked, timeout)
            except DoctorError as error:
                carry_out = _thrown(walk, error)
            else:
                carry_out = _sent(walk, answer)

    async def _walked_async(self, role: Role, models: SharedModels[Any], limit: float | None) -> Step:
        """Go along the chain, each thing that it asks for awaited."""
        walk = self._walk(role)
        carry_out: Callable[[], Any] = walk.__next__
        while True:
            try:
                asked = carry_out()
            except StopIteration as end:
                step: Step = end.value
                return step
            try:
                answer = await (_in_a_thread(asked) if callable(asked) else models.obtain_async(asked, limit))
            except DoctorError as error:
                carry_out = _thrown(walk, error)
            else:
                carry_out = _sent(walk, answer)

    def release_idle(self) -> int:
        """Unload now what has been idle for long enough, and return how many models that were."""
        return self._parts.models.release_idle() + self._parts.encoders.release_idle()

    def close(self) -> None:
        """Stop downloads, load nothing any more, and unload what nobody uses."""
        with self._making:
            self._closed = True
            if self._made is None:
                return
        # First, so that what is stopped below is no failure, after which a waiter goes on to the next step.
        self._parts.models.close()
        self._parts.encoders.close()
        self._parts.works.close()
        self._faces.clear()
        for embedder in tuple(self._embedders.values()):
            embedder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk(self, role: Role) -> Generator[_Asked, Any, Step]:
        """Go along the chain and return the step that is loaded; yields what has to be carried out for it."""
        from alwrity_checks.models.decision import may_follow, not_lighter
        from alwrity_checks.models.sharing import Closed, ForkedProcess, NotLoadedYet

        steps: tuple[Step, ...] = yield lambda: self.steps(role)
        failures: dict[Step, ModelError] = {}
        attempts: dict[Step, ModelError] = {}
        needs: dict[Step, int] = {}
        for step in steps:
            if failures:
                yield lambda: self._predict(steps, needs)
                if not may_follow(step, failures, needs):
                    attempts[step] = not_lighter(step, failures)
                    continue
            try:
                lease = yield step
            except (NotLoadedYet, Closed, ForkedProcess):
                raise
            except DoctorError as error:
                failures[step] = attempts[step] = _as_model_error(step, error)
            else:
                lease.release()
                return step
        raise NoModel(attempts)

    def first_fitting(self, role: Role) -> Step:
        """Return the step that will be loaded if all goes well. Blocks as `plan`. Raises NoModel."""
        from alwrity_checks.models.loading import PASSING_REASONS

        refused: dict[Step, ModelError] = {}
        for step in self.steps(role):
            error = self._parts.works.refusal(step, role.context)
            # What only the hub kept from being known may be had a minute later: a download tries again by itself.
            if error is None or error.reason in PASSING_REASONS:
                return step
            refused[step] = error
        raise NoModel(refused)

    def _predict(self, steps: tuple[Step, ...], needs: dict[Step, int]) -> None:
        for step in steps:
            if step not in needs and (need := self._parts.works.need(step, self._parts.context)) is not None:
                needs[step] = need

    def _load_step(self, step: Step) -> LoadedModel:
        """Load a step, on a thread of its own."""
        from alwrity_checks.models.decision import Course, Verdict, decide

        works, context = self._parts.works, self._parts.context
        if step.runtime not in works.installed():
            raise MissingExtra(_EXTRA[step.runtime.name], f"the runtime {step.runtime}")
        # Before gigabytes are fetched for nothing; a verdict can only be had once the files are here.
        if (refusal := works.refusal(step, context)) is not None:
            raise refusal
        directory = works.fetch(step)
        with self._memory:
            available = works.available(step)
            verdict = works.verdict(step, directory, context)
            if decide(step, works.need(step, context), available, verdict) is Course.REHEARSE:
                self._rehearse(step, directory, context, available)
            try:
                return works.load(step, directory, context)
            except OutOfMemory:
                works.remember(step, directory, context, Verdict(loaded=False, peak=0, available=available))
                raise

    def _rehearse(self, step: Step, directory: Path, context: int, available: int) -> None:
        from alwrity_checks.models.decision import Verdict

        try:
            peak = self._parts.works.rehearse(step, directory, context)
        except OutOfMemory:
            # What failed for another cause than memory says nothing about memory.
            self._parts.works.remember(step, directory, context, Verdict(loaded=False, peak=0, available=available))
            raise
        self._parts.works.remember(step, directory, context, Verdict(loaded=True, peak=peak, available=available))

    def _load_encoder(self, step: Step) -> Encoder:
        """Load the model of the embeddings, on a thread of its own: too small to be rehearsed."""
        refusal = self._parts.works.refusal(step, self._parts.roles[_EMBEDDINGS].context)
        if refusal is not None:
            raise refusal
        directory = self._parts.works.fetch(step)
        with self._memory:
            return self._parts.works.load_encoder(directory)

    def _embedder(self, step: Step) -> LocalEmbedder:
        from alwrity_checks.models.embedding import LocalEmbedder

        if step not in self._embedders:
            self._embedders.setdefault(step, LocalEmbedder(self._parts.encoders, step))
        return self._embedders[step]

    def _face(self, step: Step) -> LocalModel:
        from alwrity_checks.models.generation import LocalModel
        from alwrity_checks.models.shared_model import SharedModel

        if step not in self._faces:
            # One for all, because one answer at a time is all that a model gives.
            self._faces.setdefault(step, LocalModel(SharedModel(self._parts.models, step), step))
        return self._faces[step]


_EXTRA: Final = {"TRANSFORMERS": "models", "ONNX": "onnx"}


def _of_settings(settings: Settings) -> tuple[Mapping[str, Role], Works]:
    from alwrity_checks.models.roles import roles
    from alwrity_checks.models.workshop import Workshop

    return roles(settings), Workshop.from_settings(settings)


def _as_model_error(step: Step, error: DoctorError) -> ModelError:
    if isinstance(error, ModelError):
        return error
    if isinstance(error, MissingExtra):
        return LoadFailed(Reason.EXTRA_MISSING, error.diagnosis, error.remedy)
    return LoadFailed(Reason.LOAD_FAILED, f"loading {step}: {error.diagnosis}", error.remedy)


def _sent(walk: Generator[_Asked, Any, Step], answer: object) -> Callable[[], Any]:
    return lambda: walk.send(answer)


def _thrown(walk: Generator[_Asked, Any, Step], error: DoctorError) -> Callable[[], Any]:
    return lambda: walk.throw(error)


async def _in_a_thread(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the work returns
    """Call `work` on a thread of its own: the loop's executor may be full of those who wait for this very load."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is the waiter's
            future.set_exception(error)

    threading.Thread(target=run, name="model-look", daemon=True).start()
    return await asyncio.wrap_future(future)
