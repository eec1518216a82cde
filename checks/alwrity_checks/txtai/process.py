"""To which process an index belongs."""

from __future__ import annotations

import os

from alwrity_checks.txtai.errors import ForkedProcess

__all__ = ["Owner"]


class Owner:
    """The process that was the first to use something; a child forked before that may still become it."""

    def __init__(self) -> None:
        self._pid: int | None = None

    def check(self) -> None:
        """Take possession, or raise ForkedProcess if another process has."""
        pid = os.getpid()
        if self._pid is None:
            self._pid = pid
        if self._pid != pid:
            raise ForkedProcess(self._pid)
