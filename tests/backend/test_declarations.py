"""What a checkout says that it needs, and what it needs."""

from __future__ import annotations

import ast

import pytest

from alwrity_checks.backend.declarations import declared_python, lines
from alwrity_checks.backend.packages import asked_for, missing, reload_note
from alwrity_checks.liveness import imports


def _lines(text: str, path: str = "backend/requirements.txt") -> list[tuple[int, str, str]]:
    return [(line.number, line.name, line.fault) for line in lines({path: text.encode()})]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("reportlab==4.5.1", "reportlab"),
        ("Sentence_Transformers>=2  # embeddings", "sentence-transformers"),
        ("uvicorn[standard]>=0.24.0", "uvicorn"),
        ('httpx>=0.27,<1; python_version > "3.8"', "httpx"),
        ("txtai[agent]\\\n  >=7.0.0", "txtai"),
        ("pydantic==2.0 --hash=sha256:abc", "pydantic"),
        ("mylib @ https://example.com/mylib-1.0.tar.gz#sha256=1", "mylib"),
        ("git+https://example.com/x.git#egg=My_Lib", "my-lib"),
        ("python-3-utils", "python-3-utils"),
        ("zope.interface-2", "zope-interface-2"),
    ],
)
def test_a_line_that_can_be_installed_is_read(text: str, name: str) -> None:
    """Comments, extras, markers, continued lines, hashes and URLs are what pip takes them for."""
    assert _lines(f"# first\n{text}\n") == [(2, name, "")]


@pytest.mark.parametrize("text", ["", "# only a comment", "-r base.txt", "--index-url https://example.com", "-e ."])
def test_what_names_no_distribution_is_no_fault(text: str) -> None:
    """Options and comments are left alone."""
    assert all(not fault for _, _, fault in _lines(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reportlab-4.5.1", "meant is reportlab==4.5.1"),
        ("my-lib-10.0", "meant is my-lib==10.0"),
        ("reportlab=4.5.1", "pip cannot read it"),
        ("<<<<<<< HEAD", "merge conflict"),
        ("=======", "merge conflict"),
    ],
)
def test_a_line_that_nothing_is_installed_by_is_a_fault(text: str, said: str) -> None:
    """The syntactically valid one of ALwrity's newest requirements among them."""
    ((number, _, fault),) = _lines(f"\n{text}\n")
    assert number == 2
    assert said in fault


def test_a_project_file_counts_too() -> None:
    """Dependencies and extras of a pyproject.toml, with their lines; one that is not TOML holds none."""
    text = '[project]\nname = "x"\ndependencies = ["txtai>=7"]\n[project.optional-dependencies]\na = ["openai"]\n'
    assert _lines(text, "pyproject.toml") == [(3, "txtai", ""), (5, "openai", "")]
    assert _lines("[project\n", "pyproject.toml") == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("backend/runtime.txt", "python-3.11.9\n", ((3, 11), 1)),
        (".python-version", "# chosen\n3.12\n", ((3, 12), 2)),
        ("Dockerfile", "ARG X\nFROM --platform=linux/amd64 docker.io/python:3.10-slim AS base\n", ((3, 10), 2)),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.9,<4"\n', ((3, 9), 2)),
        ("backend/runtime.txt", "nodejs\n", None),
        ("backend/requirements.txt", "python-3.11\n", None),
    ],
)
def test_the_declared_python_is_read(path: str, text: str, expected: object) -> None:
    """Of a range, the oldest one that it allows."""
    found = declared_python({path: text.encode()})
    assert (None if found is None else (found.version, found.line)) == expected


def test_of_several_declarations_the_oldest_counts() -> None:
    """What runs in one place has to run in all."""
    found = declared_python({"runtime.txt": b"3.12\n", "Dockerfile": b"FROM python:3.11\n"})
    assert found is not None
    assert (found.version, found.path) == ((3, 11), "Dockerfile")


def _missing(source: str, requirements: str) -> list[tuple[str, list[tuple[int, str, bool]]]]:
    sources = {"app.py": source.encode()}
    wanted = {path: imports(path, data) for path, data in sources.items()}
    found = missing(wanted, sources, list(lines({"requirements.txt": requirements.encode()})))
    return [(name, [(one.line, one.function, one.guarded) for one in places]) for name, places in found]


def test_a_package_that_nobody_requires_is_missing() -> None:
    """The gravest import comes first: at the module's top, then in a function, then one whose failure is caught."""
    source = """
def f():
    import txtai
try:
    from txtai import Embeddings
except ImportError:
    Embeddings = None
import txtai.pipeline
"""
    assert _missing(source, "fastapi") == [("txtai", [(8, "", False), (3, "f", False), (5, "", True)])]


@pytest.mark.parametrize(
    ("source", "requirements"),
    [
        ("import txtai\n", "TxtAI[agent]>=7"),
        ("import jwt\n", "fastapi-clerk-auth"),
        ("import dotenv\n", "uvicorn[standard]"),
        ("import nobody_knows_this\n", "fastapi"),
        ("import txtai\n", ""),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import txtai\n", "fastapi"),
        ("'''Usage:\nimport txtai\n'''\n", "fastapi"),
        ("import txtai\nx = (\n", "fastapi"),
    ],
)
def test_what_comes_some_other_way_is_not_missing(source: str, requirements: str) -> None:
    """By another distribution, by a name that nothing is known of, by no requirements at all, or for types only."""
    assert _missing(source, requirements) == []


def test_a_module_of_the_checkout_is_nobodys_distribution() -> None:
    """A package `redis` of the checkout's own is found first."""
    sources = {"app.py": b"import redis\n", "redis/__init__.py": b""}
    wanted = {path: imports(path, data) for path, data in sources.items()}
    assert list(missing(wanted, sources, list(lines({"requirements.txt": b"fastapi"})))) == []


@pytest.mark.parametrize(
    ("handler", "guarded"),
    [("ImportError", True), ("(ValueError, ModuleNotFoundError)", True), ("Exception", True), ("ValueError", False)],
)
def test_a_failure_counts_as_caught_where_it_is(handler: str, *, guarded: bool) -> None:
    """Only the body of the try is guarded, and only by a handler that an ImportError reaches."""
    source = f"try:\n    import txtai\nexcept {handler}:\n    import txtai\n"
    found = [one.guarded for one in asked_for("app.py", ast.parse(source), {"txtai"})]
    assert found == [guarded, False]


@pytest.mark.parametrize(
    ("requirements", "source", "line"),
    [
        ("fastapi\nuvicorn>=0.24", b"uvicorn.run(reload_excludes=[])", 2),
        ("uvicorn[standard]", b"uvicorn.run(reload_excludes=[])", None),
        ("uvicorn\nwatchfiles", b"uvicorn.run(reload_excludes=[])", None),
        ("uvicorn", b"uvicorn.run()", None),
        ("fastapi", b"uvicorn.run(reload_excludes=[])", None),
    ],
)
def test_excludes_need_watchfiles(requirements: str, source: bytes, line: int | None) -> None:
    """Without it the reloader is StatReload, which knows none."""
    read = list(lines({"requirements.txt": requirements.encode()}))
    found = reload_note(read, {"app.py": source}, frozenset({"app.py"}))
    assert (None if found is None else found.number) == line
