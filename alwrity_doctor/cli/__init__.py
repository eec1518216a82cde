"""The command line: one module per command group, imported only when the group is called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typer.core import TyperGroup

__all__ = ["COMMANDS", "command_line"]

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "gate": ("alwrity_doctor.cli.gate:app", "Run the checks and end with one exit code."),
        "reproduce": (
            "alwrity_doctor.cli.reproduce:app",
            "Show each fault on its model, and its absence from the fix.",
        ),
        "explain": ("alwrity_doctor.cli.explain:app", "Explain a rule: what, why, how to reproduce, fix and validate."),
        "auth": ("alwrity_doctor.cli.auth:app", "Issue 1: Clerk tokens, keys and settings."),
        "hf": ("alwrity_doctor.cli.hf:app", "Issue 2: the Hugging Face router, structured JSON."),
        "txtai": ("alwrity_doctor.cli.txtai:app", "Issue 3: the semantic index, its race and its cure."),
        "models": ("alwrity_doctor.cli.models:app", "Issue 5: local models: what fits, and how fast it answers."),
        "startup": ("alwrity_doctor.cli.startup:app", "Issue 6: what a server's start waits for."),
        "scan": ("alwrity_doctor.cli.scan:app", "What a checkout's source betrays, with file and line."),
        "adopt": ("alwrity_doctor.cli.adopt:app", "Write the cure into a checkout, and prove it there."),
        "triage": ("alwrity_doctor.cli.triage:app", "What a backend's log says, and what failed first."),
        "diff": ("alwrity_doctor.cli.diff:app", "What became better or worse between two reports."),
        "render": ("alwrity_doctor.cli.render:app", "Write a report again, in another format."),
        "bundle": ("alwrity_doctor.cli.bundle:app", "One archive to hand over: the report, logs, versions; no secret."),
        "completion": ("alwrity_doctor.cli.completion:app", "Print what completes commands in bash, zsh or fish."),
        "tracker": ("alwrity_doctor.cli.tracker:app", "The root-cause catalogue: list, show, check, record."),
    }
)
"""Command -> where its typer app is, and its line in the help."""


def command_line() -> TyperGroup:
    """Return the root command. typer is imported only here: where you stand is told without it."""
    from alwrity_doctor.cli.root import root_command

    return root_command()
