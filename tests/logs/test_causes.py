"""The cause behind each combination of lines, in logs of the backend's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.logs.causes import texts
from alwrity_checks.logs.triage import Nature, Sureness
from alwrity_doctor.discovery import discover
from tests.support.command_line import run
from tests.support.reading_logs import FRAGMENTS, cause_of, fragment, triage_of

if TYPE_CHECKING:
    from pathlib import Path

CERTAIN, LIKELY, POSSIBLE = Sureness

CASES = [
    ("auth_pair_alone", "auth-stale", LIKELY, 4),
    ("auth_rejected_env", "auth-stale", LIKELY, 2),
    ("auth_expired_verbose", "auth-stale", CERTAIN, 1),
    ("auth_keys_unreachable", "auth-keys-unreachable", CERTAIN, 2),
    ("auth_unknown_key", "auth-unknown-key", LIKELY, 1),
    ("auth_bad_signature", "auth-forged", CERTAIN, 1),
    ("auth_clock_behind", "auth-clock-behind", CERTAIN, 2),
    ("auth_audience", "auth-template-audience", CERTAIN, 1),
    ("auth_algorithm", "auth-algorithm", LIKELY, 1),
    ("auth_null_token", "auth-null-token", CERTAIN, 1),
    ("auth_no_package", "auth-no-verifier", CERTAIN, 1),
    ("auth_no_header", "auth-no-header", CERTAIN, 1),
    ("auth_malformed_header", "auth-malformed-header", CERTAIN, 1),
    ("auth_wrong_instance", "auth-wrong-instance", CERTAIN, 1),
    ("auth_undecoded_key", "auth-undecoded-key", CERTAIN, 1),
    ("auth_optional", "auth-optional", LIKELY, 3),
    ("auth_let_in", "auth-accepted-unverified", LIKELY, 2),
    ("auth_accepted_verbose", "auth-accepted-unverified", CERTAIN, 1),
    ("auth_secret_key_missing", "auth-secret-key-missing", CERTAIN, 1),
    ("hf_wrong_base_old", "hf-wrong-base", CERTAIN, 2),
    ("hf_wrong_base_literal", "hf-wrong-base", CERTAIN, 1),
    ("hf_wrong_base_first", "hf-wrong-base", CERTAIN, 1),
    ("hf_text_head", "hf-wrong-base", CERTAIN, 1),
    ("hf_openai3", "hf-wrong-base", LIKELY, 1),
    ("hf_undefined_name", "hf-undefined-name", CERTAIN, 1),
    ("hf_undefined_name", "hf-wrong-base", CERTAIN, 1),
    ("hf_undefined_name_422", "hf-undefined-name", CERTAIN, 1),
    ("hf_bad_model", "hf-model", CERTAIN, 1),
    ("hf_credits", "hf-credits", CERTAIN, 1),
    ("hf_token", "hf-token", CERTAIN, 1),
    ("hf_token_unset", "hf-token-unset", CERTAIN, 1),
    ("hf_rate", "hf-rate", CERTAIN, 1),
    ("hf_retry_error_alone", "hf-unexplained", POSSIBLE, 1),
    ("hf_other", "hf-other", POSSIBLE, 1),
    ("hf_json_not_found", "hf-wrong-base", LIKELY, 1),
    ("txtai_model", "txtai-model", CERTAIN, 2),
    ("txtai_memory", "txtai-model", CERTAIN, 1),
    ("txtai_missing", "txtai-missing", CERTAIN, 1),
    ("txtai_race", "txtai-race", LIKELY, 2),
    ("txtai_unexplained", "txtai-unexplained", POSSIBLE, 2),
    ("txtai_lost", "txtai-lost", LIKELY, 1),
    ("txtai_lost_verbose", "txtai-lost", CERTAIN, 1),
    ("txtai_lost_verbose", "txtai-double", CERTAIN, 2),
    ("txtai_truncated", "txtai-truncated", LIKELY, 3),
    ("txtai_no_documents", "txtai-no-documents", CERTAIN, 1),
    ("txtai_versions", "txtai-versions", CERTAIN, 1),
    ("txtai_deferred", "txtai-deferred", CERTAIN, 1),
    ("models_offline", "models-offline", CERTAIN, 3),
    ("models_offline", "models-retried", CERTAIN, 3),
    ("models_memory", "models-memory", CERTAIN, 2),
    ("models_hub", "models-hub", CERTAIN, 2),
    ("startup_blocked", "startup-download", CERTAIN, 1),
    ("startup_blocked_old", "startup-download", LIKELY, 1),
    ("startup_unfinished", "startup-unfinished", POSSIBLE, 1),
    ("startup_not_installable", "startup-not-installable", CERTAIN, 1),
    ("startup_download_failed", "startup-download-failed", CERTAIN, 1),
]


@pytest.mark.parametrize(("name", "cause", "sure", "incidents"), CASES)
def test_the_lines_tell_their_cause(name: str, cause: str, sure: Sureness, incidents: int) -> None:
    """Each fragment is what one fault leaves; triage names it, says how sure that is, and counts what failed once."""
    found = cause_of(triage_of(fragment(name)), cause)
    assert (found.sure, found.incidents) == (sure, incidents)
    assert found.why
    assert found.settle or sure is CERTAIN or not texts()[cause].settle


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_no_fragment_shows_another_cause(name: str) -> None:
    """What a fault leaves is not taken for anything else, and leaves nothing unknown."""
    triage = triage_of(fragment(name))
    allowed = {cause for one, cause, *_ in CASES if one == name}
    allowed |= {"hf-schema"} if name == "hf_undefined_name_422" else set()
    allowed |= {"models-retried"} if name == "models_memory" else set()
    allowed |= {"startup-download"} if name == "startup_download_failed" else set()
    assert {one.id for one in triage.causes} == allowed
    assert [one.template for one in triage.clusters if "Cannot allocate" not in one.template] == []


def test_every_fragment_is_used() -> None:
    """No file of the fragments is without its test."""
    used = {name for name, *_ in CASES} | {"mixed_first_failure", "reload", "startup_quick"}
    assert {path.stem for path in FRAGMENTS.glob("*.log")} == used


def test_the_texts_are_whole() -> None:
    """Each cause has a rule of its issue, a remedy, and a nature that exists."""
    for name, text in texts().items():
        assert text.rule in rules(), name
        assert rules()[text.rule].issue == text.issue, name
        assert text.remedy, name
        assert Nature(text.nature), name


def test_a_short_start_is_no_finding() -> None:
    """A start without a download leaves no cause."""
    assert triage_of(fragment("startup_quick")).causes == ()


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("hf_wrong_base_old", "8c2d88ef: 8 models"),
        ("hf_wrong_base_literal", "4230385e:"),
        ("hf_undefined_name", "ce9bf293: 2 models"),
        ("hf_wrong_base_first", "26131232:"),
        ("auth_pair_alone", "8c2d88ef or before"),
        ("auth_rejected_env", "01881bb4 or later"),
        ("txtai_deferred", "098424f6"),
        ("startup_blocked", "ce9bf293 or near it"),
    ],
)
def test_the_messages_tell_which_code_wrote_them(name: str, state: str) -> None:
    """The templates and the number of models in a row differ between the historical states."""
    assert any(one.startswith(state) for one in triage_of(fragment(name)).states)


def test_the_rule_of_a_fetch_that_failed_is_that_of_its_reason() -> None:
    """A name that does not resolve is another rule than a refused connection."""
    assert cause_of(triage_of(fragment("auth_keys_unreachable")), "auth-keys-unreachable").rule == "AUTH040"


def test_both_faults_are_named_where_one_hides_the_other() -> None:
    """The undefined name behind `Not Found` is told apart from the one behind an answer of the router's own."""
    both = cause_of(triage_of(fragment("hf_undefined_name")), "hf-undefined-name")
    alone = cause_of(triage_of(fragment("hf_undefined_name_422")), "hf-undefined-name")
    assert any("both faults" in one for one in both.why)
    assert any("the base URL is right" in one for one in alone.why)


def test_lines_of_two_processes_do_not_raise_an_alarm_that_is_sure(tmp_path: Path) -> None:
    """Where verifications of two processes are mixed up in one log, an acceptance is called possible at most."""
    lines = fragment("auth_unknown_key").read_text("utf-8").split("\n\n")
    reason, rejected, failed = (line for line in lines if line.strip())
    path = tmp_path / "mixed.log"
    path.write_text("\n\n".join([reason] * 2 + [rejected] * 2 + [failed] * 2) + "\n", "utf-8")
    triage = triage_of(path)
    alarm = [one for one in triage.causes if one.id == "auth-accepted-unverified"]
    assert [one.sure for one in alarm] == [POSSIBLE]


def test_a_json_404_is_not_said_to_be_none() -> None:
    """The body of a 404 is JSON or it is not; what is said of it is what stands in the line."""
    other = cause_of(triage_of(fragment("hf_other")), "hf-other")
    missing = cause_of(triage_of(fragment("hf_json_not_found")), "hf-wrong-base")
    plain = cause_of(triage_of(fragment("hf_text_head")), "hf-wrong-base")
    assert any("the base URL is right" in why for why in other.why)
    assert any("body is JSON" in why for why in missing.why)
    assert any("is no JSON" in why for why in plain.why)


def test_a_torn_pair_is_no_sure_expiry(tmp_path: Path) -> None:
    """A reason between the lines of another process' refusal: what then stands alone is called possible at most."""
    lines = fragment("auth_unknown_key").read_text("utf-8").split("\n\n")
    reason, rejected, failed = (line for line in lines if line.strip())
    path = tmp_path / "mixed.log"
    path.write_text("\n\n".join([reason, rejected, rejected, failed, failed] * 3) + "\n", "utf-8")
    stale = cause_of(triage_of(path), "auth-stale")
    assert stale.sure is POSSIBLE
    assert any("several processes" in why for why in stale.why)


def test_walks_are_told_apart_without_their_last_line(tmp_path: Path) -> None:
    """Where the line that ends a walk is missing, the agent's failure keeps it from the next one."""
    whole = fragment("models_offline").read_text("utf-8").split("\n\n")
    ended = next(line for line in whole if "after fallback attempts" in line)
    agent = f"{ended.partition(' - ')[0]} - [Strategist] Failed to create txtai Agent: no model"
    kept = [agent if line.split(" - ")[-1] == ended.split(" - ")[-1] else line for line in whole]
    path = tmp_path / "cut.log"
    path.write_text("\n\n".join(kept), "utf-8")
    before = cause_of(triage_of(fragment("models_offline")), "models-offline")
    after = cause_of(triage_of(path), "models-offline")
    assert (after.incidents, after.first, after.last) == (before.incidents, before.first, before.last)


def test_the_commands_exist(tmp_path: Path) -> None:
    """Each of our commands that a remedy names is one, and so are the checks and options in it."""
    checks = {check.name for check in discover()}
    commands = {
        command for text in texts().values() for command in text.commands if command.startswith("alwrity-doctor")
    }
    assert len(commands) > 10
    helps: dict[tuple[str, ...], str] = {}
    for command in sorted(commands):
        words = command.split()[1:]
        if words[0] == "gate":
            assert any(name == words[1] or name.startswith(f"{words[1]}.") for name in checks), command
            continue
        path = tuple(words[: 1 if words[0] in {"scan", "gate"} else 2])
        if path not in helps:
            result = run(*path, "--help", cwd=tmp_path)
            assert result.returncode == 0, command
            helps[path] = result.stdout
        assert all(word in helps[path] for word in words if word.startswith("--")), command
