"""The semantic index (issue 3): the runtime API.

    indexes = SemanticIndexes.from_environment()            # one encoder, many users
    index = indexes.of(user_id)                             # any string
    receipt = await index.add(documents)                    # durable when it returns, searchable later
    await receipt.searchable(timeout=5)                     # or receipt.wait() in a thread
    hits = await index.search("…", timeout=2)               # waits for readiness, then raises NotReady

Names are imported on first use. Neither that nor making an index imports txtai or torch: the encoder's thread does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.txtai.compat import TxtaiIntelligenceService
    from alwrity_checks.txtai.documents import Document, UnusableDocument
    from alwrity_checks.txtai.encoder import Encoder, SentenceEncoder, import_libraries
    from alwrity_checks.txtai.errors import Closed, ForkedProcess, NotReady, Unindexable
    from alwrity_checks.txtai.index import IndexStatus, SearchResult, SemanticIndex
    from alwrity_checks.txtai.indexes import IndexesStatus, SemanticIndexes
    from alwrity_checks.txtai.initialisation import State
    from alwrity_checks.txtai.onnx_encoder import OnnxEncoder
    from alwrity_checks.txtai.receipts import Progress, Receipt
    from alwrity_checks.txtai.storage import DamagedIndex, DeadLetter, Hit, StorageError, StoreStatus, UnusableFilter

__all__ = [
    "Closed",
    "DamagedIndex",
    "DeadLetter",
    "Document",
    "Encoder",
    "ForkedProcess",
    "Hit",
    "IndexStatus",
    "IndexesStatus",
    "NotReady",
    "OnnxEncoder",
    "Progress",
    "Receipt",
    "SearchResult",
    "SemanticIndex",
    "SemanticIndexes",
    "SentenceEncoder",
    "State",
    "StorageError",
    "StoreStatus",
    "TxtaiIntelligenceService",
    "Unindexable",
    "UnusableDocument",
    "UnusableFilter",
    "import_libraries",
]

_HOME: Final = {
    "Closed": "errors",
    "DamagedIndex": "storage",
    "DeadLetter": "storage",
    "Document": "documents",
    "Encoder": "encoder",
    "ForkedProcess": "errors",
    "Hit": "storage",
    "IndexStatus": "index",
    "IndexesStatus": "indexes",
    "NotReady": "errors",
    "OnnxEncoder": "onnx_encoder",
    "Progress": "receipts",
    "Receipt": "receipts",
    "SearchResult": "index",
    "SemanticIndex": "index",
    "SemanticIndexes": "indexes",
    "SentenceEncoder": "encoder",
    "State": "initialisation",
    "StorageError": "storage",
    "StoreStatus": "storage",
    "TxtaiIntelligenceService": "compat",
    "Unindexable": "errors",
    "UnusableDocument": "documents",
    "UnusableFilter": "storage",
    "import_libraries": "encoder",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
