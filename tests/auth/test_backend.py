"""A checkout's own authentication is put through the scenarios: faults shown, absent, and what could not be known."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.experiment import AuthExperiment
from alwrity_checks.auth.legacy import LegacyState
from alwrity_checks.auth.scenarios.targets import LegacyTarget
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.drivers import auth_target
from alwrity_checks.backend.driving import surroundings
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Event, Observation, Outcome, TargetKind
from tests.support.auth_backend import (
    CONFLICT,
    DROP_IN,
    MOVED,
    SECRET,
    STATES,
    TOO_NEW,
    middleware,
    tree_hash,
    write_auth_backend,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from alwrity_checks.sandbox.target import CheckoutTarget


OTHER_CLIENT = """
import socket

def verify_token(token):
    try:
        socket.create_connection(("clerk.example", 443))
    except OSError:
        return None
"""


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def reproduce(target: CheckoutTarget | LegacyTarget, codes: Collection[str] | None = None) -> Sequence[Observation]:
    """Put a target through the scenarios of these rules."""
    return asyncio.run(AuthExperiment(codes=codes).run(target, Silent()))


def found(root: Path, source: str, env: str = "") -> CheckoutTarget:
    """Return a checkout with this authentication, found and looked at as the command line does."""
    return auth_target(find_checkout(write_auth_backend(root, source, env)))


def outcomes(observations: Sequence[Observation]) -> list[tuple[str, str, Outcome]]:
    """Return what was observed of each rule."""
    return [(one.rule.code, one.scenario, one.outcome) for one in observations]


@pytest.mark.parametrize("state", STATES)
def test_checkout_shows_what_the_model_of_its_state_shows(state: str, tmp_path: Path) -> None:
    """A real module in each historical state has the very column of its model, and is left as it was.

    Its secrets stay where they are, and what it logged is evidence.
    """
    target = found(tmp_path, middleware(state))
    before = tree_hash(tmp_path)
    observations = reproduce(target)
    assert outcomes(observations) == outcomes(reproduce(LegacyTarget(LegacyState(state))))
    assert tree_hash(tmp_path) == before
    assert not subprocess.check_output(["git", "status", "--porcelain", "--ignored=no"], cwd=tmp_path)  # noqa: S607 - git of this machine
    assert {str(one.target) for one in observations} == {"yours"}
    assert {one.target.kind for one in observations} == {TargetKind.BACKEND}
    assert SECRET not in str(observations)
    assert f"Unverified token rejected ({'production' if state == 'A' else 'env=production'})." in str(observations)


def test_checkout_with_our_component_has_none_of_the_faults(tmp_path: Path) -> None:
    """The component in the middleware's place, under the names that the routes depend on, is free of every fault."""
    observations = reproduce(found(tmp_path, DROP_IN))
    assert {one.scenario: one.message for one in observations if one.outcome is not Outcome.ABSENT} == {}
    evidence = {one.label: one.value for one in observations[0].evidence}
    assert evidence["spoken to by"] == "get_current_user, by FastAPI"


def test_same_checkout_gives_the_same_answer(tmp_path: Path) -> None:
    """Nothing is left to chance: not the order, not the clock, not what an earlier scenario left behind."""
    target = found(tmp_path, middleware("D"))
    codes = {"AUTH001", "AUTH003", "AUTH006", "AUTH053", "AUTH056"}
    first, *others = ([(one.outcome, one.message) for one in reproduce(target, codes)] for _ in range(2))
    assert others == [first]


def test_evidence_names_what_it_was_driven_on(tmp_path: Path) -> None:
    """The interpreter and why, the versions that its behaviour depends on, the network, and what was stood in for."""
    (observation,) = reproduce(found(tmp_path, middleware("A")), {"AUTH001"})
    evidence = {one.label: one.value for one in observation.evidence}
    assert "that of alwrity-doctor: the checkout has no virtual environment" in evidence["driven by"]
    assert all(name in evidence["driven on"] for name in ("Python 3.", "PyJWT 2.", "cryptography ", "fastapi "))
    assert evidence["network"]
    assert "fastapi_clerk_auth (ClerkConfig, ClerkHTTPBearer)" in evidence["stubs"]
    assert evidence["spoken to by"] == "clerk_auth.verify_token"


@pytest.mark.parametrize(("state", "code"), [("A", "AUTH004"), ("D", "AUTH001")])
def test_package_that_the_backends_environment_lacks_is_a_fact(state: str, code: str, tmp_path: Path) -> None:
    """Without fastapi-clerk-auth everybody is refused in state A and accepted in D; only for ours is it stood in."""
    target = found(tmp_path, middleware(state))
    theirs = replace(target, sandbox=replace(target.sandbox, plan={"own": False}))
    (observation,) = reproduce(theirs, {code})
    assert observation.outcome is Outcome.REPRODUCED
    evidence = {one.label: one.value for one in observation.evidence}
    assert "no fastapi-clerk-auth" in evidence["driven on"]
    assert "fastapi_clerk_auth" not in evidence["stubs"]


@pytest.mark.parametrize("use_env", [False, True])
def test_env_file_counts_only_where_it_is_asked_for(use_env: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """A switch in `.env` that lets everybody in is not used, and is with --use-env; the user's keys never are."""
    root = write_auth_backend(tmp_path, middleware("A"), "DISABLE_AUTH=true\nCLERK_PUBLISHABLE_KEY=pk_test_users\n")
    checkout = find_checkout(root)
    observations = reproduce(auth_target(checkout, surroundings(checkout, use_env=use_env)), {"AUTH001", "AUTH004"})
    assert outcomes(observations)[0][2] is (Outcome.REPRODUCED if use_env else Outcome.ABSENT)
    assert outcomes(observations)[1][2] is Outcome.ABSENT
    assert ("settings from .env files" in str(observations)) == use_env
    assert SECRET not in str(observations)


def test_file_that_does_not_parse_is_a_finding_with_its_line(tmp_path: Path) -> None:
    """A merge left undone is told before anything is run, with the rule, the place and what to do."""
    with pytest.raises(CannotCheck, match=r"auth_middleware\.py:3 does not parse: a merge conflict") as caught:
        reproduce(found(tmp_path, CONFLICT))
    (finding,) = caught.value.findings
    assert (finding.rule.code, str(finding.location)) == ("SRC001", "backend/middleware/auth_middleware.py:3")


def test_newer_syntax_is_told_apart_from_a_broken_file(tmp_path: Path) -> None:
    """What a later Python would read is no error of the author's: it is the wrong Python."""
    import sys

    target = found(tmp_path, TOO_NEW)
    if sys.version_info >= (3, 12):
        assert target.obstacle is None
        return
    with pytest.raises(CannotCheck, match=r"auth_middleware\.py:5 does not parse under Python 3\.11") as caught:
        reproduce(target)
    assert "Python 3.12 or later" in caught.value.remedy
    assert [one.rule.code for one in caught.value.findings] == ["SRC003"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
            r"^the process ended with -11 \(SIGSEGV\) while the checkout's authentication was imported$",
        ),
        ("import os\nos._exit(3)\n", "^the process ended with 3 while the checkout's authentication was imported"),
        ("import time\ntime.sleep(600)\n", "silence while the checkout's authentication was imported"),
        ("raise SystemExit('no keys')\n", "SystemExit: no keys"),
        ("import no_such_package\n", "its import needs no_such_package, which is not installed"),
        (MOVED, "moved what is driven here: there is neither an object with verify_token"),
        ("def verify_token(token):\n    import os\n    os.abort()\n", r"SIGABRT.* judged a token"),
        (
            OTHER_CLIENT,
            "it fetches keys in a way that cannot be led to the experiment's server",
        ),
    ],
    ids=["segfault", "exit", "hang", "SystemExit", "import", "moved", "abort", "other client"],
)
def test_module_that_cannot_be_driven_is_unknown(source: str, said: str, tmp_path: Path) -> None:
    """What dies, hangs, raises, has moved or goes another way is told so; nothing is guessed."""
    target = replace(found(tmp_path, source), patience=2.0 if "sleep" in source else 120.0)
    with pytest.raises(CannotCheck, match=said) as caught:
        reproduce(target)
    assert caught.value.remedy


def test_token_that_kills_the_process_leaves_one_rule_open(tmp_path: Path) -> None:
    """A crash in the midst of the scenarios is told with its signal, and the others are played to their end."""
    deadly = middleware("A").replace(
        "        if self.disabled:",
        "        if len(token) > 4000:\n            os.abort()\n        if self.disabled:",
        1,
    )
    observations = reproduce(found(tmp_path, deadly), {"AUTH004", "AUTH006", "AUTH008"})
    assert [one.outcome for one in observations] == [Outcome.ABSENT, Outcome.UNKNOWN, Outcome.REPRODUCED]
    assert "ended with -6 (SIGABRT)" in observations[1].message


def test_checkout_without_the_module_is_unknown(tmp_path: Path) -> None:
    """A revision that has no such file is not called free of its faults."""
    root = write_auth_backend(tmp_path, MOVED)
    (root / "backend/middleware/auth_middleware.py").unlink()
    with pytest.raises(CannotCheck, match=r"no middleware/auth_middleware\.py"):
        reproduce(auth_target(find_checkout(root)))


def test_place_that_it_has_moved_to_is_told(tmp_path: Path) -> None:
    """A function of the known name in another file is pointed at, whether the old file is still there or not."""
    root = write_auth_backend(tmp_path, MOVED)
    old = root / "backend/middleware/auth_middleware.py"
    old.with_name("sessions.py").write_text("\nasync def verify_token(token):\n    return None\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(CannotCheck, match=r"verify_token is defined in \S*middleware/sessions\.py:2"):
            reproduce(auth_target(find_checkout(root)))
        old.unlink(missing_ok=True)


def test_interpreter_that_lacks_what_is_needed_says_what(tmp_path: Path) -> None:
    """The one that the user named is used or refused: no other is taken in its place."""
    import os
    import stat

    if os.name != "posix":
        pytest.skip("stands in for an interpreter by a shell script")
    bare = tmp_path / "python"
    bare.write_text("""#!/bin/sh\necho '{"version": [3, 12, 1], "there": ["fastapi"]}'\n""", encoding="utf-8")
    bare.chmod(bare.stat().st_mode | stat.S_IXUSR)
    checkout = find_checkout(write_auth_backend(tmp_path / "checkout", middleware("A")))
    with pytest.raises(CannotCheck, match="has no jwt, no cryptography") as caught:
        reproduce(auth_target(checkout, surroundings(checkout, bare)))
    assert caught.value.remedy.endswith("-m pip install PyJWT cryptography")
