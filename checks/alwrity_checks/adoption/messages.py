"""What the commits of an adoption say: what was done, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Proposal

__all__ = ["message"]

_WIDTH: Final = 72


@dataclass(frozen=True, slots=True)
class _Said:
    subject: str
    """At most 72 characters."""
    why: str


_SAID: Final[Mapping[int, _Said]] = MappingProxyType(
    {
        1: _Said(
            "Verify Clerk tokens with one pinned verifier",
            "The middleware took the issuer from the token or fell back to an unverified decode, so that a forged "
            "token could be accepted and a genuine one refused, and it fetched keys on the event loop. The verifier "
            "pins the issuer and the key set by the settings, and keeps known keys through an outage.",
        ),
        2: _Said(
            "Ask Hugging Face through a chain of deployments that answer",
            "A wrong base URL or a model without a provider was asked again and again, and text that was no JSON came "
            "back as data. The generator hands over to the next deployment at once where repeating cures nothing, and "
            "returns JSON that is valid against the schema, or an honest error.",
        ),
        3: _Said(
            "Keep the semantic index in one writer that loses nothing",
            "Two initialisations could run at once and replace each other's index, a batch could overwrite the ones "
            "before it, and a kill during the save lost what was accepted. The component has one initialisation for "
            "all callers, one writer for a user, and a queue in which what was accepted survives.",
        ),
        5: _Said(
            "Load a local model once, and only one that fits",
            "Every fallback loaded a further model into the same memory, on the event loop, and a failed load was "
            "repeated at each call. The registry decides before a load whether a model fits, loads it once for all "
            "callers, and hands out an error as an error.",
        ),
        6: _Said(
            "Start the server without waiting for a model",
            "The start downloaded models before the port was opened, so that a slow hub kept the server from "
            "answering, and models that nobody uses were fetched too. What is needed is now fetched in the "
            "background, resumed and checked, while the server answers.",
        ),
    }
)
"""Issue -> the commit's subject, and why it is made; from the catalogue (`tracker.md`)."""


def message(proposal: Proposal, absent: Collection[str], version: str) -> str:
    """Return the message of a proposal's commit.

    `absent` are the codes of the rules whose fault was reproduced before and is absent after, empty where nothing was
    run; `version` is alwrity-doctor's.
    """
    said = _SAID[proposal.issue]
    paragraphs = [textwrap.fill(said.why, _WIDTH)]
    paragraphs += _proof(absent)
    settings = [one for one in proposal.needed if one.required]
    if settings:
        names = ", ".join(one.name for one in settings)
        paragraphs.append(textwrap.fill(f"Production needs these settings: {names}.", _WIDTH))
    written = f"Written by alwrity-doctor {version}, adopt {proposal.issue}: issue {proposal.issue} of its catalogue."
    paragraphs.append(textwrap.fill(written, _WIDTH))
    return "\n\n".join((said.subject, *paragraphs)) + "\n"


def _proof(absent: Collection[str]) -> Sequence[str]:
    if not absent:
        return ()
    told = f"Reproduced before this change and absent after it: {', '.join(sorted(absent))}."
    return (textwrap.fill(told, _WIDTH),)
