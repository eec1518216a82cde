"""In what environment a checkout's modules are driven: what the user may ask for, and what is made of it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alwrity_checks.backend.checkout import Checkout
from alwrity_checks.backend.driving import Driver, Surroundings, checkout_target, surroundings
from alwrity_checks.backend.interpreters import named
from alwrity_checks.errors import CannotCheck, ConfigurationError

DRIVER = Driver("a.driver", ((True, "middleware.auth_middleware"), (False, "middleware.more")), ("json",), {"told": 1})


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout with one module."""
    backend = tmp_path / "backend"
    (backend / "middleware").mkdir(parents=True)
    (backend / "middleware" / "auth_middleware.py").write_text("answer = 42\n", encoding="utf-8")
    return Checkout(backend)


def test_nothing_is_asked_for_by_default(checkout: Checkout) -> None:
    """The checkout's own interpreter or ours, and no setting of any `.env`."""
    (checkout.backend / ".env").write_text("DISABLE_AUTH=true\n", encoding="utf-8")
    assert surroundings(checkout) == Surroundings()


def test_first_env_file_that_sets_a_variable_wins(checkout: Checkout) -> None:
    """As in the backend's start: its own file, then the root's; a variable of our process is none of the checkout's."""
    (checkout.backend / ".env").write_text("A=backend\nB=${HOME}\n", encoding="utf-8")
    (checkout.root / ".env").write_text("A=root\nC=root\n", encoding="utf-8")
    handed = surroundings(checkout, use_env=True).handed
    assert {name: value.reveal() for name, value in handed.items()} == {"A": "backend", "B": "", "C": "root"}
    assert "backend" not in repr(handed)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"A=1\n" * (1 << 19)], ids=["not text", "huge"])
def test_env_file_that_cannot_be_read_is_refused(text: bytes, checkout: Checkout) -> None:
    """What the user wants used and cannot be is an error, not a run without it."""
    (checkout.backend / ".env").write_bytes(text)
    with pytest.raises(ConfigurationError):
        surroundings(checkout, use_env=True)


def test_interpreter_may_be_named_in_several_ways(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its path, by its environment's directory, as a command; a link stays one, for it says which environment."""
    program = tmp_path / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.chdir(tmp_path)
    for given in (program, tmp_path / "env", Path("env"), Path("env/bin/python"), Path("python")):
        assert surroundings(checkout, given).python == program


@pytest.mark.parametrize("given", ["nowhere/python", "no-such-command", "."])
def test_interpreter_that_is_none_is_refused(given: str, checkout: Checkout) -> None:
    """Before anything is run."""
    with pytest.raises(ConfigurationError, match="is no interpreter"):
        surroundings(checkout, Path(given))


@pytest.mark.parametrize("cured", [True, False])
def test_what_the_component_needs_is_asked_for_where_it_is_used(checkout: Checkout, *, cured: bool) -> None:
    """A backend's environment that is yet to be brought up to date is not blamed on the cure."""
    driver = replace(DRIVER, component=("no_such_module",))
    if cured:
        module = checkout.module("middleware.auth_middleware")
        module.write_text("from alwrity_checks.auth.compat import security\n", encoding="utf-8")
    target = checkout_target(checkout, Surroundings(Path(sys.executable)), driver)
    assert (target.obstacle is not None) == cured
    if target.obstacle is not None:
        assert "has no no_such_module" in target.obstacle.diagnosis


@pytest.mark.skipif(os.name != "posix", reason="stands in for an interpreter by a program of the system")
def test_program_that_is_no_python_is_told_so(checkout: Checkout) -> None:
    """Not that something is to be installed in it."""
    target = checkout_target(checkout, Surroundings(Path("/bin/true")), DRIVER)
    assert target.obstacle is not None
    assert target.obstacle.diagnosis == "/bin/true does not answer as a Python interpreter does"
    assert "--python" in target.obstacle.remedy


def test_named_interpreter_lacks_what_it_lacks(checkout: Checkout) -> None:
    """Only what is missing is to be installed, by its distribution's name."""
    with pytest.raises(CannotCheck, match="has no no_such_module") as caught:
        named(Path(sys.executable), ("json", "no_such_module"))
    assert caught.value.remedy.endswith("-m pip install no_such_module")
    target = checkout_target(checkout, Surroundings(Path(sys.executable)), DRIVER)
    assert (target.note, target.sandbox.plan) == ("named with --python", {"told": 1, "own": False})


def test_target_knows_its_module_and_whose_interpreter_it_has(checkout: Checkout) -> None:
    """What the driver must know of the interpreter is in its plan."""
    target = checkout_target(checkout, Surroundings(), DRIVER)
    assert target.obstacle is None
    assert (target.module, str(target)) == ("middleware.auth_middleware", "yours")
    assert target.sandbox.plan == {"told": 1, "own": True}
    assert target.sandbox.interpreter == Path(sys.executable)


def test_optional_module_that_does_not_parse_is_an_obstacle_too(checkout: Checkout) -> None:
    """It would be imported; only one that is not there is passed over."""
    (checkout.backend / "middleware" / "more.py").write_text("def\n", encoding="utf-8")
    obstacle = checkout_target(checkout, Surroundings(), DRIVER).obstacle
    assert obstacle is not None
    (finding,) = obstacle.findings
    assert (finding.rule.code, str(finding.location)) == ("SRC002", "backend/middleware/more.py:1")
    assert finding.message.startswith("more.py does not parse under Python 3.")
