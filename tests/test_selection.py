"""Which checks are chosen by names and issues, and the order that their requirements give them."""

from __future__ import annotations

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.selection import choose, ordered
from tests.support.checks import StubCheck, after

ENV = StubCheck("auth.env")
KEYS = StubCheck("auth.keys", requires=after("auth.env"))
ROUTER = StubCheck("hf.router", issue=2)
BROKEN = StubCheck("acme.acme-checks", issue=0)
AVAILABLE = (KEYS, ROUTER, ENV, BROKEN)


def names(*chosen: StubCheck) -> list[str]:
    """Return the names of `chosen`."""
    return [check.name for check in chosen]


def test_everything_is_chosen_by_default_requirements_first() -> None:
    """Without names all checks are chosen, in their order but for the requirements."""
    assert choose(AVAILABLE) == (ENV, KEYS, ROUTER, BROKEN)


@pytest.mark.parametrize("name", ["auth", "auth.env"])
def test_prefix_or_name_chooses(name: str) -> None:
    """A prefix up to a dot names all checks below it."""
    assert ENV in choose(AVAILABLE, [name])
    assert ROUTER not in choose(AVAILABLE, [name])


def test_prefix_ends_at_a_dot() -> None:
    """`aut` names nothing, and the error tells the known names."""
    with pytest.raises(ConfigurationError) as caught:
        choose(AVAILABLE, ["aut"])
    assert "auth.env, auth.keys, hf.router" in caught.value.remedy


def test_required_check_is_added() -> None:
    """What a chosen check requires runs with it."""
    assert choose(AVAILABLE, ["auth.keys"]) == (ENV, KEYS)


def test_issue_narrows_the_choice_but_hides_no_broken_entry_point() -> None:
    """A check without an issue stands for checks of any."""
    assert choose(AVAILABLE, issues=[2]) == (ROUTER, BROKEN)


def test_unknown_issue_is_an_error() -> None:
    """The error tells which issues have checks."""
    with pytest.raises(ConfigurationError) as caught:
        choose(AVAILABLE, issues=[7])
    assert caught.value.remedy == "there are checks for issue 1, 2"


def test_contradiction_is_an_error() -> None:
    """Names and issues that have nothing in common choose nothing, which is not healthy."""
    with pytest.raises(ConfigurationError, match="none of the checks named"):
        choose(AVAILABLE, ["auth"], [2])


def test_no_installed_check_is_an_error() -> None:
    """An installation without its entry points does not look healthy."""
    with pytest.raises(ConfigurationError, match="no check is installed"):
        choose(())


def test_circle_is_named() -> None:
    """Checks that require each other are told in the order of the circle."""
    circle = (
        StubCheck("a", requires=after("b")),
        StubCheck("b", requires=after("c")),
        StubCheck("c", requires=after("b")),
    )
    with pytest.raises(ConfigurationError, match="b -> c -> b"):
        ordered(circle, circle)


def test_order_does_not_depend_on_how_sets_are_walked() -> None:
    """Several requirements are placed by name."""
    many = StubCheck("z", requires=after("c", "a", "b"))
    parts = [StubCheck(name) for name in "bca"]
    assert names(*ordered([many], [*parts, many])) == ["a", "b", "c", "z"]  # type: ignore[arg-type]
