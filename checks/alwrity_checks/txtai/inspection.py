"""An index directory, examined without changing it: one of ours, or the one a backend has made with bare txtai."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

from alwrity_checks.redaction import scrub
from alwrity_checks.txtai import generations
from alwrity_checks.txtai.contents import Section, sections
from alwrity_checks.txtai.queue_reading import queue_of
from alwrity_checks.txtai.storage import DamagedIndex, StorageError

__all__ = ["Fault", "Inspection", "Kind", "Problem", "fitting", "inspect_index"]


class Kind(StrEnum):
    """What a directory holds."""

    STORE = "store"
    """A user's directory of this component."""
    TXTAI = "txtai"
    """The files that txtai's `save` writes."""
    NOTHING = "nothing"


class Fault(StrEnum):
    """What can be wrong with an index on disk."""

    ABSENT = "absent"
    """There is no index."""
    NEVER_FILLED = "never-filled"
    """`config.json` alone: txtai has saved an index into which nothing had been put."""
    UNREADABLE = "unreadable"
    """A file is missing, truncated or of another kind."""
    MISMATCH = "mismatch"
    """Vectors and rows are not each other's: a save was interrupted, or a write has failed half-way."""
    DUPLICATE = "duplicate"
    """Several rows have one id."""
    FIELDS_LOST = "fields-lost"
    """Fields are stored as tags, where no filter and no hit shows them."""
    ORPHAN = "orphan"
    """A process has ended, or was killed, in the middle of a write and left files behind."""
    VERSIONS = "versions"
    """The installed txtai and faiss do not work together."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing found wrong."""

    fault: Fault
    detail: str
    """The observed fact, in one sentence."""
    path: Path


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an index directory holds."""

    path: Path
    kind: Kind
    rows: int | None = None
    """Documents in the database; None where it cannot be read."""
    vectors: int | None = None
    """Vectors beside them; None where they cannot be read, or faiss is not installed."""
    dimensions: int | None = None
    written_by: str | None = None
    """The version of txtai that wrote it."""
    queued: int = 0
    """Accepted operations that are not in the last generation."""
    dead_letters: int = 0
    generation: int | None = None
    problems: tuple[Problem, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems


_FILES: Final = ("config.json", "config", "embeddings", "documents")


def inspect_index(path: Path, versions: tuple[str, str] | None = None) -> Inspection:
    """Examine a directory. `versions` are those of txtai and faiss in the interpreter that uses it; ours by default."""
    problems: list[Problem] = []
    if versions is None:
        versions = _installed()
    if versions is not None and not fitting(*versions):
        told = "txtai {} searches with an attribute that faiss {} has not: 'nprobe'".format(*versions)
        problems.append(Problem(Fault.VERSIONS, told, path))
    if (path / "queue.sqlite3").exists() or (path / "CURRENT").exists():
        return _store(path, problems)
    if any((path / name).exists() for name in _FILES):
        return _txtai(path, problems)
    problems.append(Problem(Fault.ABSENT, f"{path} holds no index", path))
    return Inspection(path, Kind.NOTHING, problems=tuple(problems))


def fitting(txtai: str, faiss: str) -> bool:
    """Say whether two versions work together: txtai up to 9.1.0 fails with faiss from 1.13.0 on (neuml/txtai#986)."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(txtai) > Version("9.1.0") or Version(faiss) < Version("1.13.0")
    except InvalidVersion:
        return True


def _installed() -> tuple[str, str] | None:
    try:
        return metadata.version("txtai"), metadata.version("faiss-cpu")
    except metadata.PackageNotFoundError:
        return None


def _txtai(path: Path, problems: list[Problem]) -> Inspection:
    configuration = _configuration(path, problems)
    present = [name for name in ("embeddings", "documents") if (path / name).exists()]
    if configuration is not None and not present:
        told = f"{path} holds a configuration alone: txtai saved an index that had just been created"
        problems.append(Problem(Fault.NEVER_FILLED, told, path))
        return Inspection(path, Kind.TXTAI, problems=tuple(problems))
    rows, error = sections(path / "documents")
    if error is not None:
        problems.append(Problem(Fault.UNREADABLE, f"the database cannot be read: {scrub(error)}", path / "documents"))
    vectors, dimensions = _vectors(path / "embeddings", problems)
    _compare(path, rows if error is None else None, vectors, (configuration or {}).get("offset"), problems)
    _examine(path, rows, problems)
    problems.extend(
        Problem(Fault.ORPHAN, f"{beside.name} is left of an interrupted write", beside)
        for beside in sorted(path.glob("documents-*"))
    )
    build = (configuration or {}).get("build")
    return Inspection(
        path,
        Kind.TXTAI,
        rows=len(rows) if error is None else None,
        vectors=vectors,
        dimensions=dimensions,
        written_by=str(build["txtai"]) if isinstance(build, dict) and "txtai" in build else None,
        problems=tuple(problems),
    )


def _configuration(path: Path, problems: list[Problem]) -> dict[str, object] | None:
    """Return what txtai notes of an index; None where that cannot be read, or is a pickle, which could run anything."""
    file = path / "config.json"
    if not file.exists() and (path / "config").exists():
        problems.append(
            Problem(Fault.UNREADABLE, "the configuration is a pickle, which is not opened", path / "config")
        )
        return None
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        problems.append(Problem(Fault.UNREADABLE, f"the configuration cannot be read: {error}", file))
        return None
    if not isinstance(found, dict):
        problems.append(Problem(Fault.UNREADABLE, "the configuration is no JSON object", file))
        return None
    return found


def _vectors(path: Path, problems: list[Problem]) -> tuple[int | None, int | None]:
    try:
        import faiss
    except ImportError:
        return None, None
    try:
        index = faiss.read_index(str(path))
    except (RuntimeError, MemoryError) as error:
        told = str(error).rpartition("Error: ")[2] or type(error).__name__
        problems.append(Problem(Fault.UNREADABLE, f"the vectors cannot be read: {scrub(told):.200}", path))
        return None, None
    return int(index.ntotal), int(index.d)


def _compare(
    path: Path, rows: list[Section] | None, vectors: int | None, offset: object, problems: list[Problem]
) -> None:
    if rows is None:
        return
    if vectors is not None and vectors != len(rows):
        problems.append(Problem(Fault.MISMATCH, f"there are {vectors} vectors for {len(rows)} documents", path))
    last = max((row.indexid for row in rows), default=-1)
    if isinstance(offset, int) and offset <= last:
        told = f"the next document would be row {offset}, and there is a row {last} already: every upsert will fail"
        problems.append(Problem(Fault.MISMATCH, told, path))


def _examine(path: Path, rows: list[Section], problems: list[Problem]) -> None:
    file = path / "documents"
    repeated = len(rows) - len({row.id for row in rows})
    if repeated:
        problems.append(Problem(Fault.DUPLICATE, f"{repeated} rows repeat the id of another", file))
    lost = sum(1 for row in rows if row.data is None and row.fields_in_tags())
    if lost:
        told = f"the fields of {lost} of {len(rows)} documents are stored as tags, where no filter finds them"
        problems.append(Problem(Fault.FIELDS_LOST, told, file))


def _store(path: Path, problems: list[Problem]) -> Inspection:
    current: generations.Generation | None = None
    inner = Inspection(path, Kind.STORE, rows=0, vectors=0)
    try:
        current = generations.current(path)
    except (DamagedIndex, OSError) as error:
        problems.append(Problem(Fault.UNREADABLE, scrub(str(error)), path / "CURRENT"))
    if current is not None and current.applied.documents:
        inner = _txtai(current.path, problems)
        if inner.rows is not None and inner.rows != current.applied.documents:
            told = f"there are {inner.rows} documents and there were {current.applied.documents}"
            problems.append(Problem(Fault.MISMATCH, told, current.path))
    problems.extend(_orphans(path, current))
    queued = letters = 0
    file = path / "queue.sqlite3"
    try:
        with queue_of(path) as journal:
            if journal is not None:
                queued, _ = journal.count(current.applied.sequence if current else 0)
                letters = journal.count_dead_letters()
            else:
                problems.append(Problem(Fault.UNREADABLE, "the queue is missing", file))
    except StorageError as error:
        problems.append(Problem(Fault.UNREADABLE, f"the queue cannot be read: {error}", file))
    return Inspection(
        path,
        Kind.STORE,
        inner.rows,
        inner.vectors,
        inner.dimensions,
        inner.written_by,
        queued,
        letters,
        current.number if current else None,
        tuple(problems),
    )


def _orphans(path: Path, current: generations.Generation | None) -> list[Problem]:
    problems = [
        Problem(Fault.ORPHAN, f"{left.name} is the draft of a snapshot that was not finished", left)
        for left in sorted(path.glob("tmp-*"))
    ]
    problems += [
        Problem(Fault.UNREADABLE, f"{left.name} was found damaged and put aside", left)
        for left in sorted(path.glob("damaged-*"))
    ]
    problems += [
        Problem(Fault.ORPHAN, f"{later.path.name} is a snapshot that was never switched to", later.path)
        for later in generations.sound(path)
        if current is not None and later.number > current.number
    ]
    return problems
