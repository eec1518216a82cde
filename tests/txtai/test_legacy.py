"""The model of the historical service: on a stub of txtai it has the faults that were measured on the original."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import Outcome
from alwrity_checks.txtai.legacy.engine import StubEmbeddings, StubEngine, hashed
from alwrity_checks.txtai.legacy.service import LegacyProcess
from alwrity_checks.txtai.legacy.variant import DESCRIPTIONS, LegacyVariant
from alwrity_checks.txtai.scenarios.calls import first_call, forced_first_call
from alwrity_checks.txtai.scenarios.scenario import batch
from alwrity_checks.txtai.scenarios.targets import LegacyTarget

if TYPE_CHECKING:
    from pathlib import Path

SILENT, THEIRS, AWAITING, DOUBLE, HEAD = LegacyVariant
R, A, U = Outcome.REPRODUCED, Outcome.ABSENT, Outcome.UNKNOWN
every_variant = pytest.mark.parametrize("variant", LegacyVariant)


@pytest.mark.parametrize(
    ("variant", "accepted", "found", "error"),
    [(SILENT, 5, 0, False), (THEIRS, 0, 0, True), (AWAITING, 5, 5, False), (DOUBLE, 5, 5, False), (HEAD, 5, 5, False)],
)
def test_first_call_while_the_model_loads(variant: LegacyVariant, accepted: int, found: int, *, error: bool) -> None:
    """The oldest state drops the documents silently, the conflict's side raises, the later ones wait."""
    offer, seen = first_call(LegacyTarget(variant), stubbed=True)
    assert (seen.accepted, seen.found, bool(offer.errors)) == (accepted, found, error)
    if error:
        assert "RuntimeError: Cannot index content - service not initialized for user" in offer.errors[0]


@pytest.mark.parametrize(("variant", "outcome"), [(SILENT, U), (THEIRS, U), (AWAITING, A), (DOUBLE, R), (HEAD, R)])
def test_double_initialisation_loses_the_first_call(variant: LegacyVariant, outcome: Outcome) -> None:
    """In the forced order, what is saved is another object than the one that was indexed on."""
    seen = forced_first_call(LegacyTarget(variant), stubbed=True)
    assert seen.outcome is outcome
    if outcome is R:
        assert (seen.accepted, seen.found) == (5, 0)
        (objects,) = [one.value for one in seen.evidence if one.label == "objects"]
        assert objects == "indexed on StubEmbeddings 1; saved from StubEmbeddings 2"


@pytest.mark.parametrize(("variant", "found"), [(SILENT, 0), (AWAITING, 5), (DOUBLE, 5), (HEAD, 5)])
def test_two_calls_at_once_lose_one_batch(variant: LegacyVariant, found: int) -> None:
    """Of two batches of five at once, one is lost; of the silent state, both are."""
    seen = forced_first_call(LegacyTarget(variant), batches=("today", "yesterday"), stubbed=True)
    assert (seen.outcome, seen.accepted, seen.found) == (R, 10, found)


def call(process: LegacyProcess, *days: str) -> None:
    """Index a batch for each of `days`, one after the other, on a ready index."""

    async def calls() -> None:
        service = process.of("ann")
        await service.search("is anything there?")
        await asyncio.to_thread(process.wait, 10.0)
        for day in days:
            await service.index_content(batch(day))

    asyncio.run(calls())


def stored(process: LegacyProcess) -> list[str]:
    """Return the ids that are on disk."""
    index = StubEmbeddings(lambda _: None)
    index.load(process.of("ann").index_path)
    return sorted(index._texts)


@every_variant
def test_only_head_keeps_earlier_batches(variant: LegacyVariant, tmp_path: Path) -> None:
    """index() replaces what an earlier call stored, upsert() does not."""
    process = LegacyProcess(variant, tmp_path, StubEngine())
    call(process, "today", "yesterday")
    assert len(stored(process)) == (10 if variant is HEAD else 5)


@every_variant
def test_failed_start_is_never_tried_again(variant: LegacyVariant, tmp_path: Path) -> None:
    """After one failure is_initialized() says no for ever, although the cause is gone."""
    loads = iter([OSError("no network")])

    def load() -> None:
        for error in loads:
            raise error

    engine = StubEngine(load)
    process = LegacyProcess(variant, tmp_path, engine)

    async def asked() -> list[bool]:
        answers = []
        for _ in range(4):
            answers.append(process.of("ann").is_initialized())
            await asyncio.to_thread(process.wait, 10.0)
        return answers

    assert asyncio.run(asked()) == [False] * 4
    assert engine.loads == 1


@pytest.mark.parametrize("variant", [AWAITING, DOUBLE, HEAD])
def test_without_fail_fast_the_documents_are_dropped(variant: LegacyVariant, tmp_path: Path) -> None:
    """SIF_FAIL_FAST=false turns the error into a return value; nothing is stored either way."""

    def load() -> None:
        raise OSError("no network")

    async def index(*, fail_fast: bool) -> object:
        process = LegacyProcess(variant, tmp_path, StubEngine(load), fail_fast=fail_fast)
        try:
            return await process.of("ann").index_content(batch("today"))
        finally:
            await asyncio.to_thread(process.wait, 10.0)

    assert asyncio.run(index(fail_fast=False)) == (0 if variant is HEAD else None)
    with pytest.raises(RuntimeError, match="Cannot index content"):
        asyncio.run(index(fail_fast=True))
    assert not list(tmp_path.rglob("config.json"))


def test_index_that_cannot_be_loaded_is_overwritten(tmp_path: Path) -> None:
    """A damaged index is taken for an empty one, and the next call saves over it."""
    call(LegacyProcess(HEAD, tmp_path, StubEngine()), "today")
    (documents,) = tmp_path.rglob("documents")
    documents.write_text('{"today-0": "wh')
    process = LegacyProcess(HEAD, tmp_path, StubEngine())
    call(process, "yesterday")
    assert stored(process) == [f"yesterday-{n}" for n in range(5)]


def test_index_is_used_on_the_event_loop(tmp_path: Path) -> None:
    """Whatever index() and save() take, the loop takes."""
    threads = set()
    process = LegacyProcess(HEAD, tmp_path, StubEngine(work=lambda _: threads.add(threading.get_ident())))
    call(process, "today")
    assert threads == {threading.get_ident()}


def test_user_id_is_a_path(tmp_path: Path) -> None:
    """The id goes into the path as it is."""
    process = LegacyProcess(HEAD, tmp_path / "backend", StubEngine())
    asyncio.run(process.of("/../../../outside").index_content(batch("today")))
    process.wait(10.0)
    assert (tmp_path / "outside").is_dir()


def test_every_variant_is_described() -> None:
    """Each state says what it does."""
    assert set(DESCRIPTIONS) == set(LegacyVariant)


def test_hashed_vectors_tell_texts_apart() -> None:
    """Equal texts are at distance nought, others far from each other; each vector has length 1."""
    one, same, other = hashed(["a", "a", "b"])
    assert float(one @ same) == pytest.approx(1.0)
    assert float(one @ other) < 0.9
    assert hashed(["a"]).shape == (1, 32)
