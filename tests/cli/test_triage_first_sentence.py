"""The first sentence of `triage`: what somebody reads at three in the morning, and perhaps nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_doctor.triage_words import things
from tests.support.in_process import CommandLine
from tests.support.reading_logs import fragment, triage_of

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = "06:00:00 | ERROR    | a.b:f:1 - Quota store unreachable at 10.0.0.1:6379\n"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line in an empty directory."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def first(out: str) -> str:
    """Return the first sentence of a report in text, on one line."""
    return " ".join(out.partition("\nalwrity-doctor ")[0].split())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "PASS: app.log is empty."),
        (
            "a,b\n1,2\n",
            "PASS: no line of app.log speaks of a known issue, and it does not begin as a backend's log does.",
        ),
        ("06:00:00 | INFO     | a.b:f:1 - fine\n", "PASS: no line of app.log speaks of a known issue."),
        (
            UNKNOWN,
            "WARN: no line of app.log speaks of a known issue; 1 line of trouble in 1 form matches no signature.",
        ),
        (
            fragment("reload").read_text("utf-8"),
            "PASS: nothing is known to have failed: 1 line speaks of known issues, all harmless.",
        ),
    ],
)
def test_nothing_that_failed_is_said_so(command: CommandLine, tmp_path: Path, content: str, said: str) -> None:
    """Empty, no log at all, healthy, unknown trouble alone, harmless lines alone: each has its sentence, and code 0."""
    (tmp_path / "app.log").write_text(content, "utf-8")
    done = command("triage", "app.log")
    assert (first(done.out), done.code) == (said, 0)


def test_one_issue_is_told_of_that_issue(command: CommandLine, tmp_path: Path) -> None:
    """With --issue the verdict and its sentence are of the same issues; what else failed is said behind it."""
    (tmp_path / "app.log").write_bytes(fragment("auth_unknown_key").read_bytes())
    one, two = command("triage", "app.log", "--issue", "1"), command("triage", "app.log", "--issue", "2")
    assert first(one.out).startswith("FAIL: issue 1: probably the tokens' key is another instance's")
    assert first(two.out) == "PASS: no line of app.log speaks of issue 2. Not looked at, though it failed: issue 1."
    assert (one.code, two.code) == (1, 0)


def test_a_finding_never_shows_the_line_of_another_cause(command: CommandLine, tmp_path: Path) -> None:
    """Stale tokens beside an unknown key: the pair that stands alone is shown for the one, the reason for the other."""
    pair, key = fragment("auth_pair_alone"), fragment("auth_unknown_key")
    (tmp_path / "app.log").write_bytes(key.read_bytes() + pair.read_bytes())
    document = command("triage", "app.log", "--format", "json").document
    shown = {
        one["rule"]["code"]: next(fact["value"] for fact in one["evidence"] if fact["label"] == "for example")
        for result in document["results"]
        for one in result["findings"]
    }
    assert "signing key" in shown["AUTH080"]
    assert "signing key" not in shown["AUTH089"]
    assert document["summary"].startswith("sign-in (auth) failed first at ")
    assert ", for 2 reasons, above all: " in document["summary"]


def test_configuration_is_separated_from_code(command: CommandLine, tmp_path: Path) -> None:
    """What a setting mends and what the code has to mend stand apart, in a table and in each finding."""
    (tmp_path / "app.log").write_bytes(
        fragment("hf_wrong_base_old").read_bytes() + fragment("auth_secret_key_missing").read_bytes()
    )
    document = command("triage", "app.log", "--format", "json").document
    (table,) = [one for one in document["tables"] if one["title"] == "What has to change"]
    assert [(row[0], row[2]) for row in table["rows"]] == [("the configuration", "1"), ("the code", "2")]
    said = {
        one["rule"]["code"]: fact["value"]
        for result in document["results"]
        for one in result["findings"]
        for fact in one["evidence"]
        if fact["label"] == "has to change"
    }
    assert said == {"AUTH020": "the configuration", "HF020": "the code"}


def test_kinds_that_end_in_s_are_not_doubled() -> None:
    """A version of transformers is no transformerss."""
    groups = triage_of(fragment("models_offline")).groups
    labels = {fact.label for group in groups for fact in things(group.entities)}
    assert "transformers" in labels
    assert not any(label.endswith("ss") for label in labels)
