"""What a checkout's local models are imported with: txtai for real, the rest of the application stood in for.

The agents' base class imports a database, a dashboard and half of the services. None of that loads a model: whatever
of the checkout is not named in `REAL` becomes a module of whose names each can be called, and says nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside

__all__ = [
    "AGENTS",
    "CORE",
    "ORCHESTRATOR",
    "REAL",
    "SPECIALIZED",
    "TORCH",
    "Application",
    "put_in_txtai",
    "with_torch",
    "without_torch",
]

AGENTS: Final = "services.intelligence.sif_agents"
SPECIALIZED: Final = "services.intelligence.agents.specialized.base"
CORE: Final = "services.intelligence.agents.core_agent_framework"
ORCHESTRATOR: Final = "services.intelligence.agents.agent_orchestrator"
PROVIDER: Final = "services.llm_providers.main_text_generation"

REAL: Final = frozenset(
    {
        AGENTS,
        SPECIALIZED,
        CORE,
        ORCHESTRATOR,
        "services.intelligence.txtai_service",
        "services.intelligence.semantic_cache",
        "services.intelligence.agent_flat_context",
    }
)
"""The checkout's modules that are imported as they are."""
TORCH: Final = ("torch", "transformers", "sentence_transformers", "sklearn", "scipy")
"""What a recent txtai does without, and takes six seconds to import."""


class Anything:
    """What stands for a name of the application: it can be called, entered, subclassed, and is always itself."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take whatever the real one takes."""

    def __call__(self, *_: object, **__: object) -> Anything:
        return self

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let every error through."""


class Application(MetaPathFinder, Loader):
    """Finds, of the checkout's own packages, what is real, and stands in for everything else in them."""

    def __init__(self, inside: Inside, generate: Callable[..., str], real: Collection[str] = REAL) -> None:
        """`generate` is the application's remote provider, `llm_text_gen`; `real` is imported as it is."""
        self._inside = inside
        self._real = frozenset(real)
        self._generate = generate
        self._packages = frozenset(_packages(inside.backend))

    def renew(self) -> None:
        """Begin a fresh process of the backend: nothing of it is imported, nor stood in for."""
        self._inside.forget(*self._packages)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a stand-in for what is not real."""
        del path, target
        if fullname in self._real or fullname.partition(".")[0] not in self._packages:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the stand-in."""
        module = ModuleType(spec.name, "A stand-in of alwrity-doctor.")
        # Below it lie the checkout's own files: those of them that are real are found there.
        spec.submodule_search_locations = [str(self._inside.backend.joinpath(*spec.name.split(".")))]
        if spec.name == PROVIDER:
            vars(module)["llm_text_gen"] = self._generate
        vars(module)["__getattr__"] = self._names(spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""

    def _names(self, module: str) -> Callable[[str], object]:
        def name_of(name: str) -> object:
            if name.startswith("__"):
                raise AttributeError(name)
            if module not in self._inside.stubs:
                self._inside.stubs.append(module)
            # A class may be subclassed, and its constructor called with whatever.
            return type(name, (Anything,), {}) if name[0].isupper() else Anything()

        return name_of


def _packages(backend: Path) -> Iterator[str]:
    """Yield the names at the top of the checkout; call it before the checkout is on the path.

    What is in use already is not the checkout's, and a directory without `__init__` loses to an installed package.
    """
    for one in backend.iterdir():
        if one.suffix != ".py" and not one.is_dir():
            continue
        name = one.stem
        taken = name in sys.stdlib_module_names or name in sys.modules
        if not name.isidentifier() or taken:
            continue
        if one.suffix == ".py" or (one / "__init__.py").is_file() or find_spec(name) is None:
            yield name


def put_in_txtai(**classes: type) -> None:
    """Put classes where txtai has ones of these names; a name that this txtai does not have in a place stays missing.

    It is how a checkout that imports a name from the wrong place goes on failing as it does.
    """
    for place in ("txtai", "txtai.pipeline", "txtai.pipeline.llm", "txtai.agent"):
        module = sys.modules.get(place)
        for name, value in classes.items():
            if module is not None and isinstance(getattr(module, name, None), type):
                setattr(module, name, value)


def without_torch() -> None:
    """Let every import of torch and its kin fail from now on, as if they were not installed."""
    for name in TORCH:
        if name not in sys.modules:
            # What the import system itself knows as "there is no such module".
            sys.modules[name] = None  # type: ignore[assignment]


def with_torch() -> None:
    """Let them be imported again, and what was imported without them anew."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "txtai"]:
        del sys.modules[name]
    for name in TORCH:
        if name in sys.modules and sys.modules[name] is None:
            del sys.modules[name]
