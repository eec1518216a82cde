"""The switches, read as the backend's middleware reads them: over every combination, with nothing but its rules."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.middleware import switch_findings, verifies_by_component
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alwrity_checks.model import Finding

ABSENT = None


def findings(variables: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return what is found with these variables in the environment."""
    return tuple(switch_findings(Settings.load(environment=variables)))


def reasons(variables: Mapping[str, str]) -> set[str]:
    """Return the reason codes."""
    return {finding.evidence[0].value for finding in findings(variables)}


def middleware(variables: Mapping[str, str]) -> set[str]:
    """Return what the middleware since commit 01881bb4 does, statement by statement."""
    does: set[str] = set()
    if variables.get("DISABLE_AUTH", "false").lower() == "true":
        does.add(Reason.AUTH_DISABLED)
    environment = (variables.get("ENVIRONMENT") or variables.get("APP_ENV") or "development").strip().lower()
    override = variables.get("ALLOW_UNVERIFIED_JWT_DEV")
    if environment not in {"prod", "production"} if override is None else override.lower() == "true":
        does.add(Reason.UNVERIFIED_FALLBACK_ENABLED)
    return does


def combinations(**values: tuple[str | None, ...]) -> list[dict[str, str]]:
    """Return every combination; None leaves the variable out."""
    rows = (dict(zip(values, row, strict=True)) for row in product(*values.values()))
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_every_combination_of_switches() -> None:
    """The finding is there exactly where the middleware verifies nothing."""
    for variables in combinations(
        ENVIRONMENT=(ABSENT, " ", "production", "Production", " prod ", "PROD", "development", "staging", "live"),
        APP_ENV=(ABSENT, "", "production", "development"),
        ALLOW_UNVERIFIED_JWT_DEV=(ABSENT, "", "true", "TRUE", "false", "1", "yes"),
        DISABLE_AUTH=(ABSENT, "", "true", "True", "1", "false"),
        ENV=(ABSENT, "production"),
    ):
        found = reasons(variables) - {Reason.ENVIRONMENT_NAME_TRAP}
        assert found == middleware(variables), variables


def test_an_empty_environment_does_not_hide_app_env() -> None:
    """The middleware reads ENVIRONMENT, or APP_ENV if that is empty."""
    for variables in combinations(ENVIRONMENT=("",), APP_ENV=("production", "prod", "development", "")):
        assert reasons(variables) == middleware(variables), variables


@pytest.mark.parametrize("name", ["DISABLE_AUTH", "ALLOW_UNVERIFIED_JWT_DEV"])
def test_blanks_around_true_make_it_false(name: str) -> None:
    """The middleware compares the lower-cased value, blanks included."""
    variables = {name: " true ", "ENVIRONMENT": "production"}
    assert reasons(variables) == middleware(variables)


@pytest.mark.parametrize("name", ["ENV", "DEPLOY_ENV", "REACT_APP_ENVIRONMENT"])
@pytest.mark.parametrize("value", ["production", "PROD", " live "])
def test_a_name_that_the_middleware_does_not_read(name: str, value: str) -> None:
    """It looks right and closes nothing: named as a trap wherever the fallback is open."""
    assert reasons({name: value}) == {Reason.UNVERIFIED_FALLBACK_ENABLED, Reason.ENVIRONMENT_NAME_TRAP}
    assert reasons({name: value, "ENVIRONMENT": "production"}) == set()
    assert reasons({name: "development"}) == {Reason.UNVERIFIED_FALLBACK_ENABLED}


def test_the_finding_names_the_culprit(tmp_path: Path) -> None:
    """Message, place and evidence hold the effective switch and every other one, each with its source."""
    env = tmp_path / ".env"
    env.write_text("# deployment\nALLOW_UNVERIFIED_JWT_DEV=true\nENVIRONMENT=production\n")
    (found,) = switch_findings(Settings.load(environment={"APP_ENV": "staging"}, env_files=[env]))
    assert "ALLOW_UNVERIFIED_JWT_DEV is true" in found.message
    assert str(found.location) == f"{env}:2"
    assert {one.label for one in found.evidence} == {"reason", "ALLOW_UNVERIFIED_JWT_DEV", "ENVIRONMENT", "APP_ENV"}
    assert f"{env}:3" in next(one.value for one in found.evidence if one.label == "ENVIRONMENT")


def test_nothing_set_is_the_default_that_accepts_forgeries() -> None:
    """Without any switch the fallback is open, and the finding says why and what closes it."""
    (found,) = findings({})
    assert "neither ENVIRONMENT nor APP_ENV is set" in found.message
    assert found.location is None
    assert found.commands == ("export ENVIRONMENT=production",)


def test_the_process_environment_wins(tmp_path: Path) -> None:
    """A .env file closes nothing that the environment opens, and opens nothing that it closes."""
    env = tmp_path / ".env"
    env.write_text("ENVIRONMENT=production\n")
    opened = switch_findings(Settings.load(environment={"ENVIRONMENT": "development"}, env_files=[env]))
    assert [finding.evidence[0].value for finding in opened] == [Reason.UNVERIFIED_FALLBACK_ENABLED]
    env.write_text("ENVIRONMENT=development\nDISABLE_AUTH=true\n")
    closed = switch_findings(
        Settings.load(environment={"ENVIRONMENT": "production", "DISABLE_AUTH": "false"}, env_files=[env])
    )
    assert tuple(closed) == ()


FACE = "from alwrity_checks.auth.compat import clerk_auth, get_current_user\n"


@pytest.mark.parametrize("below", ["", "backend"])
@pytest.mark.parametrize(
    ("source", "expected"),
    [(FACE, True), ("import alwrity_checks.auth\n", False), ("def get_current_user(): ...\n", False), ("<<<<", False)],
    ids=["face", "only imported", "its own", "unreadable"],
)
def test_whose_middleware_it_is_stands_in_its_source(
    tmp_path: Path, below: str, source: str, *, expected: bool
) -> None:
    """The root of a checkout and its backend are told alike; only the component's own dependency counts."""
    middleware = tmp_path / below / "middleware"
    middleware.mkdir(parents=True)
    (middleware / "auth_middleware.py").write_text(source, "utf-8")
    assert verifies_by_component(str(tmp_path)) is expected


def test_without_a_checkout_it_is_the_backends_own(tmp_path: Path) -> None:
    """Nothing there: the stricter reading."""
    assert not verifies_by_component(str(tmp_path))


def test_the_component_knows_no_fallback_that_could_be_open() -> None:
    """Neither a missing environment nor the switch opens anything; DISABLE_AUTH does, but never in production."""

    def codes(**variables: str) -> list[str]:
        return [one.rule.code for one in switch_findings(Settings.load(environment=variables), by_component=True)]

    assert codes() == []
    assert codes(ALLOW_UNVERIFIED_JWT_DEV="true") == []
    assert codes(DISABLE_AUTH="true") == ["AUTH002"]
    assert codes(DISABLE_AUTH="true", ENVIRONMENT="production") == []
