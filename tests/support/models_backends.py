"""Small checkouts laid out as ALwrity's, every line of our own writing, with local models and a start script.

What they do is what was described of the states of 8c2d88ef and ce9bf293, and of one that took the cure. Everything
that a driver has to stand in for refuses to be imported, as the real one needs the whole application.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["CURED", "CURED_START", "HEAD", "HEAD_START", "OLD", "OLD_START", "SECRET", "Files", "write_checkout"]

SECRET: Final = "hf_" + "seededInTheModelsCheckout0123"
"""In the checkout's `.env`."""
Files = dict[str, str]
"""Path below the backend's directory -> content."""
_AGENTS: Final = "services/intelligence/sif_agents.py"
_CORE: Final = "services/intelligence/agents/core_agent_framework.py"
_SPECIALIZED: Final = "services/intelligence/agents/specialized/base.py"
_ORCHESTRATOR: Final = "services/intelligence/agents/agent_orchestrator.py"
_START: Final = "start_alwrity_backend.py"

_WRAPPER: Final = '''
from loguru import logger

from services.intelligence.agents.core_agent_framework import BaseALwrityAgent
from services.llm_providers.main_text_generation import llm_text_gen
from .txtai_service import TXTAI_AVAILABLE, TxtaiIntelligenceService

try:
    from txtai import Agent, LLM
except ImportError:
    Agent = LLM = None

_local_llm_cache = {}
LOCAL_LLM_FALLBACKS = [
    "Qwen/Qwen2.5-1.5B-Instruct",
    "Qwen/Qwen2.5-0.5B-Instruct",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
]


class SharedLLMWrapper:
    """Turns every failure into a text."""

    def __init__(self, user_id, task=None):
        self.user_id = user_id

    def generate(self, prompt, **kwargs):
        try:
            return llm_text_gen(prompt, user_id=self.user_id)
        except Exception as error:
            logger.error(f"SharedLLMWrapper failed to generate text: {error}")
            return f"[ERROR: Shared LLM generation failed for user {self.user_id}]"


class LocalLLMWrapper:
    """Keeps a fallback under its own name, and looks for it under the other."""

    def __init__(self, model_path, task=None):
        self.model_path, self.task = model_path, task

    @property
    def llm(self):
        key = f"{self.model_path}:{self.task}"
        if key in _local_llm_cache:
            return _local_llm_cache[key]
        for candidate in dict.fromkeys([self.model_path, *LOCAL_LLM_FALLBACKS]):
            key = f"{candidate}:{self.task}"
            if key in _local_llm_cache:
                return _local_llm_cache[key]
            logger.info(f"Loading local LLM (singleton): {candidate}")
            try:
                _local_llm_cache[key] = LLM(path=candidate, task="language-generation")
                return _local_llm_cache[key]
            except Exception as error:
                last = error
                logger.warning(f"Local LLM load failed for '{candidate}', trying next fallback. Error: {error}")
        raise last

    def generate(self, prompt, **kwargs):
        return self.llm(prompt, **kwargs)

    __call__ = generate
'''
_BASE: Final = '''

class SIFBaseAgent(BaseALwrityAgent):
    """Loads its model in its constructor."""

    def __init__(self, intelligence, user_id, agent_type="sif", model_name="Qwen/Qwen2.5-1.5B-Instruct", llm=None):
        self.intelligence = intelligence
        super().__init__(user_id, agent_type, model_name, llm or LocalLLMWrapper(model_name, task="text-generation"))

    def _create_txtai_agent(self):
        innermost = self.llm
        for _ in range(3):
            innermost = getattr(innermost, "llm", innermost)
        return Agent(llm=innermost, tools=[])
'''
_ASYNCHRONOUS: Final = """
    async def initialize(self):
        import asyncio
        await asyncio.get_running_loop().run_in_executor(None, lambda: self.llm)
        return True
"""
_CORE_TEXT: Final = '''
from abc import ABC, abstractmethod

from services.agent_activity_service import AgentActivityService
from services.database import get_session_for_user
from txtai import Agent, LLM
from utils.logger_utils import get_service_logger

TXTAI_AVAILABLE = Agent.__module__ != "txtai.agent.placeholder"
logger = get_service_logger(__name__)


class TrackingLLMWrapper:
    def __init__(self, llm):
        self.llm = llm

    def __call__(self, *arguments, **options):
        return self.llm(*arguments, **options)


class BaseALwrityAgent(ABC):
    """Calls what makes its txtai agent from its constructor."""

    def __init__(self, user_id, agent_type, model_name="Qwen/Qwen2.5-1.5B-Instruct", llm=None, **kwargs):
        self.profile = AgentActivityService(get_session_for_user(user_id)).profile(agent_type)
        if not TXTAI_AVAILABLE:
            raise RuntimeError("txtai not available")
        self.llm = TrackingLLMWrapper(llm or LLM(path=model_name, task="language-generation"))
        self.txtai_agent = self._create_txtai_agent()
        logger.info("made")

    @abstractmethod
    def _create_txtai_agent(self): ...
'''
_SPECIALIZED_TEXT: Final = """
from services.intelligence.agents.core_agent_framework import AgentAction, BaseALwrityAgent
from services.intelligence.sif_agents import LocalLLMWrapper
from txtai import Agent


class SIFBaseAgent(BaseALwrityAgent):
    def __init__(self, intelligence, user_id, agent_type="sif", model_name="Qwen/Qwen2.5-1.5B-Instruct", llm=None):
        self.intelligence = intelligence
        llm = llm or LocalLLMWrapper(model_name, task="language-generation")
        super().__init__(user_id, agent_type, model_name, llm)

    def _create_txtai_agent(self):
        innermost = self.llm
        for _ in range(3):
            innermost = getattr(innermost, "llm", innermost)
        return Agent(llm=innermost, tools=[])
""".replace("AgentAction, ", "")
_ORCHESTRATOR_TEXT: Final = """
from dataclasses import dataclass

from services.intelligence.agents.safety_framework import get_safety_framework


@dataclass
class AgentTeamConfiguration:
    user_id: str
    shared_llm: str = "Qwen/Qwen2.5-1.5B-Instruct"
"""
_CURED_TEXT: Final = """
from alwrity_checks.models.compat import LocalLLMWrapper, SharedLLMWrapper
from services.intelligence.agents.core_agent_framework import BaseALwrityAgent
from .txtai_service import TXTAI_AVAILABLE, TxtaiIntelligenceService
from txtai import Agent
"""

OLD_START: Final = '''
import argparse
import os
import sys


def bootstrap_local_llm_models():
    """Download what no agent loads, and say nothing."""
    verbose = os.getenv("ALWRITY_VERBOSE", "false").lower() == "true"
    if os.getenv("RENDER") or os.getenv("RAILWAY_ENVIRONMENT"):
        return True
    try:
        from huggingface_hub import snapshot_download

        snapshot_download(repo_id="Qwen/Qwen2.5-3B-Instruct", repo_type="model")
    except Exception as error:
        if verbose:
            print(f"Failed to download/check local LLM: {error}")
        return False
    return True


if __name__ == "__main__":
    bootstrap_local_llm_models()

from alwrity_utils import DatabaseSetup, DependencyManager


def start_backend():
    from app import app
    from logging_config import setup_clean_logging
    import uvicorn

    setup_clean_logging()
    uvicorn.run("app:app", host=os.getenv("HOST"), port=int(os.getenv("PORT", "8000")))
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--production", action="store_true")
    parser.parse_args()
    if not os.path.exists("app.py"):
        return False
    critical, missing = DependencyManager().check_critical_dependencies()
    if not critical or not DatabaseSetup(production_mode=True).setup_essential_tables():
        return False
    return start_backend()


if __name__ == "__main__":
    if not main():
        sys.exit(1)
'''
HEAD_START: Final = (
    OLD_START.replace(
        "import sys\n",
        """import sys
from dataclasses import dataclass

import uvicorn
from dotenv import load_dotenv


@dataclass
class BootstrapResult:
    name: str
    success: bool
    reason: str | None = None


def should_bootstrap_local_llm_models():
    return os.getenv("ALWRITY_ENABLED_FEATURES", "all") == "all"
""",
        1,
    )
    .replace(
        "return False\n    return True\n\n\nif",
        "return BootstrapResult('local_llm_models', False, str(error))\n"
        "    return BootstrapResult('local_llm_models', True)\n\n\nif",
        1,
    )
    .replace(
        "    bootstrap_local_llm_models()\n\nfrom",
        """    load_dotenv()
    if should_bootstrap_local_llm_models():
        result = bootstrap_local_llm_models()
        print(f"   {result.name}: {'[OK] Enabled' if result.success else '[FAIL] Failed'} ({result.reason})")

from""",
        1,
    )
)
_BOOTSTRAP: Final = OLD_START[OLD_START.index("def bootstrap") : OLD_START.index("if __name__")]
CURED_START: Final = OLD_START.replace(
    _BOOTSTRAP, "from alwrity_checks.models.compat import bootstrap_local_llm_models\n\n\n"
)

_REFUSE: Final = "raise RuntimeError('this needs the whole application')\n"
_SHARED: Final[Files] = {
    # What is imported after that is never reached, and is what makes the modules live.
    "app.py": _REFUSE + "from services.intelligence.agents import agent_orchestrator, specialized\n"
    "from services.intelligence.agents.specialized import base\n",
    "logging_config.py": _REFUSE,
    "alwrity_utils/__init__.py": _REFUSE,
    "middleware/__init__.py": _REFUSE,
    "utils/__init__.py": _REFUSE,
    "utils/logger_utils.py": _REFUSE,
    "services/__init__.py": _REFUSE,
    "services/database.py": _REFUSE,
    "services/agent_activity_service.py": _REFUSE,
    "services/llm_providers/__init__.py": _REFUSE,
    "services/llm_providers/main_text_generation.py": _REFUSE,
    "services/intelligence/__init__.py": _REFUSE,
    "services/intelligence/agents/__init__.py": _REFUSE,
    "services/intelligence/agents/safety_framework.py": _REFUSE,
    "services/intelligence/agents/specialized/__init__.py": _REFUSE,
    "services/intelligence/txtai_service.py": "TXTAI_AVAILABLE = True\n\n\nclass TxtaiIntelligenceService: ...\n",
    _CORE: _CORE_TEXT,
    _SPECIALIZED: _SPECIALIZED_TEXT,
    _ORCHESTRATOR: _ORCHESTRATOR_TEXT,
}
OLD: Final[Files] = {**_SHARED, _AGENTS: _WRAPPER + _BASE, _START: OLD_START}
"""As at 8c2d88ef."""
HEAD: Final[Files] = {**_SHARED, _AGENTS: _WRAPPER + _ASYNCHRONOUS + _BASE, _START: HEAD_START}
"""As at ce9bf293: an asynchronous helper that nobody waits for, and a bootstrap that says what it came to."""
CURED: Final[Files] = {**_SHARED, _AGENTS: _CURED_TEXT + _BASE, _START: CURED_START}
"""With our drop-in in the place of its own wrapper, wrapper of the provider, and bootstrap."""


def write_checkout(root: Path, files: Files) -> Path:
    """Write a checkout below `root` and return it; its backend is in `backend`."""
    backend = root / "backend"
    for name, text in {**files, ".env": f"HF_TOKEN={SECRET}\nSIF_AGENT_MODEL=acme/from-the-env-file\n"}.items():
        path = backend / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
