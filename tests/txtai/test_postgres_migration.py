"""Old indexes taken over into a database: compared in a draft on the disk, then accepted in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("psycopg")

from alwrity_checks.adoption.migration import NewPlace, fingerprint, migrate
from alwrity_checks.adoption.old_indexes import OldIndex
from alwrity_checks.redaction import Secret
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
from alwrity_checks.txtai.postgres import storage_at
from alwrity_checks.txtai.workspace import DIRECTORY_SETTING
from tests.support.postgres import new_user
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai
from tests.support.txtai_runtime import PATIENCE, Loader

if TYPE_CHECKING:
    from tests.support.postgres import Server

URL = "ALWRITY_TXTAI_URL"


def test_an_index_moves_into_a_database(postgres: Server, tmp_path: Path) -> None:
    """What the database has stays, what it lacks is added; the old index is untouched."""
    user = new_user()
    url = Secret(postgres.url, scrubbed=False)

    def made(environment: Mapping[str, str]) -> SemanticIndexes:
        draft = environment.get(DIRECTORY_SETTING)
        assert (draft is None) == (URL in environment)
        storage = storage_at(url) if draft is None else partial(SharedStorage, Path(draft))
        return SemanticIndexes(storage, load=Loader(), encoders=EncoderRegistry())

    place = NewPlace(None, {URL: postgres.url}, storage_at(url)("", 0).user, made)
    before = made(place.environment)
    before.of(user).add_sync([("a", "a newer text", {"kind": "x"})], critical=True, timeout=PATIENCE)
    assert before.close_sync(PATIENCE)
    items = [as_alwrity("a", "alpha", {"kind": "x"}), as_alwrity("b", "beta", {"kind": "y", "n": 1})]
    old = OldIndex(saved_by_txtai(tmp_path / "old", items), user)
    known = fingerprint(old.path)
    done = asyncio.run(migrate(old, place))
    assert (done.documents, done.kept, fingerprint(old.path)) == (2, 1, known)
    after = made(place.environment)
    try:
        found = {hit.id: (hit.text, dict(hit.fields)) for hit in after.of(user).browse_sync(limit=9)}
    finally:
        assert after.close_sync(PATIENCE)
    assert found == {"a": ("a newer text", {"kind": "x"}), "b": ("beta", {"kind": "y", "n": 1})}
