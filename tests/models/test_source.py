"""What a checkout names: by use and not by text, with the copies that nothing imports, and what does not parse."""

from __future__ import annotations

from pathlib import Path

import pytest

from alwrity_checks.models.findings import source_findings
from alwrity_checks.models.source import Use, scan_source

BIG, SMALL, TINY = "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct", "TinyLlama/TinyLlama-1.1B-Chat-v1.0"

SIF = f"""
REMOTE = ["{BIG}", "{SMALL}"]
FALLBACKS = [
    "{BIG}",
    "{SMALL}",
    "{TINY}",
]
class LocalLLMWrapper:
    def __init__(self, model_path, task=None):
        self.model_path = model_path
    @property
    def llm(self):
        candidates = []
        for one in [self.model_path, *FALLBACKS]:
            if one not in candidates:
                candidates.append(one)
        for candidate in candidates:
            key = f"{{candidate}}:{{self.task}}"
            cache[key] = LLM(path=candidate, task="language-generation")
class Agent:
    def __init__(self, name, model_name: str = "{BIG}", kind="sif/agent"):
        self.llm = LocalLLMWrapper(model_name, task="text-generation")
    def ask(self):
        return llm_text_gen("prompt", preferred_hf_models=REMOTE)
"""
ORCHESTRATOR = f"""
from dataclasses import dataclass
@dataclass
class Team:
    shared_llm: str = "{BIG}"  # not "{TINY}"
class Orchestrator:
    def start(self):
        self.llm = LLM(self.config.shared_llm)
"""
TXTAI = """
class Service:
    def __init__(self, model_path=None):
        self.model_path = model_path or "sentence-transformers/all-MiniLM-L6-v2"
    def start(self):
        self.embeddings = Embeddings({"path": self.model_path, "backend": "faiss/cpu"})
        return Labels()
"""
START = f"""
from services import sif
def bootstrap():
    model_name = "{BIG}"
    target = "Qwen/Qwen2.5-3B-Instruct"
    snapshot_download(repo_id=target, repo_type="model")
"""


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    """Return a small backend with the historical places."""
    files = {
        "app.py": "import services.team\nfrom services.intelligence.txtai_service import Service\n",
        "start_alwrity_backend.py": START,
        "services/__init__.py": "",
        "services/sif.py": SIF,
        "services/team.py": ORCHESTRATOR,
        "services/txtai_service.py": TXTAI,
        "services/intelligence/__init__.py": "",
        "services/intelligence/txtai_service.py": TXTAI,
        "services/agent_framework.py": 'def f(model="Qwen/Qwen3-4B-Instruct-2507"):\n    LLM(model)\n',
        "api/images.py": 'PROVIDER = "Qwen/Qwen-Image"\n',
        "broken.py": "<<<<<<< HEAD\n",
        "venv/lib/other.py": 'LLM("acme/hidden")\n',
        "node_modules/x.py": 'LLM("acme/hidden")\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_every_place_is_found_by_its_use(backend: Path) -> None:
    """Defaults, lists and fields reach LLM over loops and attributes; remote ids, tasks and comments do not."""
    found = {(one.file, one.line, one.model, one.use) for one in scan_source(backend).namings if one.live}
    assert found == {
        ("services/sif.py", 2, BIG, Use.REMOTE),
        ("services/sif.py", 2, SMALL, Use.REMOTE),
        ("services/sif.py", 4, BIG, Use.GENERATION),
        ("services/sif.py", 5, SMALL, Use.GENERATION),
        ("services/sif.py", 6, TINY, Use.GENERATION),
        ("services/sif.py", 21, BIG, Use.GENERATION),
        ("services/team.py", 5, BIG, Use.GENERATION),
        ("services/intelligence/txtai_service.py", 4, "sentence-transformers/all-MiniLM-L6-v2", Use.EMBEDDINGS),
        ("services/intelligence/txtai_service.py", 7, "txtai's default zero-shot model", Use.GENERATION),
        ("start_alwrity_backend.py", 4, BIG, Use.UNUSED),
        ("start_alwrity_backend.py", 5, "Qwen/Qwen2.5-3B-Instruct", Use.DOWNLOAD),
    }


def test_a_copy_that_nothing_imports_is_dead(backend: Path) -> None:
    """It names a model all the same, and is reported as what it is."""
    dead = {(one.file, one.model) for one in scan_source(backend).namings if not one.live}
    assert dead == {
        ("services/agent_framework.py", "Qwen/Qwen3-4B-Instruct-2507"),
        ("services/txtai_service.py", "sentence-transformers/all-MiniLM-L6-v2"),
        ("services/txtai_service.py", "txtai's default zero-shot model"),
    }


def test_what_does_not_parse_is_counted(backend: Path) -> None:
    """A file that may name a model and cannot be read is named, and environments are not read at all."""
    scan = scan_source(backend)
    assert [one.partition(":")[0] for one in scan.unparsed] == ["broken.py"]
    assert scan.files == 11


def test_the_drift_is_a_finding(backend: Path) -> None:
    """What is downloaded and loaded nowhere breaks a rule, at its place; so do dead copies, as notes."""
    found = list(source_findings(scan_source(backend), backend, BIG))
    codes = [one.rule.code for one in found]
    assert codes.count("MDL009") == 1
    assert codes.count("MDL012") == 3
    assert codes.count("MDL013") == 1
    drift = found[codes.index("MDL009")]
    assert str(drift.location) == f"{backend / 'start_alwrity_backend.py'}:5"
    assert "Qwen2.5-3B" in drift.message


def test_agreement_is_no_finding(tmp_path: Path) -> None:
    """What is downloaded and also loaded is in order."""
    (tmp_path / "app.py").write_text('snapshot_download("acme/m")\nLLM(path="acme/m")\n')
    assert list(source_findings(scan_source(tmp_path), tmp_path, BIG)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from .services import sif",
        "import services.sif as s",
        "from services import (\n    # a comment\n    other,\n    sif,\n)",
        "def f():\n    from services.sif import Agent",
        'import_module("services.sif")',
        "import os, services.sif",
    ],
)
def test_every_form_of_import_makes_a_file_live(backend: Path, source: str) -> None:
    """Relative, dotted, in brackets, inside a function, by a text for import_module."""
    (backend / "start_alwrity_backend.py").write_text(source)
    live = {one.file for one in scan_source(backend).namings if one.live}
    assert "services/sif.py" in live


def test_a_package_wins_over_a_module_of_its_name(tmp_path: Path) -> None:
    """As in an import: the module beside a package of its name is dead."""
    (tmp_path / "app.py").write_text("import agents\n")
    (tmp_path / "agents.py").write_text('LLM("acme/module")\n')
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text('LLM("acme/package")\n')
    assert {one.model: one.live for one in scan_source(tmp_path).namings} == {
        "acme/module": False,
        "acme/package": True,
    }
