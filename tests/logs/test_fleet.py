"""The fold on a Dask cluster comes to what one machine comes to, also when a worker is killed in the middle."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.segments import parts_of
from alwrity_checks.logs.streams import open_streams
from tests.support.dask_cluster import SALT, DyingGatherer, cluster, started

pytest.importorskip("distributed")

from alwrity_checks.logs import fleet
from alwrity_checks.logs.fleet import open_remote, scan_on_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alwrity_checks.logs.summary import Summary

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
SEGMENT = 300_000
LINES = (
    "06:{0:02}:{1:02} | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected"
    " (production).\n\n"
    "06:{0:02}:{1:02} | ERROR    | middleware.auth_middleware:get_current_user:354 - \U0001f512 AUTHENTICATION ERROR:"
    " Token verification failed for endpoint: GET /api/agents/{2} (client_ip=127.0.0.1, caller=x, user_agent=y)\n\n"
    "06:{0:02}:{1:02} | WARNING  | services.other:work:{2} - something that nobody knows: {2} pieces\n\n"
)


def log_text(records: int) -> bytes:
    """Return a log of one hour with trouble known and unknown."""
    parts = (LINES.format(n * 60 // records, n % 60, n % 7) for n in range(records))
    return "".join(parts).encode()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a plain and a compressed log."""
    directory = tmp_path_factory.mktemp("fleet-logs")
    (directory / "app.log").write_bytes(log_text(5000))
    (directory / "old.log.gz").write_bytes(gzip.compress(log_text(700)))
    return directory


def on_one_machine(arguments: list[str]) -> Summary:
    """Return the summary that a run on this machine comes to, for the addresses' names."""
    streams = open_remote(arguments).streams
    local = open_streams([one.id.removeprefix("file://") for one in streams]).streams
    named = [replace(one, id=f"file://{one.path}") for one in local]
    summary: Summary = scan(named, probes(), gatherer(SALT), workers=1, engine="python", segment=SEGMENT)
    return summary


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a cluster of two workers that all stay alive."""
    with cluster(tmp_path_factory.mktemp("fleet"), 2) as address:
        yield address


def test_a_cluster_comes_to_what_one_machine_does(logs: Path, address: str) -> None:
    """Plain logs in pieces and compressed ones whole, by pattern: the same summary, and progress for every byte."""
    arguments = [f"file://{logs}/*.log*"]
    read: list[int] = []
    got = scan_on_cluster(
        open_remote(arguments).streams,
        probes(),
        gatherer(SALT),
        scheduler=address,
        engine="python",
        segment=SEGMENT,
        progress=lambda _, count: read.append(count),
    )
    assert got.to_json() == on_one_machine(arguments).to_json()
    assert sum(read) == (logs / "app.log").stat().st_size
    assert len(read) > 4


def test_a_worker_that_is_killed_midway_changes_nothing(tmp_path: Path, logs: Path) -> None:
    """One of two workers dies while it reads a part: another one reads it, and the report is the same."""
    marker = tmp_path / "marker"
    marker.touch()
    with cluster(tmp_path, 2) as address:
        got = scan_on_cluster(
            open_remote([str(logs / "app.log")]).streams,
            probes(),
            DyingGatherer(marker, 2 * SEGMENT),
            scheduler=address,
            engine="python",
            segment=SEGMENT,
        )
    assert not marker.exists(), "no worker died"
    assert got.to_json() == on_one_machine([str(logs / "app.log")]).to_json()


def test_more_parts_than_a_cluster_takes_at_once_are_all_read(logs: Path, address: str) -> None:
    """A log in many more parts than there are threads: none is left out."""
    place = str(logs / "app.log")
    read: list[int] = []
    got = scan_on_cluster(
        open_remote([place]).streams,
        probes(),
        gatherer(SALT),
        scheduler=address,
        engine="python",
        segment=SEGMENT // 15,
        progress=lambda _, count: read.append(count),
    )
    assert len(read) > 50
    assert got.to_json() == on_one_machine([place]).to_json()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{free}", "127.0.0.1:{free}"])
def test_a_scheduler_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Nothing listens there: a clear error."""
    monkeypatch.setattr(fleet, "_PATIENCE", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigurationError, match="no Dask scheduler can be reached"):
            scan_on_cluster([], (), gatherer(SALT), scheduler=address.format(free=free.getsockname()[1]))


def test_something_else_that_listens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that accepts and says nothing, or something else, is no scheduler."""
    monkeypatch.setattr(fleet, "_PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match="no Dask scheduler can be reached"):
            scan_on_cluster([], (), gatherer(SALT), scheduler=f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "tcp://host", "http://x:y", ""])
def test_what_is_no_address_is_told(address: str) -> None:
    """Before anything is tried."""
    with pytest.raises(ConfigurationError, match="is not the address of a Dask scheduler"):
        scan_on_cluster([], (), gatherer(SALT), scheduler=address)


def test_a_cluster_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler alone reads nothing."""
    monkeypatch.setattr(fleet, "_PATIENCE", 2.0)
    with cluster(tmp_path, 0) as address, pytest.raises(ConfigurationError, match="has no worker") as caught:
        scan_on_cluster([], (), gatherer(SALT), scheduler=address)
    assert "dask worker" in caught.value.remedy


def test_workers_without_the_package_are_told(tmp_path: Path) -> None:
    """Workers need the same program; the error names one that does not have it."""
    program = (
        "import sys, importlib.abc\n"
        "class Missing(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'alwrity_checks', 'alwrity_doctor'}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from distributed.cli.dask_worker import main\nmain()\n"
    )
    (tmp_path / "bare_worker.py").write_text(program)
    with (
        cluster(tmp_path, 0) as address,
        started(
            tmp_path,
            "bare_worker",
            address,
            "--host",
            "127.0.0.1",
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--local-directory",
            str(tmp_path),
            path=str(tmp_path),
        ),  # fmt: skip
        pytest.raises(ConfigurationError, match="1 of 1 workers of the Dask cluster cannot import alwrity_checks"),
    ):
        scan_on_cluster([], (), gatherer(SALT), scheduler=address)


def test_versions_that_do_not_fit_are_told() -> None:
    """Another Python cannot take tasks, and another release of distributed may not; both are named."""

    def side(python: str, distributed: str) -> dict[str, Any]:
        return {"host": {}, "packages": {"python": f"{python}.final.0", "dask": "1", "distributed": distributed}}

    ours = side("3.11.7", "2026.8.0")
    fleet._compare_versions({"client": ours, "scheduler": side("3.11.9", "2026.8.0"), "workers": {"tcp://a": ours}})
    with pytest.raises(ConfigurationError, match=r"Python 3\.11, and tcp://a .* runs 3\.12"):
        fleet._compare_versions({"client": ours, "scheduler": ours, "workers": {"tcp://a": side("3.12.1", "2026.8.0")}})
    with pytest.raises(ConfigurationError, match=r"distributed is 2026\.8\.0 here and 2025\.1\.0") as caught:
        fleet._compare_versions({"client": ours, "scheduler": side("3.11.7", "2025.1.0"), "workers": {}})
    assert caught.value.remedy == 'pip install "distributed==2025.1.0"'


def test_another_release_on_the_workers_is_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Summaries of two releases do not fold: signatures may differ."""
    monkeypatch.setattr(fleet, "code_fingerprint", lambda: "another")
    with pytest.raises(ConfigurationError, match=r"\d of \d workers of the Dask cluster have another release"):
        scan_on_cluster([], (), gatherer(SALT), scheduler=address)


def test_what_is_at_no_address_is_told(tmp_path: Path) -> None:
    """Missing files, missing stores and standard input have their reasons; a name that comes twice is read once."""
    (tmp_path / "a.log").write_bytes(b"x\n")
    here = str(tmp_path / "a.log")
    opened = open_remote([here, f"file://{here}", str(tmp_path), "-", f"{tmp_path}/none", "nostore://x/y.log"])
    assert [one.id for one in opened.streams] == [f"file://{here}"]
    assert [note.endswith("read once") for note in opened.notes] == [True, True]
    told = {one.name: one for one in opened.unread}
    assert told[f"{tmp_path}/none"].missing
    assert "this machine alone" in told["-"].reason
    assert told["nostore://x/y.log"].reason


def test_memory_and_other_stores(tmp_path: Path) -> None:
    """Any fsspec store will do: one in memory is listed, and read in ranges as a file is."""
    import fsspec  # type: ignore[import-untyped]

    store = fsspec.filesystem("memory")
    text = log_text(100)
    store.pipe("/logs/app.log", text)
    store.pipe("/logs/app.log.1.gz", gzip.compress(text))
    opened = open_remote(["memory://logs/*"])
    assert [(one.id, one.size, one.compression, one.divisible) for one in opened.streams] == [
        ("memory:///logs/app.log", len(text), "", True),
        ("memory:///logs/app.log.1.gz", None, "gzip", False),
    ]
    for one in opened.streams:
        with one.open() as reader:
            assert b"".join(iter(lambda reader=reader: reader.read(1000), b"")) == text  # type: ignore[misc]
    order = fleet._Order(probes(), gatherer(SALT), "python", 5000)
    parts = [part for one in opened.streams[:1] for part in parts_of(one, 5000)]
    local = tmp_path / "app.log"
    local.write_bytes(text)
    (stream,) = open_streams([str(local)]).streams
    whole = scan(
        [replace(stream, id="memory:///logs/app.log")], probes(), gatherer(SALT), engine="python", segment=5000
    )
    got = None
    for part in reversed(parts):
        summary = fleet._work(order, part)
        got = summary if got is None else got.merge(summary)
    assert got is not None
    assert got.to_json() == whole.to_json()
    store.rm("/logs", recursive=True)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And importing this module imports nothing of it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"\[fleet\]"):
        scan_on_cluster([], (), gatherer(SALT), scheduler="tcp://127.0.0.1:1")
    code = "import sys, alwrity_checks.logs.fleet as f; print({'dask', 'distributed', 'fsspec'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == "set()"
