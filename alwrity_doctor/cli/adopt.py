"""`alwrity-doctor adopt`: write the cure into a checkout, and prove it with the same experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.checkout_options import PythonOption, UseEnvOption, named_checkout
from alwrity_doctor.cli.output import EnvFileOption, FormatOption, check_writable, parse_formats

app = typer.Typer()


@app.command()
def adopt(  # noqa: PLR0913 - each parameter is an option of the command
    issues: Annotated[
        list[int] | None, typer.Argument(metavar="[ISSUE]...", help="Issues. All that have a cure, if none is named.")
    ] = None,
    *,
    backend: Annotated[
        Path, typer.Option("--backend", metavar="DIR", help="The checkout of ALwrity: its root, or backend/.")
    ],
    apply: Annotated[
        bool, typer.Option("--apply", help="Commit it on a new branch, one commit an issue. Needs a clean tree.")
    ] = False,
    branch: Annotated[
        str | None, typer.Option("--branch", metavar="NAME", help="The new branch.  [default: alwrity-doctor/adopt-…]")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="For CI: only say whether the cure is in place, and unchanged.")
    ] = False,
    prove: Annotated[
        bool, typer.Option("--prove/--no-prove", help="Run the experiments before and after, in a scratch copy.")
    ] = True,
    contract: Annotated[
        bool, typer.Option("--contract", help="Also try what callers rely on, on the old modules and the new.")
    ] = False,
    patch: Annotated[
        Path | None, typer.Option("--patch", metavar="FILE", help="Write the diff there, for git apply.")
    ] = None,
    requirements: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="What the backend is installed from, seen from its directory; may be repeated.  "
            "[default: requirements.txt, and requirements-FEATURE.txt of the servers with one feature]",
        ),
    ] = None,
    install_from: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where pip gets alwrity-doctor from, such as git+https://HOST/OWNER/REPOSITORY@v0.1.0.  "
            "[default: the index that it is set to]",
        ),
    ] = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    env_file: EnvFileOption = None,
    form: FormatOption = None,
) -> None:
    """Write the cure into a checkout: thin modules with the old names that import the fixed components.

    Without --apply nothing is written: the diff is printed, and the experiments are run on the checkout and on a copy
    of it with the diff applied. What does not fit the checkout is refused, with the reason.
    """
    from alwrity_checks.adoption.plan import ordered_issues
    from alwrity_doctor.cli.adopt_run import Wish, carry_out

    outputs = parse_formats(form)
    _check_together(apply=apply, check=check, branch=branch, patch=patch)
    if patch is not None:
        check_writable(patch)
    wish = Wish(
        backend=backend,
        apply=apply,
        branch=branch,
        check=check,
        prove=prove and not check,
        contract=contract,
        patch=patch,
        requirements=tuple(requirements or ()),
        origin=install_from,
        env_files=tuple(env_file or ()),
    )
    found = named_checkout(backend, python, use_env=use_env)
    if found is not None:
        raise typer.Exit(carry_out(wish, *found, ordered_issues(issues or ()), outputs))


def _check_together(*, apply: bool, check: bool, branch: str | None, patch: Path | None) -> None:
    if apply and check:
        raise ConfigurationError("--apply writes and --check does not", "give one of them")
    if branch is not None and not apply:
        raise ConfigurationError("--branch names what --apply makes, and that is not given", "add --apply")
    if check and patch is not None:
        raise ConfigurationError("--check only says whether something differs", "leave --check out to get the diff")
