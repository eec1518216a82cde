"""The recommended chain: what is best comes first, and the second one is somebody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.canary import Structure
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.probe_result import Cell, ProbeResult

if TYPE_CHECKING:
    from alwrity_checks.hf.chain import Chain

STRICT, TOOL, OBJECT = Mode.JSON_SCHEMA_STRICT, Mode.TOOL, Mode.JSON_OBJECT
OK = classification(Cause.OK, "valid")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def plain(text: str, served_by: str | None = None) -> Cell:
    """Return the cell of a deployment that is alive."""
    return Cell(Deployment.parse(text), None, OK, seconds=0.5, served_by=served_by, requests=1)


def heeded(text: str, mode: Mode, seconds: float = 0.5, served_by: str | None = None) -> Cell:
    """Return the cell of a mode that is honoured."""
    deployment = Deployment.parse(text)
    return Cell(deployment, mode, OK, Structure.HONOURED, seconds=seconds, served_by=served_by, requests=1)


def failed(text: str, mode: Mode | None, cause: Cause, structure: Structure | None = None) -> Cell:
    """Return the cell of a failure."""
    return Cell(Deployment.parse(text), mode, classification(cause, "so it is"), structure, requests=1)


def chain(*cells: Cell, stopped: bool = False) -> Chain | None:
    """Return what is recommended."""
    because = classification(Cause.CREDITS_GONE, "no credits") if stopped else None
    return ProbeResult(cells, len(cells), 1.0, 0.0, because).chain(NOW, "http://127.0.0.1/v1")


def links(*cells: Cell) -> list[tuple[str, Mode | None]]:
    """Return the deployments and modes that are recommended."""
    found = chain(*cells)
    return [(str(link.deployment), link.mode) for link in found.links] if found else []


def test_the_strictest_honoured_mode_counts() -> None:
    """Of each deployment, in whatever order the cells came."""
    assert links(plain("a/a:x"), heeded("a/a:x", OBJECT), heeded("a/a:x", TOOL)) == [("a/a:x", TOOL)]


def test_the_callers_order_counts_among_those_that_take_a_schema() -> None:
    """A preferred model with a tool comes before another one with a strict schema, and a faster one."""
    found = links(heeded("a/a:x", TOOL, 2.0), heeded("b/b:y", STRICT, 0.1))
    assert found == [("a/a:x", TOOL), ("b/b:y", STRICT)]


def test_a_schema_that_is_sent_counts_more_than_one_that_is_told() -> None:
    """Whatever the caller's order is."""
    assert links(heeded("a/a:x", OBJECT), heeded("b/b:x", STRICT)) == [("b/b:x", STRICT), ("a/a:x", OBJECT)]


def test_of_one_model_the_faster_provider_comes_first() -> None:
    """With the same mode."""
    found = links(heeded("a/a:x", STRICT, 0.9), heeded("a/a:y", STRICT, 0.3))
    assert [name for name, _ in found] == ["a/a:y", "a/a:x"]


def test_the_second_is_served_by_another_provider() -> None:
    """A slower one, too, or one that is merely told of the schema; and by whom it is really served counts."""
    cells = [heeded("a/a:x", STRICT), heeded("b/b:x", STRICT), heeded("c/c:y", OBJECT)]
    assert [name for name, _ in links(*cells)] == ["a/a:x", "c/c:y", "b/b:x"]
    cells = [heeded("a/a", STRICT, served_by="x"), heeded("b/b", STRICT, served_by="x"), heeded("c/c:y", STRICT)]
    assert [name for name, _ in links(*cells)] == ["a/a", "c/c:y", "b/b"]


def test_one_that_heeds_no_schema_stays_last() -> None:
    """Being another provider's is no merit by itself."""
    cells = [heeded("a/a:x", STRICT), heeded("b/b:x", STRICT), plain("c/c:y")]
    assert [name for name, _ in links(*cells)] == ["a/a:x", "b/b:x", "c/c:y"]


@pytest.mark.parametrize(
    ("cells", "mode"),
    [
        ([], None),
        ([(STRICT, Cause.SCHEMA_UNSUPPORTED, None), (TOOL, Cause.TOOLS_UNSUPPORTED, None)], Mode.PROMPT),
        ([(STRICT, Cause.STRUCTURE_IGNORED, Structure.IGNORED)], Mode.PROMPT),
        ([(STRICT, Cause.STRUCTURE_IGNORED, Structure.IGNORED), (TOOL, Cause.TIMED_OUT, None)], None),
        ([(STRICT, Cause.TRUNCATED, Structure.CUT)], None),
    ],
)
def test_only_what_is_known_to_be_in_vain_is_given_up(
    cells: list[tuple[Mode, Cause, Structure | None]], mode: Mode | None
) -> None:
    """Where every mode was refused or ignored the prompt is left; where one merely failed, nothing is known."""
    assert links(plain("a/a:x"), *(failed("a/a:x", *one) for one in cells)) == [("a/a:x", mode)]


def test_what_does_not_answer_is_not_recommended() -> None:
    """And where nothing answers there is no chain."""
    dead = failed("a/a:x", None, Cause.TIMED_OUT), Cell(Deployment.parse("a/a:x"), STRICT, skipped="plain text failed")
    assert links(*dead, heeded("b/b:y", STRICT)) == [("b/b:y", STRICT)]
    assert chain(*dead) is None


def test_a_probe_that_was_ended_recommends_nothing() -> None:
    """What answered before the credits were gone does not answer now."""
    assert chain(heeded("a/a:x", STRICT), stopped=True) is None


def test_when_and_where_it_was_measured_is_kept() -> None:
    """The generator asks for both."""
    found = chain(heeded("a/a:x", STRICT))
    assert found is not None
    assert (found.measured_at, found.base_url) == (NOW, "http://127.0.0.1/v1")
    assert "honours json_schema strict" in found.links[0].reason
