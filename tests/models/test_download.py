"""Downloading into huggingface_hub's cache, from a hub with every bad manner, and read back by the real client."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from alwrity_checks.models import disk
from alwrity_checks.models.cache import cached_snapshot
from alwrity_checks.models.download import Stopped, download
from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.hub import Hub
from alwrity_checks.models.loopback_hub import Fault, LoopbackHub
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import Secret
from tests.support.hub_models import DOWNLOAD, MODEL, PATIENCE, repository, until

NEEDED = {"config.json", "tokenizer.json", "model.safetensors"}

CLIENT = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], local_files_only=True, cache_dir=sys.argv[2]))
"""


def refused(hub: LoopbackHub, cache: Path, *, timeout: float = 5.0) -> ModelUnavailable:
    """Return the error of a download that is tried once."""
    with Hub(hub.endpoint, timeout=timeout) as asked, pytest.raises(ModelUnavailable) as caught:
        download(MODEL, hub=asked, cache=cache, attempts=1)
    assert caught.value.remedy
    assert cached_snapshot(MODEL, cache) is None
    return caught.value


def weights_of(cache: Path) -> bytes:
    """Return the weights in the cache."""
    found = cached_snapshot(MODEL, cache)
    assert found is not None
    return (found / "model.safetensors").read_bytes()


def size_of_parts(cache: Path) -> int:
    """Return how many bytes have arrived of what is not whole yet."""
    total = 0
    for part in cache.rglob("*.part"):
        with contextlib.suppress(FileNotFoundError):  # it is whole by now
            total += part.stat().st_size
    return total


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_the_real_client_finds_it_offline(tmp_path: Path, shards: int, *, elsewhere: bool) -> None:
    """huggingface_hub itself finds the snapshot, in whose links are exactly the files that are needed, unchanged."""
    source, cache = repository(tmp_path / "source", shards=shards), tmp_path / "cache"
    told: list[tuple[int, int]] = []
    with LoopbackHub({MODEL: source}, elsewhere=elsewhere) as hub, Hub(hub.endpoint) as asked:
        found = download(MODEL, hub=asked, cache=cache, progress=lambda *pair: told.append(pair))
        assert download(MODEL, hub=asked, cache=cache) == found
    command = [sys.executable, "-c", CLIENT, MODEL, str(cache)]
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    client = subprocess.run(command, capture_output=True, text=True, check=True, env=offline)  # noqa: S603 - our own command
    assert Path(client.stdout.strip()) == found
    names = {path.name for path in found.iterdir()}
    assert not {name for name in names if name.endswith((".bin", ".onnx", ".md"))}
    assert all((found / name).read_bytes() == (source / name).read_bytes() for name in names)
    assert all((found / name).is_symlink() for name in names)
    assert not list(cache.rglob("*.part"))
    total = sum((source / name).stat().st_size for name in names)
    assert told[0] == (0, total)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert hub.bytes_sent == total


def test_transformers_reads_it(tmp_path: Path) -> None:
    """transformers, offline, finds the model by its name on the hub, and loads configuration and tokenizer."""
    from alwrity_checks.models.synthetic import write_checkpoint

    source, cache = write_checkpoint(tmp_path / "source", "tiny"), tmp_path / "cache"
    with LoopbackHub({MODEL: source}) as hub, Hub(hub.endpoint) as asked:
        download(MODEL, hub=asked, cache=cache)
    # Not the weights: torch takes seconds to import, and what reads them is safetensors, as the other tests do.
    script = (
        "import sys; from transformers import AutoConfig as C, AutoTokenizer as T;"
        "print(C.from_pretrained(sys.argv[1]).model_type, len(T.from_pretrained(sys.argv[1])('a word').input_ids))"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    read = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", script, MODEL], capture_output=True, text=True, check=False, env=environment
    )
    assert read.returncode == 0, read.stderr
    assert read.stdout.startswith("qwen2 ")


def test_another_process_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    """After kill -9 in the middle, the next process asks for the rest alone: the server's own count shows it."""
    source, cache = repository(tmp_path / "source", size=2_000_000), tmp_path / "cache"
    with LoopbackHub({MODEL: source}, fault=Fault.STALLED, after=1_200_000) as hub:
        with subprocess.Popen([*DOWNLOAD, MODEL, hub.endpoint, str(cache)]) as first:  # noqa: S603 - our own command
            until(lambda: size_of_parts(cache) == 1_200_000, "the first process stands at the stalled byte")
            first.send_signal(signal.SIGKILL)
        assert cached_snapshot(MODEL, cache) is None
        sent, hub.fault = hub.bytes_sent, None
        subprocess.run([*DOWNLOAD, MODEL, hub.endpoint, str(cache)], check=True, timeout=PATIENCE)  # noqa: S603 - our own command
        assert hub.bytes_sent - sent == (source / "model.safetensors").stat().st_size - 1_200_000
        ranges = [request.headers.get("range") for request in hub.elsewhere_requests]
        assert ranges == [None, "bytes=1200000-"]
    assert weights_of(cache) == (source / "model.safetensors").read_bytes()


def test_two_processes_cause_one_download(tmp_path: Path) -> None:
    """A second process waits for the first and takes what it has fetched: each byte is sent once."""
    source, cache = repository(tmp_path / "source", size=400_000), tmp_path / "cache"
    needed = sum((source / name).stat().st_size for name in NEEDED)
    with LoopbackHub({MODEL: source}, rate=400_000) as hub:
        command = [*DOWNLOAD, MODEL, hub.endpoint, str(cache)]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]  # noqa: S603 - our own command
        answers = [process.communicate(timeout=PATIENCE)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert hub.bytes_sent == needed
    assert answers[0] == answers[1]


def test_a_waiting_process_takes_over_from_one_that_dies(tmp_path: Path) -> None:
    """The lock of a killed process is free at once, and whoever waited goes on with what has arrived."""
    source, cache = repository(tmp_path / "source", size=500_000), tmp_path / "cache"
    with LoopbackHub({MODEL: source}, fault=Fault.STALLED, after=300_000, times=1) as hub:
        command = [*DOWNLOAD, MODEL, hub.endpoint, str(cache)]
        with subprocess.Popen(command) as first:  # noqa: S603 - our own command
            until(lambda: hub.bytes_sent >= 300_000, "the first process stands")
            with subprocess.Popen(command) as second:  # noqa: S603 - our own command
                until(
                    lambda: len([one for one in hub.requests if one.path.startswith("/api/")]) == 2, "the second waits"
                )
                first.kill()
                assert second.wait(PATIENCE) == 0
    assert weights_of(cache) == (source / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.STALLED, Reason.DOWNLOAD_STALLED),
        (Fault.RESET, Reason.DOWNLOAD_BROKEN),
        (Fault.WRONG_LENGTH, Reason.DOWNLOAD_BROKEN),
        (Fault.TRUNCATED, Reason.DOWNLOAD_BROKEN),
        (Fault.CORRUPT, Reason.DOWNLOAD_BROKEN),
        (Fault.ETAG_CHANGED, Reason.DOWNLOAD_BROKEN),
        (Fault.UNAUTHORISED, Reason.HUB_UNAUTHORISED),
        (Fault.GATED, Reason.MODEL_GATED),
        (Fault.UNKNOWN, Reason.MODEL_UNKNOWN),
        (Fault.RATE_LIMITED, Reason.HUB_RATE_LIMITED),
        (Fault.ERROR, Reason.HUB_ERROR),
        (Fault.NO_JSON, Reason.HUB_ERROR),
        (Fault.SILENT, Reason.HUB_UNREACHABLE),
    ],
)
def test_each_fault_of_a_hub_has_its_reason(tmp_path: Path, fault: Fault, reason: Reason) -> None:
    """A download that a hub spoils says why, and leaves nothing that could be taken for the model."""
    with LoopbackHub({MODEL: repository(tmp_path / "source")}, fault=fault, after=100_000, retry_after=99) as hub:
        assert refused(hub, tmp_path / "cache", timeout=1.0).reason is reason


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.WRONG_LENGTH, Fault.TRUNCATED, Fault.CORRUPT, Fault.ERROR, Fault.NO_SIZES]
)
def test_what_passes_is_lived_through(tmp_path: Path, fault: Fault) -> None:
    """A fault that happens once costs another request, and the content is right in the end."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    with LoopbackHub({MODEL: source}, fault=fault, after=100_000, times=1) as hub, Hub(hub.endpoint) as asked:
        download(MODEL, hub=asked, cache=cache)
    assert weights_of(cache) == (source / "model.safetensors").read_bytes()


def test_a_server_without_ranges_begins_again(tmp_path: Path) -> None:
    """Where a range is answered with the whole file, the part that is here is not counted twice."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    with LoopbackHub({MODEL: source}, fault=Fault.RESET, after=100_000) as hub:
        refused(hub, cache)
        hub.fault = Fault.NO_RANGES
        with Hub(hub.endpoint) as asked:
            download(MODEL, hub=asked, cache=cache)
    assert weights_of(cache) == (source / "model.safetensors").read_bytes()


def test_a_part_with_a_wrong_byte_is_not_built_upon(tmp_path: Path) -> None:
    """What an earlier process left is checked like everything else: it begins anew, and the content is right."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    with LoopbackHub({MODEL: source}, fault=Fault.RESET, after=100_000) as hub:
        refused(hub, cache)
        part = next(cache.rglob("*.part"))
        part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
        hub.fault = None
        with Hub(hub.endpoint) as asked:
            download(MODEL, hub=asked, cache=cache)
    assert weights_of(cache) == (source / "model.safetensors").read_bytes()


def test_a_content_that_was_cut_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    """A cache that another tool has left half written heals: the model is not whole, so its weights come again."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    with LoopbackHub({MODEL: source}) as hub, Hub(hub.endpoint) as asked:
        found = download(MODEL, hub=asked, cache=cache)
        os.truncate((found / "model.safetensors").resolve(), 1000)
        assert cached_snapshot(MODEL, cache) is None
        assert download(MODEL, hub=asked, cache=cache) == found
    assert weights_of(cache) == (source / "model.safetensors").read_bytes()


def test_a_repository_of_pickles_is_refused_before_a_byte(tmp_path: Path) -> None:
    """Weights that exist only as a pickle are not downloaded, and the reason names the file."""
    source = repository(tmp_path / "source")
    (source / "model.safetensors").unlink()
    with LoopbackHub({MODEL: source}) as hub:
        error = refused(hub, tmp_path / "cache")
        assert error.reason is Reason.PICKLE_ONLY
        assert "pytorch_model.bin" in error.diagnosis
        assert hub.bytes_sent == 0


def test_a_full_disk_is_known_before_a_byte_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the free space is less than what is missing, nothing is asked for and nothing is written."""
    monkeypatch.setattr(disk, "room", lambda _: disk.SPARE + 1000)
    with LoopbackHub({MODEL: repository(tmp_path / "source")}) as hub:
        error = refused(hub, tmp_path / "cache")
        assert error.reason is Reason.DISK_FULL
        assert "1 kB" in error.diagnosis
        assert hub.bytes_sent == 0
    assert not [path for path in (tmp_path / "cache").rglob("blobs/*") if path.is_file()]


def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path) -> None:
    """A write that the system refuses (here by a limit on files) is DISK_FULL, and its bytes are given back."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    script = DOWNLOAD[2].replace(
        "print(", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2)\nprint("
    )
    with LoopbackHub({MODEL: source}) as hub:
        command = [sys.executable, "-c", script, MODEL, hub.endpoint, str(cache)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603 - our own command
    assert "ModelUnavailable: there is no room in" in ended.stderr
    assert size_of_parts(cache) == 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_the_systems_own_word_for_a_full_disk() -> None:
    """ENOSPC, as the kernel gives it, is DISK_FULL."""
    with (
        pytest.raises(ModelUnavailable) as caught,
        disk.disk_errors(Path("/dev")),
        Path("/dev/full").open("wb", 0) as out,
    ):
        out.write(b"a byte")
    assert caught.value.reason is Reason.DISK_FULL


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only cache is CACHE_READ_ONLY before anything is sent; what lies in it whole is used all the same."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(30, "Read-only file system")

    with LoopbackHub({MODEL: source}) as hub, Hub(hub.endpoint) as asked:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "mkdir", refuse)
            assert refused(hub, cache).reason is Reason.CACHE_READ_ONLY
            assert hub.bytes_sent == 0
        found = download(MODEL, hub=asked, cache=cache)
        monkeypatch.setattr(Path, "mkdir", refuse)
        assert download(MODEL, hub=asked, cache=cache) == found


def test_stopping_is_prompt_and_keeps_what_is_here(tmp_path: Path) -> None:
    """A set event ends a download that stands still, although its server never says another word."""
    source, cache, stop = repository(tmp_path / "source"), tmp_path / "cache", threading.Event()
    with (
        LoopbackHub({MODEL: source}, fault=Fault.STALLED, after=100_000) as hub,
        Hub(hub.endpoint, timeout=600) as asked,
    ):

        def interrupt() -> None:
            until(lambda: hub.bytes_sent >= 100_000, "it stands still")
            stop.set()

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(Stopped):
            download(MODEL, hub=asked, cache=cache, stop=stop)
    assert size_of_parts(cache) == 100_000


def test_a_new_commit_shares_the_contents_that_stayed(tmp_path: Path) -> None:
    """Of another revision only what has changed is fetched; the parts of what is gone are removed."""
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    with LoopbackHub({MODEL: source}) as hub, Hub(hub.endpoint) as asked:
        first = download(MODEL, hub=asked, cache=cache)
        (source / "tokenizer.json").write_text('{"another": 1}')
        sent, commit = hub.bytes_sent, asked.listing(MODEL).revision
        second = download(MODEL, hub=asked, cache=cache, revision=commit)
        assert hub.bytes_sent - sent == len('{"another": 1}')
    assert first != second
    assert (first / "tokenizer.json").read_text() != (second / "tokenizer.json").read_text()


def test_a_directory_is_looked_at_itself(tmp_path: Path) -> None:
    """A directory that holds the whole model is the answer; one that does not is FILE_MISSING. No hub is asked."""
    source = repository(tmp_path / "source")
    with Hub(offline=True) as hub:
        assert download(str(source), hub=hub, cache=tmp_path / "cache") == source
        (source / "tokenizer.json").unlink()
        with pytest.raises(ModelUnavailable) as caught:
            download(str(source), hub=hub, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.FILE_MISSING


def test_offline_is_an_answer_at_once(tmp_path: Path) -> None:
    """With offline mode set and nothing in the cache the reason is HUB_OFFLINE, and nothing is asked."""
    with LoopbackHub({MODEL: repository(tmp_path / "source")}) as hub:
        environment = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
        with Hub.from_environment(environment) as asked, pytest.raises(ModelUnavailable) as caught:
            download(MODEL, hub=asked, cache=tmp_path / "cache")
        assert caught.value.reason is Reason.HUB_OFFLINE
        assert not hub.requests


def test_a_token_goes_to_the_hub_and_nowhere_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The hub gets the token with every request, the store behind its redirects never; no log and no file holds it."""
    token = Secret("hf_" + "SeededToken0123456789abcdefghijklm")
    source, cache = repository(tmp_path / "source"), tmp_path / "cache"
    caplog.set_level(0)
    with LoopbackHub({MODEL: source}, token=token) as hub:
        with Hub(hub.endpoint, token) as asked:
            download(MODEL, hub=asked, cache=cache)
        assert {request.headers.get("authorization") for request in hub.requests} == {f"Bearer {token.reveal()}"}
        assert hub.elsewhere_requests
        assert not [request for request in hub.elsewhere_requests if "authorization" in request.headers]
        shutil.rmtree(cache)
        hub.fault = Fault.UNAUTHORISED
        with Hub(hub.endpoint, token) as asked, pytest.raises(ModelUnavailable) as caught:
            download(MODEL, hub=asked, cache=cache)
    assert token.reveal() not in caplog.text + str(caught.value) + repr(caught.value.__dict__)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and token.reveal().encode() in path.read_bytes()]


def test_a_content_under_another_name_is_not_linked_away(tmp_path: Path) -> None:
    """What the hub's client has linked under its own etag stays, where a mirror that is asked later names another."""
    with LoopbackHub({MODEL: repository(tmp_path / "hub")}) as hub, Hub(hub.endpoint) as asked:
        cache = tmp_path / "cache"
        found = download(MODEL, hub=asked, cache=cache)
        config = (found / "config.json").resolve()
        other = config.rename(config.with_name("the-hubs-own-etag"))
        (found / "config.json").unlink()
        (found / "config.json").symlink_to(os.path.relpath(other, found))
        (found / "model.safetensors").unlink()
        again = download(MODEL, hub=asked, cache=cache)
    assert (again / "config.json").resolve() == other
    assert cached_snapshot(MODEL, cache) == again
