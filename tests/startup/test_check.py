"""The check of the next start: what would be waited for on this machine, and when that is nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Context, RequirementKind
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.settings import Settings
from alwrity_checks.startup.check import CHECKS, next_start_findings
from tests.support.models_backends import CURED_START, HEAD_START, OLD_START

MODEL = "models--Qwen--Qwen2.5-3B-Instruct"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root of a checkout with the start script of 8c2d88ef."""
    backend = tmp_path / "backend"
    backend.mkdir()
    (backend / "start_alwrity_backend.py").write_text(OLD_START)
    return tmp_path


def on_a_machine(home: Path, **more: str) -> Settings:
    """Return the settings of a machine with its hub's cache below `home`."""
    return Settings.load({"HF_HOME": str(home / "hf"), **more})


def test_a_download_that_is_still_to_be_made_is_told(root: Path) -> None:
    """With the model, its size, the line that names it, the way to the call, and the command that makes it ahead."""
    (found,) = next_start_findings(root, on_a_machine(root))
    assert found.rule.code == "STA001"
    assert "downloads Qwen/Qwen2.5-3B-Instruct (5." in found.message
    assert str(found.location) == "backend/start_alwrity_backend.py:15"
    assert any("bootstrap_local_llm_models" in one.value for one in found.evidence)
    assert found.commands == ("alwrity-doctor models pull Qwen/Qwen2.5-3B-Instruct",)


def test_a_model_that_is_here_is_not_waited_for(root: Path) -> None:
    """A whole snapshot in the hub's cache: the start asks the hub once, and goes on."""
    write_checkpoint(root / "hf" / "hub" / MODEL / "snapshots" / ("0" * 40), "tiny")
    assert not list(next_start_findings(root, on_a_machine(root)))


@pytest.mark.parametrize(
    "script",
    [
        CURED_START,
        OLD_START.replace(
            "    bootstrap_local_llm_models()\n",
            "    import threading\n    threading.Thread(target=bootstrap_local_llm_models).start()\n",
        ),
        OLD_START.replace("    bootstrap_local_llm_models()\n", "    pass\n"),
    ],
    ids=["drop-in", "thread", "not called"],
)
def test_a_script_that_waits_for_nothing_is_healthy(script: str, root: Path) -> None:
    """The same function is no fault where nobody waits for it."""
    (root / "backend" / "start_alwrity_backend.py").write_text(script)
    assert not list(next_start_findings(root, on_a_machine(root)))


def test_a_platform_on_which_the_script_skips_it_is_healthy(root: Path) -> None:
    """RENDER counts where the script reads it, and nowhere else."""
    assert not list(next_start_findings(root, on_a_machine(root, RENDER="true")))
    script = root / "backend" / "start_alwrity_backend.py"
    script.write_text(OLD_START.replace('os.getenv("RENDER") or ', ""))
    assert len(list(next_start_findings(root, on_a_machine(root, RENDER="true")))) == 1


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """No script, and one that does not parse, are told with their place."""
    with pytest.raises(CannotCheck, match=r"has no start_alwrity_backend\.py"):
        list(next_start_findings(tmp_path, on_a_machine(tmp_path)))
    (tmp_path / "start_alwrity_backend.py").write_text("a = 1\n<<<<<<< HEAD\n")
    with pytest.raises(CannotCheck, match=r"start_alwrity_backend\.py:2 cannot be read as Python"):
        list(next_start_findings(tmp_path, on_a_machine(tmp_path)))


def test_the_check_is_the_gates(root: Path) -> None:
    """It belongs to issue 6, and needs a checkout: without one the gate skips it and says so."""
    (check,) = CHECKS
    assert (check.name, check.issue) == ("startup.next_start", 6)
    assert {one.kind for one in check.requires} == {RequirementKind.CHECKOUT}
    (root / "backend" / "start_alwrity_backend.py").write_text(HEAD_START)
    found = asyncio.run(check.run(Context(on_a_machine(root), backend=str(root))))
    assert [one.rule.code for one in found] == ["STA001"]
