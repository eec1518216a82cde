"""A checkout that somebody else wrote, and runs that meet: only what was shown is written, and none undoes another."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.adoption import applying
from alwrity_checks.adoption.applying import apply, check_appliable
from alwrity_checks.adoption.messages import message
from alwrity_checks.adoption.plan import Adoption, plan
from alwrity_checks.adoption.scratch import scratch_copy
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.revision import GitRefused
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.adoption import undoing
from tests.support.adoptable import REQUIREMENTS, SERVICE, adoptable, state
from tests.support.scanned_checkout import git

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("libcst")

BRANCH = "alwrity-doctor/adopt-3-6"
POSIX = pytest.mark.skipif(os.name != "posix", reason="links and signals of POSIX")


def planned(root: Path, *issues: int) -> Adoption:
    """Return what would be written for the issues, 3 and 6 if none is named."""
    return plan(find_checkout(root), issues or (3, 6))


def applied(adoption: Adoption, branch: str = BRANCH) -> applying.Applied:
    """Apply what is planned."""
    return apply(adoption, branch, {one.issue: message(one, (), "1.0") for one in adoption.proposals})


def test_a_working_tree_that_is_elsewhere(tmp_path: Path) -> None:
    """A configuration that has git write above the checkout is refused; nothing is written there."""
    root = adoptable(tmp_path / "checkout")
    git(root, "config", "core.worktree", "../..")
    listed = sorted(tmp_path.rglob("*"))
    adoption = planned(root)
    with pytest.raises(ConfigurationError, match=r"git writes the files of .* to ") as caught:
        check_appliable(adoption, BRANCH)
    assert "core.worktree" in caught.value.remedy
    with pytest.raises(ConfigurationError):
        applied(adoption)
    assert sorted(tmp_path.rglob("*")) == listed


def test_a_git_directory_that_is_none(tmp_path: Path) -> None:
    """Git would take the repository above for it, and write there."""
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    root = adoptable(outer / "checkout")
    (root / ".git").rename(tmp_path / "git")
    (root / ".git").mkdir()
    with pytest.raises(ConfigurationError, match=r"git writes the files of .* to .*outer"):
        check_appliable(planned(root), BRANCH)


@POSIX
def test_a_link_is_not_written_through_by_the_copy(tmp_path: Path) -> None:
    """A module that is a link to a file of the checkout is replaced in the scratch copy: without --apply, no write."""
    root = adoptable(tmp_path / "checkout")
    (root / SERVICE).rename(root / "elsewhere.py")
    (root / SERVICE).symlink_to(root / "elsewhere.py")
    before = state(root)
    with scratch_copy(planned(root)) as copy:
        written = copy.backend.parent / SERVICE
        assert not written.is_symlink()
        assert "txtai.compat" in written.read_text(encoding="utf-8")
    assert state(root) == before


@POSIX
def test_a_directory_that_became_a_link_is_not_followed_by_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git lists the files that were below it; from the copy the link leads elsewhere, and nothing is written there."""
    root = adoptable(tmp_path / "checkout", {"backend/data/one.txt": "theirs\n"})
    (root / "backend" / "data").rename(root / "payload")
    (root / "backend" / "data").symlink_to(f"../../../{tmp_path.name}/checkout/payload")
    temporary = tmp_path / tmp_path.name
    victim = temporary / tmp_path.name / "checkout" / "payload"
    victim.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with scratch_copy(planned(root)) as copy:
        assert (copy.backend / "app.py").is_file()
        assert (copy.backend / "data").resolve() == victim
    assert not list(victim.iterdir())


@POSIX
def test_a_backend_that_is_a_link(tmp_path: Path) -> None:
    """Git does not write through it; named by where it leads to, it is a checkout like any other."""
    root = adoptable(tmp_path / "checkout")
    (root / "backend").rename(root / "real")
    (root / "backend").symlink_to("real")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "x")
    with pytest.raises(ConfigurationError, match="lies behind a link") as caught:
        check_appliable(planned(root), BRANCH)
    assert "--backend" in caught.value.remedy
    applied(planned(root / "real"))
    assert "txtai.compat" in (root / SERVICE).read_text(encoding="utf-8")
    assert git(root, "status", "--porcelain") == ""


@POSIX
def test_no_link_is_written_through_when_it_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies beside the files: what is put back is written to a file that was not there before."""
    root = adoptable(tmp_path / "checkout")
    victim = tmp_path / "victim"
    victim.write_text("mine\n", encoding="utf-8")
    service = root / SERVICE
    (service.parent / f".{service.name}.alwrity-doctor").symlink_to(victim)

    def refused(*_arguments: object) -> None:
        raise GitRefused("the disk is full", "make room")

    monkeypatch.setattr(applying, "_check_written", refused)
    before = state(root)
    with pytest.raises(ConfigurationError, match="everything is as it was"):
        applied(planned(root))
    assert victim.read_text(encoding="utf-8") == "mine\n"
    assert state(root) == before


@POSIX
def test_a_lock_that_is_a_link(tmp_path: Path) -> None:
    """It would be made where the link leads to."""
    root = adoptable(tmp_path / "checkout")
    (root / ".git" / applying._LOCK).symlink_to(tmp_path / "made")
    with pytest.raises(ConfigurationError, match="is a link"):
        applied(planned(root))
    assert not (tmp_path / "made").exists()


def test_two_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is refused while the first one writes, and undoes nothing of it."""
    root = adoptable(tmp_path / "checkout")
    committed = applying._committed
    refused: list[ConfigurationError] = []

    def meanwhile(*arguments: Any) -> Any:  # noqa: ANN401 - whatever apply hands on
        if not refused:
            with pytest.raises(ConfigurationError, match="another adopt --apply is under way") as caught:
                applied(planned(root, 6), "mine")
            refused.append(caught.value)
        return committed(*arguments)

    monkeypatch.setattr(applying, "_committed", meanwhile)
    applied(planned(root))
    assert refused
    assert git(root, "branch", "--show-current") == BRANCH
    assert git(root, "status", "--porcelain") == ""


def test_a_branch_that_another_worktree_made_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may well be at the very commit that this run made; it stays, and so does everything else."""
    root = adoptable(tmp_path / "checkout")
    committed = applying._committed

    def overtaken(*arguments: Any) -> Any:  # noqa: ANN401 - whatever apply hands on
        done = committed(*arguments)
        git(root, "branch", BRANCH, done[-1].name)
        return done

    monkeypatch.setattr(applying, "_committed", overtaken)
    with pytest.raises(ConfigurationError, match="nothing was applied"):
        applied(planned(root))
    assert git(root, "log", "-1", "--format=%s", BRANCH) == "Start the server without waiting for a model"
    assert git(root, "status", "--porcelain") == ""


@POSIX
def test_a_second_interruption_does_not_stop_the_undoing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who presses Ctrl-C twice gets the checkout back all the same."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    restore = applying._restore

    def interrupted(*arguments: Any) -> None:  # noqa: ANN401 - whatever apply hands on
        os.kill(os.getpid(), signal.SIGINT)
        restore(*arguments)

    def stopped(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(applying, "_restore", interrupted)
    monkeypatch.setattr(applying, "_check_written", stopped)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        applied(planned(root))
    assert state(root) == before
    assert signal.getsignal(signal.SIGINT) is handler


def test_without_a_git_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that git is missing, not only that there is no checkout."""
    root = adoptable(tmp_path / "checkout")
    adoption = planned(root)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="git is not on the path"):
        check_appliable(adoption, BRANCH)


def test_without_a_place_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a copy nor a commit is made, and the error is ours."""
    root = adoptable(tmp_path / "checkout")
    adoption = planned(root)
    before = state(root)

    def none(*_arguments: object, **_named: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.mkdtemp", none)
    with pytest.raises(ConfigurationError, match="no place for a scratch copy"), scratch_copy(adoption):
        pass
    with pytest.raises(ConfigurationError, match="no place for an index"):
        applied(adoption)
    assert state(root) == before


def test_requirements_in_the_encoding_of_another_shell(tmp_path: Path) -> None:
    """What `pip freeze >` writes in PowerShell is there, and no UTF-8: the refusal says so."""
    root = adoptable(tmp_path / "checkout", {REQUIREMENTS: "fastapi\n".encode("utf-16")})
    (refusal,) = planned(root, 6).proposals[0].refusals
    assert "no UTF-8" in refusal.reason


def test_a_branch_that_a_shell_would_run(tmp_path: Path) -> None:
    """Git takes such a name; the commands to undo it can be pasted all the same."""
    root = adoptable(tmp_path / "checkout")
    git(root, "checkout", "--quiet", "-b", "before;touch${IFS}made")
    done = applied(planned(root), "after&touch${IFS}made")
    assert undoing(done) == "git checkout 'before;touch${IFS}made' && git branch -D 'after&touch${IFS}made'"
    with pytest.raises(ConfigurationError) as caught:
        applying._check_name(root, done.branch)
    assert caught.value.remedy.endswith("git branch -D 'after&touch${IFS}made'")
