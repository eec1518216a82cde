"""Small checkouts laid out as ALwrity's, every line of our own writing; what their services do is what was described.

The packages above the service refuse to be imported, as the real ones need the whole application.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["CONFLICT", "DOUBLE", "DROP_IN", "HEALTHY", "SECRET", "write_checkout"]

SECRET: Final = "hf_" + "seededInTheCheckout0123456789"
"""In the checkout's `.env`."""
_CACHE: Final = "semantic_cache_manager = object()\n"

DOUBLE: Final = '''
import asyncio
import json
import os
import threading

from loguru import logger
from txtai import Embeddings

from .semantic_cache import semantic_cache_manager


class TxtaiIntelligenceService:
    """Starts two initialisations on a first call, and indexes and saves on the event loop."""

    _services = {}
    _locks = {}

    def __new__(cls, user_id):
        if user_id not in cls._services:
            cls._services[user_id] = super().__new__(cls)
            cls._locks[user_id] = asyncio.Lock()
        return cls._services[user_id]

    def __init__(self, user_id):
        if hasattr(self, "user_id"):
            return
        self.user_id, self.embeddings = user_id, None
        self.index_path = f"workspace/workspace_{user_id}/indices/txtai"
        self._initialized = self._initialization_in_progress = False

    def _ensure_initialized(self):
        if not self._initialized and not self._initialization_in_progress:
            self._initialization_in_progress = True
            threading.Thread(target=self._initialize_embeddings, daemon=True).start()

    async def _ensure_initialized_async(self):
        if not self._initialized:
            async with self._locks[self.user_id]:
                if not self._initialized:
                    await asyncio.get_running_loop().run_in_executor(None, self._initialize_embeddings)

    def _initialize_embeddings(self):
        try:
            logger.info(f"Initializing txtai embeddings for user {self.user_id}")
            if self.embeddings:
                self.embeddings.close()
                self.embeddings = None
            os.makedirs(os.path.dirname(self.index_path), exist_ok=True)
            self.embeddings = self._new()
            if os.path.exists(self.index_path):
                try:
                    self.embeddings.load(self.index_path)
                except Exception as error:
                    logger.warning(f"Failed to load existing index: {error}. Creating new index.")
                    self.embeddings = self._new()
            self._initialized = True
        except Exception as error:
            logger.error(f"Critical failure initializing txtai embeddings: {error}")

    def _new(self):
        return Embeddings({"path": "sentence-transformers/all-MiniLM-L6-v2", "content": True, "backend": "faiss"})

    async def index_content(self, items):
        self._ensure_initialized()
        await self._ensure_initialized_async()
        if not self._initialized:
            raise RuntimeError(f"Cannot index content - service not initialized for user {self.user_id}")
        self.embeddings.index([(one, text, json.dumps(metadata)) for one, text, metadata in items])
        self.embeddings.save(self.index_path)

    async def search(self, query, limit=5):
        await self._ensure_initialized_async()
        return self.embeddings.search(query, limit)

    def is_initialized(self):
        self._ensure_initialized()
        return self._initialized
'''

HEALTHY: Final = '''
import asyncio
import hashlib
import json
import os
import threading

import txtai

from .semantic_cache import semantic_cache_manager


class TxtaiIntelligenceService:
    """One initialisation, one lock, nothing on the event loop, and a save that becomes valid in one step."""

    _services = {}
    _making = threading.Lock()

    def __new__(cls, user_id):
        with cls._making:
            if user_id not in cls._services:
                service = cls._services[user_id] = super().__new__(cls)
                name = hashlib.sha256(user_id.encode()).hexdigest()
                service.directory = f"workspace/workspace_{name}/indices/txtai"
                service.embeddings, service._lock = None, threading.RLock()
            return cls._services[user_id]

    def _initialize_embeddings(self):
        with self._lock:
            if self.embeddings is None:
                embeddings = txtai.Embeddings({"path": "a model", "content": True, "backend": "faiss"})
                if os.path.exists(self._current()):
                    with open(self._current()) as file:
                        embeddings.load(os.path.join(self.directory, file.read()))
                self.embeddings = embeddings

    def _current(self):
        return os.path.join(self.directory, "CURRENT")

    async def index_content(self, items):
        await asyncio.to_thread(self._index, items)

    def _index(self, items):
        with self._lock:
            self._initialize_embeddings()
            try:
                self.embeddings.upsert([(one, text, json.dumps(metadata)) for one, text, metadata in items])
                name = f"generation-{len(os.listdir(self.directory)) if os.path.isdir(self.directory) else 0}"
                self.embeddings.save(os.path.join(self.directory, name))
                with open(self._current() + ".new", "w") as file:
                    file.write(name)
                os.replace(self._current() + ".new", self._current())
            except BaseException:
                self.embeddings.close()
                self.embeddings = None
                raise

    async def search(self, query, limit=5):
        return await asyncio.to_thread(self._search, query, limit)

    def _search(self, query, limit):
        with self._lock:
            self._initialize_embeddings()
            return self.embeddings.search(query, limit)

    def is_initialized(self):
        if self.embeddings is None:
            threading.Thread(target=self._try, daemon=True).start()
        return self.embeddings is not None

    def _try(self):
        try:
            self._initialize_embeddings()
        except Exception:
            pass
'''

CONFLICT: Final = """
class TxtaiIntelligenceService:
<<<<<<< HEAD
    answer = 1
=======
    answer = 2
>>>>>>> theirs
"""

DROP_IN: Final = "from alwrity_checks.txtai.compat import TxtaiIntelligenceService\n"


def write_checkout(root: Path, service: str) -> Path:
    """Lay out a checkout whose index service has this source; return the backend's directory."""
    backend = root / "backend"
    refusing = "raise ImportError('this package needs the whole application')\n"
    files = {
        "app.py": refusing,
        "start_alwrity_backend.py": refusing,
        "middleware/__init__.py": "",
        "services/__init__.py": refusing,
        "services/intelligence/__init__.py": refusing,
        "services/intelligence/semantic_cache.py": _CACHE,
        "services/intelligence/txtai_service.py": service,
        ".env": f"HF_TOKEN={SECRET}\nSIF_FAIL_FAST=false\n",
    }
    for name, text in files.items():
        path = backend / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return backend
