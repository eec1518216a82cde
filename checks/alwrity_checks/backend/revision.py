"""What the git of a checkout tells, such as its revision; nothing of the checkout is run by asking.

Nor is anything written, unless that is what is asked for: `adopt --apply` commits through `git_or_why`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub

__all__ = ["GitRefused", "changes", "git", "git_or_why", "revision_of", "without_filters"]

_PATIENCE: Final = 300.0
_HARMLESS: Final = (
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "diff.external="),
    *("-c", "safe.directory=*", "-c", "protocol.allow=never", "--no-pager"),
)
"""What the checkout's own configuration could have run or fetched. Its owner may be another user, as in a container's
mount: nothing of it is run by what is asked here."""
_PERSON: Final = ("GIT_AUTHOR_", "GIT_COMMITTER_")
"""Of our environment: whom a commit names. What else it says of git may lead to another repository."""
_ENVIRONMENT: Final = {
    # Locks are not taken, so that asking for a status does not write an index.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    # For a git that does not know the one above (before 2.45): no protocol at all, not even one that the checkout's
    # configuration allows by its name, such as `ext`, which starts a program.
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_LONGEST: Final = 500


class GitRefused(ConfigurationError):  # noqa: N818 - what happened
    """git did not do what it was asked for; the diagnosis is what it said."""


def git(root: Path, *arguments: str, told: bytes = b"") -> bytes | None:
    """Return what git says below `root` when it is `told` this; None if it refuses, is missing or takes minutes."""
    try:
        return git_or_why(root, *arguments, told=told)
    except GitRefused:
        return None


def git_or_why(root: Path, *arguments: str, told: bytes = b"", index: Path | None = None) -> bytes:
    """Return what git says, as `git` does; `index` is the file that stands for the repository's own index.

    Raises GitRefused with what git said to its refusal, or why it could not be asked.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_PERSON)
    }
    own = {} if index is None else {"GIT_INDEX_FILE": str(index)}
    try:
        return subprocess.run(  # noqa: S603 - git, with arguments of ours
            ["git", "-C", str(root), *_HARMLESS, *arguments],  # noqa: S607 - wherever the user has it
            input=told,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
            env=kept | _ENVIRONMENT | own,
        ).stdout
    except subprocess.CalledProcessError as error:
        said = scrub(error.stderr.decode("utf-8", "replace")).strip() or f"git ended with {error.returncode}"
        raise GitRefused(said[:_LONGEST], "see what git says to it") from error
    except FileNotFoundError as error:
        raise GitRefused("git is not on the path", "install git") from error
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise GitRefused(f"git could not be asked: {type(error).__name__}", "see whether git works here") from error


def revision_of(root: Path) -> str:
    """Return the commit of a checkout, 8 digits, and whether it was changed since; an empty text without a git."""
    commit = git(root, "rev-parse", "--short=8", "HEAD")
    if not commit:
        return ""
    shown = commit.decode("ascii", "replace").strip()
    changed = changes(root)
    if changed is None:
        return f"{shown}, changes not looked for"
    return shown + (" with changes" if changed else "")


def changes(root: Path) -> tuple[str, ...] | None:
    """Return the paths of tracked files that differ from what was committed; None if that cannot be told.

    Untracked files are not looked for, nor what happened within a submodule.
    """
    without = without_filters(root)
    if without is None:
        return None
    # `dirty`: git would ask for the status of a submodule by that one's configuration.
    asked = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=dirty")
    told = git(root, *without, *asked)
    return None if told is None else tuple(one[3:].decode("utf-8", "replace") for one in told.split(b"\0") if one)


def without_filters(root: Path) -> tuple[str, ...] | None:
    """Return the arguments that switch off the programs through which git would read and write files.

    None if there is one that cannot be: git takes what is behind the first `=` for the value.
    """
    filters = _filters(root)
    if any("=" in name for name in filters):
        return None
    return tuple(word for name in filters for word in ("-c", f"{name}="))


def _filters(root: Path) -> list[str]:
    """Return the settings that name the programs through which git would compare a file with what was committed."""
    pattern = r"^filter\..*\.(clean|smudge|process|required)$"
    named = git(root, "config", "--null", "--name-only", "--get-regexp", pattern) or b""
    return [name for name in dict.fromkeys(named.decode("utf-8", "surrogateescape").split("\0")) if name]
