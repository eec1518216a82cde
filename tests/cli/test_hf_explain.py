"""`alwrity-doctor hf explain`: exit codes and streams, contradictory options, and no secret anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.causes import Cause
from tests.support.in_process import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

ROUTE_MISS = ("--status", "404", "--body", "Not Found")


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_an_answer_is_explained(doctor: CommandLine) -> None:
    """A fault ends with 1, and stdout has the cause, its scope and the remedy."""
    done = doctor("hf", "explain", *ROUTE_MISS)
    assert done.code == 1
    for words in ("HF020", "route-missing", "scope: endpoint", "stop-all", "https://router.huggingface.co/v1"):
        assert words in done.out
    assert done.err == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--status", "200", "--body", '{"choices":[{"message":{"content":"x"}}]}'), 0),
        (("--status", "429"), 0),
        (("--status", "429", "--fail-on", "warn"), 1),
        (("--status", "418", "--body", "x"), 3),
        (("--exception", "Not Found"), 1),
        (("--exception", "tilt"), 3),
    ],
)
def test_exit_codes(doctor: CommandLine, arguments: tuple[str, ...], code: int) -> None:
    """Usable 0, a fault 1 at or above --fail-on, not recognised 3."""
    assert doctor("hf", "explain", *arguments).code == code


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (*ROUTE_MISS, "--exception", "x"),
        ("--exception", "x", "--body", "y"),
        ("--status", "404", "--header", "hf_Secret0Secret0Secret0"),
        ("--status", "404", "--body", "@missing"),
        ("--status", "700"),
    ],
)
def test_unusable_arguments(doctor: CommandLine, arguments: tuple[str, ...]) -> None:
    """Exit code 2, nothing on stdout, and no header's text in the message."""
    done = doctor("hf", "explain", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert "Secret0" not in done.err


def test_files_and_headers(doctor: CommandLine, tmp_path: Path) -> None:
    """A body or a log can come from a file; headers count whatever their case."""
    (tmp_path / "body").write_bytes(b'{"error":"slow down"}')
    (tmp_path / "log").write_text("ERROR NotFoundError: Not Found\n")
    done = doctor(
        "hf", "explain", "--status", "429", "--body", "@body", "--header", "Retry-After: 3", "--format", "json"
    )
    assert done.reasons == [Cause.RATE_LIMITED]
    assert {"label": "retry after", "value": "3 s"} in done.document["results"][0]["findings"][0]["evidence"]
    done = doctor("hf", "explain", "--exception", "@log", "--format", "json")
    assert done.reasons == [Cause.ROUTE_MISSING]


def test_a_token_in_a_body_is_not_shown(doctor: CommandLine) -> None:
    """What a server or a log repeats of a token is redacted in every format."""
    token = "hf_" + "Ab1" * 12
    for form in ("text", "json", "markdown"):
        for arguments in (("--status", "418", "--body", token), ("--exception", f"tilt {token}")):
            done = doctor("hf", "explain", *arguments, "--format", form)
            assert token[:12] not in done.out + done.err
