"""`alwrity-doctor gate`: run the checks and end with one exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from alwrity_doctor.cli.process import say
from alwrity_doctor.suppressions import FILE_NAME, Suppression, configured, unmatched

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from alwrity_checks.model import Check, Observer, Report
    from alwrity_doctor.baseline import Acceptance

app = typer.Typer()

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=f"Accepted findings.  [default: {FILE_NAME}, if it exists]"),
]


@app.command()
def gate(  # noqa: PLR0913 - each parameter is an option of the command
    checks: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK]...", help="Names or prefixes (auth). All, if none is named.")
    ] = None,
    *,
    issue: Annotated[list[int] | None, typer.Option(help="Only checks of this issue; may be repeated.")] = None,
    backend: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The root of your checkout: its .env files are read, its source is scanned.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REV", help="Of the source only what was introduced since REV; see scan."),
    ] = None,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
    wait: Annotated[
        float, typer.Option(metavar="S", min=0, help="Run again until all is healthy or S seconds have passed.")
    ] = 0,
    config: ConfigOption = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Accept what FILE holds; only what is new beside it counts."),
    ] = None,
    write_baseline: Annotated[
        Path | None,
        typer.Option(
            "--write-baseline",
            metavar="FILE",
            help="Accept today's findings: write them to FILE, which is not there yet or is that of --baseline.",
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="With --write-baseline: why they are accepted.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DATE", help="With --write-baseline: the last day, such as 2027-03-31."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="BUNDLE",
            help="Judge the report in a bundle again (-: on stdin); nothing is looked at anew.",
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the checks instead of running them.")] = False,
) -> None:
    """Run the checks, those that do not depend on each other at the same time, and end with one exit code."""
    from alwrity_doctor.cli import gate_baseline

    outputs = parse_formats(form)
    accepting = gate_baseline.wish(baseline, write_baseline, reason, expires)
    if bundle is not None:
        given = {"--backend": backend, "--since": since, "--env-file": env_file, "--wait": wait, "--list": listed}
        from alwrity_doctor.cli.gate_from import judged

        report = judged(bundle, given, accepting, configured(config), fail_on, checks or (), issue or ())
        from alwrity_doctor.cli.output import emit

        raise typer.Exit(emit(report, outputs))

    from alwrity_doctor.discovery import discover
    from alwrity_doctor.selection import choose

    if since is not None:
        _check_revision(backend, since)
    if wait and accepting.to is not None:
        gate_baseline.refuse_waiting()
    chosen = choose(discover(), checks or (), issue or ())
    if listed:
        typer.echo(_listing(chosen))
        return
    suppressions = configured(config)
    acceptance: Acceptance | None = accepting.acceptance()

    async def once(observers: Sequence[Observer]) -> Report:
        from alwrity_checks.model import Context
        from alwrity_checks.settings import Settings
        from alwrity_doctor.gate import run_checks

        # Read anew for each run: what is waited for may be a setting.
        settings = Settings.load(env_files=env_files(env_file, backend or Path()))
        context = Context(settings, offline=offline, backend=str(backend) if backend else None, since=since)
        return await run_checks(
            chosen,
            context,
            observers=observers,
            suppressions=suppressions,
            baseline=acceptance,
            fail_on=fail_on.severity,
        )

    async def work(observers: Sequence[Observer]) -> Report:
        from alwrity_doctor.waiting import until_healthy

        report = await until_healthy(lambda: once(observers), wait, say)
        tell_unmatched(suppressions, report)
        accepting.finish(report, partly=since is not None)
        return report

    raise typer.Exit(deliver(work, outputs))


def _check_revision(backend: Path | None, since: str) -> None:
    """Raise ConfigurationError where the checkout has no such revision: before the run, not in each of its checks."""
    from alwrity_checks.backend.checkout import find_checkout
    from alwrity_checks.backend.files import repository_root
    from alwrity_checks.backend.since import merge_base
    from alwrity_checks.errors import ConfigurationError

    if backend is None:
        raise ConfigurationError("--since needs a checkout", "name it: --backend DIR")
    merge_base(repository_root(find_checkout(backend)), since)


def tell_unmatched(suppressions: Collection[Suppression], report: Report) -> None:
    """Say which accepted findings of the configuration `report` has none of."""
    for one in unmatched(suppressions, report):
        where = f" at {one.location}" if one.location else ""
        say(f"Note: the suppression of {one.rule}{where} matched nothing in this run.")


def _listing(checks: Sequence[Check]) -> str:
    rows = [("Check", "Issue", "Requires", "Holds when")]
    for check in checks:
        needs = sorted(f"{need.kind}{_first_of(need.names)}" for need in check.requires)
        rows.append((check.name, str(check.issue or "-"), ", ".join(needs) or "-", check.title))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _first_of(names: Sequence[str]) -> str:
    return f" {names[0]}{'|…' if len(names) > 1 else ''}" if names else ""
