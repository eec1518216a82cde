"""What the faces of issues 1 and 2 write cures a checkout: no experiment shows any of its faults afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.adoption.faces import face
from alwrity_checks.adoption.sources import CheckoutSources
from alwrity_checks.auth import experiment as of_auth
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.drivers import DRIVERS
from alwrity_checks.backend.driving import Surroundings
from alwrity_checks.hf import experiment as of_hf
from alwrity_checks.model import Event, Outcome
from tests.support.auth_backend import middleware, write_auth_backend
from tests.support.hf_backends import WHOLE, write_checkout

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("libcst")
pytest.importorskip("openai")
pytest.importorskip("tenacity")


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def adopted(root: Path, issue: int) -> None:
    """Write what the face of an issue would write into a checkout."""
    checkout = find_checkout(root)
    for change in face(issue).propose(CheckoutSources(checkout)).changes:
        (checkout.backend / change.path).write_text(change.after, encoding="utf-8")


@pytest.mark.parametrize("issue", [1, 2])
def test_no_fault_is_left(issue: int, tmp_path: Path) -> None:
    """Every scenario is played on the thin module, under its own name, and none shows its fault or stays open."""
    if issue == 1:
        write_auth_backend(tmp_path, middleware("D"))
    else:
        write_checkout(tmp_path, WHOLE)
    adopted(tmp_path, issue)
    target = DRIVERS[issue](find_checkout(tmp_path), Surroundings())
    room = {1: of_auth, 2: of_hf}[issue]
    observations = asyncio.run(room.experiment().run(target, Silent()))
    assert {one.scenario: one.message for one in observations if one.outcome is not Outcome.ABSENT} == {}
    assert len(observations) == len(room.SCENARIOS)
