"""The options that name a checkout, and in what environment its own modules are driven.

A command takes `backend: BackendOption`, `python: PythonOption` and `use_env: UseEnvOption`, and puts its experiments
through `with_checkout`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.backend.driving import Surroundings
    from alwrity_doctor.reproduction import Reproducible

__all__ = ["BackendOption", "PythonOption", "UseEnvOption", "named_checkout", "with_checkout"]

BackendOption = Annotated[
    Path | None,
    typer.Option(
        "--backend",
        metavar="DIR",
        help="Also what this checkout of ALwrity has in its place, in a sandbox: its root, or backend/.",
    ),
]
PythonOption = Annotated[
    Path | None,
    typer.Option(
        "--python",
        metavar="PATH",
        help="The interpreter that drives the checkout.  [default: its virtual environment's, else this program's]",
    ),
]
UseEnvOption = Annotated[
    bool,
    typer.Option(
        "--use-env", help="Hand the settings of the checkout's .env files to its modules; else none of them is read."
    ),
]


def named_checkout(
    directory: Path | None, python: Path | None = None, *, use_env: bool = False
) -> tuple[Checkout, Surroundings] | None:
    """Return the checkout that the options name, and its surroundings; None if they name none.

    Raises ConfigurationError where they do not fit together, or name what is not there.
    """
    if directory is None:
        if python is not None or use_env:
            option = "--python" if python is not None else "--use-env"
            raise ConfigurationError(f"{option} is about a checkout, and none is named", "name it: --backend DIR")
        return None
    from alwrity_checks.backend.checkout import find_checkout
    from alwrity_checks.backend.driving import surroundings

    checkout = find_checkout(directory)
    return checkout, surroundings(checkout, python, use_env=use_env)


def with_checkout(
    experiments: Sequence[Reproducible[Any]], directory: Path | None, python: Path | None = None, *, use_env: bool
) -> list[Reproducible[Any]]:
    """Return the experiments with the checkout among their targets, if one is named; one without a driver says so."""
    found = named_checkout(directory, python, use_env=use_env)
    if found is None:
        return list(experiments)
    from alwrity_checks.backend.drivers import DRIVERS
    from alwrity_doctor.reproduction import Undriven, WithBackend

    return [
        WithBackend(one, DRIVERS[one.issue](*found) if one.issue in DRIVERS else Undriven(one.issue))
        for one in experiments
    ]
