"""The program that runs inside the interpreter of the user's checkout, and hands over to one driver.

`python -S program.py {"backend": DIR, "sandbox": DIR, "driver": MODULE, "handed": [], "plan": {}} ACT [WORD]...` is a
file and not a module, because that interpreter knows nothing of us: this package alone is made importable there, not
what is installed beside it. -S, because site-packages may run code at each start (`.pth`, `sitecustomize`): here it
does so once it can do no harm. stdout speaks JSON lines; what the user's code prints goes to stderr.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from importlib import import_module
from pathlib import Path

__all__: list[str] = []

_PACKAGE = "alwrity_checks"


def _make_importable() -> None:
    """Let this package be imported from where this file is, whatever is on the path."""
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} cannot be imported")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)


def _without_core_dumps() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_parent() -> None:
    """Ask to be killed when our parent is: nobody would wait for what the checkout does then."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG of <sys/prctl.h>


def main(words: list[str]) -> None:
    """Carry out one act in the sandbox, and end without waiting for threads that hang."""
    told, act, *rest = words
    order = json.loads(told)
    # Whatever writes to descriptor 1 from now on writes to stderr: the lines of the protocol have one of their own.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _without_core_dumps()
    _end_with_parent()
    _make_importable()
    from alwrity_checks.sandbox.network import isolate_network

    isolated = isolate_network()  # first: afterwards a library may have started a thread
    from alwrity_checks.sandbox import speech
    from alwrity_checks.sandbox.env_files import forget_env_files
    from alwrity_checks.sandbox.guard import Guard
    from alwrity_checks.sandbox.inside import Inside
    from alwrity_checks.settings import wrap

    speech.speak_through(channel)
    guard = Guard(Path(order["sandbox"]), __file__)
    guard.install()
    import site

    site.main()
    guard.refusals()  # what was refused to site-packages is not laid at the checkout's door
    inside = Inside(
        Path(order["backend"]),
        order["plan"],
        guard,
        isolated,
        (sys.executable, "-S", __file__, told),
        tuple(order["handed"]),
    )
    for name in inside.handed:
        wrap(name, os.environ.get(name, ""))  # known from now on, so that `scrub` finds it
    if not forget_env_files():
        inside.stubs.append("python-dotenv (not installed)")
    import_module(order["driver"]).drive(inside, act, *rest)
    channel.flush()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
