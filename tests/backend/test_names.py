"""Names that nothing binds, in files that run."""

from __future__ import annotations

import ast
from typing import Final

import pytest

from alwrity_checks.backend.names import traces
from alwrity_checks.source import SourceFile

BROKEN: Final = """
def plan(user):
    try:
        return sooner(user, timedelta(days=1)) or timedelta(days=2)
    except Exception:
        return None

def sooner(user, by):
    return by
"""
CURED: Final = "from datetime import timedelta\n" + BROKEN
PROVIDER: Final = BROKEN + '\nURL = "https://router.huggingface.co/v1"\n'


def found(text: str, *, live: bool = True) -> list[tuple[int, str]]:
    """Return the lines and the first words of what is told of a file."""
    file = SourceFile("services/plan.py", ast.parse(text), text, live)
    return [(trace.line, trace.message.partition(" ")[0]) for trace in traces(file)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(BROKEN, [(4, "timedelta")]), (CURED, []), (PROVIDER, [])],
    ids=["broken", "cured", "provider"],
)
def test_a_name_is_told_once_in_a_function(text: str, expected: list[tuple[int, str]]) -> None:
    """The first place of a name in a function is told; the provider's names are told by issue 2 alone."""
    assert found(text) == expected


def test_a_file_that_does_not_run_is_left_alone() -> None:
    """Nobody reaches a line of a dead copy."""
    assert not found(BROKEN, live=False)


def test_it_stays_known_when_lines_move() -> None:
    """What a fingerprint is made of does not change with the lines above."""
    files = [SourceFile("a.py", ast.parse(text), text, live=True) for text in (BROKEN, "\n\n" + BROKEN)]
    (before,), (after,) = (list(traces(file)) for file in files)
    assert before.line != after.line
    assert before.snippet_key == after.snippet_key
