"""What a checkout's code is given in the sandbox, and what it is refused: seen with its own eyes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alwrity_checks.redaction import Secret
from alwrity_checks.sandbox.environment import environment
from alwrity_checks.txtai.scenarios.backend import BackendTarget
from tests.support.backend_checkout import SECRET, write_checkout

SEEDED = {
    "HF_TOKEN": "hf_" + "seededInTheEnvironment0123",
    "CLERK_SECRET_KEY": "sk_test_" + "seededInTheEnvironment4567",
    "SOME_ODD_NAME": "seeded-under-an-odd-name-89",
    "DATABASE_URL": "postgresql://me:seeded-in-a-url@db/alwrity",
    "LC_ODD": "hf_" + "seededInTheEnvironment0123",
}
LOOKS = """
import ctypes, json, os, socket, struct, subprocess, sys

import dotenv

told = {{"environment": dict(os.environ), "directory": os.getcwd(), "modules": sorted(sys.modules), "path": sys.path}}

def tried(name, act):
    try:
        told[name] = repr(act())
    except BaseException as error:
        told[name] = type(error).__name__ + ": " + str(error)

def in_c():
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.socket(2, 1, 0)
    address = struct.pack("=HHI8x", 2, socket.htons({port}), int.from_bytes(bytes([127, 0, 0, 1]), sys.byteorder))
    return libc.connect(number, address, len(address))

tried("connect", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5))
tried("resolve", lambda: socket.getaddrinfo("huggingface.co", 443))
tried("in_c", in_c)
tried("dotenv", lambda: dotenv.load_dotenv({env!r}))
tried("values", lambda: dict(dotenv.dotenv_values({env!r})))
tried("read", lambda: open({env!r}).read())
tried("write", lambda: open({outside!r}, "w"))
tried("remove", lambda: os.remove(__file__))
tried("start", lambda: subprocess.run([sys.executable, "-c", "print(1)"]))
tried("system", lambda: os.system("true"))
print("something on stdout")
with open(os.path.join(os.environ["HOME"], "told.json"), "w") as file:
    json.dump(told, file)
raise SystemExit("seen enough")
"""


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Return a socket on this machine that the checkout's code may want to talk to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="module")
def seen(listener: socket.socket, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a checkout's code saw at its import, and what the driver said of it."""
    root = tmp_path_factory.mktemp("checkout")
    port = listener.getsockname()[1]
    source = LOOKS.format(port=port, env=str(root / "backend" / ".env"), outside=str(root / "written"))
    backend = write_checkout(root, source)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SEEDED.items():
            patch.setenv(name, value)
        with BackendTarget(backend).sandbox.launched("meet") as launch:
            assert launch.directory
            done = subprocess.run(  # noqa: S603 - our own driver
                launch.arguments,
                env=launch.environment,
                cwd=launch.directory,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            told: dict[str, Any] = json.loads(next(Path(launch.directory).parent.rglob("told.json")).read_text())
    assert not Path(launch.directory).exists()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {**told, "lines": lines, "said": done.stdout, "stderr": done.stderr, "written": (root / "written").exists()}


def test_no_secret_is_in_its_view(seen: dict[str, Any]) -> None:
    """Neither the environment's tokens, under whatever name, nor those of the checkout's `.env` are there to see."""
    text = json.dumps(seen)
    assert not [value for value in (*SEEDED.values(), SECRET) if value in text]
    assert not {"HF_TOKEN", "CLERK_SECRET_KEY", "SOME_ODD_NAME", "DATABASE_URL", "LC_ODD", "SIF_FAIL_FAST"} & set(
        seen["environment"]
    )


def test_its_home_is_not_the_users(seen: dict[str, Any]) -> None:
    """Home, temporary files and working directory are in the sandbox, and the hub's libraries are offline."""
    variables = seen["environment"]
    sandbox = Path(variables["TMPDIR"]).parent
    assert Path(variables["HOME"]).parent == sandbox != Path.home()
    assert sandbox in Path(seen["directory"]).parents
    assert variables["HF_HUB_OFFLINE"] == variables["TRANSFORMERS_OFFLINE"] == "1"


def test_network_is_refused(seen: dict[str, Any], listener: socket.socket) -> None:
    """Nobody was connected to, not even on this machine, and no name was resolved."""
    assert seen["connect"].startswith("Refused")
    assert seen["resolve"].startswith("Refused")
    if seen["environment"].get("ALWRITY_DOCTOR_ISOLATED"):
        assert seen["in_c"] == "-1"
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_env_file_is_not_loaded(seen: dict[str, Any]) -> None:
    """python-dotenv finds nothing, and the file itself cannot be opened."""
    assert seen["dotenv"] == "False"
    assert seen["values"] == "{}"
    assert seen["read"].startswith("Refused")


def test_nothing_outside_is_touched(seen: dict[str, Any]) -> None:
    """No file outside of the sandbox is written or removed, and no program is started."""
    assert seen["write"].startswith("Refused")
    assert not seen["written"]
    for name in ("remove", "start", "system"):
        assert seen[name].startswith("Refused"), name


def test_what_it_prints_does_not_disturb(seen: dict[str, Any]) -> None:
    """The driver's lines stay whole; an import that wants to exit is an answer, with what was refused as evidence."""
    assert "something on stdout" in seen["stderr"]
    assert seen["lines"][1] == {"begins": "the checkout's service was imported"}
    assert seen["lines"][-1]["unmet"] == "SystemExit: seen enough"
    assert ["refused by the sandbox", "to start a program by os.system"] in seen["lines"][-1]["evidence"]


def test_only_this_package_is_lent(seen: dict[str, Any]) -> None:
    """The checkout's directory leads the path, and ours is not on it: what is installed beside us is not lent."""
    assert seen["path"][0].endswith("/backend")
    assert "alwrity_checks.txtai.scenarios.driven" in seen["modules"]
    assert "alwrity_doctor" not in seen["modules"]


def test_another_interpreter_gets_no_library_of_ours(tmp_path: Path) -> None:
    """What is compiled for our Python is not for another; our own finds its libraries, though its home is another."""
    given = {"PYTHONPATH": "/opt/ours"}
    assert "PYTHONPATH" not in environment(tmp_path, Path("/opt/theirs/bin/python"), given)
    assert environment(tmp_path, Path(sys.executable), given)["PYTHONPATH"] == "/opt/ours"


def test_value_that_holds_a_secret_is_not_handed_on(tmp_path: Path) -> None:
    """A harmless variable is left out when a known secret, or another variable's, is in its value."""
    Secret("wrapped-in-this-process")
    given = {
        "PATH": "/usr/bin:/wrapped-in-this-process",
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": "/opt/of-another-variable",
        "MY_PASSWORD": "of-another-variable",
    }
    kept = environment(tmp_path, Path("python"), given)
    assert kept["LANG"] == "C.UTF-8"
    assert not {"PATH", "LD_LIBRARY_PATH", "MY_PASSWORD"} & set(kept)
