"""Names that are used where nothing binds them: reaching such a line raises NameError, whatever it was to do.

At ce9bf293 such a name stands in the provider, behind an `except` that tells of every failure as one of the model. The
provider's own are issue 2's, and are told there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.source_addresses import is_provider
from alwrity_checks.trees.reading import Reading
from alwrity_checks.trees.scopes import unbound_names

if TYPE_CHECKING:
    import ast

    from alwrity_checks.source import SourceFile, Trace

__all__ = ["WANTED", "traces"]

WANTED: Final = (b"def ", b"class ", b"lambda")
"""A file without any has no scope of its own; what it uses at its top level fails at its import."""


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield the names that a file which runs uses and nothing binds, each once in a function."""
    if not file.live:
        return
    found: dict[str, ast.Name] = {}
    reading = Reading.of(file)
    for name in unbound_names(file.tree, file.text):
        found.setdefault(f"{reading.tree.place(reading.tree.statement(name))}: {name.id}", name)
    if found and is_provider(reading):
        return
    for name in found.values():
        yield reading.trace("SRC005", name, f"{name.id} is bound nowhere: reaching this line raises NameError")
