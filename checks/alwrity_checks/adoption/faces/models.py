"""The face of issue 5: the agents' local models come from the one registry, and a failure is no answer.

services/intelligence/sif_agents.py     LocalLLMWrapper becomes an import; SharedLLMWrapper raises what it swallowed
…/agents/core_agent_framework.py        what loads a model in a constructor takes one of the registry instead
…/agents/agent_orchestrator.py          the same
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption import fit
from alwrity_checks.adoption.proposal import Change, Needed, Proposal, Refusal
from alwrity_checks.adoption.syntax import Kind, SourceMisfit, callers, public_names, refused, replace_definitions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.adoption.proposal import Sources

__all__ = ["AGENTS", "ISSUE", "LOADING", "propose"]

ISSUE: Final = 5
AGENTS: Final = "services/intelligence/sif_agents.py"
LOADING: Final = (
    "services/intelligence/agents/core_agent_framework.py",
    "services/intelligence/agents/agent_orchestrator.py",
)
"""What loads a model of its own besides (ALwrity ce9bf293, lines 227 and 88), as far as a checkout has it."""
_MODULE: Final = "services.intelligence.sif_agents"
_WRAPPER: Final = "LocalLLMWrapper"
_SHARED: Final = "SharedLLMWrapper"
_OURS: Final = "alwrity_checks.models.compat"
_IMPORT: Final = f"from {_OURS} import {_WRAPPER}"
_COMMENT: Final = "# The model that all modules share, loaded at its first answer"
_LEFT_OVER: Final = ("_local_llm_cache", "LOCAL_LLM_FALLBACKS")
"""What only the old wrapper used."""
_RECEIVERS: Final = r"llm|(?:\w+_)?llm|wrapper"
_NEEDED: Final = (
    Needed(
        "SIF_AGENT_MODEL",
        "The agents' model, a name on the hub or a directory; without it the one that the code names.",
        required=False,
    ),
    Needed(
        "SIF_AGENT_FALLBACK_MODELS",
        "What is tried after it, separated by commas, each lighter than the one before; without it the built-in chain.",
        required=False,
    ),
    Needed(
        "SIF_AGENT_RUNTIME",
        "transformers or onnxruntime-genai; without it what is installed, the faster one first.",
        required=False,
    ),
)
_NOTES: Final = (
    (
        "SharedLLMWrapper.generate raises what the provider raised; it used to return the text `[ERROR: …]`, which "
        "callers took for an answer."
    ),
    "The agents' model is loaded at the first answer, not in the constructor; all modules share one.",
)
_REQUIREMENTS: Final = "requirements.txt"
_AGENT_EXTRA: Final = re.compile(r"^\s*txtai\[[\w,\s-]*\bagent\b", re.IGNORECASE | re.MULTILINE)
_WITHOUT_AGENT: Final = (
    f"{_REQUIREMENTS} does not name txtai[agent]: without it txtai has no Agent, and none of the agents can be made, "
    "before or after this change."
)
"""As at ce9bf293, which names no txtai at all."""


def propose(sources: Sources) -> Proposal:
    """Return what would be written into the checkout for issue 5. Raises MissingExtra without libcst."""
    text = sources.text(AGENTS)
    if text is None:
        gone = Refusal(AGENTS, None, "the module of the agents is not there", "look where this revision has it")
        return Proposal(ISSUE, refusals=(gone,))
    refusals: list[Refusal] = []
    changes: list[Change] = []
    for path in (AGENTS, *LOADING):
        before = sources.text(path)
        if before is None:
            continue
        try:
            unfit = tuple(_refusals(sources, path, before))
            after = before if unfit else _agents(sources, before) if path == AGENTS else _loading(before)
        except SourceMisfit as misfit:
            unfit, after = (refused(path, misfit),), before
        refusals += unfit
        if after != before:
            changes.append(Change(path, before, after))
    if refusals:
        return Proposal(ISSUE, refusals=tuple(refusals))
    return Proposal(
        ISSUE,
        changes=tuple(changes),
        extras=frozenset({"models"}),
        needed=_NEEDED,
        notes=tuple(_notes(sources)) if changes else (),
        done=not changes,
    )


def _notes(sources: Sources) -> Iterator[str]:
    yield from _NOTES
    requirements = sources.text(_REQUIREMENTS)
    if requirements is not None and _AGENT_EXTRA.search(requirements) is None:
        yield _WITHOUT_AGENT


def _refusals(sources: Sources, path: str, text: str) -> Iterator[Refusal]:
    if (unfinished := fit.conflict(path, text)) is not None:
        yield unfinished
        return
    if path != AGENTS:
        return
    theirs = public_names(text).get(_WRAPPER)
    if theirs is None:
        yield Refusal(path, None, f"it does not define {_WRAPPER}", f"look where this revision has {_WRAPPER}")
        return
    if theirs.kind is Kind.IMPORT:
        if _IMPORT not in text:
            told = f"{_WRAPPER} is imported from elsewhere"
            yield Refusal(path, theirs.line, told, "look where this revision has it, and apply the change by hand")
        return
    ours = fit.our_class("alwrity_checks.models", "compat", _WRAPPER)
    yield from fit.unfit_calls(path, _WRAPPER, theirs, ours)
    lacking = {name for name in theirs.members if name not in ours.members}
    yield from fit.unfit_reaches(sources, _RECEIVERS, lacking, {path})


def _agents(sources: Sources, text: str) -> str:
    from alwrity_checks.adoption import rewriting

    if public_names(text)[_WRAPPER].kind is not Kind.IMPORT:
        text = replace_definitions(text, {_WRAPPER: _IMPORT})
    text = rewriting.raise_in_place_of_texts(text, _SHARED)
    wanted = {caller.name for caller in callers(sources, _MODULE)}
    unused = [name for name in _LEFT_OVER if not {name, "*"} & wanted]
    return rewriting.without_unused(text, unused)


def _loading(text: str) -> str:
    from alwrity_checks.adoption import rewriting

    return rewriting.replace_loads(text, "LLM", _WRAPPER, _IMPORT, _COMMENT)
