"""`make release-check`: the wheel, installed where nothing else is, and tried there.

Builds wheel and sdist, makes a fresh environment, installs the wheel with the base dependencies of `constraints.txt`
(or, with --newest, with whatever an index has), measures it, imports every module, and runs commands in a directory
from which this tree cannot be reached. Every statement is printed with what was seen; the exit code is 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alwrity_checks.auth.mint import Instance
from tests.release.building import ROOT, build

__all__ = ["SIZE_LIMIT", "Environment", "installed_size", "main"]

SIZE_LIMIT: Final = 30 * 1024 * 1024
"""Bytes that the base install may bring: the files of all its wheels, without the bytecode made from them."""
_MOST_CLOSED: Final = 30
"""Modules that the base install cannot import, among some five hundred."""
_BROUGHT_BY_VENV: Final = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")


@dataclass(frozen=True, slots=True)
class Environment:
    """A fresh environment, and an empty directory in which its commands run."""

    directory: Path
    work: Path

    @property
    def _scripts(self) -> Path:
        return self.directory / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self._scripts / ("python.exe" if os.name == "nt" else "python")

    def packages(self) -> Path:
        """Return its site-packages."""
        return Path(
            self.run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
        )

    def run(self, program: Path, *arguments: str, warnings: str = "error") -> subprocess.CompletedProcess[str]:
        """Run a program in the empty directory, with nothing of this environment but where programs are found."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "LANG") if name in os.environ}
        return subprocess.run(  # noqa: S603 - the fresh environment's own programs
            [str(program), *arguments],
            cwd=self.work,
            env={**kept, "COLUMNS": "100", "PYTHONWARNINGS": warnings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )

    def doctor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program that the wheel installs."""
        return self.run(self._scripts / "alwrity-doctor", *arguments)


def installed_size(packages: Path) -> tuple[int, int]:
    """Return the bytes below `packages`, without what every environment has: (files, compiled from them)."""
    files = compiled = 0
    for top in packages.iterdir():
        if top.name.startswith(_BROUGHT_BY_VENV) or top.name == "__pycache__":
            continue
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and not path.is_symlink():
                size = path.stat().st_size
                files, compiled = (files, compiled + size) if path.suffix == ".pyc" else (files + size, compiled)
    return files, compiled


def _prepared(folder: Path, *, newest: bool) -> Environment:
    """Build the wheel and install it into an environment of its own; the index is the one that pip is set up for."""
    wheel = build("wheel", folder / "dist")
    build("sdist", folder / "dist")
    there = Environment(folder / "environment", folder / "empty")
    there.work.mkdir()
    venv.create(there.directory, with_pip=True)
    pins = [] if newest else ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run(  # noqa: S603 - the fresh environment's own pip, with the caller's settings for it
        [str(there.python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *pins, str(wheel)],
        check=True,
    )
    return there


def _statements(there: Environment) -> Iterator[tuple[str, bool, str]]:
    """Yield what has to hold: the statement, whether it does, and what was seen."""
    checked = there.run(there.python, "-m", "pip", "--disable-pip-version-check", "check", warnings="default")
    yield "the dependencies agree with each other", checked.returncode == 0, checked.stdout.strip()
    packages = there.packages()
    files, compiled = installed_size(packages)
    seen = f"{files / 2**20:.1f} MiB, and {compiled / 2**20:.1f} MiB compiled from it"
    yield f"the base install is no more than {SIZE_LIMIT / 2**20:.0f} MiB", files <= SIZE_LIMIT, seen
    told = there.run(there.python, str(Path(__file__).with_name("inside.py")))
    yield "the modules can be imported", told.returncode == 0, told.stderr.strip()[-500:]
    if told.returncode == 0:
        yield from _imports(json.loads(told.stdout), packages)
    for command, code, mark in _commands(there.work):
        done = there.doctor(*command)
        held = done.returncode == code and mark in done.stdout and "Traceback" not in done.stderr
        first = (done.stdout or done.stderr).strip().partition("\n")[0]
        yield f"{' '.join(command)} ends with {code}", held, f"{done.returncode}: {first}"


def _imports(told: Mapping[str, Mapping[str, str]], packages: Path) -> Iterator[tuple[str, bool, str]]:
    elsewhere = [place for place in told["places"].values() if not Path(place).is_relative_to(packages)]
    yield "both packages are the installed ones", not elsewhere, ", ".join(elsewhere)
    yield "every module is imported, or lacks what an extra brings", not told["wrong"], str(dict(told["wrong"]) or "")
    yield "few modules are closed without an extra", len(told["missing"]) <= _MOST_CLOSED, f"{len(told['missing'])}"
    yield "no import brings in a heavy library", not told["heavy"], ", ".join(told["heavy"])


def _commands(work: Path) -> Iterator[tuple[Sequence[str], int, str]]:
    """Yield commands that need no extra and no network, the exit code of each, and what it has to say."""
    instance = Instance()
    (work / "jwks.json").write_text(json.dumps(instance.jwks()), encoding="utf-8")
    (work / "token").write_text(instance.token(), encoding="utf-8")
    (work / "app.log").write_text(
        "2026-03-10 10:00:00 | WARNING | middleware.auth_middleware:verify:120 - Unverified token rejected (env=x).\n",
        encoding="utf-8",
    )
    yield ("--version",), 0, "alwrity-doctor "
    yield ("--help",), 0, "reproduce"
    yield ("explain", "AUTH008"), 0, "AUTH008"
    yield ("gate", "--offline"), 3, "nothing was checked"
    yield ("auth", "verify", "--jwks-file", "jwks.json", "--token-file", "token"), 0, "PASS"
    yield ("hf", "explain", "--exception", "Not Found"), 1, "HF020"
    yield ("triage", "app.log"), 0, "1 line speaks of known issues"
    yield ("reproduce", "1", "--format", "json"), 0, '"alwrity-doctor/report/1"'
    yield ("reproduce", "2"), 3, "[hf]"


def main(arguments: Sequence[str] | None = None, say: Callable[[str], object] = sys.stdout.write) -> int:
    """Print a line a statement; return 1 if one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.check", description=__doc__)
    parser.add_argument(
        "--newest", action="store_true", help="take the newest dependencies instead of the recorded ones"
    )
    options = parser.parse_args(arguments)
    failed = passed = 0
    with tempfile.TemporaryDirectory(prefix="alwrity-doctor-release-") as folder:
        for statement, held, seen in _statements(_prepared(Path(folder), newest=options.newest)):
            passed, failed = passed + held, failed + (not held)
            say(f"{'ok  ' if held else 'FAIL'} {statement}{f': {seen}' if seen else ''}\n")
    say(f"release: {passed} passed, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
