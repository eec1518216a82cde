"""The examples for CI systems: valid by the systems' own schemas, and their commands do what is written beside them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.support.ci_schemas import complaints, hooks_complaints
from tests.support.scanned_checkout import commit, git, lay_out
from tests.support.shells import on_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EXAMPLES = Path(__file__).parents[2] / "docs/ci"
SERVICE = "backend/services/reports.py"
WRONG = "URL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(values):\n    return sum(values)\n"
STANDING = "backend/routers/reports.py"
OLD = "from services.reports import total\n\nURL = 'https://router.huggingface.co/hf/v1'\nrouter = total\n"
"""A fault that was there before the change."""
HOSTILE = "$(touch${IFS}pwned);`touch${IFS}pwned`"
"""A name that git allows for a branch."""


@dataclass(frozen=True)
class System:
    """A CI system: its file, how its commands are had from it, and what it sets for a change that starts at a base."""

    file: str
    scripts: Callable[[Path], Sequence[str]]
    change: Callable[[str, str], Mapping[str, str]]
    """The base's branch and commit -> the variables."""
    whole: Mapping[str, str]
    """The variables of a run that is for no change."""
    artifacts: tuple[str, ...]
    schema: str | None = None
    shell: tuple[str, ...] = ("sh", "-e")


def _yaml(path: Path) -> Any:  # noqa: ANN401 - as it is written
    return yaml.safe_load(path.read_text("utf-8"))


def _gitlab(path: Path) -> list[str]:
    job = _yaml(path)["alwrity-doctor"]
    return ["\n".join((*job["before_script"], *job["script"]))]


def _azure(path: Path) -> list[str]:
    return [step["bash"] for step in _yaml(path)["steps"] if "bash" in step]


def _circle(path: Path) -> list[str]:
    steps = _yaml(path)["jobs"]["alwrity-doctor"]["steps"]
    return [step["run"]["command"] for step in steps if "run" in step]


def _buildkite(path: Path) -> list[str]:
    (step,) = _yaml(path)["steps"]
    return ["\n".join(step["commands"]).replace("$$", "$")]


def _bitbucket(path: Path) -> list[str]:
    ((first,), (second,)) = (
        _yaml(path)["pipelines"]["pull-requests"]["**"],
        _yaml(path)["pipelines"]["branches"]["main"],
    )
    assert first == second
    return ["\n".join(first["step"]["script"])]


def _jenkins(path: Path) -> list[str]:
    return [
        script.replace("\\\\", "\\") for script in re.findall(r"\bsh '''(.*?)'''", path.read_text("utf-8"), re.DOTALL)
    ]


SYSTEMS = (
    System(
        "gitlab-ci.yml",
        _gitlab,
        lambda _, base: {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base},
        {},
        ("doctor.xml", "doctor.json", "doctor.html"),
        "gitlab-ci",
    ),
    System(
        "azure-pipelines.yml",
        _azure,
        lambda branch, _: {"SYSTEM_PULLREQUEST_TARGETBRANCH": f"refs/heads/{branch}"},
        {},
        ("doctor/report.xml", "doctor/report.sarif", "doctor/report.html"),
        "azure-pipelines",
        ("bash", "--noprofile", "--norc"),
    ),
    System(
        "circleci.yml",
        _circle,
        lambda branch, _: {"CIRCLE_BRANCH": f"from-{branch}"},
        {"CIRCLE_BRANCH": "main"},
        ("doctor/report.xml", "doctor/report.html"),
        "circle-ci",
        ("bash", "-eo", "pipefail"),
    ),
    System(
        "buildkite.yml",
        _buildkite,
        lambda branch, _: {"BUILDKITE_PULL_REQUEST_BASE_BRANCH": branch},
        {"BUILDKITE_PULL_REQUEST_BASE_BRANCH": ""},
        ("doctor.md", "doctor.html"),
        "buildkite",
        ("bash", "-e"),
    ),
    System(
        "bitbucket-pipelines.yml",
        _bitbucket,
        lambda branch, _: {"BITBUCKET_PR_DESTINATION_BRANCH": branch},
        {},
        ("test-results/doctor.xml", "doctor.html"),
        "bitbucket-pipelines",
    ),
    System(
        "Jenkinsfile",
        _jenkins,
        lambda branch, _: {"CHANGE_TARGET": branch},
        {},
        ("doctor.xml", "doctor.sarif", "doctor.html"),
    ),
)
each_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.file)

PYTHON = f"""#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin"; : > "$3/bin/activate"; else exec "{sys.executable}" "$@"; fi
"""
PIP = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$RECORD"\n'
AGENT = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$RECORD"; cat > "$RECORD.annotation"\n'


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    """Return an environment with the program on the path; pip and the agent of Buildkite only record: no network."""
    found = on_path(tmp_path, RECORD=str(tmp_path / "record"), ALWRITY_DOCTOR="path/to/alwrity-doctor")
    for name, program in (("python3", PYTHON), ("pip", PIP), ("buildkite-agent", AGENT)):
        path = tmp_path / "bin" / name
        path.write_text(program)
        path.chmod(0o755)
    return {key: value for key, value in found.items() if not key.startswith("GIT_")}


def _clone(tmp_path: Path, branch: str, change: Mapping[str, str]) -> tuple[Path, str]:
    """Return a clone with a `change` to what is on `branch` of its origin, as CI has it, and the commit of the base."""
    origin = lay_out(tmp_path / "origin", {STANDING: OLD})
    base = commit(origin)
    if branch != "main":
        git(origin, "branch", branch)
    git(origin, "switch", "--quiet", "--create", "change")
    lay_out(origin, {STANDING: OLD, **change})
    commit(origin)
    git(tmp_path, "clone", "--quiet", "--branch", "change", f"file://{origin}", "clone")
    return tmp_path / "clone", base


def _run(system: System, root: Path, variables: Mapping[str, str]) -> tuple[int, str]:
    """Run the example's commands one after the other, as the system would; return the first exit code that is not 0."""
    said = ""
    for script in system.scripts(EXAMPLES / system.file):
        done = subprocess.run(  # noqa: S603 - the example's own script
            [*system.shell, "-c", script],
            cwd=root,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        said += done.stdout
        if done.returncode:
            return done.returncode, said
    return 0, said


@each_system
def test_it_is_what_the_system_takes(system: System) -> None:
    """Where a schema is published, the file is valid by it; it has commands, and names what they leave behind."""
    path = EXAMPLES / system.file
    assert system.schema is None or complaints(system.schema, path) == ""
    assert system.scripts(path)
    text = path.read_text("utf-8")
    for artifact in system.artifacts:
        assert artifact in text


@each_system
def test_it_judges_the_change(system: System, tmp_path: Path, variables: Mapping[str, str]) -> None:
    """The fault that a change brings ends the job with 1 and is in every file; the program was installed before."""
    root, base = _clone(tmp_path, "main", {SERVICE: WRONG})
    code, said = _run(system, root, {**variables, **system.change("main", base)})
    assert code == 1, said
    assert f"{SERVICE}:1" in said
    assert STANDING not in said
    assert (tmp_path / "record").read_text().splitlines()[0] == "install path/to/alwrity-doctor"
    for artifact in system.artifacts:
        assert "HF001" in (root / artifact).read_text("utf-8")


@each_system
def test_it_judges_everything_where_there_is_no_change(
    system: System, tmp_path: Path, variables: Mapping[str, str]
) -> None:
    """On the main branch nothing is left out."""
    root, _ = _clone(tmp_path, "main", {SERVICE: WRONG})
    code, said = _run(system, root, {**variables, **system.whole})
    assert code == 1, said
    assert f"{SERVICE}:1" in said
    assert f"{STANDING}:3" in said


@each_system
def test_a_branch_with_a_hostile_name_is_a_name(system: System, tmp_path: Path, variables: Mapping[str, str]) -> None:
    """No example puts a branch's name into a script: the healthy change to such a branch passes, and nothing is run."""
    root, base = _clone(tmp_path, HOSTILE, {"backend/new.py": "A = 1\n"})
    code, said = _run(system, root, {**variables, **system.change(HOSTILE, base)})
    assert code == 0, said
    assert not [*tmp_path.rglob("pwned")]


def test_the_formats_are_what_the_systems_read(tmp_path: Path, variables: Mapping[str, str]) -> None:
    """GitLab's list of issues and everybody's JUnit, as they come out of the example itself."""
    root, base = _clone(tmp_path, "main", {SERVICE: WRONG})
    gitlab = SYSTEMS[0]
    _run(gitlab, root, {**variables, **gitlab.change("main", base)})
    (issue,) = json.loads((root / "doctor.json").read_text("utf-8"))
    assert issue["location"] == {"path": SERVICE, "lines": {"begin": 1}}
    cases = ET.fromstring((root / "doctor.xml").read_bytes()).iter("testcase")  # noqa: S314 - our own output
    assert [case.get("name") for case in cases if case.find("failure") is not None]


def test_buildkite_shows_the_report_as_its_annotation(tmp_path: Path, variables: Mapping[str, str]) -> None:
    """The agent is given the Markdown, in the style of the verdict."""
    root, base = _clone(tmp_path, "main", {SERVICE: WRONG})
    (buildkite,) = (system for system in SYSTEMS if system.schema == "buildkite")
    _run(buildkite, root, {**variables, **buildkite.change("main", base)})
    assert (tmp_path / "record").read_text().splitlines()[-1] == "annotate --context alwrity-doctor --style error"
    assert (tmp_path / "record.annotation").read_text().startswith("# alwrity-doctor: FAIL\n")


def test_the_workflow_for_github_uses_the_action_as_it_is() -> None:
    """Valid by the schema, everything pinned by its hash, no input and no output that the action does not have."""
    assert complaints("github-workflows", EXAMPLES / "github.yml") == ""
    action = _yaml(EXAMPLES.parents[1] / "action.yml")
    text = (EXAMPLES / "github.yml").read_text("utf-8")
    for line in re.findall(r"uses: (.*)$", text, re.MULTILINE):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}( # v\d+\.\d+\.\d+)?", line), line
    (step,) = (one for one in _yaml(EXAMPLES / "github.yml")["jobs"]["gate"]["steps"] if one.get("id") == "doctor")
    assert step.get("with", {}).keys() <= action["inputs"].keys()
    assert set(re.findall(r"steps\.doctor\.outputs\.([\w-]+)", text)) <= action["outputs"].keys()


def test_the_pre_commit_example_names_hooks_that_exist() -> None:
    """Valid by pre-commit's own reading."""
    path = EXAMPLES / "pre-commit-config.yaml"
    assert hooks_complaints(path, "config") == ""
    (repository,) = _yaml(path)["repos"]
    hooks = {hook["id"] for hook in _yaml(EXAMPLES.parents[1] / ".pre-commit-hooks.yaml")}
    assert {hook["id"] for hook in repository["hooks"]} == hooks


def test_every_example_is_tested() -> None:
    """No file lies there that nothing runs."""
    tested = {system.file for system in SYSTEMS} | {"github.yml", "pre-commit-config.yaml", "README.md"}
    assert {path.name for path in EXAMPLES.iterdir()} == tested


def test_the_guide_names_every_example_and_every_input() -> None:
    """The table of files and that of the action's inputs are whole."""
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert {path.name for path in EXAMPLES.iterdir()} - {"README.md"} == set(re.findall(r"\]\(([^)]+)\)", text))
    action = _yaml(EXAMPLES.parents[1] / "action.yml")
    assert list(action["inputs"]) == re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)
    for name, one in action["inputs"].items():
        assert name == "since" or not one["default"] or f"| `{name}` | `{one['default']}` |" in text
    for name in action["outputs"]:
        assert f"`{name}`" in text
