"""`alwrity-doctor hf generate`: the value and nothing else on stdout, the truth about it on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from tests.support.in_process import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.in_process import Done

SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
GROQ = "openai/gpt-oss-120b:groq"


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in a directory with a schema and one that is none, and without any setting."""
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "invalid.json").write_text('{"type": "objekt"}')
    return CommandLine(monkeypatch, capsys, tmp_path)


def generate(
    doctor: CommandLine,
    server: LoopbackRouter,
    *arguments: str,
    schema: str = "schema.json",
    stdin: bytes | None = None,
    **variables: str,
) -> Done:
    """Generate, with the router's token."""
    variables = {"HF_TOKEN": server.token, "HF_ROUTER_BASE_URL": server.base_url} | variables
    return doctor("hf", "generate", "--schema", schema, *arguments, stdin=stdin, **variables)


def test_stdout_is_the_value(doctor: CommandLine, server: LoopbackRouter) -> None:
    """What a pipe reads is one valid JSON document; who served it, and how, is said on stderr."""
    done = generate(doctor, server, "Name it.", "--model", GROQ)
    assert done.code == 0
    assert json.loads(done.out) == {"title": "text", "score": 1}
    assert "openai/gpt-oss-120b at groq" in done.err
    assert f"{GROQ}  json_schema strict  valid " in done.err


def test_the_attempts_on_the_way_are_told(doctor: CommandLine, server: LoopbackRouter) -> None:
    """A refused mode and a provider that is down have their rows, in order."""
    server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="groq", mode=Mode.JSON_SCHEMA_STRICT)
    server.behave(Behaviour.NOT_A_CHAT_MODEL, provider="novita")
    models = ("--model", "openai/gpt-oss-20b:novita", "--model", GROQ)
    done = generate(doctor, server, "Name it.", *models, "--format", "json")
    (table,) = done.document["tables"]
    assert [(row[0], row[2]) for row in table["rows"]] == [
        ("openai/gpt-oss-20b:novita", Cause.NOT_A_CHAT_MODEL),
        (GROQ, Cause.SCHEMA_UNSUPPORTED),
        (GROQ, "valid"),
    ]
    (result,) = done.document["results"]
    assert json.loads(result["evidence"][0]["value"]) == {"title": "text", "score": 1}


def test_without_a_value_stdout_is_empty(doctor: CommandLine, server: LoopbackRouter) -> None:
    """No failure looks like data: exit code 1, the cause and every request on stderr."""
    server.behave(Behaviour.PROSE)
    done = generate(doctor, server, "Name it.", "--model", GROQ)
    assert (done.code, done.out) == (1, "")
    assert "HF052" in done.err
    assert done.err.count(f"{GROQ} ") >= 3


def test_an_answer_that_is_not_recognised_is_unknown(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Exit code 3: there is no value, and no cause either."""
    server.behave(Behaviour.UNKNOWN_ERROR)
    done = generate(doctor, server, "Name it.", "--model", GROQ)
    assert (done.code, done.out) == (3, "")
    assert "short and stout" in done.err


def test_a_warning_of_every_request_is_a_failure_of_the_whole(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Without a value the verdict is `fail`, however light the fault of one request weighs."""
    server.behave(Behaviour.TRUNCATED)
    assert generate(doctor, server, "Name it.", "--model", GROQ).code == 1


def test_the_prompt_comes_from_stdin(doctor: CommandLine, server: LoopbackRouter) -> None:
    """`-` is standard input, as it came."""
    assert generate(doctor, server, "-", "--model", GROQ, stdin="Grüße".encode()).code == 0
    assert server.calls[-1].payload["messages"][-1]["content"] == "Grüße"
    assert generate(doctor, server, "-", "--model", GROQ).code == 2


def test_a_written_chain_is_asked(doctor: CommandLine, server: LoopbackRouter, tmp_path: Path) -> None:
    """The deployments are those of the file; without one and without --model they are the backend's."""
    Chain.unmeasured("google/gemma-3-27b-it:scaleway").save(tmp_path / "chain.json")
    assert generate(doctor, server, "Name it.", "--chain", "chain.json").code == 0
    assert generate(doctor, server, "Name it.").code == 0
    assert generate(doctor, server, "Name it.", HF_FALLBACK_MODELS="Qwen/Qwen3-32B:groq").code == 0
    asked = [(call.model, call.provider) for call in server.calls]
    assert asked == [
        ("google/gemma-3-27b-it", "scaleway"),
        ("openai/gpt-oss-120b", "groq"),
        ("Qwen/Qwen3-32B", "groq"),
    ]


def test_characters_that_steer_a_terminal_are_escaped_and_stay_in_the_value(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path
) -> None:
    """A model's text cannot clear the screen or turn what is read around; a reader of the JSON gets it unchanged."""
    text = "\x1b[2J\u202egnp.exe\x9b é"
    (tmp_path / "const.json").write_text(json.dumps({"type": "object", "properties": {"t": {"const": text}}}))
    done = generate(doctor, server, "Name it.", "--model", GROQ, schema="const.json")
    assert json.loads(done.out) == {"t": text}
    assert "é" in done.out
    assert not {"\x1b", "\u202e", "\x9b"} & set(done.out + done.err)


def test_a_report_goes_to_a_file_beside_the_value(doctor: CommandLine, server: LoopbackRouter, tmp_path: Path) -> None:
    """With --format F=FILE stdout is still the value, and stderr is quiet."""
    done = generate(doctor, server, "Name it.", "--model", GROQ, "--format", "markdown=report.md")
    assert json.loads(done.out)
    assert done.err == ""
    assert "## Requests" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("--schema", "invalid.json"), {}),
        (("--schema", "missing.json"), {}),
        (("--chain", "x", "--model", GROQ), {}),
        (("--format", "text"), {}),
        (("--model", "a b"), {}),
        ((), {"HF_TOKEN": ""}),
        ((), {"HF_ROUTER_BASE_URL": "https://router.huggingface.co/hf/v1"}),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(
    doctor: CommandLine,
    server: LoopbackRouter,
    arguments: tuple[str, ...],
    variables: dict[str, str],
) -> None:
    """An invalid schema, contradictory options, no token, a base URL that is no route: exit code 2, nothing sent."""
    done = generate(doctor, server, "Name it.", *arguments, stdin=None, **variables)
    assert (done.code, done.out, server.hits) == (2, "", 0)
    assert "Remedy: " in done.err


def test_the_token_is_nowhere(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Neither a success nor a failure shows any of it."""
    for model in (GROQ, "acme/none"):
        done = generate(doctor, server, server.token, "--model", model)
        assert server.token[3:20] not in done.out + done.err
