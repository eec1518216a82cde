"""What goes wrong around a user's index, and what is left of it: everything that was accepted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.errors import Closed, ForkedProcess, NotReady, Unindexable
from alwrity_checks.txtai.initialisation import State
from alwrity_checks.txtai.receipts import Progress
from alwrity_checks.txtai.storage import StorageError
from tests.support.txtai_runtime import PATIENCE, THREE, Loader, failing, ids, running


def test_a_failed_start_is_shown_and_repeated(tmp_path: Path) -> None:
    """ALwrity stays down for ever after one failure; here the failure is shown with its time, and the next succeeds."""
    loader = Loader(failures=[ConfigurationError("the model is not there", "put it there")])
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        receipt = index.add_sync(THREE)
        with pytest.raises(NotReady) as caught:
            index.search_sync("alpha", timeout=5)
        assert "the model is not there" in caught.value.reason
        assert caught.value.remedy == "put it there"
        assert caught.value.retry_at is not None
        assert caught.value.retry_at > time.time() + 5
        assert indexes.status().encoder is State.FAILED
        assert indexes.status().encoder_error == "the model is not there"
        assert receipt.state is Progress.DEFERRED
    with running(tmp_path, Loader(failures=[OSError("the disk is slow")])) as indexes:
        indexes.of("alice").delete_sync(["nothing"], critical=True)
        assert ids(indexes.of("alice"), "alpha") == ["a"]


def test_an_index_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    """One user's open fails twice; the searches wait through it, and nobody else notices."""
    with running(tmp_path) as indexes:
        indexes.of("bob").add_sync(THREE, critical=True)
        with failing("loading", lambda: OSError("not today"), 2) as raised:
            assert ids(indexes.of("bob"), "beta") == ["b"]
            indexes.of("alice").add_sync(THREE, critical=True)
        assert len(raised) == 2
        assert indexes.of("alice").status().error is None


@pytest.mark.parametrize("name", ["applying", "applied", "noted", "loaded", "saving", "switched", "trimmed"])
def test_a_failure_at_any_step_loses_nothing(tmp_path: Path, name: str) -> None:
    """A write that fails twice at a named point delays the documents and nothing else."""
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        with failing(name, lambda: OSError("the disk has a bad day"), 2):
            index.add_sync([(f"{number}", f"text {number}") for number in range(300)], critical=True)
            index.add_sync(THREE, critical=True)
        assert index.status().store.documents == 303
        assert index.status().store.dead_letters == 0
        assert ids(index, "text 299", 303) == ["299"]


def test_poison_is_found_and_put_aside(tmp_path: Path) -> None:
    """Texts that the model cannot take, or answers with nonsense, become dead letters; the others are searchable."""
    texts = {f"{number}": f"text {number}" for number in range(200)} | {
        "7": "poison",
        "99": "infinite",
        "100": "poison!",
    }
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        receipt = index.add_sync(list(texts.items()))
        with pytest.raises(Unindexable) as caught:
            receipt.wait(PATIENCE)
        assert set(caught.value.reasons) == {"7", "99", "100"}
        assert "cannot be taken" in caught.value.reasons["7"]
        assert receipt.state is Progress.UNINDEXABLE
        assert {letter.document.id for letter in index.dead_letters()} == {"7", "99", "100"}
        assert index.status().store.documents == 197
        assert index.status().store.queued == 0
        assert ids(index, "text 150", 200) == ["150"]
        index.add_sync([("7", "cured")], critical=True)
        assert {letter.document.id for letter in index.dead_letters()} == {"99", "100"}


def test_a_broken_encoder_condemns_no_document(tmp_path: Path) -> None:
    """While the encoder fails for everything, no document is put aside; when it works again, all are searchable."""
    loader = Loader()
    loader.encoder.broken = RuntimeError("tensor mismatch")
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        receipt = index.add_sync(THREE)
        with pytest.raises(NotReady, match="tensor mismatch"):
            receipt.wait(0.5)
        with pytest.raises(NotReady, match="could not be encoded"):
            index.search_sync("alpha")
        assert index.dead_letters() == []
        loader.encoder.broken = None
        receipt.wait(PATIENCE)
        assert index.status().error is None


def test_a_library_that_takes_nothing_does_not_empty_the_queue(tmp_path: Path) -> None:
    """When every write into the index fails, a few documents at most are suspected, and the rest stays queued."""
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        index.ready_sync(PATIENCE)
        documents = [(f"{number}", f"text {number}") for number in range(12)]
        with failing("applying", lambda: AttributeError("'IndexIDMap' object has no attribute 'nprobe'")) as raised:
            receipt = index.add_sync(documents)
            deadline = time.monotonic() + PATIENCE
            while len(raised) < 14:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        with pytest.raises(Unindexable):
            receipt.wait(PATIENCE)
        assert len(index.dead_letters()) <= 3
        assert index.status().store.documents + len(index.dead_letters()) == 12


def test_closing_keeps_what_was_accepted(tmp_path: Path) -> None:
    """Receipts are told, later calls are refused, and the next start finds everything."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        receipt = index.add_sync(THREE)
        threading.Timer(0.05, loader.gate.set).start()
        assert indexes.close_sync(PATIENCE)
        if receipt.state is not Progress.SEARCHABLE:
            with pytest.raises(Closed):
                receipt.wait(PATIENCE)
        for refused in (
            lambda: index.add_sync(THREE),
            lambda: index.search_sync("alpha"),
            lambda: index.search_sync("alpha", critical=False),
            lambda: indexes.of("bob"),
            lambda: indexes.ready_sync(1),
        ):
            with pytest.raises(Closed):
                refused()
        assert indexes.close_sync(PATIENCE)
    with running(tmp_path) as indexes:
        indexes.of("alice").delete_sync(["nothing"], critical=True)
        assert ids(indexes.of("alice"), "alpha") == ["a"]


def test_who_closes_a_second_time_waits_for_the_first(tmp_path: Path) -> None:
    """And for what the first did not wait for: whether everything has ended is true when it is said."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader) as indexes, ThreadPoolExecutor(1) as pool:
        indexes.of("alice").add_sync(THREE)
        first = pool.submit(indexes.close_sync, PATIENCE)
        while not indexes._closed:
            time.sleep(0.001)
        assert not indexes.close_sync(0)
        loader.gate.set()
        assert indexes.close_sync(PATIENCE)
        assert first.result(PATIENCE)
    loader.gate.clear()
    with running(tmp_path, loader) as indexes:
        indexes.of("alice").add_sync(THREE)
        assert not indexes.close_sync(0)
        assert not indexes.close_sync(0)
        loader.gate.set()
        assert indexes.close_sync(PATIENCE)


_LEFT_IN_THE_MIDDLE: Final = """
import functools, pathlib, sys, threading, time
import numpy
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
at_work = threading.Event()
class Slow:
    identity, dimensions = "slow:4", 4
    def encode(self, texts):
        at_work.set()
        time.sleep(0.5)
        print("encoded", flush=True)
        return numpy.full((len(texts), 4), 0.5, numpy.float32)
storage = functools.partial(SharedStorage, pathlib.Path(sys.argv[1]))
indexes = SemanticIndexes(storage, load=lambda model: Slow(), encoders=EncoderRegistry())
indexes.of("alice").add_sync([("a", "alpha")])
at_work.wait()
threading.Thread(target=indexes.close_sync, daemon=True).start()
while not indexes._closed:
    time.sleep(0.001)
"""


def test_an_interpreter_that_ends_during_a_close_waits_for_it(tmp_path: Path) -> None:
    """Somebody who interrupts a program twice: torch, left in the middle, would end it with a signal."""
    command = [sys.executable, "-c", _LEFT_IN_THE_MIDDLE, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603 - our own interpreter
    assert (done.stdout, done.stderr) == ("encoded\n", "")


def test_a_fork_is_refused_in_words(tmp_path: Path) -> None:
    """A child that uses its parent's index hears what to do instead; one made before the fork and not used works."""
    with running(tmp_path / "used") as used, running(tmp_path / "unused") as unused:
        used.of("alice").add_sync(THREE, critical=True)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                try:
                    used.of("alice")
                except ForkedProcess as error:
                    said = f"{error.owner == os.getppid()} {'after the fork' in error.remedy}"
                unused.of("alice").add_sync(THREE)
                said += f" {unused.of('alice').status().store.queued}"
                os.write(writing, said.encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            assert answer.read() == "True True 3"
        os.waitpid(child, 0)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Nothing is accepted where it cannot be kept, and the error says where that is."""
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no directory")
    with running(in_the_way) as indexes, pytest.raises(StorageError, match="file"):
        indexes.of("alice").add_sync(THREE)


def test_no_receipt_is_left_hanging_by_a_close(tmp_path: Path) -> None:
    """Documents that are being accepted while everything closes: each receipt comes to an end, and each is kept."""
    accepted: list[str] = []

    def add(number: int) -> None:
        try:
            receipt = indexes.of(f"{number % 3}").add_sync([(f"{number}", f"text {number}")])
        except Closed:
            return
        accepted.append(f"{number}")
        try:
            receipt.wait(PATIENCE)
        except Closed:
            return

    with running(tmp_path) as indexes, ThreadPoolExecutor(16) as pool:
        work = [pool.submit(add, number) for number in range(200)]
        work[40].result(PATIENCE)
        assert indexes.close_sync(PATIENCE)
        for future in work:
            future.result(PATIENCE)
    with running(tmp_path) as indexes:
        for user in range(3):
            indexes.of(f"{user}").delete_sync(["nothing"], critical=True)
        for number in accepted:
            assert ids(indexes.of(f"{int(number) % 3}"), f"text {number}", 100) == [number]
