"""The bench: real children with real models, and children that die, hang or talk nonsense."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from alwrity_checks.models.bench import Stopped, run_case
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_child import measure
from alwrity_checks.models.bench_figures import (
    IMPORTS,
    JSON,
    LOAD,
    MEASURED,
    RELEASE,
    WARM_UP,
    Answer,
    Bench,
    Case,
    Result,
    Spread,
    Workload,
)
from alwrity_checks.models.bench_limit import read_per_token
from alwrity_checks.models.bench_run import (
    CONVERSION,
    Source,
    cases_of,
    check_synthetic,
    find_source,
    run_bench,
    too_large,
)
from alwrity_checks.models.bench_schemas import schemas
from alwrity_checks.models.errors import ModelError, ModelUnavailable
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision
from tests.support.models_bench import MEBI, bench, child, result, told_usage
from tests.support.processes import ended

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CASE = Case("owner/model", Carrier.TRANSFORMERS, Precision.FLOAT32)
_SMALL = Workload(prompt_tokens=16, new_tokens=8, repetitions=2, warmup=1, threads=1)


def test_a_real_model_is_measured_phase_by_phase(tiny_qwen: Path) -> None:
    """Every phase has its peak, every answer the tokens that were asked for, and JSON is valid from random weights."""
    heard: list[str] = []
    workload = Workload(prompt_tokens=16, new_tokens=8, repetitions=2, threads=1, schemas=2)
    done = run_case(_CASE, tiny_qwen, workload, notify=heard.append)
    assert done.failure is None
    assert heard == [one.phase for one in done.usages] == [IMPORTS, LOAD, WARM_UP, MEASURED, JSON, RELEASE]
    assert [(one.prompt_tokens, one.tokens) for one in (done.first, *done.answers) if one] == [(16, 8)] * 3
    assert done.json_valid == 2
    assert all(one.time_to_first_token > 0 and one.decode_seconds > 0 for one in done.answers)
    assert done.decode is not None
    assert done.libraries["torch"]
    assert [one.phase for one in done.marks] == heard
    if sys.platform == "linux":
        peak, anonymous = done.peak_rss or 0, done.peak_anonymous or 0
        assert 50 * MEBI < anonymous < peak
        assert max(one.resident for one in done.samples) <= peak * 1.01
        assert done.wait_share is not None


def test_the_int4_runtime_needs_no_torch(tiny_int4: Path) -> None:
    """The child of onnxruntime-genai imports no torch: its memory is a third of transformers'."""
    done = run_case(Case("tiny", Carrier.ONNX, Precision.INT4), tiny_int4, _SMALL)
    assert done.failure is None
    assert [one.tokens for one in done.answers] == [8, 8]
    assert (done.peak_rss or 0) < 200 * MEBI
    released = done.usage(RELEASE)
    assert released is not None


def test_txtai_is_measured_as_the_backend_loads_it(tiny_qwen: Path) -> None:
    """The peer goes through the same phases with the same workload; without a constraint its JSON is none."""
    workload = Workload(prompt_tokens=16, new_tokens=8, repetitions=1, warmup=0, threads=1)
    done = run_case(Case("tiny", Carrier.TXTAI, Precision.BFLOAT16), tiny_qwen, workload)
    assert done.failure is None
    assert done.first is None
    assert [(one.prompt_tokens, one.tokens) for one in done.answers] == [(16, 8)]
    assert done.libraries["txtai"]


def test_a_model_that_cannot_be_loaded_is_a_result(tmp_path: Path) -> None:
    """The child's own reason comes back, with the phase it ended in."""
    done = run_case(_CASE, tmp_path, _SMALL)
    assert done.failure is not None
    assert (done.failure.reason, done.failure.phase) == (Reason.FILE_MISSING, LOAD)
    assert "config.json" in done.failure.diagnosis
    assert done.usage(IMPORTS) is not None
    assert not done.answers


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
def test_a_real_lack_of_memory_is_told_as_such(tiny_qwen: Path) -> None:
    """Under RLIMIT_AS torch cannot even be mapped: no missing extra, but a lack of memory, and a result of its case."""
    script = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "runpy.run_module('alwrity_checks.models.bench_child', run_name='__main__')\n"
    )
    done = run_case(_CASE, tiny_qwen, _SMALL, command=(sys.executable, "-c", script))
    assert done.failure is not None
    assert done.failure.reason == Reason.OUT_OF_MEMORY
    assert not done.answers


def test_a_killed_child_is_a_result() -> None:
    """SIGKILL leaves no message: the signal, the phase and what was held are what is known."""
    script = "tell('begin', 'imports')\n" + told_usage("imports") + "tell('begin', 'load')\n"
    script += "block = bytearray(64 << 20); time.sleep(0.3)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = run_case(_CASE, _nowhere(), _SMALL, command=child(script))
    assert done.failure is not None
    assert (done.failure.reason, done.failure.phase) == (Reason.OUT_OF_MEMORY, "load")
    assert "killed in the phase 'load'" in done.failure.diagnosis
    assert "models plan" in done.failure.remedy
    assert done.usage(IMPORTS) is not None


def _nowhere() -> Path:
    from pathlib import Path

    return Path("nowhere")


@pytest.mark.parametrize(
    ("script", "reason", "words"),
    [
        ("os.abort()", Reason.LOAD_FAILED, "SIGABRT"),
        ("sys.exit(7)", Reason.LOAD_FAILED, "ended with 7"),
        ("sys.exit('cannot allocate memory')", Reason.OUT_OF_MEMORY, "cannot allocate memory"),
        (
            "print('memory allocation of 99 bytes failed', 'note: x', sep='\\n', file=sys.stderr); os.abort()",
            Reason.OUT_OF_MEMORY,
            "allocation of 99",
        ),
        ("sys.exit('token hf_abcdefghijklmnop0123')", Reason.LOAD_FAILED, "hf_…"),
    ],
)
def test_how_a_child_ended_is_said(script: str, reason: Reason, words: str) -> None:
    """Signal, code or last words, without a secret that may be in them."""
    done = run_case(_CASE, _nowhere(), _SMALL, command=child(script))
    assert done.failure is not None
    assert done.failure.reason == reason
    assert words in done.failure.diagnosis
    assert "abcdefghijklmnop" not in done.failure.diagnosis


def test_a_child_that_hangs_is_ended() -> None:
    """After its time it is a result, and no process is left."""
    before = set(psutil.Process().children())
    done = run_case(_CASE, _nowhere(), _SMALL, patience=0.3, command=child("tell('begin', 'load')\ntime.sleep(60)"))
    assert done.failure is not None
    assert "did not end" in done.failure.diagnosis
    assert done.failure.phase == "load"
    assert set(psutil.Process().children()) <= before


def test_a_child_that_talks_nonsense_is_our_fault() -> None:
    """It is not passed off as a measurement."""
    with pytest.raises(RuntimeError, match="cannot be understood"):
        run_case(_CASE, _nowhere(), _SMALL, command=child("print('[1, 2', flush=True)\ntime.sleep(60)"))


def test_stopping_ends_the_child_and_what_it_started(tmp_path: Path) -> None:
    """Whoever stops the bench finds no process of it afterwards, grandchildren included."""
    place = tmp_path / "grandchild"
    script = (
        "import subprocess\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(place)!r}, 'w').write(str(inner.pid))\n"
        "tell('begin', 'load')\ntime.sleep(60)\n"
    )
    stop = threading.Event()
    with pytest.raises(Stopped):
        run_case(_CASE, tmp_path, _SMALL, stop=stop, notify=lambda _phase: stop.set(), command=child(script))
    assert ended(int(place.read_text()))


def test_a_child_ends_with_its_parent(tiny_qwen: Path) -> None:
    """A parent that is killed cannot clean up: its end of the pipe closes, and that is enough."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from alwrity_checks.models.bench import run_case\n"
        "from alwrity_checks.models.bench_carrier import Carrier\n"
        "from alwrity_checks.models.bench_figures import Case, Workload\n"
        "from alwrity_checks.models.steps import Precision\n"
        "case = Case('tiny', Carrier.TRANSFORMERS, Precision.FLOAT32)\n"
        "work = Workload(16, 8, 1000, 1, 1)\n"
        "run_case(case, Path(sys.argv[1]), work, notify=lambda phase: print(phase, flush=True))\n"
    )
    parent = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script, str(tiny_qwen)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == IMPORTS
        (measuring,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.communicate()
    assert ended(measuring.pid)


class _Subject:
    """A model that is none."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def imports(self) -> None:
        self.done.append(IMPORTS)

    def load(self) -> None:
        self.done.append(LOAD)

    def answer(self) -> Answer:
        self.done.append("answer")
        return Answer(1, 2, 0.1, 0.1)

    def json(self, schema: Mapping[str, object]) -> bool:
        return schema["type"] == "object"

    def close(self) -> None:
        self.done.append(RELEASE)


def test_the_first_answer_is_told_apart_and_warm_ones_do_not_count() -> None:
    """Of two answers before the measured ones the first is kept, the other forgotten."""
    heard: list[str] = []
    workload = Workload(repetitions=3, warmup=2, schemas=6)
    model = _Subject()
    values = {}

    def tell(event: str, value: object) -> None:
        heard.append(event)
        values[event] = value

    measure(model, workload, tell)
    assert model.done == [IMPORTS, LOAD, *["answer"] * 5, RELEASE]
    assert [one for one in heard if one in {"first", "answer"}] == ["first", "answer", "answer", "answer"]
    assert values["json"] == sum(schema["type"] == "object" for schema in schemas(6)) == 5


def test_schemas_differ_and_are_schemas() -> None:
    """As many as are asked for, no two alike, each of them valid and bounded."""
    jsonschema = pytest.importorskip("jsonschema")
    made = list(schemas(40))
    assert len({str(one) for one in made}) == len(made) == 40
    for one in made:
        jsonschema.Draft202012Validator.check_schema(one)


def test_the_spread_is_that_of_the_repetitions() -> None:
    """Median, least and most; the cold answer is not among them."""
    told = result()
    assert told.time_to_first_token == Spread(2.0, 1.9, 2.1)
    assert told.decode == Spread(10.0, 8.0, 20.0)
    assert told.prefill is not None
    assert told.prefill.median == pytest.approx(64)
    assert Spread.of([None]) is None
    assert Answer(8, 1, 1.0, 0.0).tokens_per_second is None


def test_the_fraction_is_of_what_memory_allows() -> None:
    """20 GB/s and 1 GB a token allow 20 tokens per second; 10 of them are half. What is unknown stays so."""
    told = bench(result(), result(read_per_token=None), result(answers=()))
    assert [told.limit(one) for one in told.results] == [20.0, None, 20.0]
    assert [told.fraction(one) for one in told.results] == [0.5, None, None]


def test_the_document_comes_back_as_it_was() -> None:
    """Everything that was measured is in the JSON, so that it can be a baseline."""
    told = bench(result(), result(carrier=Carrier.ONNX, precision=Precision.INT4, answers=(), first=None))
    assert Bench.from_json(told.to_json()) == told


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "alwrity-doctor/report/1"}', '{"schema": "alwrity-doctor/models-bench/1"}']
)
def test_another_document_is_refused(text: str) -> None:
    """With the command that writes the right one."""
    from alwrity_checks.errors import ConfigurationError

    with pytest.raises(ConfigurationError) as refused:
        Bench.from_json(text)
    assert "--save" in refused.value.remedy


def test_what_a_token_reads(tiny_qwen: Path, tiny_llama: Path, tiny_int4: Path) -> None:
    """A tied embedding is read as the last layer, an untied one row by row; int4 has a quarter and its scales."""
    tied = read_per_token(Carrier.TRANSFORMERS, Precision.BFLOAT16, tiny_qwen)
    assert tied == 328_832
    assert read_per_token(Carrier.TRANSFORMERS, Precision.FLOAT32, tiny_qwen) == 2 * 328_832
    assert read_per_token(Carrier.TXTAI, Precision.BFLOAT16, tiny_qwen) == tied
    assert read_per_token(Carrier.TRANSFORMERS, Precision.BFLOAT16, tiny_llama) == 459_392 - 1024 * 64 * 2
    quantised = read_per_token(Carrier.ONNX, Precision.INT4, tiny_int4)
    assert quantised is not None
    assert 0.5 / 2 < quantised / tied < 1
    assert read_per_token(Carrier.TRANSFORMERS, Precision.BFLOAT16, tiny_int4 / "nothing") is None


def test_which_cases_a_model_has(tmp_path: Path) -> None:
    """By default the checkpoint's own precision and int4; what a runtime cannot do is not tried."""
    source = Source("m", tmp_path, Precision.BFLOAT16)
    ours = (Carrier.TRANSFORMERS, Carrier.ONNX)

    def names(*arguments: object) -> list[tuple[str, str]]:
        return [(str(one.carrier), str(one.precision)) for one in cases_of(source, *arguments)]  # type: ignore[arg-type]

    assert names(ours, ()) == [("transformers", "bfloat16"), ("onnxruntime-genai", "int4")]
    assert names(ours, (Precision.FLOAT32,)) == [("transformers", "float32")]
    assert names(ours, (Precision.INT4,)) == [("onnxruntime-genai", "int4")]
    assert names((Carrier.TXTAI,), ()) == [("txtai", "bfloat16")]
    assert names((Carrier.TXTAI,), (Precision.FLOAT32,)) == []
    source = Source("m", tmp_path, Precision.INT4)
    assert names((*ours, Carrier.TXTAI), ()) == [("onnxruntime-genai", "int4")]


def test_a_model_that_is_not_here_is_not_downloaded(tmp_path: Path) -> None:
    """The error names both ways out."""
    with pytest.raises(ModelUnavailable) as missing:
        find_source("Qwen/Qwen2.5-0.5B-Instruct", synthetic=None, cache=tmp_path)
    assert missing.value.reason is Reason.HUB_OFFLINE
    assert "models pull" in missing.value.remedy
    assert "--synthetic" in missing.value.remedy


@pytest.mark.parametrize("model", ["no/such", "sentence-transformers/all-MiniLM-L6-v2"])
def test_only_language_models_can_be_made_up(model: str) -> None:
    """An encoder writes no text; an unknown shape cannot be written."""
    with pytest.raises(ModelError):
        check_synthetic(model)


@pytest.mark.parametrize("carrier", [Carrier.TRANSFORMERS, Carrier.TXTAI])
def test_what_cannot_fit_is_not_tried(carrier: Carrier, tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a mebibyte of memory left, no model is loaded to see what happens: unless somebody wants that."""
    from alwrity_checks.models import machine
    from alwrity_checks.models.available import Available, Part

    case, source = Case("m", carrier, Precision.BFLOAT16), Source("m", tiny_qwen, Precision.BFLOAT16)
    assert too_large(case, source, _SMALL) is None
    monkeypatch.setattr(machine, "available_memory", lambda: Available.of((Part("memory", MEBI, "made up"),)))
    refused = too_large(case, source, _SMALL)
    assert refused is not None
    assert refused.reason == Reason.DOES_NOT_FIT
    assert "--anyway" in refused.remedy
    (only,) = run_bench([(case, source)], _SMALL, version="0").results
    assert only.failure == refused
    assert not only.usages


def test_a_conversion_that_fails_is_a_result_of_its_case(tmp_path: Path) -> None:
    """The cases after it are measured all the same."""
    (tmp_path / "model").mkdir()
    source = Source("m", tmp_path / "model", Precision.BFLOAT16)
    heard: list[Result] = []
    case = Case("m", Carrier.ONNX, Precision.INT4)
    told = run_bench([(case, source)], _SMALL, version="0", conversions=tmp_path / "onnx", finished=heard.append)
    (only,) = told.results
    assert heard == [only]
    assert only.failure is not None
    assert only.failure.phase == CONVERSION
    assert told.surroundings.bandwidth is not None
    assert told.surroundings.bandwidth > 1e8
