"""Which files of a checkout run."""

from __future__ import annotations

import pytest

from alwrity_checks.liveness import Graph, imports, live_files


def modules(text: str, path: str = "services/intelligence/index.py") -> set[str]:
    """Return the modules that a text imports."""
    return {one.module for one in imports(path, text.encode())}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import a.b as c, d\n", {"a.b", "d"}),
        ("    from a.b import (\n    c,  # why, not\n    d as e,\n)\n", {"a.b", "a.b.c", "a.b.d"}),
        ("from a import b, \\\n    c\n", {"a", "a.b", "a.c"}),
        ("from . import store\n", {"services.intelligence", "services.intelligence.store"}),
        ("from ..llm import ask\n", {"services.llm", "services.llm.ask"}),
        ("try: import fast\nexcept ImportError: fast = None\n", {"fast"}),
        ("import_module('services.late')\n", {"services.late"}),
        ("uvicorn.run('app:app')\n", {"app"}),
        ("x = 1  # import nothing\n", set()),
    ],
)
def test_imports_are_read_from_the_text(text: str, expected: set[str]) -> None:
    """Every way of importing that a backend has, also in a file that does not parse."""
    assert expected <= modules(text)
    assert expected <= modules(f"{text}<<<<<<< HEAD\n")


def test_an_import_has_its_line() -> None:
    """The evidence names where a file is imported."""
    found = {one.module: one.line for one in imports("app.py", b"\n\nimport a\n\nfrom b import (\n  c)\n")}
    assert (found["a"], found["b"], found["b.c"]) == (3, 5, 5)


def test_only_what_is_reached_from_a_start_runs() -> None:
    """A copy that nobody imports is dead, also if it imports itself, or another dead one imports it."""
    files = {
        "app.py": b"from routers import a\n",
        "routers/__init__.py": b"",
        "routers/a.py": b"import services.used\n",
        "services/used.py": b"<<<<<<< HEAD\nimport services.deep\n",
        "services/deep.py": b"",
        "services/copy.py": b"import services.copy, services.other\n",
        "services/other.py": b"",
    }
    assert live_files(files) == {
        "app.py",
        "routers/__init__.py",
        "routers/a.py",
        "services/used.py",
        "services/deep.py",
    }


def test_a_package_wins_over_a_module_of_its_name() -> None:
    """As in an import: `services/agents.py` beside `services/agents/` is never imported."""
    files = {"app.py": b"import agents.one\n", "agents.py": b"", "agents/__init__.py": b"", "agents/one.py": b""}
    assert live_files(files) == {"app.py", "agents/__init__.py", "agents/one.py"}


def test_the_directory_is_a_package_of_its_own() -> None:
    """Started from the repository's root, a module is `backend.services.x`."""
    files = {"app.py": b"from backend.services.x import y\n", "services/x.py": b""}
    assert "services/x.py" in live_files(files)


def test_the_graph_tells_who_imports_and_by_which_way() -> None:
    """A router that fails is named by the file that does not compile below it."""
    files = {
        "app.py": b"import r\n",
        "r.py": b"\nimport s\n",
        "s.py": b"",
        "dead.py": b"import s\n",
    }
    graph = Graph.of({path: imports(path, data) for path, data in files.items()})
    assert graph.importers("s.py") == (("r.py", 2), ("dead.py", 1))
    assert graph.way("s.py") == ("app.py", "r.py", "s.py")
    assert graph.way("dead.py") == ()
    assert graph.importers("app.py") == ()
