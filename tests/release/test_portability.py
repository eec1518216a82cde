"""Both packages can be imported, and do their work, where only Linux's, macOS's or Windows' modules are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import environment
from tests.support.foreign_system import absent_modules, absent_names, product_modules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alwrity_checks.auth.mint import Instance

ROOT = Path(__file__).resolve().parents[2]
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def foreign(*words: str, cwd: Path = ROOT, first: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the foreign system's program to its end; modules are looked for in `first` first."""
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "tests.support.foreign_system", *words],
        cwd=cwd,
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(first), str(ROOT)])},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )


def failures(platform: str, *modules: str, first: Path = ROOT) -> Mapping[str, str]:
    """Return what the modules, or all, raise when they are imported on `platform`."""
    told = foreign(platform, *modules, first=first)
    assert told.returncode == 0, told.stderr
    found: dict[str, str] = json.loads(told.stdout)
    return found


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_every_module_of_both_packages_can_be_imported(platform: str) -> None:
    """No module needs, at its top, a module or a name that the platform does not have."""
    assert failures(platform) == {}


def test_the_modules_are_all_there() -> None:
    """What is imported is every file of both packages, but the one that an interpreter carries out by itself."""
    files = [path for root in ("alwrity_doctor", "checks/alwrity_checks") for path in (ROOT / root).rglob("*.py")]
    assert len(set(product_modules())) == len(files) - 1


def test_windows_is_without_what_only_posix_has() -> None:
    """The trimmed system lacks the modules and the names that a top-level import would stumble over."""
    assert absent_modules("win32") >= POSIX_ONLY
    assert absent_names("os", "win32") >= {"fork", "getuid", "killpg", "register_at_fork", "sched_getaffinity"}
    assert absent_names("signal", "win32") >= {"SIGKILL", "pthread_sigmask"}
    assert absent_names("socket", "win32") >= {"AF_NETLINK", "AF_UNIX"}
    assert absent_names("os", "darwin") >= {"sched_getaffinity", "pipe2"}
    assert absent_modules("linux") == frozenset()


def test_a_module_that_needs_posix_is_found_out(tmp_path: Path) -> None:
    """The experiment can fail: modules of ours with such a line at their top do, guarded and late ones do not."""
    tops = {
        "module": ("import fcntl", "ModuleNotFoundError"),
        "from_module": ("from resource import getrusage", "ModuleNotFoundError"),
        "attribute": ("import os\nHERE = os.getuid()", "AttributeError"),
        "from_os": ("from signal import SIGKILL", "ImportError"),
        "guarded": ("import sys\nif sys.platform != 'win32':\n    import termios", ""),
        "asked": ("import os\nWHO = os.getuid() if hasattr(os, 'getuid') else None", ""),
        "late": ("def late():\n    import pwd", ""),
    }
    package = tmp_path / "alwrity_checks"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, (top, _) in tops.items():
        (package / f"{name}.py").write_text(top)
    found = failures("win32", *(f"alwrity_checks.{name}" for name in tops), first=tmp_path)
    seen = {name: found.get(f"alwrity_checks.{name}", "").partition(":")[0] for name in tops}
    assert seen == {name: raised for name, (_, raised) in tops.items()}


def test_commands_run_as_on_windows(tmp_path: Path, instance: Instance) -> None:
    """What needs no child and no lock works with Windows' modules alone: explaining, verifying, the gate."""
    (tmp_path / "jwks.json").write_text(json.dumps(instance.jwks()))
    (tmp_path / "token.txt").write_text(instance.token())
    for command, code, told in (
        ("explain AUTH008", 0, "AUTH008"),
        ("auth verify --jwks-file jwks.json --token-file token.txt", 0, "PASS"),
        ("gate --offline --issue 1", 3, "nothing was checked"),
        ("scan .", 2, ""),
    ):
        done = foreign("win32", "run", *command.split(), cwd=tmp_path)
        assert (done.returncode, told in done.stdout, "Traceback" in done.stderr) == (code, True, False), (
            command,
            done.stdout,
            done.stderr,
        )


def test_a_lease_excludes_another_process_by_windows_locks(tmp_path: Path) -> None:
    """Where msvcrt locks, a second process is refused while the first holds the lease, and has it afterwards."""
    program = """
import subprocess, sys
from tests.support.foreign_system import pretend
pretend("win32")
from pathlib import Path
from alwrity_checks.lease import Lease
lease = Lease(Path(sys.argv[1]))
print(lease.take(), flush=True)
if len(sys.argv) == 2:
    again = [sys.executable, __file__, sys.argv[1], "once"]
    print(subprocess.run(again, capture_output=True, text=True, check=True).stdout.strip())
    lease.give_back()
    print(subprocess.run(again, capture_output=True, text=True, check=True).stdout.strip())
"""
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "lock")],
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "checks")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.split() == ["True", "False", "True"], done.stderr
