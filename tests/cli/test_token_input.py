"""Every way in which a token reaches a command, in every encoding a shell writes, and none of them showing it."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from alwrity_checks import redaction
from alwrity_checks.auth.kinds import unwrap
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub
from alwrity_doctor.cli.token_input import read_token
from tests.support.in_process import bare

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyXzEyMzQ1Njc4In0.c2lnbmF0dXJlLW9mLW5vYm9keQ"
VARIABLE = "ALWRITY_DOCTOR_TOKEN"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no token from outside."""
    bare(monkeypatch)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Return the bytes behind standard input."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    return data


def given(piped: io.BytesIO, data: bytes) -> str:
    """Return what is read when `data` is piped in."""
    piped.seek(0)
    piped.truncate()
    piped.write(data)
    piped.seek(0)
    return read_token("-", None)


def test_an_argument_comes_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """It is taken, and the note about other users is talk: on stderr, without the token."""
    assert read_token(TOKEN, None) == TOKEN
    said = capsys.readouterr()
    assert said.out == ""
    assert "visible to other users" in said.err
    assert TOKEN not in said.err


def test_the_other_ways_are_quiet(
    piped: io.BytesIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard input, a file and the environment give the same text, and nothing is said."""
    assert given(piped, TOKEN.encode()) == TOKEN
    (tmp_path / "token").write_text(TOKEN)
    assert read_token(None, tmp_path / "token") == TOKEN
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert read_token(None, None) == TOKEN
    assert capsys.readouterr() == ("", "")


def test_no_token_names_the_ways() -> None:
    """The remedy holds every way that shows the token to nobody."""
    with pytest.raises(ConfigurationError) as caught:
        read_token(None, None)
    assert caught.value.diagnosis == "no token was given"
    for way in ("auth verify -", "--token-file", VARIABLE):
        assert way in caught.value.remedy


@pytest.mark.parametrize("argument", [TOKEN, "-", ""])
def test_two_tokens_are_a_contradiction(argument: str, tmp_path: Path) -> None:
    """An argument beside --token-file is not guessed about."""
    with pytest.raises(ConfigurationError, match="--token-file"):
        read_token(argument, tmp_path / "token")


def test_what_was_typed_wins_over_the_environment(
    piped: io.BytesIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is the last resort."""
    monkeypatch.setenv(VARIABLE, "another")
    assert given(piped, TOKEN.encode()) == TOKEN
    (tmp_path / "token").write_text(TOKEN)
    assert read_token(None, tmp_path / "token") == TOKEN
    assert read_token(TOKEN, None) == TOKEN


@pytest.mark.parametrize(
    "data",
    [
        TOKEN.encode(),
        f"{TOKEN}\n".encode(),
        f"{TOKEN}\r\n".encode(),
        f"{TOKEN}\r".encode(),
        f"{TOKEN}\r\n".encode("utf-16"),
        b"\xff\xfe" + f"{TOKEN}\r\n".encode("utf-16-le"),
        b"\xfe\xff" + f"{TOKEN}\n".encode("utf-16-be"),
    ],
    ids=ascii,
)
def test_the_line_end_of_a_shell_is_no_part_of_it(piped: io.BytesIO, tmp_path: Path, data: bytes) -> None:
    """One line end is taken off, and PowerShell's UTF-16 is read; from a pipe and from a file alike."""
    assert given(piped, data) == TOKEN
    (tmp_path / "token").write_bytes(data)
    assert read_token(None, tmp_path / "token") == TOKEN


@pytest.mark.parametrize(
    "data",
    [
        f"{TOKEN}\n\n".encode(),
        f"  {TOKEN}".encode(),
        f"\ufeff{TOKEN}\r\n".encode(),
        f'"{TOKEN}"\n'.encode(),
        f"Authorization: Bearer {TOKEN}\r\n".encode(),
        f"__session={TOKEN}; \n".encode(),
    ],
    ids=ascii,
)
def test_everything_else_is_left_to_the_diagnosis(piped: io.BytesIO, data: bytes) -> None:
    """What was pasted around the token is handed on, so that it can be named."""
    text = given(piped, data)
    assert text != TOKEN
    assert unwrap(text)[0] == TOKEN


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n"])
def test_an_empty_input_is_an_empty_token(piped: io.BytesIO, data: bytes) -> None:
    """A pipe that broke upstream is diagnosed, not refused."""
    assert given(piped, data) == ""


def test_two_lines_stay_two_lines(piped: io.BytesIO) -> None:
    """Only the last line end goes: a token followed by a log line is not a token."""
    assert given(piped, f"{TOKEN}\nINFO: done\n".encode()) == f"{TOKEN}\nINFO: done"


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\xff\xfe\x00", b"\xfe\xff\xd8", b"\xff\xfe\x00\xd8", b"\x80" * 100, b"\x00" * 100]
)
def test_binary_data_is_text_of_some_kind(piped: io.BytesIO, data: bytes) -> None:
    """No byte makes the reading fail, and what is read can be wrapped as a secret."""
    assert isinstance(given(piped, data), str)


def test_a_flood_is_cut(piped: io.BytesIO, tmp_path: Path) -> None:
    """A little more than 1 MiB is read, of a pipe as of a file: enough to tell that it is no token."""
    assert len(given(piped, b"x" * (5 << 20))) == (1 << 20) + 1
    (tmp_path / "token").write_bytes(b"x" * (5 << 20))
    assert len(read_token(None, tmp_path / "token")) == (1 << 20) + 1


@pytest.mark.parametrize("name", [".", "missing", "missing/token"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A directory and a missing file are configuration errors with a remedy."""
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        read_token(None, tmp_path / name)
    assert caught.value.remedy


@pytest.mark.parametrize("closed", [True, False])
def test_a_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch, *, closed: bool) -> None:
    """A cron job or a Windows service without one: named, with the way around."""
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    monkeypatch.setattr(sys, "stdin", stream if closed else None)
    with pytest.raises(ConfigurationError, match="closed") as caught:
        read_token("-", None)
    assert "--token-file" in caught.value.remedy


def test_what_was_read_is_scrubbed_from_then_on(piped: io.BytesIO) -> None:
    """Neither the token nor its payload nor its signature survives in any message, alone or in a sentence."""
    _, payload, signature = TOKEN.split(".")
    for form in ("{}", "{}\n", "Bearer {}", "Authorization: Bearer {}"):
        given(piped, form.format(TOKEN).encode())
        for leak in (TOKEN, payload, signature, f"<{payload}>", f"'{signature}'", f"Bearer {TOKEN}"):
            scrubbed = scrub(f"failed with {leak} here")
            assert payload not in scrubbed
            assert signature not in scrubbed


@pytest.mark.parametrize("form", ["{}\n\n", '"{}"', "__session={};", "\u201c{}\u201d"])
def test_what_was_read_with_wrapping_is_scrubbed_too(
    piped: io.BytesIO, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """What was pasted behind the token does not keep its signature, which is what makes it, in sight."""
    monkeypatch.setattr(redaction, "_registered", set())
    given(piped, form.format(TOKEN).encode())
    signature = TOKEN.rpartition(".")[2]
    for leak in (TOKEN, signature):
        assert signature not in scrub(f"failed with {leak} here")
