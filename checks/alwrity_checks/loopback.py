"""Requests to this machine's own servers, whatever proxy the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["direct_connections"]


@contextmanager
def direct_connections() -> Iterator[None]:
    """Keep requests to this machine away from a configured proxy, which could not serve them."""
    names = ("no_proxy", "NO_PROXY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: ",".join(filter(None, (before[name], "127.0.0.1"))) for name in names})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
