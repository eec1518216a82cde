"""A file of entries that people write and keep: TOML, one list of tables, every mistake named with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Form", "entries"]

_WORDS: Final[Mapping[type, str]] = {
    str: "a non-empty string",
    date: "a date such as 2026-12-31",
    int: "a number above 0",
}
_LARGEST: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """What such a file may hold."""

    table: str
    """The name of the list: its entries begin with [[table]]."""
    required: Mapping[str, type]
    """Key -> the exact type of its value."""
    optional: Mapping[str, type] = field(default_factory=dict)
    schema: str = ""
    """What the key `schema` at the top has to say; empty if the file has none."""
    remedy: str = ""
    """What to do where the file cannot be read."""


def entries(path: Path, form: Form) -> list[tuple[str, dict[str, Any]]]:
    """Return each entry of the file at `path` with the words that name its place, `FILE, entry 3`.

    Raises ConfigurationError for a file that cannot be read, is larger than 16 MiB, is not TOML or is of another form,
    and for an entry that lacks a key, has one we do not know, or an unusable value.
    """
    document = _document(path, form)
    if form.schema and document.pop("schema", None) != form.schema:
        raise ConfigurationError(
            f"{path} does not say that it is {form.schema}",
            "name a file that this version of alwrity-doctor wrote",
        )
    if unknown := sorted(document.keys() - {form.table}):
        raise ConfigurationError(f"{path}: unknown key {unknown[0]}", f"the file holds [[{form.table}]] entries only")
    listed = document.get(form.table, [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ConfigurationError(
            f"{path}: {form.table} is not a list of tables", f"begin each entry with [[{form.table}]]"
        )
    placed = [(f"{path}, entry {number}", entry) for number, entry in enumerate(listed, start=1)]
    for where, entry in placed:
        _check(where, entry, form)
    return placed


def _document(path: Path, form: Form) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{path} cannot be read: {told}", form.remedy) from error
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path} is larger than 16 MiB", form.remedy)
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}", "correct the file") from error


def _check(where: str, entry: Mapping[str, Any], form: Form) -> None:
    kinds = {**form.required, **form.optional}
    if unknown := sorted(entry.keys() - kinds.keys()):
        raise ConfigurationError(f"{where}: unknown key {unknown[0]}", f"the keys are: {', '.join(kinds)}")
    for key, kind in kinds.items():
        if key not in entry and key in form.optional:
            continue
        # `type(...)`: a datetime is a date to isinstance, and would lapse at an hour instead of with its day.
        usable = type(entry.get(key)) is kind and entry[key]
        if not usable or (kind is int and entry[key] < 1):
            state = "is not" if key in entry else "is missing; it is"
            raise ConfigurationError(f"{where}: {key} {state} {_WORDS[kind]}", f"give {key} in the entry")
