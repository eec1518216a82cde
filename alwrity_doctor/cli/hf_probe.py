"""`alwrity-doctor hf probe`: base URL, token, catalogue and every deployment, from the outside in."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_doctor.cli.hf_settings import (
    BaseUrlOption,
    CheckoutOption,
    ConcurrencyOption,
    MaxCostOption,
    MaxRequestsOption,
    ModelsArgument,
    TimeoutOption,
    TokenFileOption,
    code_of,
    load_settings,
    models_of,
)
from alwrity_doctor.cli.output import (
    EnvFileOption,
    FailOn,
    FailOnOption,
    FormatOption,
    OfflineOption,
    deliver,
    env_files,
    parse_formats,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alwrity_checks.hf.causes import Mode
    from alwrity_checks.model import Observer, Report
    from alwrity_checks.pictures import Picture
    from alwrity_checks.settings import Setting, Settings

__all__ = ["probe"]


class ModeName(StrEnum):
    """A way of asking for structure, as it is typed."""

    STRICT = "strict"
    SCHEMA = "json_schema"
    TOOL = "tool"
    OBJECT = "json_object"
    PROMPT = "prompt"


def probe(  # noqa: PLR0913 - each parameter is an option of the command
    models: ModelsArgument = None,
    *,
    base_url: BaseUrlOption = None,
    token_file: TokenFileOption = None,
    env_file: EnvFileOption = None,
    backend: CheckoutOption = None,
    offline: OfflineOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the catalogue; show what would be asked, and its most cost.")
    ] = False,
    mode: Annotated[
        list[ModeName] | None,
        typer.Option(help="Ask for structure in this way; may be repeated.  [default: strict, tool, json_object]"),
    ] = None,
    concurrency: ConcurrencyOption = 4,
    max_requests: MaxRequestsOption = 200,
    max_cost: MaxCostOption = None,
    timeout: TimeoutOption = 30.0,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Name what is at fault, and show who answers.

    From the outside in: base URL, token, account, catalogue, then each model at each provider in each mode. A fault
    further out ends it: a wrong base URL is named after at most three requests, however many models there are. With
    --backend DIR the base URL and the models are those in a checkout's code; --base-url counts before them.
    """
    outputs = parse_formats(form)
    code = code_of(backend)
    settings = load_settings(env_files(env_file), base_url, token_file, code)

    from alwrity_checks.hf.diagnosis import Order, diagnose
    from alwrity_checks.hf.plan import DEFAULT_MODES
    from alwrity_checks.hf.probe_tables import models_table
    from alwrity_checks.hf.steps import Diagnosis

    order = Order(
        models_of(models, settings, code),
        tuple(map(_mode, mode)) if mode else DEFAULT_MODES,
        offline=offline,
        dry_run=dry_run,
        concurrency=concurrency,
        max_requests=max_requests,
        max_cost=max_cost,
        timeout=timeout,
    )
    # Whoever names the models needs no table of who does.
    diagnosis = Diagnosis(tables=[] if models else [models_table(order.models)])

    async def work(observers: Sequence[Observer]) -> Report:
        from dataclasses import replace

        from alwrity_doctor.chain_picture import chain_picture
        from alwrity_doctor.interruption import Interrupted
        from alwrity_doctor.observers import Broadcast
        from alwrity_doctor.results import reported

        def seen() -> tuple[Picture, ...]:
            chain = chain_picture(diagnosis.results, prefix="probe.", title="From the outside in")
            return (*chain, *diagnosis.pictures)

        asking = diagnose(settings, order, diagnosis, Broadcast(observers))
        shown = _described(settings)
        try:
            report = await reported("hf probe", asking, fail_on.severity, diagnosis.results, pictures=seen)
        except Interrupted as interrupted:
            raise Interrupted(replace(interrupted.report, settings=shown, tables=tuple(diagnosis.tables))) from None
        return replace(report, settings=shown, tables=tuple(diagnosis.tables))

    raise typer.Exit(deliver(work, outputs))


def _mode(name: ModeName) -> Mode:
    from alwrity_checks.hf.causes import Mode

    return Mode.JSON_SCHEMA_STRICT if name is ModeName.STRICT else Mode(name.value)


def _described(settings: Settings) -> Mapping[str, str]:
    """Return the settings that were looked at, redacted, and where each came from."""
    from alwrity_checks.hf.base_url import ROUTER
    from alwrity_checks.hf.hub import ENDPOINT_NAME
    from alwrity_checks.hf.named_models import MODEL_NAMES
    from alwrity_checks.hf.router import BASE_URL_NAMES, TOKEN_NAMES

    found = settings.every(*BASE_URL_NAMES, *TOKEN_NAMES, ENDPOINT_NAME, *MODEL_NAMES)
    defaults = {BASE_URL_NAMES[0]: f"{ROUTER} (not set: the default)", TOKEN_NAMES[0]: "not set"}
    return defaults | {one.name: _shown(one, defaults.get(one.name, "not set")) for one in found}


def _shown(setting: Setting, default: str) -> str:
    """Return a setting redacted, and where it came from; one that holds nothing counts as not set."""
    if not setting.value.reveal().strip():
        return f"{default}; {setting.location} is empty"
    return f"{setting.shown} from {setting.location}"
