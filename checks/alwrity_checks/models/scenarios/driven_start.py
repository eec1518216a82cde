"""The start script of a checkout, loaded under another name than `__main__`: what it would fetch, and nothing is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import ModuleType

    from alwrity_checks.sandbox.inside import Inside

__all__ = ["BOOTSTRAP", "FILE", "GATE", "Downloads", "load_start_script"]

FILE: Final = "start_alwrity_backend.py"
BOOTSTRAP: Final = "bootstrap_local_llm_models"
GATE: Final = "should_bootstrap_local_llm_models"
"""What decides, since March 2026, whether the bootstrap is called at all (ALwrity ce9bf293)."""
_NAME: Final = "alwrity_backend_start_script"
_HUB: Final = "huggingface_hub"


@dataclass(frozen=True, slots=True)
class Downloads:
    """Stands for `huggingface_hub.snapshot_download`, and keeps account of what is asked for."""

    models: list[str] = field(default_factory=list)
    work: Callable[..., str] | None = None
    """What is done for it, if anything is."""

    def __call__(self, repo_id: str = "", *arguments: Any, **options: Any) -> str:  # noqa: ANN401 - as the library's
        """Take note."""
        self.models.append(str(repo_id))
        return self.work(repo_id, *arguments, **options) if self.work else "/nowhere"

    @contextmanager
    def listening(self, inside: Inside) -> Iterator[None]:
        """Take the library's place within the block; where it is not installed, that of the whole library."""
        if find_spec(_HUB) is None and _HUB not in sys.modules:
            inside.stand_in(_HUB, snapshot_download=self)
        module = importlib.import_module(_HUB)
        before = module.snapshot_download
        module.snapshot_download = self  # type: ignore[attr-defined, unused-ignore]
        try:
            yield
        finally:
            module.snapshot_download = before  # type: ignore[attr-defined, unused-ignore]


def load_start_script(inside: Inside) -> ModuleType:
    """Return the start script, run under a name that starts nothing. Raises whatever it raises.

    It has to be in `sys.modules` before it runs: its dataclasses look themselves up (ALwrity ce9bf293).
    """
    without_a_server(inside)
    path = inside.backend / FILE
    spec = spec_from_file_location(_NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)
    return module


def without_a_server(inside: Inside) -> None:
    """Stand in for uvicorn where it is not installed: the newer script imports it at its top."""
    if find_spec("uvicorn") is None and "uvicorn" not in sys.modules:
        inside.stand_in("uvicorn", run=lambda *_, **__: None)
