"""A copy of a checkout with a proposal applied: its effect is shown there before anything is written to the checkout.

Everything that git would track is copied as it is on the disk, and the rest is not: users' data, environments and
settings stay where they are. The interpreters are those of the checkout itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.checkout import Checkout
from alwrity_checks.backend.files import is_skipped
from alwrity_checks.backend.revision import git
from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from alwrity_checks.adoption.plan import Adoption

__all__ = ["scratch_copy"]

_PREFIX: Final = "alwrity-doctor-adopt-"
_SETTINGS: Final = ".env"


@dataclass(frozen=True, slots=True)
class _Copy(Checkout):
    """A copied checkout, run by the original's interpreters."""

    original: Checkout

    def interpreters(self) -> Iterator[Path]:
        """Yield the interpreters of the original's virtual environments, the likeliest first."""
        return self.original.interpreters()


@contextmanager
def scratch_copy(adoption: Adoption) -> Iterator[Checkout]:
    """Yield a copy of the checkout in a temporary directory with every change applied; it is gone afterwards.

    Raises ConfigurationError where it cannot be written, such as on a full disk.
    """
    original = adoption.checkout
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True))
        except OSError as error:
            message = f"there is no place for a scratch copy: {error.strerror}"
            raise ConfigurationError(message, "set TMPDIR to a directory that can be written to") from error
        # The backend keeps its name and its place below a root: modules of it look for both.
        backend = Path(directory).resolve() / (original.root.name or "checkout") / original.backend.name
        try:
            _copy(original, backend)
            for change in adoption.changes:
                place = backend / change.path
                place.parent.mkdir(parents=True, exist_ok=True)
                # A link would be written through, out of the copy; a file may be there that nobody may write to.
                place.unlink(missing_ok=True)
                place.write_bytes(change.after.encode("utf-8"))
        except OSError as error:
            message = f"a scratch copy could not be made in {directory}: {error.strerror or error}"
            raise ConfigurationError(message, "make room there, set TMPDIR, or pass --no-prove") from error
        yield _Copy(backend, original)


def _copy(original: Checkout, backend: Path) -> None:
    listed = git(original.backend, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".")
    if listed is None:
        shutil.copytree(original.backend, backend, symlinks=True, ignore=_not_source)
        return
    directories: dict[Path, bool] = {}
    for path in dict.fromkeys(one.decode("utf-8", "surrogateescape") for one in listed.split(b"\0") if one):
        source, place = original.backend / path, backend / path
        if source.name.startswith(_SETTINGS) or not (source.is_file() or source.is_symlink()):
            continue  # settings, a submodule, or a file that was deleted on the disk
        if source.parent not in directories:
            above = (one for one in source.parents if original.backend in one.parents)
            directories[source.parent] = not any(one.is_symlink() for one in above)
        if not directories[source.parent]:
            continue  # the index is older than the link: in the copy that would lead elsewhere, and out of it
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place, follow_symlinks=False)


def _not_source(directory: str, names: list[str]) -> set[str]:
    """Return what of a directory is nobody's source, where no git tells: users' data, environments, settings."""
    above = Path(directory)
    return {
        name
        for name in names
        if name.startswith(_SETTINGS)
        or (
            (above / name).is_dir()
            and is_skipped(
                name,
                package=(above / name / "__init__.py").is_file(),
                environment=(above / name / "pyvenv.cfg").is_file(),
            )
        )
    }
