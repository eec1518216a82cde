"""The root command, built from the table: a command's module is imported only when the command is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from alwrity_doctor import __version__, cli

if TYPE_CHECKING:
    # typer carries its own copy of click, under a private name; only annotations need it.
    from typer._click import Command, Context, HelpFormatter

__all__ = ["root_command"]

_HELP: Final = """Reproduce, explain and cure the catalogued faults of an ALwrity backend.

Without a command: where you stand, and what to run next.

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
        module, _, attribute = cli.COMMANDS[name][0].partition(":")
        app: typer.Typer = getattr(import_module(module), attribute)
        # Said here once: rich takes 100 ms to import, and a subcommand is no place to install a shell's completion.
        app.rich_markup_mode = None
        app._add_completion = False  # noqa: SLF001 - a constructor argument without a public attribute
        command = get_command(app)
        command.name = name
        _quieten()
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(cli.COMMANDS)

    def __len__(self) -> int:
        return len(cli.COMMANDS)


class _LazyGroup(TyperGroup):
    """A group whose help comes from the table instead of from its commands."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in cli.COMMANDS.items()])


def root_command() -> TyperGroup:
    """Return the root command. Options without a command show its help and end with 2: nothing was checked."""
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


def _quieten() -> None:
    """Keep what components log off the terminal: it is for a backend's log, and the report says the same better."""
    import logging

    components = logging.getLogger("alwrity_checks")
    if not components.handlers:
        components.addHandler(logging.NullHandler())
