"""The documents of an index that ALwrity's own module has written, taken over into the component's storage.

The old directory is copied first, and only the copy is read; its fingerprint before and after is compared. The
documents are put into a draft beside the new place and encoded there. The draft is compared with what was read, ids,
texts and fields, and searches of both have to find the same nearest document. Only then the draft takes its place, by
one rename; where the user has an index there already, by one commit of the documents that it lacks. Whatever ends the
process before leaves the new place as it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption.old_indexes import OldIndex, OldVectors, leavings
from alwrity_checks.errors import ConfigurationError, DoctorError
from alwrity_checks.txtai.errors import NotReady, Unindexable
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.inspection import inspect_index
from alwrity_checks.txtai.paths import sync_directory, user_directory
from alwrity_checks.txtai.repair import recover
from alwrity_checks.txtai.workspace import DIRECTORY_SETTING

if TYPE_CHECKING:
    from alwrity_checks.txtai.documents import Document
    from alwrity_checks.txtai.index import SemanticIndex
    from alwrity_checks.txtai.receipts import Receipt
    from alwrity_checks.txtai.repair import Recovered
    from alwrity_checks.txtai.storage import UserStore

__all__ = ["Migrated", "MigrationFailed", "NewPlace", "fingerprint", "migrate"]

_AT_ONCE: Final = 256
_SAMPLE: Final = 20
"""Searches that are made in both."""
_NEAREST: Final = 5
_TIE: Final = 1e-3
"""Two cosines that differ by less are of the same nearness: float32, and texts that begin alike."""
_GLANCE: Final = 6.0
_FAR: Final = 5.0
"""Seconds: what is tried again later than that has failed for a reason that will not pass by itself."""
_URL: Final = "ALWRITY_TXTAI_URL"
_DRAFT: Final = ".migrating-"
_CLOSING: Final = 60.0


class MigrationFailed(DoctorError):  # noqa: N818 - what happened
    """An index was not taken over; the old one and the new place are as they were."""


@dataclass(frozen=True, slots=True)
class NewPlace:
    """Where the documents go."""

    directory: Path | None
    """The component's directory; None for a database."""
    environment: Mapping[str, str]
    """The settings with which the component is made for it."""
    store: Callable[[str], UserStore]
    """Makes the store of a user there, to accept documents without an encoder."""
    indexes: Callable[[Mapping[str, str]], SemanticIndexes] = SemanticIndexes.from_environment
    """Makes the component of settings."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of an index."""

    old: OldIndex
    fingerprint: str
    """Of the old directory, before and after."""
    rows: int
    """Rows that could be read of it."""
    documents: int
    """Documents that are in the new place and were compared: id, text, fields."""
    kept: int = 0
    """Of these ids the new place had a document already, which stays: it is the newer one."""
    left_out: tuple[str, ...] = ()
    """Why a document was not taken over, or may have been missed, one sentence each."""
    besides: tuple[str, ...] = ()
    """What in the old index is no document, and is not taken over, in a few words each."""
    compared: int = 0
    """Searches that found the same nearest document in both."""
    uncompared: str = ""
    """Why none was compared; empty if some were."""


async def migrate(old: OldIndex, place: NewPlace, told: Callable[[str], None] = lambda _: None) -> Migrated:
    """Take the documents of an old index over; `told` hears how that goes on.

    Raises MigrationFailed where what came of it is not what was there, ConfigurationError where there is nothing to be
    taken over, NotReady where the encoder cannot be had, StorageError; then nothing has changed.
    """
    before = await asyncio.to_thread(fingerprint, old.path)
    with tempfile.TemporaryDirectory(prefix="alwrity-migration-") as scratch:
        copy = await asyncio.to_thread(_copied, old.path, Path(scratch) / "index", before)
        if not (copy / "documents").exists():
            what = (
                "no text is stored in it, only vectors" if (copy / "embeddings").exists() else "nothing was put into it"
            )
            raise ConfigurationError(f"there is nothing to take over from {old.path}: {what}", _again(old))
        recovered = await asyncio.to_thread(recover, copy)
        rows, besides = await asyncio.to_thread(_looked_at, copy, recovered)
        left_out = [one.replace(str(copy), str(old.path)) for one in (*recovered.doubts, *recovered.unusable)]
        if not recovered.documents:
            reason = left_out[0] if left_out else "it has no documents"
            raise ConfigurationError(f"there is nothing to take over from {old.path}: {reason}", _again(old))
        if await asyncio.to_thread(_is_there, place, old.user, recovered.documents):
            count = len(recovered.documents)
            return Migrated(old, before, rows, count, count, tuple(left_out), besides, 0, "they were there already")
        told(f"{old.user}: {len(recovered.documents):,} documents are encoded")
        with _draft(place) as draft:
            buried, compared, uncompared = await _build(draft, place, old, copy, recovered)
            documents = [one for one in recovered.documents if one.id not in buried]
            if await asyncio.to_thread(fingerprint, old.path) != before:
                raise _changing(old.path)
            kept = await _install(draft, place, old.user, documents)
    left_out += [f"document {one!r:.80} cannot be indexed: {why}" for one, why in buried.items()]
    return Migrated(old, before, rows, len(documents), kept, tuple(left_out), besides, compared, uncompared)


def fingerprint(directory: Path) -> str:
    """Return the SHA-256 of a directory's names and contents, hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        digest.update(f"{len(name)}:{name}{'/' if path.is_dir() else ''}".encode())
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _copied(source: Path, target: Path, before: str) -> Path:
    shutil.copytree(source, target)
    if fingerprint(target) != before:
        raise _changing(source)
    return target


def _looked_at(copy: Path, recovered: Recovered) -> tuple[int, tuple[str, ...]]:
    """Return how many rows an index has, and what in it is not taken over."""
    rows = inspect_index(copy).rows
    held = len(recovered.documents) + len(recovered.unusable)
    besides = list(leavings(copy))
    if rows is not None and rows > held:
        besides.append(f"{rows - held:,} rows with the id of a later one")
    return held if rows is None else rows, tuple(besides)


def _changing(path: Path) -> MigrationFailed:
    return MigrationFailed(f"{path} changed while it was read", "stop the backend that writes there, then run it again")


def _again(old: OldIndex) -> str:
    return f"have the backend index the documents of {old.user} again"


@contextmanager
def _draft(place: NewPlace) -> Iterator[Path]:
    """Give a directory beside the new place, on the same file system; what killed processes left is removed."""
    root = place.directory
    if root is None:
        with tempfile.TemporaryDirectory(prefix="alwrity-draft-") as directory:
            yield Path(directory)
        return
    made = [one for one in (root, *root.parents) if not one.exists()]
    root.mkdir(parents=True, exist_ok=True)
    for stale in root.glob(f"{_DRAFT}*"):
        if not _is_running(stale.name.removeprefix(_DRAFT).partition("-")[0]):
            shutil.rmtree(stale, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{os.getpid()}-", dir=root))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        for one in made:
            # What was made for a draft that came to nothing.
            try:
                one.rmdir()
            except OSError:
                break


def _is_running(process: str) -> bool:
    import psutil

    return process.isdecimal() and psutil.pid_exists(int(process))


async def _build(
    draft: Path, place: NewPlace, old: OldIndex, copy: Path, recovered: Recovered
) -> tuple[dict[str, str], int, str]:
    """Fill the draft and compare it. Return the documents that cannot be indexed, with why, and the searches made."""
    environment = {name: value for name, value in place.environment.items() if name != _URL}
    indexes = place.indexes({**environment, DIRECTORY_SETTING: str(draft)})
    try:
        index = indexes.of(old.user)
        buried: dict[str, str] = {}
        for start in range(0, len(recovered.documents), _AT_ONCE):
            receipt = await index.add(recovered.documents[start : start + _AT_ONCE])
            buried |= await _searchable(receipt)
        wanted = [one for one in recovered.documents if one.id not in buried]
        await asyncio.to_thread(_compare, index, wanted, old)
        compared, uncompared = await _search_both(indexes, index, copy, wanted)
    finally:
        closed = await indexes.close(_CLOSING)
    if not closed:
        raise MigrationFailed(f"the draft in {draft} could not be closed", "run it again when the machine is less busy")
    return buried, compared, uncompared


async def _searchable(receipt: Receipt) -> dict[str, str]:
    """Wait for as long as there is hope; return what cannot be indexed, with why. Raises NotReady."""
    while True:
        try:
            await receipt.searchable(_GLANCE)
        except Unindexable as error:
            return dict(error.reasons)
        except NotReady as error:
            if error.retry_at is not None and error.retry_at - time.time() > _FAR:
                raise
        else:
            return {}


def _compare(index: SemanticIndex, wanted: Sequence[Document], old: OldIndex) -> None:
    found = {hit.id: (hit.text, dict(hit.fields)) for hit in index.browse_sync(limit=len(wanted) + 1)}
    expected = {one.id: (one.text, dict(one.fields)) for one in wanted}
    if found == expected:
        return
    different = [one for one, content in expected.items() if found.get(one) != content]
    raise MigrationFailed(
        f"of {len(expected):,} documents of {old.user} {len(different):,} are not in the copy as they were, and it has "
        f"{len(found):,}",
        "report it, with `alwrity-doctor txtai status` of the old index",
    )


async def _search_both(
    indexes: SemanticIndexes, index: SemanticIndex, copy: Path, wanted: Sequence[Document]
) -> tuple[int, str]:
    """Return how many searches found the same nearest document in both, and why none was made. Raises otherwise."""
    old, why_not = await asyncio.to_thread(OldVectors.of, copy, indexes.model)
    if old is None:
        return 0, why_not
    step = max(1, len(wanted) // _SAMPLE)
    known = {one.id for one in wanted}
    compared = 0
    for document in itertools.islice(wanted[::step], _SAMPLE):
        (vector,) = await indexes.encode([document.text], None)
        if len(vector) != old.dimensions:
            return 0, f"its vectors have {old.dimensions} dimensions, those of {indexes.model} {len(vector)}"
        theirs = await asyncio.to_thread(old.nearest, vector)
        ours = await index.search(document.text, limit=_NEAREST, timeout=None)
        near = {hit.id for hit in ours if hit.score > ours[0].score - _TIE}
        if not near & theirs and theirs & known:
            raise MigrationFailed(
                f"a search for the text of {document.id!r:.80} finds {min(theirs)!r:.80} in the old index, and "
                f"{ours[0].id if ours else 'nothing'!r:.80} in the copy",
                "report it, with `alwrity-doctor txtai status` of the old index",
            )
        compared += bool(near & theirs)
    return compared, ""


async def _install(draft: Path, place: NewPlace, user: str, documents: Sequence[Document]) -> int:
    """Let the draft take its place; return how many of the documents were there already."""
    if place.directory is not None:
        target = user_directory(place.directory, user)
        try:
            if not target.exists():
                user_directory(draft, user).rename(target)
                sync_directory(place.directory)
                return 0
        except OSError:
            # A backend that runs has made one meanwhile.
            if not target.exists():
                raise
    indexes = place.indexes(place.environment)
    try:
        index = indexes.of(user)
        await index.ready(None)
        have = await asyncio.to_thread(partial(_ids, index, place, user))
        missing = [one for one in documents if one.id not in have]
        if missing:
            with closing(place.store(user)) as store:
                await asyncio.to_thread(store.put, missing)
        # Operations are done in their order: when this one, which brings nothing, is done, so are those before it.
        await _searchable(await index.add(()))
    finally:
        await indexes.close(_CLOSING)
    return len(documents) - len(missing)


def _is_there(place: NewPlace, user: str, documents: Sequence[Document]) -> bool:
    """Say whether the user has every document in the component's directory, in this version or a newer one."""
    target = None if place.directory is None else user_directory(place.directory, user)
    if target is None or not target.exists():
        return False
    return {one.id for one in documents} <= {one.id for one in recover(target).documents}


def _ids(index: SemanticIndex, place: NewPlace, user: str) -> set[str]:
    """Return the ids that the user has in the new place, whether they are searchable yet or not."""
    found = {hit.id for hit in index.browse_sync(limit=index.status().store.documents + 1)}
    if place.directory is None:
        return found
    return found | {one.id for one in recover(user_directory(place.directory, user)).documents}
