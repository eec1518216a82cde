"""Issues 3, 5 and 6 on a small checkout: callers get what they rely on before and after, and the faults are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from alwrity_checks.adoption.contract.contract import Keeping, Tried
from alwrity_checks.adoption.contract.runner import contracts_of, run_contracts
from alwrity_checks.adoption.faces import face
from alwrity_checks.adoption.sources import CheckoutSources
from alwrity_checks.backend.checkout import Checkout, find_checkout
from alwrity_checks.backend.drivers import models_target, startup_target, txtai_target
from alwrity_checks.model import Event, Observation, Outcome
from alwrity_checks.models.experiment import SCENARIOS as OF_MODELS
from alwrity_checks.sandbox.conversation import play
from alwrity_checks.startup.experiment import StartupExperiment
from alwrity_checks.txtai.experiment import TxtaiExperiment
from tests.support.models_backends import Files, write_checkout
from tests.support.whole_backends import AGENTS, INDEX, START, WHOLE

pytest.importorskip("libcst")
pytest.importorskip("txtai")

ISSUES: Final = (3, 5, 6)


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def adopted(root: Path, files: Files = WHOLE) -> Path:
    """Lay out a checkout, and write into it what the faces propose."""
    write_checkout(root, files)
    for issue in ISSUES:
        checkout = find_checkout(root)
        proposal = face(issue).propose(CheckoutSources(checkout))
        assert proposal.refusals == ()
        for change in proposal.changes:
            (checkout.backend / change.path).write_text(change.after, encoding="utf-8")
    return root


def tried(root: Path, *issues: int) -> Mapping[str, Tried]:
    """Try the contracts of issues on a checkout."""
    return {one.contract.name: one for one in asyncio.run(run_contracts(find_checkout(root), issues))}


@pytest.mark.parametrize("cured", [False, True], ids=["before", "after"])
def test_callers_get_what_they_rely_on(*, cured: bool, tmp_path: Path) -> None:
    """Every contract of the three issues is kept, by the old modules and by those that the faces write."""
    root = adopted(tmp_path) if cured else write_checkout(tmp_path, WHOLE)
    found = tried(root, *ISSUES)
    assert {name: one.seen for name, one in found.items() if one.keeping is not Keeping.KEPT} == {}
    assert len(found) == sum(len(contracts_of(issue)) for issue in ISSUES)


BREAKS: Final[Mapping[str, tuple[int, str, str, str]]] = {
    "txtai.search": (
        3,
        INDEX,
        "return self.embeddings.search(query, limit)",
        "return self.embeddings.search(query, 9)",
    ),
    "txtai.replaced": (3, INDEX, "[(one, text, json", "[(one + text, text, json"),
    "txtai.users": (3, INDEX, "workspace_{user_id}", "workspace"),
    "txtai.statistics": (3, INDEX, '"index_size": self.embeddings.count()', '"index_size": "many"'),
    "models.agents": (5, AGENTS, "Agent(llm=innermost, tools=[])", "Agent(llm=self.llm, tools=[])"),
    "models.remote": (5, AGENTS, "llm_text_gen(prompt, user_id=self.user_id)", "llm_text_gen(prompt)"),
    "models.lifecycle": (5, AGENTS, "return await self.initialize()", "return await self.initialise()"),
    "startup.summary": (6, START, "return BootstrapResult('local_llm_models', True)", "return 'ok'"),
    "startup.clouds": (6, START, 'os.getenv("RENDER") or ', ""),
    "startup.trouble": (6, START, "except Exception as error", "except ZeroDivisionError as error"),
    "startup.features": (6, START, '"all") == "all"', '"all") != ""'),
}


def test_a_contract_that_is_broken_is_seen(tmp_path: Path) -> None:
    """Each edit breaks what its contract says, in words of what was seen: no contract is kept by just anything."""
    files = dict(WHOLE)
    for issue, path, old, new in BREAKS.values():
        assert old in files[path], (issue, old)
        files[path] = files[path].replace(old, new)
    found = tried(write_checkout(tmp_path, files), *ISSUES)
    broken = {name for name, one in found.items() if one.keeping is Keeping.BROKEN}
    assert broken >= set(BREAKS)
    assert all(found[name].seen for name in BREAKS)


def test_the_faults_are_gone(tmp_path: Path) -> None:
    """Of each experiment what needs no real model is played on what the faces wrote: no fault shows."""
    checkout = find_checkout(adopted(tmp_path))
    index = TxtaiExperiment(trials=1, chosen=[], codes=frozenset({"TXT003", "TXT004", "TXT006", "TXT009", "TXT014"}))
    start = StartupExperiment(seconds=1.0, chosen=[], scenarios={"slow", "unused model"})
    seen: list[tuple[str, Outcome, str]] = []

    def told(observations: tuple[Observation, ...]) -> None:
        seen.extend((one.rule.code, one.outcome, one.message) for one in observations)

    told(tuple(asyncio.run(index.run(txtai_target(checkout), Silent()))))
    told(tuple(asyncio.run(start.run(startup_target(checkout), Silent()))))
    seen += asyncio.run(_models(checkout))
    assert [one for one in seen if one[1] is not Outcome.ABSENT] == []
    assert {code for code, _, _ in seen} >= {"TXT003", "TXT014", "MDL001", "MDL009", "MDL010", "STA001", "STA006"}
    assert ("MDL009", Outcome.ABSENT, "5 places, one model: Qwen/Qwen2.5-1.5B-Instruct") in seen


async def _models(checkout: Checkout) -> list[tuple[str, Outcome, str]]:
    codes = [one.code for one in OF_MODELS]
    target = models_target(checkout)
    sandbox = replace(target.sandbox, plan={**target.sandbox.plan, "codes": codes})
    chosen = [number for number, code in enumerate(codes) if code not in {"MDL006", "MDL007", "MDL008"}]
    return [(codes[one.number], one.outcome, one.message) async for one in play(sandbox, chosen, 120.0) if one.outcome]
