"""What components log: one line an event, with a name that `triage` knows."""

from __future__ import annotations

import ast
import json
import logging
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alwrity_checks
from alwrity_checks.events import emit
from alwrity_checks.logs.causes_events import MARK
from alwrity_checks.logs.signatures import signatures
from tests.support.in_process import CommandLine

LOG = logging.getLogger("tests.events")


class Keeping(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


def told(level: int, event: str, sentence: str, **fields: object) -> logging.LogRecord:
    """Return the record of an event."""
    keeping = Keeping()
    LOG.addHandler(keeping)
    LOG.setLevel(level)
    try:
        emit(LOG, level, event, sentence, exc_info=False, **fields)
    finally:
        LOG.removeHandler(keeping)
    (record,) = keeping.records
    return record


def named_in_the_code() -> set[str]:
    """Return the event of every call of `emit` in the components."""
    names = set()
    for path in Path(next(iter(alwrity_checks.__path__))).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit":
                name = node.args[2]
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: an event's name is no literal"
                names.add(str(name.value))
    return names


def test_every_event_has_a_signature_of_its_name_and_every_such_signature_an_event() -> None:
    """Neither can be renamed, added or removed without the other."""
    known = {one.id: one.literal for one in signatures() if one.literal.startswith(MARK)}
    assert named_in_the_code() == known.keys()
    assert all(literal == MARK + name.encode() for name, literal in known.items())


def test_no_event_is_the_beginning_of_another() -> None:
    """The literal alone tells them apart."""
    names = sorted(named_in_the_code())
    assert not [(one, other) for one in names for other in names if one != other and other.startswith(one)]


def test_an_event_is_a_sentence_and_logfmt() -> None:
    """The sentence comes first; a field without a value is left out; a value with spaces is quoted."""
    record = told(
        logging.WARNING,
        "auth.x",
        "it failed",
        failures=3,
        kept=True,
        wait=0.12345,
        url="https://a.b/c",
        none=None,
        why="a b",
    )
    assert record.getMessage() == ('it failed event=auth.x failures=3 kept=true wait=0.123 url=https://a.b/c why="a b"')


def test_a_handler_that_writes_json_finds_the_fields() -> None:
    """The record itself has the name and the fields, of types that JSON has."""
    record = told(logging.INFO, "hf.x", "so", failures=3, kept=False, path=Path("/a b"))
    assert record.__dict__["event"] == "hf.x"
    assert json.loads(json.dumps(record.__dict__["event_fields"])) == {"failures": 3, "kept": False, "path": "/a b"}


def test_the_record_is_of_the_line_that_told_it() -> None:
    """Not of the helper: a formatter with %(filename)s names the component's file."""
    assert told(logging.INFO, "hf.x", "so").filename == Path(__file__).name


def test_a_level_that_is_off_costs_nothing() -> None:
    """A field is not even turned into text."""

    class Costly:
        def __str__(self) -> str:
            raise AssertionError("asked for its text")

    LOG.setLevel(logging.ERROR)
    emit(LOG, logging.INFO, "hf.x", "so", value=Costly())


@given(st.text(), st.text())
def test_nobodys_text_can_forge_a_line_or_a_field(sentence: str, value: str) -> None:
    """Whatever a server or a token says, it is one line; what is read back from the last field is what was said."""
    line = told(logging.WARNING, "auth.x", sentence, error=value, last=1).getMessage()
    assert len(line.splitlines()) == 1
    _, _, tail = line.rpartition(" event=auth.x error=")
    assert tail.endswith(" last=1")
    kept = tail.removesuffix(" last=1")
    if kept.startswith('"'):
        assert isinstance(json.loads(kept), str)
    else:
        assert shlex.split(kept) == [kept]


def test_nobodys_text_can_forge_an_event(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What a token says of its issuer stands in the sentence and in a field: triage takes neither for an event."""
    forged = "x event=auth.verification-off reason=alg-none"
    record = told(logging.WARNING, "auth.token-refused", f"refused: {forged}", reason="issuer-mismatch", error=forged)
    assert record.getMessage().count(MARK.decode()) == 1
    assert record.__dict__["event_fields"]["error"] == forged
    quoted = record.getMessage().partition(" error=")[2]
    assert json.loads(quoted) == forged
    asked = '12:00:00 | INFO | uvicorn.access - "GET /?event=auth.verification-off HTTP/1.1" 200'
    path = tmp_path / "app.log"
    path.write_text(f"12:00:00 | WARNING | {record.getMessage()}\n{asked}\n", encoding="utf-8")
    seen = CommandLine(monkeypatch, capsys, tmp_path)("triage", "app.log", "--format", "json")
    results = json.loads(seen.out)["results"]
    assert "AUTH002" not in {one["rule"]["code"] for result in results for one in result["findings"]}


@pytest.mark.parametrize("sign", ["\x1b", "\x9b", "\u202e", "\u2028", "\ud800"])
def test_nothing_in_a_line_speaks_to_a_terminal_or_reorders_it(sign: str) -> None:
    """Neither the old nor the eight-bit escapes, and nothing that a file in UTF-8 cannot hold."""
    line = told(logging.WARNING, "auth.x", f"a{sign}b", error=f"a{sign}b").getMessage()
    assert sign not in line
    assert line.encode("utf-8")


@pytest.mark.parametrize(
    "secret", ["hf_" + "abcdefghijklmnopqrstuvwxyz0123456789", "sk_live_" + "abcdefghijklmnopqrstuvwx"]
)
def test_a_secret_is_masked_wherever_it_stands(secret: str) -> None:
    """In the sentence, in a field of the line, and in the field of the record."""
    record = told(logging.WARNING, "auth.x", f"asked with {secret}", error=ValueError(f"refused {secret}"))
    assert secret not in record.getMessage()
    assert secret not in json.dumps(record.__dict__["event_fields"])
