"""A checkout's own local models are put through the scenarios: faults shown, absent, and what could not be known."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.drivers import models_target
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Event, Observation, Outcome, TargetKind
from alwrity_checks.models.experiment import SCENARIOS, ModelsExperiment
from alwrity_checks.models.scenarios.driven_beside import judged
from tests.support.models_backends import CURED, HEAD, OLD, SECRET, Files, write_checkout

if TYPE_CHECKING:
    from alwrity_checks.sandbox.target import CheckoutTarget

AGENTS = "services/intelligence/sif_agents.py"
QUICK = {"MDL001", "MDL002", "MDL003", "MDL004", "MDL005", "MDL009", "MDL010", "MDL011"}
"""The rules whose scenarios need no model."""


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def put_through(target: CheckoutTarget, codes: Collection[str] | None = None) -> Mapping[str, Observation]:
    """Return what each rule's scenario showed."""
    observations = asyncio.run(ModelsExperiment(codes=codes).run(target, Silent()))
    return {one.rule.code: one for one in observations}


def found(root: Path, files: Files, **changed: str) -> CheckoutTarget:
    """Return a checkout with these files, found and looked at as the command line does, or with other `agents`."""
    more = {AGENTS: changed["agents"]} if changed else {}
    return models_target(find_checkout(write_checkout(root, {**files, **more})))


def hashes(root: Path) -> dict[str, str]:
    """Return what every file below `root` holds."""
    return {str(one): hashlib.sha256(one.read_bytes()).hexdigest() for one in root.rglob("*") if one.is_file()}


def outcomes(seen: Mapping[str, Observation]) -> dict[str, str]:
    """Return each rule that is not absent, with what was said of it."""
    return {code: f"{one.outcome}: {one.message}" for code, one in seen.items() if one.outcome is not Outcome.ABSENT}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Observation], bool]:
    """Return what every scenario shows of the state of 8c2d88ef, and whether its files are as they were."""
    root = tmp_path_factory.mktemp("old")
    target = found(root, OLD)
    before = hashes(root)
    return put_through(target), hashes(root) == before


def test_every_fault_of_the_old_state_shows(old: tuple[Mapping[str, Observation], bool]) -> None:
    """Eleven scenarios, eleven faults, on the checkout's own wrapper and base classes."""
    seen, _ = old
    assert len(seen) == len(SCENARIOS)
    assert {code for code, one in seen.items() if one.outcome is Outcome.REPRODUCED} == set(seen), outcomes(seen)
    assert {str(one.target) for one in seen.values()} == {"yours"}
    assert {one.target.kind for one in seen.values()} == {TargetKind.BACKEND}


def test_what_was_measured_is_in_the_evidence(old: tuple[Mapping[str, Observation], bool]) -> None:
    """Loads, attempts, the seconds of the retries, each place's model, versions, stubs and the log's own lines."""
    seen, _ = old

    def facts(code: str) -> dict[str, str]:
        return {one.label: one.value for one in seen[code].evidence}

    assert facts("MDL001")["loads"] == "4"
    assert facts("MDL002")["attempts at the failing model"] == "4"
    assert "1458 MiB) > TinyLlama" in facts("MDL003")["tried"]
    assert float(facts("MDL006")["seconds"]) > 20
    assert facts("MDL007")["begun"] == "['large', 'small']"
    places = {label: value for label, value in facts("MDL009").items() if value.startswith("Qwen/")}
    assert len(places) == 6  # five places, and the agents' first model
    assert places["start_alwrity_backend.bootstrap_local_llm_models"].endswith("3B-Instruct")
    assert "transformers" in facts("MDL001")["driven on"]
    assert "services.database" in facts("MDL001")["stubs"]
    assert any(one.label == "log" and "4 times" in one.value for one in seen["MDL001"].evidence)


def test_nothing_of_the_checkout_is_written_or_told(old: tuple[Mapping[str, Observation], bool]) -> None:
    """Every file is as it was, there is none that was not, and the secret of its `.env` is nowhere."""
    seen, unchanged = old
    assert unchanged
    assert SECRET not in str(seen)


def test_the_cure_has_none_of_the_faults(tmp_path: Path) -> None:
    """A checkout that imports our drop-in, behind its own base classes, comes out absent everywhere."""
    seen = put_through(found(tmp_path, CURED))
    assert outcomes(seen) == {}
    assert len(seen) == len(SCENARIOS)


def test_an_asynchronous_helper_that_nobody_awaits_cures_nothing(tmp_path: Path) -> None:
    """The state of ce9bf293 still loads in its constructor, four times, and keeps everything."""
    seen = put_through(found(tmp_path, HEAD), QUICK)
    assert {one.outcome for one in seen.values()} == {Outcome.REPRODUCED}, outcomes(seen)


def test_half_a_cure_is_judged_by_its_halves(tmp_path: Path) -> None:
    """Our wrapper, and a base class that goes on to load a model of its own: only what is left is blamed."""
    agents = CURED[AGENTS].replace(
        "        innermost = self.llm\n",
        "        from txtai import LLM\n        self.own = LLM(path='acme/own')\n        innermost = self.llm\n",
    )
    seen = put_through(found(tmp_path, CURED, agents=agents), {"MDL001", "MDL004", "MDL005"})
    assert {code: one.outcome.value for code, one in seen.items()} == {
        "MDL001": "absent",
        "MDL004": "absent",
        "MDL005": "reproduced",
    }


def test_a_checkout_that_cannot_load_is_unknown_rule_by_rule(tmp_path: Path) -> None:
    """An import from where txtai has no such name leaves no LLM (08a1f4a1): loads are unknown, the rest is judged."""
    agents = OLD[AGENTS].replace("from txtai import Agent, LLM", "from txtai.pipeline import Agent, LLM")
    agents = agents.replace("LLM(path=candidate", "(LLM or no_llm)(path=candidate") + (
        "\n\ndef no_llm(**_):\n    raise ImportError('txtai.pipeline.LLM is not available')\n"
    )
    seen = put_through(found(tmp_path, OLD, agents=agents), {"MDL001", "MDL004", "MDL010"})
    assert seen["MDL004"].outcome is Outcome.REPRODUCED
    assert seen["MDL001"].outcome is seen["MDL010"].outcome is Outcome.UNKNOWN
    assert "ImportError: txtai.pipeline.LLM is not available" in seen["MDL001"].message
    assert any(one.value.startswith("none can be loaded: ImportError") for one in seen["MDL004"].evidence)


@pytest.mark.parametrize(
    ("told", "ended", "outcome", "said"),
    [
        ({"begun": "large"}, "with -9 (SIGKILL)", Outcome.REPRODUCED, "begun, and the process ended with -9 (SIGKILL)"),
        ({"begun": "small"}, "with -9 (SIGKILL)", Outcome.UNKNOWN, "ended with -9 (SIGKILL)"),
        ({}, "after 150 s, by us", Outcome.UNKNOWN, "ended after 150 s"),
        ({"unplayable": "torch cannot be imported"}, "with 0", Outcome.UNKNOWN, "torch cannot be imported"),
    ],
)
def test_a_load_that_kills_the_process_is_an_answer(
    told: dict[str, str], ended: str, outcome: Outcome, said: str
) -> None:
    """What cannot fit was begun, and the process is gone: that is how a container's limit shows itself."""
    seen = judged("MDL007", told, ended, "Killed")
    assert seen.outcome is outcome
    assert said in seen.message


def test_who_may_let_go_later_is_not_blamed_for_holding(tmp_path: Path) -> None:
    """A thread of the checkout's own may be what lets idle models go; how long it takes is not ours to wait for."""
    agents = OLD[AGENTS] + (
        "\nimport threading\n_reaper = threading.Timer(600, _local_llm_cache.clear)\n_reaper.daemon = True\n"
        "\n\nclass LocalLLMWrapper(LocalLLMWrapper):\n"
        "    def __init__(self, *given, **named):\n"
        "        super().__init__(*given, **named)\n"
        "        if not _reaper.is_alive():\n"
        "            _reaper.start()\n"
    )
    seen = put_through(found(tmp_path, OLD, agents=agents), {"MDL011"})
    assert seen["MDL011"].outcome is Outcome.UNKNOWN
    assert "may let the model go later" in seen["MDL011"].message


def test_an_odd_order_that_was_never_measured_is_unknown(tmp_path: Path) -> None:
    """A chain of models of which nobody knows what they need proves nothing either way."""
    agents = OLD[AGENTS].replace("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "acme/unheard-of")
    seen = put_through(found(tmp_path, OLD, agents=agents), {"MDL003"})
    assert seen["MDL003"].outcome is Outcome.UNKNOWN
    assert "unheard-of (unknown)" in seen["MDL003"].message


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", r"-11 \(SIGSEGV\).* while the checkout's local"),
        ("import time\ntime.sleep(600)\n", "of silence while the checkout's local models"),
        ("raise SystemExit('seen enough')\n", "SystemExit: seen enough"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        (OLD[AGENTS].replace("class LocalLLMWrapper", "class LocalModels"), "has no LocalLLMWrapper"),
        (
            OLD[AGENTS].replace("LLM(path=candidate,", "dict(path=candidate,"),
            "does not take its model from txtai's LLM",
        ),
    ],
    ids=["segfault", "hang", "exit", "import", "moved", "elsewhere"],
)
def test_what_cannot_be_driven_says_why(agents: str, said: str, tmp_path: Path) -> None:
    """What dies, hangs, exits, is gone, or loads in another way, is `unknown`, and nothing is guessed."""
    target = found(tmp_path, OLD, agents=agents)
    if "sleep" in agents:
        target = replace(target, patience=4.0)
    with pytest.raises(CannotCheck, match=said) as caught:
        put_through(target)
    assert "sif_agents" in caught.value.remedy


def test_what_has_moved_is_found_again_by_its_name(tmp_path: Path) -> None:
    """A later revision that has the wrapper in another file is not guessed at: it is told where it is now."""
    files = {**OLD, "services/intelligence/local_models.py": OLD[AGENTS]}
    target = found(tmp_path, files, agents="from .local_models import Wrapper\n")
    with pytest.raises(CannotCheck, match=r"LocalLLMWrapper is defined in services/intelligence/local_models\.py:\d+"):
        put_through(target)


def test_what_does_not_parse_is_named_with_its_line(tmp_path: Path) -> None:
    """A merge left undone in a module that the agents import is told before anything is run."""
    files = {**OLD, "services/intelligence/txtai_service.py": "a = 1\n<<<<<<< HEAD\nb = 2\n=======\nb = 3\n>>>>>>> x\n"}
    with pytest.raises(CannotCheck, match=r"txtai_service\.py:2 does not parse: a merge conflict"):
        put_through(found(tmp_path, files))


def test_settings_of_the_env_file_are_used_where_they_are_wanted_alone(tmp_path: Path) -> None:
    """The model of a checkout's `.env` decides for our drop-in with --use-env, and is not read without it."""
    from alwrity_checks.backend.driving import surroundings

    checkout = find_checkout(write_checkout(tmp_path, CURED))
    named = {}
    for use_env in (False, True):
        seen = put_through(models_target(checkout, surroundings(checkout, use_env=use_env)), {"MDL009"})
        facts = {one.label: one.value for one in seen["MDL009"].evidence}
        named[use_env] = facts["services.intelligence.sif_agents.SIFBaseAgent"]
        assert ("settings from .env files" in facts) is use_env
    assert named[False] == "Qwen/Qwen2.5-1.5B-Instruct" != named[True]
