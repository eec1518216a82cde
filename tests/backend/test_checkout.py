"""A checkout is found from its root and from its backend, and nothing else is taken for one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from alwrity_checks.backend.checkout import Checkout, find_checkout
from alwrity_checks.errors import ConfigurationError
from tests.support.backend_checkout import HEALTHY, write_checkout


@pytest.mark.parametrize("place", ["", "backend"])
def test_checkout_is_found_from_either_directory(place: str, tmp_path: Path) -> None:
    """The root and the backend name the same checkout."""
    backend = write_checkout(tmp_path, HEALTHY)
    assert find_checkout(tmp_path / place) == Checkout(backend)
    assert find_checkout(tmp_path / place).root == tmp_path


def test_path_is_relative_to_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is made absolute: the process that drives the backend works elsewhere."""
    backend = write_checkout(tmp_path, HEALTHY)
    monkeypatch.chdir(backend)
    assert find_checkout(Path()).backend == backend


def test_data_directory_of_the_same_name_is_no_backend(tmp_path: Path) -> None:
    """`backend/backend` holds data at the commit of the tracker: the directory above it is the backend."""
    backend = write_checkout(tmp_path, HEALTHY)
    (backend / "backend" / "data").mkdir(parents=True)
    assert find_checkout(backend).backend == backend
    with pytest.raises(ConfigurationError, match=r"no app\.py"):
        find_checkout(backend / "backend")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A directory that is almost one is refused with what it lacks."""
    backend = write_checkout(tmp_path, HEALTHY)
    (backend / "start_alwrity_backend.py").unlink()
    with pytest.raises(ConfigurationError, match=r"backend has no start_alwrity_backend\.py"):
        find_checkout(tmp_path)
    with pytest.raises(ConfigurationError, match="not a directory"):
        find_checkout(tmp_path / "nowhere")


def test_package_wins_over_module(tmp_path: Path) -> None:
    """Where there are both, the package is what an import finds."""
    checkout = Checkout(write_checkout(tmp_path, HEALTHY))
    assert checkout.module("services.intelligence").name == "__init__.py"
    assert checkout.module("services.intelligence.txtai_service").name == "txtai_service.py"


def test_environments_are_found_likeliest_first(tmp_path: Path) -> None:
    """Those in the backend come before those at the root; Windows' layout counts, and links stay as they are."""
    backend = write_checkout(tmp_path, HEALTHY)
    places = [backend / ".venv/bin/python", backend / "venv/Scripts/python.exe", tmp_path / "windsurf_venv/bin/python"]
    for path in places:
        path.parent.mkdir(parents=True)
        path.touch()
    assert list(Checkout(backend).interpreters()) == places


def test_directory_that_cannot_be_looked_into_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that nobody has, and a directory that one may not read, are errors of usage with a remedy."""
    with pytest.raises(ConfigurationError, match="cannot be looked into"):
        find_checkout(Path("~nobody-of-this-name/alwrity"))

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ConfigurationError, match="cannot be looked into: Permission denied"):
        find_checkout(tmp_path)


def test_a_committed_environment_is_not_run(tmp_path: Path) -> None:
    """Who wrote the checkout shall not choose what runs outside of the sandbox; an untracked one is the user's."""
    backend = write_checkout(tmp_path, HEALTHY)
    for name in ("venv", ".venv"):
        place = backend / name / "bin" / "python"
        place.parent.mkdir(parents=True)
        place.write_text("#!/bin/sh\n", encoding="utf-8")
    for words in (("init", "-q"), ("add", "-f", str(backend / "venv"))):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)  # noqa: S603, S607 - git, in a directory of ours
    assert list(Checkout(backend).interpreters()) == [backend / ".venv" / "bin" / "python"]
