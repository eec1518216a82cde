"""Whether a command line that a document names is one of this program."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["complaint"]


def complaint(program: Any, command_line: str) -> str:  # noqa: ANN401 - typer carries its own copy of click's types
    """Say what keeps `command_line` from being a command of `program`, typer's root command; nothing if it is one.

    Names of commands and options are looked up and arguments counted; the values are not judged, so that a
    placeholder like `FILE` may stand for one.
    """
    try:
        path, *words = shlex.split(command_line)
    except ValueError as error:
        return f"not a command line: {error}"
    command, context = program, typer.Context(program, info_name=path, **program.context_settings)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"{path} has no command {words[0]}"
        path = f"{path} {words.pop(0)}"
        command, context = found, typer.Context(found, parent=context, info_name=path)
    if isinstance(command, TyperGroup) and not words:
        return f"{path} is a group: name one of its commands"
    return _misused(command.get_params(context), words, path)


def _misused(parameters: Sequence[Any], words: Sequence[str], path: str) -> str:
    options = {name: p for p in parameters if p.param_type_name == "option" for name in (*p.opts, *p.secondary_opts)}
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    values = 0
    rest = iter(words)
    for word in rest:
        name, has_value, _ = word.partition("=")
        if word == "--":
            values += len(list(rest))
        elif not word.startswith("-") or word == "-":
            values += 1
        elif name not in options:
            return f"{path} has no option {name}"
        elif not (has_value or options[name].is_flag or next(rest, None) is not None):
            return f"{name} needs a value"
    if values < sum(p.required for p in arguments) and not {"-h", "--help"} & {*words}:
        return f"{path} needs {' and '.join(p.human_readable_name for p in arguments if p.required)}"
    if values > len(arguments) and not any(p.nargs < 0 for p in arguments):
        return f"{path} takes {len(arguments)} arguments, not {values}"
    return ""
