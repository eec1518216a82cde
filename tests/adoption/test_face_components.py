"""The faces of issues 3, 5 and 6: what they write into each state of a checkout, and what they leave alone."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libcst")

from alwrity_checks.adoption.faces import face
from tests.support.backend_checkout import CONFLICT, DOUBLE, DROP_IN, HEALTHY
from tests.support.models_backends import HEAD, OLD, OLD_START
from tests.support.sources_in_memory import Texts
from tests.support.whole_backends import AGENTS, CORE, INDEX, ORCHESTRATOR, START, WHOLE

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Proposal

OURS = {3: "alwrity_checks.txtai.compat", 5: "alwrity_checks.models.compat", 6: "alwrity_checks.models.compat"}


def proposed(issue: int, files: Mapping[str, str]) -> Proposal:
    """Return what is proposed to a checkout of these files."""
    return face(issue).propose(Texts(files))


def after(issue: int, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files after the proposal, which refuses nothing."""
    proposal = proposed(issue, files)
    assert proposal.refusals == ()
    return {**files, **{change.path: change.after for change in proposal.changes}}


def lines_gone(before: str, now: str) -> list[str]:
    """Return the lines that are in `before` and not in `now`."""
    kept = now.splitlines()
    return [line for line in before.splitlines() if line not in kept]


@pytest.mark.parametrize("issue", [3, 5, 6])
def test_the_second_time_nothing_is_to_be_done(issue: int) -> None:
    """What was written is recognised, and an edit of it is undone by the same proposal."""
    files = after(issue, WHOLE)
    again = proposed(issue, files)
    assert (again.done, again.changes, again.refusals) == (True, (), ())
    assert again.extras == proposed(issue, WHOLE).extras
    (path,) = (one for one in (INDEX, AGENTS, START) if OURS[issue] in files[one])
    edited = {**files, path: files[path].replace(OURS[issue], "a.copy.of.it", 1)}
    undone = proposed(issue, edited)
    assert not undone.done
    assert undone.changes or undone.refusals


@pytest.mark.parametrize("issue", [3, 5, 6])
def test_line_ends_stay(issue: int) -> None:
    """A checkout with the line ends of Windows keeps them, in every line that is written."""
    windows = {path: text.replace("\n", "\r\n") for path, text in WHOLE.items()}
    proposal = proposed(issue, windows)
    assert proposal.changes
    for change in proposal.changes:
        assert change.after.count("\n") == change.after.count("\r\n")
    unix = {one.path: one.after for one in proposed(issue, WHOLE).changes}
    assert {one.path: one.after.replace("\r\n", "\n") for one in proposal.changes} == unix


@pytest.mark.parametrize("issue", [3, 5, 6])
def test_an_unfinished_merge_is_left_alone(issue: int) -> None:
    """What it is to be is for whoever merges; nothing of the issue is written."""
    for path in {3: (INDEX,), 5: (AGENTS, CORE), 6: (START,)}[issue]:
        refusals = proposed(issue, {**WHOLE, path: WHOLE[path] + CONFLICT}).refusals
        assert [(one.path, "unfinished merge" in one.reason) for one in refusals] == [(path, True)]
        assert WHOLE[path].count("\n") + 3 == refusals[0].line


@pytest.mark.parametrize("issue", [3, 5, 6])
def test_a_module_that_moved_is_told(issue: int) -> None:
    """A file that is not there, or lacks what is replaced, is a refusal that names it."""
    path = {3: INDEX, 5: AGENTS, 6: START}[issue]
    for files in ({}, {path: "x = 1\n"}, {path: "def broken(:\n"}):
        proposal = proposed(issue, files)
        assert proposal.changes == ()
        assert [one.path for one in proposal.refusals] == [path]
        assert proposal.refusals[0].remedy


@pytest.mark.parametrize("module", [DOUBLE, HEALTHY, WHOLE[INDEX], DROP_IN], ids=["double", "healthy", "whole", "bare"])
def test_every_index_becomes_the_same_import(module: str) -> None:
    """A docstring, the import and the names: the names that ours has."""
    from alwrity_checks.txtai import compat

    proposal = proposed(3, {INDEX: module})
    (change,) = proposal.changes
    assert (proposal.extras, change.before) == (frozenset({"txtai"}), module)
    tree = ast.parse(change.after)
    assert [type(one) for one in tree.body] == [ast.Expr, ast.ImportFrom, ast.Assign]
    imported = tree.body[1]
    assert isinstance(imported, ast.ImportFrom)
    assert all(hasattr(compat, one.name) for one in imported.names)
    assert {one.name for one in proposal.needed} >= {"ALWRITY_TXTAI_DIR", "SIF_FAIL_FAST"}


@pytest.mark.parametrize(
    ("caller", "told"),
    [
        ("from services.intelligence.txtai_service import Labels\n", "it uses Labels"),
        ("from services.intelligence.txtai_service import *\n", "it uses everything"),
        ("def f(self):\n    self.intelligence._search_everything('x')\n", "it reaches for _search_everything"),
        ("svc = 1\nprint(svc._locks)\n", "it reaches for _locks"),
    ],
    ids=["import", "star", "method", "attribute"],
)
def test_a_caller_that_would_break_is_named(caller: str, told: str) -> None:
    """What a caller has of the old module and ours lacks is refused with its place."""
    module = DOUBLE + "\n    def _search_everything(self, query):\n        return []\n"
    (refusal,) = proposed(3, {INDEX: module, "api/caller.py": caller}).refusals
    assert refusal.path == "api/caller.py"
    assert refusal.line == caller.count("\n")
    assert told in refusal.reason


def test_what_ours_has_may_be_reached_for() -> None:
    """The attributes that ALwrity's own callers use are there: no refusal."""
    uses = "".join(
        f"self.intelligence.{name}\n"
        for name in ("_initialized", "embeddings", "index_path", "_ensure_initialized_async()", "_ensure_initialized()")
    )
    assert proposed(3, {INDEX: WHOLE[INDEX], "services/a.py": uses}).refusals == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("model_path=None, enable_caching=True", "model_path=None, *, region", "region can be given by name"),
        ("async def search(self, query, limit=5)", "async def search(self, query, limit=5, region='eu')", "region"),
        ("async def search(", "def search(", "async function"),
    ],
    ids=["constructor", "method", "coroutine"],
)
def test_another_signature_is_refused(old: str, new: str, told: str) -> None:
    """A call that the old class takes and ours does not is named with its line."""
    module = WHOLE[INDEX]
    assert old in module
    (refusal,) = proposed(3, {INDEX: module.replace(old, new)}).refusals
    assert refusal.line is not None
    assert told in refusal.reason


@pytest.mark.parametrize("files", [OLD, HEAD, WHOLE], ids=["OLD", "HEAD", "whole"])
def test_the_agents_take_one_model(files: Mapping[str, str]) -> None:
    """The wrapper is imported, its leftovers are gone, the provider's failure is raised, and no constructor loads."""
    now = after(5, files)
    agents = now[AGENTS]
    assert "from alwrity_checks.models.compat import LocalLLMWrapper\n" in agents
    assert "_local_llm_cache" not in agents
    assert "[ERROR" not in agents
    assert "            raise\n" in agents
    for path in (CORE, ORCHESTRATOR):
        assert not any(isinstance(node, ast.Call) and _called(node) == "LLM" for node in ast.walk(ast.parse(now[path])))
    core = lines_gone(files[CORE], now[CORE])
    assert len(core) == (2 if files is WHOLE else 1)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def test_comments_on_what_was_there_go() -> None:
    """The comment above a load that is replaced is about the load; any other line stays byte for byte."""
    now = after(5, WHOLE)
    assert lines_gone(WHOLE[CORE], now[CORE]) == [
        "            # Let txtai guess the task",
        '            llm = LLM(path=model_name, task="language-generation")',
    ]
    assert "            # The model that all modules share, loaded at its first answer\n" in now[CORE]
    assert lines_gone(WHOLE[ORCHESTRATOR], now[ORCHESTRATOR]) == ["        self.llm = LLM(config.shared_llm)"]


def test_a_name_that_somebody_imports_stays() -> None:
    """The list of fallbacks is no use to the agents any more; who else imports it, still finds it."""
    user = {"services/other.py": "from services.intelligence.sif_agents import LOCAL_LLM_FALLBACKS\n"}
    assert "LOCAL_LLM_FALLBACKS = [" in after(5, {**WHOLE, **user})[AGENTS]
    assert "LOCAL_LLM_FALLBACKS" not in after(5, WHOLE)[AGENTS]


@pytest.mark.parametrize(
    ("requirements", "told"), [("txtai[agent]>=7.0.0\n", 0), ("# txtai[agent]\nopenai\n", 1), ("txtai>=9\n", 1)]
)
def test_agents_that_cannot_be_made_are_told(requirements: str, told: int) -> None:
    """Without txtai's extra no agent was made before, nor is one after: a note, where the requirements lack it."""
    notes = proposed(5, {**WHOLE, "requirements.txt": requirements}).notes
    assert sum("txtai[agent]" in note for note in notes) == told


def test_a_wrapper_from_elsewhere_is_refused() -> None:
    """Where the agents import a wrapper of somebody else's, nobody knows what it does."""
    files = {**WHOLE, AGENTS: "from services.llm.local import LocalLLMWrapper\n"}
    (refusal,) = proposed(5, files).refusals
    assert (refusal.path, refusal.line) == (AGENTS, 1)
    assert "imported from elsewhere" in refusal.reason


@pytest.mark.parametrize("start", [OLD_START, HEAD[START], WHOLE[START]], ids=["OLD", "HEAD", "whole"])
def test_the_start_asks_and_goes_on(start: str) -> None:
    """Nothing downloads; the clouds, the gate and every result stay as they were written; the rest is untouched."""
    proposal = proposed(6, {START: start})
    (change,) = proposal.changes
    now = change.after
    assert "snapshot_download" not in now
    assert "        prefetch()\n" in now
    assert 'if os.getenv("RENDER") or os.getenv("RAILWAY_ENVIRONMENT"):\n        return' in now
    returns = {line.strip() for line in start.splitlines() if line.strip().startswith("return")}
    assert returns == {line.strip() for line in now.splitlines() if line.strip().startswith("return")}
    outside = start[start.index("if __name__") :]
    assert now.endswith(outside)
    assert any("Qwen2.5-3B" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def bootstrap_local_llm_models():", "def bootstrap_local_llm_models(region):", "takes arguments"),
        ("def bootstrap_local_llm_models():", "async def bootstrap_local_llm_models():", "is no function"),
        ("snapshot_download(", "fetch(", "does not download"),
    ],
    ids=["arguments", "coroutine", "another-download"],
)
def test_another_bootstrap_is_refused(old: str, new: str, told: str) -> None:
    """What is not known to be the download that blocks is not replaced."""
    (refusal,) = proposed(6, {START: OLD_START.replace(old, new)}).refusals
    assert told in refusal.reason
    assert refusal.line is not None
