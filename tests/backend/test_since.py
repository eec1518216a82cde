"""What a change introduces, as a pull request shows it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.whole import scan_checkout
from alwrity_checks.errors import ConfigurationError
from tests.support.scanned_checkout import commit, git, lay_out

if TYPE_CHECKING:
    from pathlib import Path

FAULT = "from loguru import logger\n\n\ndef total(values):\n    logger.info('%s', values)\n"
SERVICE = "backend/services/reports.py"


def introduced(root: Path, since: str) -> list[tuple[str, str]]:
    """Return rule and place of what is new."""
    return [(one.code, f"{one.path}:{one.line}") for one in scan_checkout(root, since).found]


def test_only_what_is_new_is_shown(tmp_path: Path) -> None:
    """A line that moved is not new; a second one like it is, and so is one that is not committed yet."""
    root = lay_out(tmp_path, {SERVICE: FAULT})
    base = commit(root)
    lay_out(root, {SERVICE: f"import os\n\n{FAULT}"})
    assert introduced(root, base) == []
    commit(root)
    assert introduced(root, base) == []
    lay_out(root, {SERVICE: f"{FAULT}    logger.info('%s', values)\n    logger.info('%d', 1)\n"})
    assert introduced(root, base) == [("SRC020", f"{SERVICE}:6"), ("SRC020", f"{SERVICE}:7")]
    outcome = scan_checkout(root, base)
    assert (outcome.base, outcome.standing) == (base, 1)


def test_what_came_to_the_other_branch_is_not_held_against_the_change(tmp_path: Path) -> None:
    """The comparison is with the merge base: main has mended something since, and the branch has not."""
    root = lay_out(tmp_path, {SERVICE: FAULT})
    commit(root)
    git(root, "switch", "--quiet", "--create", "feature")
    lay_out(root, {SERVICE: FAULT, "backend/temp.py": "    x = 1\n"})
    commit(root)
    git(root, "switch", "--quiet", "main")
    lay_out(root)
    commit(root, "mended")
    git(root, "switch", "--quiet", "feature")
    assert introduced(root, "main") == [("SRC004", "backend/temp.py:1")]


def test_a_copy_that_comes_to_life_is_new(tmp_path: Path) -> None:
    """Nothing in the file changed: importing it is what the change did."""
    copy = "backend/services/copy.py"
    root = lay_out(tmp_path, {copy: FAULT})
    base = commit(root)
    lay_out(root, {copy: FAULT, SERVICE: "from services.copy import total\n"})
    assert introduced(root, base) == [("SRC020", f"{copy}:5")]


def test_a_file_of_another_name_brings_nothing_new(tmp_path: Path) -> None:
    """The fault was moved with it."""
    root = lay_out(tmp_path, {SERVICE: FAULT})
    base = commit(root)
    moved = {
        "backend/services/sums.py": FAULT,
        "backend/routers/reports.py": "from services.sums import total as router\n",
    }
    lay_out(root, {**moved, SERVICE: None})
    assert introduced(root, base) == []


def test_requirements_are_compared_too(tmp_path: Path) -> None:
    """A line that cannot be installed, added in this change."""
    root = lay_out(tmp_path)
    base = commit(root)
    lay_out(root, {"backend/requirements.txt": "fastapi\nuvicorn[standard]\nreportlab-4.5.1\n"})
    assert introduced(root, base) == [("SRC010", "backend/requirements.txt:3")]


def test_a_backend_that_is_new_is_new_as_a_whole(tmp_path: Path) -> None:
    """The base had none: everything was introduced."""
    (tmp_path / "README").touch()
    base = commit(tmp_path)
    lay_out(tmp_path, {SERVICE: FAULT})
    assert introduced(tmp_path, base) == [("SRC020", f"{SERVICE}:5")]


@pytest.mark.parametrize(
    "revision", ["no-such-branch", "", "--help", "-x", "HEAD~99", "HEAD:backend", "a\0b", "main..x"]
)
def test_a_revision_that_is_none_is_refused(tmp_path: Path, revision: str) -> None:
    """With what to do about it; an option is no revision, and nothing is run by it."""
    root = lay_out(tmp_path)
    commit(root)
    with pytest.raises(ConfigurationError, match="there is no revision") as refused:
        scan_checkout(root, revision)
    assert "git fetch" in refused.value.remedy


def test_a_shallow_clone_says_so(tmp_path: Path) -> None:
    """The history that would be compared with was not fetched, as is the default of CI systems."""
    root = lay_out(tmp_path / "origin")
    old = commit(root)
    commit(root, "newer")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{root}", "clone")
    with pytest.raises(ConfigurationError) as refused:
        scan_checkout(tmp_path / "clone", old)
    assert "shallow" in refused.value.remedy


def test_without_git_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository, no commit, no common history, or no git at all: each is said."""
    root = lay_out(tmp_path / "plain")
    with pytest.raises(ConfigurationError, match="no git checkout"):
        scan_checkout(root, "main")
    git(root, "init", "--quiet", "--initial-branch=main")
    with pytest.raises(ConfigurationError, match="no revision"):
        scan_checkout(root, "main")
    commit(root)
    git(root, "switch", "--quiet", "--orphan", "other")
    lay_out(root)
    commit(root, "another beginning")
    with pytest.raises(ConfigurationError, match="no common history"):
        scan_checkout(root, "main")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ConfigurationError, match="not on the path"):
        scan_checkout(root, "main")


def test_nothing_that_the_repository_configures_is_run(tmp_path: Path) -> None:
    """Its file system monitor, its hooks and its filters are a stranger's programs."""
    root = lay_out(tmp_path / "checkout", {".gitattributes": "*.py filter=mine diff=mine\n"})
    base = commit(root)
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "diff.mine.textconv", "filter.mine.smudge", "filter.mine.clean"):
        git(root, "config", name, str(program))
    (root / ".git/hooks").mkdir(exist_ok=True)
    shutil.copy(program, root / ".git/hooks/post-index-change")
    assert introduced(root, base) == []
    assert not ran.exists()
