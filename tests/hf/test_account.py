"""Whose a token is and what it may do, as the Hub says it, and as it says it badly."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf import account as module
from alwrity_checks.hf.account import PERMISSION, Account, examine_account, forget_accounts
from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.loopback_account import Account as Served
from alwrity_checks.hf.loopback_router import TOKEN, LoopbackRouter
from alwrity_checks.hf.router import Router
from alwrity_checks.loopback_http import Reply
from tests.support.answering import answering
from tests.support.in_process import bare
from tests.support.terminating_proxy import TerminatingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USAGE = "/api/settings/billing/usage-v2"
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Know no account from before, and no proxy nor Hub of the environment."""
    bare(monkeypatch)
    forget_accounts()
    yield
    forget_accounts()


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router and its Hub."""
    with LoopbackRouter() as serving:
        yield serving


def examined(base_url: str, token: str = TOKEN, **arguments: Any) -> Account | Answer:  # noqa: ANN401 - the Router's
    """Examine once, in a loop of its own."""
    return asyncio.run(examine_account(Router(base_url, token, **arguments)))


def known(base_url: str, **arguments: Any) -> Account:  # noqa: ANN401 - the Router's
    """Return the account, which there must be."""
    found = examined(base_url, **arguments)
    assert isinstance(found, Account)
    return found


def whoami(**changes: object) -> dict[str, Any]:
    """Return the body of whoami-v2 with changes."""
    return Served().whoami() | changes


def hub(identity: object, usage: object = None, status: int = 200) -> dict[str, Reply]:
    """Return what a Hub answers to the two questions."""
    return {
        "/api/whoami-v2": Reply(200, json.dumps(identity).encode()),
        USAGE: Reply(status, json.dumps(usage).encode()),
    }


def usage(**changes: object) -> Mapping[str, Any]:
    """Return the body of usage-v2 with changes."""
    document = Served().usage()
    document["usage"]["inferenceProviders"] |= changes
    return document


def test_an_account(server: LoopbackRouter) -> None:
    """Two requests with the token, to the router's own origin, tell all of it."""
    assert known(server.base_url) == Account(
        "alice", "user", "fineGrained", True, 0.06, DECEMBER, (), "", can_pay=False
    )
    assert [request.path for request in server.requests] == ["/api/whoami-v2", USAGE]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {TOKEN}"}
    assert "startDate=" in server.requests[1].query


def test_whoami_is_asked_once(server: LoopbackRouter) -> None:
    """Its rate limit is strict: only the credits are asked for again, also from another event loop."""
    assert known(server.base_url) == known(server.base_url)
    assert [request.path for request in server.requests].count("/api/whoami-v2") == 1
    assert server.hits == 3


def test_every_token_is_asked_for_itself(server: LoopbackRouter) -> None:
    """What was said of one token is not said of another."""
    other = "hf_" + "b" * 34
    server.accounts[other] = replace(server.accounts[TOKEN], name="bob")
    assert known(server.base_url).name == "alice"
    assert known(server.base_url, token=other).name == "bob"


def test_what_is_remembered_is_bounded(server: LoopbackRouter) -> None:
    """A server that sees many tokens does not keep them all."""
    for number in range(70):
        token = f"hf_{number:034}"
        server.accounts[token] = Served(name=f"user-{number}")
        known(server.base_url, token=token)
    assert len(module._whoami) == 64
    assert known(server.base_url, token="hf_" + f"{69:034}").name == "user-69"


def test_a_token_that_is_unknown(server: LoopbackRouter) -> None:
    """The Hub's own answer comes back, and is classified as the account's fault; it too is asked for once."""
    for _ in range(2):
        found = examined(server.base_url, "hf_" + "x" * 34)
        assert isinstance(found, Answer)
        assert classify(found).cause is Cause.TOKEN_INVALID
    assert server.hits == 1


def test_a_fault_that_passes_is_not_remembered() -> None:
    """A Hub that was down for a moment is asked again."""
    replies = iter([Reply(503), *(hub(whoami(), usage()).values())])
    with answering(lambda _: next(replies)) as (origin, _):
        assert isinstance(examined(f"{origin}/v1"), Answer)
        assert known(f"{origin}/v1").name == "alice"


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (Served(), True),
        (Served(global_permissions=(), scoped_permissions=(PERMISSION,)), True),
        (Served(global_permissions=("repo.write",), scoped_permissions=("repo.content.read",)), False),
        (Served(role="read"), True),
        (Served(role="write"), True),
        (Served(role=""), None),
        (Served(role="god"), None),
    ],
)
def test_the_permission(server: LoopbackRouter, served: Served, expected: bool | None) -> None:  # noqa: FBT001 - the expectation
    """It is looked for in both places; classic roles have it, and of others nothing is known."""
    server.accounts[TOKEN] = served
    assert known(server.base_url).may_infer is expected


@pytest.mark.parametrize(
    ("entity", "bill_to", "expected"),
    [
        ({"type": "org", "name": "acme", "_id": "1"}, "acme", True),
        ({"type": "org", "name": "acme", "_id": "1"}, "1", True),
        ({"type": "org", "name": "acme", "_id": "1"}, None, None),
        ({"type": "user", "name": "alice", "_id": "2"}, "acme", None),
        ("nonsense", None, None),
    ],
)
def test_a_permission_for_one_payer(entity: object, bill_to: str | None, expected: bool | None) -> None:  # noqa: FBT001 - the expectation
    """One that is granted for somebody else proves nothing about who pays here."""
    granted = {"global": [], "scoped": [{"entity": entity, "permissions": [PERMISSION]}, "nonsense"]}
    identity = whoami(auth={"accessToken": {"role": "fineGrained", "fineGrained": granted}})
    with answering(hub(identity, usage())) as (origin, _):
        assert known(f"{origin}/v1", bill_to=bill_to).may_infer is expected


def test_the_credits_of_an_organisation_are_not_the_user_s(server: LoopbackRouter) -> None:
    """Where somebody else pays, the user's own credits say nothing, and are not asked for."""
    found = known(server.base_url, bill_to="acme")
    assert (found.remaining_usd, found.credits_gone) == (None, None)
    assert "acme pays" in found.billing
    assert server.hits == 1


def test_a_token_that_may_not_read_the_billing(server: LoopbackRouter) -> None:
    """403 is unknown, and never "no credit"."""
    server.accounts[TOKEN] = replace(server.accounts[TOKEN], reads_billing=False)
    found = known(server.base_url)
    assert (found.remaining_usd, found.credits_gone) == (None, None)
    assert "user.billing.read" in found.billing


@pytest.mark.parametrize(
    ("used", "limit", "can_pay", "remaining", "gone"),
    [
        (40_000_000, None, False, 0.06, False),
        (100_000_000, None, False, 0.0, True),
        (250_000_000, None, False, 0.0, True),
        (250_000_000, 1_000_000_000, False, 0.85, False),
        (250_000_000, None, True, 0.0, None),
        (250_000_000, None, None, 0.0, None),
    ],
)
def test_credits(
    used: int,
    limit: int | None,
    can_pay: bool | None,  # noqa: FBT001 - a field of the answer
    remaining: float,
    gone: bool | None,  # noqa: FBT001 - the expectation
) -> None:
    """What is left, in USD; who can pay goes on without included credits."""
    with answering(hub(whoami(canPay=can_pay), usage(usedNanoUsd=used, limitNanoUsd=limit))) as (origin, _):
        found = known(f"{origin}/v1")
    assert found.remaining_usd == pytest.approx(remaining)
    assert (found.credits_gone, found.billing) == (gone, "")


@pytest.mark.parametrize(
    "bad",
    [None, {}, [], "x", {"usage": None}, {"usage": {"inferenceProviders": 3}}, usage(usedNanoUsd="1"),
     usage(includedNanoUsd=True), usage(usedNanoUsd=10**400)],
)  # fmt: skip
def test_billing_that_is_not_understood(bad: object) -> None:
    """The endpoint is undocumented: whatever else it says is unknown."""
    with answering(hub(whoami(), bad)) as (origin, _):
        found = known(f"{origin}/v1")
    assert found.remaining_usd is None
    assert found.billing


@pytest.mark.parametrize("status", [401, 404, 500])
def test_billing_that_is_refused(status: int) -> None:
    """The account is known all the same."""
    with answering(hub(whoami(), {"error": "no"}, status)) as (origin, _):
        found = known(f"{origin}/v1")
    assert (found.name, found.remaining_usd) == ("alice", None)
    assert str(status) in found.billing


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2026-12-01T00:00:00.000Z", DECEMBER), ("2026-12-01", DECEMBER), (1796083200, DECEMBER), (None, None),
     ("soon", None), (1e300, None), (True, None), ([], None)],
)  # fmt: skip
def test_when_the_period_ends(value: object, expected: datetime | None) -> None:
    """As text or as a number; with a time zone in any case."""
    with answering(hub(whoami(), usage(periodEnd=value))) as (origin, _):
        assert known(f"{origin}/v1").period_end == expected


def test_organisations() -> None:
    """Their names are kept, and what is none is passed over; so is the rest of what the Hub tells of a person."""
    identity = whoami(orgs=[{"name": "acme"}, {"name": 3}, "x", {"name": "umbrella\x1b[31m"}])
    with answering(hub(identity, usage())) as (origin, _):
        found = known(f"{origin}/v1")
    assert found.orgs == ("acme", "umbrella [31m")
    assert "alice@example.com" not in repr(found)


@pytest.mark.parametrize("identity", [None, [], {}, {"name": ""}, {"name": "alice"}, {"name": 3, "type": "user"}])
def test_an_answer_that_names_nobody(identity: object) -> None:
    """It comes back as it is."""
    with answering(hub(identity)) as (origin, _):
        found = examined(f"{origin}/v1")
    assert isinstance(found, Answer)
    assert found.status == 200


def test_a_server_that_has_no_hub() -> None:
    """Another vendor's server knows no accounts: its 404 comes back."""
    with answering({}) as (origin, _):
        found = examined(f"{origin}/v1")
    assert isinstance(found, Answer)
    assert found.status == 404


def test_the_router_of_hugging_face(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its tokens are known at huggingface.co, and sent nowhere else."""
    with TerminatingProxy({"huggingface.co": whoami(), "router.huggingface.co": {}}, tmp_path) as proxy:
        proxy.use(monkeypatch)
        found = known("https://router.huggingface.co/hf/v1")
    assert found.name == "alice"
    assert set(proxy.authorized) == {"huggingface.co"}


def test_another_hub(monkeypatch: pytest.MonkeyPatch, server: LoopbackRouter) -> None:
    """HF_ENDPOINT names it, for this as for huggingface_hub."""
    monkeypatch.setenv("HF_ENDPOINT", f"{server.origin}/")
    assert known("https://router.huggingface.co/v1").name == "alice"


def test_a_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub without encryption, beyond this machine, is not asked."""
    with answering(lambda _: Reply(200, b"{}")) as (proxy, requests):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        found = examined("http://gateway.invalid/v1")
    assert isinstance(found, Answer)
    assert found.transport is TransportFault.OTHER
    assert "in the clear" in found.detail
    assert requests == []


def test_no_token() -> None:
    """There is nothing to ask about."""
    with pytest.raises(ConfigurationError, match="no token") as caught:
        examined("http://127.0.0.1:9/v1", "")
    assert caught.value.remedy


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def granting(*scoped: object) -> dict[str, Any]:
    """Return the part of whoami-v2 in which a fine-grained token is granted `scoped`."""
    return {"auth": {"accessToken": {"role": "fineGrained", "fineGrained": {"scoped": list(scoped)}}}}


@given(json_values)
def test_no_identity_breaks_it(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Whatever stands in the places that are read, an account or None comes of it."""
    places: list[dict[str, Any]] = [
        {"orgs": value, "canPay": value, "periodEnd": value},
        {"auth": value},
        {"auth": {"accessToken": value}},
        {"auth": {"accessToken": {"role": "fineGrained", "fineGrained": value}}},
        {"auth": {"accessToken": {"role": value, "fineGrained": {"global": value, "scoped": value}}}},
        granting({"entity": value, "permissions": value}),
        granting({"entity": {"name": value, "_id": value}, "permissions": [PERMISSION]}),
    ]
    for place in places:
        assert module._account(whoami(**place), None) is not None
