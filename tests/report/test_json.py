"""The JSON format: complete, described by its schema, and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

import alwrity_doctor.report
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import SCHEMA, Report
from alwrity_doctor.report import FORMATS
from alwrity_doctor.report import render as render_format
from alwrity_doctor.report.json import load, render
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_pictures import shared_pictures
from tests.support.shared_report import shared_report

ORDER = ("waterfall", "lanes", "matrix", "series", "timeline")


@cache
def _schema() -> Draft202012Validator:
    path = Path(alwrity_doctor.report.__file__).with_name("report-1.schema.json")
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _has_surrogate(report: Report) -> bool:
    return any(0xD800 <= ord(char) <= 0xDFFF for char in _strings(report))


def _strings(report: Report) -> str:
    def dig(value: object) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            return dig([*value.keys(), *value.values()])
        if isinstance(value, (tuple, list)):
            return "".join(map(dig, value))
        slots = getattr(value, "__dataclass_fields__", ())
        return "".join(dig(getattr(value, name)) for name in slots)

    return dig(report)


@RANDOM
@given(report=reports())
def test_every_report_fits_the_schema(report: Report) -> None:
    """The shipped schema describes what is written, whatever is in it."""
    _schema().validate(json.loads(render(report)))


def test_the_schema_is_named_first() -> None:
    """A reader of another version knows after the first line."""
    assert next(iter(json.loads(render(shared_report())).items())) == ("schema", SCHEMA)


def test_the_schema_closes_every_object() -> None:
    """A field that is added to the model cannot slip into the format unnoticed."""

    def objects(node: Any) -> list[Any]:  # noqa: ANN401 - JSON
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        here = [node] if isinstance(node, dict) and node.get("type") == "object" else []
        return here + [one for child in inner for one in objects(child)]

    assert all("additionalProperties" in one for one in objects(_schema().schema))


@RANDOM
@given(report=reports())
def test_a_report_comes_back_as_it_was(report: Report) -> None:
    """Nothing is lost: equal if UTF-8 can hold its text, and the same JSON in any case."""
    again = load(render(report))
    if not _has_surrogate(report):
        assert again == report
    assert render(again) == render(report)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_made_from_the_json_alone(name: str) -> None:
    """An old report renders as it did, though the rules have changed since."""
    report = shared_report()
    assert render_format(load(render(report)), name) == render_format(report, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"text"',
        "null",
        '{"schema": "alwrity-doctor/report/2"}',
        f'{{"schema": "{SCHEMA}"}}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_report_is_a_configuration_error(text: str) -> None:
    """A wrong file is named as such, never with a foreign traceback."""
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", 1),
        ("started", "2026-01-02T03:04:05"),
        ("started", None),
        ("duration", "1"),
        ("duration", float("inf")),
        ("duration", float("nan")),
        ("results", {}),
        ("results", [1]),
        ("environment", []),
        ("environment", {"python": 3}),
        ("fail_on", "disaster"),
        ("tables", [{"title": "ragged", "columns": ["a", "b"], "rows": [["1"]]}]),
        ("tables", [{"title": "nothing", "columns": [], "rows": []}]),
        ("started", "0001-01-01T00:00:00+14:00"),
        ("started", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_field_of_the_wrong_type_is_a_configuration_error(field: str, value: object) -> None:
    """What was edited by hand is refused, not half understood."""
    document = json.loads(render(shared_report()))
    with pytest.raises(ConfigurationError):
        load(json.dumps(document | {field: value}))


def test_a_report_from_before_there_were_tables_is_read() -> None:
    """What an earlier version wrote, in a CI's archive, is still a report, to the schema as well."""
    document = json.loads(render(shared_report()))
    del document["tables"]
    _schema().validate(document)
    assert load(json.dumps(document)) == load(render(replace(shared_report(), tables=())))


def test_a_report_from_before_there_were_pictures_is_read() -> None:
    """The same of pictures."""
    document = json.loads(render(shared_report()))
    del document["pictures"]
    _schema().validate(document)
    assert load(json.dumps(document)) == load(render(replace(shared_report(), pictures=())))


def test_every_kind_of_picture_comes_back() -> None:
    """Each says its kind first, and comes back as that."""
    report = replace(shared_report(), pictures=shared_pictures())
    document = json.loads(render(report))
    _schema().validate(document)
    assert [next(iter(one.items())) for one in document["pictures"]] == [("kind", name) for name in ORDER]
    assert load(render(report)).pictures == shared_pictures()


@pytest.mark.parametrize(
    ("index", "changes"),
    [
        (0, {"kind": "film"}),
        (0, {"kind": ["waterfall"]}),
        (0, {"kind": "lanes"}),
        (0, {"steps": [{"name": "a", "start": 2.0, "end": 1.0, "verdict": "pass", "note": ""}]}),
        (0, {"steps": [{"name": "a", "start": -1.0, "end": 1.0, "verdict": "pass", "note": ""}]}),
        (0, {"verdict": "catastrophe"}),
        (2, {"columns": ["one"]}),
        (3, {"top": float("nan")}),
        (3, {"limits": [{"name": "a", "value": float("inf")}]}),
        (4, {"began": "2026-01-01T00:00:00Z"}),
        (4, {"began": "yesterday"}),
        (4, {"began": "9999-12-31T23:59:59"}),
    ],
)
def test_a_picture_that_cannot_be_is_a_configuration_error(index: int, changes: dict[str, Any]) -> None:
    """Time that runs backwards, a kind that there is not, a value that cannot be drawn: refused, never half drawn."""
    document = json.loads(render(replace(shared_report(), pictures=shared_pictures())))
    document["pictures"][index] |= changes
    with pytest.raises(ConfigurationError):
        load(json.dumps(document))


def test_a_whole_number_is_a_value_too() -> None:
    """Another writer of JSON drops the fraction of 4096.0."""
    text = render(replace(shared_report(), pictures=shared_pictures())).replace("4096.0", "4096")
    assert load(text).pictures == shared_pictures()


def test_what_follows_from_the_report_is_worked_out_anew() -> None:
    """A verdict edited in the file does not change the exit code."""
    document = json.loads(render(shared_report()))
    report = load(json.dumps(document | {"verdict": "pass", "exit_code": 0, "first_cause": None}))
    assert report.exit_code == shared_report().exit_code


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    r"""Strict readers refuse a lone surrogate even as a JSON escape; the text `\udc80` they all take."""
    report = replace(shared_report(), command="a\udc80b")
    assert json.loads(render(report))["command"] == r"a\udc80b"
