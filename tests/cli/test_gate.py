"""`alwrity-doctor gate` in a real process, with a third party's checks from a real entry point."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from alwrity_doctor.report import FORMATS
from tests.support.acme import SOURCE
from tests.support.command_line import install, run, start

if TYPE_CHECKING:
    from pathlib import Path

PHRASE = "the phrase that nobody may read"
KEY = "q" * 40


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in which a third party's distribution is installed."""
    directory = tmp_path_factory.mktemp("plugins")
    install(directory, "acme-checks", "acme", SOURCE)
    return directory


def to_files(directory: Path) -> list[str]:
    """Return the arguments that write every format to a file of its own."""
    return [f"--format={name}={directory / name}" for name in FORMATS]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["acme.well"], 0),
        (["acme.warn"], 0),
        (["acme.warn", "--fail-on", "warn"], 1),
        (["acme.fail", "acme.silent"], 1),
        (["acme.silent"], 3),
        (["acme.online", "--offline"], 3),
        (["acme.leak"], 3),
    ],
)
def test_exit_code_and_every_format(plugins: Path, tmp_path: Path, arguments: list[str], code: int) -> None:
    """One run writes every format whole and ends with the one exit code; nothing is left beside the files."""
    done = run("gate", *arguments, *to_files(tmp_path), "--format=text", cwd=tmp_path, plugins=plugins)
    assert done.returncode == code, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FORMATS)
    assert json.loads((tmp_path / "json").read_text())["exit_code"] == code
    assert done.stdout == (tmp_path / "text").read_text()
    assert done.stderr == ""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("check", "code"), [("acme.fail", 1), ("acme.nonsense", 2)])
def test_exit_code_does_not_depend_on_the_format(
    plugins: Path, tmp_path: Path, form: str, check: str, code: int
) -> None:
    """A format on stdout changes nothing but what is written."""
    done = run("gate", check, "--format", form, cwd=tmp_path, plugins=plugins)
    assert done.returncode == code
    assert bool(done.stdout) is (code != 2)


def test_secrets_of_a_raising_check_are_in_no_output(plugins: Path, tmp_path: Path) -> None:
    """Neither the exception's message nor a local variable shows in any format, on stdout or on stderr."""
    done = run("gate", "acme.leak", *to_files(tmp_path), "--format=text", cwd=tmp_path, plugins=plugins)
    outputs = [done.stdout, done.stderr, *(path.read_text() for path in tmp_path.iterdir())]
    assert "RuntimeError" in (tmp_path / "json").read_text()
    for text in outputs:
        assert PHRASE not in text
        assert KEY not in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("check", ["acme.hang", "acme.block"])
def test_interrupted_gate_reports_what_was_finished(
    plugins: Path, tmp_path: Path, number: signal.Signals, check: str
) -> None:
    """A signal ends a run with 130 and a whole report in every format, even while a check blocks its thread."""
    # It begins once acme.warn, which it requires, has come to its verdict: what is finished then is no matter of luck.
    arguments = ["gate", "acme.warn", check, *to_files(tmp_path), "--format=text"]
    with start(*arguments, cwd=tmp_path, plugins=plugins) as process:
        try:
            assert process.stderr
            assert process.stderr.readline() == "hanging\n"
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert stderr == ""
    document = json.loads((tmp_path / "json").read_text())
    verdicts = {result["name"]: result["verdict"] for result in document["results"]}
    assert verdicts == {"acme.warn": "warn", check: "unknown"}
    assert stdout == (tmp_path / "text").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FORMATS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "yaml"], "there is no format 'yaml'"),
        (["--format", "json", "--format", "text"], "two formats go to stdout"),
        (["--format", "json=a", "--format", "text=./a"], "two formats go to"),
        (["--format", "json="], "names no file"),
        (["--format", "json=no/such/place.json"], "cannot be written: No such file or directory"),
        (["--format", "json=."], "is a directory"),
        (["--env-file", "absent.env"], "absent.env cannot be read"),
        (["--config", "absent.toml"], "absent.toml cannot be read"),
        (["acm"], "no check is called acm"),
        (["--issue", "9"], "no check belongs to issue 9"),
        (["--fail-on", "never"], "never"),
        (["--wait", "-1"], "--wait"),
        (["--backend", "absent"], "--backend"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_runs(
    plugins: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    """What is wrong is said on stderr with a way out, and stdout stays empty."""
    done = run("gate", "acme.fail", *arguments, cwd=tmp_path, plugins=plugins)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_unknown_check_comes_with_the_known_ones(plugins: Path, tmp_path: Path) -> None:
    """Nobody has to look up the names."""
    assert "acme.fail, acme.hang" in run("gate", "acm", cwd=tmp_path, plugins=plugins).stderr


def test_list_shows_names_issues_and_requirements(plugins: Path, tmp_path: Path) -> None:
    """`--list` runs nothing and shows what would run."""
    done = run("gate", "acme", "--list", cwd=tmp_path, plugins=plugins)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["Check", "Issue", "Requires", "Holds", "when"]
    assert "acme.online 1 network acme is well" in " ".join(done.stdout.split())


def test_broken_third_party_does_not_stop_the_gate(tmp_path: Path) -> None:
    """A plug-in that does not load is one unknown result, which names its distribution."""
    install(tmp_path / "plugins", "good-checks", "acme", SOURCE)
    install(tmp_path / "plugins", "bad-checks", "bad", "raise RuntimeError('no licence')")
    done = run("gate", "acme.well", "bad", "--format=json", cwd=tmp_path, plugins=tmp_path / "plugins")
    assert done.returncode == 3
    by_name = {result["name"]: result for result in json.loads(done.stdout)["results"]}
    assert by_name["acme.well"]["verdict"] == "pass"
    assert by_name["bad.bad-checks"]["verdict"] == "unknown"
    assert "bad-checks 1.2 does not load: RuntimeError: no licence" in by_name["bad.bad-checks"]["reason"]


def test_suppression_file_in_the_working_directory_counts(plugins: Path, tmp_path: Path) -> None:
    """An accepted finding makes the run healthy; an entry without an object is told on stderr."""
    entry = '[[suppress]]\nrule = "{}"\nreason = "known"\nexpires = 2999-12-31\n'
    (tmp_path / "alwrity-doctor.toml").write_text(entry.format("AUTH001") + entry.format("AUTH002"))
    done = run("gate", "acme.known", cwd=tmp_path, plugins=plugins)
    assert done.returncode == 0
    assert done.stderr == "Note: the suppression of AUTH002 matched nothing in this run.\n"


def test_lapsed_suppression_fails_again(plugins: Path, tmp_path: Path) -> None:
    """`--config` names another file; what has lapsed in it counts, with its reason."""
    config = tmp_path / "accepted.toml"
    config.write_text('[[suppress]]\nrule = "AUTH001"\nreason = "until spring"\nexpires = 2020-03-20\n')
    done = run("gate", "acme.known", "--config", str(config), cwd=tmp_path, plugins=plugins)
    assert done.returncode == 1
    assert "lapsed on 2020-03-20; its reason was: until spring" in " ".join(done.stdout.split())


def test_unusable_suppression_file_ends_with_2(plugins: Path, tmp_path: Path) -> None:
    """A mistake in the file is found before anything runs."""
    (tmp_path / "alwrity-doctor.toml").write_text(
        '[[suppress]]\nrule = "AUTH999"\nreason = "x"\nexpires = 2999-01-01\n'
    )
    done = run("gate", "acme.known", cwd=tmp_path, plugins=plugins)
    assert done.returncode == 2
    assert "alwrity-doctor.toml, entry 1: there is no rule AUTH999" in done.stderr


def test_wait_says_what_it_waits_for(plugins: Path, tmp_path: Path) -> None:
    """The talk is on stderr, the last report alone on stdout."""
    done = run("gate", "acme.fail", "--wait", "2", "--format", "json", cwd=tmp_path, plugins=plugins)
    assert done.returncode == 1
    assert done.stderr.startswith("fail (exit code 1), ACME001; again in ")
    assert json.loads(done.stdout)["exit_code"] == 1


def test_reader_that_leaves_does_not_change_the_exit_code(plugins: Path, tmp_path: Path) -> None:
    """`gate | head -0`: the exit code is the report's, and nothing is said."""
    with start("gate", "acme.fail", cwd=tmp_path, plugins=plugins) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - a device, not a path
def test_full_disk_ends_with_2(plugins: Path, tmp_path: Path) -> None:
    """A report that could not be written is not a healthy run."""
    done = run("gate", "acme.well", "--format", "json=/dev/full", cwd=tmp_path, plugins=plugins)
    assert done.returncode == 2
    assert "/dev/full cannot be written: No space left on device" in done.stderr
