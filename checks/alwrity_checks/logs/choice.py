"""Which engine finds the literals: hyperscan where it is installed and works, the standard library everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.logs.matcher import Matcher, PlainFinder

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Probe

__all__ = ["Choice", "Engine", "choose", "matcher_for"]

Engine = Literal["auto", "python", "hyperscan"]
_PURPOSE: Final = "finding log lines with hyperscan"


class Choice(NamedTuple):
    """The engine that is used."""

    engine: Literal["python", "hyperscan"]
    note: str = ""
    """Why it is not the faster one, where that is worth a word."""


def choose(engine: Engine = "auto") -> Choice:
    """Return what `engine` comes to on this machine; hyperscan is tried on a literal.

    Raises MissingExtra or ConfigurationError where hyperscan is asked for by name and cannot be used.
    """
    if engine == "python":
        return Choice("python")
    try:
        from alwrity_checks.logs.matcher_hyperscan import HyperscanFinder

        works = HyperscanFinder((b"works",))(b"it works", 0, 8) == [(7, 0)]
        why = "" if works else "it did not find what is there"
    except ModuleNotFoundError as error:
        if engine == "hyperscan":
            raise MissingExtra("fast", _PURPOSE) from error
        return Choice("python")
    except Exception as error:  # noqa: BLE001 - whatever a broken library raises, the other engine works
        why = f"{type(error).__name__}: {error}"
    if not why:
        return Choice("hyperscan")
    if engine == "hyperscan":
        raise ConfigurationError(f"hyperscan does not work on this machine ({why})", "use the engine python")
    return Choice("python", f"hyperscan does not work on this machine ({why}); the slower engine was used")


def matcher_for(engine: str, probes: Sequence[Probe]) -> Matcher:
    """Return a matcher for these probes, with the engine that `choose` named."""
    if engine != "hyperscan":
        return Matcher(probes, PlainFinder)
    from alwrity_checks.logs.matcher_hyperscan import HyperscanFinder

    return Matcher(probes, HyperscanFinder)
