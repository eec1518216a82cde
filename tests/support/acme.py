"""The source of a third party's module with one check for every way a run can end."""

from __future__ import annotations

SOURCE = """
import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta

from alwrity_checks.catalogue import rules
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Finding, Requirement, RequirementKind, Rule, Severity
from alwrity_checks.redaction import Secret

FAULT = Rule("ACME001", "acme is well", Severity.ERROR, 1, "why", "mend it", "how", "so")
DOUBT = Rule("ACME002", "acme is quiet", Severity.WARNING, 1, "why", "mend it", "how", "so")
NETWORK = frozenset({Requirement(RequirementKind.NETWORK)})
AFTER_WARN = frozenset({Requirement(RequirementKind.CHECK, ("acme.warn",))})


@dataclass(frozen=True)
class Acme:
    name: str
    act: object
    requires: frozenset = frozenset()
    title: str = "acme is well"
    issue: int = 1
    timeout: timedelta = timedelta(seconds=60)

    async def run(self, context):
        return await self.act(context)


async def well(context):
    return ()


async def fail(context):
    return [Finding(FAULT, "acme is broken")]


async def warn(context):
    return [Finding(DOUBT, "acme is noisy")]


async def known(context):
    return [Finding(rules()["AUTH001"], "as everybody knows")]


async def silent(context):
    raise CannotCheck("acme is silent", "ask acme")


async def leak(context):
    password = Secret("the phrase that nobody may read").reveal()
    key = "sk_test_" + "q" * 40
    raise RuntimeError(f"refused {password} and {key}")


async def hang(context):
    print("hanging", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


async def block(context):
    print("hanging", file=sys.stderr, flush=True)
    asyncio.get_running_loop().run_in_executor(None, __import__("threading").Event().wait)
    __import__("threading").Event().wait()


CHECKS = [
    Acme("acme.well", well),
    Acme("acme.fail", fail),
    Acme("acme.warn", warn),
    Acme("acme.known", known),
    Acme("acme.silent", silent),
    Acme("acme.leak", leak),
    Acme("acme.hang", hang, AFTER_WARN),
    Acme("acme.block", block, AFTER_WARN),
    Acme("acme.online", well, NETWORK),
]
"""
