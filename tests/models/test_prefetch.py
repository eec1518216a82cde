"""Downloads in the background: at once for whoever asks, and always with an end for whoever waits."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.models.cache import cached_snapshot
from alwrity_checks.models.download import Stopped
from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.hub import Hub
from alwrity_checks.models.loopback_hub import Fault, LoopbackHub
from alwrity_checks.models.prefetch import Downloads, Progress
from alwrity_checks.models.reasons import Reason
from tests.support.hub_models import MODEL, PATIENCE, repository, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """Serve a small model."""
    with LoopbackHub({MODEL: repository(tmp_path / "source")}) as served:
        yield served


def downloads(hub: LoopbackHub, cache: Path, *, retries: int | None = None) -> Downloads:
    """Return downloads whose pauses are short."""
    return Downloads(
        lambda: Hub(hub.endpoint, timeout=600), cache=cache, first_pause=0.02, longest_pause=0.1, retries=retries
    )


def test_it_starts_at_once_and_ends_with_the_model(hub: LoopbackHub, tmp_path: Path) -> None:
    """`start` returns while the hub is silent; the progress grows to the whole; starting again changes nothing."""
    hub.fault, hub.times, hub.after = Fault.STALLED, 1, 100_000
    with downloads(hub, tmp_path / "cache") as ours:
        assert ours.status() == {}
        ours.start(MODEL)
        until(lambda: 100_000 < ours.status()[MODEL].done < ours.status()[MODEL].total, "it has begun")
        assert ours.status()[MODEL].state == "running"
        ours.start(MODEL)
        with pytest.raises(TimeoutError):
            ours.wait(MODEL, 0.01)
    hub.fault = None
    with downloads(hub, tmp_path / "cache") as ours:
        found = ours.wait(MODEL, PATIENCE)
        assert found == cached_snapshot(MODEL, tmp_path / "cache")
        ours.start(MODEL)
        last = ours.status()[MODEL]
    assert (last.state, last.error) == ("done", None)
    assert last.done == last.total > 300_000


def test_what_passes_is_tried_again_with_the_error_shown(hub: LoopbackHub, tmp_path: Path) -> None:
    """While the hub fails the status shows the error and the next attempt; once it has recovered the model comes."""
    hub.fault = Fault.RATE_LIMITED
    hub.retry_after = 0.05
    seen: list[Progress] = []
    ours = Downloads(lambda: Hub(hub.endpoint, timeout=0.04), cache=tmp_path / "cache")
    with ours:
        ours.start(MODEL)

        def has_failed() -> bool:
            seen[:] = [ours.status()[MODEL]]
            return seen[0].error is not None

        until(has_failed, "an attempt has failed")
        hub.fault = None
    assert seen[0].state == "waiting"
    assert seen[0].error is not None
    assert seen[0].error.reason is Reason.HUB_RATE_LIMITED
    assert seen[0].retry_at is not None
    with downloads(hub, tmp_path / "cache") as others:
        hub.fault, hub.times = Fault.ERROR, 3
        assert others.wait(MODEL, PATIENCE) == cached_snapshot(MODEL, tmp_path / "cache")


def test_what_does_not_pass_is_final_until_asked_again(hub: LoopbackHub, tmp_path: Path) -> None:
    """A gated model fails once, for every waiter and with its reason; `start` begins anew when the cause is gone."""
    hub.fault = Fault.GATED
    with downloads(hub, tmp_path / "cache") as ours:
        for _ in range(2):
            with pytest.raises(ModelUnavailable) as caught:
                ours.wait(MODEL, PATIENCE)
            assert caught.value.reason is Reason.MODEL_GATED
        failed = ours.status()[MODEL]
        assert failed.state == "failed"
        assert failed.error is caught.value
        assert len(hub.requests) == 1
        hub.fault = None
        ours.start(MODEL)
        assert ours.wait(MODEL, PATIENCE).is_dir()


def test_retries_can_be_counted(hub: LoopbackHub, tmp_path: Path) -> None:
    """With a number of retries the last failure is what the waiter gets."""
    hub.fault = Fault.ERROR
    ours = Downloads(
        lambda: Hub(hub.endpoint, timeout=0.2), cache=tmp_path, first_pause=0.01, longest_pause=0.01, retries=2
    )
    with ours, pytest.raises(ModelUnavailable) as caught:
        ours.wait(MODEL, PATIENCE)
    assert caught.value.reason is Reason.HUB_ERROR
    assert len(hub.requests) == 3


def test_a_hundred_waiters_cause_one_download(hub: LoopbackHub, tmp_path: Path) -> None:
    """Threads and coroutines that want one model at once get the same directory, and each byte is sent once."""
    found: list[Path] = []
    with downloads(hub, tmp_path / "cache") as ours:
        threads = [threading.Thread(target=lambda: found.append(ours.wait(MODEL, PATIENCE))) for _ in range(50)]
        for thread in threads:
            thread.start()

        async def together() -> list[Path]:
            return await asyncio.gather(*(ours.wait_async(MODEL) for _ in range(50)))

        found += asyncio.run(together())
        for thread in threads:
            thread.join(PATIENCE)
    assert len(found) == 100
    assert len(set(found)) == 1
    assert len([one for one in hub.requests if one.path.startswith("/api/")]) == 1


def test_waiting_does_not_hold_the_loop(hub: LoopbackHub, tmp_path: Path) -> None:
    """While a coroutine waits the loop turns; cancelling the waiting leaves the download alone."""
    hub.fault, hub.after = Fault.STALLED, 1000

    async def play(ours: Downloads) -> int:
        waiting = asyncio.create_task(ours.wait_async(MODEL))
        turns = 0
        while hub.bytes_sent < 1000:
            await asyncio.sleep(0.001)
            turns += 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return turns

    with downloads(hub, tmp_path / "cache") as ours:
        assert asyncio.run(play(ours)) > 1
        assert ours.status()[MODEL].state == "running"


def test_closing_lets_everybody_go(hub: LoopbackHub, tmp_path: Path) -> None:
    """Closing ends a download that stands still, gives its waiters Stopped, and refuses new ones."""
    hub.fault, hub.after = Fault.STALLED, 1000
    ended: list[BaseException] = []
    ours = downloads(hub, tmp_path / "cache")

    def wait() -> None:
        try:
            ours.wait(MODEL)
        except Stopped as error:
            ended.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(lambda: hub.bytes_sent >= 1000, "it stands still")
    ours.close()
    waiter.join(PATIENCE)
    assert len(ended) == 1
    with pytest.raises(ModelUnavailable):
        ours.start("Owner/other")
    ours.close()


def test_the_end_of_a_process_does_not_wait(hub: LoopbackHub, tmp_path: Path) -> None:
    """A process that ends while its download stands still ends at once, without a word on its way out."""
    hub.fault, hub.after = Fault.STALLED, 1000
    script = (
        "import sys, time; from pathlib import Path; from alwrity_checks.models.prefetch import Downloads\n"
        "ours = Downloads.from_environment(); ours.start(sys.argv[1])\n"
        "while not ours.status()[sys.argv[1]].done: time.sleep(0.01)\n"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(tmp_path / "cache")}
    environment.pop("HF_HUB_OFFLINE", None)
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", script, MODEL],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_setting_that_cannot_be_is_an_error_of_the_download(tmp_path: Path) -> None:
    """An endpoint that is none does not stop the server that names it: it is what the download failed of."""
    with Downloads.from_environment({"HF_ENDPOINT": "nonsense", "HF_HUB_CACHE": str(tmp_path)}) as ours:
        with pytest.raises(ModelUnavailable) as caught:
            ours.wait(MODEL, PATIENCE)
        assert caught.value.reason is Reason.SETTING_INVALID


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_with_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    """In a child nothing is under way that nobody carries out; what it starts itself comes to an end."""
    with downloads(hub, tmp_path / "cache") as ours:
        ours.wait(MODEL, PATIENCE)
        child = os.fork()
        if not child:
            fresh = ours.status() == {}
            os._exit(0 if fresh and ours.wait(MODEL, PATIENCE).is_dir() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_no_pause_is_longer_than_a_thread_can_wait(tmp_path: Path) -> None:
    """`Retry-After` may name the year 9999: that is waited for as long as the system can, and is no bug."""
    with Downloads.from_environment({"HF_HUB_CACHE": str(tmp_path)}) as ours:
        assert ours._pause(1, 2.5e11) <= threading.TIMEOUT_MAX
        assert ours._pause(1, 7.0) == 7.0


def test_a_download_without_a_thread_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads, nobody waits without end."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Downloads.from_environment({"HF_HUB_CACHE": str(tmp_path)}) as ours:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            ours.start(MODEL)
        assert ours.status()[MODEL].state == "failed"
        with pytest.raises(ModelUnavailable, match="no thread"):
            ours.wait(MODEL, PATIENCE)
