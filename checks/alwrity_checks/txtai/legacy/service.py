"""The backend's index service, rebuilt from its description: `services/intelligence/txtai_service.py`.

Faithful in who initialises, who waits, on which thread and on which object everything is done, and in the order of the
files. Left out: the query cache, the log lines, the handling of Windows' file locks, similarity and clustering.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.txtai.legacy.variant import LegacyVariant

if TYPE_CHECKING:
    from alwrity_checks.txtai.legacy.engine import Engine

__all__ = ["BACKGROUND", "INITIALISE", "Item", "LegacyProcess", "LegacyService"]

Item = tuple[str, str, dict[str, Any]]
"""An id, a text and its metadata: what the backend sends."""
BACKGROUND: Final = "background"
"""The name of the thread that initialises while nobody waits."""
INITIALISE: Final = "_initialize_embeddings"
"""The method, for those who watch it."""
_WITHOUT_WAITING: Final = frozenset({LegacyVariant.SILENT, LegacyVariant.THEIRS})


class LegacyProcess:
    """One run of a backend: what its classes hold until it ends. A second one on the same `root` is a restart."""

    def __init__(self, variant: LegacyVariant, root: Path, engine: Engine, *, fail_fast: bool = True) -> None:
        self.variant = variant
        self.root = root
        self.engine = engine
        self.fail_fast = fail_fast
        """The backend's SIF_FAIL_FAST."""
        self._services: dict[str, LegacyService] = {}

    def of(self, user_id: str) -> LegacyService:
        """Return the user's service; as the original, looked up and then set without a lock."""
        if user_id not in self._services:
            self._services[user_id] = LegacyService(user_id, self)
        return self._services[user_id]

    def wait(self, timeout: float) -> bool:
        """Wait until no background initialisation is under way; say whether none is."""
        for service in self._services.values():
            if service.background is not None:
                service.background.join(timeout)
        return not any(one.background and one.background.is_alive() for one in self._services.values())

    def close(self) -> None:
        """End the process as far as open files go."""
        for service in self._services.values():
            if service.embeddings is not None:
                service.embeddings.close()


class LegacyService:
    """One user's index."""

    def __init__(self, user_id: str, process: LegacyProcess) -> None:
        self.embeddings: Any = None
        self.background: threading.Thread | None = None
        self.index_path = f"{process.root}/workspace/workspace_{user_id}/indices/txtai"
        """The user's id goes into it as it is."""
        self._process = process
        self._user_id = user_id
        self._initialized = False
        self._initialization_in_progress = False
        """Set once, never taken back."""
        self._lock = asyncio.Lock()

    def _ensure_initialized(self) -> None:
        if self._initialized or self._initialization_in_progress:
            return
        self._initialization_in_progress = True
        self.background = threading.Thread(target=self._initialize_embeddings, name=BACKGROUND, daemon=True)
        self.background.start()

    async def _ensure_initialized_async(self) -> None:
        """Wait for an initialisation; does not look at the one that may be in progress in the background."""
        if self._initialized:
            return
        async with self._lock:
            if not self._initialized:
                await asyncio.get_running_loop().run_in_executor(None, self._initialize_embeddings)

    def _initialize_embeddings(self) -> None:
        """Replace `self.embeddings`, whoever is using it; a failure is logged by the original, and swallowed."""
        try:
            if self.embeddings is not None:
                self.embeddings.close()
                self.embeddings = None
            index = Path(self.index_path)
            index.parent.mkdir(parents=True, exist_ok=True)
            self.embeddings = self._process.engine.embeddings()
            if index.exists():
                self._load()
            self._initialized = True
        except Exception:  # noqa: BLE001 - as the original
            self._initialized = False

    def _load(self) -> None:
        """Load what is there; what cannot be loaded is taken for nothing, and the next save overwrites it."""
        try:
            self.embeddings.load(self.index_path)
        except Exception:  # noqa: BLE001 - as the original
            self.embeddings = self._process.engine.embeddings()

    async def index_content(self, items: Sequence[Item]) -> int | None:
        """Index and save `items`, on the event loop.

        Returns how many at HEAD, else None. Raises RuntimeError where the service is not ready and fails fast.
        """
        variant = self._process.variant
        if variant is LegacyVariant.SILENT:
            if not self._initialized:
                self._ensure_initialized()
                return None
        else:
            await self._prepare()
        if not self._initialized:
            if self._process.fail_fast:
                raise RuntimeError(f"Cannot index content - service not initialized for user {self._user_id}")
            return 0 if variant is LegacyVariant.HEAD else None
        rows = [(one, text, json.dumps(metadata)) for one, text, metadata in items]
        # Looked up twice, as by the original: the object that is saved need not be the one that was indexed on.
        if variant is LegacyVariant.HEAD:
            self.embeddings.upsert(rows)
        else:
            self.embeddings.index(rows)
        self.embeddings.save(self.index_path)
        return len(rows) if variant is LegacyVariant.HEAD else None

    async def _prepare(self) -> None:
        """Do what stands before the check in `index_content`."""
        variant = self._process.variant
        if variant is not LegacyVariant.AWAITING:
            self._ensure_initialized()
        if variant is not LegacyVariant.THEIRS:
            await self._ensure_initialized_async()

    async def search(self, query: str, limit: int = 5) -> list[dict[str, Any]]:
        """Return the nearest documents, searched on the event loop; nothing where the service is not ready."""
        if self._process.variant in _WITHOUT_WAITING:
            self._ensure_initialized()
        else:
            await self._ensure_initialized_async()
        if not self._initialized:
            return []
        hits: list[dict[str, Any]] = self.embeddings.search(query, limit)
        return hits

    def is_initialized(self) -> bool:
        """Say whether the service is ready; starts the background initialisation if it is not."""
        self._ensure_initialized()
        return self._initialized
