"""A change of the catalogue: shown as a diff, agreed to, and written whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import write_whole
from alwrity_doctor.tracker import load

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DryRunOption", "YesOption", "asking", "write"]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Write without asking.")]


def asking(*, dry_run: bool, yes: bool) -> Callable[[], bool]:
    """Return what says whether a shown change is to be written; it raises ConfigurationError without a terminal."""
    if dry_run:
        return lambda: False
    if yes:
        return lambda: True
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        return lambda: typer.confirm("Write this?")

    def refuse() -> bool:
        raise ConfigurationError("nothing was written: there is no terminal to ask on", "add --yes, or --dry-run")

    return refuse


def write(path: Path, before: bytes, text: str, *, asking: Callable[[], bool]) -> None:
    """Show what would change, and write it if that is wanted and nobody else has written in the meantime."""
    import difflib

    old = before.decode("utf-8")
    if text == old:
        typer.echo(f"{path}: nothing new")
        return
    diff = difflib.unified_diff(old.splitlines(), text.splitlines(), str(path), str(path), lineterm="", n=1)
    typer.echo("\n".join(diff))
    if not asking():
        return
    if path.read_bytes() != before:
        raise ConfigurationError(f"{path} was changed while the validations ran", "run it again")
    write_whole(path, text)
    load(path)
    typer.echo(f"{path}: written", err=True)
