"""`alwrity-doctor auth`: what is wrong with a token, with the settings, with the requests of a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_doctor.cli.checkout_options import BackendOption, PythonOption, UseEnvOption, with_checkout
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
    from collections.abc import Sequence

    from alwrity_checks.model import Observer, Report
    from alwrity_checks.pictures import Picture

app = typer.Typer(no_args_is_help=True)

IssuerOption = Annotated[
    list[str] | None, typer.Option("--issuer", metavar="URL", help="Pin this issuer; may be repeated.")
]
PublishableKeyOption = Annotated[
    str | None, typer.Option("--publishable-key", metavar="KEY", help="Pin the instance of this key (it is public).")
]


@app.command()
def verify(  # noqa: PLR0913 - each parameter is an option of the command
    token: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOKEN | -]",
            help="The token, or - for standard input. Without it, ALWRITY_DOCTOR_TOKEN. Arguments are visible to "
            "other users of the machine: prefer one of the other ways.",
            show_default=False,
        ),
    ] = None,
    *,
    token_file: Annotated[Path | None, typer.Option(metavar="F", help="Read the token from this file.")] = None,
    issuer: IssuerOption = None,
    publishable_key: PublishableKeyOption = None,
    jwks_url: Annotated[str | None, typer.Option(metavar="URL", help="Pin this key set.")] = None,
    jwks_file: Annotated[Path | None, typer.Option(metavar="F", help="Pin the key set in this file.")] = None,
    jwt_key: Annotated[Path | None, typer.Option(metavar="F", help="Pin the PEM public key in this file.")] = None,
    authorized_party: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="An origin tokens may be minted for; may be repeated.")
    ] = None,
    leeway: Annotated[float, typer.Option(metavar="S", min=0, max=300, help="Seconds two clocks may differ.")] = 5.0,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Say what is wrong with a token, step by step, then everything together.

    What the command line does not pin, the backend's own settings do: the environment, then .env files.
    """
    from alwrity_doctor.cli.token_input import read_token

    outputs = parse_formats(form)
    text = read_token(token, token_file)

    from alwrity_checks.auth.pins import Pins
    from alwrity_doctor.cli.pinning import pinned

    flags = Pins.of_flags(
        issuers=tuple(issuer or ()),
        publishable_key=publishable_key,
        jwks_url=jwks_url,
        jwks_file=jwks_file,
        jwt_key=jwt_key,
        authorized_parties=tuple(authorized_party or ()),
    )
    pins, steps = pinned(flags, env_files(env_file))

    async def work(_observers: Sequence[Observer]) -> Report:
        from alwrity_checks.auth.diagnosis import diagnose
        from alwrity_doctor.chain_picture import chain_picture
        from alwrity_doctor.results import reported

        diagnosis = diagnose(text, pins, leeway=leeway, offline=offline, steps=steps)

        def seen() -> tuple[Picture, ...]:
            return chain_picture(steps, prefix="token.", title="The token's chain")

        return await reported("auth verify", diagnosis, fail_on.severity, steps, pictures=seen)

    raise typer.Exit(deliver(work, outputs))


@app.command()
def env(
    env_file: EnvFileOption = None,
    *,
    offline: OfflineOption = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Say where each Clerk setting comes from, whether they agree, and what they do to verification."""
    from dataclasses import replace

    from alwrity_checks.auth.check import CHECKS
    from alwrity_checks.auth.sources import described_settings
    from alwrity_checks.model import Context
    from alwrity_checks.settings import Settings
    from alwrity_doctor.gate import run_checks

    outputs = parse_formats(form)
    context = Context(Settings.load(env_files=env_files(env_file)), offline=offline)

    async def work(observers: Sequence[Observer]) -> Report:
        report = await run_checks(CHECKS, context, observers=observers, fail_on=fail_on.severity, command="auth env")
        return replace(report, settings=described_settings(context.settings))

    raise typer.Exit(deliver(work, outputs))


@app.command()
def har(  # noqa: PLR0913 - each parameter is an option of the command
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A HAR file, plain or gzip, or - for standard input.", show_default=False),
    ],
    *,
    issuer: IssuerOption = None,
    publishable_key: PublishableKeyOption = None,
    env_file: EnvFileOption = None,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Say of every API request in a browser capture that was refused with 401 or 403 what was wrong with its token.

    The instance is pinned as for `auth verify`; without a pin it is the one that the successful requests name.
    """
    from alwrity_checks.auth.claims import ClaimPolicy
    from alwrity_checks.auth.har import open_capture, read_capture, results
    from alwrity_checks.auth.pins import Pins
    from alwrity_doctor.cli.pinning import pinned
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    flags = Pins.of_flags(issuers=tuple(issuer or ()), publishable_key=publishable_key)
    pins, steps = pinned(flags, env_files(env_file))
    policy = ClaimPolicy(pins.issuers, proxies=pins.proxies, satellites=pins.satellites)

    async def judged(observers: Sequence[Observer]) -> None:
        with open_capture(file) as stream:
            steps.extend(results(read_capture(stream, policy=policy, observer=Broadcast(observers))))

    raise typer.Exit(
        deliver(lambda observers: reported("auth har", judged(observers), fail_on.severity, steps), outputs)
    )


@app.command()
def reproduce(
    *,
    backend: BackendOption = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    form: FormatOption = None,
) -> None:
    """Put the legacy middleware, in its historical states, and the component through the same scenarios.

    With --backend DIR a checkout's own middleware is put through them too, by its interpreter, on made-up keys.
    """
    from alwrity_checks.auth.experiment import experiment
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as reproduction

    outputs = parse_formats(form)
    experiments = with_checkout([experiment()], backend, python, use_env=use_env)

    async def work(observers: Sequence[Observer]) -> Report:
        return await reproduction(experiments, Broadcast(observers), command="auth reproduce")

    raise typer.Exit(deliver(work, outputs))
