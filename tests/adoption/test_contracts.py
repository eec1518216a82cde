"""What callers rely on: kept by the old modules and by ours, seen where it is broken, unknown where it dies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.adoption.contract.contract import Contract, Keeping, Tried
from alwrity_checks.adoption.contract.runner import (
    contracts_of,
    judge_contracts,
    run_contracts,
    side_by_side,
)
from alwrity_checks.adoption.faces import face
from alwrity_checks.adoption.sources import CheckoutSources
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.model import Evidence, Verdict
from tests.support.auth_backend import MOVED, SECRET, middleware, tree_hash, write_auth_backend
from tests.support.hf_backends import HEAD, WHOLE, write_checkout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

pytest.importorskip("libcst")
pytest.importorskip("openai")
pytest.importorskip("tenacity")

OF_A_GENUINE_TOKEN = {
    "auth.user-dictionary",
    "auth.without-email",
    "auth.route-gets-user",
    "auth.query-token",
    "auth.optional-user",
}


def laid_out(root: Path, issue: int, source: str) -> Path:
    """Lay out a checkout whose module of this issue has this source; return its root."""
    if issue == 1:
        return write_auth_backend(root, source)
    write_checkout(root, source)
    return root


def tried(root: Path, issue: int) -> Mapping[str, Tried]:
    """Try the contracts of an issue on a checkout."""
    told: list[Contract] = []
    found = asyncio.run(run_contracts(find_checkout(root), [issue], told=told.append))
    assert [one.contract for one in found] == list(contracts_of(issue))
    return {one.contract.name: one for one in found}


def named(found: Mapping[str, Tried], keeping: Keeping) -> set[str]:
    """Return the contracts of which this was seen."""
    return {name for name, one in found.items() if one.keeping is keeping}


def adopt(root: Path, issue: int) -> None:
    """Write what the face of an issue would write into a checkout."""
    checkout = find_checkout(root)
    proposal = face(issue).propose(CheckoutSources(checkout))
    assert proposal.changes
    for change in proposal.changes:
        (checkout.backend / change.path).write_text(change.after, encoding="utf-8")


@pytest.mark.parametrize(
    ("issue", "source", "broken"),
    [
        (1, middleware("A"), set()),
        (1, middleware("C"), OF_A_GENUINE_TOKEN),
        (1, middleware("D"), set()),
        (2, WHOLE, set()),
    ],
    ids=["auth A", "auth C", "auth D", "hf HEAD"],
)
def test_old_module_and_ours_keep_every_contract(
    issue: int, source: str, broken: Collection[str], tmp_path: Path
) -> None:
    """Both are tried alike; a state that refuses genuine tokens breaks what is promised of them, and ours does not.

    Nothing of the checkout is written, and none of its secrets is told.
    """
    root = laid_out(tmp_path, issue, source)
    before = tree_hash(root)
    old = tried(root, issue)
    assert tree_hash(root) == before
    assert named(old, Keeping.BROKEN) == set(broken)
    assert named(old, Keeping.UNKNOWN) == set()
    adopt(root, issue)
    new = tried(root, issue)
    assert {name: one.seen for name, one in new.items() if one.keeping is not Keeping.KEPT} == {}
    assert SECRET not in f"{old}{new}"
    assert {one.verdict for one in judge_contracts([*old.values()], [*new.values()])} == {Verdict.PASS}


def test_face_of_ours_by_hand_keeps_less(tmp_path: Path) -> None:
    """A checkout that was cured of the faults alone, with other signatures, is told what its callers miss."""
    without = "def huggingface_text_response(prompt, model, fallback_models=None): return ''\n"
    broken = named(tried(laid_out(tmp_path, 2, HEAD + without), 2), Keeping.BROKEN)
    assert {"hf.text", "hf.arguments", "hf.no-limit", "hf.defaults"} <= broken


REFUSALS = {
    "auth.bad-token-is-none": (
        'logger.warning(f"Fallback decoding failed: {error}")\n            return None',
        "raise",
    ),
    "auth.no-token-is-401": ('raise refused("Not authenticated")', 'raise HTTPException(403, "Not authenticated")'),
    "auth.query-token": ('query_params.get("token")', 'query_params.get("jwt")'),
    "auth.optional-user": (
        "if credentials else None\n\n\nasync def get_current_user_with",
        "\n\n\nasync def get_current_user_with",
    ),
}
ANSWERS = {
    "auth.user-dictionary": ('"last_name", "clerk_user_id"), (user, *names, user)', '"last_name"), (user, *names)'),
    "auth.bad-token-is-401": ('raise refused("Authentication failed")', 'raise refused("no")'),
    "auth.switched-off": ('{"sub": "mock_user_id"}', '{"sub": "developer"}'),
    "auth.no-settings": ("self.clients = {}", 'self.clients = {self.key or {}["no key"]: None}'),
}
"""A contract -> what is changed in a module that keeps it."""


@pytest.mark.parametrize(
    ("changes", "kept"),
    [(REFUSALS, {"auth.user-dictionary", "auth.route-gets-user"}), (ANSWERS, {"auth.bad-token-is-none"})],
    ids=["refusals", "answers"],
)
def test_broken_promises_of_the_middleware_are_seen(
    changes: Mapping[str, tuple[str, str]], kept: Collection[str], tmp_path: Path
) -> None:
    """Each contract is broken by a change of its own, and says what was seen instead."""
    source = middleware("D")
    for old, new in changes.values():
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    found = tried(laid_out(tmp_path, 1, source), 1)
    assert changes.keys() <= named(found, Keeping.BROKEN)
    assert all(found[name].seen for name in changes)
    assert set(kept) <= named(found, Keeping.KEPT)


FEW = (
    ("return parsed(found.group() if found else text)", "return found.group() if found else text"),
    ("max_tokens=max_tokens, top_p=top_p)", "max_tokens=max_tokens + 0)"),
    ('return re.sub(r"```[a-zA-Z]*\\n?", "", text).strip()', "return text.strip()"),
    ("return HF_FALLBACK_MODELS", "return tuple(HF_FALLBACK_MODELS)"),
    ('        raise ValueError("HF_TOKEN is not set, or is none")', '        raise KeyError("HF_TOKEN")'),
)
MANY = (
    ("def asked(prompt, model", "import asyncio\n\nimport jsonschema\n\n\ndef asked(prompt, model"),
    ('    said = [("system"', '    asyncio.run(asyncio.sleep(0))\n    said = [("system"'),
    (
        '    try:\n        told = f"',
        '    jsonschema.Draft202012Validator.check_schema(schema)\n    try:\n        told = f"',
    ),
    ("def new_client():", "KEY = get_huggingface_api_key()\n\n\ndef new_client():"),
    ("api_key=get_huggingface_api_key())", "api_key=KEY)"),
    (
        '        raise Exception(f"Hugging Face text generation failed: {error}")',
        '        return f"[ERROR: {error}]"',
    ),
)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        (FEW, {"hf.structured-value", "hf.arguments", "hf.no-limit", "hf.fences", "hf.models", "hf.key"}),
        (MANY, {"hf.on-event-loop", "hf.loose-schemas", "hf.late-token", "hf.failure-raises"}),
    ],
    ids=["values", "circumstances"],
)
def test_broken_promises_of_the_provider_are_seen(
    changes: Collection[tuple[str, str]], broken: Collection[str], tmp_path: Path
) -> None:
    """A provider that answers otherwise, or only under other circumstances, is told what its callers rely on."""
    pytest.importorskip("jsonschema")
    source = WHOLE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    found = tried(laid_out(tmp_path, 2, source), 2)
    assert set(broken) <= named(found, Keeping.BROKEN)
    assert "hf.text" in named(found, Keeping.KEPT)


def test_function_that_has_become_a_coroutine_is_a_broken_promise(tmp_path: Path) -> None:
    """Its callers do not await it: that it would work if they did does not help them."""
    awaited = WHOLE.replace("@six_times\ndef huggingface", "async def huggingface")
    found = tried(laid_out(tmp_path, 2, awaited), 2)
    assert "returns something to await" in found["hf.text"].seen
    assert found["hf.text"].keeping is Keeping.BROKEN


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\nos.abort()\n", "SIGABRT"),
        ("import no_such_package\n", "its import needs no_such_package"),
        (MOVED, "there is neither an object with verify_token"),
        ("<<<<<<< HEAD\n", "does not parse"),
    ],
    ids=["abort", "import", "moved", "conflict"],
)
def test_module_that_cannot_be_tried_is_unknown(source: str, said: str, tmp_path: Path) -> None:
    """Nothing is guessed of a module that dies, does not parse or has moved: every contract says why it is open."""
    found = tried(laid_out(tmp_path, 1, source), 1)
    assert named(found, Keeping.UNKNOWN) == found.keys()
    assert all(said in one.seen for one in found.values())


def test_death_in_one_contract_leaves_the_others(tmp_path: Path) -> None:
    """The process that dies is told with its signal, and what comes after is tried in another one."""
    deadly = middleware("D").replace('query_params.get("token")', 'query_params.get(__import__("os").abort())')
    found = tried(laid_out(tmp_path, 1, deadly), 1)
    assert named(found, Keeping.UNKNOWN) == {"auth.query-token", "auth.bad-query-token-is-401"}
    assert "SIGABRT" in found["auth.query-token"].seen
    assert found["auth.optional-user"].keeping is Keeping.KEPT


def one(keeping: Keeping, seen: str = "so it was", name: str = "auth.x") -> Tried:
    """Return what came of a contract."""
    contract = Contract(1, name, "a promise", ("ALwrity ce9bf293, api/x.py:1",), lambda _: "")
    return Tried(contract, keeping, seen, (Evidence("driven on", "Python"),))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (Keeping.KEPT, Keeping.KEPT, Verdict.PASS),
        (Keeping.BROKEN, Keeping.KEPT, Verdict.PASS),
        (Keeping.UNKNOWN, Keeping.KEPT, Verdict.PASS),
        (Keeping.KEPT, Keeping.BROKEN, Verdict.FAIL),
        (Keeping.UNKNOWN, Keeping.BROKEN, Verdict.FAIL),
        (None, Keeping.BROKEN, Verdict.FAIL),
        (Keeping.BROKEN, Keeping.BROKEN, Verdict.SKIP),
        (Keeping.KEPT, Keeping.UNKNOWN, Verdict.UNKNOWN),
        (Keeping.BROKEN, Keeping.UNKNOWN, Verdict.UNKNOWN),
    ],
    ids=str,
)
def test_verdict_is_that_of_the_new_module(before: Keeping | None, after: Keeping, verdict: Verdict) -> None:
    """What the old one does not keep either binds nobody; what could not be tried is never taken for kept."""
    old = [] if before is None else [one(before, "it was otherwise")]
    (result,) = judge_contracts(old, [one(after)])
    assert result.verdict is verdict
    assert (result.issue, result.title) == (1, "a promise")
    assert verdict in {Verdict.PASS, Verdict.FAIL} or result.remedy
    assert ("api/x.py:1" in result.reason) is (verdict is Verdict.FAIL)


def test_both_stand_side_by_side() -> None:
    """A row a contract, the old module's answer and the new one's; what was not tried on the old one is left open."""
    old, new = one(Keeping.BROKEN), one(Keeping.KEPT)
    table = side_by_side([old], [new, one(Keeping.UNKNOWN, name="auth.y")])
    assert table.rows == (("auth.x: a promise", "broken", "kept"), ("auth.y: a promise", "", "unknown"))


@pytest.mark.parametrize("issue", [1, 2])
def test_every_contract_names_itself_and_who_relies_on_it(issue: int) -> None:
    """Names are unique and say the room; a caller is a file and a line of a commit."""
    contracts = contracts_of(issue)
    room = {1: "auth", 2: "hf"}[issue]
    assert len({contract.name for contract in contracts}) == len(contracts)
    assert all(contract.name.startswith(f"{room}.") and contract.issue == issue for contract in contracts)
    callers = [caller for contract in contracts for caller in contract.callers]
    assert all(caller.startswith("ALwrity ce9bf293, ") and caller.rpartition(":")[2].isdigit() for caller in callers)
