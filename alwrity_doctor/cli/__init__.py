"""The command line: one module per command group, imported only when the group is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from alwrity_doctor import __version__

if TYPE_CHECKING:
    # typer carries its own copy of click, under a private name; only annotations need it.
    from typer._click import Command, Context, HelpFormatter

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
        "triage": ("alwrity_doctor.cli.triage:app", "What a backend's log says, and what failed first."),
        "diff": ("alwrity_doctor.cli.diff:app", "What became better or worse between two reports."),
        "render": ("alwrity_doctor.cli.render:app", "Write a report again, in another format."),
        "tracker": ("alwrity_doctor.cli.tracker:app", "The root-cause catalogue: list, show, check, record."),
    }
)
"""Command -> where its typer app is, and its line in the help."""

_HELP: Final = """Reproduce, explain and cure the catalogued faults of an ALwrity backend.

Exit codes: 0 healthy; 1 a finding at or above --fail-on; 2 usage or configuration;
3 something could not be checked; 130 interrupted.
"""


class _Commands(Mapping[str, "Command"]):
    """The commands by name; only looking one up imports its module, and only the first time builds it."""

    def __init__(self) -> None:
        self._built: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def _build(self, name: str) -> Command:
        module, _, attribute = COMMANDS[name][0].partition(":")
        app: typer.Typer = getattr(import_module(module), attribute)
        # Said here once: rich takes 100 ms to import, and a subcommand is no place to install a shell's completion.
        app.rich_markup_mode = None
        app._add_completion = False  # noqa: SLF001 - a constructor argument without a public attribute
        command = get_command(app)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _LazyGroup(TyperGroup):
    """A group whose help comes from the table instead of from its commands."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def command_line() -> TyperGroup:
    """Return the root command. Without arguments it shows its help and exits 2: nothing was checked."""
    version = TyperOption(
        param_decls=["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    )
    # click's group takes a plain dict, which it only ever reads from.
    commands: Any = _Commands()
    return _LazyGroup(
        name="alwrity-doctor",
        commands=commands,
        params=[version],
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _show_version(_context: Context, _parameter: object, value: object) -> None:
    if value:
        typer.echo(f"alwrity-doctor {__version__}")
        raise typer.Exit
