"""`alwrity-doctor completion SHELL`: what a shell needs to complete the commands."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


class _Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(
    shell: Annotated[_Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    *,
    words: Annotated[bool, typer.Option("--words", hidden=True)] = False,
) -> None:
    """Print what completes commands, options, rules, issues and checks in a shell; nothing is written anywhere.

    bash: add to ~/.bashrc     eval "$(alwrity-doctor completion bash)"

    zsh:  add to ~/.zshrc      eval "$(alwrity-doctor completion zsh)"

    fish: alwrity-doctor completion fish > ~/.config/fish/completions/alwrity-doctor.fish
    """
    if words:
        _answer(shell)
    else:
        typer.echo((Path(__file__).parent / "shells" / f"alwrity-doctor.{shell}").read_text("utf-8"), nl=False)


def _answer(shell: _Shell) -> None:
    """Read the words up to the cursor from stdin, each ended by a NUL; write what can stand in place of the last.

    They come on stdin because one of them may be a token, and arguments can be read by every user of the machine.
    """
    from alwrity_doctor.cli.completing import proposal

    told = sys.stdin.buffer.read().decode("utf-8", "replace").split("\0")[:-1] if sys.stdin else []
    proposed = proposal(told or [""], broken=shell is _Shell.BASH)
    lines = [proposed.kind, *(f"{word}\t{why}" if shell is not _Shell.BASH else word for word, why in proposed.words)]
    typer.echo("\n".join(lines))
