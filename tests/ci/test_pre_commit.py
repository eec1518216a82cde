"""The hooks, run by pre-commit itself from a clone of their repository, before real commits and pushes.

pre-commit would install the program from the clone, which needs an index: here it finds this checkout's on the path.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.ci_schemas import hooks_complaints
from tests.support.scanned_checkout import commit, git, lay_out
from tests.support.shells import on_path

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOKS = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
SERVICE = "backend/services/reports.py"
WRONG = "URL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(values):\n    return sum(values)\n"


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    """Return an environment in which pre-commit keeps its clones to the test, and git knows a name."""
    identity = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    kept = {key: value for key, value in on_path(tmp_path).items() if not key.startswith(("GIT_", "PRE_COMMIT"))}
    return {
        **kept,
        **identity,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(tmp_path / "clones"),
        "PRE_COMMIT_COLOR": "never",
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout whose commits and pushes are judged by both hooks."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / HOOKS.name).write_bytes(HOOKS.read_bytes())
    revision = commit(hooks)
    root = lay_out(tmp_path / "checkout")
    chosen = [{"id": name, "language": "system"} for name in ("alwrity-doctor-scan", "alwrity-doctor-gate")]
    config: dict[str, Any] = {"repos": [{"repo": f"file://{hooks}", "rev": revision, "hooks": chosen}]}
    (root / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    commit(root)
    return root


def run(command: list[str], root: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout, whatever it comes to."""
    return subprocess.run(  # noqa: S603 - git and pre-commit, with a test's own words
        command, cwd=root, env=variables, capture_output=True, text=True, check=False, timeout=120
    )


def test_they_are_what_pre_commit_takes_for_hooks() -> None:
    """The file is valid by pre-commit's own reading."""
    assert hooks_complaints(HOOKS) == ""


def test_a_commit_is_refused_for_what_it_introduces(checkout: Path, variables: Mapping[str, str]) -> None:
    """A fault that is staged ends the commit with its line; one that is not staged is no part of it."""
    installed = run([sys.executable, "-m", "pre_commit", "install", "-t", "pre-commit"], checkout, variables)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    lay_out(checkout, {SERVICE: WRONG})
    (checkout / "backend/new.py").write_text("A = 1\n")
    git(checkout, "add", "backend/new.py")
    done = run(["git", "commit", "--message", "a part"], checkout, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"what this commit introduces\.+Passed", done.stderr)
    git(checkout, "add", SERVICE)
    done = run(["git", "commit", "--message", "the fault"], checkout, variables)
    assert done.returncode == 1
    assert re.search(r"what this commit introduces\.+Failed", done.stderr)
    assert f"{SERVICE}:1" in done.stderr
    assert "HF001" in done.stderr
    assert git(checkout, "log", "-1", "--format=%s") == "a part"


def test_what_was_there_before_stops_nobody(checkout: Path, variables: Mapping[str, str]) -> None:
    """A commit that touches something else passes, and one without Python is not looked at."""
    lay_out(checkout, {SERVICE: WRONG})
    commit(checkout)
    for name, told in (("backend/new.py", "Passed"), ("notes.md", "Skipped")):
        (checkout / name).write_text("# a line\n")
        git(checkout, "add", name)
        done = run([sys.executable, "-m", "pre_commit", "run", "alwrity-doctor-scan"], checkout, variables)
        assert (done.returncode, told in done.stdout) == (0, True), done.stdout + done.stderr
        git(checkout, "reset", "--quiet")


def test_a_push_is_judged_whole(checkout: Path, variables: Mapping[str, str]) -> None:
    """Before a push the gate judges everything, without the network."""
    lay_out(checkout, {SERVICE: WRONG})
    commit(checkout)
    command = [sys.executable, "-m", "pre_commit", "run", "--hook-stage", "pre-push", "--all-files"]
    done = run(command, checkout, variables)
    assert done.returncode == 1
    assert "the gate, offline" in done.stdout
    assert "HF001" in done.stdout
