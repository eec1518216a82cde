"""A small checkout laid out as ALwrity's at ce9bf293, of our own writing, with all that callers rely on.

That is of issues 3, 5 and 6; the faults of that state are in it as well.
"""

from __future__ import annotations

from typing import Final

from tests.support.backend_checkout import DOUBLE
from tests.support.models_backends import HEAD, HEAD_START, Files

__all__ = ["AGENTS", "CORE", "INDEX", "ORCHESTRATOR", "START", "WHOLE"]

INDEX: Final = "services/intelligence/txtai_service.py"
AGENTS: Final = "services/intelligence/sif_agents.py"
CORE: Final = "services/intelligence/agents/core_agent_framework.py"
ORCHESTRATOR: Final = "services/intelligence/agents/agent_orchestrator.py"
START: Final = "start_alwrity_backend.py"

_INDEX_TEXT: Final = (
    DOUBLE.replace("class TxtaiIntelligenceService:", "TXTAI_AVAILABLE = True\n\n\nclass TxtaiIntelligenceService:")
    .replace("def __new__(cls, user_id):", "def __new__(cls, user_id, *args, **kwargs):")
    .replace("def __init__(self, user_id):", "def __init__(self, user_id, model_path=None, enable_caching=True):")
    .replace(
        "        self.embeddings.index([(one, text, json.dumps(metadata)) for one, text, metadata in items])\n",
        "        if not items:\n            return 0\n"
        "        self.embeddings.upsert([(one, text, json.dumps(metadata or {})) for one, text, metadata in items])\n",
    )
    .replace(
        "        self.embeddings.save(self.index_path)\n",
        "        self.embeddings.save(self.index_path)\n        return len(items)\n",
    )
    + """
    async def cluster(self, min_score=0.5):
        clusters = []
        for seed in ("marketing", "SEO"):
            results = await self.search(seed, limit=5)
            cluster = [i for i, result in enumerate(results) if result["score"] >= min_score]
            if cluster and cluster not in clusters:
                clusters.append(cluster)
        return clusters

    def get_index_stats(self):
        if not self._initialized or not self.embeddings:
            return {"status": "not_initialized", "user_id": self.user_id}
        return {
            "status": "active",
            "user_id": self.user_id,
            "index_size": self.embeddings.count(),
            "model_path": "all-MiniLM-L6-v2",
            "index_path": self.index_path,
            "initialized": self._initialized,
        }
"""
)
_LIFECYCLE: Final = """
    async def initialize(self):
        import asyncio
        try:
            await asyncio.get_running_loop().run_in_executor(None, lambda: self.llm)
        except Exception:
            return False
        return True

    async def ensure_initialized_async(self):
        return await self.initialize()

    async def shutdown(self):
        _local_llm_cache.clear()
"""
_AGENTS_LIFECYCLE: Final = """
    async def initialize_async(self):
        llm = getattr(self, "llm", None)
        if hasattr(llm, "ensure_initialized_async"):
            await llm.ensure_initialized_async()

    async def shutdown(self):
        llm = getattr(self, "llm", None)
        if hasattr(llm, "shutdown"):
            await llm.shutdown()
"""
_AGENTS_TEXT: Final = (
    HEAD[AGENTS]
    .replace(HEAD[AGENTS][HEAD[AGENTS].index("    async def initialize") :].split("\n\n\n")[0], _LIFECYCLE.strip("\n"))
    .replace('for user {self.user_id}]"\n', 'for user {self.user_id}]"\n\n    __call__ = generate\n', 1)
    + _AGENTS_LIFECYCLE
)
_CORE_TEXT: Final = (
    HEAD[CORE]
    .replace(
        "    def __call__(self, *arguments, **options):\n",
        "    def __getattr__(self, name):\n        return getattr(self.llm, name)\n\n"
        "    def __call__(self, *arguments, **options):\n",
    )
    .replace(
        '        self.llm = TrackingLLMWrapper(llm or LLM(path=model_name, task="language-generation"))\n',
        "        if llm is None:\n            # Let txtai guess the task\n"
        '            llm = LLM(path=model_name, task="language-generation")\n'
        "        self.llm = TrackingLLMWrapper(llm)\n",
    )
    + """
    async def _generate_llm_response(self, prompt):
        import asyncio
        return str(await asyncio.get_running_loop().run_in_executor(None, lambda: self.llm(prompt)))
"""
)
_ORCHESTRATOR_TEXT: Final = (
    HEAD[ORCHESTRATOR].replace("from services", "from txtai import Agent, LLM\n\nfrom services", 1)
    + """

class ALwrityAgentOrchestrator:
    def __init__(self, config):
        self.llm = LLM(config.shared_llm)
"""
)
_START_TEXT: Final = (
    HEAD_START.replace("    success: bool\n", "    success: bool\n    skipped: bool = False\n")
    .replace("'local_llm_models', False, str(error))", "'local_llm_models', False, reason=str(error))")
    .replace(
        "        return True\n    try:",
        "        return BootstrapResult('local_llm_models', True, skipped=True, reason='cloud_environment')\n    try:",
        1,
    )
)
WHOLE: Final[Files] = {
    **HEAD,
    INDEX: _INDEX_TEXT,
    AGENTS: _AGENTS_TEXT,
    CORE: _CORE_TEXT,
    ORCHESTRATOR: _ORCHESTRATOR_TEXT,
    START: _START_TEXT,
    "services/intelligence/semantic_cache.py": "semantic_cache_manager = object()\n",
}
"""Path below the backend's directory -> content."""
