"""Encoding throughput: ours, the int8 encoder and raw sentence-transformers, in turns, on the same texts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from alwrity_checks.txtai.encoder import SentenceEncoder
from alwrity_checks.txtai.encoding import EncoderThread, Urgency
from alwrity_checks.txtai.model_source import MINILM, find_model
from benchmarks.measure import ratio
from benchmarks.txtai_texts import passages

__all__ = ["encoding"]


def encoding(texts: str, rounds: str) -> dict[str, Any]:
    """Return the ratios to sentence-transformers, by CPU time and by the wall clock; or what is missing."""
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        return {"missing": str(error)}
    from alwrity_checks.txtai.onnx_encoder import OnnxEncoder

    files = find_model(MINILM)
    raw: Any = SentenceTransformer(str(files.directory), device="cpu")
    ours = EncoderThread(lambda: SentenceEncoder(files))
    small = EncoderThread(lambda: OnnxEncoder(files))
    batch = passages(int(texts))
    peers: dict[str, Callable[[], Any]] = {
        "raw": lambda: raw.encode(batch, normalize_embeddings=True, show_progress_bar=False),
        "ours": lambda: ours.encode(batch, Urgency.DOCUMENTS).result(),
        "int8": lambda: small.encode(batch, Urgency.DOCUMENTS).result(),
    }
    ours.start()
    small.start()
    found = {name: peer() for name, peer in peers.items()}
    spent: dict[str, list[float]] = {name: [] for name in peers}
    walls: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(int(rounds)):
        for name, peer in peers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            peer()
            walls[name].append(time.perf_counter() - wall)
            spent[name].append(time.process_time() - cpu)
    ours.close(10.0)
    small.close(10.0)
    return {
        name: {
            "cpu": ratio(spent["raw"], spent[name]),
            "wall": ratio(walls["raw"], walls[name]),
            "cosine": float((found["raw"] * found[name]).sum(axis=1).min()),
        }
        for name in ("ours", "int8")
    }
