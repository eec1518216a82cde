"""What `alwrity_checks.models` offers, and what it costs to import it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import alwrity_checks.models as room

HEAVY = (
    "torch",
    "transformers",
    "onnxruntime",
    "onnxruntime_genai",
    "llguidance",
    "huggingface_hub",
    "jsonschema",
    "numpy",
    "httpx",
    "psutil",
    "txtai",
    "typer",
    "rich",
)


def in_a_fresh_process(code: str) -> str:
    """Return what `code` prints in an interpreter of its own."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout.strip()


def test_every_name_is_there() -> None:
    """`__all__` is sorted, is what `dir` says, and every name of it can be had."""
    assert list(room.__all__) == sorted(room.__all__)
    assert set(dir(room)) >= set(room.__all__)
    for name in room.__all__:
        assert getattr(room, name) is not None


def test_a_star_import_gives_the_same() -> None:
    """Names that are imported on first use survive `from … import *`."""
    namespace: dict[str, object] = {}
    exec("from alwrity_checks.models import *", namespace)  # noqa: S102 - a star import is only possible at module level
    assert set(room.__all__) <= set(namespace)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not offered fails in the ordinary way."""
    with pytest.raises(AttributeError, match="nonsense"):
        room.nonsense  # noqa: B018 - the access is what is tried


def test_a_registry_at_hand_costs_nothing() -> None:
    """Neither all names nor a registry load a library, start a thread or look at a disk: loading a model does."""
    said = in_a_fresh_process(
        "import sys, threading; from alwrity_checks.models import *; from alwrity_checks.models import ModelRegistry\n"
        "registry = ModelRegistry.from_environment({'HF_HOME': '/nonexistent'})\n"
        "registry.role('agent'), registry.status(), LocalLLMWrapper('acme/m', registry=registry).llm\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], threading.active_count())"
    )
    assert said == "[] 1"


def test_nothing_is_said_on_stderr() -> None:
    """A library's log goes where its user wants it, not to stderr by default."""
    said = in_a_fresh_process(
        "import contextlib, io\n"
        "with contextlib.redirect_stderr(io.StringIO()) as stderr:\n"
        "    import logging, alwrity_checks.models\n"
        "    logging.getLogger('alwrity_checks.models.legacy').warning('x')\n"
        "print(repr(stderr.getvalue()))"
    )
    assert said == "''"
