"""What the commands that use the semantic index share: whose index, where it is, and the way to open it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import CheckResult, Evidence, Finding
    from alwrity_checks.redaction import Secret
    from alwrity_checks.txtai.indexes import SemanticIndexes
    from alwrity_checks.txtai.storage import Storage, UserStore

__all__ = ["DataOption", "Place", "UserOption", "examined", "fact", "patiently", "place"]

UserOption = Annotated[str, typer.Option("--user", metavar="ID", help="Whose index: any string.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where the indexes are.  [default: the database of ALWRITY_TXTAI_URL, else ALWRITY_TXTAI_DIR, else "
        "workspace/semantic-index]",
    ),
]

_SETTINGS: Final = ("ALWRITY_TXTAI_ENCODER", "ALWRITY_TXTAI_MODEL", "SIF_FAIL_FAST")
_URL: Final = "ALWRITY_TXTAI_URL"
_FAR: Final = 5.0
"""Seconds: what is tried again later than that has failed for a reason that will not pass by itself."""
_GLANCE: Final = 6.0
"""Seconds of one wait; longer than `_FAR`, so that every attempt that is not far off falls into it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the indexes are, and the settings with which the component is made."""

    directory: Path | None
    """None where they are in a database."""
    environment: dict[str, str] = field(repr=False)
    url: Secret | None = None
    """The database, where they are in one."""

    def __str__(self) -> str:
        return f"the database of {_URL}" if self.directory is None else str(self.directory)

    @asynccontextmanager
    async def indexes(self) -> AsyncIterator[SemanticIndexes]:
        """Make the component, and close it: what was accepted and is not searchable then, becomes so later."""
        from alwrity_checks.txtai.indexes import SemanticIndexes

        indexes = SemanticIndexes.from_environment(self.environment)
        try:
            yield indexes
        finally:
            await indexes.close()

    def store(self, user_id: str) -> UserStore:
        """Return the store of a user, to accept documents without an encoder; nobody may open it."""
        if not user_id:
            raise ConfigurationError("the user's id is empty", "name the user: --user ID")
        return self._storage().user(user_id)

    def _storage(self) -> Storage:
        if self.directory is None and self.url is not None:
            from alwrity_checks.txtai.postgres import storage_at

            return storage_at(self.url)("", 0)
        from alwrity_checks.txtai.local_store import LocalStorage

        return LocalStorage(self.directory or Path(), "", 0)

    def users(self) -> tuple[str, ...]:
        """Return the ids of the users who have an index here. Raises StorageError."""
        from alwrity_checks.txtai.faults import storage_errors

        with storage_errors("reading the directory", self.directory or Path()):
            return tuple(self._storage().users())

    def require(self, user_id: str) -> None:
        """Raise ConfigurationError if the user has no index here: to search one would make it."""
        if user_id not in self.users():
            told = f"the user {user_id!r:.80} has no index in {self}"
            raise ConfigurationError(told, "name the user and the directory: --user ID --data DIR")

    def of(self, user_id: str) -> Path | None:
        """Return the directory of a user; None where the indexes are in a database."""
        from alwrity_checks.txtai.paths import user_directory

        return None if self.directory is None else user_directory(self.directory, user_id)


def place(data: Path | None, env_files: Sequence[Path], *, offline: bool) -> Place:
    """Return where the indexes are: as the option says, else as the settings do, a database before a directory.

    With `offline` this process asks no hub for a model.
    """
    from alwrity_checks.settings import Settings
    from alwrity_checks.txtai.indexes import DEFAULT_DIRECTORY
    from alwrity_checks.txtai.workspace import DIRECTORY_SETTING, component_directory

    settings = Settings.load(env_files=env_files)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    environment = {one.name: one.value.reveal() for one in settings.every(*_SETTINGS)}
    url = settings.get(_URL)
    if data is None and url is not None and url.value.reveal().strip():
        return Place(None, environment | {_URL: url.value.reveal()}, url.value)
    directory = (data or component_directory(settings) or DEFAULT_DIRECTORY).absolute()
    return Place(directory, environment | {DIRECTORY_SETTING: str(directory)})


async def patiently(wait: Callable[[float], Awaitable[object]]) -> None:
    """Wait for as long as it takes and there is hope; `wait` takes seconds and raises NotReady after them.

    Raises NotReady where the next attempt at what is in the way is far off.
    """
    from alwrity_checks.txtai.errors import NotReady

    while True:
        try:
            await wait(_GLANCE)
        except NotReady as error:
            if error.retry_at is not None and error.retry_at - time.time() > _FAR:
                raise
        else:
            return


def fact(label: str, value: object) -> Evidence:
    """Return a fact for a report, without anything that has the shape of a credential."""
    from alwrity_checks.model import Evidence
    from alwrity_checks.redaction import scrub

    return Evidence(scrub(label), scrub(str(value)))


def examined(
    name: str, title: str, findings: Sequence[Finding], evidence: Sequence[Evidence] = (), reason: str = ""
) -> CheckResult:
    """Return the result of what was carried out to its end."""
    from alwrity_checks.model import CheckResult, Verdict
    from alwrity_doctor.foreign import scrubbed

    found = tuple(scrubbed(one) for one in findings)
    return CheckResult(name, title, 3, Verdict.of(found), found, reason=reason, evidence=tuple(evidence))
