"""`alwrity-doctor` alone: where you stand, and what is worth running next."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.exit_code import ExitCode
from alwrity_doctor import __version__
from alwrity_doctor.cli import COMMANDS
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.standing import SETTINGS, Standing, stand

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting

__all__ = ["page", "show"]

_KEPT: Final = "alwrity-doctor.json"
_STEPS: Final = 5
_INDENT: Final = " " * 13


def show() -> ExitCode:
    """Write where the user stands to stdout: looking is healthy, whatever there is to be seen."""
    try:
        here = Path.cwd()
    except OSError:
        # The directory was removed from under the shell; the root of the file system holds no checkout.
        here = Path(os.path.abspath(os.sep))  # noqa: PTH100 - resolve() would follow links
    if sys.stdout is not None:
        sys.stdout.write(page(stand(here), here, datetime.now(UTC)))
    return ExitCode.HEALTHY


def page(standing: Standing, here: Path, now: datetime) -> str:
    """Return the page as lines of text; `here` is the working directory, from which paths are named."""
    lines = [f"alwrity-doctor {__version__}: where you stand", ""]
    lines += _entry("backend", _backend(standing, here))
    lines += _entry("settings", _settings(standing, here))
    lines += _entry("extras", _extras(standing))
    lines += _entry("last report", _report(standing, here, now))
    lines += ["", "What to run next"]
    steps = [step for step in _steps(standing, here) if step[0] is None or step[0] in COMMANDS][:_STEPS]
    width = max(len(command) for _, command, _ in steps)
    lines += [visible(f"  {command.ljust(width)}  {why}") for _, command, why in steps]
    return "\n".join((*lines, "", "Every command: alwrity-doctor --help")) + "\n"


def _entry(name: str, told: list[str]) -> list[str]:
    first, *rest = map(one_line, told)
    return [f"{name.ljust(len(_INDENT))}{first}", *(f"{_INDENT}{line}" for line in rest)]


def _backend(standing: Standing, here: Path) -> list[str]:
    if standing.checkout is None:
        return ["none: this directory is in no checkout of ALwrity"]
    revision = f", {standing.revision}" if standing.revision else ""
    return [f"{_from(here, standing.checkout.backend)}{revision}"]


def _settings(standing: Standing, here: Path) -> list[str]:
    told = [f"not read: {standing.unreadable}"] if standing.unreadable else []
    by_name = {setting.name: setting for setting in standing.settings}
    bare = []
    for issue, names in SETTINGS.items():
        given = [_source(by_name[name], here) for name in names if name in by_name]
        told += [f"issue {issue}: {one}" for one in given]
        bare += [] if given else [f"issue {issue} ({names[0]}, …)"]
    return told + ([f"none for {', '.join(bare)}"] if bare else [])


def _source(setting: Setting, here: Path) -> str:
    from alwrity_checks.model import LocationKind

    if setting.location.kind is LocationKind.FILE:
        place = _from(here, Path(setting.location.name))
        where = place if setting.location.line is None else f"{place}:{setting.location.line}"
    else:
        where = "the environment"
    return f"{setting.name} from {where}{'' if setting.value else ', which sets it to nothing'}"


def _extras(standing: Standing) -> list[str]:
    installed = [name for name, present in standing.extras.items() if present]
    told = [f"installed: {', '.join(installed) or 'none'}"]
    return told + ([f"not installed: {', '.join(standing.missing)}"] if standing.missing else [])


def _report(standing: Standing, here: Path, now: datetime) -> list[str]:
    report = standing.report
    if report is None:
        return [f"none kept here; --format text --format json={_KEPT} keeps one"]
    ago = _ago(now - report.started)
    return [f"{_from(here, report.path)}: {report.verdict.upper()} of {report.command}, {ago}"]


def _ago(passed: timedelta) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    if passed < timedelta():
        return "dated in the future"
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if count := passed // length:
            return f"{count} {unit} ago"
    return "just now"


def _steps(standing: Standing, here: Path) -> Iterator[tuple[str | None, str, str]]:
    """Yield what is worth running, the worthiest first: the command's name in the table, its line, and why."""
    checkout, log = standing.checkout, standing.log
    triage = None if log is None else ("triage", f"alwrity-doctor triage {_quoted(here, log)}", "what the log says")
    if checkout is None:
        if triage:
            yield triage
        if standing.settings:
            yield "gate", "alwrity-doctor gate", "the settings and the live services behind them"
        else:
            yield "gate", "alwrity-doctor gate --backend DIR", "what is wrong with a checkout and its settings"
        yield "reproduce", "alwrity-doctor reproduce", "every fault on its model, and its absence from the fix"
        yield "explain", "alwrity-doctor explain", "every rule"
    else:
        named = f"--backend {_quoted(here, checkout.root)}"
        yield "gate", f"alwrity-doctor gate {named}", "what is wrong, the likeliest cause first"
        if triage:
            yield triage
        yield "reproduce", f"alwrity-doctor reproduce {named}", "each fault on your own modules, in a sandbox"
        yield "adopt", f"alwrity-doctor adopt {named}", "the cure, as a diff"
    if standing.report:
        yield "render", f"alwrity-doctor render {_quoted(here, standing.report.path)}", "read the last report again"
    if standing.missing:
        yield None, f'pip install "alwrity-doctor[{",".join(standing.missing)}]"', "what is missing here"


def _quoted(here: Path, path: Path) -> str:
    return shlex.quote(_from(here, path))


def _from(here: Path, path: Path) -> str:
    """Return `path` as it is named from `here`: short where it is below or just above, else whole."""
    try:
        named = os.path.relpath(path, here)
    except ValueError:
        # Windows has no way from one drive to another.
        return str(path)
    return str(path) if named.startswith(os.path.join("..", "..", "..")) else named  # noqa: PTH118 - a prefix of text
