"""Reads a room's `rules.toml`: the rules are prose, and prose does not belong into code.

[[group]]                       # defaults of the rules below it
precedence = 20
reproduction = "…"
validation = "…"

[[group.rule]]
code = "AUTH010"
title = "the publishable key is set"
severity = "error"
reasons = ["pk-missing"]        # the reason codes that break it
explanation = "…"
remedy = "…"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from alwrity_checks.model import Rule, Severity

__all__ = ["RuleFile", "load_rules"]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The rules of a room."""

    rules: tuple[Rule, ...]
    by_reason: Mapping[str, Rule]
    """Reason code -> the rule it breaks."""


def load_rules(package: str, issue: int) -> RuleFile:
    """Read `rules.toml` beside the package's modules; a group or rule that belongs to another issue says so itself."""
    document = tomllib.loads(files(package).joinpath("rules.toml").read_text("utf-8"))
    rules: list[Rule] = []
    by_reason: dict[str, Rule] = {}
    for group in document["group"]:
        defaults = {key: value for key, value in group.items() if key != "rule"}
        for entry in group["rule"]:
            fields = defaults | entry
            reasons = fields.pop("reasons", [])
            rule = Rule(**({"issue": issue} | fields | {"severity": Severity(fields["severity"])}))
            rules.append(rule)
            by_reason.update(dict.fromkeys(reasons, rule))
    return RuleFile(tuple(rules), by_reason)
