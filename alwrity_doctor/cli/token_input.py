"""The ways in which a token reaches a command, none of which prints it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import Secret
from alwrity_doctor.cli.process import say

__all__ = ["read_token"]

VARIABLE: Final = "ALWRITY_DOCTOR_TOKEN"
_LARGEST: Final = 1 << 20
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def read_token(argument: str | None, file: Path | None) -> str:
    """Return the token from the argument, standard input (`-`), `file` or the environment, in that order.

    What comes from standard input or a file is taken byte for byte, but for one line end that a shell adds. Raises
    ConfigurationError if there is none, or two.
    """
    if argument is not None and file is not None:
        raise ConfigurationError("a token and --token-file were given", "give one of them")
    if file is not None:
        text = _text(_read_file(file))
    elif argument == "-":
        text = _text(_read_stdin())
    elif argument is not None:
        say("Note: an argument is visible to other users of this machine; prefer - or --token-file.")
        text = argument
    elif VARIABLE in os.environ:
        text = os.environ[VARIABLE]
    else:
        raise ConfigurationError(
            "no token was given", f"pipe it (… | alwrity-doctor auth verify -), use --token-file F, or set {VARIABLE}"
        )
    _keep_out_of_sight(text)
    return text


def _keep_out_of_sight(text: str) -> None:
    """Make sure that neither the token nor a telling part of it survives scrubbing, wherever a message carries it."""
    from alwrity_checks.auth.kinds import unwrap

    for whole in (text, unwrap(text)[0]):
        Secret(whole)
        for part in whole.split(".")[1:]:
            Secret(part)


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise ConfigurationError("standard input is closed", "use --token-file F")
    if sys.stdin.isatty():
        say("Paste the token, then press Enter and Ctrl-D.")
    return sys.stdin.buffer.read(_LARGEST + 1)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", "name a readable file") from error


def _text(data: bytes) -> str:
    wide = data.startswith(_UTF16)  # what PowerShell writes when output is redirected
    text = data.decode("utf-16", "replace") if wide else data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")
