"""From the outside in: base URL, endpoint, token, account, catalogue, and only then every deployment in every mode.

Each step explains those after it, so that a fault further out ends the asking: nothing behind a wrong base URL can
work, and no model is asked about it. What a later step shows of an earlier one counts for more: a completion proves
more than a list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck, ConfigurationError, MissingExtra
from alwrity_checks.hf.account import examine_account
from alwrity_checks.hf.advertised import Objection, objection
from alwrity_checks.hf.answer import Answer
from alwrity_checks.hf.causes import Cause, Mode, Permanence, Scope
from alwrity_checks.hf.check_network import account_faults, model_faults
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.endpoint import examine_endpoint
from alwrity_checks.hf.endpoint_steps import base_url_step, endpoint_step
from alwrity_checks.hf.findings import finding, finding_of
from alwrity_checks.hf.hub import ENDPOINT_NAME, hub_url, stray_destination
from alwrity_checks.hf.pictured import mode_matrix
from alwrity_checks.hf.plan import DEFAULT_MODES
from alwrity_checks.hf.probe_steps import deployments_step, structure_step
from alwrity_checks.hf.probe_tables import answer_table, chain_table, plan_table, structure_table
from alwrity_checks.hf.prober import Prober
from alwrity_checks.hf.router import TOKEN_NAMES, Router
from alwrity_checks.hf.rules import rule_of
from alwrity_checks.hf.token_step import token_step
from alwrity_checks.model import Event, Finding, Location, LocationKind, Verdict

if TYPE_CHECKING:
    from alwrity_checks.hf.account import Account
    from alwrity_checks.hf.endpoint import Endpoint
    from alwrity_checks.hf.named_models import NamedModel
    from alwrity_checks.hf.plan import Plan
    from alwrity_checks.hf.probe_result import Cell, ProbeResult
    from alwrity_checks.hf.steps import Diagnosis
    from alwrity_checks.model import Observer
    from alwrity_checks.settings import Settings

__all__ = ["Order", "diagnose"]

_NAME: Final = "hf probe"
_DECIDED_BY_ANSWERS: Final = frozenset({Scope.MODEL, Scope.DEPLOYMENT})


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be probed, and how far."""

    models: tuple[NamedModel, ...]
    modes: tuple[Mode, ...] = DEFAULT_MODES
    offline: bool = False
    dry_run: bool = False
    """Read the catalogue, and ask for no completion."""
    concurrency: int = 4
    max_requests: int = 200
    max_cost: float | None = None
    """USD."""
    timeout: float = 30.0
    """Seconds, for one completion."""


async def diagnose(settings: Settings, order: Order, diagnosis: Diagnosis, observer: Observer) -> None:
    """Carry out `order`, step by step into `diagnosis`; what anybody answers is a result and never raised."""
    observer.notify(Event("started", _NAME))
    try:
        await _Run(settings, order, diagnosis, lambda message: observer.notify(Event("progress", _NAME, message))).go()
    finally:
        observer.notify(Event("finished", _NAME))


class _Run:
    """One diagnosis under way."""

    def __init__(self, settings: Settings, order: Order, diagnosis: Diagnosis, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._order = order
        self._diagnosis = diagnosis
        self._say = say
        self._router = Router.from_settings(settings)
        self._deployments: dict[Deployment, NamedModel] = {}
        self._malformed: list[Finding] = []
        for named in order.models:
            try:
                self._deployments.setdefault(Deployment.parse(named.deployment), named)
            except ConfigurationError as error:
                where = named.where if isinstance(named.where, Location) else None
                self._malformed.append(finding(Cause.MODEL_NOT_FOUND, error.diagnosis, where))

    async def go(self) -> None:
        """Take every step that the one before allows."""
        diagnosis, router = self._diagnosis, self._router
        held, stray = router.token, stray_destination(self._settings)
        router.token = None if stray else held
        endpoint, took = None, 0.0
        if not self._order.offline:
            self._say("the base URL's list of models")
            started = time.perf_counter()
            endpoint = await examine_endpoint(router)
            took = time.perf_counter() - started
        base_url_step(diagnosis, self._settings, router, endpoint)
        endpoint_step(diagnosis, endpoint, took)
        router.token = token_step(diagnosis, self._settings, held, endpoint, stray)
        if endpoint is None or endpoint.unusable:
            diagnosis.skip("account", "models", "deployments", "structure", because="endpoint")
        else:
            await self._account(endpoint)
            objections = self._models(endpoint)
            await self._ask(endpoint, objections)

    async def _account(self, endpoint: Endpoint) -> None:
        diagnosis, router = self._diagnosis, self._router
        if router.token is None:
            diagnosis.skip("account", because="token")
            return
        if endpoint.catalogue is not None and not endpoint.catalogue.names_providers:
            diagnosis.skip("account", seen="this server serves its models itself, and has no accounts")
            return
        self._say("whose the token is")
        hub = hub_url(router.base_url, self._settings.text(ENDPOINT_NAME))
        found = await examine_account(router, hub=hub)
        where = next((one.location for one in self._settings.every(*TOKEN_NAMES) if one.value), None)
        where = where or Location(LocationKind.URL, hub)
        if isinstance(found, Answer):
            refused = classify(found)
            if refused.scope is Scope.ACCOUNT and refused.permanence is Permanence.PERMANENT:
                diagnosis.add("account", (finding_of(refused, where),), seen=f"{hub} refuses the token")
            else:
                reason = f"{hub} did not say whose the token is: {refused.message}"
                diagnosis.add("account", verdict=Verdict.UNKNOWN, seen=reason, remedy="a completion settles it")
            return
        try:
            diagnosis.add("account", tuple(account_faults(found, where)), seen=_described(found))
        except CannotCheck as error:
            seen = f"{_described(found)}; {error.diagnosis}"
            diagnosis.add("account", verdict=Verdict.UNKNOWN, seen=seen, remedy=error.remedy)

    def _models(self, endpoint: Endpoint) -> Mapping[Deployment, Objection]:
        """Look every deployment up; return what the catalogue says against which."""
        catalogue = endpoint.catalogue
        if catalogue is None:
            self._diagnosis.skip("models", seen="there is no catalogue to look in", because="endpoint")
            return {}
        listed_at = f"{endpoint.base_url}/models"
        findings = tuple(one for named in self._order.models for one in model_faults(catalogue, named, listed_at))
        against = {one: found for one in self._deployments if (found := objection(catalogue, one))}
        listed = len(self._deployments) - len(against)
        seen = f"{listed} of {len(self._order.models)}"
        if not catalogue.names_providers and any(one.suffix for one in self._deployments):
            seen = f"{seen}; this server names no providers, and may not understand a suffix"
        self._diagnosis.add("models", findings, seen=seen)
        return against

    async def _ask(self, endpoint: Endpoint, objections: Mapping[Deployment, Objection]) -> None:
        diagnosis, order = self._diagnosis, self._order
        blocked = next((step for step in ("token", "account") if self._forbids(step)), None)
        prober = Prober(
            self._router,
            catalogue=endpoint.catalogue,
            concurrency=order.concurrency,
            max_requests=order.max_requests,
            max_cost=order.max_cost,
            timeout=order.timeout,
        )
        try:
            plan = prober.plan([str(one) for one in self._deployments], order.modes)
            if order.dry_run:
                diagnosis.tables.append(plan_table(plan))
                diagnosis.skip("deployments", seen=_planned(plan), remedy="run it without --dry-run")
                diagnosis.skip("structure", because="deployments")
                return
            if blocked is not None:
                diagnosis.skip("deployments", "structure", because=blocked)
                return
            result = await prober.probe(plan, self._progress(len(plan.cells)))
        except MissingExtra as error:
            diagnosis.skip("deployments", seen=error.diagnosis, remedy=error.remedy)
            diagnosis.skip("structure", because="deployments")
            return
        finally:
            await self._router.aclose()
        self._judge(endpoint, result, objections)

    def _forbids(self, step: str) -> bool:
        """Say whether nothing can be asked for because of `step`: no usable token, or one that the Hub refuses."""
        if step == "token":
            return self._router.token is None
        convicted = {one.rule.code for result in self._diagnosis.results for one in result.findings}
        return rule_of(Cause.TOKEN_INVALID).code in convicted

    def _progress(self, count: int) -> Callable[[Cell], None]:
        decided = 0

        def note(cell: Cell) -> None:
            nonlocal decided
            decided += 1
            self._say(f"{decided} of {count}: {cell.deployment}, {cell.mode or 'plain text'}")

        return note

    def _judge(self, endpoint: Endpoint, result: ProbeResult, objections: Mapping[Deployment, Objection]) -> None:
        diagnosis = self._diagnosis
        diagnosis.tables.append(answer_table(result, endpoint.catalogue))
        diagnosis.pictures.append(mode_matrix(result))
        structure = structure_table(result, endpoint.catalogue)
        if structure.rows:
            diagnosis.tables.append(structure)
        plain = [cell for cell in result.cells if cell.mode is None]
        alive = sum(cell.ok for cell in plain)
        if alive:
            self._answers_prove(result)
        self._leave_to_answers(result, objections)
        deployments_step(diagnosis, endpoint, result, objections, tuple(self._malformed))
        structure_step(diagnosis, endpoint, result)
        diagnosis.chain = result.chain(base_url=self._router.base_url)
        if diagnosis.chain is not None:
            diagnosis.tables.append(chain_table(diagnosis.chain))

    def _answers_prove(self, result: ProbeResult) -> None:
        """Correct what was doubted of endpoint and account before a completion came."""
        if self._diagnosis.verdict("endpoint") is Verdict.UNKNOWN:
            self._diagnosis.overrule("endpoint", "it lists no models, and answers completions")
        if result.stopped is None and self._diagnosis.verdict("account") in {Verdict.UNKNOWN, Verdict.FAIL}:
            before = next(one.reason for one in self._diagnosis.results if one.name == "probe.account")
            self._diagnosis.overrule("account", f"completions are answered; {before}")

    def _leave_to_answers(self, result: ProbeResult, objections: Mapping[Deployment, Objection]) -> None:
        """Leave to the router's own answer what it has settled of the catalogue's objections."""
        settled = {
            cell.deployment: cell.ok
            for cell in result.cells
            if cell.mode is None
            and cell.classification is not None
            and (cell.ok or cell.classification.scope in _DECIDED_BY_ANSWERS)
        }
        decided = {str(one) for one in objections if one in settled}
        if not decided:
            return
        step = next(one for one in self._diagnosis.results if one.name == "probe.models")
        against = {str(one): found.message for one, found in objections.items()}
        left = tuple(one for one in step.findings if one.message not in {against[name] for name in decided})
        refused = any(not settled[one] for one in objections if one in settled)
        verdict = Verdict.FAIL if refused else None
        words = "; the router's own answers are below" if refused else "; the others answer all the same"
        self._diagnosis.overrule("models", f"{step.reason}{words}", left, verdict=verdict)


def _described(account: Account) -> str:
    """Return whose the token is and what is left, in a few words."""
    whose = f"{account.name} ({account.kind}, role {account.role or 'not said'})"
    if account.remaining_usd is None:
        return f"{whose}; credits not known: {account.billing}"
    until = "" if account.period_end is None else f" until {account.period_end:%Y-%m-%d}"
    return f"{whose}; {account.remaining_usd:.2f} USD of credits left{until}"


def _planned(plan: Plan) -> str:
    cost = "the price of some is not known" if plan.most_cost is None else f"{plan.most_cost:.2f} USD at most"
    cells = f"{len(plan.cells)} questions to {len(plan.deployments)} deployments"
    return f"--dry-run was given: {cells}, at most {plan.most_requests} requests, {cost}"
