"""What GitHub's runner does with a composite action, as far as ours needs it: expressions, files, commands."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTION", "Step", "inputs", "run_step", "steps"]

ACTION: Final = Path(__file__).parents[2] / "action.yml"
_EXPRESSION: Final = re.compile(r"\$\{\{(.*?)\}\}")


@dataclass(frozen=True)
class Step:
    """What a step came to."""

    code: int
    log: str
    commands: tuple[str, ...]
    """The workflow commands that the runner obeys, those between `stop-commands` and its token left out."""
    outputs: Mapping[str, str]
    summary: str


def steps() -> dict[str, dict[str, Any]]:
    """Return the action's steps by their names."""
    return {step["name"]: step for step in yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]}


def inputs(**given: str) -> dict[str, str]:
    """Return the action's inputs: `given`, with `-` as `_`, and the defaults."""
    declared = yaml.safe_load(ACTION.read_text("utf-8"))["inputs"]
    chosen = {name.replace("_", "-"): value for name, value in given.items()}
    assert chosen.keys() <= declared.keys()
    return {name: chosen.get(name, one["default"]) for name, one in declared.items()}


def evaluated(text: str, contexts: Mapping[str, Any]) -> str:
    """Replace every expression in `text`; we write names and `||`, nothing else."""
    return _EXPRESSION.sub(lambda match: _first(match.group(1), contexts), text)


def _first(expression: str, contexts: Mapping[str, Any]) -> str:
    for alternative in expression.split("||"):
        value: Any = contexts
        for part in alternative.strip().split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        if value:
            return str(value)
    return ""


def run_step(name: str, contexts: Mapping[str, Any], workspace: Path, temp: Path, **variables: str) -> Step:
    """Run a step's script as the runner does, in `workspace`; `temp` is RUNNER_TEMP."""
    step = steps()[name]
    files = {which: temp / f"{which}.file" for which in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        path.write_text("")
    script = temp / "script.sh"
    script.write_text(evaluated(step["run"], contexts))
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GIT_", "CLERK"))},
        **{key: str(path) for key, path in files.items()},
        **{key: evaluated(value, contexts) for key, value in step["env"].items()},
        "RUNNER_TEMP": str(temp),
        "GITHUB_ACTION": "__self",
        "GITHUB_ACTION_PATH": str(ACTION.parent),
        "GITHUB_WORKSPACE": str(workspace),
        **variables,
    }
    done = subprocess.run(  # noqa: S603 - the action's own script
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],  # noqa: S607 - wherever it is
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Step(done.returncode, done.stdout, _obeyed(done.stdout), outputs, files["GITHUB_STEP_SUMMARY"].read_text())


def _obeyed(log: str) -> tuple[str, ...]:
    obeyed: list[str] = []
    token: str | None = None
    for line in map(str.strip, log.splitlines()):
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.startswith("::"):
            obeyed.append(line)
    return tuple(obeyed)
