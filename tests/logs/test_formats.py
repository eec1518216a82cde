"""From a line to its record, in every format that the backend has had."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.logs.formats import PSEUDO_YEAR, read_record

DAY = date(2026, 3, 10).toordinal()
SECOND = 6 * 3600 + 36 * 60 + 48
F1 = "06:36:48 | ERROR    | middleware.auth_middleware:verify_token:191 - text"


@pytest.mark.parametrize(
    ("line", "name", "level", "second", "day", "message"),
    [
        (F1, "F1", "ERROR", SECOND, None, "text"),
        (F1.replace("| mid", "| req=- job=- user=u | mid"), "F1", "ERROR", SECOND, None, "text"),
        ("06:36:48 | WARNING  | logging:callHandlers:1706 - text", "F1", "WARNING", SECOND, None, "text"),
        ("2026-03-10 06:36:48.855 | INFO     | app:<module>:2 - text", "F3", "INFO", SECOND, DAY, "text"),
        ("WARNING:  text", "F4", "WARNING", None, None, "text"),
        ("[2026-03-10 06:36:48,422-INFO-_client-1038]- text", "F5", "INFO", SECOND, DAY, "text"),
        ("Retrying in 2s [Retry 2/5].", "", "", None, None, "Retrying in 2s [Retry 2/5]."),
        ("06:36:48 | WARNING  | __main__:10 | text", "F9", "WARNING", SECOND, None, "text"),
        ("2026-03-10 06:36:48.855 | INFO     | a:f:2 | rid=- jid=- uid=- | text", "F9", "INFO", SECOND, DAY, "text"),
        ("alwrity | 06:36:48 | WARNING  | a.b:f:10 - text", "F9", "WARNING", SECOND, None, "text"),
        (f"backend-1  | {F1}", "F1", "ERROR", SECOND, None, "text"),
        (f"2026-03-10T06:36:48.1Z stdout F {F1}", "F1", "ERROR", SECOND, DAY, "text"),
        ("2026-03-10T06:36:48.123456789Z [STARTUP] PORT env: None", "", "", SECOND, DAY, "[STARTUP] PORT env: None"),
        (f'{{"log":"{F1}\\n","stream":"stdout","time":"2026-03-10T06:36:48.1Z"}}', "F1", "ERROR", SECOND, DAY, "text"),
        (f'{{"log": "{F1}\\n", "time": "2026-03-10T06:36:48.1Z"}}', "F1", "ERROR", SECOND, DAY, "text"),
        (f"\x1b[32m06:36:48\x1b[0m{F1[8:]}", "F1", "ERROR", SECOND, None, "text"),
        (f"{F1}\r", "F1", "ERROR", SECOND, None, "text"),
        ("", "", "", None, None, ""),
    ],
)
def test_a_line_is_taken_apart(  # noqa: PLR0913, PLR0917 - the columns of a table
    line: str, name: str, level: str, second: int | None, day: int | None, message: str
) -> None:
    """Each format gives its time, its level and its message; what wraps it gives the date."""
    record = read_record(line.encode())
    assert (record.format, record.level, record.message.decode()) == (name, level, message)
    assert (record.stamp is None) == (second is None)
    if record.stamp is not None:
        assert (record.stamp.second, record.stamp.day) == (second, day)


def test_a_journal_has_no_year() -> None:
    """The date is put into a year that stands for none, leap days included."""
    record = read_record(f"Feb 29 06:36:48 host app[123]: {F1}".encode())
    assert record.format == "F1"
    assert record.stamp is not None
    assert record.stamp.day == date(PSEUDO_YEAR, 2, 29).toordinal()


def test_a_time_that_is_none_is_none() -> None:
    """Digits that cannot be a time are not taken for one, and the line is read all the same."""
    record = read_record(F1.replace("06:36:48", "99:36:48").encode())
    assert record.level == "ERROR"
    assert record.stamp is None
    assert read_record(b"2026-02-31T06:36:48Z stdout F x").stamp is None


@given(st.binary(max_size=200))
def test_no_line_is_too_strange(line: bytes) -> None:
    """Whatever stands in a log, reading it does not fail."""
    read_record(line)
