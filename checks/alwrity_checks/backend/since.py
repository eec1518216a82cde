"""A checkout as it was at a commit, read from its git: no checkout is made, nothing is written, no hook is run.

What a change introduces is what its branch has and its merge base with the other one had not, as a pull request shows
it: what came to the other branch in the meantime is not held against the change.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from alwrity_checks.backend.files import LARGEST, LeftOut, Snapshot, is_declaration, is_skipped
from alwrity_checks.backend.revision import git
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub

__all__ = ["merge_base", "snapshot_at"]

_REGULAR: Final = frozenset({b"100644", b"100755"})


def merge_base(root: Path, revision: str) -> str:
    """Return the commit from which the checkout at `root` and `revision` parted.

    Raises ConfigurationError where `root` is no git checkout, the revision is unknown, or the history that is there
    does not reach back so far.
    """
    if shutil.which("git") is None:
        raise ConfigurationError("--since needs git, which is not on the path", "install git, or leave --since out")
    if git(root, "rev-parse", "--git-dir") is None:
        raise ConfigurationError(f"{root} is no git checkout that can be read", "leave --since out, or name a clone")
    shallow = (git(root, "rev-parse", "--is-shallow-repository") or b"").strip() == b"true"
    remedy = (
        "this is a shallow clone: git fetch --unshallow, or fetch-depth: 0 for actions/checkout"
        if shallow
        else "name a branch, a tag or a commit that this clone has: git fetch origin, then --since origin/main"
    )
    shown = scrub(revision)
    commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not revision.strip() or commit is None:
        raise ConfigurationError(f"there is no revision {shown!r} in {root}", remedy)
    if git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
        raise ConfigurationError(f"{root} has no commit yet", "leave --since out")
    base = git(root, "merge-base", commit.decode().strip(), "HEAD")
    if base is None:
        raise ConfigurationError(f"the checkout and {shown!r} have no common history here", remedy)
    return base.decode().strip()


def snapshot_at(root: Path, commit: str, prefix: str) -> Snapshot:
    """Return what the repository at `root` held at `commit`, with the backend in the directory `prefix` of it.

    `prefix` ends with `/`, or is empty. Raises ConfigurationError if git cannot give it.
    """
    listed = git(root, "ls-tree", "-r", "-z", "--long", "--full-tree", commit)
    if listed is None:
        raise _unreadable(commit)
    entries = [_entry(one) for one in listed.split(b"\0") if one]
    packages = {path.rpartition("/")[0] for _, _, _, path in entries if path.endswith("/__init__.py")}
    environments = {path.rpartition("/")[0] for _, _, _, path in entries if path.endswith("/pyvenv.cfg")}
    wanted: dict[str, bytes] = {}
    left_out: list[LeftOut] = []
    for mode, name, size, path in entries:
        if mode not in _REGULAR:
            continue
        if path.startswith(prefix) and path.endswith(".py"):
            inside = path.removeprefix(prefix)
            if _is_skipped(path, len(prefix), packages, environments):
                continue
            if size > LARGEST:
                left_out.append(LeftOut(inside, "has more than a person writes"))
            else:
                wanted[path] = name
        elif is_declaration(path.rpartition("/")[2]) and path.rpartition("/")[0] in _places(prefix):
            wanted[path] = name
    contents = dict(zip(wanted, _contents(root, commit, list(wanted.values())), strict=True))
    sources = {path.removeprefix(prefix): data for path, data in contents.items() if path.endswith(".py")}
    declarations = {path: data for path, data in contents.items() if not path.endswith(".py")}
    return Snapshot(dict(sorted(sources.items())), declarations, prefix, tuple(left_out))


def _places(prefix: str) -> tuple[str, str]:
    backend = prefix.rstrip("/")
    return backend, backend.rpartition("/")[0]


def _is_skipped(path: str, start: int, packages: set[str], environments: set[str]) -> bool:
    parts = path[start:].split("/")[:-1]
    above = path[:start].rstrip("/")
    for part in parts:
        above = f"{above}/{part}" if above else part
        if is_skipped(part, package=above in packages, environment=above in environments):
            return True
    return False


def _entry(line: bytes) -> tuple[bytes, bytes, int, str]:
    facts, _, path = line.partition(b"\t")
    mode, _, name, size = facts.split()
    return mode, name, int(size) if size.isdigit() else 0, path.decode("utf-8", "surrogateescape")


def _contents(root: Path, commit: str, names: Sequence[bytes]) -> Iterator[bytes]:
    answer = git(root, "cat-file", "--batch", told=b"".join(name + b"\n" for name in names))
    if answer is None:
        raise _unreadable(commit)
    place = 0
    for name in names:
        end = answer.find(b"\n", place)
        head = answer[place:end].split() if end >= 0 else []
        if len(head) != 3 or head[0] != name:  # noqa: PLR2004 - name, type and size
            # A partial clone has not fetched what nobody looked at.
            raise _unreadable(commit)
        size = int(head[2])
        yield answer[end + 1 : end + 1 + size]
        place = end + 1 + size + 1


def _unreadable(commit: str) -> ConfigurationError:
    return ConfigurationError(
        f"this clone does not hold every file of {commit[:12]}", "fetch them: git fetch --refetch --no-filter"
    )
