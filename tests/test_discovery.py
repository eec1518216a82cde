"""Third parties' checks, found through real entry points of real distributions."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import Verdict
from alwrity_doctor.discovery import discover
from alwrity_doctor.gate import run_checks
from tests.support.checks import context
from tests.support.command_line import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alwrity_checks.model import Check, CheckResult

GOOD = """
from tests.support.checks import StubCheck
CHECKS = [StubCheck("{name}.one"), StubCheck("{name}.two")]
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a directory whose distributions are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def found(prefix: str) -> dict[str, Check]:
    """Return the discovered checks of one plug-in."""
    return {check.name: check for check in discover() if check.name.startswith(prefix)}


def verdict_of(check: Check) -> CheckResult:
    """Return what the runner makes of `check`."""
    import asyncio

    (result,) = asyncio.run(run_checks([check], context())).results
    return result


def test_third_party_checks_are_found(plugins: Path) -> None:
    """A distribution with an entry point of our group brings its checks."""
    install(plugins, "acme-checks", "acme", GOOD.format(name="acme"))
    assert list(found("acme")) == ["acme.one", "acme.two"]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import a_module_that_is_not_there", "does not load: ModuleNotFoundError"),
        ("CHECKS = 3", "does not load: TypeError"),
        ("raise SystemExit(0)", "does not load: SystemExit"),
        ("def CHECKS(: pass", "does not load: SyntaxError"),
        ("", "does not load: AttributeError"),
        (
            "CHECKS = ['text']",
            "brings a str, which is not a check: its name, title, issue, requires, timeout, run cannot be used",
        ),
    ],
)
def test_broken_entry_point_is_unknown_and_names_its_distribution(plugins: Path, source: str, what: str) -> None:
    """Whatever a plug-in does when it is loaded, the gate shows it as a result."""
    install(plugins, "acme-checks", "acme", source)
    result = verdict_of(found("acme")["acme.acme-checks"])
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason.startswith("the entry point acme of acme-checks 1.2 ")
    assert what in result.reason
    assert result.remedy == "upgrade acme-checks, or uninstall it"
    assert "Traceback" in result.evidence[0].value


def test_usable_checks_of_a_faulty_entry_point_are_kept(plugins: Path) -> None:
    """One object that is no check costs its neighbours nothing."""
    install(plugins, "acme-checks", "acme", GOOD.format(name="acme") + "CHECKS.append(object())\n")
    assert list(found("acme")) == ["acme.one", "acme.two", "acme.acme-checks"]


def test_requirements_of_a_wrong_type_are_told(plugins: Path) -> None:
    """A requirement that is a mere string would fail in the middle of the run."""
    source = """
from tests.support.checks import StubCheck
CHECKS = [StubCheck("acme.one", requires=frozenset({"network"}))]
"""
    install(plugins, "acme-checks", "acme", source)
    assert "requirements are not of type Requirement" in verdict_of(found("acme")["acme.acme-checks"]).reason


def test_second_check_of_a_name_is_left_out_and_told(plugins: Path) -> None:
    """The first distribution in the order of the names keeps the name."""
    install(plugins / "a", "acme-a", "acme_a", GOOD.format(name="acme"))
    install(plugins / "b", "acme-b", "acme_b", GOOD.format(name="acme"))
    sys.path[:0] = [str(plugins / "a"), str(plugins / "b")]
    try:
        checks = found("acme")
    finally:
        del sys.path[:2]
    assert list(checks) == ["acme.one", "acme.two", "acme_b.acme-b"]
    assert "brings a second check called acme.one" in verdict_of(checks["acme_b.acme-b"]).reason
