"""`models generate`: the component on the command line, with a real tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.support.models_cli import SCHEMA, Models, reasons, tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return tiny(tmp_path_factory.mktemp("generate"))


@pytest.fixture
def models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, checkpoint: Path
) -> Models:
    """Return the commands, with the tiny model for the agents' and no other."""
    one = Models(monkeypatch, capsys, tmp_path)
    one.variables |= {"SIF_AGENT_MODEL": str(checkpoint), "SIF_AGENT_FALLBACK_MODELS": "", "HF_HUB_OFFLINE": "1"}
    return one


def schema_file(directory: Path, content: str | None = None) -> str:
    """Write a schema and return its path."""
    path = directory / "schema.json"
    path.write_text(json.dumps(SCHEMA) if content is None else content)
    return str(path)


def test_a_value_goes_to_stdout_and_nothing_else(models: Models) -> None:
    """It is JSON, valid against the schema, although the weights are random; the talk is on stderr."""
    done = models("generate", "Name a title.", "--schema", schema_file(models.home))
    assert done.code == 0
    jsonschema.validate(json.loads(done.out), SCHEMA)
    assert "a local model answers" in done.err


def test_text_from_standard_input(models: Models) -> None:
    """The prompt may be piped."""
    done = models("generate", "-", "--max-new-tokens", "4", stdin=b"Name a title.")
    assert done.code == 0
    assert "PASS" in done.err


def test_the_report_goes_to_a_file(models: Models, checkpoint: Path) -> None:
    """With the step that answered, and what became of the others."""
    done, document = models.report("generate", "x", "--max-new-tokens", "2")
    assert done.code == 0
    assert not done.err
    assert document["tables"][0]["rows"][0][0].startswith(str(checkpoint))


def test_a_model_that_is_not_here(models: Models) -> None:
    """Exit code 1; the finding is the cause and not that the chain is exhausted; nothing on stdout."""
    done, document = models.report("generate", "x", "--model", "acme/nope")
    assert done.code == 1
    assert not done.out
    assert reasons(document) == ["hub-offline"]


def test_a_prompt_that_is_too_long(models: Models) -> None:
    """It is counted in tokens, and refused with how many too many."""
    done, document = models.report("generate", "word " * 6000)
    assert done.code == 1
    assert reasons(document) == ["prompt-too-long"]


def test_a_corrupt_file(models: Models, tmp_path: Path) -> None:
    """Weights cut short: named, and not an exception of a library."""
    place = tiny(tmp_path)
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    done, document = models.report("generate", "x", "--model", str(place))
    assert done.code == 1
    assert reasons(document) == ["file-truncated"]


@pytest.mark.parametrize(
    "content", ["no json", "[]", '{"type": "no-such-type"}', '{"type": "object", "properties": {"a": 5}}']
)
def test_an_invalid_schema_is_a_usage_error(models: Models, content: str) -> None:
    """Exit code 2, before any model is loaded."""
    done = models("generate", "x", "--schema", schema_file(models.home, content))
    assert done.code == 2
    assert "Remedy" in done.err
    assert not done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("x", "--schema", "/no/such/file"),
        ("x", "--role", "writer"),
        ("x", "--model", "a/b/c"),
        ("x", "--format", "json"),
        ("x", "--max-new-tokens", "0"),
        ("x", "--temperature", "nan"),
        ("x", "--role", "embeddings"),
        ("",),
        (" \n",),
        ("\udcff",),
        ("-",),
        (),
    ],
)
def test_wrong_calls_are_usage_errors(models: Models, arguments: tuple[str, ...]) -> None:
    """Exit code 2 for what cannot be meant."""
    done = models("generate", *arguments)
    assert done.code == 2
    assert not done.out


@pytest.mark.parametrize(("stdin", "words"), [(b"", "empty"), (b"\xff\xfe\x00\x80", "UTF-8")])
def test_standard_input_that_is_no_prompt(models: Models, stdin: bytes, words: str) -> None:
    """Nothing, or a file that is no text, is refused with its name: no model is loaded to answer a guess."""
    done = models("generate", "-", stdin=stdin)
    assert done.code == 2
    assert words in done.err
    assert not done.out


def test_a_model_that_is_named_is_carried_out_as_the_settings_say(models: Models, checkpoint: Path) -> None:
    """SIF_AGENT_RUNTIME keeps a named model from minutes of conversion too: one step, and it is transformers'."""
    done, document = models.report("generate", "x", "--model", str(checkpoint), "--max-new-tokens", "2")
    assert done.code == 0
    assert [row[0].split(" in ")[1].split()[0] for row in document["tables"][0]["rows"]] == ["transformers"]
