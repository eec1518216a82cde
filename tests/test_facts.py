"""Requirements: what holds on this machine, and what is said where something does not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import Requirement, RequirementKind
from alwrity_doctor import facts
from alwrity_doctor.facts import EXTRAS, first_missing
from tests.support.checks import StubCheck, after, context

ROOT = Path(__file__).parent.parent


def needing(kind: RequirementKind, *names: str) -> StubCheck:
    """Return a check with one requirement."""
    return StubCheck("a.b", requires=frozenset({Requirement(kind, names)}))


def test_nothing_required_is_nothing_missing() -> None:
    """A check without requirements can run anywhere."""
    assert first_missing(StubCheck("a.b"), context(offline=True)) is None


def test_network_is_missing_only_offline() -> None:
    """`--offline` is the one reason to think that there is no network before it is tried."""
    check = needing(RequirementKind.NETWORK)
    assert first_missing(check, context()) is None
    missing = first_missing(check, context(offline=True))
    assert missing
    assert missing.reason == "--offline was given"


@pytest.mark.parametrize("kind", [RequirementKind.CREDENTIAL, RequirementKind.SETTING])
def test_one_of_the_alternative_settings_suffices(kind: RequirementKind) -> None:
    """One of the names is enough; a setting may be set to nothing, which may be the fault, a credential may not."""
    check = needing(kind, "CLERK_A", "CLERK_B")
    assert first_missing(check, context(CLERK_A="", CLERK_B="x")) is None
    assert (first_missing(check, context(CLERK_A="")) is None) is (kind is RequirementKind.SETTING)
    missing = first_missing(check, context())
    assert missing
    assert missing.reason == "none of CLERK_A, CLERK_B is set"
    assert missing.remedy == "set CLERK_A or CLERK_B, or pass --env-file FILE"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["CLERK_A"], "CLERK_A is not set"),
        (["CLERK_A", "CLERK_B", "CLERK_C"], "none of CLERK_A, CLERK_B, … is set"),
    ],
)
def test_reason_names_what_is_not_set(names: list[str], reason: str) -> None:
    """One name is a plain statement; of many the first two are shown."""
    missing = first_missing(needing(RequirementKind.SETTING, *names), context())
    assert missing
    assert missing.reason == reason


def test_checkout_is_missing_unless_named() -> None:
    """A check of the user's checkout needs to be told where it is."""
    check = needing(RequirementKind.CHECKOUT)
    assert first_missing(check, context(backend="/srv/app")) is None
    assert first_missing(check, context()) is not None


def test_installed_extra_is_not_missing() -> None:
    """The tests' environment has every extra."""
    assert first_missing(needing(RequirementKind.EXTRA, "fastapi"), context()) is None


def test_missing_extra_comes_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra whose module cannot be found is named with the command that installs it."""
    monkeypatch.setattr(facts, "EXTRAS", {"fastapi": ("no_such_module_anywhere",)})
    missing = first_missing(needing(RequirementKind.EXTRA, "fastapi"), context())
    assert missing
    assert missing.remedy == 'pip install "alwrity-doctor[fastapi]"'


def test_extra_we_do_not_have_is_an_error() -> None:
    """No pip command is offered for an extra that does not exist."""
    with pytest.raises(ConfigurationError, match=r"no extra \[gpu\]"):
        first_missing(needing(RequirementKind.EXTRA, "gpu"), context())


def test_table_of_extras_is_that_of_the_distribution() -> None:
    """Every extra of `pyproject.toml` that brings a feature can be required."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - {"all", "test"}


def test_other_checks_are_left_to_the_run() -> None:
    """Whether another check went well is not a fact of the machine."""
    assert first_missing(StubCheck("a", requires=after("b")), context()) is None
