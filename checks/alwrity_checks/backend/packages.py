"""Packages that the running code imports and no requirement names, and requirements by which nothing is installed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.declarations import Line, normalised
from alwrity_checks.backend.parsing import flaw_of, tree_of

if TYPE_CHECKING:
    from alwrity_checks.liveness import Import

__all__ = ["DISTRIBUTIONS", "Asked", "asked_for", "missing", "reload_note"]

DISTRIBUTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "PIL": ("pillow", "matplotlib", "moviepy", "imageio", "sentence-transformers"),
        "advertools": ("advertools",),
        "aiofiles": ("aiofiles", "crawl4ai"),
        "aiohttp": ("aiohttp",),
        "apscheduler": ("apscheduler",),
        "bs4": ("beautifulsoup4", "crawl4ai"),
        "copilotkit": ("copilotkit",),
        "crawl4ai": ("crawl4ai",),
        "cryptography": ("cryptography",),
        "dotenv": ("python-dotenv", "crawl4ai", "pydantic-settings", "uvicorn[standard]"),
        "exa_py": ("exa-py",),
        "faiss": ("faiss-cpu", "faiss-gpu", "txtai"),
        "fastapi": ("fastapi", "fastapi-clerk-auth"),
        "fastapi_clerk_auth": ("fastapi-clerk-auth",),
        "google.genai": ("google-genai",),
        "google_auth_oauthlib": ("google-auth-oauthlib",),
        "googleapiclient": ("google-api-python-client",),
        "gtts": ("gtts",),
        "httpx": ("httpx", "openai", "google-genai", "exa-py", "crawl4ai"),
        "huggingface_hub": ("huggingface-hub", "txtai", "transformers", "sentence-transformers"),
        "jwt": ("pyjwt", "fastapi-clerk-auth"),
        "loguru": ("loguru",),
        "lxml": ("lxml", "crawl4ai"),
        "markdown": ("markdown",),
        "matplotlib": ("matplotlib",),
        "moviepy": ("moviepy",),
        "nltk": ("nltk", "crawl4ai", "textstat"),
        "numpy": ("numpy", "pandas", "matplotlib", "moviepy", "txtai", "sentence-transformers", "spacy", "crawl4ai"),
        "openai": ("openai", "exa-py", "copilotkit"),
        "pandas": ("pandas", "advertools", "pytrends"),
        "pydantic": ("pydantic", "fastapi", "openai"),
        "pytrends": ("pytrends",),
        "pyttsx3": ("pyttsx3",),
        "redis": ("redis",),
        "reportlab": ("reportlab",),
        "requests": ("requests", "stripe", "exa-py", "sentence-transformers", "pytrends", "crawl4ai"),
        "schedule": ("schedule",),
        "sentence_transformers": ("sentence-transformers",),
        "spacy": ("spacy",),
        "sqlalchemy": ("sqlalchemy",),
        "starlette": ("starlette", "fastapi", "sse-starlette"),
        "stripe": ("stripe",),
        "tenacity": ("tenacity", "google-genai"),
        "textstat": ("textstat",),
        "torch": ("torch", "txtai", "sentence-transformers"),
        "transformers": ("transformers", "txtai", "sentence-transformers"),
        "txtai": ("txtai",),
        "uvicorn": ("uvicorn", "gunicorn[uvicorn]"),
    }
)
"""Module -> the distribution that brings it, then others that require that one. Only what ALwrity is built on: of a
module that is not here nothing is said."""

_CAUGHT: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class Asked:
    """An import of a package."""

    path: str
    """Relative to the backend's directory, with `/`."""
    line: int
    module: str
    function: str
    """The function that it stands in; empty for the module itself."""
    guarded: bool
    """Whether its failure is caught there."""


def missing(
    imports: Mapping[str, Sequence[Import]], sources: Mapping[str, bytes], lines: Sequence[Line]
) -> Iterator[tuple[str, tuple[Asked, ...]]]:
    """Yield each distribution that the files import and no line brings, with the imports, the gravest first.

    Without any requirement nothing is said: the checkout declares them somewhere else.
    """
    named = {line.name for line in lines if line.name and not line.fault}
    named |= {f"{line.name}[{normalised(extra)}]" for line in lines for extra in line.extras}
    if not named:
        return
    lacking = {module for module, bringing in DISTRIBUTIONS.items() if named.isdisjoint(bringing)}
    local = {path.partition("/")[0].removesuffix(".py") for path in sources}
    lacking -= {module for module in lacking if module.partition(".")[0] in local}
    found: dict[str, list[Asked]] = {}
    for path, wanted in imports.items():
        if any(_of(one.module, lacking) for one in wanted) and flaw_of(sources[path]) is None:
            for asked in asked_for(path, tree_of(sources[path]), lacking):
                found.setdefault(asked.module, []).append(asked)
    for module, places in sorted(found.items()):
        yield (
            DISTRIBUTIONS[module][0],
            tuple(sorted(places, key=lambda a: (a.guarded, a.function != "", a.path, a.line))),
        )


def _of(module: str, known: set[str]) -> str:
    return next((one for one in known if module == one or module.startswith(f"{one}.")), "")


def asked_for(path: str, tree: ast.Module, modules: set[str]) -> Iterator[Asked]:
    """Yield the imports of `modules` that are carried out, so none that is only there for annotations."""
    yield from _asked(path, tree, modules, "", guarded=False)


def _asked(path: str, node: ast.AST, modules: set[str], function: str, *, guarded: bool) -> Iterator[Asked]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            match child:
                case ast.Import(names=names):
                    asked = [one.name for one in names]
                case ast.ImportFrom(module=str() as module, level=0, names=names):
                    asked = [f"{module}.{one.name}" for one in names]
                case ast.If() if "TYPE_CHECKING" in ast.unparse(child.test):
                    for one in child.orelse:
                        yield from _asked(path, one, modules, function, guarded=guarded)
                    continue
                case _:
                    asked = []
            caught = guarded or (isinstance(node, ast.Try) and field == "body" and _catches(node))
            for name in dict.fromkeys(found for one in asked if (found := _of(one, modules))):
                yield Asked(path, getattr(child, "lineno", 1), name, function, caught)
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            yield from _asked(path, child, modules, inner, guarded=caught)


def _catches(node: ast.Try) -> bool:
    return any(
        handler.type is None or not _CAUGHT.isdisjoint(re.findall(r"\w+", ast.unparse(handler.type)))
        for handler in node.handlers
    )


def reload_note(lines: Sequence[Line], sources: Mapping[str, bytes], live: frozenset[str]) -> Line | None:
    """Return the line that brings uvicorn without watchfiles, if the running code names paths that no edit reloads.

    uvicorn then reloads by StatReload, which knows no excludes (uvicorn 0.54, `supervisors/statreload.py`).
    """
    servers = [line for line in lines if line.name == "uvicorn" and not line.fault]
    if not servers or any(line.name == "watchfiles" or "standard" in line.extras for line in lines):
        return None
    return servers[0] if any(b"reload_excludes" in sources[path] for path in live) else None
