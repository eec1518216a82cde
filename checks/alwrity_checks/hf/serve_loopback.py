"""A Hugging Face router on this machine, to try the commands on: `python -m alwrity_checks.hf.serve_loopback`.

It answers as the router does, from a small catalogue, and contacts nobody. It serves until it is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading

from alwrity_checks.hf.loopback_router import LoopbackRouter

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve; return the exit code: 2 where the port is not to be had."""
    parser = argparse.ArgumentParser(prog="python -m alwrity_checks.hf.serve_loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the port; 0 is any free one (default)")
    port = parser.parse_args(arguments).port
    try:
        with LoopbackRouter(port=port) as router:
            sys.stdout.write(
                f"base URL        {router.base_url}\n"
                f"a wrong one     {router.wrong_base_url}\n"
                f"a token for it  {router.token}\n"
                "Ctrl-C ends it.\n"
            )
            sys.stdout.flush()
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    except (OSError, OverflowError) as error:
        parser.error(f"port {port} cannot be had: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
