"""Which checks run, and in which order: requirements decide, not the order they are written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.facts import prerequisites

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from alwrity_checks.model import Check

__all__ = ["choose", "ordered"]


def choose(available: Sequence[Check], names: Collection[str] = (), issues: Collection[int] = ()) -> tuple[Check, ...]:
    """Return the checks that are named and belong to one of `issues`, with what they require, requirements first.

    A name is a check's, or a prefix of it up to a dot: `auth` names `auth.issuer`. No names, or no issues, means all.
    A check without an issue (an entry point that does not load) belongs to all of them, since it may hide any.
    Raises ConfigurationError for a name or an issue that no check has, and where nothing is left.
    """
    if not available:
        raise ConfigurationError("no check is installed", "pip install --force-reinstall alwrity-doctor")
    for name in names:
        if not any(_is_named(check, name) for check in available):
            raise ConfigurationError(f"no check is called {name}", f"the checks are: {_names(available)}")
    if unknown := sorted(set(issues) - {check.issue for check in available}):
        known = sorted({check.issue for check in available if check.issue})
        raise ConfigurationError(
            f"no check belongs to issue {unknown[0]}", f"there are checks for issue {', '.join(map(str, known))}"
        )
    chosen = [
        check
        for check in available
        if (not names or any(_is_named(check, name) for name in names))
        and (not issues or check.issue in issues or not check.issue)
    ]
    if not chosen:
        raise ConfigurationError(
            "none of the checks named belongs to the issues named", "leave out either the names or --issue"
        )
    return ordered(chosen, available)


def ordered(chosen: Iterable[Check], available: Iterable[Check]) -> tuple[Check, ...]:
    """Return `chosen` and everything they require, each check after what it requires, otherwise in the given order.

    Raises ConfigurationError where a check requires one that is not available, or, by whatever way, itself.
    """
    by_name = {check.name: check for check in available}
    placed: dict[str, Check] = {}

    def place(check: Check, path: tuple[str, ...]) -> None:
        if check.name in path:
            cycle = " -> ".join((*path[path.index(check.name) :], check.name))
            raise ConfigurationError(f"checks require each other: {cycle}", "take one requirement out of the circle")
        if check.name in placed:
            return
        for name in prerequisites(check):
            if name not in by_name:
                raise ConfigurationError(
                    f"{check.name} requires the check {name}, which does not exist",
                    f"the checks are: {_names(by_name.values())}",
                )
            place(by_name[name], (*path, check.name))
        placed[check.name] = check

    for check in chosen:
        place(check, ())
    return tuple(placed.values())


def _is_named(check: Check, name: str) -> bool:
    return check.name == name or check.name.startswith(f"{name}.")


def _names(checks: Iterable[Check]) -> str:
    return ", ".join(sorted(check.name for check in checks))
