"""Records, inside a traced process, what its threads are at: audit events, and samples of every thread's stack.

One file per process, `PID-NUMBER.trace`, only ever appended to, so that a kill -9 loses a tenth of a second at most.
A line is the `repr` of a tuple; times are seconds of the monotonic clock, which all processes share.

    ("hello", t, pid, ppid, main thread, version, implementation, directory of the standard library, cwd, forked)
    ("code", number, file, function)
    ("stack", number, ((code, line), ...), importing)      innermost first; the module that is being imported there
    ("run", thread, stack, first, last, call)              seen there from first to last, in a system call with this
                                                           number (-1: none was seen); may be repeated, longer
    ("thread", thread, name)
    ("event", t, thread, kind, detail, stack)
    ("full", t)                                            the file has reached its limit: nothing follows
    ("bye", t)

It never writes a command's arguments: of a program that is started only its name and what `VERBS` knows of it. What is
imported here is imported in the user's server, hence so little. No file stays open (a daemon closes all of them, and
their numbers are given to others), the hook takes no lock, and no frame is kept alive.
"""

from __future__ import annotations

import _thread
import os
import sys
from _collections import deque  # type: ignore[import-not-found]  # the C module: the Python one is imported by nobody yet
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

__all__ = ["VERBS", "program", "start"]

INTERVAL = 0.02
LATER_INTERVAL = 0.04
"""Seconds between two samples from `SOON` on: of a long start a sample tells as much in half as many."""
SOON = 1.5
FLUSH = 0.1
LIMIT = 8 << 20
"""Bytes of one process's file."""
DEPTH = 120
"""Frames of a stack, the innermost ones; those of the import system are left out."""
LEAST_SLEEP = 0.005
_BEFORE_LOOKING = 0.05
"""How long a thread must have stood still before it is asked which system call it waits in."""
LEAST_MAP = 8 << 20
LARGE = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".data", ".faiss", ".npy", ".npz", ".pkl")
"""Files that are likely to take long to read."""

VERBS = (
    ("pip", "install"),
    ("pip3", "install"),
    ("uv", "pip"),
    ("uv", "sync"),
    ("spacy", "download"),
    ("nltk.downloader", ""),
    ("npm", "install"),
    ("npm", "ci"),
    ("playwright", "install"),
    ("hf", "download"),
    ("huggingface-cli", "download"),
    ("git", "clone"),
    ("curl", ""),
    ("wget", ""),
    ("ollama", "pull"),
)
"""Programs that fetch something, and the word that makes them do it."""
_WORDS = 12
"""Arguments in which a verb is looked for."""

ON_NOTHING = 1 << 20
"""In place of a system call's number: a select among no files, which is a sleep."""
_SELECTS = (b"23", b"270", b"72")
"""select and pselect6 on x86-64, pselect6 on AArch64; with these numbers no other call has 0 first and lasts."""
_IMPORT_SYSTEM = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_SOL_SOCKET, _SO_ACCEPTCONN = 1, 30
"""Of Linux; elsewhere the socket is seen from outside only."""


def program(executable: object, arguments: object) -> str:
    """Return a program's name and, where `VERBS` knows it, its verb; never anything else of its arguments."""
    if isinstance(arguments, (str, bytes)):
        # A shell's line may begin with settings, and those may be secret.
        arguments = [one for one in os.fsdecode(arguments).split() if "=" not in one]
    words = [_word(one) for one in (arguments if isinstance(arguments, (list, tuple)) else ())[:_WORDS]]
    for index, word in enumerate(words):
        for known, verb in VERBS:
            if word == known and (not verb or verb in words[index + 1 : index + 3]):
                return f"{known} {verb}".strip()
    return _word(executable) or (words[0] if words else "")


def _word(one: object) -> str:
    return os.path.basename(os.fsdecode(one)) if isinstance(one, (str, bytes, os.PathLike)) else ""  # noqa: PTH119 - as in sitecustomize


def _address(_tracer: Tracer, args: tuple[Any, ...]) -> str | None:
    address = args[1]
    return f"{address[0]} {address[1]}" if isinstance(address, tuple) and len(address) > 1 else None


def _bound(tracer: Tracer, args: tuple[Any, ...]) -> str | None:
    detail = _address(tracer, args)
    if detail is not None:
        tracer.bound.append((args[0], detail, _thread.get_ident()))
    return detail


def _host(_tracer: Tracer, args: tuple[Any, ...]) -> str:
    host = args[0]
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _request(_tracer: Tracer, args: tuple[Any, ...]) -> str:
    rest = str(args[0]).partition("://")[2]
    for end in "/?#":
        rest = rest.partition(end)[0]
    return rest.rpartition("@")[2]


def _sleep(_tracer: Tracer, args: tuple[Any, ...]) -> float | None:
    seconds = float(args[0])
    return seconds if seconds >= LEAST_SLEEP else None


def _started(_tracer: Tracer, args: tuple[Any, ...]) -> str:
    return program(args[0], args[1])


def _system(_tracer: Tracer, args: tuple[Any, ...]) -> str:
    return program(None, args[0])


def _mapped(_tracer: Tracer, args: tuple[Any, ...]) -> str | None:
    return str(args[1]) if isinstance(args[1], int) and args[1] >= LEAST_MAP else None


def _opened(_tracer: Tracer, args: tuple[Any, ...]) -> str | None:
    path = args[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    return path if isinstance(path, str) and path.endswith(LARGE) else None


KINDS: dict[str, tuple[str, Callable[[Tracer, tuple[Any, ...]], object]]] = {
    "open": ("open", _opened),
    "time.sleep": ("sleep", _sleep),
    "socket.getaddrinfo": ("dns", _host),
    "socket.gethostbyname": ("dns", _host),
    "socket.connect": ("connect", _address),
    "socket.bind": ("bind", _bound),
    "urllib.Request": ("request", _request),
    "subprocess.Popen": ("popen", _started),
    "os.system": ("system", _system),
    "os.posix_spawn": ("spawn", _started),
    "os.exec": ("exec", _started),
    "mmap.__new__": ("map", _mapped),
}
"""Audit event -> its kind in the file, and what makes its detail of the arguments; None leaves the event out."""


class Tracer:
    """The hook, the sampler, and what they have not written yet."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.wake = _thread.allocate_lock()
        self.wake.acquire()
        self.gone = _thread.allocate_lock()
        self.stopping = False
        self.renew(forked=False)

    def renew(self, *, forked: bool) -> None:
        """Begin a file for this process."""
        now = monotonic()
        self.main = _thread.get_ident()
        self.path = os.path.join(self.directory, f"{os.getpid()}-{now * 1e6:.0f}.trace")  # noqa: PTH118 - no pathlib
        self.written = 0
        self.full = False
        self.codes: dict[int, tuple[int, CodeType]] = {}
        """By identity; it keeps them alive, so that an identity means one code object."""
        self.lines: dict[tuple[int, int], int] = {}
        self.stacks: dict[tuple[Any, ...], int] = {}
        self.pending: deque[tuple[Any, ...]] = deque()
        self.runs: dict[int, list[Any]] = {}
        """Thread -> the stack it was last seen in, when first and when last, the system call, when to look for one."""
        self.leaves: dict[int, tuple[int, ...]] = {}
        self.names: dict[int, str] = {}
        self.bound: list[tuple[Any, str, int]] = []
        try:
            here = os.getcwd()  # noqa: PTH109 - no pathlib
        except OSError:
            here = ""
        version, kind = tuple(sys.version_info[:3]), sys.implementation.name
        library = os.path.dirname(os.__file__)  # noqa: PTH120 - no pathlib
        self.pending.append(("hello", now, os.getpid(), os.getppid(), self.main, version, kind, library, here, forked))
        self.flush(now)

    def hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        """Return what takes note of audit events.

        A function, not a method: imports raise a hundred thousand events that are of no interest, and each look-up of
        an attribute would be felt.
        """
        known = KINDS.get
        take = self.take

        def hook(event: str, args: tuple[Any, ...]) -> None:
            kind = known(event)
            if kind is not None:
                take(kind, args)

        return hook

    def take(self, known: tuple[str, Callable[[Tracer, tuple[Any, ...]], object]], args: tuple[Any, ...]) -> None:
        """Take note of an event. Nothing that goes wrong here may reach the code that raised it."""
        try:
            kind, describe = known
            detail = describe(self, args)
            if detail is None or self.full:
                return
            stack = self.stack(sys._getframe(2))  # noqa: SLF001 - its purpose
            self.pending.append(("event", monotonic(), _thread.get_ident(), kind, detail, stack))
            if kind == "exec":
                self.flush(monotonic())
        except Exception:  # noqa: BLE001, S110 - see above
            pass

    def stack(self, innermost: FrameType) -> int:
        """Return the number of the stack that ends in the frame."""
        frame: FrameType | None = innermost
        found: list[CodeType] = []
        # By identity: comparing code objects by value would take longer than everything else.
        key: list[Any] = [""]
        while frame is not None and len(found) < DEPTH:
            code = frame.f_code
            if code.co_filename not in _IMPORT_SYSTEM:
                found.append(code)
                key += (id(code), frame.f_lasti)
            elif not found and not key[0] and code.co_name == "_find_and_load":
                # An import under way in which no code of the module's runs: it is searched, read, or a library loads.
                key[0] = str(frame.f_locals.get("name", ""))
            frame = frame.f_back
        whole = tuple(key)
        number = self.stacks.get(whole)
        if number is None:
            number = self.stacks[whole] = len(self.stacks) + 1
            pairs = zip(found, key[2::2])  # noqa: B905 - `strict` is unknown to Python 3.8
            lines = tuple([(self.code(code), self.line(code, last)) for code, last in pairs])
            self.pending.append(("stack", number, lines, key[0]))
        return number

    def line(self, code: CodeType, last: int) -> int:
        """Return the line of an instruction; a long module's table is slow to read, so each is looked up once."""
        known = self.lines.get((id(code), last))
        if known is None:
            known = self.lines[id(code), last] = _line(code, last)
        return known

    def code(self, code: CodeType) -> int:
        """Return the number of a code object."""
        known = self.codes.get(id(code))
        if known is None:
            known = self.codes[id(code)] = (len(self.codes) + 1, code)
            name = getattr(code, "co_qualname", code.co_name)
            self.pending.append(("code", known[0], code.co_filename, name))
        return known[0]

    def sample(self) -> None:
        """See where every thread is."""
        me, now = _thread.get_ident(), monotonic()
        for thread, frame in sys._current_frames().items():  # noqa: SLF001 - its purpose
            if thread != me:
                self.see(thread, frame, now)
        for thread in [one for one, run in self.runs.items() if run[2] != now]:
            self.close(thread)
        self.listening(now)
        if now - self.flushed >= FLUSH:
            for thread, run in self.runs.items():
                self.pending.append(("run", thread, *run[:4]))
                self.name(thread)
            self.flush(now)

    def see(self, thread: int, frame: FrameType, now: float) -> None:
        """Take note of where a thread is."""
        run = self.runs.get(thread)
        back = frame.f_back
        # A thread whose two innermost frames stand where they stood has not moved further out either.
        leaf = (id(frame), frame.f_lasti, id(back), back.f_lasti if back else 0)
        same = run is not None and self.leaves.get(thread) == leaf
        stack = run[0] if run is not None and same else self.stack(frame)
        if run is not None and run[0] == stack:
            self.leaves[thread] = leaf
            run[2] = now
            if run[3] < 0 and now >= run[4]:
                run[3], run[4] = self.call(thread), now + FLUSH
            return
        if run is not None:
            self.close(thread)
        self.name(thread)
        self.leaves[thread] = leaf
        self.runs[thread] = [stack, now, now, -1, now + _BEFORE_LOOKING]

    def call(self, thread: int) -> int:
        """Return the number of the system call that a thread is in, -1 for none; Linux tells it of one's own."""
        known: Any = getattr(sys.modules.get("threading"), "_active", {})
        number = os.getpid() if thread == self.main else getattr(known.get(thread), "_native_id", None)
        try:
            descriptor = os.open(f"/proc/self/task/{number}/syscall", os.O_RDONLY)
            try:
                call, first = os.read(descriptor, 200).split()[:2]
                # Before Python 3.11 time.sleep selects among no files.
                return ON_NOTHING if call in _SELECTS and first == b"0x0" else int(call)
            finally:
                os.close(descriptor)
        except (OSError, ValueError, IndexError):
            return -1

    def close(self, thread: int) -> None:
        """Write where a thread was, and is no longer."""
        self.pending.append(("run", thread, *self.runs.pop(thread)[:4]))
        self.leaves.pop(thread, None)

    def name(self, thread: int) -> None:
        """Take note of what the thread is called, if the user's code has made it known to `threading`."""
        threading: Any = sys.modules.get("threading")
        found = getattr(threading, "_active", {}).get(thread)
        name = str(getattr(found, "_name", ""))
        if name and self.names.get(thread) != name:
            self.names[thread] = name
            self.pending.append(("thread", thread, name))

    def listening(self, now: float) -> None:
        """See whether a socket that was bound listens: no audit event says so."""
        for entry in list(self.bound):
            bound, detail, thread = entry
            try:
                listens = bool(bound.getsockopt(_SOL_SOCKET, _SO_ACCEPTCONN))
            except Exception:  # noqa: BLE001 - it is the user's object, and it may be closed by now
                self.bound.remove(entry)
                continue
            if listens:
                self.bound.remove(entry)
                self.pending.append(("event", now, thread, "listen", detail, 0))

    def loop(self) -> None:
        """Sample until told to stop."""
        try:
            until = monotonic() + SOON
            while not self.stopping and not self.full:
                # Not time.sleep, which would be an audit event.
                self.wake.acquire(True, INTERVAL if monotonic() < until else LATER_INTERVAL)
                if not self.stopping:
                    self.sample()
        except Exception:  # noqa: BLE001, S110 - a thread that nobody knows of writes no traceback into the user's log
            pass
        finally:
            self.gone.release()

    def begin(self) -> None:
        """Start the sampler; a thread that `threading` does not count."""
        self.stopping = False
        if self.gone.acquire(False):
            _thread.start_new_thread(self.loop, ())

    def end(self) -> None:
        """Stop the sampler: a fork wants no other thread in the middle of something."""
        self.stopping = True
        if self.wake.locked():
            self.wake.release()
        if self.gone.acquire(True, 1.0):
            self.gone.release()
        self.wake.acquire(False)

    def flush(self, now: float) -> None:
        """Append what is pending to the file."""
        self.flushed = now
        lines = []
        while self.pending and not self.full:
            lines.append(repr(self.pending.popleft()))
        if not lines:
            return
        data = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        if self.written + len(data) > LIMIT:
            self.full = True
            data = f"{('full', now)!r}\n".encode()
        self.written += len(data)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def after_fork_in_child(self) -> None:
        """Begin again: the parent's sampler and what it had not written are the parent's."""
        try:
            self.gone = _thread.allocate_lock()
            self.renew(forked=True)
            self.begin()
        except Exception:  # noqa: BLE001 - the user's child lives on, untraced
            self.full = True

    def leave(self) -> None:
        """Write what is left, when the interpreter ends."""
        try:
            self.end()
            for thread in list(self.runs):
                self.close(thread)
            self.pending.append(("bye", monotonic()))
            self.flush(monotonic())
        except Exception:  # noqa: BLE001, S110 - the directory may be gone: nobody reads any more
            pass


def _line(code: CodeType, last: int) -> int:
    """Return the line of an instruction."""
    line = code.co_firstlineno
    if hasattr(code, "co_lines"):
        for begin, end, number in code.co_lines():
            if begin <= last < end:
                return number or line
        return line
    # Before Python 3.10 a table of steps: bytes of code, and signed lines.
    at = 0
    for step, lines in zip(code.co_lnotab[::2], code.co_lnotab[1::2]):  # noqa: B905 - as above
        at += step
        if at > last:
            break
        line += lines - 256 if lines >= 128 else lines  # noqa: PLR2004 - a signed byte
    return line


def start(directory: str) -> None:
    """Trace this process, and those forked from it, from now on."""
    import atexit

    tracer = Tracer(directory)
    sys.addaudithook(tracer.hook())
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=tracer.end, after_in_parent=tracer.begin, after_in_child=tracer.after_fork_in_child)
    atexit.register(tracer.leave)
    tracer.begin()
