"""The encoder's thread: single flight, order, urgency, failures, and its end."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pytest

from alwrity_checks.txtai.encoder import BATCH
from alwrity_checks.txtai.encoding import LONGEST_READ, EncoderRegistry, EncoderThread, Urgency
from alwrity_checks.txtai.errors import Closed
from alwrity_checks.txtai.initialisation import State
from tests.support.txtai_runtime import PATIENCE, HashEncoder, Loader
from tests.support.txtai_store import encode

T = TypeVar("T")


def thread(loader: Loader) -> EncoderThread:
    """Return a thread that has been started."""
    one = EncoderThread(lambda: loader("model"))
    one.start()
    return one


def done(future: Future[T]) -> T:
    """Return a future's result."""
    return future.result(PATIENCE)


def test_vectors_come_in_the_order_of_the_texts() -> None:
    """Sorting by length is the thread's own business."""
    one = thread(Loader())
    texts = [f"{'x' * (number * 37 % 101)} {number}" for number in range(3 * BATCH + 5)]
    np.testing.assert_array_equal(done(one.encode(texts, Urgency.DOCUMENTS)), encode(texts))
    assert done(one.encode([], Urgency.DOCUMENTS)).shape == (0, 8)
    assert one.close(PATIENCE)


def test_texts_of_one_length_go_together() -> None:
    """Batches are cut from the longest text to the shortest, so that little is padded."""
    loader = Loader()
    one = thread(loader)
    done(one.encode([f"{'x' * (number % 7)}{number:04}" for number in range(100)], Urgency.DOCUMENTS))
    lengths = [len(text) for text in loader.encoder.encoded]
    assert lengths == sorted(lengths, reverse=True)
    assert max(map(len, loader.encoder.calls)) == BATCH
    assert one.close(PATIENCE)


def test_a_query_does_not_wait_for_documents() -> None:
    """A query goes before the next batch of a long job."""
    loader = Loader()
    loader.encoder.gate.clear()
    one = thread(loader)
    documents = one.encode([f"document {number}" for number in range(10 * BATCH)], Urgency.DOCUMENTS)
    assert loader.encoder.entered.wait(PATIENCE)
    query = one.encode(["query"], Urgency.QUERY)
    loader.encoder.gate.set()
    done(query)
    done(documents)
    assert loader.encoder.calls[1] == ["query"]
    assert one.close(PATIENCE)


def test_a_short_job_does_not_wait_for_a_long_one() -> None:
    """Jobs of documents take turns: the second is done when the first has had a turn or two."""
    loader = Loader()
    loader.encoder.gate.clear()
    one = thread(loader)
    long = one.encode([f"long {number}" for number in range(20 * BATCH)], Urgency.DOCUMENTS)
    assert loader.encoder.entered.wait(PATIENCE)
    short = one.encode(["short"], Urgency.DOCUMENTS)
    loader.encoder.gate.set()
    done(short)
    done(long)
    assert loader.encoder.calls.index(["short"]) <= 2
    assert one.close(PATIENCE)


def test_all_users_share_one_thread_and_one_model() -> None:
    """100 jobs from 20 threads, before the model is there: one load, one thread encodes."""
    loader = Loader()
    loader.gate.clear()
    registry = EncoderRegistry()
    threads = [registry.acquire("model", lambda: loader("model")) for _ in range(20)]
    assert len(set(map(id, threads))) == 1
    for one in threads:
        one.start()
    with ThreadPoolExecutor(20) as pool:
        futures = list(pool.map(lambda number: threads[number % 20].encode([str(number)], Urgency.QUERY), range(100)))
    loader.gate.set()
    for number, future in enumerate(futures):
        np.testing.assert_array_equal(done(future), encode([str(number)]))
    assert loader.calls == 1
    assert loader.encoder.threads == {"txtai-encoder"}
    assert all(registry.release("model", one, PATIENCE) for one in threads)
    assert threads[0].condition.state is State.CLOSED


def test_a_failed_load_is_tried_again() -> None:
    """Jobs wait through the failures, and are done when the model is there."""
    loader = Loader(failures=[OSError("no such model"), OSError("no such model")])
    one = thread(loader)
    np.testing.assert_array_equal(done(one.encode(["text"], Urgency.QUERY)), encode(["text"]))
    assert loader.calls == 3
    assert one.condition.error is None
    assert one.close(PATIENCE)


def test_an_error_is_the_asker_s_alone() -> None:
    """A text that the model cannot take fails its own job; the one before and the one behind are done."""
    loader = Loader()
    one = thread(loader)
    before, poison, behind = (one.encode([text], Urgency.DOCUMENTS) for text in ("before", "poison", "behind"))
    done(before)
    with pytest.raises(ValueError, match="cannot be taken"):
        done(poison)
    done(behind)
    assert one.close(PATIENCE)


def test_what_nobody_waits_for_is_not_encoded() -> None:
    """A job that was cancelled before its turn costs nothing."""
    loader = Loader()
    loader.encoder.gate.clear()
    one = thread(loader)
    first = one.encode(["first"], Urgency.QUERY)
    assert loader.encoder.entered.wait(PATIENCE)
    given_up, last = one.encode(["given up"], Urgency.QUERY), one.encode(["last"], Urgency.QUERY)
    assert given_up.cancel()
    loader.encoder.gate.set()
    done(first)
    done(last)
    assert "given up" not in loader.encoder.encoded
    assert one.close(PATIENCE)


def test_closing_answers_everybody() -> None:
    """Jobs that are queued, half done or come too late fail with Closed; the thread ends."""
    loader = Loader()
    loader.encoder.gate.clear()
    one = thread(loader)
    half = one.encode([f"{number}" for number in range(2 * BATCH)], Urgency.DOCUMENTS)
    assert loader.encoder.entered.wait(PATIENCE)
    queued = one.encode(["queued"], Urgency.DOCUMENTS)
    assert not one.close(0)
    loader.encoder.gate.set()
    assert one.close(PATIENCE)
    for future in (half, queued, one.encode(["late"], Urgency.QUERY)):
        with pytest.raises(Closed):
            done(future)


def test_closing_what_never_began_needs_no_thread() -> None:
    """Jobs of a thread that was never started are answered as well."""
    one = EncoderThread(HashEncoder)
    waiting = one.encode(["waiting"], Urgency.QUERY)
    before = threading.active_count()
    assert one.close(PATIENCE)
    assert threading.active_count() == before
    with pytest.raises(Closed):
        done(waiting)


def test_a_long_text_reaches_the_model_as_far_as_it_is_read() -> None:
    """A text of megabytes does not hold everybody up in a tokenizer; blanks in front of its words do not hide them."""
    loader = Loader()
    thread = EncoderThread(lambda: loader(""))
    thread.start()
    long = " " * 5_000_000 + "word " * 1_000_000
    thread.encode([long, "a  b"], Urgency.DOCUMENTS).result(PATIENCE)
    assert loader.encoder.encoded == [("word " * 1_000_000)[:LONGEST_READ], "a  b"]
    assert thread.close(PATIENCE)
