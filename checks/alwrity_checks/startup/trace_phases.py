"""What a thread is at, told by its stack: importing, downloading, sleeping, waiting ...

The innermost frame that says something decides. A function of a library says nothing while the library itself is being
imported: that is what its import consists of. Waiting (a lock, a selector, a future) says nothing by itself: what is
waited for stands further out, or on another thread.
"""

from __future__ import annotations

import linecache
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from alwrity_checks.startup.trace_child.alwrity_startup_tracer import ON_NOTHING

if TYPE_CHECKING:
    from alwrity_checks.startup.trace_events import Frame, Run

__all__ = ["Phase", "Reading", "package_of", "read"]


class Phase(StrEnum):
    """What the time goes on. The value is what a table calls it."""

    INTERPRETER = "starting the interpreter"
    IMPORTS = "imports"
    DOWNLOAD = "hub downloads"
    RETRIES = "trying to reach the hub"
    NETWORK = "waiting for another host"
    DNS = "looking up names"
    SLEEP = "sleeping"
    CHILD = "waiting for a child process"
    MODEL = "loading models"
    DISK = "reading large files"
    WAIT = "waiting"
    OTHER = "other"
    UNSEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a thread is at."""

    phase: Phase
    subject: str = ""
    """The package that is imported, the hub's function, the library that loads."""


_CALLS: Final = {
    "x86_64": {35: "sleep", 230: "sleep", 42: "connect", 45: "network", 47: "network", 44: "network", 61: "child"}
    | {247: "child", 59: "child"},
    "aarch64": {101: "sleep", 115: "sleep", 203: "connect", 207: "network", 212: "network", 206: "network"}
    | {260: "child", 95: "child"},
}
"""System calls by number: (clock_)nanosleep; connect; recvfrom, recvmsg, sendto; wait4, waitid, execve."""
_SLEEPS: Final = re.compile(r"(?<!await )(?<!\w)sleep\s*\(")
"""In a line of source, for where no system call is told."""

_STANDARD: Final = "the standard library"
_SITE: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]([^/\\]+)")
_HUB: Final = "huggingface_hub"
_NETWORK_FILES: Final = ("/socket.py", "/ssl.py", "/httpcore/_backends/sync.py", "/http/client.py")
_NETWORK_FUNCTIONS: Final = frozenset(
    {"readinto", "recv", "recv_into", "read", "connect", "create_connection", "do_handshake", "connect_tcp", "readline"}
    | {"_read_status", "sendall", "send", "write"}
)
_CONNECTS: Final = frozenset({"connect", "create_connection", "connect_tcp"})
_WAITING: Final = ("/threading.py", "/queue.py", "/selectors.py", "/concurrent/futures/", "/asyncio/", "/uvloop/")
_MODEL_PACKAGES: Final = frozenset(
    {"transformers", "safetensors", "sentence_transformers", "txtai", "torch", "onnxruntime", "onnxruntime_genai"}
    | {"llama_cpp", "ctranslate2", "faiss", "spacy", "nltk", "openvino", "tokenizers", "tensorflow", "keras"}
)


def read(run: Run, library: str, main: bool) -> Reading:  # noqa: FBT001 - of a thread, and nothing else
    """Return what a thread is at.

    `library` is the directory of the standard library; `main` says whether its outermost module is the program itself.
    """
    stack = run.stack
    frames = stack.frames
    call = "sleep" if run.call == ON_NOTHING else _CALLS.get(platform.machine(), {}).get(run.call, "")
    if stack.importing:
        top = stack.importing.partition(".")[0]
        return Reading(Phase.IMPORTS, _STANDARD if top in sys.stdlib_module_names else top)
    if not frames:
        return Reading(Phase.OTHER)
    leaf = frames[0]
    module = _importing(frames, main=main)
    hub = _hub_function(frames, module)
    if call == "sleep" or (not call and _says_sleep(leaf)):
        return _asleep(frames, hub)
    return (
        _in_network(frames, call, hub)
        or _in_children(frames, call)
        or (Reading(Phase.DOWNLOAD, hub) if hub else None)
        or _in_models(frames, module, library)
        or _in_waiting(leaf)
        or (Reading(Phase.IMPORTS, package_of(module.file, library)) if module else Reading(Phase.OTHER))
    )


def package_of(file: str, library: str) -> str:
    """Return the top-level package that a file belongs to."""
    found = _SITE.search(file)
    if found:
        return found.group(1).partition(".")[0]
    if library and file.startswith(library):
        return _STANDARD
    if file.startswith("<frozen"):
        return _STANDARD
    path = PurePath(file)
    return path.parent.name if path.name == "__init__.py" else path.stem


def _importing(frames: Sequence[Frame], *, main: bool) -> Frame | None:
    """Return the innermost frame of a module's body, unless it is the program's own."""
    for index, frame in enumerate(frames):
        if frame.function == "<module>":
            rest = frames[index + 1 :]
            program = main and (not rest or (rest[0].function == "_run_code" and "runpy" in rest[0].file))
            return None if program else frame
    return None


def _hub_function(frames: Sequence[Frame], module: Frame | None) -> str:
    """Return the hub client's function that was called first; "" where none is under way.

    What the client itself imports is an import, whoever asked for it.
    """
    found = ""
    for frame in frames:
        if frame is module:
            return found
        if f"/{_HUB}/" in _slashes(frame.file):
            # The client wraps its functions: what a wrapper is called tells nothing.
            name = frame.function.rpartition(".")[2]
            found = found if found and (frame.function != name or "/utils/" in _slashes(frame.file)) else name
    return found


def _asleep(frames: Sequence[Frame], hub: str) -> Reading:
    if not hub:
        return Reading(Phase.SLEEP)
    # Another process or thread has the lock of this download; else it is the pause between two attempts.
    locked = any("/filelock/" in _slashes(frame.file) for frame in frames)
    return Reading(Phase.DOWNLOAD if locked else Phase.RETRIES, hub)


def _in_network(frames: Sequence[Frame], call: str, hub: str) -> Reading | None:
    leaf = frames[0]
    if any(frame.function == "getaddrinfo" and frame.file.endswith("socket.py") for frame in frames[:2]):
        return Reading(Phase.DNS)
    function = leaf.function.rpartition(".")[2]
    known = _slashes(leaf.file).endswith(_NETWORK_FILES) and function in _NETWORK_FUNCTIONS
    if call not in {"connect", "network"} and not known:
        return None
    if not hub:
        return Reading(Phase.NETWORK)
    connects = call == "connect" or (known and function in _CONNECTS)
    return Reading(Phase.RETRIES if connects else Phase.DOWNLOAD, hub)


def _in_children(frames: Sequence[Frame], call: str) -> Reading | None:
    for frame in frames:
        file = _slashes(frame.file)
        if file.endswith("/subprocess.py") and frame.function != "<module>":
            return Reading(Phase.CHILD)
        if "/multiprocessing/popen_" in file:
            return Reading(Phase.CHILD)
        if not file.endswith(("/selectors.py", "/threading.py", "/os.py")):
            break
    return Reading(Phase.CHILD) if call == "child" else None


def _in_models(frames: Sequence[Frame], module: Frame | None, library: str) -> Reading | None:
    """Return that a model is loaded, unless it is its library's import that goes on."""
    inner = ""
    for frame in frames:
        if frame is module:
            # The import of the user's own module may load a model; a library's import is an import.
            return Reading(Phase.MODEL, inner) if inner and frame.own else None
        package = package_of(frame.file, library)
        if not inner and package in _MODEL_PACKAGES and frame.function != "<module>":
            inner = package
    return Reading(Phase.MODEL, inner) if inner else None


def _in_waiting(leaf: Frame) -> Reading | None:
    return Reading(Phase.WAIT) if any(part in _slashes(leaf.file) for part in _WAITING) else None


def _says_sleep(leaf: Frame) -> bool:
    if leaf.file.startswith("<") or leaf.function == "sleep":
        return False
    return _SLEEPS.search(linecache.getline(leaf.file, leaf.line)) is not None


def _slashes(file: str) -> str:
    return file.replace("\\", "/")
