"""`alwrity-doctor gate --backend DIR`: the source of the checkout is part of the gate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import run
from tests.support.scanned_checkout import commit, lay_out

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "backend/services/reports.py"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "main"], "--since needs a checkout"),
        (["--since", "no-such", "--backend", "."], "there is no revision"),
        (["--since", "main", "--backend", "backend/services"], "no checkout"),
    ],
)
def test_a_revision_is_looked_up_before_the_run(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Wrong usage ends with 2, and no check is run."""
    root = lay_out(tmp_path)
    commit(root)
    done = run("gate", *arguments, cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_gate_scans_the_checkout(tmp_path: Path) -> None:
    """Each issue has its check of the source; with --since only a change counts, by --issue only its own."""
    root = lay_out(
        tmp_path, {SERVICE: "URL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(v):\n    return v\n"}
    )
    commit(root)
    for arguments, code in (
        (["scan"], 1),
        (["scan.hf"], 1),
        (["scan", "--issue", "1"], 0),
        (["scan", "--since", "HEAD"], 0),
    ):
        done = run("gate", *arguments, "--backend", ".", "--format", "json", cwd=root)
        assert done.returncode == code, done.stdout + done.stderr
        names = {result["name"] for result in json.loads(done.stdout)["results"]}
        assert names
        assert all(name.startswith("scan.") for name in names)
