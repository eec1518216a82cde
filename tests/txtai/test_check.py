"""The checks of the semantic index: each finding brought about for real, or by the versions that are named."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Context, ExitCode, LocationKind, Report, Verdict
from alwrity_checks.settings import Settings
from alwrity_checks.txtai.check import CHECKS
from alwrity_checks.txtai.check_indexes import index_findings
from alwrity_checks.txtai.check_model import model_findings
from alwrity_checks.txtai.check_settings import setting_findings
from alwrity_checks.txtai.libraries import library_findings
from alwrity_checks.txtai.model_source import MINILM
from alwrity_doctor.gate import run_checks
from alwrity_doctor.report import FORMATS, render
from tests.support.in_process import bare
from tests.support.txtai_legacy import saved_by_txtai
from tests.support.txtai_store import drain, put, store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from alwrity_checks.model import Finding

NAMES = {"txtai.libraries", "txtai.settings", "txtai.model", "txtai.indexes"}


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin in an empty directory, without any setting."""
    bare(monkeypatch)
    monkeypatch.chdir(tmp_path)


def checked(*, offline: bool = True, backend: str | None = None, **variables: str) -> Report:
    """Return the report of all checks of the room."""
    context = Context(Settings.load(environment=variables), offline=offline, backend=backend)
    return asyncio.run(run_checks(CHECKS, context))


def verdicts(report: Report) -> dict[str, Verdict]:
    """Return the verdict of each check."""
    return {one.name: one.verdict for one in report.results}


def settings(**variables: str) -> Settings:
    """Return settings that hold these alone."""
    return Settings.load(environment=variables)


def reasons(findings: Iterable[Finding]) -> list[str]:
    """Return the reason codes of findings."""
    return [one.evidence[0].value for one in findings]


def codes(findings: Iterable[Finding]) -> list[str]:
    """Return the codes of the rules that are broken."""
    return [one.rule.code for one in findings]


# As a whole


def test_nothing_of_it_is_configured() -> None:
    """Neither a setting nor an index: every check is skipped, says why, and nothing is called healthy."""
    report = checked()
    assert set(verdicts(report)) == NAMES
    assert set(verdicts(report).values()) == {Verdict.SKIP}
    assert all("SIF_FAIL_FAST" in one.reason for one in report.results)
    assert report.exit_code is ExitCode.UNKNOWN


def test_sound_settings(tmp_path: Path) -> None:
    """With libraries, the embedded model and a directory that can be written everything passes, offline."""
    report = checked(SIF_FAIL_FAST="True", ALWRITY_TXTAI_DIR=str(tmp_path / "ix"))
    assert set(verdicts(report).values()) == {Verdict.PASS}, report.findings
    assert report.exit_code is ExitCode.HEALTHY
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_is_here_is_reason_enough(tmp_path: Path) -> None:
    """Without any setting, but with a backend's index in the working directory, everything is checked."""
    saved_by_txtai(tmp_path / "backend/workspace/workspace_u/indices/txtai", [{"id": "a", "text": "alpha"}])
    assert set(verdicts(checked()).values()) == {Verdict.PASS}


def test_every_format(tmp_path: Path) -> None:
    """Findings of this room are in each of them; a variable has no line, which GitLab's Code Quality asks for."""
    report = checked(SIF_FAIL_FAST="maybe", ALWRITY_TXTAI_DIR=str(tmp_path / "ix"))
    for form in FORMATS:
        assert ("TXT075" in render(report, form)) is (form != "codequality")


# Libraries


def with_versions(versions: Mapping[str, str]) -> list[Finding]:
    """Return the findings where these distributions are installed."""

    def installed(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    return list(library_findings(installed))


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({}, ["library-missing", "library-missing"]),
        ({"txtai": "9.14.0"}, ["library-missing"]),
        ({"faiss-cpu": "1.15.1"}, ["library-missing"]),
        ({"txtai": "9.14.0", "faiss-cpu": "1.15.1"}, []),
        ({"txtai": "10.0.0", "faiss-gpu": "1.20.0"}, []),
        ({"txtai": "9.1.0", "faiss-cpu": "1.13.0"}, ["index-versions"]),
        ({"txtai": "7.5.1", "faiss-cpu": "1.15.1"}, ["index-versions"]),
        ({"txtai": "9.1.0", "faiss-cpu": "1.12.0"}, ["library-old"]),
        ({"txtai": "9.2.0", "faiss-cpu": "1.15.1"}, ["library-old"]),
        ({"txtai": "built by hand", "faiss-cpu": "1.15.1"}, []),
    ],
)
def test_versions(versions: Mapping[str, str], expected: list[str]) -> None:
    """Missing, not fitting together and old are told apart, each with the command that changes it."""
    found = with_versions(versions)
    assert reasons(found) == expected
    for one in found:
        assert one.location is not None
        assert one.location.kind is LocationKind.PACKAGE
        assert one.commands[0].startswith("pip install")


# Settings


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", []),
        ("1", []),
        (" YES ", []),
        ("on", []),
        ("false", ["fail-fast-off"]),
        ("0", ["fail-fast-off"]),
        ("", ["fail-fast-word", "fail-fast-off"]),
        ("enabled", ["fail-fast-word", "fail-fast-off"]),
        ("y", ["fail-fast-word", "fail-fast-off"]),
    ],
)
def test_the_switch(value: str, expected: list[str]) -> None:
    """Off is a warning, and so is a word that somebody may have meant as on; the variable is the location."""
    found = list(setting_findings(settings(SIF_FAIL_FAST=value)))
    assert reasons(found) == expected
    assert {str(one.location) for one in found} <= {"$SIF_FAIL_FAST"}


def test_the_switch_means_the_same_to_the_component() -> None:
    """What the check calls off is what makes the component's searches not critical."""
    from alwrity_checks.txtai.indexes import SemanticIndexes

    for value in ("true", "1", "Yes", "on", "false", "", "enabled", "y", "0"):
        indexes = SemanticIndexes.from_environment({"SIF_FAIL_FAST": value})
        off = "fail-fast-off" in reasons(setting_findings(settings(SIF_FAIL_FAST=value)))
        assert indexes.fail_fast is not off
        assert indexes.close_sync()


def test_a_relative_directory() -> None:
    """It depends on where the process was started: worth knowing, and no more."""
    report = checked(ALWRITY_TXTAI_DIR="ix")
    assert codes(report.findings) == ["TXT076"]
    assert report.exit_code is ExitCode.HEALTHY


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/self/ix"])
def test_a_directory_that_cannot_be_had(tmp_path: Path, name: str) -> None:
    """A file in its place, or a file system that makes none: an error before anything is lost."""
    (tmp_path / "file").touch()
    found = list(setting_findings(settings(ALWRITY_TXTAI_DIR=str(tmp_path / name))))
    assert reasons(found) == ["storage-failed"]
    assert str(found[0].location) == "$ALWRITY_TXTAI_DIR"


# The model


def model(*, offline: bool = False, answers: bool = False, **variables: str) -> tuple[list[str], int]:
    """Return the reasons found, and how often the hub was asked."""
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        return answers

    return reasons(model_findings(settings(**variables), offline=offline, hub_answers=ask)), len(asked)


def test_the_embedded_model() -> None:
    """It is there without a network; a hub that is not there and not declared away costs 70 s, which is a warning."""
    assert model(answers=True) == ([], 1)
    assert model(answers=False) == (["model-retries"], 1)
    assert model(answers=False, HF_HUB_OFFLINE="1") == ([], 0)
    assert model(answers=False, TRANSFORMERS_OFFLINE="true") == ([], 0)
    assert model(offline=True) == ([], 0)


def test_another_model() -> None:
    """What is not on this machine needs the hub: reachable is enough, forbidden or away is an error."""
    name = "example/no-such-model"
    assert model(answers=True, ALWRITY_TXTAI_MODEL=name) == ([], 1)
    assert model(answers=False, ALWRITY_TXTAI_MODEL=name) == (["model-missing", "model-retries"], 1)
    assert model(ALWRITY_TXTAI_MODEL=name, HF_HUB_OFFLINE="1") == (["model-missing"], 0)
    with pytest.raises(CannotCheck, match="--offline"):
        model(offline=True, ALWRITY_TXTAI_MODEL=name)


def test_a_model_directory(tmp_path: Path) -> None:
    """A directory is taken if weights are in it; one that is not there, or empty, is an error at the setting."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "model.safetensors").write_bytes(b"weights")
    for name, expected in (("empty", ["model-missing"]), ("missing", ["model-missing"]), ("full", [])):
        assert model(offline=True, ALWRITY_TXTAI_MODEL=str(tmp_path / name)) == (expected, 0)
    (one,) = model_findings(settings(ALWRITY_TXTAI_MODEL="./missing"), offline=True)
    assert str(one.location) == "$ALWRITY_TXTAI_MODEL"


def test_what_only_the_hub_could_tell_is_unknown() -> None:
    """With --offline a model that is not here is neither healthy nor at fault."""
    report = checked(offline=True, ALWRITY_TXTAI_MODEL="example/no-such-model")
    assert verdicts(report)["txtai.model"] is Verdict.UNKNOWN
    assert report.exit_code is ExitCode.UNKNOWN


def test_the_default_is_alwritys_model() -> None:
    """Nothing set means MiniLM, under its full name."""
    assert MINILM.endswith("all-MiniLM-L6-v2")
    assert model(answers=True, ALWRITY_TXTAI_MODEL="  ") == ([], 1)


# Indexes


def test_every_index_of_a_workspace_is_looked_at(tmp_path: Path) -> None:
    """Damage in a backend's index and in one of the component's is found, each with its place and its repair."""
    good = saved_by_txtai(tmp_path / "workspace/workspace_good/indices/txtai", [{"id": "a", "text": "alpha"}])
    bad = saved_by_txtai(tmp_path / "workspace/workspace_bad/indices/txtai", [{"id": "a", "text": "alpha"}])
    (bad / "documents").write_bytes(b"")
    own = store(tmp_path / "elsewhere")
    own.open()
    put(own, ("a", "alpha"))
    drain(own)
    own.settle(force=True)
    own.close()
    (config,) = (tmp_path / "elsewhere").glob("*/gen-*/config.json")
    config.write_text("{")
    found = list(index_findings(settings(ALWRITY_TXTAI_DIR=str(tmp_path / "elsewhere"))))
    places = " ".join(str(one.location) for one in found)
    assert "workspace_bad" in places
    assert str(config) in places
    assert good.parts[-3] not in places
    assert {one.rule.code for one in found} == {"TXT032"}
    assert all("txtai repair" in one.commands[0] for one in found)


def test_an_index_that_two_ways_lead_to_is_told_once(tmp_path: Path) -> None:
    """The component's directory inside the workspace, and the same checkout named twice."""
    saved_by_txtai(tmp_path / "workspace/workspace_u/indices/txtai", [])
    one = store(tmp_path / "workspace/semantic-index")
    put(one, ("a", "alpha"))
    one.close()
    directory = next((tmp_path / "workspace/semantic-index").iterdir())
    (directory / "tmp-000001").mkdir()
    named = settings(ALWRITY_TXTAI_DIR="workspace/semantic-index")
    assert sorted(codes(index_findings(named, tmp_path))) == ["TXT031", "TXT035"]


def test_a_checkout_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace of the checkout that is named is looked at, wherever the command was started."""
    saved_by_txtai(tmp_path / "alwrity/backend/workspace/workspace_u/indices/txtai", [])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    report = checked(SIF_FAIL_FAST="true", backend=str(tmp_path / "alwrity"))
    assert codes(report.findings) == ["TXT031"]
    assert report.exit_code is ExitCode.FINDING
