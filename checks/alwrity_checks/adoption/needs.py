"""The settings that an adoption needs: where the present value of each comes from, never what it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from alwrity_checks.settings import Settings, Source

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.adoption.proposal import Needed
    from alwrity_checks.backend.checkout import Checkout

__all__ = ["env_files_of", "listed", "missing"]


def env_files_of(checkout: Checkout) -> tuple[Path, ...]:
    """Return the .env files of a checkout, in the order in which its `app.py` reads them (ALwrity ce9bf293)."""
    places = (checkout.backend / ".env", checkout.root / ".env")
    return tuple(path for path in places if path.is_file())


def listed(needed: Iterable[Needed], settings: Settings, root: Path) -> dict[str, str]:
    """Return, for each setting, where its present value comes from, and what it is for."""
    return {one.name: f"{_origin(one, settings, root)}: {one.why}" for one in _once(needed)}


def missing(needed: Iterable[Needed], settings: Settings) -> Sequence[Needed]:
    """Return the settings that production does not work without, and that are not set here, or set to nothing."""
    return [one for one in _once(needed) if one.required and not any(map(settings.text, (one.name, *one.instead)))]


def _once(needed: Iterable[Needed]) -> Iterable[Needed]:
    found: dict[str, Needed] = {}
    for one in needed:
        if one.name not in found or one.required:
            found[one.name] = one
    return found.values()


def _origin(one: Needed, settings: Settings, root: Path) -> str:
    setting = settings.get(one.name, *one.instead)
    if setting is None:
        return "not set here, and required" if one.required else "not set here, optional"
    source = "the environment"
    if setting.source is Source.DOTENV:
        source = str(setting.location).removeprefix(f"{root}/")
    named = "" if setting.name == one.name else f", as {setting.name}"
    return f"set{' to nothing' if not setting.value else ''}{named}, by {source}"
