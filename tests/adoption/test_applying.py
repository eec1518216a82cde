"""An adoption is committed on a branch of its own, whole or not at all, and nothing of the checkout is run by it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.adoption import applying
from alwrity_checks.adoption.applying import apply, check_appliable
from alwrity_checks.adoption.messages import message
from alwrity_checks.adoption.plan import Adoption, plan
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.revision import GitRefused, git_or_why
from alwrity_checks.errors import ConfigurationError
from tests.support.adoptable import CALLER, REQUIREMENTS, SERVICE, START, adoptable, state
from tests.support.scanned_checkout import git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("libcst")

BRANCH = "alwrity-doctor/adopt-3-6"
POSIX = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")


def planned(root: Path) -> Adoption:
    """Return what would be written for both issues."""
    adoption = plan(find_checkout(root), (3, 6))
    assert adoption.issues == (3, 6)
    return adoption


def messages(adoption: Adoption) -> dict[int, str]:
    """Return the commits' messages."""
    return {one.issue: message(one, ["TXT003"] if one.issue == 3 else (), "1.0") for one in adoption.proposals}


def applied(root: Path, branch: str = BRANCH) -> applying.Applied:
    """Apply what is planned."""
    adoption = planned(root)
    return apply(adoption, branch, messages(adoption))


def test_one_commit_an_issue_on_a_new_branch(tmp_path: Path) -> None:
    """The branch is checked out and clean; each commit holds its issue's files and says why; the old branch stays."""
    root = adoptable(tmp_path / "checkout")
    (root / START).chmod(0o755)
    git(root, "commit", "--quiet", "--all", "--message", "x")
    before, name = git(root, "rev-parse", "HEAD"), git(root, "branch", "--show-current")
    (root / "notes.txt").write_text("untracked\n", encoding="utf-8")
    adoption = planned(root)
    done = apply(adoption, BRANCH, messages(adoption))
    assert (done.branch, done.before, git(root, "branch", "--show-current")) == (BRANCH, name, BRANCH)
    assert git(root, "rev-parse", name) == before
    assert git(root, "status", "--porcelain") == "?? notes.txt"
    for change in adoption.changes:
        assert (root / "backend" / change.path).read_bytes() == change.after.encode()
    assert (root / START).stat().st_mode & 0o111
    assert git(root, "log", "--format=%H", f"{before}..").split() == [one.name for one in reversed(done.commits)]
    names = [git(root, "show", "--format=", "--name-only", one.name).split() for one in done.commits]
    assert names == [[REQUIREMENTS, SERVICE], [REQUIREMENTS, START]]
    said = git(root, "show", "--no-patch", "--format=%an%n%B", done.commits[0].name)
    assert said.startswith("A Maintainer\nKeep the semantic index in one writer that loses nothing\n\nTwo init")
    assert "Reproduced before this change and absent after it: TXT003." in said
    assert max(map(len, said.splitlines())) <= 72
    assert not plan(find_checkout(root), (3, 6)).changes


def test_a_detached_head_and_a_linked_worktree(tmp_path: Path) -> None:
    """Both are checkouts like any other, and the commit is named to go back to."""
    root = adoptable(tmp_path / "checkout")
    tree = tmp_path / "tree"
    git(root, "worktree", "add", "--quiet", "--detach", str(tree))
    before = state(root)
    done = applied(tree)
    assert done.before == git(root, "rev-parse", "HEAD")
    assert git(tree, "status", "--porcelain") == ""
    assert state(root)[2:] == before[2:]


def test_a_backend_that_is_the_whole_repository(tmp_path: Path) -> None:
    """The paths of the commits are then those of the backend."""
    backend = adoptable(tmp_path / "checkout") / "backend"
    git(backend, "init", "--quiet")
    git(backend, "add", "--all")
    git(backend, "commit", "--quiet", "--message", "x")
    git(backend, "config", "user.name", "A")
    git(backend, "config", "user.email", "a@example.com")
    done = applied(backend)
    assert git(backend, "show", "--format=", "--name-only", done.commits[1].name).split() == [
        "requirements.txt",
        "start_alwrity_backend.py",
    ]


def test_carriage_returns_of_windows(tmp_path: Path) -> None:
    """Where git keeps plain line ends and the disk has others, both stay as they are."""
    root = adoptable(tmp_path / "checkout")
    git(root, "config", "core.autocrlf", "true")
    for path in git(root, "ls-files").split("\n"):
        (root / path).unlink()
    git(root, "checkout", "--quiet", "--", ".")
    assert b"\r\n" in (root / SERVICE).read_bytes()
    applied(root)
    assert git(root, "status", "--porcelain") == ""
    for path in (SERVICE, START, REQUIREMENTS):
        text = (root / path).read_bytes()
        assert text.count(b"\r\n") == text.count(b"\n") > 0
        assert "\r" not in git(root, "cat-file", "blob", f"HEAD:{path}")


def dirty(root: Path) -> None:
    """Change a tracked file."""
    (root / CALLER).write_text("x = 1\n", encoding="utf-8")


def staged(root: Path) -> None:
    """Add a file without committing it."""
    (root / "new.txt").write_text("x\n", encoding="utf-8")
    git(root, "add", "new.txt")


def merging(root: Path) -> None:
    """Leave a merge under way."""
    (root / ".git" / "MERGE_HEAD").write_text(git(root, "rev-parse", "HEAD") + "\n", encoding="utf-8")


def branched(root: Path) -> None:
    """Have a branch of the name."""
    git(root, "branch", BRANCH)


def hidden(root: Path) -> None:
    """Have a change that git was told not to look for."""
    git(root, "update-index", "--assume-unchanged", SERVICE)
    (root / SERVICE).write_text((root / SERVICE).read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")


def linked(root: Path) -> None:
    """Have a module that is a link to where it lies."""
    (root / SERVICE).rename(root / "elsewhere.py")
    (root / SERVICE).symlink_to(root / "elsewhere.py")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "x")


def nobody(root: Path) -> None:
    """Know nobody to name as the author."""
    git(root, "config", "--unset", "user.name")
    git(root, "config", "--unset", "user.email")
    git(root, "config", "user.useConfigOnly", "true")


def locked(root: Path) -> None:
    """Have another git at work."""
    (root / ".git" / "index.lock").write_bytes(b"")


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (dirty, "not clean: backend/services/intelligence/agents.py changed"),
        (staged, "not clean: new.txt changed"),
        (merging, "a merge is under way"),
        (branched, "there is a branch"),
        (hidden, "not what was committed"),
        (linked, "not committed as a file"),
        (nobody, "whom to name"),
        (locked, "another git is under way"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_git_cannot_take_is_refused_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None], said: str
) -> None:
    """With the reason; and the checkout is as it was."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "EMAIL", *(name for name in os.environ if name.startswith("GIT_"))):
        monkeypatch.delenv(name, raising=False)
    root = adoptable(tmp_path / "checkout")
    prepare(root)
    before = state(root)
    adoption = planned(root)
    with pytest.raises(ConfigurationError, match=said) as caught:
        check_appliable(adoption, BRANCH)
    assert caught.value.remedy
    with pytest.raises(ConfigurationError, match=said):
        apply(adoption, BRANCH, messages(adoption))
    assert state(root) == before


def test_without_a_git_or_a_commit(tmp_path: Path) -> None:
    """There is nothing to commit to; the diff can still be applied by hand."""
    root = adoptable(tmp_path / "checkout")
    (root / ".git").rename(tmp_path / "git")
    with pytest.raises(ConfigurationError, match="is no git checkout"):
        check_appliable(planned(root), BRANCH)
    git(root, "init", "--quiet")
    with pytest.raises(ConfigurationError, match="has no commit yet"):
        check_appliable(planned(root), BRANCH)


def test_a_name_that_is_none_for_a_branch(tmp_path: Path) -> None:
    """It is refused, and never taken for an option or another revision."""
    root = adoptable(tmp_path / "checkout")
    adoption = planned(root)
    for branch in ("", "-x", "a b", "a..b", "HEAD", "@{-1}", "a.lock", "refs/../x", "x\ny", "/x", "\0"):
        with pytest.raises(ConfigurationError, match="is no name for a branch"):
            check_appliable(adoption, branch)


def test_a_branch_in_the_way_of_a_folder_of_branches(tmp_path: Path) -> None:
    """It is refused before minutes of experiments, whichever of the two was there first."""
    root = adoptable(tmp_path / "checkout")
    git(root, "branch", "alwrity-doctor")
    before = state(root)
    with pytest.raises(ConfigurationError, match=r"no place for a branch .* beside the branch alwrity-doctor"):
        check_appliable(planned(root), BRANCH)
    assert state(root) == before
    git(root, "branch", "-D", "alwrity-doctor")
    git(root, "branch", f"{BRANCH}/mine")
    with pytest.raises(ConfigurationError, match="beside the branch alwrity-doctor/adopt-3-6/mine"):
        check_appliable(planned(root), BRANCH)


@pytest.mark.parametrize("kind", [GitRefused, KeyboardInterrupt])
@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("halfway", ["before", "after"])
def test_a_failure_halfway_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], *, detached: bool, halfway: str
) -> None:
    """Before git checks the branch out, and after it did: files, index, HEAD and branches are as they were."""
    root = adoptable(tmp_path / "checkout")
    if detached:
        git(root, "checkout", "--quiet", "--detach")
    before = state(root)

    def failing(root: Path, *arguments: str, **rest: object) -> bytes:
        if "checkout" in arguments:
            if halfway == "after":
                git_or_why(root, *arguments, **rest)  # type: ignore[arg-type] # what apply passes on
            else:
                (root / SERVICE).write_text("half", encoding="utf-8")
                if kind is KeyboardInterrupt:
                    (root / ".git" / "index.lock").write_bytes(b"")
            raise kind("the disk is full")
        return git_or_why(root, *arguments, **rest)  # type: ignore[arg-type] # what apply passes on

    monkeypatch.setattr(applying, "git_or_why", failing)
    with pytest.raises(ConfigurationError if kind is GitRefused else kind):
        applied(root)
    assert state(root) == before
    assert not (root / ".git" / "index.lock").exists()
    assert not list((root / ".git").glob(".index*"))


def test_another_git_comes_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real git refuses to check the branch out; everything is as it was, and the other one keeps its lock."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    lock = root / ".git" / "index.lock"
    committed = applying._committed

    def slow(*arguments: Any) -> Any:  # noqa: ANN401 - whatever apply hands on
        done = committed(*arguments)
        lock.write_bytes(b"")
        return done

    monkeypatch.setattr(applying, "_committed", slow)
    with pytest.raises(ConfigurationError, match=r"everything is as it was.*index\.lock"):
        applied(root)
    assert lock.exists()
    lock.unlink()
    assert state(root) == before


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """By then git has written other files; they are put back."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    directory = (root / SERVICE).parent
    directory.chmod(0o555)
    try:
        with pytest.raises(ConfigurationError, match="everything is as it was"):
            applied(root)
    finally:
        directory.chmod(0o755)
    assert state(root) == before


@POSIX
def test_nothing_of_the_checkout_is_run(tmp_path: Path) -> None:
    """No hook, no filter, no monitor, no signing program: not while it is committed, not while it is checked out."""
    root = adoptable(tmp_path / "checkout", {".gitattributes": "*.py filter=mean\n"})
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n', encoding="utf-8")
    program.chmod(0o755)
    hooks = root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in (
        "pre-commit",
        "commit-msg",
        "post-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
    ):
        (hooks / hook).write_text(program.read_text(encoding="utf-8"), encoding="utf-8")
        (hooks / hook).chmod(0o755)
    for setting in ("clean", "smudge", "process"):
        git(root, "config", f"filter.mean.{setting}", str(program))
    git(root, "config", "filter.mean.required", "true")
    git(root, "config", "core.fsmonitor", str(program))
    git(root, "config", "gpg.program", str(program))
    git(root, "config", "commit.gpgsign", "true")
    git(root, "config", "core.editor", str(program))
    done = applied(root)
    assert not ran.exists()
    assert len(done.commits) == 2
    assert "txtai.compat" in (root / SERVICE).read_text(encoding="utf-8")


def test_a_filter_that_cannot_be_switched_off(tmp_path: Path) -> None:
    """Whether the tree is clean cannot be told without running it, so nothing is applied."""
    root = adoptable(tmp_path / "checkout")
    git(root, "config", "filter.me=an.clean", "cat")
    with pytest.raises(ConfigurationError, match="cannot be switched off"):
        check_appliable(planned(root), BRANCH)


def test_a_partial_clone(tmp_path: Path) -> None:
    """What the clone never fetched is not needed for the commits."""
    root = adoptable(tmp_path / "checkout", {"frontend/film.mp4": b"\0" * 100})
    blob = git(root, "rev-parse", "HEAD:frontend/film.mp4")
    git(root, "update-index", "--skip-worktree", "frontend/film.mp4")
    (root / "frontend" / "film.mp4").unlink()
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    done = applied(root)
    assert git(root, "ls-tree", done.commits[-1].name, "frontend/film.mp4").split()[2] == blob


def test_git_fsck_finds_nothing(tmp_path: Path) -> None:
    """The objects are sound."""
    root = adoptable(tmp_path / "checkout")
    applied(root)
    assert git(root, "fsck", "--strict", "--no-dangling") == ""
