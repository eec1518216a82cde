"""`alwrity-doctor adopt` in a real process, on small checkouts of our own."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_doctor.report import FORMATS
from tests.support.adoptable import CALLER, SERVICE, START, adoptable, state
from tests.support.backend_checkout import SECRET
from tests.support.command_line import run, start
from tests.support.hf_backends import WHOLE, write_checkout
from tests.support.scanned_checkout import git

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

pytest.importorskip("libcst")

BOTH = ("adopt", "3", "6", "--backend", ".")
LITERAL = "hf_" + "leftInTheSource0123456789"


def adopt(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the checkout, without the experiments unless they are asked for."""
    proved = () if {"--prove", "--check"} & set(arguments) else ("--no-prove",)
    return run(*BOTH, *proved, *(one for one in arguments if one != "--prove"), cwd=root)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the report of a run that wrote it to stdout as JSON."""
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit_code"] == done.returncode
    return report


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Return each result's verdict."""
    return {result["name"]: result["verdict"] for result in report["results"]}


def test_by_default_nothing_is_written(tmp_path: Path) -> None:
    """The diff comes first, as git takes it; then what it is about. The settings' values are nowhere."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    done = adopt(root, "--patch", str(tmp_path / "patch"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert state(root) == before
    patch = (tmp_path / "patch").read_text(encoding="utf-8")
    assert done.stdout.startswith(patch)
    report = done.stdout.removeprefix(patch)
    assert report.startswith("PASS: the cure of issues 3, 6 would be written (3 files).\n")
    assert "set, by backend/.env:1" in report
    assert SECRET not in done.stdout
    assert "neverShown" not in done.stdout
    git(root, "apply", str(tmp_path / "patch"))
    assert adopt(root, "--check").returncode == 0


def test_the_origin_stands_in_the_requirements(tmp_path: Path) -> None:
    """Each issue's line has it; nobody is sent to an index."""
    root = adoptable(tmp_path / "checkout")
    done = adopt(root, "--install-from", "https://example.com/d.whl", "--patch", str(tmp_path / "patch"))
    assert done.returncode == 0, done.stderr
    added = [
        line for line in (tmp_path / "patch").read_text("utf-8").splitlines() if line.startswith("+alwrity-doctor")
    ]
    assert len(added) == 1
    assert re.fullmatch(r"\+alwrity-doctor\[[a-z,]+\] @ https://example\.com/d\.whl", added[0])
    assert "pip takes" not in " ".join(done.stdout.split())


def test_check_is_for_ci(tmp_path: Path) -> None:
    """0 where the cure is in place, 1 with a summary where it is not or was edited; nothing is run or written."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    missing = told(adopt(root, "--check", "--format", "json"))
    assert missing["verdict"] == "fail"
    assert verdicts(missing) == {"adopt 3": "fail", "adopt 6": "fail"}
    places = [finding["location"]["name"] for result in missing["results"] for finding in result["findings"]]
    assert places == [SERVICE, "backend/requirements.txt", START, "backend/requirements.txt"]
    assert state(root) == before
    assert adopt(root, "--apply").returncode == 0
    assert adopt(root, "--check").returncode == 0
    (root / SERVICE).write_text((root / SERVICE).read_text(encoding="utf-8") + "\n# mine\n", encoding="utf-8")
    edited = adopt(root, "--check")
    assert edited.returncode == 1
    assert "+0 -2 lines" in edited.stdout
    assert "diff --git" not in edited.stdout


def test_apply_and_back(tmp_path: Path) -> None:
    """One commit an issue on the branch that is named; how to go back is told, and goes back."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    done = adopt(root, "--apply", "--branch", "cure")
    assert done.returncode == 0, done.stderr
    assert git(root, "log", "--format=%s", "-2").splitlines() == [
        "Start the server without waiting for a model",
        "Keep the semantic index in one writer that loses nothing",
    ]
    assert "Committed on cure" in done.stdout
    again = adopt(root, "--apply")
    assert "are cured already" in again.stdout
    assert again.returncode == 0
    undo = done.stderr.partition("To undo: ")[2].strip()
    for command in undo.split(" && "):
        git(root, *command.split()[1:])
    assert state(root) == before


def test_a_refusal_names_the_place_and_spares_the_others(tmp_path: Path) -> None:
    """1; what fits is applied, nothing of what does not."""
    root = adoptable(tmp_path / "checkout", {CALLER: "import os\nfrom .txtai_service import _hidden\n"})
    done = adopt(root, "--apply", "--format", "json")
    report = told(done)
    assert report["exit_code"] == 1
    (refused,) = (result for result in report["results"] if result["name"] == "adopt 3")
    place = {"kind": "file", "name": CALLER, "line": 2}
    assert refused["findings"][0]["location"] == place
    assert refused["findings"][0]["rule"]["code"] == "ADO002"
    assert git(root, "log", "--format=%s", "-1") == "Start the server without waiting for a model"
    assert git(root, "diff", "--name-only", "HEAD~1").split() == ["backend/requirements.txt", START]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adopt"], "--backend"),
        (["adopt", "4", "--backend", "."], "issue 4 is no defect"),
        (["adopt", "7", "--backend", "."], "nothing can be adopted for issue 7"),
        (["adopt", "--backend", "nowhere"], "is not a directory"),
        (["adopt", "--backend", ".", "--apply", "--check"], "--apply writes and --check does not"),
        (["adopt", "--backend", ".", "--branch", "x"], "--branch names what --apply makes"),
        (["adopt", "--backend", ".", "--check", "--patch", "x"], "leave --check out"),
        (["adopt", "--backend", ".", "--patch", "no/such/x"], "cannot be written"),
        (["adopt", "3", "--backend", ".", "--apply", "--branch=-x"], "is no name for a branch"),
        (["adopt", "3", "--backend", ".", "--python", "nowhere"], "is no interpreter"),
        (["adopt", "3", "--backend", ".", "--install-from", ""], "no https, ssh or file URL"),
        (["adopt", "3", "--backend", ".", "--install-from", "../doctor"], "no https, ssh or file URL"),
        (["adopt", "3", "--backend", ".", "--install-from", "https://me:secret@host/d.whl"], "would write a user name"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    """With what is wrong and what to do; nothing was written."""
    root = adoptable(tmp_path / "checkout")
    before = state(root)
    done = run(*arguments, cwd=root)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert state(root) == before


def test_a_tree_that_is_not_clean(tmp_path: Path) -> None:
    """It is refused before anything is tried, naming the file."""
    root = adoptable(tmp_path / "checkout")
    (root / CALLER).write_text("# mine\n", encoding="utf-8")
    before = state(root)
    done = adopt(root, "--apply", "--prove")
    assert done.returncode == 2
    assert CALLER in done.stderr
    assert state(root) == before


def test_a_credential_in_the_source_is_masked_everywhere(tmp_path: Path) -> None:
    """In the diff on stdout, in the file, in every format; and it is said that such a diff cannot be applied."""
    text = f'TOKEN = "{LITERAL}"\n\n\n{(adoptable(tmp_path / "other") / SERVICE).read_text(encoding="utf-8")}'
    root = adoptable(tmp_path / "checkout", {SERVICE: text})
    forms = [f"--format={name}={tmp_path / name}" for name in FORMATS]
    done = adopt(root, "--patch", str(tmp_path / "patch"), "--format", "text", *forms[1:])
    assert done.returncode == 0, done.stderr
    assert "is masked in the diff" in done.stderr
    assert "-TOKEN" in done.stdout
    for shown in (
        done.stdout,
        done.stderr,
        *(path.read_text("utf-8") for path in tmp_path.iterdir() if path.is_file()),
    ):
        assert LITERAL not in shown
    assert adopt(root, "--apply").returncode == 0
    assert LITERAL not in (root / SERVICE).read_text(encoding="utf-8")


def test_every_format_in_one_run(tmp_path: Path) -> None:
    """All of them are written; the report holds each issue's diff, and is rendered again from JSON alone."""
    jsonschema = pytest.importorskip("jsonschema")
    root = adoptable(tmp_path / "checkout")
    forms = [f"--format={name}={tmp_path / name}" for name in FORMATS]
    assert adopt(root, *forms).returncode == 0
    assert all((tmp_path / name).read_text(encoding="utf-8") for name in FORMATS)
    report = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    schema = files("alwrity_doctor.report").joinpath("report-1.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(report, json.loads(schema))
    (diff,) = (result["evidence"][0]["value"] for result in report["results"] if result["name"] == "adopt 3")
    assert diff.startswith("diff --git a/backend/services/intelligence/txtai_service.py")
    again = run("render", str(tmp_path / "json"), cwd=tmp_path)
    assert again.stdout == (tmp_path / "text").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="a signal is sent")
def test_a_reader_who_has_gone(tmp_path: Path) -> None:
    """`adopt | head` ends as the report does, without a traceback."""
    root = adoptable(tmp_path / "checkout")
    process = start(*BOTH, "--no-prove", cwd=root)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_it_is_proved_by_the_experiments(tmp_path: Path) -> None:
    """Before and after stand side by side; the commits name what was reproduced and is absent now."""
    pytest.importorskip("txtai")
    root = adoptable(tmp_path / "checkout")
    done = run("adopt", "3", "--backend", ".", "--apply", "--format", "json", cwd=root)
    report = told(done)
    assert report["exit_code"] == 0, done.stdout
    seen = {(one["rule"]["code"], one["target"]["variant"]): one["outcome"] for one in report["observations"]}
    assert seen["TXT003", "before"] == "reproduced"
    assert {outcome for (_, side), outcome in seen.items() if side == "after"} == {"absent"}
    assert "faults reproduced before are absent after" in report["summary"]
    assert "TXT003" in git(root, "log", "-1", "--format=%B")
    assert verdicts(report)["apply"] == "pass"


def test_what_callers_rely_on_is_tried_on_both(tmp_path: Path) -> None:
    """Old module and new stand side by side, each contract with a result of its own."""
    pytest.importorskip("openai")
    pytest.importorskip("tenacity")
    backend = write_checkout(tmp_path / "checkout", WHOLE)
    (backend / "requirements.txt").write_text("fastapi\n", encoding="utf-8")
    done = run("adopt", "2", "--backend", "checkout", "--no-prove", "--contract", "--format", "json", cwd=tmp_path)
    report = told(done)
    assert report["exit_code"] == 0, done.stdout
    contracts = {name: verdict for name, verdict in verdicts(report).items() if name.startswith("contract hf.")}
    assert contracts
    assert set(contracts.values()) == {"pass"}
    (table,) = (table for table in report["tables"] if table["title"].startswith("Contracts"))
    assert table["columns"] == ["contract", "before", "after"]
    assert {tuple(row[1:]) for row in table["rows"]} == {("kept", "kept")}


@pytest.mark.skipif(os.name != "posix", reason="a signal is sent")
def test_interrupted_in_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """130; what was planned is told, the scratch copy is gone, the checkout untouched."""
    root = adoptable(tmp_path / "checkout")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    before = state(root)
    process = start("adopt", "3", "--backend", ".", "--apply", cwd=root)
    deadline = time.monotonic() + 60
    # Not just any child: before the proof there are gits.
    while not list(scratch.glob("alwrity-doctor-adopt-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert out
    assert not list(scratch.iterdir())
    assert state(root) == before
