"""Writing an adoption into the git of a checkout: a new branch, one commit an issue, all of it or nothing.

The commits are made from objects alone (no file and no index of the checkout is touched), the branch is created, and
only then is it checked out, as `git switch` would. Whatever fails after that is undone: the files, the index, the
branch that was checked out. One run at a time does that in a repository, so that none undoes what another one did.
Filters, hooks, signing programs and whatever else the checkout's configuration could run are switched off; so the
commits are not signed.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.revision import GitRefused, changes, git, git_or_why, without_filters
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.adoption.plan import Adoption
    from alwrity_checks.adoption.proposal import Change

__all__ = ["Applied", "Commit", "apply", "check_appliable"]

_SHOWN: Final = 3
_UNDER_WAY: Final = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisection",
    "index.lock": "another git",
}
_LOCK: Final = "alwrity-doctor-adopt.lock"
"""In the repository's git directory; empty, and left there."""
_REGULAR: Final = frozenset({"100644", "100755"})
_HARMLESS: Final = ("-c", "commit.gpgsign=false", "-c", "submodule.recurse=false", "-c", "advice.detachedHead=false")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of an adoption."""

    issue: int
    subject: str
    name: str
    """Its hash."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was written."""

    branch: str
    before: str
    """The branch that was checked out, or the commit where none was."""
    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A changed file, as git has it."""

    path: str
    """Relative to the repository's root."""
    place: Path
    mode: str
    on_disk: bytes | None
    permissions: int
    carriage_returns: bool
    """Whether git keeps the file with plain line ends, and the disk has carriage returns (core.autocrlf)."""


class _NoBranchError(ConfigurationError):
    """The branch was not created: one of that name is somebody else's, also where it has the same commit."""


def check_appliable(adoption: Adoption, branch: str) -> None:
    """Raise ConfigurationError where the checkout's git cannot take the adoption as a new branch.

    Such as: no git, a bare or empty repository, changes that are not committed, a merge under way, a branch of that
    name, a file that is not as it was committed, nobody to be named as the author.
    """
    root = adoption.sources.root
    _check_tree(root)
    if git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
        raise ConfigurationError(f"{root} has no commit yet", "commit what is there first")
    _check_name(root, branch)
    _check_idle(root)
    _check_clean(root)
    try:
        git_or_why(root, "var", "GIT_AUTHOR_IDENT")
        git_or_why(root, "var", "GIT_COMMITTER_IDENT")
    except GitRefused as error:
        remedy = "git config user.name NAME, and git config user.email ADDRESS"
        raise ConfigurationError("git does not know whom to name as the commits' author", remedy) from error
    _files(adoption)


def _check_tree(root: Path) -> None:
    try:
        inside = git_or_why(root, "rev-parse", "--is-inside-work-tree") == b"true\n"
        told = git_or_why(root, "rev-parse", "--show-toplevel") if inside else b""
    except GitRefused as error:
        message = f"{root} is no git checkout: {error.diagnosis}"
        raise ConfigurationError(message, "git init, commit, then run adopt --apply again") from error
    if not inside:
        raise ConfigurationError(f"{root} is no git checkout", "git init, commit, then run adopt --apply again")
    top = Path(told.decode("utf-8", "surrogateescape").removesuffix("\n"))
    try:
        same = top.samefile(root)
    except OSError:
        same = False
    if not same:
        # Its core.worktree leads away, or its .git is none: what is committed as backend/ would be written there.
        message = f"git writes the files of {root} to {top}"
        raise ConfigurationError(message, "see git config core.worktree, and whether its .git is one")


def _check_name(root: Path, branch: str) -> None:
    # With --branch, because HEAD and @{-1} are names of something else, and a name with a - in front is an option.
    if git(root, "check-ref-format", "--branch", branch) != f"{branch}\n".encode("utf-8", "surrogateescape"):
        raise ConfigurationError(f"{branch!r} is no name for a branch", "name another one: --branch NAME")
    if git(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None:
        remedy = f"name another one: --branch NAME, or delete it: git branch -D {shlex.quote(branch)}"
        raise ConfigurationError(f"there is a branch {branch} already", remedy)
    below = git_or_why(root, "for-each-ref", "--count=1", "--format=%(refname:lstrip=2)", f"refs/heads/{branch}/")
    named = [one for one in _parents(branch) if git(root, "show-ref", "--verify", f"refs/heads/{one}") is not None]
    if other := (*named, *below.decode("utf-8", "surrogateescape").split("\n"))[0]:
        message = f"git has no place for a branch {branch} beside the branch {other}"
        raise ConfigurationError(message, "name another one: --branch NAME")


def _parents(branch: str) -> list[str]:
    parts = branch.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _check_idle(root: Path) -> None:
    for name, what in _UNDER_WAY.items():
        if _git_path(root, name).exists():
            raise ConfigurationError(f"{what} is under way in {root}", "finish it, or abort it, then run adopt again")


def _check_clean(root: Path) -> None:
    changed = changes(root)
    if changed is None:
        message = f"whether {root} is clean cannot be told: a filter of its configuration cannot be switched off"
        raise ConfigurationError(message, "rename the filter whose name has a = in it, or apply the diff by hand")
    if changed:
        more = f", and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        shown = ", ".join(changed[:_SHOWN]) + more
        message = f"the tree is not clean: {shown} changed since the last commit"
        raise ConfigurationError(message, "commit it, or git stash, then run adopt --apply again")


def _files(adoption: Adoption) -> dict[str, _File]:
    """Return the files to be changed, by their paths below the backend. Raises ConfigurationError for an odd one."""
    root, prefix = adoption.sources.root, adoption.sources.prefix
    found = {}
    for change in adoption.changes:
        path = f"{prefix}{change.path}"
        place = root / path
        listed = git_or_why(root, "ls-tree", "-z", "HEAD", "--", path)
        if change.before is None:
            if listed or place.exists() or place.is_symlink():
                raise ConfigurationError(f"{path} is in the way of a new file", "move it away, then run adopt again")
            found[change.path] = _File(path, place, "100644", None, 0o644, carriage_returns=False)
            continue
        if not listed and any((root / above).is_symlink() for above in PurePosixPath(path).parents):
            remedy = "name the directory that the link leads to: --backend DIR"
            raise ConfigurationError(f"{path} lies behind a link, through which git does not write", remedy)
        mode, _, rest = listed.decode("utf-8", "surrogateescape").partition(" ")
        if mode not in _REGULAR:
            raise ConfigurationError(f"{path} is not committed as a file", "commit it, then run adopt --apply again")
        committed = git_or_why(root, "cat-file", "blob", rest.split()[1])
        on_disk = _read(place)
        returns = on_disk is not None and on_disk != committed and on_disk.replace(b"\r\n", b"\n") == committed
        if on_disk is None or on_disk != change.before.encode() or (on_disk != committed and not returns):
            message = f"{path} is not what was committed, although git takes it for unchanged"
            raise ConfigurationError(message, "look at its attributes: git ls-files -v, git check-attr -a")
        found[change.path] = _File(path, place, mode, on_disk, _permissions(place), returns)
    return found


def apply(adoption: Adoption, branch: str, messages: Mapping[int, str]) -> Applied:
    """Commit the adoption's changes on a new branch and check it out; return what was written.

    `messages` are the commits', by issue. Raises ConfigurationError, with everything as it was, where the checkout
    cannot take it (see `check_appliable`) or git or the disk refuses halfway.
    """
    _check_tree(adoption.sources.root)
    with _alone(adoption.sources.root):
        check_appliable(adoption, branch)
        return _applied(adoption, branch, messages)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other adoptions out of the repository meanwhile. Raises ConfigurationError where one is under way."""
    path = _git_path(root, _LOCK)
    if path.is_symlink():
        raise ConfigurationError(f"{path} is a link, and nobody's lock", "remove it, then run adopt again")
    lease = Lease(path)
    try:
        taken = lease.take()
    except OSError as error:
        message = f"the git directory of {root} cannot be written to: {error.strerror}"
        raise ConfigurationError(message, "give yourself the right to write there") from error
    if not taken:
        raise ConfigurationError(f"another adopt --apply is under way in {root}", "wait for it, then run adopt again")
    try:
        yield
    finally:
        lease.give_back()


def _applied(adoption: Adoption, branch: str, messages: Mapping[int, str]) -> Applied:
    root = adoption.sources.root
    files = _files(adoption)
    before = _head(root)
    try:
        commits = _committed(adoption, files, messages)
    except GitRefused as error:
        raise ConfigurationError(f"nothing was applied: {error.diagnosis}", error.remedy) from error
    last = commits[-1].name
    with _undone_on_failure(root, branch, last, list(files.values())):
        _create(root, branch, last)
        without = without_filters(root) or ()
        git_or_why(root, *_HARMLESS, *without, "checkout", "--quiet", "--no-recurse-submodules", branch, "--")
        _check_written(adoption.changes, files)
    return Applied(branch, before, commits)


def _create(root: Path, branch: str, commit: str) -> None:
    asked = ("-m", "alwrity-doctor adopt: created", f"refs/heads/{branch}", commit, "0" * len(commit))
    try:
        git_or_why(root, "update-ref", *asked)
    except GitRefused as error:
        raise _NoBranchError(f"nothing was applied: {error.diagnosis}", error.remedy) from error


def _head(root: Path) -> str:
    named = git(root, "symbolic-ref", "--quiet", "--short", "HEAD") or git_or_why(root, "rev-parse", "HEAD")
    return named.decode("utf-8", "surrogateescape").strip()


def _committed(adoption: Adoption, files: Mapping[str, _File], messages: Mapping[int, str]) -> tuple[Commit, ...]:
    """Make the commits, one on the other, in an index of our own; nothing refers to them yet."""
    root = adoption.sources.root
    parent = git_or_why(root, "rev-parse", "HEAD").decode().strip()
    commits = []
    with contextlib.ExitStack() as stack:
        try:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="alwrity-doctor-"))
        except OSError as error:
            message = f"there is no place for an index of its own: {error.strerror}"
            raise ConfigurationError(message, "set TMPDIR to a directory that can be written to") from error
        index = Path(directory) / "index"
        git_or_why(root, "read-tree", "HEAD", index=index)
        for proposal in adoption.proposals:
            if not proposal.changes:
                continue
            lines = []
            for change in proposal.changes:
                file = files[change.path]
                data = change.after.encode()
                told = data.replace(b"\r\n", b"\n") if file.carriage_returns else data
                blob = git_or_why(root, "hash-object", "-w", "--no-filters", "--stdin", told=told).decode().strip()
                lines.append(f"{file.mode} {blob}\t{file.path}".encode("utf-8", "surrogateescape"))
            git_or_why(root, "update-index", "--add", "-z", "--index-info", told=b"\0".join(lines) + b"\0", index=index)
            # A partial clone lacks what nobody looked at.
            tree = git_or_why(root, "write-tree", "--missing-ok", index=index).decode().strip()
            message = messages[proposal.issue]
            asked = ("commit-tree", tree, "-p", parent, "-F", "-")
            parent = git_or_why(root, *_HARMLESS, *asked, told=message.encode()).decode().strip()
            commits.append(Commit(proposal.issue, message.partition("\n")[0], parent))
    return tuple(commits)


def _check_written(written: Sequence[Change], files: Mapping[str, _File]) -> None:
    for change in written:
        data = _read(files[change.path].place)
        if data is None or data.replace(b"\r\n", b"\n") != change.after.encode().replace(b"\r\n", b"\n"):
            raise GitRefused(f"{change.path} did not come to the disk as it was committed", "look at its attributes")


@contextlib.contextmanager
def _undone_on_failure(root: Path, branch: str, commit: str, files: Sequence[_File]) -> Iterator[None]:
    """Put files, index and HEAD back as they are now and remove the branch where the body does not come to its end."""
    index = _git_path(root, "index")
    kept, permissions = _read(index), _permissions(index)
    head = (git(root, "symbolic-ref", "--quiet", "HEAD") or b"").decode("utf-8", "surrogateescape").strip()
    at = git_or_why(root, "rev-parse", "HEAD").decode().strip()
    try:
        yield
    except _NoBranchError:
        raise
    except BaseException as error:
        with _undisturbed():
            for file in files:
                _restore(file.place, file.on_disk, file.permissions)
            if not isinstance(error, GitRefused):
                # Interrupted: nobody held it before, and the git that we started was ended. One that ends by itself
                # takes its own lock away, so that what is there then is another's.
                _restore(_git_path(root, "index.lock"), None)
            _restore(index, kept, permissions)
            if head:
                git(root, "symbolic-ref", "HEAD", head)
            else:
                git(root, "update-ref", "--no-deref", "HEAD", at)
            git(root, "update-ref", "-d", f"refs/heads/{branch}", commit)
        if isinstance(error, GitRefused):
            message = f"nothing was applied, and everything is as it was: {error.diagnosis}"
            raise ConfigurationError(message, "remove what is in the way, then run adopt --apply again") from error
        raise


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C wait, of this process and of the gits that it starts: half an undoing is worse than none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)


def _git_path(root: Path, name: str) -> Path:
    told = git_or_why(root, "rev-parse", "--git-path", name)
    return root / told.decode("utf-8", "surrogateescape").removesuffix("\n")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _permissions(path: Path) -> int:
    """Return who may read and write a file; of one that is not there, what git would give it."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0o644


def _restore(path: Path, data: bytes | None, permissions: int = 0o644) -> None:
    """Make a file what it was, where that is possible; None: there was none."""
    with contextlib.suppress(OSError):
        if data is None:
            path.unlink(missing_ok=True)
        elif _read(path) != data:
            # A name that nobody can foresee: at any other the checkout's author may have left a link.
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            beside = Path(name)
            try:
                with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                    file.write(data)
                beside.chmod(permissions)
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
