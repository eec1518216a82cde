"""A log that is still written is read as it grows: through rotation, truncation, and before it is there."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Self, cast

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.logs.choice import matcher_for
from alwrity_checks.logs.diagnosis import diagnose
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.following import Followed, Tail, follow, follow_names
from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.probe import LONGEST_LINE
from alwrity_checks.logs.streams import Stream, open_streams
from alwrity_checks.logs.summary import EMPTY, Summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

SALT = b"0123456789abcdef"
REJECTED = (
    "06:36:{:02} | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected (production).\n"
)
LATE = 30.0


def count(summary: Summary, signature: str = "auth.rejected-production") -> int:
    """Return how many lines of a signature a summary has."""
    return sum(
        tally.times.count
        for piece in summary.streams().values()
        for (name, _), tally in piece.tallies.items()
        if name == signature
    )


class Following:
    """Follows in a thread, and waits until something has been seen."""

    def __init__(self, *sources: Tail | Stream, wait: float = LATE) -> None:
        self.stop = threading.Event()
        self.summary = EMPTY
        self.notes: list[str] = []
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._sources = sources
        self._wait = wait
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        matcher = matcher_for("python", probes())
        try:
            for news in follow(self._sources, matcher, gatherer(SALT), stop=self.stop, wait=self._wait):
                with self._changed:
                    self.summary = news.summary
                    self.notes += news.notes
                    self._changed.notify_all()
        except ConfigurationError as error:
            self.error = error

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`."""
        with self._changed:
            assert self._changed.wait_for(holds, timeout=LATE), (count(self.summary), self.notes)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(LATE)
        assert not self._thread.is_alive()


def append(path: Path, *seconds: int) -> None:
    """Add a line for each of `seconds`."""
    with path.open("a") as file:
        file.writelines(REJECTED.format(second) for second in seconds)


def test_what_is_there_and_what_comes(tmp_path: Path) -> None:
    """The existing lines are read, then the new ones, and a half line only when it is whole."""
    path = tmp_path / "app.log"
    append(path, 1, 2)
    with Following(Tail(str(path))) as following:
        following.until(lambda: count(following.summary) == 2)
        with path.open("a") as file:
            file.write(REJECTED.format(3)[:60])
            file.flush()
            append(tmp_path / "other.log", 1)
            file.write(REJECTED.format(3)[60:])
        following.until(lambda: count(following.summary) == 3)


def test_a_rotated_log_goes_on(tmp_path: Path) -> None:
    """What was written to the old file before and to the new one after the rotation is counted, once each."""
    path = tmp_path / "app.log"
    append(path, 1)
    with Following(Tail(str(path))) as following:
        following.until(lambda: count(following.summary) == 1)
        append(path, 2)
        path.rename(tmp_path / "app.log.1")
        append(path, 3, 4)
        following.until(lambda: count(following.summary) == 4)
    assert [note for note in following.notes if "was rotated" in note]


def test_a_truncated_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    """`copytruncate` empties the file; what comes after is counted."""
    path = tmp_path / "app.log"
    append(path, 1, 2, 3)
    with Following(Tail(str(path))) as following:
        following.until(lambda: count(following.summary) == 3)
        os.truncate(path, 0)
        append(path, 4)
        following.until(lambda: count(following.summary) == 4)
    assert [note for note in following.notes if "became shorter" in note]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """It is read when it appears."""
    path = tmp_path / "app.log"
    with Following(Tail(str(path))) as following:
        append(path, 1)
        following.until(lambda: count(following.summary) == 1)


def test_waiting_has_an_end(tmp_path: Path) -> None:
    """If none appears in time that is an error; if some exist, the missing ones are told and left."""
    path = tmp_path / "app.log"
    with Following(Tail(str(tmp_path / "never.log")), wait=0.3) as alone:
        alone._thread.join(LATE)
    assert alone.error is not None
    assert "did not appear within 0.3 s" in str(alone.error)
    append(path, 1)
    with Following(Tail(str(path)), Tail(str(tmp_path / "never.log")), wait=0.3) as both:
        both.until(lambda: bool(both.notes))
        append(path, 2)
        both.until(lambda: count(both.summary) == 2)
    assert "not waited for any longer" in both.notes[0]


def test_pipes_end_and_so_does_following(tmp_path: Path) -> None:
    """A pipe's last line needs no end, and when every pipe has ended the run is over."""
    text = (REJECTED.format(1) + REJECTED.format(2).rstrip("\n")).encode()
    stream = Stream("-", source=cast("BinaryIO", io.BytesIO(text)))
    with Following(stream) as following:
        following._thread.join(LATE)
        assert not following._thread.is_alive()
    assert count(following.summary) == 2
    del tmp_path


def test_the_last_line_counts_when_somebody_says_stop(tmp_path: Path) -> None:
    """A line without an end is taken as it is at the end."""
    path = tmp_path / "app.log"
    path.write_text(REJECTED.format(1) + REJECTED.format(2).rstrip("\n"))
    with Following(Tail(str(path))) as following:
        following.until(lambda: count(following.summary) == 1)
    assert count(following.summary) == 2


@pytest.mark.parametrize("size", [1, 37, 5000, 1 << 20])
def test_following_comes_to_what_a_scan_does(tmp_path: Path, size: int) -> None:
    """Whatever pieces the lines come in, the summary has the counts, times and incidents of the whole file."""
    path = tmp_path / "app.log"
    append(path, *range(40 if size == 1 else 60))
    with path.open("a") as file:
        file.write("07:00:00 | WARNING  | a.b:c:1 - nobody knows this 42\n")
    (stream,) = open_streams([str(path)]).streams
    whole = scan([stream], probes(), gatherer(SALT), workers=1, engine="python")
    followed = Followed(str(path), matcher_for("python", probes()), gatherer(SALT))
    data, got = path.read_bytes(), EMPTY
    for at in range(0, len(data), size):
        for more in followed.take(data[at : at + size], last=at + size >= len(data)):
            got = got.merge(more)
    (mine,), (theirs,) = got.streams().values(), whole.streams().values()
    assert {key: tally.as_data() for key, tally in mine.tallies.items()} == {
        key: tally.as_data() for key, tally in theirs.tallies.items()
    }
    assert mine.clusters.as_data() == theirs.clusters.as_data()
    assert len(got.pieces) == 1, "neighbours are joined, so that a day of following stays small"


def test_a_line_that_is_too_long_is_passed_over() -> None:
    """Of a line without an end in sight the beginning is looked at, the rest is told, and memory does not grow."""
    followed = Followed("x", matcher_for("python", probes()), gatherer(SALT))
    got = EMPTY
    for block in (
        REJECTED.format(1).rstrip("\n").encode() + b"x" * 100,
        *[b"y" * 100_000] * 50,
        b"\n",
        REJECTED.format(2).encode(),
    ):
        for more in followed.take(block):
            got = got.merge(more)
        assert len(followed._data) < 3 * LONGEST_LINE + 200_000
    assert count(got) == 2
    (unread,) = diagnose(got).skipped
    assert unread.length > 4_900_000


def test_what_cannot_be_followed_is_told(tmp_path: Path) -> None:
    """Patterns, directories and compressed files do not grow."""
    for name in ("*.log", str(tmp_path), "app.log.gz"):
        with pytest.raises(ConfigurationError):
            follow_names([name])
    assert follow_names(["a.log", "b.log", "a.log"]) == ["a.log", "b.log"]
