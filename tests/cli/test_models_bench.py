"""`alwrity-doctor models bench`: the real command with tiny models, its files, and how it ends."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from alwrity_checks.models import bench_run
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import SCHEMA, Bench, Failure, Result, Surroundings
from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.models.steps import Precision
from tests.support.command_line import COMMAND, environment
from tests.support.in_process import CommandLine
from tests.support.models_bench import bench, result, usage
from tests.support.models_cli import tiny
from tests.support.processes import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_QUICK = ("--prompt-tokens", "16", "--new-tokens", "4", "--repetitions", "1", "--threads", "1")
_BENCH = ("models", "bench")


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line in an empty directory, with an empty cache of models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    line = CommandLine(monkeypatch, capsys, tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return line


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that says what the next runs shall come to, in place of measuring them."""

    def shall_be(*results: Result, **surroundings: object) -> None:
        around = Surroundings(**{"processor": "a", "threads": 2, "memory": 8 << 30, "system": "s", **surroundings})  # type: ignore[arg-type]
        left = list(results)
        monkeypatch.setattr(bench_run, "surroundings", lambda: around)
        monkeypatch.setattr(bench_run, "_one", lambda *_arguments: left.pop(0))

    return shall_be


def test_a_real_run_writes_everything(doctor: CommandLine, tmp_path: Path) -> None:
    """A tiny model is written, measured, and shown as report, document, table and picture; nothing of it stays."""
    files = ("--save", "b.json", "--html", "b.html", "--csv", "b.csv", "--format", "json")
    done = doctor(*_BENCH, "tiny", "--synthetic", "--runtime", "transformers", *_QUICK, *files)
    assert done.code == 0, done.err
    assert done.verdicts["models.bench tiny transformers bfloat16"] == "pass"
    speed, memory, picture = done.document["tables"]
    assert speed["rows"][0][0] == memory["rows"][0][0] == picture["rows"][0][0] == "tiny transformers bfloat16"
    saved = Bench.from_json((tmp_path / "b.json").read_text())
    assert json.loads((tmp_path / "b.json").read_text())["schema"] == SCHEMA
    assert saved.synthetic
    assert [one.tokens for one in saved.results[0].answers] == [4]
    (row,) = csv.DictReader(io.StringIO((tmp_path / "b.csv").read_text()))
    assert int(row["peak_rss"]) == saved.results[0].peak_rss
    assert (row["runtime"], row["failure"]) == ("transformers", "")
    kept = int(row["anonymous_after_load"]) + int(row["file_backed_after_load"])
    assert 0 < kept <= int(row["resident_after_load"]) < int(row["peak_rss"])
    assert int(row["resident_after_release"]) > 0
    assert "<svg" in (tmp_path / "b.html").read_text()
    assert not {path.name for path in tmp_path.iterdir()} - {"b.json", "b.html", "b.csv", "hub", "cache"}


def test_a_download_is_measured_before_the_load(doctor: CommandLine, tmp_path: Path) -> None:
    """With --pull a model that is not here comes from the hub; its seconds stand beside those of the load."""
    checkpoint = tiny(tmp_path / "published")
    asked = (*_BENCH, "acme/tiny", "--pull", "--runtime", "transformers", *_QUICK, "--format", "json")
    with LoopbackHub({"acme/tiny": checkpoint}) as hub:
        cache = str(tmp_path / "hub")
        done = doctor(*asked, "--save", "first.json", HF_ENDPOINT=hub.endpoint, HF_HUB_CACHE=cache)
        again = doctor(*asked, "--save", "second.json", HF_ENDPOINT=hub.endpoint, HF_HUB_CACHE=cache)
    assert done.code == 0, done.err
    (first,) = Bench.from_json((tmp_path / "first.json").read_text()).results
    assert first.download is not None
    snapshot = next((tmp_path / "hub/models--acme--tiny/snapshots").iterdir())
    assert first.download.bytes == sum(file.stat().st_size for file in snapshot.iterdir())
    speed = done.document["tables"][0]
    assert float(speed["rows"][0][speed["columns"].index("download s")]) >= 0
    (second,) = Bench.from_json((tmp_path / "second.json").read_text()).results
    assert second.download is None, "it was here by then"
    assert "download s" not in again.document["tables"][0]["columns"]


def test_a_directory_is_measured_where_it_is(doctor: CommandLine, tmp_path: Path) -> None:
    """A model's directory needs no hub and no name; an encoder fails as a case, with its rule."""
    from alwrity_checks.models.synthetic import write_checkpoint

    write_checkpoint(tmp_path / "model", "tiny")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "no-such-thing"}')
    done = doctor(*_BENCH, "./model", "--runtime", "transformers", *_QUICK, "--format", "json")
    assert done.code == 1
    assert done.reasons == ["architecture-unsupported"]


def test_a_killed_model_is_a_finding_and_the_others_go_on(doctor: CommandLine, measured: Callable[..., None]) -> None:
    """Killed for its memory is an answer about this model: exit code 1, and the next one's figures beside it."""
    lost = result(failure=Failure("out-of-memory", "it was killed in the phase 'load'", "lighter", "load"), answers=())
    measured(lost, result(carrier=Carrier.ONNX, precision=Precision.INT4))
    done = doctor(*_BENCH, "tiny", "--synthetic", "--format", "json")
    assert done.code == 1
    assert done.reasons == ["out-of-memory"]
    assert len(done.document["tables"][0]["rows"]) == 2


def test_a_busy_machine_is_a_warning(doctor: CommandLine, measured: Callable[..., None]) -> None:
    """Figures are shown, and that they are not to be relied on; where nothing is told, it is not called quiet."""
    measured(result(usages=(usage("measured", 10, resident=9, wait=0.31),)))
    done = doctor(*_BENCH, "tiny", "--synthetic", "--runtime", "transformers", "--format", "json")
    assert (done.code, done.verdicts["models.bench.quiet"]) == (0, "warn")
    assert any("31%" in one["reason"] for one in done.document["results"])
    measured(result(usages=(usage("measured", 10, resident=9, wait=None),)))
    done = doctor(*_BENCH, "tiny", "--synthetic", "--runtime", "transformers", "--format", "json")
    assert done.verdicts["models.bench.quiet"] == "skip"


def _ratios(document: dict[str, object]) -> dict[str, str]:
    tables: Sequence[dict[str, Sequence[Sequence[str]]]] = document["tables"]  # type: ignore[assignment]
    return {row[1]: row[4] for row in tables[3]["rows"]}


def test_it_used_to_be_lighter(doctor: CommandLine, measured: Callable[..., None], tmp_path: Path) -> None:
    """A baseline of this machine gives ratios, and what changed; one of another machine gives none of times."""
    (tmp_path / "then.json").write_text(
        bench(
            result(libraries={"torch": "1"}), surroundings=Surroundings("a", 2, 8 << 30, "s", 1e9), synthetic=True
        ).to_json()
    )
    arguments = (*_BENCH, "tiny", "--synthetic", "--runtime", "transformers", "--baseline", "then.json")
    measured(result(usages=(usage("measured", 3000, resident=2900),)))
    done = doctor(*arguments, "--format", "json")
    assert done.verdicts["models.bench.baseline"] == "pass"
    assert (_ratios(done.document)["peak memory"], _ratios(done.document)["first token"]) == ("2.00 x", "1.00 x")
    assert "torch 1 then, 2.13.0 now" in done.out
    measured(result(), processor="another")
    done = doctor(*arguments, "--format", "json")
    assert done.verdicts["models.bench.baseline"] == "warn"
    assert (_ratios(done.document)["peak memory"], _ratios(done.document)["first token"]) == ("1.00 x", "-")
    assert "ANOTHER MACHINE" in done.document["tables"][3]["title"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tiny", "--synthetic", "--pull"), "--pull is for real models"),
        (("Qwen/Qwen2.5-0.5B-Instruct",), "models pull"),
        ((" Qwen/Qwen2.5-0.5B-Instruct ",), "models pull Qwen/Qwen2.5-0.5B-Instruct;"),
        ((".",), "copy all of its files"),
        (("",), "name is empty"),
        (("no/such", "--synthetic"), "choose one of"),
        (("tiny", "--synthetic", "--runtime", "llama.cpp"), "llama.cpp"),
        (("tiny", "--synthetic", "--runtime", "transformers", "--dtype", "int4"), "onnxruntime-genai"),
        (("tiny", "--synthetic", "--repetitions", "0"), "repetitions"),
        (("tiny", "--synthetic", "--new-tokens", "1"), "new-tokens"),
        (("tiny", "--keep", "here"), "--synthetic"),
        (("tiny", "--synthetic", "--baseline", "missing.json"), "--save"),
        (("tiny", "--synthetic", "--save", "no/such/place.json"), "directory"),
        (("./nowhere",), "does not exist"),
    ],
)
def test_wrong_usage(doctor: CommandLine, arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """What cannot be measured is said before anything runs: 2, with what to do, and nothing written."""
    done = doctor(*_BENCH, *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in " ".join(done.err.split())
    assert not {path.name for path in tmp_path.iterdir()} - {"cache", "hub"}


def test_a_baseline_that_is_none(doctor: CommandLine, tmp_path: Path) -> None:
    """A report is no bench document; it is refused by name, before anything runs."""
    (tmp_path / "report.json").write_text('{"schema": "alwrity-doctor/report/1"}')
    done = doctor(*_BENCH, "tiny", "--synthetic", "--baseline", "report.json")
    assert done.code == 2
    assert "alwrity-doctor/report/1" in done.err


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff\x00", b"[" * 99999])
def test_garbage_for_a_baseline(doctor: CommandLine, tmp_path: Path, content: bytes) -> None:
    """It is called by its file's name, and not by what an exception of Python is called."""
    (tmp_path / "then.json").write_bytes(content)
    done = doctor(*_BENCH, "tiny", "--synthetic", "--baseline", "then.json")
    assert done.code == 2
    assert "then.json" in done.err
    assert "Error: " not in done.err.removeprefix("Error: ")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process")
def test_an_interruption_leaves_no_child(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a measurement: 130, the report so far, no child and no synthetic model left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ("tiny", "--synthetic", "--runtime", "transformers", "--repetitions", "1000", "--threads", "1")
    doctor = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*COMMAND, *_BENCH, *arguments, "--format", "json"],
        cwd=tmp_path,
        env=environment(TMPDIR=str(scratch), XDG_CACHE_HOME=str(tmp_path / "cache")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        child = _measuring(doctor.pid)
        os.kill(doctor.pid, signal.SIGINT)
        out, err = doctor.communicate(timeout=60)
    finally:
        doctor.kill()
    assert doctor.returncode == 130, err
    assert json.loads(out)["results"][-1]["name"] == "interrupted"
    assert ended(child.pid)
    assert not list(scratch.iterdir())


def _measuring(pid: int) -> psutil.Process:
    """Wait for the child that measures."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.Error):  # one that ends meanwhile, as a look at the machine does
                if any("bench_child" in part for part in child.cmdline()):
                    return child
        time.sleep(0.02)
    raise AssertionError("no child measures")
