"""The program that runs inside the interpreter of the user's checkout and drives its index service.

`python driver.py {"backend": DIR, "sandbox": DIR, "lean": true} ACT [WORD]...` is a file and not a module, because that
interpreter knows nothing of us: this package alone is made importable there, not what is installed beside it.
stdout speaks JSON lines, as `scenarios.child` does; what the user's code prints goes to stderr.
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
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(words: list[str]) -> None:
    """Carry out one act in the sandbox, and end without waiting for threads that hang."""
    told, act, *rest = words
    plan = json.loads(told)
    # Whatever writes to descriptor 1 from now on writes to stderr: the lines of the protocol have one of their own.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _without_core_dumps()
    _make_importable()
    from alwrity_checks.txtai.scenarios import child
    from alwrity_checks.txtai.scenarios.guard import Guard, forget_env_files, isolate_network

    isolated = isolate_network()  # first: afterwards a library may have started a thread
    child.speak_through(channel)
    if plan["lean"]:
        child.without_torch()
    from alwrity_checks.txtai.scenarios.driven import DrivenTarget
    from alwrity_checks.txtai.scenarios.log_lines import LogLines

    guard = Guard(Path(plan["sandbox"]), __file__)
    guard.install()
    forget_env_files()
    if act == "meet":
        child.say(begins="txtai was imported")
    try:
        import txtai  # type: ignore[import-untyped]  # noqa: F401 - before the checkout's own names are on the path
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        child.say(unmet=f"txtai cannot be imported: {type(error).__name__}: {error}"[:300], heavier=True)
        os._exit(0)
    lines = LogLines()
    facts = {
        "network": "none, not even in C (a namespace of its own)" if isolated else "refused to Python code alone",
    }
    if not lines.listen():
        facts["loguru"] = "stood in for: it is not installed in this interpreter"
    sys.path.insert(0, plan["backend"])
    target = DrivenTarget(Path(plan["backend"]), (sys.executable, __file__, told), lines, guard, Path.cwd())
    if act == "meet":
        rest = [json.dumps(facts)]
    getattr(import_module(f"{_PACKAGE}.txtai.scenarios.{child.ACTS[act]}"), act)(target, *rest)
    channel.flush()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
