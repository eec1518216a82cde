"""`hf generate` and `hf chain` against `transformers serve`: a server of somebody else's, which heeds no schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.causes import Cause
from tests.support.in_process import CommandLine
from tests.support.tiny_qwen import JSON_ANSWER
from tests.support.transformers_serve import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.transformers_serve import TransformersServe

TOKEN = "hf_transformersServeAsksForNone"
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["title", "score"],
}
OTHER_SCHEMA = {"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]}


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in a directory with two schemas, and without any setting."""
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "other.json").write_text(json.dumps(OTHER_SCHEMA))
    return CommandLine(monkeypatch, capsys, tmp_path)


@pytest.mark.parametrize(("schema", "code"), [("schema.json", 0), ("other.json", 1)])
def test_a_value_or_an_honest_error(
    doctor: CommandLine, transformers_serve: TransformersServe, schema: str, code: int
) -> None:
    """The schema that the model can follow gives its value; for another one stdout stays empty."""
    arguments = ["--schema", schema, "--base-url", transformers_serve.base_url, "--model", MODELS[0]]
    done = doctor("hf", "generate", *arguments, "Rate the headline.", HF_TOKEN=TOKEN)
    assert done.code == code
    assert (json.loads(done.out) == json.loads(JSON_ANSWER)) if code == 0 else (done.out == "")
    assert str(Cause.STRUCTURE_IGNORED) in done.err


def test_no_chain_is_written(doctor: CommandLine, transformers_serve: TransformersServe, tmp_path: Path) -> None:
    """What came right by chance is no measurement: no file."""
    file = tmp_path / "chain.json"
    where = ["--base-url", transformers_serve.base_url, "--write", str(file), "--schema", "schema.json"]
    done = doctor("hf", "chain", *where, MODELS[0], "--format", "json", HF_TOKEN=TOKEN)
    assert (done.code, set(done.reasons)) == (1, {Cause.STRUCTURE_IGNORED})
    assert not file.exists()
