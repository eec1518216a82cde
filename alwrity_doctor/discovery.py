"""The checks that are installed: ours and third parties', from one entry-point group.

An entry point loads a sequence of checks. What is wrong with one is shown as a check that comes out `unknown` and
names the distribution: a broken plug-in neither stops the gate nor goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.model import Requirement
from alwrity_doctor.foreign import in_one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from alwrity_checks.model import Check, Context, Finding

__all__ = ["GROUP", "discover"]

GROUP: Final = "alwrity_doctor.checks"
_OURS: Final = "alwrity-doctor"
_PARTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"name": str, "title": str, "issue": int, "requires": Collection, "timeout": timedelta, "run": Callable}
)


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands in for the checks that an entry point should have brought."""

    name: str
    distribution: str
    fault: str
    cause: BaseException | None = None
    title: str = "the entry point loads its checks"
    issue: int = 0
    """Belongs to no entry of the tracker."""
    requires: frozenset[Requirement] = frozenset()
    timeout: timedelta = timedelta(seconds=10)

    async def run(self, context: Context) -> Sequence[Finding]:
        """Report the fault."""
        del context
        raise DoctorError(self.fault, f"upgrade {self.distribution}, or uninstall it") from self.cause


def discover() -> tuple[Check, ...]:
    """Return every installed check, ours first, then by distribution; no two have the same name."""
    from importlib.metadata import entry_points

    checks: dict[str, Check] = {}
    for entry in sorted(entry_points(group=GROUP), key=_precedence):
        for check in _load(entry, taken=checks):
            checks[check.name] = check
    return tuple(checks.values())


def _precedence(entry: EntryPoint) -> tuple[bool, str, str]:
    distribution = _distribution(entry)
    return distribution != _OURS, distribution, entry.name


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unnamed distribution"


def _load(entry: EntryPoint, taken: dict[str, Check]) -> list[Check]:
    """Return the usable checks of `entry`, and one that stands for whatever is wrong with the others."""
    usable: dict[str, Check] = {}
    faults: list[str] = []
    cause: BaseException | None = None
    try:
        for one in entry.load():
            if fault := _fault_of(one):
                faults.append(fault)
            elif one.name in taken or one.name in usable:
                faults.append(f"brings a second check called {one.name}, which is left out")
            else:
                usable[one.name] = one
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code, which may do anything
        faults.append(f"does not load: {in_one_line(error)}")
        cause = error
    found = list(usable.values())
    if faults:
        distribution = _distribution(entry)
        version = entry.dist.version if entry.dist else "?"
        fault = f"the entry point {entry.name} of {distribution} {version} {'; '.join(faults)}"
        found.append(_Unusable(f"{entry.name}.{distribution}", distribution, fault, cause))
    return found


def _fault_of(one: Any) -> str:  # noqa: ANN401 - whatever an entry point holds
    unfit = [part for part, kind in _PARTS.items() if not isinstance(getattr(one, part, None), kind)]
    if unfit:
        return f"brings a {type(one).__name__}, which is not a check: its {', '.join(unfit)} cannot be used"
    if not all(isinstance(need, Requirement) for need in one.requires):
        return f"brings {one.name}, whose requirements are not of type Requirement"
    return ""
