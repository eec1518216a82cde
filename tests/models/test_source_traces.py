"""Issue 5 in a source: each pattern is found by its meaning, at its line, and its cured twin is left alone."""

from __future__ import annotations

import pytest

from alwrity_checks.models import source
from tests.support.sources import across, traced

BIG, SMALL, TINY = "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct", "TinyLlama/TinyLlama-1.1B-Chat-v1.0"

WRAPPER = """
import threading
from txtai import LLM
_cache = {{}}
_failed = set()
_lock = threading.Lock()
FALLBACKS = {fallbacks}

class Wrapper:
    def __init__(self, path):
        self.path = path

    @property
    def llm(self):
        wanted = f"{{self.path}}:text"
        if wanted in _cache:
            return _cache[wanted]
        with {lock}:
            for candidate in [self.path, *FALLBACKS]:
                key = f"{{candidate}}:text"
                try:
                    model = LLM(path=candidate)
                    {keep}
                    return model
                except Exception:
                    {failed}
        raise RuntimeError

    def generate(self, prompt):
        try:
            return self.llm(prompt)
        except Exception as error:
            {answer}
"""
GOOD = {
    "fallbacks": f'["{BIG}", "{SMALL}"]',
    "lock": "_lock",
    "keep": "_cache[key] = _cache[wanted] = model",
    "failed": "continue",
    "answer": "raise RuntimeError from error",
}


def codes(text: str) -> list[str]:
    """Return the codes of what one file shows, sorted."""
    return sorted(one.code for one in traced(source, text))


def test_a_healthy_wrapper_is_left_alone() -> None:
    """A lock, a key for what was asked for, lighter and lighter fallbacks, errors that stay errors: nothing to say."""
    assert codes(WRAPPER.format(**GOOD)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"lock": "suppress(KeyError)"}, ["MDL001"]),
        ({"keep": "_cache[key] = model"}, ["MDL002"]),
        ({"keep": "_cache[key] = model", "failed": "_failed.add(candidate)"}, []),
        ({"fallbacks": f'["{BIG}", "{SMALL}", "{TINY}"]'}, ["MDL003"]),
        ({"fallbacks": f'["{TINY}", "{SMALL}"]'}, []),
        ({"answer": 'return f"[ERROR: generation failed: {error}]"'}, ["MDL004"]),
        ({"answer": 'return "LLM unavailable"'}, ["MDL004"]),
        ({"answer": 'return ""'}, []),
    ],
)
def test_patterns_of_one_file(changed: dict[str, str], expected: list[str]) -> None:
    """Loads that two threads can make, keys that do not meet, heavier fallbacks, failures as answers."""
    assert codes("from contextlib import suppress\n" + WRAPPER.format(**(GOOD | changed))) == expected


def test_the_heavier_fallback_is_named_at_its_line() -> None:
    """In a list over several lines it is the entry itself that is pointed at."""
    rows = f'[\n    "{BIG}",\n    "{SMALL}",\n    "{TINY}",\n]'
    [found] = traced(source, WRAPPER.format(**(GOOD | {"fallbacks": rows})))
    assert (found.code, found.line) == ("MDL003", 10)
    assert "TinyLlama" in found.message
    assert "942 MiB" in found.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("def __init__(self):\n        self.model = LLM(path=M)", 1),
        ("def __init__(self):\n        self._begin()\n    def _begin(self):\n        self.model = LLM(path=M)", 1),
        ("async def start(self):\n        self.model = LLM(path=M)", 1),
        ("async def start(self):\n        self.model = await asyncio.to_thread(LLM, M)", 0),
        ("def load(self):\n        self.model = LLM(path=M)", 0),
    ],
)
def test_a_load_on_the_event_loop(body: str, expected: int) -> None:
    """In the constructor of what lives on a loop, directly or over a method, or in an async function."""
    head = f'import asyncio\nfrom txtai import LLM\nM = "{BIG}"\n'
    text = f"{head}class Agent:\n    {body}\n    async def run(self):\n        pass\n"
    assert codes(text) == ["MDL005"] * expected


def test_a_plain_resource_may_load_when_it_is_made() -> None:
    """A class without a method for an event loop is made where a thread wants it."""
    text = """
    from transformers import AutoModel
    class Encoder:
        def __init__(self, directory):
            self.model = AutoModel.from_pretrained(directory)
    """
    assert codes(text) == []


BASE = """
class Base:
    def __init__(self, llm):
        self.llm = llm
        self.agent = self._make()
    def _make(self):
        return None
    async def run(self):
        pass
"""
AGENT = """
from services.base import Base
class Agent(Base):
    def {method}(self):
        model = self.llm
        for _ in range(3):
            model = getattr(model, "llm", model)
        return model
"""


@pytest.mark.parametrize(("method", "expected"), [("_make", 1), ("_later", 0)])
def test_a_constructor_that_loads_over_files(method: str, expected: int) -> None:
    """A base's constructor calls the method that follows the loading property; a method it does not call is no load."""
    files = {
        "services/base.py": BASE,
        "services/wrapper.py": WRAPPER.format(**GOOD),
        "services/agent.py": AGENT.format(method=method),
    }
    found = [one for one in across(source, files) if one.code == "MDL005"]
    assert [(one.path, one.line) for one in found] == [("services/agent.py", 7)] * expected


def test_one_step_to_the_wrapper_loads_nothing() -> None:
    """Taking a wrapper out of another wrapper does not read the property that loads."""
    agent = AGENT.format(method="_make").replace("        for _ in range(3):\n            model =", "        model =")
    files = {"services/base.py": BASE, "services/wrapper.py": WRAPPER.format(**GOOD), "services/agent.py": agent}
    assert [one.code for one in across(source, files) if one.code == "MDL005"] == []


START = 'from huggingface_hub import snapshot_download\ndef fetch():\n    snapshot_download(repo_id="{}")\n'
USER = (
    'import os\nfrom txtai import LLM\nMODEL = os.getenv("SIF_AGENT_MODEL", "{}")\n'
    "def load():\n    return LLM(path=MODEL)\n"
)


def test_the_files_disagree() -> None:
    """What is downloaded and loaded by nobody, and a file that loads another model than the others."""
    files = {"start.py": START.format("Qwen/Qwen2.5-3B-Instruct"), "a.py": USER.format(BIG), "b.py": USER.format(BIG)}
    [vain] = across(source, files)
    assert (vain.code, vain.path, vain.line) == ("MDL009", "start.py", 3)
    assert dict(vain.evidence)["a.py:3"] == f"{BIG} (generation: LLM, line 5)"
    [odd] = across(source, files | {"start.py": START.format(BIG), "c.py": USER.format("acme/other")})
    assert (odd.code, odd.path) == ("MDL009", "c.py")


def test_the_files_agree() -> None:
    """The same model everywhere, and a setting for it: nothing to say."""
    assert across(source, {"start.py": START.format(BIG), "a.py": USER.format(BIG), "b.py": USER.format(BIG)}) == []


def test_a_model_that_no_setting_chooses() -> None:
    """A name that stands in the source alone is a warning, once."""
    files = dict.fromkeys(("a.py", "b.py"), f'from txtai import LLM\ndef load():\n    return LLM(path="{BIG}")\n')
    assert [(one.code, one.path) for one in across(source, files)] == [("MDL010", "a.py")]


def test_a_dead_copy_decides_nothing() -> None:
    """A file that nothing imports is told as what it is, and its model counts for nobody."""
    files = {"a.py": USER.format(BIG), "old.py": USER.format("Qwen/Qwen3-4B-Instruct-2507")}
    assert [(one.code, one.path) for one in across(source, files, dead=frozenset({"old.py"}))] == [("MDL012", "old.py")]
