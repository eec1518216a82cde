"""Found by the traced process's `site` in place of its own sitecustomize, which is carried out afterwards.

It is loaded by whatever Python the user's command starts, so it uses no syntax that Python 2.7 does not know.
"""

import os
import sys


def _begin():  # noqa: ANN202 - Python 2.7 reads it too
    # type: () -> None
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be imported for the user
    directory = os.environ.get("ALWRITY_STARTUP_TRACE")
    if directory and hasattr(sys, "addaudithook"):
        sys.path.insert(0, here)
        try:
            tracer = __import__("alwrity_startup_tracer")
            tracer.start(directory)
        except Exception:  # noqa: BLE001, S110 - a server starts as it would without us; a missing record is `unknown`
            pass
    # What the user's code finds in sys.path is what it would find without us.
    sys.path[:] = [one for one in sys.path if os.path.abspath(one or ".") != here]  # noqa: PTH100 - as above


def _chain():  # noqa: ANN202 - as above
    # type: () -> None
    """Carry out the sitecustomize that would have been found without us; what it raises is its own."""
    ours = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        # The import system looks for the module under its name when we return.
        sys.modules.setdefault("sitecustomize", ours)


_begin()
_chain()
