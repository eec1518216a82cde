"""The process that converts: `python -m alwrity_checks.models.conversion_child SOURCE TARGET`.

It tells its progress on standard output, a JSON object a line; the last one says that it is made, or why it is not.
Everything that the libraries print goes to standard error. It ends when its standard input does.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any, Final, TextIO

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import failure
from alwrity_checks.models.runtimes.files import read_json
from alwrity_checks.telemetry import no_telemetry

__all__: list[str] = []

_NICE: Final = 10
_OPTIONS: Final = (
    # Rounded to nearest, with a scale for 64 weights. One for 32, as such models are published, is 4 % nearer to the
    # logits of float32, 12 % slower, and peaks 55 MiB higher at 0.5B; k_quant is as near as that, and takes twice the
    # memory and five times as long to convert.
    "block_size=64",
    # Activations in int8: what the processor's dot products take.
    "accuracy_level=4",
    # Prefill then calculates the logits of the last position alone, not tokens x vocabulary.
    "prune_lm_head=true",
    "hf_token=false",
    "hf_remote=false",
)
_AS_PUBLISHED: Final = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "chat_template.jinja",
)  # fmt: skip
"""What is taken over unchanged, so that a text becomes the same tokens in every runtime."""
_MATRICES: Final = 5
"""Of a layer: queries, keys and values in one; output; gate, up, down."""
_READ: Final = re.compile(r"Reading (?:layer|embedding|final norm|LM head)")
_QUANTISED: Final = re.compile(r"complete quantization of ")


class _Talk:
    """What the builder prints and logs, passed on, and its progress, told to the parent."""

    def __init__(self, parent: TextIO, out: TextIO, layers: int) -> None:
        self._parent = parent
        self._out = out
        self._total = layers + 3 + layers * _MATRICES + 2
        self._done = 0

    def write(self, text: str) -> int:
        """Print as a file does."""
        if _READ.search(text) or _QUANTISED.search(text):
            self._done = min(self._done + 1, self._total - 1)
            self.tell(done=self._done, total=self._total)
        return self._out.write(text)

    def flush(self) -> None:
        """Flush as a file does."""
        self._out.flush()

    def tell(self, **facts: Any) -> None:  # noqa: ANN401 - what JSON can say
        """Tell the parent."""
        self._parent.write(f"{json.dumps(facts)}\n")
        self._parent.flush()


def main(source: Path, target: Path) -> int:
    """Convert, and say how it went."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    talk = _Talk(sys.stdout, sys.stderr, int(read_json(source / "config.json").get("num_hidden_layers", 1)))
    sys.stdout = talk
    handler = logging.StreamHandler(talk)
    logging.getLogger("onnxruntime.quantization").addHandler(handler)
    try:
        _build(source, target)
        _try(target)
    except (Exception, MemoryError) as error:
        found = failure(error, "converting")
        reason = found.reason if isinstance(found, ModelError) else Reason.CONVERSION_FAILED
        talk.tell(reason=Reason.CONVERSION_FAILED if reason is Reason.LOAD_FAILED else reason, diagnosis=str(found))
        if not isinstance(error, DoctorError):
            logging.getLogger(__name__).exception("the conversion failed")
        return 1
    talk.tell(made=True)
    return 0


def _build(source: Path, target: Path) -> None:
    no_telemetry()
    # The builder's modules import each other by bare names, as when its file is run.
    import onnxruntime_genai  # type: ignore[import-untyped]

    sys.path.insert(0, str(Path(onnxruntime_genai.__file__).parent / "models"))
    from builder import create_model, parse_extra_options  # type: ignore[import-not-found]

    scratch = target / "scratch"
    place = (None, str(source), str(target), "int4", "cpu", str(scratch))
    create_model(*place, **parse_extra_options(*place, list(_OPTIONS)))
    shutil.rmtree(scratch, ignore_errors=True)
    for name in _AS_PUBLISHED:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _try(target: Path) -> None:
    """See that what was made can be loaded, and calculates numbers."""
    import numpy as np

    from alwrity_checks.models.runtimes.genai_runtime import GenaiLoader
    from alwrity_checks.models.steps import Precision

    model = GenaiLoader().load(target, Precision.INT4, context=8)
    session = model.session()
    if not np.isfinite(session.advance([1, 2, 3])).all():
        raise ModelError(Reason.CONVERSION_FAILED, "the converted model calculates no numbers")
    session.close()
    model.close()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
