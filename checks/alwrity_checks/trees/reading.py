"""One file of a checkout, ready to be looked at by the rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alwrity_checks.trees.defaults import Defaults
from alwrity_checks.trees.flow import Flow, flow_of
from alwrity_checks.trees.tree import Tracer, Tree, tree_of

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The file with what every pattern asks for."""

    file: SourceFile
    tree: Tree
    trace: Tracer

    @classmethod
    def of(cls, file: SourceFile) -> Reading:
        """Walk the file's tree, or take the walk that another room has just made."""
        tree = tree_of(file.tree)
        return cls(file, tree, Tracer(tree, file.path))

    @property
    def flow(self) -> Flow:
        """What the values of the file are made of."""
        return flow_of(self.file.tree)

    @property
    def defaults(self) -> Defaults:
        """What its expressions come to where no environment variable is set."""
        return Defaults(self.tree, self.flow)
