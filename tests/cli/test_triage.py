"""`triage` from end to end: what a log says, in every format, with the exit code of the table."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import jsonschema
import pytest

from alwrity_doctor.report import FORMATS
from alwrity_doctor.report.json import load, render
from tests.report.sarif_structure import LOG
from tests.support.in_process import CommandLine
from tests.support.seeded_log import seeded_lines

if TYPE_CHECKING:
    from pathlib import Path

REJECTED = "{0} | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected (production).\n\n"
FAILED = (
    "{0} | ERROR    | middleware.auth_middleware:get_current_user:354 - \U0001f512 AUTHENTICATION ERROR: Token"
    " verification failed for endpoint: GET /api/agents/alerts (client_ip=10.1.2.3,"
    " caller=starlette._exception_handler.wrapped_app, user_agent=Mozilla/5.0)\n\n"
)
PAIR = REJECTED + FAILED
INDEX = (
    "{0} | ERROR    | services.intelligence.txtai_service:_initialize_embeddings:176 - Critical failure initializing"
    " txtai embeddings: couldn't connect to 'https://huggingface.co' to load the files\n\n"
    "{0} | WARNING  | services.intelligence.txtai_service:index_content:235 - Cannot index content - service not"
    " initialized for user user_2abcDEF123456789\n\n"
)
RELOAD = "WARNING:  StatReload detected changes in 'api/today_workflow.py'. Reloading...\n"
ACCESS = 'INFO:     127.0.0.1:43396 - "GET /health HTTP/1.1" 200 OK\n'


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line in an empty directory."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def hour(lines: str, hour: int, times: int) -> str:
    """Return `lines` so many times within an hour."""
    return "".join(lines.format(f"{hour:02}:{n * 60 // times:02}:{n % 60:02}") for n in range(times))


def test_the_lines_of_8c2d88ef_name_stale_tokens(command: CommandLine, tmp_path: Path) -> None:
    """The pair alone, at the default level: expired tokens or a clock that is ahead, likely, with how to settle it."""
    (tmp_path / "app.log").write_text(hour(PAIR, 6, 40))
    done = command("triage", "app.log")
    assert done.code == 1
    first = " ".join(done.out.split("\n\n")[0].split())
    assert first.startswith("FAIL: sign-in (auth) failed first at ")
    assert "probably the tokens had expired by more than 300 seconds" in first
    assert "(40 verifications)" in first
    document = command("triage", "app.log", "--format", "json").document
    (cause,) = [one for result in document["results"] for one in result["findings"] if one["rule"]["code"] == "AUTH089"]
    facts = {one["label"]: one["value"] for one in cause["evidence"]}
    assert facts["how sure"].startswith("likely: ")
    assert "DEBUG" in facts["how sure"]
    assert cause["location"] == {"kind": "file", "name": "app.log", "line": 1}
    assert cause["commands"]


def test_a_mixed_log_names_the_first_failing_subsystem(command: CommandLine, tmp_path: Path) -> None:
    """Sign-in from six, the index from seven, a reload between: auth is first, the reload is harmless, all is told."""
    (tmp_path / "app.log").write_text(hour(PAIR, 6, 30) + RELOAD + ACCESS * 50 + hour(INDEX, 7, 10))
    document = command("triage", "app.log", "--format", "json").document
    assert document["summary"].startswith("sign-in (auth) failed first")
    assert "the semantic index" in document["summary"]
    issues = {result["name"]: result["verdict"] for result in document["results"]}
    assert issues["triage.issue-1"] == "fail"
    assert issues["triage.issue-3"] in {"fail", "warn"}
    assert issues["triage.issue-4"] == "pass"
    titles = [table["title"] for table in document["tables"]]
    assert {"What failed first, and what followed", "What the log says, by issue", "Harmless lines"} <= set(titles)
    timeline = next(table for table in document["tables"] if table["title"].startswith("Timeline"))
    moments = [row[0] for row in timeline["rows"] if row[0]]
    assert moments == sorted(moments)
    only = command("triage", "app.log", "--issue", "3", "--format", "json").document
    assert [result["name"] for result in only["results"] if "issue" in result["name"]] == ["triage.issue-3"]


def test_who_may_be_inside_comes_before_what_does_not_work(command: CommandLine, tmp_path: Path) -> None:
    """A verification that failed and refused nobody leads the summary and the findings, also where a subsystem failed.

    A refused forgery leads only where nothing else failed; what may be an order of lines that was lost comes last.
    """
    reason = (
        "{{0}} | WARNING  | middleware.auth_middleware:verify_token:207 - fastapi-clerk-auth verification error: {}"
    )
    let_in = f"{reason}. Attempting fallback decoding.\n\n".format('Unable to find a signing key that matches: "ins_2"')
    (tmp_path / "app.log").write_text(hour(let_in, 6, 3) + hour(INDEX, 7, 3))
    document = command("triage", "app.log", "--format", "json").document
    assert document["summary"].startswith("probably tokens that could not be verified were accepted all the same (3")
    assert "The semantic index failed first" in document["summary"]
    text = command("triage", "app.log").out
    assert text.index("AUTH001 (issue 1)") < text.index("(issue 3)")
    (tmp_path / "app.log").write_text(hour(let_in, 6, 3))
    assert command("triage", "app.log", "--format", "json").document["summary"].startswith("probably tokens that")
    (tmp_path / "app.log").write_text(hour(PAIR, 6, 3) + hour(let_in, 7, 3) + hour(INDEX, 8, 3))
    mixed = command("triage", "app.log", "--format", "json").document["summary"]
    assert mixed.startswith("sign-in (auth) failed first")
    assert mixed.endswith("Perhaps tokens that could not be verified were accepted all the same (3 verifications).")
    forged = f"{reason}. Attempting fallback decoding.\n\n".format("Signature verification failed")
    (tmp_path / "app.log").write_text(hour(forged + PAIR, 6, 3))
    assert command("triage", "app.log", "--format", "json").document["summary"].startswith("the tokens are forged or")
    (tmp_path / "app.log").write_text(hour(forged + PAIR, 6, 3) + hour(INDEX, 7, 3))
    assert command("triage", "app.log", "--format", "json").document["summary"].startswith("the semantic index failed")


def test_every_format_holds_the_verdict(command: CommandLine, tmp_path: Path) -> None:
    """All formats are written in one run; JSON comes back, SARIF has the log's line and is well formed."""
    (tmp_path / "app.log").write_text(ACCESS + hour(PAIR, 6, 3) + hour(INDEX, 7, 2))
    files = {name: f"report.{name}" for name in FORMATS}
    done = command(
        "triage", "app.log", *(part for name, file in files.items() for part in ("--format", f"{name}={file}"))
    )
    assert done.code == 1
    texts = {name: (tmp_path / file).read_text() for name, file in files.items()}
    for name, text in texts.items():
        assert "AUTH089" in text, name
    assert render(load(texts["json"])) == texts["json"]
    sarif = json.loads(texts["sarif"])
    jsonschema.Draft202012Validator(LOG).validate(sarif)
    places = [
        (place["physicalLocation"]["artifactLocation"]["uri"], place["physicalLocation"]["region"]["startLine"])
        for result in sarif["runs"][0]["results"]
        for place in result.get("locations", ())
        if "region" in place["physicalLocation"]
    ]
    assert ("app.log", 2) in places
    assert texts["html"].startswith("<!doctype html>")


def test_nothing_to_say_is_healthy(command: CommandLine, tmp_path: Path) -> None:
    """A log without trouble passes with 0, an empty one as well."""
    (tmp_path / "app.log").write_text(ACCESS * 100)
    done = command("triage", "app.log")
    assert done.code == 0
    assert done.out.startswith("PASS: no line of app.log speaks of a known issue.")
    (tmp_path / "empty.log").touch()
    assert command("triage", "empty.log").code == 0


def test_harmless_lines_are_not_trouble(command: CommandLine, tmp_path: Path) -> None:
    """A development reload ends with 0, and is told apart."""
    (tmp_path / "app.log").write_text(RELOAD * 3)
    done = command("triage", "app.log")
    assert done.code == 0
    assert "Harmless lines" in done.out
    assert "reload" in done.out


def test_unknown_trouble_is_shown_and_can_be_suggested(command: CommandLine, tmp_path: Path) -> None:
    """Lines that no signature knows are grouped by form; --suggest drafts a signature that the rooms' reader takes."""
    from alwrity_checks.logs.signatures import read_signatures

    lines = "".join(
        f"06:{n:02}:00 | ERROR    | services.billing:charge:{n} - Stripe refused invoice {n * 977} of plan 'pro'\n\n"
        for n in range(30)
    )
    (tmp_path / "app.log").write_text(lines)
    done = command("triage", "app.log", "--suggest")
    assert done.code == 0
    assert "30 lines of trouble in 1 form match no signature" in " ".join(done.out.split())
    draft = done.out[done.out.index("# Drafts") :]
    (signature,) = read_signatures(draft, 4)
    assert signature.literal in lines.encode()
    assert command("triage", "app.log", "--fail-on", "warn").code == 1
    machine = command("triage", "app.log", "--suggest", "--format", "json")
    assert "[[signature]]" in machine.err
    assert machine.document["verdict"] == "warn"


def test_what_does_not_exist_is_a_usage_error(command: CommandLine, tmp_path: Path) -> None:
    """Nothing of that name: 2. Something that cannot be read: 3. One of several: the others go on."""
    for argument in ("none.log", "*.nothing"):
        done = command("triage", argument)
        assert (done.code, done.out) == (2, "")
        assert "Remedy:" in done.err
    (tmp_path / "logs.zip").write_bytes(b"PK\x03\x04...")
    done = command("triage", "logs.zip")
    assert done.code == 3
    assert "unpack it" in done.out
    (tmp_path / "app.log").write_text(ACCESS)
    mixed = command("triage", "app.log", "none.log", "logs.zip")
    assert mixed.code == 3
    assert "none.log" in mixed.out
    (tmp_path / "bad.log").write_text(hour(PAIR, 6, 2))
    assert command("triage", "bad.log", "none.log").code == 1


def test_standard_input_and_no_argument(command: CommandLine) -> None:
    """What is piped in is read, named or not, compressed or not; without anything that is a usage error."""
    text = hour(PAIR, 6, 3).encode()
    for arguments, data in ((("-",), text), ((), text), (("-",), gzip.compress(text))):
        done = command("triage", *arguments, "--format", "json", stdin=data)
        assert done.code == 1
        assert done.document["summary"].startswith("sign-in (auth) failed first")
    done = command("triage")
    assert done.code == 2
    assert "no log was named" in done.err


@pytest.mark.parametrize("form", ["text", "json", "junit", "sarif", "markdown", "github", "html"])
def test_no_secret_is_in_any_report(command: CommandLine, tmp_path: Path, form: str) -> None:
    """A log full of secrets, on lines that are hit and on lines that are not: none of them is in the report."""
    lines = seeded_lines()
    trouble = "".join(f"06:00:00 | ERROR    | a.b:c:1 - refused: {line}\n\n" for line, _ in lines if "└" not in line)
    (tmp_path / "app.log").write_text(hour(PAIR, 6, 2) + trouble + "".join(f"{line}\n" for line, _ in lines))
    done = command("triage", "app.log", "--suggest", "--format", form)
    assert done.code == 1
    seen = done.out + done.err
    forbidden = [one for _, gone in lines for one in gone if one != "alice"]
    assert [one for one in forbidden if one in seen] == []
    assert "LOG004" in done.out


def test_redact_writes_a_copy_that_says_the_same(command: CommandLine, tmp_path: Path) -> None:
    """The copy has as many lines, no secret, and a triage of it names the same first failure; the log stays."""
    lines = seeded_lines()
    text = hour(PAIR, 6, 5) + "".join(f"{line}\n" for line, _ in lines) + hour(INDEX, 7, 3)
    (tmp_path / "app.log").write_text(text)
    done = command("triage", "app.log", "--redact", "clean.log", "--format", "json")
    assert done.code == 1
    cleaned = (tmp_path / "clean.log").read_text()
    assert cleaned.count("\n") == text.count("\n")
    assert (tmp_path / "app.log").read_text() == text
    for line, (_, gone) in zip(cleaned.splitlines()[20:], lines, strict=False):
        assert not [one for one in gone if one in line]
    again = command("triage", "clean.log", "--format", "json")
    assert again.document["summary"] == done.document["summary"]
    assert "triage.secrets" not in {r["name"]: r for r in again.document["results"] if r["verdict"] == "fail"}
    refused = command("triage", "app.log", "--redact", "app.log")
    assert refused.code == 2
    assert "does not take its place" in refused.err
    assert command("triage", "app.log", "--redact", "-").code == 2


def test_redact_of_standard_input(command: CommandLine, tmp_path: Path) -> None:
    """A pipe is read once, for the report and for the copy."""
    text = hour(PAIR, 6, 5) + "token=Opaque77secret\n"
    done = command("triage", "-", "--redact", "clean.log.gz", "--format", "json", stdin=text.encode())
    assert done.code == 1
    got = gzip.decompress((tmp_path / "clean.log.gz").read_bytes()).decode()
    assert got.count("\n") == text.count("\n")
    assert "Opaque77" not in got


def test_many_logs_are_one_report(command: CommandLine, tmp_path: Path) -> None:
    """Files by a quoted pattern, plain and compressed, fold into one report; a file that is named twice counts once."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_text(hour(PAIR, 6, 3))
    (logs / "b.log.gz").write_bytes(gzip.compress(hour(PAIR, 7, 4).encode()))
    done = command("triage", "logs/*.log*", "logs/a.log", "--format", "json")
    assert "(7 verifications)" in done.document["summary"]
    notes = next(table for table in done.document["tables"] if table["title"] == "To be known")
    assert any("read once" in row[0] for row in notes["rows"])


def test_help_names_every_option(command: CommandLine) -> None:
    """The help says what can be given."""
    out = command("triage", "--help").out
    for option in (
        "--issue",
        "--follow",
        "--redact",
        "--suggest",
        "--workers",
        "--engine",
        "--scheduler",
        "--fail-on",
        "--format",
    ):
        assert option in out


def test_stopping_while_files_are_read(command: CommandLine, tmp_path: Path) -> None:
    """Somebody who says stop is not told that the log is healthy, and no copy is half written."""
    import threading

    from alwrity_checks.logs.streams import open_streams
    from alwrity_checks.logs.summary import EMPTY
    from alwrity_doctor.cli.output import FailOn, Output
    from alwrity_doctor.cli.triage_run import Wish, read, told

    (tmp_path / "app.log").write_text(hour(PAIR, 6, 3))
    opened = open_streams(["app.log"])
    wish = Wish(
        ("app.log",), (), 1.0, None, False, 1, "python", None, FailOn.FAIL, (Output("json", tmp_path / "r.json"),)
    )
    stop = threading.Event()
    stop.set()
    summary, interrupted = read(wish, opened.streams, stop)
    assert (summary, interrupted) == (EMPTY, True)
    from datetime import UTC, datetime

    assert told(wish, opened, summary, datetime.now(UTC), interrupted=True) == 130
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["verdict"] == "unknown"
    assert document["summary"].startswith("the run was interrupted")
    del command


def test_a_cluster_gives_the_same_report(command: CommandLine, tmp_path: Path) -> None:
    """--scheduler reads on a Dask cluster of two workers; what cannot go together is told."""
    pytest.importorskip("distributed")
    from tests.support.dask_cluster import cluster

    (tmp_path / "app.log").write_text(hour(PAIR, 6, 30) + hour(INDEX, 7, 5))
    here = command("triage", "app.log", "--format", "json").document
    with cluster(tmp_path, 2) as address:
        done = command("triage", f"file://{tmp_path}/app.log", "--scheduler", address, "--format", "json")
    assert done.code == 1
    there = done.document
    assert there["summary"] == here["summary"]
    assert [one["verdict"] for one in there["results"]] == [one["verdict"] for one in here["results"]]
    tables = [
        next(one for one in document["tables"] if one["title"] == "What the log says, by issue")
        for document in (here, there)
    ]
    counted = [[(row[0], row[3]) for row in table["rows"]] for table in tables]
    assert counted[0] == counted[1]
    refused = command("triage", "app.log", "--scheduler", "tcp://127.0.0.1:1", "--redact", "x.log")
    assert refused.code == 2
    assert command("triage", "app.log", "--scheduler", "nonsense").code == 2


def test_a_cluster_that_is_lost_is_no_healthy_log(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had read by then is not told as if it were everything: 3, with the reason."""
    from alwrity_checks.errors import CannotCheck
    from alwrity_checks.logs import fleet

    def lost(*_: object, **__: object) -> object:
        raise CannotCheck("the Dask cluster was lost while it read the logs", "look at it")

    monkeypatch.setattr(fleet, "scan_on_cluster", lost)
    (tmp_path / "app.log").write_text(ACCESS)
    done = command("triage", "app.log", "--scheduler", "tcp://127.0.0.1:1")
    assert done.code == 3
    assert done.out.startswith("UNKNOWN: no log could be read.")
    assert "was lost while it read the logs" in " ".join(done.out.split())
