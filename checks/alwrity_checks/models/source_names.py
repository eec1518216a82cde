"""Every local model that a checkout names: parsed, never imported; told by its use, not by its text.

A remote model and a local one look alike in the source. What a text is for, the call says that it reaches: LLM,
Embeddings, SentenceTransformer, snapshot_download and their like load or fetch; `llm_text_gen` asks a remote provider.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.liveness import live_files
from alwrity_checks.models.source_flow import Flow, Text
from alwrity_checks.trees.tree import tree_of

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile

__all__ = ["Naming", "SourceScan", "Use", "namings_of", "scan_source"]

_SKIPPED: Final = frozenset(
    {"node_modules", "workspace", "__pycache__", "site-packages", "venv", ".venv", "windsurf_venv", "env", ".git"}
)
_LARGEST: Final = 4 << 20
_LIKE_A_MODEL: Final = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}")
_KNOWN: Final = re.compile(
    r"(?:Qwen|TinyLlama|sentence-transformers|meta-llama|mistralai|microsoft|google|HuggingFaceTB)/"
)


class Use(StrEnum):
    """What a model's name is for."""

    GENERATION = "generation"
    EMBEDDINGS = "embeddings"
    DOWNLOAD = "download"
    """Fetched ahead, and loaded by nobody there."""
    REMOTE = "remote"
    """Asked of a provider, not of this machine."""
    UNUSED = "unused"
    """Bound to a name that nobody reads."""


_SINKS: Final[dict[str, tuple[Use, tuple[str, ...]]]] = {
    "LLM": (Use.GENERATION, ("path",)),
    "LocalLLMWrapper": (Use.GENERATION, ("model_path", "model_name")),
    "AutoModelForCausalLM.from_pretrained": (Use.GENERATION, ("pretrained_model_name_or_path",)),
    "AutoTokenizer.from_pretrained": (Use.GENERATION, ("pretrained_model_name_or_path",)),
    "pipeline": (Use.GENERATION, ("model",)),
    "Embeddings": (Use.EMBEDDINGS, ("path", "config")),
    "SentenceTransformer": (Use.EMBEDDINGS, ("model_name_or_path",)),
    "Labels": (Use.GENERATION, ("path",)),
    "snapshot_download": (Use.DOWNLOAD, ("repo_id",)),
    "hf_hub_download": (Use.DOWNLOAD, ("repo_id",)),
    "llm_text_gen": (Use.REMOTE, ("preferred_hf_models", "model")),
}
"""The calls that tell what a name is for, and the arguments that carry it; the first positional one counts too."""
_WITHOUT_NAME: Final = {"Labels": "txtai's default zero-shot model"}
"""What a call loads that names nothing."""


@dataclass(frozen=True, slots=True)
class Naming:
    """A place that names a model."""

    file: str
    """Relative to the backend's directory, with `/`."""
    line: int
    model: str
    use: Use
    call: str
    """The call that it reaches, with its line: `LLM, line 96`; empty for what is unused."""
    live: bool
    """Whether anything that runs imports the file."""

    @property
    def place(self) -> str:
        """`services/intelligence/sif_agents.py:48`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class SourceScan:
    """What was found in a checkout."""

    namings: tuple[Naming, ...]
    """By file and line."""
    files: int
    unparsed: tuple[str, ...]
    """Files that this interpreter cannot parse, with the reason: they may name models too."""

    def models(self, use: Use, *, live: bool = True) -> tuple[str, ...]:
        """Return the models that are named for a use, each once, in the order of the places."""
        return tuple(dict.fromkeys(one.model for one in self.namings if one.use is use and (one.live or not live)))

    @property
    def fetched_in_vain(self) -> tuple[Naming, ...]:
        """The places that download ahead what nothing live loads: the drift of issue 5."""
        loaded = {*self.models(Use.GENERATION), *self.models(Use.EMBEDDINGS)}
        return tuple(one for one in self.namings if one.live and one.use is Use.DOWNLOAD and one.model not in loaded)


def scan_source(backend: Path) -> SourceScan:
    """Read every Python file below `backend`, the directory of `app.py`. Runs nothing of it."""
    sources = dict(sorted(_sources(backend)))
    live = live_files(sources)
    namings: list[Naming] = []
    unparsed: list[str] = []
    for name, text in sources.items():
        try:
            with warnings.catch_warnings():
                # What the checkout's author escapes wrongly is not the user's to read here.
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            unparsed.append(f"{name}{f':{line}' if line else ''}: {getattr(error, 'msg', error)}")
            continue
        namings.extend(_namings(name, tree, live=name in live))
    return SourceScan(tuple(sorted(namings, key=lambda one: (one.file, one.line))), len(sources), tuple(unparsed))


@lru_cache(maxsize=1)
def namings_of(file: SourceFile) -> tuple[Naming, ...]:
    """Return the places of one file that name a model; looked for once, whichever room asks."""
    if not _names_models(file):
        return ()
    found = _namings(file.path, file.tree, live=file.live)
    return tuple(sorted(found, key=lambda one: (one.line, one.model, one.use)))


def _names_models(file: SourceFile) -> bool:
    """Say whether it is worth following a file's texts: a call takes a model's name, or a known one stands there."""
    if _KNOWN.search(file.text):
        return True
    return any(_sink(call) is not None for call in tree_of(file.tree).all(ast.Call))


def _sources(backend: Path) -> Iterator[tuple[str, bytes]]:
    waiting = [backend]
    while waiting:
        directory = waiting.pop()
        try:
            entries = sorted(directory.iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.is_symlink():
                continue
            if entry.is_dir():
                if entry.name not in _SKIPPED and not (entry / "pyvenv.cfg").is_file():
                    waiting.append(entry)
            elif entry.suffix == ".py" and entry.stat().st_size <= _LARGEST:
                yield entry.relative_to(backend).as_posix(), entry.read_bytes()


def _namings(name: str, tree: ast.Module, *, live: bool) -> Iterator[Naming]:
    flow = Flow.of(tree)
    reached: dict[tuple[Text, Use], str] = {}
    for scope, call in flow.calls:
        sink = _sink(call)
        if sink is None:
            continue
        use, arguments = _SINKS[sink]
        told = f"{sink}, line {call.lineno}"
        values = _values(call, arguments)
        if not values and sink in _WITHOUT_NAME:
            yield Naming(name, call.lineno, _WITHOUT_NAME[sink], use, told, live)
        for value in values:
            for text in flow.texts(value, scope):
                if _is_model(text.value, use):
                    reached.setdefault((text, use), told)
    for (text, use), told in reached.items():
        yield Naming(name, text.line, text.value, use, told, live)
    known = {text for text, _ in reached}
    for text in set(flow.unread()) - known:
        if _KNOWN.match(text.value):
            yield Naming(name, text.line, text.value, Use.UNUSED, "", live)


def _sink(call: ast.Call) -> str | None:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _SINKS:
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=method) if f"{owner}.{method}" in _SINKS:
            return f"{owner}.{method}"
    return None


def _values(call: ast.Call, arguments: Collection[str]) -> list[ast.expr]:
    named = [keyword.value for keyword in call.keywords if keyword.arg in arguments]
    first = call.args[:1] if "preferred_hf_models" not in arguments else []
    values: list[ast.expr] = []
    for value in (*first, *named):
        if isinstance(value, ast.Dict):
            # A configuration: only its path is a model.
            pairs = zip(value.keys, value.values, strict=True)
            values.extend(one for key, one in pairs if isinstance(key, ast.Constant) and key.value == "path")
        else:
            values.append(value)
    return values


def _is_model(text: str, use: Use) -> bool:
    if not _LIKE_A_MODEL.fullmatch(text) or text.endswith((".py", ".json", ".txt")):
        return False
    # Names without an owner exist among embedding models only; everywhere else they are tasks, keys and words.
    return "/" in text or (use is Use.EMBEDDINGS and "-" in text)
