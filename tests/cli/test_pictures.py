"""The commands fill their report's pictures: in the JSON, fit for its schema, and drawn on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import alwrity_doctor.report
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.mint import Instance
from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_doctor.report import render
from alwrity_doctor.report.json import load
from tests.support.in_process import CommandLine
from tests.support.reading_logs import fragment
from tests.support.startup_servers import program, python

if TYPE_CHECKING:
    from tests.support.in_process import Done


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def pictures(done: Done) -> list[dict[str, Any]]:
    """Return the pictures of the JSON on stdout, once it fits the schema and its page shows each of them."""
    schema = Path(alwrity_doctor.report.__file__).with_name("report-1.schema.json")
    jsonschema.validate(done.document, json.loads(schema.read_text("utf-8")))
    found: list[dict[str, Any]] = done.document["pictures"]
    assert render(load(done.out), "html").count("<figure") == len(found)
    return found


def test_a_token_s_chain_is_a_waterfall(doctor: CommandLine) -> None:
    """The step that broke, how long it took, and the ones that were not taken."""
    instance = Instance()
    with LoopbackServer(mode=Mode.NOT_FOUND) as server:
        done = doctor("auth", "verify", instance.token(), "--jwks-url", server.url, "--format", "json")
    (picture,) = pictures(done)
    assert (picture["kind"], picture["issue"], picture["verdict"]) == ("waterfall", 1, "fail")
    steps = {one["name"]: one for one in picture["steps"]}
    assert len(steps) == 8
    key = steps["the pinned instance publishes the token's key"]
    assert key["verdict"] == "fail"
    assert key["end"] > key["start"]
    assert steps["the signature is the key's"]["verdict"] == "skip"
    assert instance.token().rpartition(".")[2] not in done.out


def test_a_probe_is_a_waterfall_and_a_matrix(doctor: CommandLine) -> None:
    """From the outside in, then each deployment in each mode."""
    with LoopbackRouter() as server:
        done = doctor(
            *("hf", "probe", "openai/gpt-oss-120b:groq", "--base-url", server.base_url, "--format", "json"),
            HF_TOKEN=server.token,
        )
        assert server.token not in done.out
    chain, matrix = pictures(done)
    assert (chain["kind"], chain["steps"][0]["name"]) == ("waterfall", "the base URL is one of the router's")
    assert (matrix["kind"], matrix["columns"][0]) == ("matrix", "plain text")
    (row,) = matrix["rows"]
    assert {cell["verdict"] for cell in row["cells"]} == {"pass"}


def test_a_log_is_a_timeline(doctor: CommandLine) -> None:
    """What failed when, by the log's own clock."""
    (picture,) = pictures(doctor("triage", str(fragment("mixed_first_failure")), "--format", "json"))
    assert picture["kind"] == "timeline"
    assert any(one["verdict"] == "fail" and one["counts"] for one in picture["courses"])


def test_a_start_is_lanes_and_its_memory(doctor: CommandLine, tmp_path: Path) -> None:
    """The way of the start, and what its processes held meanwhile."""
    command = map(str, python(program(tmp_path, "serve()\n")))
    lanes, memory = pictures(doctor("startup", "trace", "--format", "json", "--", *command))
    assert (lanes["kind"], lanes["issue"], lanes["lanes"][0]["name"]) == ("lanes", 6, "the start's way")
    assert (memory["kind"], memory["unit"]) == ("series", "MiB")
    (line,) = memory["lines"]
    assert max(point["value"] for point in line["points"]) > 1
    (limit,) = memory["limits"]
    assert limit["name"].startswith("could be had when it began (")
    assert [one["name"] for one in memory["phases"]] == ["until it listens", "until it answers"]


def test_a_run_without_anything_to_see_has_no_pictures(doctor: CommandLine) -> None:
    """Most commands show nothing: the field is there, and empty."""
    done = doctor("auth", "env", "--offline", "--format", "json")
    assert pictures(done) == []
