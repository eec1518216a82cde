"""The face of issue 3: the module of the semantic index becomes an import of the component behind ALwrity's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption import fit
from alwrity_checks.adoption.proposal import Needed, Proposal, Refusal
from alwrity_checks.adoption.syntax import public_names
from alwrity_checks.adoption.whole_module import propose_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.adoption.proposal import Sources

__all__ = ["ISSUE", "PATH", "propose"]

ISSUE: Final = 3
PATH: Final = "services/intelligence/txtai_service.py"
_MODULE: Final = "services.intelligence.txtai_service"
_CLASS: Final = "TxtaiIntelligenceService"
_OURS: Final = "alwrity_checks.txtai.compat"
_OFFERED: Final = (_CLASS, "TXTAI_AVAILABLE")
_FACE: Final = f'''"""
Txtai Intelligence Service

The semantic index of each user. The work is done by alwrity_checks.txtai: one initialisation serves everybody, what
index_content has accepted survives a crash, nothing blocks the event loop, and no two threads are ever inside one
index. Names, arguments and return values are those that this module has always had.

Settings: ALWRITY_TXTAI_DIR (where the indexes are), ALWRITY_TXTAI_MODEL, ALWRITY_TXTAI_URL, SIF_FAIL_FAST.
Indexes of earlier versions are taken over by `alwrity-doctor txtai migrate`.
"""

from {_OURS} import TXTAI_AVAILABLE, {_CLASS}

__all__ = ["TXTAI_AVAILABLE", "{_CLASS}"]
'''
_RECEIVERS: Final = r"(?:\w*_)?(?:intelligence|intel|txtai)(?:_service)?|svc"
"""What callers call the service (ALwrity ce9bf293: `intelligence`, `intelligence_service`, `intel_service`, `svc`)."""
_NEEDED: Final = (
    Needed(
        "ALWRITY_TXTAI_DIR",
        "Where the indexes of all users are kept; without it workspace/semantic-index below the directory in which the "
        "backend is started, which a container may lose.",
        required=False,
    ),
    Needed(
        "ALWRITY_TXTAI_URL",
        "A PostgreSQL database with pgvector that keeps the indexes instead, where several hosts share them.",
        required=False,
    ),
    Needed(
        "ALWRITY_TXTAI_MODEL",
        "The model of the vectors, by name or as a directory; without it sentence-transformers/all-MiniLM-L6-v2.",
        required=False,
    ),
    Needed(
        "SIF_FAIL_FAST",
        "Whether an index that is not ready is an error (1, the default) or an empty result (0); documents are kept "
        "either way.",
        required=False,
    ),
)
_NOTES: Final = (
    (
        "The indexes that the old module has written stay where they are, and are not read any more: take their "
        "documents over with `alwrity-doctor txtai migrate`, before the first start or at any later time."
    ),
    (
        "A search has the metadata of a document now, as `metadata` and as `object`, where callers have always looked "
        "for it; the old module stored it where no search found it."
    ),
)


def propose(sources: Sources) -> Proposal:
    """Return what would be written into the checkout for issue 3. Raises MissingExtra without libcst."""
    return propose_module(
        sources,
        ISSUE,
        PATH,
        _FACE,
        name="the module of the semantic index",
        extra="txtai",
        needed=_NEEDED,
        refusals=_refusals,
        notes=lambda _: _NOTES,
    )


def _refusals(sources: Sources, text: str) -> Iterator[Refusal]:
    if (unfinished := fit.conflict(PATH, text)) is not None:
        yield unfinished
        return
    theirs = public_names(text).get(_CLASS)
    if theirs is None:
        yield Refusal(PATH, None, f"it does not define {_CLASS}", f"look where this revision has {_CLASS}")
        return
    yield from fit.unfit_imports(sources, _MODULE, _OFFERED)
    if f"from {_OURS} import" in text and theirs.kind.value == "import":
        return
    ours = fit.our_class("alwrity_checks.txtai", "compat", _CLASS)
    yield from fit.unfit_calls(PATH, _CLASS, theirs, ours)
    lacking = fit.names_of(text, theirs) - fit.names_of(_own_text(), ours)
    yield from fit.unfit_reaches(sources, _RECEIVERS, lacking, {PATH})


def _own_text() -> str:
    from importlib.resources import files

    return (files("alwrity_checks.txtai") / "compat.py").read_text("utf-8")
