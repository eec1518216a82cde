"""Structured JSON through Hugging Face's router (issue 2): the runtime API.

    router = Router.from_environment()
    chain = await Prober(router).verified_chain(models, schema=schema)
    result = await StructuredGenerator(router, chain).generate(prompt, schema)
    text = await StructuredGenerator(router, chain).generate_text(prompt)

Names are imported on first use, so that a command which needs one of them does not pay for all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.hf.answer import Answer, TransportFault
    from alwrity_checks.hf.canary import Structure
    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.hf.causes import Action, Cause, Classification, Mode, Permanence, Scope
    from alwrity_checks.hf.chain import Chain, Link
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.generation import Attempt, Generation, GenerationFailed
    from alwrity_checks.hf.generator import StructuredGenerator
    from alwrity_checks.hf.ladder import Sampling
    from alwrity_checks.hf.plan import Plan
    from alwrity_checks.hf.probe_result import Cell, ProbeResult
    from alwrity_checks.hf.prober import ChainNotVerified, Prober
    from alwrity_checks.hf.router import Router

__all__ = [
    "Action",
    "Answer",
    "Attempt",
    "Catalogue",
    "Cause",
    "Cell",
    "Chain",
    "ChainNotVerified",
    "Classification",
    "Deployment",
    "Generation",
    "GenerationFailed",
    "Link",
    "Mode",
    "Permanence",
    "Plan",
    "ProbeResult",
    "Prober",
    "Router",
    "Sampling",
    "Scope",
    "Structure",
    "StructuredGenerator",
    "TransportFault",
]

_HOME: Final = {
    "Action": "causes",
    "Answer": "answer",
    "Attempt": "generation",
    "Catalogue": "catalogue",
    "Cause": "causes",
    "Cell": "probe_result",
    "Chain": "chain",
    "ChainNotVerified": "prober",
    "Classification": "causes",
    "Deployment": "deployment",
    "Generation": "generation",
    "GenerationFailed": "generation",
    "Link": "chain",
    "Mode": "causes",
    "Permanence": "causes",
    "Plan": "plan",
    "ProbeResult": "probe_result",
    "Prober": "prober",
    "Router": "router",
    "Sampling": "ladder",
    "Scope": "causes",
    "Structure": "canary",
    "StructuredGenerator": "generator",
    "TransportFault": "answer",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
