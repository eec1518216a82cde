"""A stack says what a thread is at; the innermost frame that says anything decides."""

from __future__ import annotations

import platform

import pytest

from alwrity_checks.startup.trace_events import Frame, Run, Stack
from alwrity_checks.startup.trace_phases import _CALLS, Phase, read

LIBRARY = "/usr/lib/python3.11"
SITE = "/srv/venv/lib/python3.11/site-packages"
MAIN = Frame("/srv/app.py", 9, "<module>")
MODULE = Frame("/srv/routes.py", 3, "<module>")


def std(name: str, function: str) -> Frame:
    """Return a frame of the standard library."""
    return Frame(f"{LIBRARY}/{name}", 1, function, own=False)


def lib(name: str, function: str) -> Frame:
    """Return a frame of an installed package."""
    return Frame(f"{SITE}/{name}", 1, function, own=False)


def call(name: str) -> int:
    """Return the number of a system call of this machine."""
    known = _CALLS.get(platform.machine(), {})
    found = [number for number, meaning in known.items() if meaning == name]
    if not found:
        pytest.skip(f"the system calls of {platform.machine()} are not known")
    return found[0]


def at(*frames: Frame, number: int = -1, importing: str = "", main: bool = True) -> tuple[Phase, str]:
    """Return the phase and subject of a stack, the innermost frame first."""
    reading = read(Run(1, Stack(frames, importing), 0.0, 1.0, number), LIBRARY, main)
    return reading.phase, reading.subject


SNAPSHOT = (
    lib("huggingface_hub/_snapshot_download.py", "snapshot_download"),
    lib("huggingface_hub/utils/_validators.py", "validate_hf_hub_args.<locals>._inner_fn"),
)
READ = std("socket.py", "SocketIO.readinto")


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ((MAIN,), (Phase.OTHER, "")),
        ((), (Phase.OTHER, "")),
        ((Frame("/srv/app.py", 3, "compute"), MAIN), (Phase.OTHER, "")),
        ((MODULE, MAIN), (Phase.IMPORTS, "routes")),
        ((lib("torch/__init__.py", "<module>"), MAIN), (Phase.IMPORTS, "torch")),
        ((lib("torch/_jit.py", "script"), lib("torch/nn.py", "<module>"), MAIN), (Phase.IMPORTS, "torch")),
        (
            (std("decimal.py", "<module>"), lib("torch/nn.py", "<module>"), MAIN),
            (Phase.IMPORTS, "the standard library"),
        ),
        ((std("socket.py", "getaddrinfo"), MAIN), (Phase.DNS, "")),
        ((READ, std("http/client.py", "HTTPResponse.read"), MAIN), (Phase.NETWORK, "")),
        ((READ, *SNAPSHOT, MAIN), (Phase.DOWNLOAD, "snapshot_download")),
        ((std("threading.py", "Condition.wait"), *SNAPSHOT, MAIN), (Phase.DOWNLOAD, "snapshot_download")),
        ((std("socket.py", "create_connection"), *SNAPSHOT, MAIN), (Phase.RETRIES, "snapshot_download")),
        ((lib("httpx/_models.py", "<module>"), *SNAPSHOT, MAIN), (Phase.IMPORTS, "httpx")),
        ((READ, *SNAPSHOT, lib("transformers/hub.py", "from_pretrained"), MAIN), (Phase.DOWNLOAD, "snapshot_download")),
        (
            (lib("safetensors/torch.py", "load_file"), lib("transformers/m.py", "from_pretrained"), MAIN),
            (Phase.MODEL, "safetensors"),
        ),
        ((lib("transformers/m.py", "from_pretrained"), MODULE, MAIN), (Phase.MODEL, "transformers")),
        ((std("subprocess.py", "Popen._try_wait"), std("subprocess.py", "run"), MAIN), (Phase.CHILD, "")),
        ((std("selectors.py", "select"), std("subprocess.py", "Popen._communicate"), MAIN), (Phase.CHILD, "")),
        ((std("threading.py", "Thread.join"), MAIN), (Phase.WAIT, "")),
        (
            (std("selectors.py", "EpollSelector.select"), std("asyncio/base_events.py", "_run_once"), MAIN),
            (Phase.WAIT, ""),
        ),
        ((std("threading.py", "Event.wait"), MODULE, MAIN), (Phase.WAIT, "")),
    ],
)
def test_what_a_stack_says(frames: tuple[Frame, ...], told: tuple[Phase, str]) -> None:
    """Each kind of stack, with what stands further out."""
    assert at(*frames) == told


def test_an_import_before_any_of_its_code() -> None:
    """A module that is searched, read or linked has no frame of its own yet: its name is told."""
    assert at(MAIN, importing="numpy.linalg._umath") == (Phase.IMPORTS, "numpy")
    assert at(MAIN, importing="email.header") == (Phase.IMPORTS, "the standard library")


def test_a_module_of_another_thread_is_an_import() -> None:
    """Only on the main thread the outermost module is the program itself."""
    assert at(MODULE, main=False) == (Phase.IMPORTS, "routes")


def test_what_the_system_call_adds() -> None:
    """A C function has no frame: that it sleeps, connects, reads or waits for a child is told by its system call."""
    assert at(MAIN, number=call("sleep")) == (Phase.SLEEP, "")
    assert at(*SNAPSHOT, MAIN, number=call("sleep")) == (Phase.RETRIES, "snapshot_download")
    locked = (lib("filelock/_api.py", "acquire"), *SNAPSHOT, MAIN)
    assert at(*locked, number=call("sleep")) == (Phase.DOWNLOAD, "snapshot_download")
    assert at(lib("psycopg/connection.py", "connect"), MAIN, number=call("connect")) == (Phase.NETWORK, "")
    assert at(*SNAPSHOT, MAIN, number=call("connect")) == (Phase.RETRIES, "snapshot_download")
    assert at(MAIN, number=call("child")) == (Phase.CHILD, "")
