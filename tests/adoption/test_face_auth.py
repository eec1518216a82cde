"""The face of issue 1: what it writes, what it needs, and what it leaves alone with the reason."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libcst")

from alwrity_checks.adoption.faces.auth import PATH, propose
from tests.support.auth_backend import CONFLICT, MOVED, STATES, middleware
from tests.support.sources_in_memory import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLER = "api/charts.py"
IMPORT = "from middleware.auth_middleware import get_current_user, get_current_user_with_query_token\n"


def refusals(**texts: str) -> Iterator[tuple[str, int | None, str]]:
    """Yield what is refused of a checkout with a good middleware and one caller, where nothing else is said."""
    given = {PATH: texts.pop("module", middleware("D")), CALLER: texts.pop("caller", IMPORT)}
    for one in propose(Texts(given)).refusals:
        assert one.remedy
        yield one.path, one.line, one.reason


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_replaced_by_the_same_thin_module(state: str) -> None:
    """Whatever the fault was, what is written is a docstring, imports and the names; the extra goes with it."""
    before = middleware(state)
    proposal = propose(Texts({PATH: before, CALLER: IMPORT}))
    (change,) = proposal.changes
    assert (proposal.issue, proposal.refusals, proposal.done) == (1, (), False)
    assert (change.path, change.before) == (PATH, before)
    assert proposal.extras == {"fastapi"}
    tree = ast.parse(change.after)
    kinds = [type(statement) for statement in tree.body]
    assert kinds == [ast.Expr, ast.ImportFrom, ast.ImportFrom, ast.ImportFrom, ast.Expr, ast.Assign]
    assert len(change.after.splitlines()) < 50
    assert any("Middleware" in note and "nothing imports" in note for note in proposal.notes)


def test_the_env_file_beside_it_counts_for_the_switch(tmp_path: Path) -> None:
    """A script that imports it without app.py gets the mock user by DISABLE_AUTH in backend/.env, as it always did."""
    (change,) = propose(Texts({PATH: middleware("D")})).changes
    module = tmp_path / PATH
    module.parent.mkdir()
    module.write_text(change.after, encoding="utf-8")
    (tmp_path / ".env").write_text("DISABLE_AUTH=true\n", encoding="utf-8")
    code = "from middleware.auth_middleware import clerk_auth; print(clerk_auth.disable_auth)"
    switches = {"DISABLE_AUTH", "ENVIRONMENT", "APP_ENV", "ENV", "DEPLOY_ENV", "CLERK_SECRET_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    told = subprocess.run(  # noqa: S603 - this interpreter, with what we write ourselves
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == "True\n"


def test_what_is_written_has_every_name_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our module has the names of the face, under which ALwrity's callers know them; the .env beside it is read."""
    import dotenv

    from alwrity_checks.auth import compat

    read: list[object] = []
    monkeypatch.setattr(dotenv, "load_dotenv", lambda path, override: read.append((path.name, override)))
    (change,) = propose(Texts({PATH: middleware("D")})).changes
    names: dict[str, object] = {"__file__": PATH}
    exec(compile(change.after, PATH, "exec"), names)  # noqa: S102 - what we write ourselves
    assert names["__all__"] == sorted(compat.__all__, key=lambda name: (name[0].islower(), name))
    assert all(names[name] is getattr(compat, name) for name in compat.__all__)
    assert read == [(".env", False)]


def test_settings_of_production_are_named() -> None:
    """The instance, its parties and the environment, each with what happens without it; no value is looked at."""
    needed = {one.name: one for one in propose(Texts({PATH: middleware("D")})).needed}
    assert {name for name, one in needed.items() if one.required} == {
        "CLERK_PUBLISHABLE_KEY",
        "CLERK_AUTHORIZED_PARTIES",
    }
    assert needed["CLERK_PUBLISHABLE_KEY"].instead == ("REACT_APP_CLERK_PUBLISHABLE_KEY",)
    assert {"ENVIRONMENT", "CLERK_JWT_KEY"} <= needed.keys()


def test_what_is_in_place_is_left_as_it_is() -> None:
    """A second run has nothing to do; a module that was edited since is proposed again."""
    (change,) = propose(Texts({PATH: middleware("D")})).changes
    again = propose(Texts({PATH: change.after, CALLER: IMPORT}))
    assert (again.done, again.changes, again.refusals) == (True, (), ())
    edited = change.after.replace("    security,\n", "", 1)
    (repaired,) = propose(Texts({PATH: edited})).changes
    assert repaired.after == change.after


def test_line_ends_and_licence_stay() -> None:
    """A file of Windows keeps its line ends, and whoever has written a licence above it keeps that."""
    (change,) = propose(Texts({PATH: ("# Copyright a\n" + middleware("D")).replace("\n", "\r\n")})).changes
    assert change.after.startswith("# Copyright a\r\n")
    assert change.after.count("\n") == change.after.count("\r\n")


@pytest.mark.parametrize(
    ("module", "place", "said"),
    [
        (CONFLICT, 3, "unfinished merge"),
        (MOVED, None, "it does not define clerk_auth"),
        ("clerk_auth = None\n", None, "it does not define get_current_user"),
        ("clerk_auth = (\nget_current_user = 1\n", 2, "no Python that can be read"),
        (
            middleware("D").replace("async def get_current_user(request", "def get_current_user(request"),
            None,
            "get_current_user can be called as ours cannot: a function is replaced by an async function",
        ),
        (
            middleware("D").replace("async def get_optional_user(cred", "async def get_optional_user(tenant, cred"),
            None,
            "get_optional_user can be called as ours cannot: tenant is the first parameter",
        ),
    ],
    ids=["conflict", "moved", "renamed", "syntax", "sync", "signature"],
)
def test_module_that_does_not_fit_is_refused(module: str, place: int | None, said: str) -> None:
    """A merge left undone, moved names and other signatures are told with their place, and nothing is proposed."""
    told = [*refusals(module=module)]
    assert [path for path, _, _ in told] == [PATH]
    assert said in told[0][2]
    assert place in {None, told[0][1]}
    assert not propose(Texts({PATH: module})).changes


def test_checkout_without_the_module_is_refused() -> None:
    """There is nothing to replace: that is said, and no file is made."""
    (refusal,) = propose(Texts({CALLER: IMPORT})).refusals
    assert (refusal.path, refusal.line) == (PATH, None)


@pytest.mark.parametrize(
    ("caller", "said"),
    [
        (f"import os\n{IMPORT}from middleware.auth_middleware import require_admin\n", "it uses require_admin"),
        ("\n\nfrom middleware.auth_middleware import *\n", "it uses everything"),
        ("\n\nimport middleware.auth_middleware as auth; auth.bearer_scheme\n", "it uses bearer_scheme"),
    ],
    ids=["name", "star", "attribute"],
)
def test_caller_of_what_ours_has_not_is_named(caller: str, said: str) -> None:
    """Who imports another name of the module would be broken: its file and line are told."""
    (told,) = refusals(caller=caller)
    assert told[:2] == (CALLER, 3)
    assert said in told[2]


def test_caller_of_the_objects_own_attributes_is_named() -> None:
    """Who reaches for what the old object keeps to itself would find nothing there."""
    class_named = middleware("D").replace("Middleware", "ClerkAuthMiddleware")
    caller = (
        "from middleware.auth_middleware import clerk_auth\nkey = clerk_auth.secret\nprint(clerk_auth.verify_token)\n"
    )
    (told,) = refusals(module=class_named, caller=caller)
    assert told == (CALLER, 2, "it reaches for secret, which would not be there")
