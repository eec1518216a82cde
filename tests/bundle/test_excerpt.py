"""What is taken of a log: the lines that matter, clean whatever stands before them, and never more than was asked."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.logs.streams import open_streams
from alwrity_checks.redaction import Secret
from alwrity_doctor.bundle import excerpt as module
from alwrity_doctor.bundle.excerpt import excerpt
from alwrity_doctor.bundle.ledger import VALUE, Door

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_doctor.bundle.excerpt import Excerpt

KEY = [
    "-----BEGIN PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "BKcwggSjAgEAAoIBAQC7vbqajDw4o6gJ",
    "-----END PRIVATE KEY-----",
]


def taken(path: Path, most: int = 2000, places: tuple[int, ...] = (), door: Door | None = None) -> Excerpt:
    """Return the excerpt of the log at `path`."""
    (stream,) = open_streams([str(path)]).streams
    return excerpt(stream, places, most, door or Door({}), "a.txt")


def written(tmp_path: Path, lines: list[str], name: str = "app.log") -> Path:
    """Return a log of `lines`."""
    path = tmp_path / name
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["app.log", "app.log.gz"])
def test_a_short_log_is_taken_whole(tmp_path: Path, name: str) -> None:
    """Byte for byte, where nothing in it is secret, compressed or not."""
    lines = [f"line {number}" for number in range(1, 51)]
    found = taken(written(tmp_path, lines, name))
    assert found.text.decode().splitlines() == lines
    assert (found.lines, found.shown, found.cut) == (50, 50, "")


def test_of_a_long_log_the_beginning_the_places_and_the_end_are_taken(tmp_path: Path) -> None:
    """What is left out is said, with its number, where it would stand."""
    path = written(tmp_path, [f"line {number}" for number in range(1, 10_001)])
    found = taken(path, 300, (5000,))
    lines = found.text.decode().splitlines()
    assert found.shown == 300
    assert lines[0] == "line 1"
    assert lines[99:102] == ["line 100", "[4,879 lines left out]", "line 4980"]
    assert lines[141:143] == ["line 5020", "[4,821 lines left out]"]
    assert lines[-1] == "line 10000"


def test_what_matters_comes_before_beginning_and_end(tmp_path: Path) -> None:
    """With room for one place only, it is that place."""
    path = written(tmp_path, [f"line {number}" for number in range(1, 1001)])
    found = taken(path, 41, (500,))
    assert found.text.decode().splitlines()[1:-1] == [f"line {number}" for number in range(480, 521)]


@pytest.mark.parametrize("before", [0, 150, 5000])
def test_a_key_that_began_before_the_part_is_masked(tmp_path: Path, before: int) -> None:
    """The part begins within a private key: its lines are secret by what stands above them, which is not shown."""
    lines = [f"line {number}" for number in range(before)]
    log = [*lines, KEY[0], *KEY[1:3] * 10, KEY[3], *(f"line {number}" for number in range(5000))]
    found = taken(written(tmp_path, log), 45, (before + 24,))
    assert b"line 0" in found.text
    for line in KEY[1:3]:
        assert line.encode() not in found.text


def test_known_values_are_masked_and_counted_where_they_are_shown(tmp_path: Path) -> None:
    """The ledger counts what the excerpt would have shown, not what the rest of the log holds."""
    secret = "correct horse battery"
    door = Door({"DB_PASSWORD": Secret(secret)})
    lines = [f"said {secret}" if number in {5000, 9999} else f"line {number}" for number in range(1, 10_001)]
    found = taken(written(tmp_path, lines), 200, (), door)
    assert b"horse" not in found.text
    assert [(one.kind, one.count) for one in door.removed()] == [(VALUE, 1)]


def test_a_known_value_that_a_terminal_has_wrapped_is_masked(tmp_path: Path) -> None:
    """Neither of its halves is shown, and the lines stay as many as they were."""
    secret = "correct-horse/battery"
    door = Door({"DB_PASSWORD": Secret(secret)})
    found = taken(written(tmp_path, [f"tried {secret[:9]}", f"    {secret[9:]} again", "end"]), door=door)
    assert b"correct" not in found.text
    assert b"battery" not in found.text
    assert found.text.count(b"\n") == 3
    assert [(one.kind, one.count) for one in door.removed()] == [(VALUE, 1)]


def test_an_excerpt_says_nothing_to_a_terminal(tmp_path: Path) -> None:
    """Whoever shows it with `cat` sees what is there; colours, the ends of lines and odd bytes stay as they were."""
    path = tmp_path / "app.log"
    path.write_bytes("a\x1b]0;owned\x07b\x9b2Jc\u202ed\rhidden\x1b[31mred\x1b[0m\r\n".encode() + b"\xff\n")
    expected = rb"a\x1b]0;owned\x07b\x9b2Jc\u202ed\rhidden" + b"\x1b[31mred\x1b[0m\r\n\xff\n"
    assert taken(path).text == expected


def test_a_very_long_line_is_held_short(tmp_path: Path) -> None:
    """A line of 3 MB, and a token in the middle of what is cut off, neither fill the bundle nor come through."""
    path = tmp_path / "app.log"
    path.write_bytes(b"first\n" + b"x " * 3000 + b"\n" + b"y" * (3 << 20) + b"hf_AbCdEfGhIj1234567890\nlast\n")
    found = taken(path)
    assert found.lines == 4
    assert len(found.text) < 20_000
    assert b"AbCdEf" not in found.text
    assert found.text.startswith(b"first\n")
    assert found.text.endswith(b"last\n")


def test_a_long_line_that_shrinks_when_it_is_cleaned_is_left_out(tmp_path: Path) -> None:
    """What stands at the cut of a line that was not read whole may be half of a secret."""
    path = tmp_path / "app.log"
    path.write_bytes(b"eyJ" + b"a" * (3 << 20) + b"\nlast\n")
    assert taken(path).text == b"[a line of more than 1 MiB left out]\nlast\n"


def test_an_excerpt_has_a_bound_whatever_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at a whole line, says so, and says how much is missing."""
    monkeypatch.setattr(module, "_LARGEST", 1000)
    found = taken(written(tmp_path, ["x" * 99] * 50))
    assert found.shown == 10
    assert found.text.endswith(b"[40 lines left out]\n")
    assert found.cut.startswith("it is held to")


def test_a_damaged_log_is_taken_as_far_as_it_goes(tmp_path: Path) -> None:
    """A rotated log whose end is missing gives its beginning, and the reason."""
    path = written(tmp_path, [f"line {number} {number * 7919 % 104729}" for number in range(1, 20_000)], "app.log.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    found = taken(path, 100_000)
    assert found.text.startswith(b"line 1 7919\n")
    assert found.cut
    assert 0 < found.shown <= found.lines < 20_000


@pytest.mark.parametrize("data", [b"", b"\n", b"no end", b"\xff\xfe\x00\n", b"a\r\nb\r\n"])
def test_odd_logs_are_borne(tmp_path: Path, data: bytes) -> None:
    """Nothing, an empty line, a last line without an end, what is no text."""
    path = tmp_path / "app.log"
    path.write_bytes(data)
    found = taken(path)
    assert found.shown == found.lines
