"""What is released: a wheel with the two import packages alone, and an sdist from which all of it can be made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tomllib
from base64 import urlsafe_b64encode
from email.parser import BytesParser
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from packaging.metadata import Metadata

from alwrity_doctor import __version__
from tests.release.building import ROOT, build, members, product_files, unpacked

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

INFO = f"alwrity_doctor-{__version__}.dist-info"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCES = ("tests", "benchmarks", "docs", "alwrity_doctor", "checks")
"""The directories that an sdist has whole."""
NEEDED = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "README.md",
    "SECURITY.md",
    ".ci/run",
    "constraints-lowest.txt",
    "constraints.txt",
    "mkdocs.yml",
    "pyproject.toml",
    "tracker.md",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, once."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, once."""
    return build("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """Return the wheel's METADATA."""
    return BytesParser().parsebytes(members(wheel)[f"{INFO}/METADATA"])


def test_the_wheel_holds_exactly_the_two_packages(wheel: Path) -> None:
    """Every file of both packages is in it as it is in the tree, data files included, and nothing else."""
    inside = {path: content for path, content in members(wheel).items() if not path.startswith(f"{INFO}/")}
    there = product_files()
    assert sorted(inside) == sorted(there)
    assert [path for path in inside if inside[path] != there[path]] == []
    assert wheel.name == f"alwrity_doctor-{__version__}-py3-none-any.whl"


def test_what_the_product_reads_of_itself_is_in_the_wheel(wheel: Path) -> None:
    """Rules, the report's schema, the page's style and script, and the marks that the packages are typed."""
    inside = set(members(wheel))
    for package in ("alwrity_checks", "alwrity_doctor"):
        assert f"{package}/py.typed" in inside
    for room in ("auth", "backend", "hf", "logs", "models", "startup", "txtai"):
        assert f"alwrity_checks/{room}/rules.toml" in inside
    assert {
        "alwrity_doctor/report/report-1.schema.json",
        "alwrity_doctor/report/assets/page.css",
        "alwrity_doctor/report/assets/page.js",
    } <= inside


def test_the_papers_of_the_wheel_agree(wheel: Path) -> None:
    """The record lists every file with its hash, and the licence is there."""
    inside = members(wheel)
    rows = {path: told for path, told, _ in csv.reader(io.StringIO(inside[f"{INFO}/RECORD"].decode()))}
    assert rows.keys() == inside.keys()
    for path, told in rows.items():
        if told:
            digest = urlsafe_b64encode(hashlib.sha256(inside[path]).digest()).rstrip(b"=").decode()
            assert told == f"sha256={digest}", path
    assert inside[f"{INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_metadata_is_valid(wheel: Path, metadata: Message) -> None:
    """An index accepts it: the core metadata specification holds, and it says what the project says."""
    told = Metadata.from_email(members(wheel)[f"{INFO}/METADATA"], validate=True)
    assert (metadata["Name"], metadata["Version"]) == ("alwrity-doctor", __version__)
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert (told.description or "").strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_the_entry_points_lead_somewhere(wheel: Path) -> None:
    """The program and every room's checks can be loaded from where the wheel says they are."""
    text = members(wheel)[f"{INFO}/entry_points.txt"].decode()
    lines = [line.partition(" = ") for line in text.splitlines() if " = " in line]
    assert {name for name, _, _ in lines} == {"alwrity-doctor", *PROJECT["entry-points"]["alwrity_doctor.checks"]}
    for _, _, place in lines:
        module, _, attribute = place.partition(":")
        assert getattr(import_module(module), attribute)


def test_the_sdist_is_complete(sdist: Path) -> None:
    """Whoever has the sdist has everything: sources, tests, documents, licence and what the make file needs."""
    inside = members(sdist)
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in SOURCES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted((wanted | NEEDED) - inside.keys()) == []


def test_the_sdist_has_no_caches(sdist: Path) -> None:
    """Nothing is in it that a run left behind: no bytecode, environment, build, nor whatever lies about in the root."""
    inside = members(sdist)
    roots = {path.partition("/")[0] for path in inside}
    known = {path.partition("/")[0] for path in NEEDED} | set(SOURCES)
    assert roots <= known | {".gitignore", ".pre-commit-hooks.yaml", "action.yml", "mkdocs.yml"}
    assert [path for path in inside if "__pycache__" in path or path.endswith((".pyc", ".whl", ".tar.gz"))] == []


def test_the_wheel_of_the_sdist_is_the_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """Built from the unpacked sdist, it is the same file to the byte, so building is also deterministic."""
    again = build("wheel", tmp_path / "wheel", unpacked(sdist, tmp_path / "source"))
    assert again.read_bytes() == wheel.read_bytes()


def test_the_report_schema_is_json(wheel: Path) -> None:
    """The shipped schema names the version that reports carry."""
    schema = json.loads(members(wheel)["alwrity_doctor/report/report-1.schema.json"])
    assert schema["properties"]["schema"]["const"] == "alwrity-doctor/report/1"
