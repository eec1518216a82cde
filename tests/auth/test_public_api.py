"""What `alwrity_checks.auth` offers, and what it costs to import it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest

import alwrity_checks.auth as room

HEAVY = ("httpx", "fastapi", "pydantic", "cryptography", "jwt", "typer", "rich", "alwrity_doctor", "openai")


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
    exec("from alwrity_checks.auth import *", namespace)  # noqa: S102 - a star import is only possible at module level
    assert set(room.__all__) <= set(namespace)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not offered fails in the ordinary way."""
    with pytest.raises(AttributeError, match="nonsense"):
        room.nonsense  # noqa: B018 - the access is what is tried
    assert not hasattr(room, "nonsense")


def test_a_name_is_its_module_s() -> None:
    """The lazily imported object is the very object of its module."""
    from alwrity_checks.auth.verifier import ClerkTokenVerifier

    assert room.ClerkTokenVerifier is ClerkTokenVerifier


def test_every_module_s_all_exists() -> None:
    """Each module of the room exports what it says."""
    for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        if found.ispkg:
            continue
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.{name}"


def test_importing_the_room_is_cheap() -> None:
    """Nothing heavy comes with the package itself, its reasons or its rules."""
    loaded = in_a_fresh_process(
        "import sys, alwrity_checks.auth, alwrity_checks.auth.reasons, alwrity_checks.auth.rules;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_the_verifier_needs_neither_the_face_nor_fastapi() -> None:
    """A backend that imports the component gets no command line and no web framework with it."""
    loaded = in_a_fresh_process(
        "import sys; from alwrity_checks.auth import ClerkTokenVerifier;"
        "print([name for name in ('fastapi', 'typer', 'rich', 'alwrity_doctor') if name in sys.modules])"
    )
    assert loaded == "[]"


def test_fastapi_s_absence_names_the_extra() -> None:
    """Without FastAPI the dependency's import says which extra is missing."""
    said = in_a_fresh_process(
        "import sys; sys.modules['fastapi'] = None\n"
        "from alwrity_checks.errors import MissingExtra\n"
        "try:\n    from alwrity_checks.auth import clerk_user\n"
        "except MissingExtra as error:\n    print(error.extra, error.remedy)"
    )
    assert said.startswith("fastapi")
    assert "[fastapi]" in said
