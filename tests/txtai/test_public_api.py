"""What `alwrity_checks.txtai` offers, and what it costs to import it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import alwrity_checks.txtai as room

HEAVY = (
    "txtai",
    "torch",
    "transformers",
    "faiss",
    "numpy",
    "sentence_transformers",
    "httpx",
    "psycopg",
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
    exec("from alwrity_checks.txtai import *", namespace)  # noqa: S102 - a star import is only possible at module level
    assert set(room.__all__) <= set(namespace)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not offered fails in the ordinary way."""
    with pytest.raises(AttributeError, match="nonsense"):
        room.nonsense  # noqa: B018 - the access is what is tried


def test_using_the_room_is_cheap_until_documents_come() -> None:
    """Neither all names of the API nor an index at hand load a library: the encoder's thread does."""
    loaded = in_a_fresh_process(
        "import sys; from alwrity_checks.txtai import *; from alwrity_checks.txtai import SemanticIndexes\n"
        "index = SemanticIndexes.from_environment({'ALWRITY_TXTAI_DIR': '/nonexistent'}).of('alice')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_the_absence_of_txtai_names_the_extra() -> None:
    """Without txtai the index says which extra is missing, and keeps what it is given."""
    said = in_a_fresh_process(
        "import sys, tempfile; sys.modules['txtai'] = None\n"
        "from alwrity_checks.txtai import NotReady, SemanticIndexes\n"
        "with tempfile.TemporaryDirectory() as directory:\n"
        "    indexes = SemanticIndexes.from_environment({'ALWRITY_TXTAI_DIR': directory})\n"
        "    index = indexes.of('alice')\n"
        "    index.add_sync([('a', 'alpha')])\n"
        "    try:\n        index.search_sync('alpha', timeout=20)\n"
        "    except NotReady as error:\n        print(error.remedy, index.status().store.queued)\n"
        "    indexes.close_sync()"
    )
    assert said == 'pip install "alwrity-doctor[txtai]" 1'
