"""Which runtime loads what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.runtimes.genai_runtime import GenaiLoader
from alwrity_checks.models.runtimes.transformers_runtime import TransformersLoader

if TYPE_CHECKING:
    from alwrity_checks.models.runtimes.interface import RuntimeLoader
    from alwrity_checks.models.steps import Runtime

__all__ = ["LOADERS"]

LOADERS: Final[Mapping[Runtime, RuntimeLoader]] = {
    loader.runtime: loader for loader in (TransformersLoader(), GenaiLoader())
}
