"""Components that really fail, and what `triage` says of the log that they leave."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.errors import KeysUnavailable
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.errors import DoctorError
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.generation import GenerationFailed
from alwrity_checks.hf.generator import StructuredGenerator
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from alwrity_checks.hf.router import Router
from alwrity_checks.logs.triage import Nature, Sureness
from alwrity_checks.models.errors import OutOfMemory
from alwrity_checks.models.sharing import SharedModels
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.txtai.indexes import SemanticIndexes
from tests.support.reading_logs import cause_of, triage_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alwrity_checks.logs.triage import Triage

LOG = logging.getLogger("alwrity_checks")


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Write what the components log into a file, as a backend that sets logging up would."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(
        logging.Formatter("%(asctime)s | %(levelname)-8s | %(name)s:%(funcName)s:%(lineno)d - %(message)s")
    )
    LOG.addHandler(handler)
    level = LOG.level
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(handler)
        handler.close()


def only_cause(triage: Triage, name: str) -> None:
    """See that the event is the one cause, told for sure, and that nothing in the log is unknown trouble."""
    cause = cause_of(triage, name)
    assert (cause.sure, cause.incidents, len(triage.causes)) == (Sureness.CERTAIN, 1, 1)
    assert not triage.clusters
    assert cause.remedy
    assert cause.commands


def test_keys_that_cannot_be_fetched(tmp_path: Path) -> None:
    """Nobody listens at the key server's address: the fetch's reason is the cause, and lies outside."""
    log = tmp_path / "backend.log"
    with logged(log):
        keys = RemoteKeys("http://127.0.0.1:9/.well-known/jwks.json")
        keys.refresh().result(30)
        with pytest.raises(KeysUnavailable):
            keys.settle("any")
    triage = triage_of(log)
    only_cause(triage, "auth.keys-fetch-failed:jwks-connect")
    assert triage.causes[0].rule == "AUTH041"
    assert triage.causes[0].nature is Nature.OUTSIDE


def test_a_call_without_credits(tmp_path: Path) -> None:
    """The router answers 402: the classification's cause is the log's, without reading an exception's text."""
    log = tmp_path / "backend.log"
    with logged(log), LoopbackRouter() as server:
        server.behave(Behaviour.CREDITS_GONE)
        generator = StructuredGenerator(
            Router(server.base_url, server.token), Chain.unmeasured("openai/gpt-oss-120b:groq")
        )
        with pytest.raises(GenerationFailed):
            generator.generate_sync("Rate it.", {"type": "object"}, deadline=20)
        generator.close()
    triage = triage_of(log)
    only_cause(triage, "hf.generation-failed:credits-gone")
    assert server.token not in log.read_text("utf-8")


def test_a_model_without_memory(tmp_path: Path) -> None:
    """The loader says that memory ran out: so does the diagnosis."""
    log = tmp_path / "backend.log"

    def load(_: Step) -> str:
        raise MemoryError

    step = Step("acme/model", Runtime.TRANSFORMERS, Precision.FLOAT32)
    models: SharedModels[str] = SharedModels(load, lambda _: None)
    with logged(log), pytest.raises(OutOfMemory):
        models.obtain(step, timeout=30)
    models.close()
    only_cause(triage_of(log), "models.step-failed:out-of-memory")


def test_an_encoder_that_is_not_there(tmp_path: Path) -> None:
    """A model's directory that does not exist: the index says so, and the document is kept."""
    log = tmp_path / "backend.log"
    with logged(log):
        settings = {"ALWRITY_TXTAI_DIR": str(tmp_path / "indexes"), "ALWRITY_TXTAI_MODEL": str(tmp_path / "no-model")}
        indexes = SemanticIndexes.from_environment(settings)
        with pytest.raises(DoctorError):
            indexes.encode_sync(["x"], timeout=5)
        indexes.close_sync()
    triage = triage_of(log)
    assert cause_of(triage, "txtai.encoder-unloaded").rule == "TXT072"
