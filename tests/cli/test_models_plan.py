"""`models plan`: what fits, before a byte is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from alwrity_checks.models.loopback_hub import Fault
from tests.support.models_cli import Models, reasons, tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return tiny(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Models:
    """Return the commands in an empty home."""
    return Models(monkeypatch, capsys, tmp_path)


def test_a_bare_machine_offline_gets_a_plan(models: Models) -> None:
    """No model, no hub, no measurement: the figures of ALwrity's models are known, and said to be assumed."""
    code, document = models.json("plan", "--offline", "--no-measure", "--memory", "8GiB", SIF_AGENT_RUNTIME="")
    assert code == 0
    agent, embeddings = document["tables"]
    assert agent["columns"][:4] == ["model", "runtime", "precision", "fits"]
    assert [row[3] for row in agent["rows"]].count("chosen") == 1
    assert agent["rows"][0][0] == "Qwen/Qwen2.5-1.5B-Instruct"
    assert embeddings["rows"][0][0] == "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("memory", "chosen"), [("400MiB", []), ("2.2GiB", ["bfloat16"]), ("16GiB", ["float32", "bfloat16"])]
)
def test_memory_decides(models: Models, memory: str, chosen: list[str]) -> None:
    """The less there is, the lighter the step; where nothing fits the exit code is 1 and the finding says why."""
    code, document = models.json("plan", "agent", "--offline", "--no-measure", "--memory", memory)
    rows = {row[3]: row[2] for row in document["tables"][0]["rows"]}
    if not chosen:
        assert code == 1
        assert reasons(document) == ["does-not-fit"]
        assert "chosen" not in rows
    else:
        assert code == 0
        assert rows["chosen"] in chosen


def test_a_model_on_a_hub_is_planned_from_some_kilobytes(models: Models, checkpoint: Path) -> None:
    """Shape and sizes come from the configuration and the headers; the weights stay where they are."""
    with models.hub({"acme/tiny": checkpoint}) as hub:
        code, document = models.json("plan", "acme/tiny", "--no-measure", "--context", "128", "--bandwidth", "6MB/s")
        assert hub.bytes_sent <= 200_000
    assert code == 0
    (table,) = document["tables"]
    assert "context of 128 tokens" in table["title"]
    assert {row[1] for row in table["rows"]} == {"onnxruntime-genai", "transformers"}
    assert not (models.home / "hf").exists()


def test_a_directory_is_planned(models: Models, checkpoint: Path) -> None:
    """Nothing is left to be downloaded."""
    code, document = models.json("plan", str(checkpoint), "--offline", "--no-measure")
    assert code == 0
    assert {row[7] for row in document["tables"][0]["rows"]} == {"here"}


def test_what_nobody_knows_is_unknown(models: Models, checkpoint: Path) -> None:
    """Offline with a foreign model: not a fault found, exit code 3. A hub that knows of no such model: 1."""
    code, document = models.json("plan", "acme/tiny", "--offline", "--no-measure")
    assert code == 3
    assert document["results"][0]["verdict"] == "unknown"
    assert not document["results"][0]["findings"]
    assert {"label": "rule", "value": "MDL031"} in document["results"][0]["evidence"]
    with models.hub({"acme/tiny": checkpoint}, fault=Fault.RESET):
        code, document = models.json("plan", "acme/tiny", "--no-measure")
    assert code == 3
    with models.hub({"acme/tiny": checkpoint}, fault=Fault.UNKNOWN):
        code, document = models.json("plan", "acme/tiny", "--no-measure")
    assert code == 1
    assert reasons(document) == ["model-unknown"]


def test_a_damaged_directory(models: Models, tmp_path: Path) -> None:
    """Weights cut short are found by their header, without being loaded."""
    place = tiny(tmp_path)
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, document = models.json("plan", str(place), "--offline", "--no-measure")
    assert code == 1
    assert reasons(document) == ["file-truncated"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--memory", "lots"),
        ("--memory", "-8GiB"),
        ("--memory", "0"),
        ("--memory", "12KiB"),
        ("--memory", "9999999TiB"),
        ("--bandwidth", "fast"),
        ("--bandwidth", "0Mbit/s"),
        ("--context", "0"),
        ("no/such/name",),
    ],
)
def test_impossible_wishes_are_usage_errors(models: Models, arguments: tuple[str, ...]) -> None:
    """Exit code 2, and what would be right."""
    done = models("plan", "--offline", "--no-measure", *arguments)
    assert done.code == 2
    assert done.err
    assert not done.out


def test_an_override_is_shown_with_its_source(models: Models) -> None:
    """Whoever wonders why this chain sees which setting made it."""
    code, document = models.json(
        "plan", "agent", "--offline", "--no-measure", SIF_AGENT_MODEL="Qwen/Qwen2.5-3B-Instruct"
    )
    assert code == 0
    evidence = {one["label"]: one["value"] for one in document["results"][0]["evidence"]}
    assert evidence["SIF_AGENT_MODEL"] == "Qwen/Qwen2.5-3B-Instruct ($SIF_AGENT_MODEL)"
    done = models("plan", "--offline", "--no-measure", SIF_AGENT_PRECISION="int3")
    assert done.code == 2
    assert "SIF_AGENT_PRECISION" in done.err


def test_a_context_beyond_the_models_is_said(models: Models) -> None:
    """A model of 32,768 tokens is planned for no more, and whoever asked for more is told."""
    asked = ("plan", "Qwen/Qwen2.5-0.5B-Instruct", "--offline", "--no-measure", "--memory", "64GiB", "--context")
    notes = [
        [one["value"] for one in models.json(*asked, tokens)[1]["results"][0]["evidence"] if one["label"] == "note"]
        for tokens in ("32768", "100000")
    ]
    assert not any("its context" in note for note in notes[0])
    assert any("its context ends at 32768 tokens" in note for note in notes[1])


def test_blanks_around_a_name_are_none_of_it(models: Models) -> None:
    """What was pasted with a blank is the same model, and is called by its name."""
    _, document = models.json("plan", " Qwen/Qwen2.5-0.5B-Instruct ", "--offline", "--no-measure")
    assert document["results"][0]["name"] == "models.plan Qwen/Qwen2.5-0.5B-Instruct"
