"""`alwrity-doctor bundle` and `gate --from` as they are run: secrets stay here, and a colleague can judge it again."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.catalogue import rules
from alwrity_doctor.bundle.manifest import ROOT
from alwrity_doctor.report.json import load
from tests.support.command_line import install, run, start
from tests.support.in_process import CommandLine
from tests.support.scanned_checkout import commit, lay_out
from tests.support.seeded_log import SEEDS, seeded_lines

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "backend/services/reports.py"
OPAQUE = {
    "DB_PASSWORD": "correct-horse.battery",
    "MY_APP_TOKEN": "opaque77of88mine",
    "UNNAMED": "zz9-plural-z-alpha",
}
"""Values without any form of their own, as a .env file holds them."""
IN_ENVIRONMENT = {"SERVICE_SECRET": "only-in-the-environment-7", "CLERK_SECRET_KEY": "sk_live_EnvEnvEnv12345678"}
LITERAL = "hf_LiteralOfTheSource1234567890"


@dataclass(frozen=True)
class Unpacked:
    """What is in a bundle."""

    files: dict[str, bytes]

    @property
    def whole(self) -> bytes:
        """Every byte of every file, and every name."""
        return b"\n".join(part for name, data in self.files.items() for part in (name.encode(), data))

    def json(self, name: str) -> Any:  # noqa: ANN401 - what JSON holds
        """Return a file of it."""
        return json.loads(self.files[name])


def unpacked(path: Path) -> Unpacked:
    """Return what is in a bundle, without its one directory."""
    data = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as zipped:
            files = {name: zipped.read(name) for name in zipped.namelist()}
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {one.name: read.read() for one in archive if (read := archive.extractfile(one))}
    return Unpacked({name.removeprefix(f"{ROOT}/"): data for name, data in files.items()})


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line in an empty directory."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def seeded(root: Path) -> list[str]:
    """Lay out a checkout, settings, a log and a report with secrets of every kind; return what must not be seen."""
    source = f"TOKEN = '{LITERAL}'\nURL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(v):\n    return v\n"
    requirements = "fastapi>=0.115\ngit+https://bob:hunter77@git.example/x.git#egg=x\n"
    lay_out(root, {SERVICE: source, "backend/requirements.txt": requirements})
    settings = "".join(f"{name}={value}\n" for name, value in OPAQUE.items())
    pasted = "eyJpastedByMistake1234567890=\nc2VjcmV0IG9mIG1pbmU=\n"
    (root / "backend/.env").write_text(f"{settings}{pasted}", encoding="utf-8")
    commit(root)
    lines = seeded_lines()
    log = [line for line, _ in lines] + [f"connecting with {value}" for value in OPAQUE.values()]
    log += [f"and {value}" for value in IN_ENVIRONMENT.values()]
    log += ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "-----END PRIVATE KEY-----"]
    (root / "app.log").write_text("".join(f"{line}\n" for line in log), encoding="utf-8")
    secrets = [
        *OPAQUE.values(),
        *IN_ENVIRONMENT.values(),
        LITERAL,
        "hunter77",
        "pastedByMistake",
        "c2VjcmV0IG9mIG1pbmU",
    ]
    secrets += [one for _, forbidden in lines for one in forbidden]
    _report(root / "old.json", secrets)
    return secrets


def _report(path: Path, secrets: list[str]) -> None:
    """Write a report as an older or a foreign check may have made it: with secrets in every place that holds text."""
    rule = {name: getattr(rules()["HF100"], name) for name in rules()["HF100"].__slots__}
    lines = [seed.line for seed in SEEDS] + [f"seen {value}" for value in secrets[:6]]
    text = "\n".join(lines)
    finding = {
        "rule": {**rule, "remedy": lines[1]},
        "message": text,
        "evidence": [{"label": line, "value": line} for line in lines] + [{"label": "password", "value": "Kx7of77"}],
        "location": {"kind": "url", "name": "https://bob:hunter77@example.com/x", "line": None},
        "commands": lines,
        "identity": f"call('{OPAQUE['DB_PASSWORD']}', '{LITERAL}')",
    }
    result = {
        "name": "old.check",
        "title": lines[2],
        "issue": 2,
        "verdict": "fail",
        "findings": [finding],
        "suppressed": [],
        "reason": text,
        "remedy": text,
        "because": "",
        "evidence": [],
        "duration": 0,
    }
    document = {
        "schema": "alwrity-doctor/report/1",
        "command": f"hf probe {LITERAL}",
        "version": "0.1.0",
        "started": "2026-01-02T03:04:05Z",
        "duration": 1,
        "results": [result],
        "observations": [],
        "fail_on": "error",
        "environment": {line: line for line in lines},
        "settings": {line: line for line in lines},
        "tables": [{"title": text, "columns": lines, "rows": [lines]}],
        "summary": text,
    }
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("name", ["out.tar.gz", "out.zip"])
def test_no_secret_comes_into_the_archive(doctor: CommandLine, tmp_path: Path, name: str) -> None:
    """Seeded through the real ways in (environment, .env, log, report, checkout), none is in any byte of it."""
    secrets = [*seeded(tmp_path), "Kx7of77"]
    options = ("--backend", ".", "--log", "app.log", "--report", "old.json", "--offline")
    done = doctor("bundle", name, *options, stdin=None, **IN_ENVIRONMENT)
    assert done.code == 0, done.err
    assert done.out == f"{name}\n"
    held = unpacked(tmp_path / name)
    for secret in secrets:
        assert secret.encode() not in held.whole, secret
        assert base64.b64encode(secret.encode()).rstrip(b"=")[:-1] not in held.whole, secret
        assert secret not in done.err
    kinds = {one["kind"] for one in held.json("ledger.json")["removed"]}
    assert {"value of a setting", "token of Hugging Face", "private key", "user id", "cookie"} <= kinds
    where = {one["where"] for one in held.json("ledger.json")["removed"]}
    assert {"settings.json", "README.txt", "triage/logs/01-app.log.txt"} <= where
    # What is not secret is still there to be read.
    assert b"not initialized for user" in held.files["triage/logs/01-app.log.txt"]


def test_a_bundle_holds_what_a_colleague_needs(doctor: CommandLine, tmp_path: Path) -> None:
    """The report and its page, what the logs say, versions, where settings come from, the revision, and a text."""
    seeded(tmp_path)
    done = doctor("bundle", "out", "--backend", ".", "--log", "app.log", "--offline", stdin=None, **IN_ENVIRONMENT)
    assert done.code == 0, done.err
    held = unpacked(tmp_path / "out.tar.gz")
    report = load(held.files["report.json"].decode())
    assert {"scan.hf", "auth.secret-key"} <= {result.name for result in report.results}
    assert held.files["report.html"].startswith(b"<!doctype html>")
    assert held.json("triage/triage.json")["command"] == "triage"
    versions = held.json("versions.json")
    assert versions["here"]["python"].startswith("CPython")
    assert {"where": "backend/requirements.txt:1", "asks": "fastapi>=0.115"} in versions["requirements"]
    settings = {one["name"]: one for one in held.json("settings.json")}
    assert settings["DB_PASSWORD"] == {"name": "DB_PASSWORD", "from": "backend/.env:1", "state": "set", "hides": []}
    assert settings["CLERK_SECRET_KEY"]["from"] == "environment"
    checkout = held.json("evidence/checkout.json")
    assert len(checkout["revision"]) >= 8
    assert [one["file"] for one in checkout["settings files"]] == ["backend/.env"]
    text = held.files["README.txt"].decode()
    assert "FAIL: " in text
    assert all(f"  {name}: " in text for name in {*held.files} - {"README.txt"})
    assert sorted([*(one["path"] for one in held.json("manifest.json")["files"]), "manifest.json"]) == sorted(
        held.files
    )


def test_a_colleague_judges_it_again(doctor: CommandLine, tmp_path: Path) -> None:
    """Elsewhere and without anything of it: the same verdicts, exit code by today's threshold, and how old it is."""
    seeded(tmp_path)
    doctor("bundle", "out.zip", "--backend", ".", "--offline")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    held = load(unpacked(tmp_path / "out.zip").files["report.json"].decode())
    again = doctor("gate", "--from", "out.zip", "--format", "json")
    assert again.code == int(held.exit_code)
    assert again.verdicts == {result.name: str(result.verdict) for result in held.results}
    assert "this was found out" in again.err
    assert "s ago" in again.err
    assert "s ago" in again.document["environment"]["found out"]
    part = doctor("gate", "scan.hf", "--from", "out.zip", "--fail-on", "warn", "--format", "json")
    assert (part.code, list(part.verdicts)) == (1, ["scan.hf"])


def test_one_that_comes_through_a_pipe_is_judged(doctor: CommandLine, tmp_path: Path) -> None:
    """`ssh host cat night.tar.gz | alwrity-doctor gate --from -`; nothing, or something else, is told as what it is."""
    made = doctor("bundle", "out", "--offline")
    piped = doctor("gate", "--from", "-", "--format", "json", stdin=(tmp_path / "out.tar.gz").read_bytes())
    named = doctor("gate", "--from", "out.tar.gz", "--format", "json")
    assert made.code == 0
    assert (piped.code, piped.verdicts) == (named.code, named.verdicts)
    for data in (b"", b"12:00:00 | ERROR | x - y\n"):
        other = doctor("gate", "--from", "-", stdin=data)
        assert (other.code, other.out) == (2, "")
        assert "standard input is neither a .tar.gz nor a .zip" in other.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "."], "--backend has no meaning"),
        (["--since", "main"], "--since has no meaning"),
        (["--env-file", ".env"], "--env-file has no meaning"),
        (["--wait", "3"], "--wait has no meaning"),
        (["--list"], "--list has no meaning"),
        (["nosuch"], "no check called nosuch"),
        (["--issue", "9"], "no check of issue 9"),
    ],
)
def test_what_would_be_looked_at_has_no_place_beside_from(
    doctor: CommandLine, tmp_path: Path, arguments: list[str], said: str
) -> None:
    """An option that would have no effect is refused, and so is a check that the report does not hold."""
    assert doctor("bundle", "out", "--offline").code == 0
    done = doctor("gate", "--from", str(tmp_path / "out.tar.gz"), *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_changed_bundle_is_refused(doctor: CommandLine, tmp_path: Path) -> None:
    """Somebody has edited the report in it: exit code 2, and which file it was."""
    assert doctor("bundle", "out.zip", "--offline").code == 0
    held = unpacked(tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "edited.zip", "w") as archive:
        for name, data in held.files.items():
            edited = data.replace(b'"skip"', b'"pass"') if name == "report.json" else data
            archive.writestr(f"{ROOT}/{name}", edited)
    done = doctor("gate", "--from", "edited.zip")
    assert done.code == 2
    assert "report.json was changed since the bundle was made" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["there.zip"], "is there already"),
        (["no/such/place/out"], "cannot be written"),
        (["out.rar"], "name a .tar.gz or a .zip"),
        (["-"], "stdout is none"),
        (["out", "--log", "absent.log"], "absent.log: does not exist"),
        (["out", "--log", "-"], "a bundle reads a log twice"),
        (["out", "--report", "absent.json"], "absent.json cannot be read"),
        (["out", "--report", "there.zip"], "is not a report"),
        (["out", "--backend", "empty"], "is no checkout of ALwrity"),
        (["out", "--env-file", "absent"], "absent cannot be read"),
        (["out", "--config", "absent"], "absent cannot be read"),
        (["out", "--lines", "-1"], "--lines"),
        ([], "OUT"),
    ],
)
def test_wrong_usage_ends_with_2_and_no_archive(
    doctor: CommandLine, tmp_path: Path, arguments: list[str], said: str
) -> None:
    """Before anything is run; what is there stays as it is, and nothing is left behind."""
    (tmp_path / "there.zip").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    done = doctor("bundle", *arguments, "--offline", stdin=b"a line\n")
    assert (done.code, done.out) == (2, ""), done.err
    assert said in " ".join(done.err.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "there.zip"]
    assert (tmp_path / "there.zip").read_bytes() == b"mine"


def test_a_log_that_cannot_be_read_is_told(doctor: CommandLine, tmp_path: Path) -> None:
    """One of two: the archive is written, with what could be read, and the command ends with 3."""
    (tmp_path / "app.log").write_text("INFO: started\n", encoding="utf-8")
    (tmp_path / "old.log").write_bytes(b"PK\x03\x04 an archive")
    done = doctor("bundle", "out", "--offline", "--log", "app.log", "--log", "old.log")
    assert done.code == 3
    held = unpacked(tmp_path / "out.tar.gz")
    assert "triage/logs/01-app.log.txt" in held.files
    assert b"old.log" in held.files["triage/triage.json"]


def test_the_text_for_people_says_nothing_to_a_terminal(doctor: CommandLine, tmp_path: Path) -> None:
    """A log may be called anything; whoever shows the README with `cat` sees how it is called."""
    (tmp_path / "a\x1b]0;owned\x07\u202e.log").write_text("12:00:00 | ERROR | x - y\n", encoding="utf-8")
    doctor("bundle", "out.zip", "--offline", "--log", "a*.log")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        text = archive.read("alwrity-doctor-bundle/README.txt").decode()
    assert r"a\x1b]0;owned\x07\u202e.log" in text
    assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_lines_of_logs_can_be_left_out(doctor: CommandLine, tmp_path: Path) -> None:
    """With --lines 0 the logs are read and none of their lines is handed over."""
    (tmp_path / "app.log").write_text("INFO: a line of its own kind\n" * 3, encoding="utf-8")
    assert doctor("bundle", "out", "--offline", "--log", "app.log", "--lines", "0").code == 0
    held = unpacked(tmp_path / "out.tar.gz")
    assert "triage/triage.json" in held.files
    assert not any(name.startswith("triage/logs/") for name in held.files)


def test_what_nobody_could_read_is_not_written(
    doctor: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a bundle may hold is refused by whoever writes it, and not only by whoever gets it."""
    from alwrity_doctor.bundle import reading

    monkeypatch.setattr(reading, "_MOST", 3)
    done = doctor("bundle", "out", "--offline")
    assert (done.code, done.out) == (2, "")
    assert "it holds more than 3 files" in done.err
    assert "--lines 500" in done.err
    assert list(tmp_path.iterdir()) == []


HANGING = """
import sys, time
from dataclasses import dataclass
from datetime import timedelta

@dataclass(frozen=True)
class Hang:
    name: str = "acme.hang"
    title: str = "acme is well"
    issue: int = 1
    requires: frozenset = frozenset()
    timeout: timedelta = timedelta(seconds=100)

    async def run(self, context):
        import asyncio
        print("hanging", file=sys.stderr, flush=True)
        await asyncio.Event().wait()

CHECKS = [Hang()]
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_an_interrupted_one_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the gate: exit code 130, and neither an archive nor half of one."""
    plugins = tmp_path / "plugins"
    install(plugins, "acme-checks", "acme", HANGING)
    place = tmp_path / "work"
    place.mkdir()
    with start("bundle", "out", "--offline", cwd=place, plugins=plugins) as process:
        try:
            assert process.stderr
            assert process.stderr.readline() == "hanging\n"
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, stderr
    assert list(place.iterdir()) == []


def test_the_command_line_itself(tmp_path: Path) -> None:
    """In a process of its own: the name of the archive on stdout, the talk on stderr, and a second run is refused."""
    done = run("bundle", "out", "--offline", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out.tar.gz\n"), done.stderr
    assert "To judge it again, anywhere: alwrity-doctor gate --from out.tar.gz" in done.stderr
    again = run("bundle", "out", "--offline", cwd=tmp_path)
    assert again.returncode == 2
    assert "out.tar.gz is there already" in again.stderr
    judged = run("gate", "--from", "out.tar.gz", cwd=tmp_path)
    assert judged.returncode == 3
    assert "Traceback" not in judged.stderr + done.stderr + again.stderr
