"""What a team has accepted for now: what a finding is known by, what an entry accepts, what the file may hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, Evidence, Location, LocationKind, Report, Severity, Verdict
from alwrity_checks.redaction import masked
from alwrity_doctor import baseline as module
from alwrity_doctor.baseline import Accepted, Baseline, Recorder, Subject, load, render, subject_of
from tests.support.checks import finding

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.model import Finding

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = date(2026, 12, 31)
OVER = date(2026, 5, 31)
SUBJECT = Subject("a.b", "TEST001", "a.py", "the snippet")


def placed(line: int = 1, *, path: str = "a.py", identity: str = "the snippet", message: str = "seen") -> Finding:
    """Return a finding in a file."""
    one = finding("TEST001", location=Location(LocationKind.FILE, path, line))
    return replace(one, identity=identity, message=message)


def judged(*findings: Finding, name: str = "a.b") -> CheckResult:
    """Return a result with `findings`."""
    return CheckResult(name, "all is well", 1, Verdict.of(findings), findings)


def report(*results: CheckResult) -> Report:
    """Return a report of `results`."""
    return Report("gate", "0", NOW, timedelta(), results)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (placed(3), placed(300), True),
        (placed(message="5 of 7 calls"), placed(message="6 of 7 calls"), True),
        (placed(identity="", message="5 of 7 calls"), placed(identity="", message="12 of 7 calls"), True),
        (placed(identity="", message="no key"), placed(identity="", message="no issuer"), False),
        (placed(identity=f"key {masked('one')}"), placed(identity=f"key {masked('other')}"), True),
        (placed(path="a.py"), placed(path="b.py"), False),
        (placed(identity="x"), placed(identity="y"), False),
    ],
)
def test_a_finding_is_known_again(first: Finding, second: Finding, *, same: bool) -> None:
    """Neither a line that moved, nor a number, nor a mask's fingerprint makes another finding of it; the rest does."""
    assert (subject_of("a.b", first) == subject_of("a.b", second)) is same


def test_an_entry_accepts_so_many_and_no_more() -> None:
    """A third finding beside two accepted ones counts, and the verdict is that of what counts."""
    two = Baseline([Accepted(SUBJECT, "known", LATER, 2)])
    both = two.apply(judged(placed(1), placed(2)), NOW)
    assert (both.verdict, len(both.findings), len(both.suppressed)) == (Verdict.PASS, 0, 2)
    three = two.apply(judged(placed(1), placed(2), placed(3)), NOW)
    assert (three.verdict, len(three.findings), len(three.suppressed)) == (Verdict.FAIL, 1, 2)
    assert {(one.reason, one.expires) for one in three.suppressed} == {("known", LATER)}


def test_equal_entries_add_up() -> None:
    """The same entry twice accepts two findings: a file that was joined with another one loses nothing."""
    twice = Baseline([Accepted(SUBJECT, "known", LATER)] * 2)
    assert twice.apply(judged(placed(1), placed(2)), NOW).verdict is Verdict.PASS


def test_an_entry_is_for_one_check() -> None:
    """What one check may find, another one may not."""
    accepted = Baseline([Accepted(SUBJECT, "known", LATER)])
    assert accepted.apply(judged(placed(), name="c.d"), NOW).verdict is Verdict.FAIL


def test_a_lapsed_entry_counts_again_and_says_so() -> None:
    """Its finding comes back with the reason it was accepted for, and the entry is among those to be told of."""
    lapsed = Baseline([Accepted(SUBJECT, "until spring", OVER)])
    after = lapsed.apply(judged(placed()), NOW)
    assert after.verdict is Verdict.FAIL
    assert after.findings[0].evidence == (Evidence("baseline", "lapsed on 2026-05-31; its reason was: until spring"),)
    assert lapsed.lapsed(NOW) == [Accepted(SUBJECT, "until spring", OVER)]


def test_an_entry_that_holds_is_taken_before_one_that_lapsed() -> None:
    """One of two findings is still accepted, whichever entry stands first."""
    both = Baseline([Accepted(SUBJECT, "old", OVER), Accepted(SUBJECT, "new", LATER)])
    after = both.apply(judged(placed(1), placed(2)), NOW)
    assert [one.reason for one in after.suppressed] == ["new"]
    assert len(after.findings) == 1


def test_accepting_makes_nothing_known() -> None:
    """A check that could not be carried out stays `unknown` with its findings accepted."""
    result = replace(judged(placed()), verdict=Verdict.UNKNOWN)
    after = Baseline([Accepted(SUBJECT, "known", LATER)]).apply(result, NOW)
    assert (after.verdict, len(after.suppressed)) == (Verdict.UNKNOWN, 1)


def test_what_is_gone_is_told_with_its_number() -> None:
    """Of an entry for three findings one is left: two are gone. Of a check without a verdict nothing is said."""
    three = Baseline([Accepted(SUBJECT, "known", LATER, 3), Accepted(SUBJECT._replace(check="c.d"), "known", LATER)])
    found = three.apply(judged(placed()), NOW)
    unknown = CheckResult("c.d", "all is well", 1, Verdict.UNKNOWN)
    assert three.gone(report(found, unknown)) == [Accepted(SUBJECT, "known", LATER, 2)]
    assert three.gone(report(found)) == [Accepted(SUBJECT, "known", LATER, 2)]


def test_a_recorder_accepts_all_and_keeps_what_was_accepted(tmp_path: Path) -> None:
    """What was known keeps its reason, what is new gets the new one, what is gone is left out; read back, all holds."""
    gone = Accepted(SUBJECT._replace(what="gone"), "old", LATER)
    kept = Baseline([Accepted(SUBJECT, "old", LATER), gone])
    recorder = Recorder("new", date(2027, 1, 1), kept)
    result = judged(placed(1), placed(2), placed(identity="other"))
    assert recorder.apply(result, NOW).verdict is Verdict.PASS
    accepted = recorder.accepted()
    assert [(one.subject.what, one.reason, one.count) for one in accepted] == [
        ("other", "new", 1),
        ("the snippet", "new", 1),
        ("the snippet", "old", 1),
    ]
    path = tmp_path / "baseline.toml"
    path.write_text(render(accepted), encoding="utf-8")
    assert load(path).apply(result, NOW).verdict is Verdict.PASS


def test_a_recorder_leaves_what_is_suppressed_elsewhere(tmp_path: Path) -> None:
    """What the configuration accepts stays there, and does not come into the file."""
    from alwrity_doctor.suppressions import Suppression, apply

    result = apply([Suppression("TEST001", "configured", LATER)], judged(placed()), NOW)
    recorder = Recorder("new", LATER)
    assert len(recorder.apply(result, NOW).suppressed) == 1
    assert recorder.accepted() == []
    assert tmp_path.exists()


TEXT = st.text(min_size=1, max_size=60).map(module._lasting)
ENTRIES = st.builds(
    Accepted,
    st.builds(Subject, TEXT, st.just("TEST001"), st.text(max_size=60).map(module._lasting), TEXT),
    TEXT,
    st.dates(),
    st.integers(1, 10**6),
)


@settings(max_examples=100)
@given(one=ENTRIES)
def test_what_is_written_is_read_back(one: Accepted, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in a finding, controls and half characters among it, the file holds it and gives it back."""
    path = tmp_path_factory.getbasetemp() / "written.toml"
    path.write_bytes(render([one]).encode("utf-8"))
    assert list(load(path)) == [one]


WHOLE = '[[accept]]\ncheck = "a"\nrule = "R"\nwhat = "w"\nreason = "r"\nexpires = 2027-01-01\n'
HEAD = 'schema = "alwrity-doctor/baseline/1"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not say that it is alwrity-doctor/baseline/1"),
        (WHOLE, "does not say that it is"),
        ('schema = "alwrity-doctor/baseline/9"\n', "does not say that it is"),
        (HEAD + WHOLE.replace('reason = "r"\n', ""), "entry 1: reason is missing"),
        (HEAD + WHOLE + "count = 0\n", "entry 1: count is not a number above 0"),
        (HEAD + WHOLE + "count = true\n", "entry 1: count is not a number above 0"),
        (HEAD + WHOLE + "line = 3\n", "entry 1: unknown key line"),
        (HEAD + WHOLE.replace("2027-01-01", "'never'"), "entry 1: expires is not a date"),
        (HEAD + "[[suppress]]\n", "unknown key suppress"),
        (HEAD + "accept = 1\n", "accept is not a list of tables"),
        ("\x00", "is not TOML"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake is a configuration error with the file and a remedy."""
    path = tmp_path / "b.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert said in caught.value.diagnosis
    assert caught.value.remedy


def test_nothing_in_the_file_deceives_whoever_reads_it(tmp_path: Path) -> None:
    """What turns text round, or hides some, stands as its escape, and is read back as it was."""
    one = Accepted(Subject("a.b", "TEST001", "a.py", "a\u202eb\x9b\U000e0041"), "so\u2066", LATER)
    text = render([one])
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    path = tmp_path / "accepted.toml"
    path.write_text(text, encoding="utf-8")
    assert list(load(path)) == [one]


def test_notes_are_accepted_as_well() -> None:
    """A baseline silences what is merely worth knowing, too: only what is new is shown."""
    note = finding("TEST001", Severity.NOTE)
    recorder = Recorder("known", LATER)
    assert recorder.apply(judged(note), NOW).findings == ()
    assert len(recorder.accepted()) == 1
