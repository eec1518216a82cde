"""Drivers of the tests' own, carried out in the sandbox by the interpreter of the tests."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from alwrity_checks.sandbox.conversation import lines
from alwrity_checks.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

__all__ = ["heard", "sandbox_with"]

_DRIVER = "driver_of_the_test"


def sandbox_with(tmp_path: Path, patch: pytest.MonkeyPatch, source: str, **options: Any) -> Sandbox:  # noqa: ANN401 - Sandbox's
    """Return a sandbox whose driver has this source, for an empty checkout."""
    place = tmp_path / "drivers"
    place.mkdir()
    (place / f"{_DRIVER}.py").write_text(source, encoding="utf-8")
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH")))))
    backend = tmp_path / "checkout" / "backend"
    backend.mkdir(parents=True)
    return Sandbox(backend, _DRIVER, **options)


def heard(
    sandbox: Sandbox, act: str = "act", *words: str, silence: float = 60.0, variables: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return everything that the child said, and how it ended; `variables` are added to its environment."""

    async def listen() -> list[dict[str, Any]]:
        with sandbox.launched(act, *words) as launch:
            added = replace(launch, environment={**launch.environment, **(variables or {})})
            async with aclosing(lines(added, silence)) as said:
                return [line async for line in said]

    return asyncio.run(listen())
