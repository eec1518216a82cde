"""A checkout's own start script is started against the hub: faults shown, absent, and what could not be known."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.drivers import startup_target
from alwrity_checks.backend.driving import surroundings
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Event, Outcome
from alwrity_checks.startup.experiment import Played, StartupExperiment
from alwrity_checks.startup.race import Start
from alwrity_checks.startup.race_picture import page
from tests.support.models_backends import CURED, HEAD, OLD, OLD_START, SECRET, Files, write_checkout

if TYPE_CHECKING:
    from alwrity_checks.sandbox.target import CheckoutTarget

START = "start_alwrity_backend.py"
TELLING = ("slow", "stalled", "refused token", "full disk", "kill", "unused model")
"""A scenario for each rule."""


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def raced(target: CheckoutTarget, scenarios: Collection[str]) -> Mapping[str, Played]:
    """Return what each scenario showed, with a hub that takes a second."""
    experiment = StartupExperiment(seconds=1.0, scenarios=scenarios)
    asyncio.run(experiment.run(target, Silent()))
    return {one.scenario.name: one for one in experiment.played}


def found(root: Path, files: Files, script: str = "") -> CheckoutTarget:
    """Return a checkout with these files, found and looked at as the command line does."""
    more = {START: script} if script else {}
    return startup_target(find_checkout(write_checkout(root, {**files, **more})))


def said(played: Mapping[str, Played]) -> dict[str, str]:
    """Return the outcomes, with what was said of them."""
    return {name: f"{one.seen.outcome}: {one.seen.message}" for name, one in played.items()}


def outcomes(played: Mapping[str, Played]) -> set[Outcome]:
    """Return the outcomes."""
    return {one.seen.outcome for one in played.values()}


def test_every_fault_of_the_old_script_shows(tmp_path: Path) -> None:
    """It waits, hangs with the hub, says nothing, fills the disk, begins anew, and fetches what nobody uses.

    Nothing of the checkout is written, the times are there for the picture, and no secret is told.
    """
    target = found(tmp_path, OLD)
    before = {one: hashlib.sha256(one.read_bytes()).hexdigest() for one in tmp_path.rglob("*") if one.is_file()}
    played = raced(target, TELLING)
    assert outcomes(played) == {Outcome.REPRODUCED}, said(played)
    slow = played["slow"].seen.start
    assert slow is not None
    order = [moment.event for moment in slow.moments]
    assert order.index("download-ended") < order.index("listening") < order.index("answered") < order.index("usable")
    evidence = {one.label: one.value for one in played["slow"].observation.evidence}
    assert evidence["the start downloads"] == "Qwen/Qwen2.5-3B-Instruct"
    assert evidence["bootstrap_local_llm_models()"] == "returned True"
    assert "uvicorn (run, Config, Server)" in evidence["stubs"]
    assert str(played["slow"].observation.target) == "yours"
    assert "yours" in page(list(played.values()), None)
    assert SECRET not in str(played)
    after = {one: hashlib.sha256(one.read_bytes()).hexdigest() for one in tmp_path.rglob("*") if one.is_file()}
    assert after == before


def test_the_cure_has_none_of_the_faults(tmp_path: Path) -> None:
    """A script whose bootstrap is our drop-in listens at once; its registry's downloads are watched, and told."""
    played = raced(found(tmp_path, CURED), TELLING)
    assert outcomes(played) == {Outcome.ABSENT}, said(played)
    assert "401" in {one.label: one.value for one in played["refused token"].observation.evidence}["log"]


def test_a_script_that_says_what_it_came_to_is_given_credit(tmp_path: Path) -> None:
    """The state of ce9bf293 still blocks, and prints the reason of a failure; its gate is asked as well."""
    played = raced(found(tmp_path, HEAD), ("slow", "refused token"))
    assert said(played)["slow"].startswith("reproduced")
    assert said(played)["refused token"].startswith("absent")
    evidence = {one.label: one.value for one in played["slow"].observation.evidence}
    assert evidence["should_bootstrap_local_llm_models()"] == "returned True"
    assert "BootstrapResult(name='local_llm_models', success=True" in evidence["bootstrap_local_llm_models()"]


def test_a_download_on_a_thread_does_not_block(tmp_path: Path) -> None:
    """A cure of one's own: the historical function, called where nobody waits for it."""
    script = OLD_START.replace(
        "    bootstrap_local_llm_models()\n\nfrom",
        "    import threading\n    threading.Thread(target=bootstrap_local_llm_models, daemon=True).start()\n\nfrom",
    )
    played = raced(found(tmp_path, OLD, script), ("slow", "stalled", "unused model"))
    assert {name: one.seen.outcome for name, one in played.items()} == {
        "slow": Outcome.ABSENT,
        "stalled": Outcome.ABSENT,
        "unused model": Outcome.REPRODUCED,
    }, said(played)


def test_a_start_that_downloads_nothing_has_no_fault(tmp_path: Path) -> None:
    """The function is there and is not called: the server listens, and the hub was not asked."""
    script = OLD_START.replace("    bootstrap_local_llm_models()\n\nfrom", "    pass\n\nfrom")
    played = raced(found(tmp_path, OLD, script), ("slow", "refused token"))
    assert set(said(played).values()) == {"absent: the server listens, and its start downloads nothing"}


def test_a_setting_of_the_users_closes_the_gate_where_it_is_wanted(tmp_path: Path) -> None:
    """On a cloud platform the bootstrap is left out: with --use-env the checkout's own `.env` says so."""
    root = write_checkout(tmp_path, OLD)
    (root / "backend" / ".env").write_text("RENDER=true\n")
    checkout = find_checkout(root)
    assert outcomes(raced(startup_target(checkout), ("slow",))) == {Outcome.REPRODUCED}
    wanted = startup_target(checkout, surroundings(checkout, use_env=True))
    assert outcomes(raced(wanted, ("slow",))) == {Outcome.ABSENT}


MOVED = OLD_START.replace("def bootstrap_local_llm_models", "def fetch_models").replace(
    "    bootstrap_local_llm_models()\n", "    from alwrity_utils import ModelSetup\n\n    ModelSetup().fetch()\n"
)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
            r"no server that listens: it ended with -11 \(SIGSEGV\)",
        ),
        ("raise SystemExit('the port is taken')\n", "the script ended with the port is taken"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("print('nothing to do')\n", "came to its end without a server"),
        (MOVED, r"start_alwrity_backend\.py:\d+ does: a later version seems to have moved it"),
        ("def broken(:\n", r"start_alwrity_backend\.py:1 does not parse"),
    ],
    ids=["segfault", "exit", "import", "no server", "moved", "syntax"],
)
def test_what_cannot_be_started_says_why(script: str, why: str, tmp_path: Path) -> None:
    """What dies, exits, never listens, or downloads where we have put a stand-in, is `unknown`; nothing is guessed."""
    with pytest.raises(CannotCheck, match=why):
        raced(found(tmp_path, OLD, script), ("slow",))


def test_a_script_that_hangs_is_unknown(tmp_path: Path) -> None:
    """Nobody waits for ever for a script that does nothing."""
    target = replace(found(tmp_path, OLD, "import time\ntime.sleep(600)\n"), patience=3.0)
    with pytest.raises(CannotCheck, match="silence while the checkout's start script was run"):
        raced(target, ("slow",))


def test_a_start_survives_its_way_through_json() -> None:
    """What a child tells of a start is what is drawn of it."""
    start = Start.from_json({"moments": [["listening", 0.5, {"port": 1}]], "log": "said", "ended": False})
    assert Start.from_json(start.to_json()) == start
    assert start.told("listening", "port") == 1
