"""The checks of a backend's way to the router: each finding brought about for real, from settings and from servers."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf import check
from alwrity_checks.hf.account import forget_accounts
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.check import CHECKS
from alwrity_checks.hf.loopback_account import Account as Served
from alwrity_checks.hf.loopback_router import TOKEN, LoopbackRouter
from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.hf.router import BASE_URL_NAMES, TOKEN_NAMES
from alwrity_checks.loopback_http import Reply
from alwrity_checks.model import CheckResult, Context, ExitCode, Report, Verdict
from alwrity_checks.settings import Settings
from alwrity_doctor.gate import run_checks
from alwrity_doctor.report import FORMATS, render
from tests.support.answering import answering
from tests.support.in_process import bare
from tests.support.terminating_proxy import TerminatingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = "openai/gpt-oss-120b:groq"
TOKEN_BODY = TOKEN.removeprefix("hf_")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reach this machine without any proxy of the environment, and know no account from before."""
    bare(monkeypatch)
    forget_accounts()
    yield
    forget_accounts()


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router and its Hub."""
    with LoopbackRouter() as serving:
        yield serving


def checked(*env_files: Path, offline: bool = False, **variables: str) -> Report:
    """Return the report of all checks of the room."""
    context = Context(Settings.load(environment=variables, env_files=env_files), offline=offline)
    return asyncio.run(run_checks(CHECKS, context, command="gate"))


def result(report: Report, name: str) -> CheckResult:
    """Return what one check came to."""
    return next(one for one in report.results if one.name == f"hf.{name}")


def verdicts(report: Report) -> dict[str, Verdict]:
    """Return check -> verdict."""
    return {one.name.removeprefix("hf."): one.verdict for one in report.results}


def reasons(report: Report, name: str) -> list[str]:
    """Return the reason codes of one check."""
    return [finding.evidence[0].value for finding in result(report, name).findings]


def rendered(report: Report) -> str:
    """Return the report in every format, one after the other."""
    return "\n".join(render(report, form) for form in FORMATS)


def test_the_names_are_those_of_the_router() -> None:
    """They are repeated in the module that every start imports, and must not drift from where they are read."""
    assert check._TOKEN_NAMES == TOKEN_NAMES
    assert {*TOKEN_NAMES, *BASE_URL_NAMES} < set(check._HF_SETTING.names)


def test_a_healthy_backend(server: LoopbackRouter) -> None:
    """Everything passes, in few requests, and the token is in no report."""
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=TOKEN, HF_FALLBACK_MODELS=GOOD)
    assert set(verdicts(report).values()) == {Verdict.PASS}
    assert report.exit_code is ExitCode.HEALTHY
    assert server.hits == 4
    assert TOKEN_BODY not in rendered(report)


def test_a_backend_that_does_not_use_the_router() -> None:
    """Without a setting of it nothing applies, and nobody is asked."""
    report = checked(CLERK_SECRET_KEY="x", TEXTGEN_AI_MODELS="a/b")
    assert set(verdicts(report).values()) == {Verdict.SKIP}


def test_without_a_network(server: LoopbackRouter) -> None:
    """The forms of base URL and token are looked at; the rest says why not."""
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=TOKEN, offline=True)
    assert verdicts(report) == {
        "base-url": Verdict.PASS,
        "token": Verdict.PASS,
        "endpoint": Verdict.SKIP,
        "account": Verdict.SKIP,
        "models": Verdict.SKIP,
    }
    assert server.hits == 0


def test_without_a_token(server: LoopbackRouter) -> None:
    """Base URL and catalogue are checked all the same; what needs a token is skipped with the remedy."""
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_FALLBACK_MODELS=f"{GOOD},google/gemma-3-27b-it:groq")
    assert verdicts(report) == {
        "base-url": Verdict.PASS,
        "token": Verdict.SKIP,
        "endpoint": Verdict.PASS,
        "account": Verdict.SKIP,
        "models": Verdict.FAIL,
    }
    assert "HF_TOKEN" in result(report, "account").remedy
    assert reasons(report, "models") == [Cause.DEPLOYMENT_MISSING]


def test_the_base_url_of_issue_2_by_its_text(tmp_path: Path) -> None:
    """Its line is named, and the right one is a command to be copied, without a network."""
    path = tmp_path / ".env"
    path.write_text(f"HF_TOKEN={TOKEN}\nHF_ROUTER_BASE_URL=https://router.huggingface.co/hf/v1\n")
    report = checked(path, offline=True)
    assert reasons(report, "base-url") == [Reason.BASE_URL_UNKNOWN_PROVIDER]
    (finding,) = report.findings
    assert str(finding.location) == f"{path}:2"
    assert finding.commands == ("export HF_ROUTER_BASE_URL=https://router.huggingface.co/v1",)


def test_the_base_url_of_issue_2_by_its_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a network it is asked as well; the text stays the first cause, and the models are not looked for."""
    hosts = {"router.huggingface.co": {"error": "Not Found"}, "huggingface.co": Served().whoami()}
    with TerminatingProxy(hosts, tmp_path) as proxy:
        proxy.use(monkeypatch)
        report = checked(HF_ROUTER_BASE_URL="https://router.huggingface.co/hf/v1", HF_TOKEN=TOKEN)
    assert reasons(report, "base-url") == [Reason.BASE_URL_UNKNOWN_PROVIDER]
    assert reasons(report, "endpoint") == [Cause.ROUTE_MISSING]
    assert verdicts(report)["account"] is Verdict.PASS
    assert result(report, "models").because == "hf.endpoint"
    assert report.first_cause == result(report, "base-url").findings[0]
    assert set(proxy.authorized["huggingface.co"]) == {f"Bearer {TOKEN}"}
    assert proxy.authorized["router.huggingface.co"] == []


def test_a_doubtful_base_url_without_a_network(server: LoopbackRouter) -> None:
    """Another host may have that path: unknown, with the doubt."""
    report = checked(HF_ROUTER_BASE_URL=server.wrong_base_url, offline=True)
    assert verdicts(report)["base-url"] is Verdict.UNKNOWN
    assert reasons(report, "base-url") == [Reason.BASE_URL_UNKNOWN_PROVIDER]


def test_the_base_url_of_issue_2_at_another_host(server: LoopbackRouter) -> None:
    """Its text is doubtful there; its answer convicts it, and what works is a command to be copied."""
    report = checked(HF_ROUTER_BASE_URL=server.wrong_base_url, HF_TOKEN=TOKEN)
    assert reasons(report, "endpoint") == [Cause.ROUTE_MISSING]
    assert report.exit_code is ExitCode.FINDING
    assert verdicts(report)["models"] is Verdict.SKIP
    (finding,) = result(report, "endpoint").findings
    assert finding.commands == (f"export HF_ROUTER_BASE_URL={server.base_url}",)
    assert report.first_cause == finding


def test_a_command_is_quoted() -> None:
    """What stands in a setting is never a command of its own."""
    report = checked(HF_ROUTER_BASE_URL="https://gateway.invalid/$(reboot)/v1/models", offline=True)
    (finding,) = report.findings
    assert finding.commands == ("export HF_ROUTER_BASE_URL='https://gateway.invalid/$(reboot)/v1'",)


def test_a_blank_base_url() -> None:
    """It is as good as none: the default is the router's own."""
    report = checked(HF_ROUTER_BASE_URL="  ", HF_TOKEN=TOKEN, offline=True)
    assert verdicts(report)["base-url"] is Verdict.PASS


@pytest.mark.parametrize(
    ("value", "expected", "verdict"),
    [
        ("", Reason.TOKEN_MISSING, Verdict.FAIL),
        ("hf_xxxxxxxxxxxxxxxxx", Reason.TOKEN_PLACEHOLDER, Verdict.FAIL),
        ("sk-proj-0123456789abcdefghijklmn", Reason.TOKEN_FOREIGN, Verdict.FAIL),
        (TOKEN[:20], Reason.TOKEN_MALFORMED, Verdict.FAIL),
        (f'"{TOKEN}"', Reason.TOKEN_WRAPPED, Verdict.WARN),
    ],
)
def test_a_token_that_is_none(value: str, expected: Reason, verdict: Verdict) -> None:
    """Each has its reason, and is never shown."""
    report = checked(HF_TOKEN=value, offline=True)
    assert reasons(report, "token") == [expected]
    assert verdicts(report)["token"] is verdict
    assert TOKEN_BODY[:10] not in rendered(report)
    assert "0123456789abcdef" not in rendered(report)


def test_a_token_that_only_the_library_reads() -> None:
    """huggingface_hub knows two names, the backend one."""
    report = checked(HUGGING_FACE_HUB_TOKEN=TOKEN, offline=True)
    assert reasons(report, "token") == [Reason.TOKEN_MISSING]
    assert "the backend reads HF_TOKEN" in report.findings[0].message


def test_a_token_in_quotation_marks(server: LoopbackRouter) -> None:
    """What is around it is a warning; whether it is valid is found out all the same."""
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=f"'{TOKEN}'", HF_FALLBACK_MODELS=GOOD)
    assert verdicts(report)["token"] is Verdict.WARN
    assert verdicts(report)["account"] is Verdict.PASS


def test_a_token_that_is_refused(server: LoopbackRouter) -> None:
    """401 of the Hub convicts the token, at its place."""
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN="hf_" + "x1" * 17, HF_FALLBACK_MODELS=GOOD)
    assert reasons(report, "account") == [Cause.TOKEN_INVALID]
    assert str(result(report, "account").findings[0].location) == "$HF_TOKEN"
    assert verdicts(report)["models"] is Verdict.PASS


def test_a_token_that_may_not_infer(server: LoopbackRouter) -> None:
    """The catalogue does not reveal it; the Hub does."""
    server.accounts[TOKEN] = replace(server.accounts[TOKEN], global_permissions=())
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=TOKEN, HF_FALLBACK_MODELS=GOOD)
    assert reasons(report, "account") == [Cause.PERMISSION_MISSING]


def test_a_token_whose_permissions_are_not_told(server: LoopbackRouter) -> None:
    """Unknown is neither pass nor fail."""
    server.accounts[TOKEN] = replace(server.accounts[TOKEN], role="oauth")
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=TOKEN, HF_FALLBACK_MODELS=GOOD)
    assert verdicts(report)["account"] is Verdict.UNKNOWN
    assert report.exit_code is ExitCode.UNKNOWN


def test_an_account_without_credits(server: LoopbackRouter) -> None:
    """Used up, with no way to pay: every call would be answered 402, until the period ends."""
    server.accounts[TOKEN] = replace(server.accounts[TOKEN], used_nano_usd=100_000_000)
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=TOKEN, HF_FALLBACK_MODELS=GOOD)
    assert reasons(report, "account") == [Cause.CREDITS_GONE]
    assert "until 2026-12-01" in report.findings[0].message


def test_credits_that_cannot_be_read(server: LoopbackRouter) -> None:
    """A token with no more than it needs may not read the billing: that is how it should be."""
    server.accounts[TOKEN] = replace(server.accounts[TOKEN], reads_billing=False)
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_TOKEN=TOKEN, HF_FALLBACK_MODELS=GOOD)
    assert verdicts(report)["account"] is Verdict.PASS


def test_models(server: LoopbackRouter) -> None:
    """Each that is not listed as live has its cause, its place, and what is listed in its stead."""
    models = f"{GOOD},OpenAI/GPT-OSS-20b,Qwen/Qwen3-32B:cerebras,openai/gpt-oss-20b:nebius,no such model"
    report = checked(HF_ROUTER_BASE_URL=server.base_url, HF_FALLBACK_MODELS=models)
    assert reasons(report, "models") == [
        Cause.MODEL_NOT_FOUND,
        Cause.DEPLOYMENT_MISSING,
        Cause.SUFFIX_INVALID,
        Cause.MODEL_NOT_FOUND,
    ]
    first = result(report, "models").findings[0]
    assert str(first.location) == "$HF_FALLBACK_MODELS"
    assert {one.label: one.value for one in first.evidence}["listed instead"].startswith("openai/gpt-oss-20b")


def test_the_backend_s_own_models(server: LoopbackRouter) -> None:
    """With no setting the models of its code are looked for, and the line is named."""
    report = checked(HF_ROUTER_BASE_URL=server.base_url)
    found = result(report, "models").findings
    assert [finding.location for finding in found] == [None] * 3
    assert "huggingface_provider.py:97" in {one.value for finding in found for one in finding.evidence}


def test_a_server_that_is_not_hugging_face_s() -> None:
    """It lists its models and knows no accounts: the one is checked, the other unknown."""
    listed = Reply(200, json.dumps({"data": [{"id": "tiny/qwen"}]}).encode())
    with answering({"/v1/models": listed}) as (origin, _):
        report = checked(HF_ROUTER_BASE_URL=f"{origin}/v1", HF_TOKEN=TOKEN, HF_FALLBACK_MODELS="tiny/qwen,tiny/qwem")
    assert verdicts(report)["endpoint"] is Verdict.PASS
    assert verdicts(report)["account"] is Verdict.UNKNOWN
    assert reasons(report, "models") == [Cause.MODEL_NOT_FOUND]


def test_a_server_without_a_list() -> None:
    """That proves nothing: unknown, and what follows is skipped."""
    with answering({}) as (origin, _):
        report = checked(HF_ROUTER_BASE_URL=f"{origin}/v1", HF_FALLBACK_MODELS=GOOD)
    assert verdicts(report)["endpoint"] is Verdict.UNKNOWN
    assert result(report, "models").because == "hf.endpoint"
    assert report.exit_code is ExitCode.UNKNOWN


def test_nobody_listens() -> None:
    """That may pass: unknown, and no model is to blame."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = checked(HF_ROUTER_BASE_URL=f"http://127.0.0.1:{port}/v1", HF_TOKEN=TOKEN)
    assert reasons(report, "endpoint") == [Cause.CONNECTION_LOST]
    assert verdicts(report)["endpoint"] is Verdict.UNKNOWN
    assert verdicts(report)["models"] is Verdict.SKIP


def test_a_file_does_not_lure_the_token_away(tmp_path: Path) -> None:
    """A destination from a .env file and a token from the environment: the token stays where it is."""
    with answering(lambda _: Reply(401, b'{"error":"a key is needed"}')) as (origin, requests):
        (tmp_path / ".env").write_text(f"HF_ROUTER_BASE_URL={origin}/v1\n")
        report = checked(tmp_path / ".env", HF_TOKEN=TOKEN)
    assert verdicts(report)["account"] is Verdict.UNKNOWN
    assert "HF_ROUTER_BASE_URL" in result(report, "account").reason
    assert not any("authorization" in request.headers for request in requests)
