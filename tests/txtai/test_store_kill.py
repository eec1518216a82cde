"""What is accepted survives `kill -9`, at every step and at any moment."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.txtai_kill import Killer
from tests.support.txtai_survivor import Survivor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, and kills with SIGKILL")

POINTS: Final = (
    "enqueueing",
    "enqueued",
    "applying",
    "applied",
    "noted",
    "saving",
    "saved-work",
    "copied",
    "synced",
    "renamed",
    "switched",
    "trimmed",
)
RANDOM_KILLS: Final = int(os.environ.get("TXTAI_KILLS", "8"))


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """Return the process from which the others are forked."""
    made = Killer()
    yield made
    made.close()


def test_kill_at_every_point(killer: Killer, tmp_path: Path) -> None:
    """No step of accepting, applying and settling is one at which a kill loses, doubles or brings back anything."""
    survivor = Survivor(killer, tmp_path)
    for number, point in enumerate(POINTS):
        assert survivor.kill(number, moment=(point, 1 + number % 3)) == 0
    assert survivor.kept >= len(POINTS)


def test_kill_at_random_moments(killer: Killer, tmp_path: Path) -> None:
    """Nor is any moment between the steps."""
    survivor = Survivor(killer, tmp_path)
    seed = int(os.environ.get("TXTAI_KILL_SEED", "7"))
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    for number in range(RANDOM_KILLS):
        assert survivor.kill(1000 * seed + number, moment=chance.uniform(0.0, 0.3)) == 0
    assert survivor.kept >= RANDOM_KILLS
