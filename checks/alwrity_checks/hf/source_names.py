"""What a checkout's code asks the router for: the base URL of its provider, and the models of it and of its caller.

Read from the syntax trees; nothing of the checkout is run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.hf.base_url import lint
from alwrity_checks.hf.named_models import NamedModel
from alwrity_checks.hf.source_addresses import base_urls
from alwrity_checks.model import Location, LocationKind
from alwrity_checks.source import SourceFile
from alwrity_checks.trees.reading import Reading

__all__ = ["Named", "named_in"]

_PROVIDER: Final = "services/llm_providers/huggingface_provider.py"
_CALLER: Final = "services/llm_providers/main_text_generation.py"
_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(?::[a-z][a-z0-9-]*)?")
_MARKER: Final = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
_CHOSEN: Final = re.compile(r"(?:\w+_)?model")
_LISTED: Final = re.compile(r"\w*MODELS")


@dataclass(frozen=True, slots=True)
class Named:
    """What the code names."""

    base_urls: tuple[tuple[str, Location], ...]
    """Each once, with its first place; one that cannot work comes first, because some function asks there."""
    models: tuple[NamedModel, ...]
    """Each once: what the caller chooses, then the provider's defaults, then the lists it falls back to."""


def named_in(backend: Path) -> Named:
    """Return what the code of a backend's directory names.

    Raises CannotCheck where there is no provider, it does not parse, or it names neither a base URL nor a model.
    """
    provider = _read(backend, _PROVIDER)
    if provider is None:
        raise CannotCheck(f"{backend} has no {_PROVIDER}", "look whether this is the revision you mean")
    caller = _read(backend, _CALLER)
    urls: dict[str, Location] = {}
    for line, url in base_urls(provider):
        urls.setdefault(url, _place(provider, line))
    ids = [
        *(_chosen(caller) if caller else ()),
        *_defaults(provider),
        *_lists(provider),
    ]
    models: dict[str, NamedModel] = {}
    for one in ids:
        models.setdefault(one.deployment, one)
    if not urls and not models:
        message = f"{backend / _PROVIDER} names neither a base URL of the router nor a model"
        raise CannotCheck(message, "name them: --base-url URL, and MODEL[:PROVIDER]...")
    faulty_first = sorted(urls.items(), key=lambda one: not lint(one[0]))
    return Named(tuple(faulty_first), tuple(models.values()))


def _read(backend: Path, name: str) -> Reading | None:
    path = backend / name
    try:
        text = path.read_text("utf-8")
        tree = ast.parse(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotCheck(f"{path} cannot be read: {error.strerror}", "give yourself the right to read it") from error
    except SyntaxError as error:
        marker = _MARKER.search(text)
        line = text.count("\n", 0, marker.start()) + 1 if marker else error.lineno
        told = "a merge conflict was left in it" if marker else error.msg
        raise CannotCheck(f"{path}:{line} does not parse: {told}", f"alwrity-doctor scan {backend}") from error
    except ValueError as error:
        raise CannotCheck(f"{path} is no Python source: {error}", "look whether this is the file you mean") from error
    return Reading.of(SourceFile(str(path), tree, text, live=True))


def _place(reading: Reading, line: int) -> Location:
    return Location(LocationKind.FILE, reading.file.path, line)


def _chosen(caller: Reading) -> Iterator[NamedModel]:
    """Yield what is put into a variable or handed over as a model.

    The caller chooses for other vendors too: only an id with a suffix is surely the router's.
    """
    choices: list[ast.Assign | ast.keyword] = [*caller.tree.all(ast.Assign), *caller.tree.all(ast.keyword)]
    for node in sorted(choices, key=lambda one: one.lineno):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.keyword(arg=str() as name, value=value):
                if _CHOSEN.fullmatch(name):
                    yield from (one for one in _ids(caller, value) if ":" in one.deployment)


def _defaults(provider: Reading) -> Iterator[NamedModel]:
    """Yield the defaults of parameters that are a model, the last function's first: structured JSON is what fails."""
    functions = [one for one in provider.file.tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in reversed(functions):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        given = positional[len(positional) - len(arguments.defaults) :]
        pairs = [
            *zip(given, arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for parameter, default in pairs:
            if default is not None and _CHOSEN.fullmatch(parameter.arg):
                yield from _ids(provider, default)


def _lists(provider: Reading) -> Iterator[NamedModel]:
    for node in provider.file.tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                if value is not None and _LISTED.fullmatch(name):
                    yield from _ids(provider, value)


def _ids(reading: Reading, value: ast.expr) -> Iterator[NamedModel]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ID.fullmatch(node.value):
            yield NamedModel(node.value, _place(reading, node.lineno))
