"""What the commands of `models` share: options, the component, results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from alwrity_checks.errors import DoctorError
    from alwrity_checks.model import CheckResult, Evidence, Finding
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.workshop import Workshop
    from alwrity_checks.settings import Settings

__all__ = [
    "ContextOption",
    "component",
    "examined",
    "fact",
    "failed",
    "in_bits",
    "in_bytes",
    "role_of",
]

ISSUE: Final = 5
ContextOption = Annotated[
    int | None,
    typer.Option("--context", metavar="N", min=16, max=1 << 20, help="Tokens, prompt and answer.  [default: 4096]"),
]
_BITS: Final = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)\s*([KMG])?(bit|b|B)(?:/s|ps)", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3}


def component(env_files: Sequence[Path], *, offline: bool) -> tuple[Settings, Workshop, ModelRegistry]:
    """Return the settings, and the works and the registry that they describe; with `offline` no hub is asked.

    Raises ModelError for a setting that is unusable.
    """
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import roles
    from alwrity_checks.models.workshop import Workshop, environment_of
    from alwrity_checks.settings import Settings

    settings = Settings.load(env_files=env_files)
    environment = environment_of(settings) | ({"HF_HUB_OFFLINE": "1"} if offline else {})
    works = Workshop(environment)
    return settings, works, ModelRegistry(roles(settings), works)


def role_of(registry: ModelRegistry, named: str) -> Role:
    """Return the role `named`; for anything else, a role whose only model that is. Raises ModelError.

    The runtime and the precision that the settings demand of the agents are demanded of that model too.
    """
    from dataclasses import replace

    from alwrity_checks.models.roles import AGENT, Candidate, checked_name

    named = named.strip()
    if named in registry.roles:
        return registry.role(named)
    agent = registry.role(AGENT)
    demands = {one.name: one for one in agent.settings if one.name in {"SIF_AGENT_RUNTIME", "SIF_AGENT_PRECISION"}}
    like = next(iter(agent.candidates), Candidate(""))
    candidate = Candidate(
        checked_name(named),
        like.runtime if "SIF_AGENT_RUNTIME" in demands else None,
        like.precision if "SIF_AGENT_PRECISION" in demands else None,
    )
    return replace(agent, name=named, purpose="", candidates=(candidate,), settings=tuple(demands.values()))


def in_bytes(given: str, option: str) -> int:
    """Return the bytes of `8GiB`, `500MB` or a plain number. Raises ConfigurationError outside 1 MiB to 1 PiB."""
    from alwrity_checks.models.bytes_text import parse_bytes
    from alwrity_checks.models.errors import ModelError

    try:
        return parse_bytes(given)
    except ModelError as error:
        raise ConfigurationError(f"{option} {error.diagnosis}", error.remedy) from None


def in_bits(given: str, option: str) -> float:
    """Return the bytes a second of `50Mbit/s` or `6MB/s`. Raises ConfigurationError."""
    match = _BITS.fullmatch(given.strip())
    remedy = f"write {option} 50Mbit/s, or 6MB/s"
    if match is None:
        raise ConfigurationError(f"{option} {given!r:.40} is no bandwidth", remedy)
    number, unit, kind = match.groups()
    rate = float(number) * 1000.0 ** _POWERS[(unit or "").upper()] / (1 if kind == "B" else 8)
    if rate <= 0:
        raise ConfigurationError(f"{option} {given!r:.40} lets nothing through", remedy)
    return rate


def fact(label: str, value: object) -> Evidence:
    """Return a fact for a report, without anything that has the shape of a credential."""
    from alwrity_checks.model import Evidence
    from alwrity_checks.redaction import scrub

    return Evidence(scrub(label), scrub(str(value)))


def examined(
    name: str, title: str, findings: Sequence[Finding], evidence: Sequence[Evidence] = (), reason: str = ""
) -> CheckResult:
    """Return the result of what was carried out to its end."""
    from alwrity_checks.model import CheckResult, Verdict
    from alwrity_doctor.foreign import scrubbed

    found = tuple(scrubbed(one) for one in findings)
    return CheckResult(name, title, ISSUE, Verdict.of(found), found, reason=reason, evidence=tuple(evidence))


def failed(name: str, title: str, error: DoctorError) -> CheckResult:
    """Return the result of what an error ended: a finding of the rule that it breaks."""
    from alwrity_checks.models.findings import finding_of

    return examined(name, title, [finding_of(error)])
