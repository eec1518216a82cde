"""Accepted findings: what the file may hold, when an entry holds, and what becomes of one that does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, Location, LocationKind, Report, Severity, Verdict
from alwrity_doctor.suppressions import Suppression, apply, load, unmatched
from tests.support.checks import finding

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.model import Finding

KNOWN = {"TEST001", "TEST002"}
WHOLE = 'rule = "TEST001"\nreason = "known"\nexpires = 2026-12-31\n'
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def written(tmp_path: Path, text: str) -> Path:
    """Return a file with `text`."""
    path = tmp_path / "alwrity-doctor.toml"
    path.write_text(text, encoding="utf-8")
    return path


def judged(*findings: Finding) -> CheckResult:
    """Return a result with `findings`."""
    return CheckResult("a.b", "all is well", 1, Verdict.of(findings), findings)


def test_entries_are_read(tmp_path: Path) -> None:
    """Every key of an entry arrives."""
    path = written(tmp_path, f"[[suppress]]\n{WHOLE}\n[[suppress]]\n{WHOLE}location = '$CLERK_*'\n")
    plain, narrow = load(path, KNOWN)
    assert plain == Suppression("TEST001", "known", date(2026, 12, 31))
    assert narrow.location == "$CLERK_*"


def test_empty_file_accepts_nothing(tmp_path: Path) -> None:
    """A file without entries is in order."""
    assert load(written(tmp_path, ""), KNOWN) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[suppress]]\n" + WHOLE.replace('reason = "known"\n', ""), "entry 1: reason is missing"),
        ("[[suppress]]\n" + WHOLE.replace('"known"', '""'), "entry 1: reason is not a non-empty string"),
        ("[[suppress]]\n" + WHOLE.replace("expires = 2026-12-31\n", ""), "entry 1: expires is missing; it is a date"),
        ("[[suppress]]\n" + WHOLE.replace("2026-12-31", '"2026-12-31"'), "entry 1: expires is not a date"),
        ("[[suppress]]\n" + WHOLE.replace("2026-12-31", "2026-12-31T10:00:00Z"), "entry 1: expires is not a date"),
        ("[[suppress]]\n" + WHOLE + "location = 3\n", "entry 1: location is not a non-empty string"),
        ("[[suppress]]\n" + WHOLE.replace("TEST001", "TEST999"), "entry 1: there is no rule TEST999"),
        (f"[[suppress]]\n{WHOLE}[[suppress]]\n{WHOLE}until = 3\n", "entry 2: unknown key until"),
        ("[suppress]\n" + WHOLE, "suppress is not a list of tables"),
        ("suppress = [1]", "suppress is not a list of tables"),
        ("rules = []", "unknown key rules"),
        ("[[suppress", "is not TOML"),
    ],
)
def test_unusable_entry_is_named(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake is a configuration error with the file, the entry and a remedy."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, KNOWN)
    assert caught.value.diagnosis.startswith(str(path))
    assert said in caught.value.diagnosis
    assert caught.value.remedy


def test_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    """A file that was named has to be there."""
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "absent.toml", KNOWN)


def test_accepted_finding_moves_and_the_verdict_follows() -> None:
    """What is left decides the verdict."""
    result = judged(finding("TEST001"), finding("TEST002", Severity.WARNING))
    after = apply([Suppression("TEST001", "known", date(2026, 12, 31))], result, NOW)
    assert after.verdict is Verdict.WARN
    assert [one.rule.code for one in after.findings] == ["TEST002"]
    assert [(one.finding.rule.code, one.reason) for one in after.suppressed] == [("TEST001", "known")]


@pytest.mark.parametrize(
    ("pattern", "location", "matches"),
    [
        (None, None, True),
        (None, Location(LocationKind.FILE, "a.py", 3), True),
        ("a.py:*", Location(LocationKind.FILE, "a.py", 3), True),
        ("$CLERK_*", Location(LocationKind.ENVIRONMENT, "CLERK_ISSUER"), True),
        ("$clerk_*", Location(LocationKind.ENVIRONMENT, "CLERK_ISSUER"), False),
        ("*", None, False),
    ],
)
def test_pattern_is_held_against_the_location(pattern: str | None, location: Location | None, *, matches: bool) -> None:
    """A pattern is matched as the location is written, case included; without a location nothing matches it."""
    one = Suppression("TEST001", "known", date(2026, 12, 31), pattern)
    assert one.matches(finding("TEST001", location=location)) is matches


def test_suppression_holds_to_the_end_of_its_day_in_utc() -> None:
    """The last second of the day is covered, wherever on earth it is looked at; the next one is not."""
    one = Suppression("TEST001", "known", date(2026, 12, 31))
    last = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    from datetime import timezone

    assert not one.has_lapsed(last)
    assert not one.has_lapsed(last.astimezone(timezone(timedelta(hours=14))))
    assert one.has_lapsed(last + timedelta(seconds=1))


def test_lapsed_suppression_resurfaces_with_its_reason() -> None:
    """The finding counts again and its evidence tells what had been accepted."""
    after = apply([Suppression("TEST001", "known", date(2026, 5, 31))], judged(finding("TEST001")), NOW)
    assert after.verdict is Verdict.FAIL
    (evidence,) = after.findings[0].evidence
    assert (evidence.label, evidence.value) == ("suppression", "lapsed on 2026-05-31; its reason was: known")


def test_entry_that_holds_wins_over_one_that_lapsed() -> None:
    """A renewed suppression may stand beside the old one."""
    old, new = (Suppression("TEST001", "known", date(year, 1, 1)) for year in (2020, 2030))
    assert apply([old, new], judged(finding("TEST001")), NOW).verdict is Verdict.PASS


def test_unknown_stays_unknown() -> None:
    """Accepting a finding does not make a check that was not carried out a healthy one."""
    result = CheckResult("a.b", "all is well", 1, Verdict.UNKNOWN, (finding("TEST001"),))
    after = apply([Suppression("TEST001", "known", date(2030, 1, 1))], result, NOW)
    assert after.verdict is Verdict.UNKNOWN
    assert len(after.suppressed) == 1


def test_unmatched_suppressions_are_told_apart() -> None:
    """What matched an accepted or a resurfaced finding was needed; the rest was not."""
    used = Suppression("TEST001", "known", date(2030, 1, 1))
    lapsed = Suppression("TEST002", "known", date(2020, 1, 1))
    idle = Suppression("TEST001", "known", date(2030, 1, 1), "elsewhere")
    entries = [used, lapsed, idle]
    result = apply(entries, judged(finding("TEST001"), finding("TEST002")), NOW)
    report = Report("gate", "0", NOW, timedelta(), (result,))
    assert list(unmatched(entries, report)) == [idle]
