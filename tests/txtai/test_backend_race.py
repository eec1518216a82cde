"""A checkout's own service is put through the scenarios: faults reproduced, absent, and what could not be known."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.checkout import Checkout
from alwrity_checks.backend.drivers import txtai_target
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Event, Observation, Outcome, TargetKind
from alwrity_checks.txtai.experiment import TxtaiExperiment
from alwrity_checks.txtai.scenarios.backend import BackendTarget
from tests.support.backend_checkout import CONFLICT, DOUBLE, DROP_IN, HEALTHY, SECRET, write_checkout

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def race(target: BackendTarget, codes: Collection[str] | None = None) -> tuple[TxtaiExperiment, Sequence[Observation]]:
    """Put a checkout through the scenarios of these rules."""
    experiment = TxtaiExperiment(chosen=[target], codes=codes)
    return experiment, asyncio.run(experiment.run(target, Silent()))


def found(root: Path, service: str) -> BackendTarget:
    """Return a checkout with this service, found and looked at as the command line does."""
    return txtai_target(Checkout(write_checkout(root, service)))


def test_faults_of_a_faulty_checkout_show(tmp_path: Path) -> None:
    """Two initialisations, a save of the wrong object, replaced documents, a start that is never repeated, a torn save.

    The recording shows the threads and objects as it does for the rebuilt service, and the log lines are evidence.
    """
    codes = {"TXT003", "TXT004", "TXT005", "TXT006", "TXT007", "TXT009", "TXT011", "TXT012", "TXT014"}
    experiment, observations = race(found(tmp_path, DOUBLE), codes)
    outcomes = {one.rule.code: one.outcome for one in observations}
    assert {code for code, outcome in outcomes.items() if outcome is Outcome.REPRODUCED} == codes - {"TXT011"}
    assert outcomes["TXT011"] is Outcome.ABSENT
    assert {one.target.kind for one in observations} == {TargetKind.BACKEND}
    double = next(one for one in experiment.played if one.scenario.code == "TXT004")
    assert (double.accepted, double.found) == (5, 0)
    recording = double.telling.recording
    assert recording
    assert {"background", "event loop"} <= set(recording.threads)
    assert any(mark.fault and mark.name.startswith("saves Embeddings") for mark in recording.marks)
    assert "_initialize_embeddings" in {span.name for span in recording.spans}
    evidence = {(one.label, one.value) for one in observations[0].evidence}
    assert any("(2 times in one process)" in value for label, value in evidence if label == "log")
    assert any(label == "driven by" for label, _ in evidence)
    assert SECRET not in str(observations)
    assert not list(tmp_path.rglob("__pycache__"))
    assert not list(tmp_path.rglob("workspace"))


def test_healthy_checkout_has_none_of_the_faults(tmp_path: Path) -> None:
    """Every scenario comes to its end on a sound service, and the fault is absent."""
    _, observations = race(found(tmp_path, HEALTHY))
    assert {one.rule.code: one.message for one in observations if one.outcome is not Outcome.ABSENT} == {}
    assert len(observations) == 14


def test_checkout_that_took_the_cure_is_driven(tmp_path: Path) -> None:
    """A service that is our drop-in class is driven through its own names, on the stage's model."""
    _, observations = race(found(tmp_path, DROP_IN), {"TXT003", "TXT006", "TXT012"})
    assert [one.outcome for one in observations] == [Outcome.ABSENT] * 3, observations


def test_service_that_parts_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """A merge left undone is named with its line before anything is run."""
    target = found(tmp_path, CONFLICT)
    with pytest.raises(CannotCheck, match=r"txtai_service\.py:3 does not parse: a merge conflict"):
        race(target)


def test_checkout_without_the_service_is_unknown(tmp_path: Path) -> None:
    """A revision that has no such module is not called free of its faults."""
    backend = write_checkout(tmp_path, HEALTHY)
    (backend / "services/intelligence/txtai_service.py").unlink()
    with pytest.raises(CannotCheck, match=r"no services/intelligence/txtai_service\.py"):
        race(txtai_target(Checkout(backend)))


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
            r"-11 \(SIGSEGV\) while the checkout\'s service was",
        ),
        ("import time\ntime.sleep(600)\n", "silence while the checkout's service was imported"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("TXTAI_AVAILABLE = False\nclass TxtaiIntelligenceService: ...\n", "its own import of txtai failed"),
        ("class Other: ...\n", "has no attribute 'TxtaiIntelligenceService'"),
    ],
    ids=["segfault", "hang", "import", "degraded", "class"],
)
def test_import_that_fails_is_unknown(service: str, said: str, tmp_path: Path) -> None:
    """What dies, hangs or raises at its import, or has no such class, is told so; nothing is guessed."""
    backend = write_checkout(tmp_path, service)
    with pytest.raises(CannotCheck, match=said) as caught:
        race(BackendTarget(backend, patience=5.0 if "sleep" in service else 120.0))
    assert "services.intelligence.txtai_service" in caught.value.remedy


def test_service_that_never_works_is_unknown(tmp_path: Path) -> None:
    """One that refuses everything on a ready index proves nothing, and its own log lines say why."""
    broken = DOUBLE.replace("embeddings = self._new()", "embeddings = self._other()")
    with pytest.raises(CannotCheck, match="cannot be driven") as caught:
        race(BackendTarget(write_checkout(tmp_path, broken)))
    assert "ERROR Critical failure" in caught.value.diagnosis


def test_loss_that_the_sandbox_may_have_caused_is_unknown(tmp_path: Path) -> None:
    """Where a write was refused, a loss of documents is not blamed on the service."""
    outside = tmp_path / "outside"
    spoilt = DOUBLE.replace(
        "        self.embeddings.save(self.index_path)\n",
        "        self.embeddings.save(self.index_path)\n"
        "        if len(items) > 1:\n"
        "            try:\n"
        f"                open({str(outside)!r}, 'w')\n"
        "            except OSError:\n"
        "                pass\n",
    )
    _, (observation,) = race(BackendTarget(write_checkout(tmp_path, spoilt)), {"TXT005"})
    assert observation.outcome is Outcome.UNKNOWN
    assert "the sandbox had refused a write" in observation.message
    assert not outside.exists()


def test_interpreter_that_does_not_start_is_unknown(tmp_path: Path) -> None:
    """A path that leads to no program is an answer of its own."""
    with pytest.raises(CannotCheck, match="before it could say anything"):
        race(BackendTarget(write_checkout(tmp_path, HEALTHY), tmp_path / "no-python"))
