"""Issue 6 in a source: each pattern is found by its meaning, at its line, and its cured twin is left alone."""

from __future__ import annotations

import pytest

from alwrity_checks.startup import source
from tests.support.sources import across, traced

SCRIPT = """
import subprocess
import sys
import threading
import nltk
import uvicorn
from huggingface_hub import snapshot_download

def bootstrap():
    {work}

def main():
    {before}
    uvicorn.run("app:app")
    {after}

{level}
if __name__ == "__main__":
    {start}
    main()
"""
GOOD = {"work": "pass", "before": "pass", "after": "pass", "level": "", "start": "pass"}
FETCH = 'snapshot_download(repo_id="a/b")'


def script(**changed: str) -> str:
    """Return a start script in the shape of the real one, healthy except where it is changed."""
    return SCRIPT.format(**(GOOD | changed))


def codes(text: str, path: str = "start_alwrity_backend.py") -> list[str]:
    """Return the codes of what is found, sorted."""
    return sorted(one.code for one in traced(source, text, path))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"work": FETCH, "start": "bootstrap()"}, ["STA001"]),
        ({"work": FETCH, "before": "bootstrap()"}, ["STA001"]),
        ({"work": FETCH, "level": "bootstrap()"}, ["STA001"]),
        ({"level": FETCH}, ["STA001"]),
        ({"work": FETCH}, []),
        ({"work": FETCH, "after": "bootstrap()"}, []),
        ({"work": FETCH, "start": "threading.Thread(target=bootstrap, daemon=True).start()"}, []),
        ({"work": 'snapshot_download("a/b", local_files_only=True)', "start": "bootstrap()"}, []),
    ],
)
def test_a_download_before_the_server(changed: dict[str, str], expected: list[str]) -> None:
    """Reached from the module's level on the serving thread; in a thread, afterwards, or never, it is in order."""
    assert codes(script(**changed)) == expected


def test_the_way_to_the_download_is_told() -> None:
    """The evidence names the line that starts it, however many functions lie between."""
    text = script(work="inner()\n\ndef inner():\n    " + FETCH, start="bootstrap()")
    [found] = traced(source, text, "start_alwrity_backend.py")
    reached = [value for label, value in found.evidence if label == "reached"]
    assert [one.rpartition(" ")[2] for one in reached] == ["bootstrap", "inner"]
    assert text.splitlines()[found.line - 1].strip() == FETCH


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("async def begin(app):\n    fetch()\n    yield\n    stop()\napp = FastAPI(lifespan=begin)\n", ["STA001"]),
        ('@app.on_event("startup")\nasync def begin():\n    fetch()\n', ["STA001"]),
        ("async def begin(app):\n    yield\n    fetch()\napp = FastAPI(lifespan=begin)\n", []),
        ('@app.on_event("shutdown")\nasync def end():\n    fetch()\n', []),
    ],
)
def test_a_download_in_the_servers_own_start(text: str, expected: list[str]) -> None:
    """What FastAPI carries out before it listens counts; what it does at its end does not."""
    head = f"from fastapi import FastAPI\nfrom huggingface_hub import snapshot_download\ndef fetch():\n    {FETCH}\n"
    assert codes(head + text, "app.py") == expected


def test_a_script_that_serves_nothing_may_download() -> None:
    """A tool that is run by hand is no start; an import that downloads is one."""
    tool = f'from huggingface_hub import snapshot_download\nif __name__ == "__main__":\n    {FETCH}\n'
    assert codes(tool, "scripts/tool.py") == []
    assert codes(f"from huggingface_hub import snapshot_download\n{FETCH}\n", "services/models.py") == ["STA001"]


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ('subprocess.check_call([sys.executable, "-m", "pip", "install", "-r", "r.txt"])', ["STA014"]),
        ('subprocess.run([sys.executable, "-m", "spacy", "download", "en"])', ["STA014"]),
        ('command = ["npm", "install"]\n    subprocess.run(command)', ["STA014"]),
        ('subprocess.run(["npm", "install"], timeout=60)', []),
        ('subprocess.run(["git", "status"])', []),
        ('nltk.download("punkt")', ["STA012"]),
    ],
)
def test_what_else_a_start_waits_for(work: str, expected: list[str]) -> None:
    """Programs that install without a timeout, and downloads of other kinds."""
    assert codes(script(work=work, start="bootstrap()")) == expected


def test_a_model_that_is_fetched_in_vain() -> None:
    """What nothing that runs loads is found at its name; what is loaded is not."""
    fetch = f"from huggingface_hub import snapshot_download\n{FETCH}\n"
    load = 'from txtai import LLM\ndef load():\n    return LLM(path="{}")\n'
    [found] = across(source, {"start.py": fetch, "a.py": load.format("c/d")})
    assert (found.code, found.path, found.line) == ("STA006", "start.py", 2)
    assert across(source, {"start.py": fetch, "a.py": load.format("a/b")}) == []
    assert across(source, {"start.py": fetch}) == []
