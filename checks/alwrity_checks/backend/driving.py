"""What it takes to drive a module of the checkout: an interpreter that can, files that parse, the user's wishes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.backend.checkout import INTERPRETERS
from alwrity_checks.backend.interpreters import Choice, choose, named
from alwrity_checks.backend.syntax import Fault, Syntax, syntax_fault
from alwrity_checks.errors import CannotCheck, ConfigurationError
from alwrity_checks.model import Finding, Location, LocationKind
from alwrity_checks.sandbox.sandbox import Sandbox
from alwrity_checks.sandbox.target import CheckoutTarget

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.redaction import Secret

__all__ = ["Driver", "Surroundings", "checkout_target", "chosen_interpreter", "surroundings"]

_RULES: Final = {Syntax.CONFLICT: "SRC001", Syntax.ERROR: "SRC002", Syntax.NEWER: "SRC003"}
"""Why a file does not parse -> the rule that is broken."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the user says of the environment that the checkout's modules are to be driven in."""

    python: Path | None = None
    """The interpreter; None for the checkout's own, or else ours."""
    handed: Mapping[str, Secret] = field(default_factory=dict)
    """The settings of the checkout's `.env` files, if they are to be used."""


def surroundings(checkout: Checkout, python: Path | None = None, *, use_env: bool = False) -> Surroundings:
    """Return the surroundings that the options `--python` and `--use-env` ask for.

    The `.env` files are read as the backend's `app.py` does: `backend/.env`, then the root's; the first that sets a
    variable wins (ALwrity ce9bf293, app.py). Raises ConfigurationError for a file that cannot be read or used.
    """
    from alwrity_checks.settings import Settings

    python = None if python is None else _interpreter(python)
    if not use_env:
        return Surroundings(python)
    files = [path for place in (checkout.backend, checkout.root) if (path := place / ".env").is_file()]
    if not files:
        message = f"--use-env: there is no .env in {checkout.backend} nor in {checkout.root}"
        raise ConfigurationError(message, "leave the option out")
    settings = Settings.load({}, files)
    return Surroundings(python, {name: one.value for layer in reversed(settings.dotenv) for name, one in layer.items()})


def _interpreter(named: Path) -> Path:
    """Return the interpreter that is named by its path, by its environment's directory, or as a command.

    It is not resolved: an environment is known by the path that its interpreter is run by.
    """
    place = named.expanduser().absolute()
    if found := next((path for path in (place, *(place / name for name in INTERPRETERS)) if path.is_file()), None):
        return found
    if len(named.parts) == 1 and (command := shutil.which(named.name)):
        return Path(command)
    raise ConfigurationError(
        f"--python {named} is no interpreter", "name the file itself, such as backend/.venv/bin/python"
    )


@dataclass(frozen=True, slots=True)
class Driver:
    """A room's driver, and what it needs of the checkout and of an interpreter."""

    name: str
    """The module with `drive`, such as `alwrity_checks.auth.driver`."""
    modules: Sequence[tuple[bool, str]]
    """What is imported of the checkout for real: whether there is no driving it without, and the dotted name.

    The first is the one under test.
    """
    needed: Sequence[str]
    """The third-party modules that the interpreter must have."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What the driver is told: JSON, nothing secret."""
    names: Sequence[str] = ()
    """What the driver looks for in the module under test: where a later revision has it is then said."""
    component: Sequence[str] = ()
    """What the interpreter must have besides where that module imports our component."""


def checkout_target(checkout: Checkout, around: Surroundings, driver: Driver) -> CheckoutTarget:
    """Return a module of the checkout as an experiment's target.

    The files are parsed and the interpreters asked here; what speaks against driving it is in the target, which says
    so when it is put through its experiment. The driver finds in its plan, beside what is given, whether it has our
    `own` interpreter, which lacks or has things that the backend's environment may not.
    """
    module = driver.modules[0][1]
    elsewhere = _elsewhere(checkout, module, driver.names)
    try:
        needed = (*driver.needed, *(driver.component if _is_cured(checkout, module) else ()))
        choice = chosen_interpreter(checkout, around, needed, driver.modules)
    except CannotCheck as error:
        if elsewhere:
            error = CannotCheck(f"{error.diagnosis}; {elsewhere}", error.remedy, error.findings)
        return CheckoutTarget(Sandbox(checkout.backend, driver.name), module, obstacle=error)
    plan = {**driver.plan, "own": choice.own}
    sandbox = Sandbox(checkout.backend, driver.name, choice.path, plan, around.handed)
    return CheckoutTarget(sandbox, module, choice.note, elsewhere=elsewhere)


def _is_cured(checkout: Checkout, module: str) -> bool:
    """Say whether a module imports our components; what they need is not in every environment of a backend yet."""
    try:
        return b"alwrity_checks" in checkout.module(module).read_bytes()
    except OSError:
        return False


def _elsewhere(checkout: Checkout, module: str, names: Sequence[str]) -> str:
    """Return where the names are defined that a module does not even mention; an empty text if it does."""
    path = checkout.module(module)
    try:
        source = path.read_bytes() if path.is_file() else b""
    except OSError:
        return ""
    if any(name.encode() in source for name in names):
        return ""
    from alwrity_checks.backend.moved import definitions

    return definitions(checkout, names) if names else ""


def chosen_interpreter(
    checkout: Checkout, around: Surroundings, needed: Sequence[str], modules: Sequence[tuple[bool, str]]
) -> Choice:
    """Return the interpreter that drives these modules. Raises CannotCheck with what speaks against it."""
    candidates = list(checkout.interpreters())
    chosen = choose(candidates, needed) if around.python is None else named(around.python, needed)
    others = [path for path in (*candidates, Path(sys.executable)) if path != chosen.path]
    for required, name in modules:
        path = checkout.module(name)
        if not path.is_file():
            if required:
                message = f"the checkout has no {path.relative_to(checkout.backend).as_posix()}"
                raise CannotCheck(message, "look whether this is the revision you mean")
            continue
        if fault := syntax_fault(path, chosen.path, others):
            raise CannotCheck(fault.message, fault.remedy, _findings(checkout, path, fault))
    return chosen


def _findings(checkout: Checkout, path: Path, fault: Fault) -> tuple[Finding, ...]:
    """Return a file that does not parse as a finding, with its line."""
    from alwrity_checks.backend.rules import rule

    if fault.kind not in _RULES:
        return ()
    place = str(path) if fault.line is None else f"{path}:{fault.line}"
    location = Location(LocationKind.FILE, path.relative_to(checkout.root).as_posix(), fault.line)
    message = f"{path.name} {fault.message.removeprefix(f'{place} ')}"
    return (Finding(rule(_RULES[fault.kind]), message, location=location),)
