"""The distributions, built by hatchling from this tree, or from an unpacked sdist, without a network."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "build", "members", "product_files", "unpacked"]

ROOT: Final = Path(__file__).resolve().parents[2]
_PACKAGES: Final = {"alwrity_doctor": ROOT / "alwrity_doctor", "alwrity_checks": ROOT / "checks" / "alwrity_checks"}
"""Import package -> where its files lie in the tree."""


def build(target: str, output: Path, source: Path = ROOT) -> Path:
    """Build `target`, "wheel" or "sdist", from `source` into the directory `output`; return the one file made."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and its build backend
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(output)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode != 0:
        raise RuntimeError(f"hatchling could not build the {target}:\n{done.stdout}{done.stderr}")
    (made,) = output.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def members(archive: Path) -> dict[str, bytes]:
    """Return path -> content of every file in a wheel, or in an sdist without the directory that all of it is in."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {one.filename: wheel.read(one) for one in wheel.infolist() if not one.is_dir()}
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as sdist:
        for one in sdist:
            if one.isfile() and (file := sdist.extractfile(one)) is not None:
                found[one.name.partition("/")[2]] = file.read()
    return found


def unpacked(sdist: Path, directory: Path) -> Path:
    """Unpack an sdist into `directory`; return the directory with its pyproject.toml."""
    with tarfile.open(sdist) as archive:
        archive.extractall(directory, filter="data")
    (inside,) = directory.iterdir()
    return inside


def product_files() -> dict[str, bytes]:
    """Return path in a wheel -> content of what the tree holds of both packages, caches left out."""
    return {
        f"{package}/{path.relative_to(directory).as_posix()}": path.read_bytes()
        for package, directory in _PACKAGES.items()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
