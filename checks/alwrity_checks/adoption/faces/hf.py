"""The face of issue 2: the Hugging Face provider becomes an import of the component behind ALwrity's names."""

from __future__ import annotations

import ast
from dataclasses import replace
from importlib.resources import files
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption import fit
from alwrity_checks.adoption.proposal import Needed, Proposal, Refusal
from alwrity_checks.adoption.syntax import (
    Kind,
    Passing,
    callers,
    public_names,
    unaccepted,
)
from alwrity_checks.adoption.whole_module import propose_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.adoption.proposal import Sources
    from alwrity_checks.adoption.syntax import Signature

__all__ = ["ISSUE", "PATH", "propose"]

ISSUE: Final = 2
PATH: Final = "services/llm_providers/huggingface_provider.py"
_MODULE: Final = "services.llm_providers.huggingface_provider"
_GENERATING: Final = ("huggingface_structured_json_response", "huggingface_text_response")
_OFFERED: Final = (
    "HF_FALLBACK_MODELS",
    "get_available_models",
    "get_huggingface_api_key",
    *_GENERATING,
    "validate_model",
)
_CODE: Final = frozenset({Kind.FUNCTION, Kind.COROUTINE})
_FACE: Final = '''"""
Hugging Face Provider Module for ALwrity

Text and structured JSON through Hugging Face's router. The work is done by alwrity_checks.hf: the models of a chain are
asked in turn, nothing is repeated that no repetition cures, what is returned is valid against the schema, and what
cannot be had raises an exception that names its cause. Names, arguments and return values are those that this module
has always had.

Usage Examples:
    result = huggingface_text_response(prompt, temperature=0.7, max_tokens=2048)
    result = huggingface_structured_json_response(prompt, schema, temperature=0.2, max_tokens=8192)

Settings: HF_TOKEN, HF_FALLBACK_MODELS (asked after the caller's model, separated by commas), HF_CHAIN_FILE (a chain
that `alwrity-doctor hf chain --write` has measured), HF_ROUTER_BASE_URL. `alwrity-doctor hf probe` examines them.
"""

from alwrity_checks.hf.compat import (
    HF_FALLBACK_MODELS,
    get_available_models,
    get_huggingface_api_key,
    huggingface_structured_json_response,
    huggingface_text_response,
    validate_model,
)
from dotenv import load_dotenv

# For who imports this without app.py: the first .env from here upwards; the settings are read at each call
load_dotenv()

__all__ = [
    "HF_FALLBACK_MODELS",
    "get_available_models",
    "get_huggingface_api_key",
    "huggingface_structured_json_response",
    "huggingface_text_response",
    "validate_model",
]
'''
_NEEDED: Final = (
    Needed(
        "HF_TOKEN",
        "A token with the permission to make calls to Inference Providers; without it every call raises ValueError.",
        required=True,
        instead=("HUGGING_FACE_HUB_TOKEN",),
    ),
    Needed(
        "HF_FALLBACK_MODELS",
        "The models that are asked after the caller's, separated by commas; without it openai/gpt-oss-120b "
        "at Cerebras, at Groq, and at whoever serves it.",
        required=False,
    ),
    Needed(
        "HF_CHAIN_FILE",
        "A chain that `alwrity-doctor hf chain --write FILE` has measured, which counts before HF_FALLBACK_MODELS.",
        required=False,
    ),
    Needed(
        "HF_ROUTER_BASE_URL",
        "Another router than https://router.huggingface.co/v1; a wrong one is refused with the right one named.",
        required=False,
    ),
)
_NOTES: Final = (
    (
        "An answer that is not valid against the schema raises GenerationFailed; it used to be returned as "
        '{"error": …, "raw_response": …}, or unchecked.'
    ),
    "A call ends after 180 s at the latest; it used to have no limit of its own, and six attempts.",
)


def propose(sources: Sources) -> Proposal:
    """Return what would be written into the checkout for issue 2. Raises MissingExtra without libcst."""
    return propose_module(
        sources,
        ISSUE,
        PATH,
        _FACE,
        name="the Hugging Face provider",
        extra="hf",
        needed=_NEEDED,
        refusals=_refusals,
        notes=lambda text: (*_NOTES, *_own_models(text), *fit.gone(public_names(text), _OFFERED)),
    )


def _refusals(sources: Sources, text: str) -> Iterator[Refusal]:
    if (unfinished := fit.conflict(PATH, text)) is not None:
        yield unfinished
        return
    theirs = public_names(text)
    for name in _GENERATING:
        if name not in theirs:
            yield Refusal(PATH, None, f"it does not define {name}", f"look where this revision has {name}")
            return
    yield from fit.unfit_imports(sources, _MODULE, _OFFERED)
    ours = public_names((files("alwrity_checks.hf") / "compat.py").read_text("utf-8"))
    for name in _OFFERED:
        if name in theirs and theirs[name].kind in _CODE:
            called = _as_called(sources, name, theirs[name], ours[name])
            if reason := unaccepted(called, ours[name]):
                yield fit.uncallable(PATH, theirs[name].line, name, reason)


def _as_called(sources: Sources, name: str, theirs: Signature, ours: Signature) -> Signature:
    """Return a function's signature without the positions that differ from ours, if nobody gives so many arguments.

    `fallback_models` stands in another place in each revision (ALwrity 01881bb4 and ce9bf293), and is only ever named.
    """
    pairs = zip(theirs.parameters, ours.parameters, strict=False)
    alike = sum(
        1 for _ in takewhile(lambda pair: (pair[1].name, pair[1].passing) == (pair[0].name, Passing.EITHER), pairs)
    )
    if _most_positions(sources, name) > alike:
        return theirs
    parameters = (
        replace(one, passing=Passing.NAME) if place >= alike and one.passing is Passing.EITHER else one
        for place, one in enumerate(theirs.parameters)
    )
    return replace(theirs, parameters=tuple(parameters))


def _most_positions(sources: Sources, name: str) -> float:
    """Return how many arguments a caller gives by position, at the most; infinitely many where it cannot be read."""
    most = 0
    for path in {caller.path for caller in callers(sources, _MODULE)}:
        try:
            tree = ast.parse(sources.text(path) or "")
        except (SyntaxError, ValueError, RecursionError):
            return float("inf")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name in {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}:
                starred = any(isinstance(one, ast.Starred) for one in node.args)
                most = max(most, len(node.args) + 100 * starred)
    return most


def _own_models(text: str) -> Iterator[str]:
    """Yield how to keep the fallback models that a checkout names itself, where they are not ours."""
    from alwrity_checks.hf.compat import HF_FALLBACK_MODELS

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not any(getattr(one, "id", "") == _OFFERED[0] for one in node.targets):
            continue
        named = [one.value for one in getattr(node.value, "elts", ()) if isinstance(one, ast.Constant)]
        if named and named != HF_FALLBACK_MODELS:
            own = ",".join(map(str, named))
            yield f"The module's own list of fallback models goes; to keep it, set HF_FALLBACK_MODELS={own}"
