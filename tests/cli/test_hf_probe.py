"""`alwrity-doctor hf probe`: the cause and the way out on the first lines, exit codes, and no secret anywhere."""

from __future__ import annotations

import json
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len

import alwrity_doctor.report
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.loopback_account import Account
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from alwrity_checks.hf.reasons import ConfigurationReason
from alwrity_doctor.report import FORMATS, render
from alwrity_doctor.report.json import load
from tests.support import command_line
from tests.support.hf_backends import HEAD, write_checkout
from tests.support.in_process import CommandLine
from tests.support.transformers_serve import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.hf.loopback_router import Call
    from tests.support.in_process import Done
    from tests.support.transformers_serve import TransformersServe

GROQ = "openai/gpt-oss-120b:groq"
LONG = "organisation-of-some-length/a-model-with-a-long-name-70B-Instruct"


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def probe(doctor: CommandLine, server: LoopbackRouter, *arguments: str, base_url: str = "", **variables: str) -> Done:
    """Probe the router with its token, unless `variables` say something else."""
    variables = {"HF_TOKEN": server.token} | variables
    url = base_url or server.base_url
    return doctor("hf", "probe", "--base-url", url, *arguments, stdin=None, **variables)


def rows(done: Done, number: int) -> list[list[str]]:
    """Return the rows of one of the report's tables."""
    found: list[list[str]] = done.document["tables"][number]["rows"]
    return found


# The endpoint


def test_a_wrong_base_url_is_the_cause_and_the_right_one_is_there_to_copy(
    doctor: CommandLine, server: LoopbackRouter
) -> None:
    """Named on the first lines, after three requests at most, for any number of models; the right URL is a command."""
    models = [f"acme/model-{number}" for number in range(24)]
    done = probe(doctor, server, *models, base_url=server.wrong_base_url)
    assert done.code == 1
    head = " ".join(done.out.splitlines()[:3])
    assert head.startswith("FAIL: 2 of 7 checks failed. Most likely cause: HF001")
    assert f"the right one is {server.base_url}, which lists models" in " ".join(head.split())
    assert f"       export HF_ROUTER_BASE_URL={server.base_url}\n" in done.out
    assert f"       alwrity-doctor hf probe --base-url {server.base_url}\n" in done.out
    assert server.hits <= 3
    assert not server.calls


def test_a_base_url_without_its_path_is_settled_by_a_completion(doctor: CommandLine, server: LoopbackRouter) -> None:
    """No list of models proves nothing, and no route for completions proves it: one cause, with the right one."""
    done = probe(doctor, server, "--format", "json", GROQ, base_url=server.base_url.removesuffix("/v1"))
    assert (done.code, done.reasons) == (1, [Cause.ROUTE_MISSING])
    assert (done.verdicts["probe.endpoint"], done.verdicts["probe.deployments"]) == ("fail", "skip")
    assert f"alwrity-doctor hf probe --base-url {server.base_url}" in json.dumps(done.document)


def test_a_wrong_base_url_of_hugging_face_is_told_offline(doctor: CommandLine, server: LoopbackRouter) -> None:
    """The literal of the backend needs no network to be convicted; everything else is skipped."""
    done = probe(doctor, server, "--offline", "--format", "json", GROQ, base_url="https://router.huggingface.co/hf/v1")
    assert (done.code, server.hits) == (1, 0)
    assert done.reasons == [ConfigurationReason.BASE_URL_UNKNOWN_PROVIDER]
    assert done.verdicts["probe.token"] == "pass"
    assert {done.verdicts[f"probe.{step}"] for step in ("endpoint", "account", "models", "deployments")} == {"skip"}


def test_what_only_looks_wrong_is_unknown_offline(doctor: CommandLine, server: LoopbackRouter) -> None:
    """On another host `/hf/v1` may be a route: only the answer decides."""
    done = probe(doctor, server, "--offline", GROQ, base_url=server.wrong_base_url)
    assert done.code == 3
    assert "only its answer decides" in " ".join(done.out.split())


def test_a_host_without_a_server_stops_everything(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Nothing listens: one cause, and no model is blamed."""
    done = probe(doctor, server, "--format", "json", GROQ, base_url="http://127.0.0.1:9/v1")
    assert done.code == 1
    assert done.reasons == [Cause.CONNECTION_LOST]
    assert done.verdicts["probe.deployments"] == "skip"


# The token


def test_without_a_token_url_and_catalogue_are_checked_and_the_rest_is_skipped(
    doctor: CommandLine, server: LoopbackRouter
) -> None:
    """What needs no token is done all the same, and what does says how to get one."""
    done = probe(doctor, server, "--format", "json", GROQ, HF_TOKEN="")
    assert done.code == 0
    assert done.verdicts == {
        "probe.base-url": "pass",
        "probe.endpoint": "pass",
        "probe.token": "skip",
        "probe.account": "skip",
        "probe.models": "pass",
        "probe.deployments": "skip",
        "probe.structure": "skip",
    }
    assert not server.calls
    assert "HF_TOKEN" in next(one["remedy"] for one in done.document["results"] if one["name"] == "probe.token")
    assert done.document["settings"]["HF_TOKEN"] == "not set; $HF_TOKEN is empty"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("sk-proj-" + "Ab1" * 14, ConfigurationReason.TOKEN_FOREIGN),
        ("hf_" + "Ab1" * 3, ConfigurationReason.TOKEN_MALFORMED),
        ("your_token_here", ConfigurationReason.TOKEN_PLACEHOLDER),
    ],
)
def test_what_is_no_token_is_named_and_never_sent(
    doctor: CommandLine, server: LoopbackRouter, token: str, reason: ConfigurationReason
) -> None:
    """The kind of key is said; nothing is asked with it."""
    done = probe(doctor, server, "--format", "json", GROQ, HF_TOKEN=token)
    assert (done.code, done.reasons) == (1, [reason])
    assert not any("authorization" in request.headers for request in server.requests)


def test_a_wrapped_token_is_a_warning_and_is_unwrapped_here(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Quotation marks are what the backend would send along; the rest of the probe goes on without them."""
    done = probe(doctor, server, "--format", "json", GROQ, HF_TOKEN=f'"{server.token}"')
    assert done.reasons == [ConfigurationReason.TOKEN_WRAPPED]
    assert done.verdicts["probe.deployments"] == "pass"


def test_a_token_file_counts_before_the_environment(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path
) -> None:
    """The token of the file is the one that is sent."""
    (tmp_path / "token").write_text(f"{server.token}\n")
    done = probe(doctor, server, "--token-file", "token", GROQ, HF_TOKEN="hf_" + "0123456789" * 4)
    assert done.code == 0, done.out


def test_an_env_file_does_not_send_a_token_from_elsewhere(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path
) -> None:
    """A .env in a checkout can name a base URL; the token of the environment is not handed to it."""
    (tmp_path / ".env").write_text(f"HF_ROUTER_BASE_URL={server.base_url}\n")
    done = doctor("hf", "probe", GROQ, "--format", "json", HF_TOKEN=server.token)
    assert done.code == 3
    assert done.verdicts["probe.token"] == "unknown"
    assert not any("authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize(
    ("account", "cause"),
    [
        (None, Cause.TOKEN_INVALID),
        (Account(global_permissions=()), Cause.PERMISSION_MISSING),
        (Account(credits_gone=True, used_nano_usd=100_000_000), Cause.CREDITS_GONE),
    ],
)
def test_an_account_at_fault_is_one_cause_however_many_models(
    doctor: CommandLine, server: LoopbackRouter, account: Account | None, cause: Cause
) -> None:
    """The account is named once and no model is blamed; at most two completions were asked for."""
    del server.accounts[server.token]
    if account is not None:
        server.accounts[server.token] = account
    done = probe(doctor, server, "--format", "json")
    assert done.code == 1
    assert done.document["first_cause"] == {"token-invalid": "HF030", "credits-gone": "HF032"}.get(cause, "HF031")
    assert done.reasons.count(cause) == 1
    assert set(done.reasons) - {cause} <= {Cause.MODEL_NOT_SUPPORTED, Cause.DEPLOYMENT_MISSING}
    assert len(server.calls) <= 2


def test_a_permission_that_the_hub_does_not_list_and_calls_have_is_no_fault(
    doctor: CommandLine, server: LoopbackRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion proves more than a list that may have been renamed."""
    monkeypatch.setattr(Account, "may_infer", True)
    server.accounts[server.token] = Account(global_permissions=("inference.renamed",))
    done = probe(doctor, server, "--format", "json", GROQ)
    assert (done.code, done.verdicts["probe.account"]) == (0, "pass")


# Models and deployments


def test_the_models_of_the_backend_are_the_default_and_what_names_them_is_shown(
    doctor: CommandLine, server: LoopbackRouter
) -> None:
    """Of the backend's five deployments each that cannot serve has its cause; the chain holds the others."""
    done = probe(doctor, server, "--format", "json")
    assert done.code == 1
    assert sorted(done.reasons) == [Cause.DEPLOYMENT_MISSING, Cause.NOT_A_CHAT_MODEL]
    assert rows(done, 0)[0] == [GROQ, "huggingface_provider.py:296"]
    assert len(rows(done, 0)) == 5
    assert done.document["tables"][-1]["title"] == "Recommended chain"
    assert sorted(row[0][3:] for row in rows(done, -1)) == ["openai/gpt-oss-120b:cerebras", GROQ]


def test_the_models_of_a_checkout_are_those_in_its_code(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path
) -> None:
    """With --backend they are read there, and each is shown with its line; --base-url counts before the code's."""
    backend = write_checkout(tmp_path / "checkout", HEAD)
    done = probe(doctor, server, "--backend", str(tmp_path / "checkout"), "--format", "json")
    assert [row[0] for row in rows(done, 0)] == [GROQ, "openai/gpt-oss-120b:cerebras"]
    assert all(row[1].startswith(str(backend)) for row in rows(done, 0))
    assert done.code == 0


def test_the_base_url_in_the_code_of_a_checkout_is_the_one_that_is_judged(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path
) -> None:
    """A setting that the code does not read changes nothing; the finding has the line of the literal."""
    backend = write_checkout(tmp_path / "checkout", HEAD)
    done = doctor(
        "hf",
        "probe",
        "--offline",
        "--backend",
        str(backend),
        "--format",
        "json",
        stdin=None,
        HF_TOKEN=server.token,
        HF_ROUTER_BASE_URL=server.base_url,
    )
    assert done.code == 1
    assert done.reasons == [ConfigurationReason.BASE_URL_UNKNOWN_PROVIDER]
    found = next(one for result in done.document["results"] for one in result["findings"])
    assert found["location"]["name"].endswith("huggingface_provider.py")
    assert found["location"]["line"]


def test_an_unknown_model_gets_suggestions(doctor: CommandLine, server: LoopbackRouter) -> None:
    """The router's own word is the finding, and what the catalogue lists instead stands beside it."""
    done = probe(doctor, server, "OpenAI/GPT-OSS-120B:groq", "--format", "json")
    assert done.reasons == [Cause.MODEL_NOT_FOUND]
    (finding,) = (one for result in done.document["results"] for one in result["findings"])
    instead = {fact["label"]: fact["value"] for fact in finding["evidence"]}[
        "listed instead of OpenAI/GPT-OSS-120B:groq"
    ]
    assert instead.startswith("openai/gpt-oss-120b")


def test_no_deployment_that_answers_is_a_failure(doctor: CommandLine, server: LoopbackRouter) -> None:
    """A fault that may pass is a warning on one of two deployments, and a failure if nothing is left."""
    server.behave(Behaviour.SERVER_ERROR, provider="groq")
    assert probe(doctor, server, GROQ, "openai/gpt-oss-120b:cerebras").code == 0
    done = probe(doctor, server, GROQ, "--format", "json")
    assert (done.code, done.verdicts["probe.deployments"]) == (1, "fail")


def test_an_answer_that_is_not_recognised_is_unknown(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Neither healthy nor at fault: exit code 3, with what came."""
    server.behave(Behaviour.UNKNOWN_ERROR)
    done = probe(doctor, server, GROQ)
    assert done.code == 3
    assert "short and stout" in done.out


def test_limits_are_kept_and_what_was_not_asked_is_unknown(doctor: CommandLine, server: LoopbackRouter) -> None:
    """A probe that was cut short does not pass for a healthy one."""
    done = probe(doctor, server, "openai/gpt-oss-120b", "--max-requests", "4", "--concurrency", "1", "--format", "json")
    assert len(server.calls) == 4
    assert (done.code, done.verdicts["probe.structure"]) == (3, "unknown")
    done = probe(doctor, server, "openai/gpt-oss-120b", "--max-requests", "1", "--format", "json")
    assert (done.code, done.verdicts["probe.deployments"]) == (3, "unknown")
    assert probe(doctor, server, "deepseek-ai/DeepSeek-V4-Pro:featherless-ai", "--max-cost", "1").code == 3


def test_a_dry_run_shows_the_plan_and_asks_for_no_completion(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Who would be asked, how often and for how much at most; the catalogue is read for it, a token is not needed."""
    done = probe(doctor, server, "openai/gpt-oss-120b", "--dry-run", "--format", "json", HF_TOKEN="")
    assert done.code == 0
    assert not server.calls
    assert [row[0] for row in rows(done, 0)] == [
        f"openai/gpt-oss-120b:{one}" for one in ("groq", "cerebras", "together")
    ]
    assert all(re.fullmatch(r"0\.\d{4} USD", row[2]) for row in rows(done, 0))
    (step,) = (one for one in done.document["results"] if one["name"] == "probe.deployments")
    assert "12 questions to 3 deployments, at most 24 requests" in step["reason"]


# Structure


def test_advertised_and_measured_stand_side_by_side(doctor: CommandLine, server: LoopbackRouter) -> None:
    """A flag that is not true is a warning; a mode that nobody promised and another one makes up for is none."""
    strict = Mode.JSON_SCHEMA_STRICT
    server.behave(Behaviour.PROSE, provider="groq", mode=strict)
    server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="novita", mode=strict)
    done = probe(doctor, server, GROQ, "deepseek-ai/DeepSeek-V4-Pro:novita", "--mode", "strict", "--format", "json")
    assert (done.code, done.verdicts["probe.deployments"], done.verdicts["probe.structure"]) == (0, "pass", "warn")
    novita = "deepseek-ai/DeepSeek-V4-Pro:novita"
    assert rows(done, 1) == [[GROQ, "ignored", "schema, tools"], [novita, "refused 400", "tools"]]
    done = probe(doctor, server, GROQ, novita, "--mode", "strict", "--mode", "tool", "--format", "json")
    assert rows(done, 1)[1] == [novita, "refused 400", "honoured", "tools"]
    assert done.reasons == [Cause.STRUCTURE_IGNORED]


def test_a_server_that_ignores_the_structure(doctor: CommandLine, transformers_serve: TransformersServe) -> None:
    """`transformers serve`, which nobody here wrote: the model lives, needs no token, and heeds no schema."""
    done = doctor("hf", "probe", "--base-url", transformers_serve.base_url, MODELS[0], "--format", "json")
    assert done.code == 0
    assert done.verdicts["probe.deployments"] == "pass"
    assert (done.verdicts["probe.token"], done.verdicts["probe.structure"]) == ("skip", "warn")
    assert set(done.reasons) == {Cause.STRUCTURE_IGNORED}
    assert set(rows(done, 1)[0][1:-1]) == {"ignored"}


# The screen


def test_an_interrupted_probe_shows_what_it_has_found(server: LoopbackRouter, tmp_path: Path) -> None:
    """Ctrl-C while a provider is silent: exit code 130, and the steps before are on stdout."""
    asked = threading.Event()

    def silent(_call: Call) -> Behaviour:
        asked.set()
        return Behaviour.SILENT

    server.behave(silent)
    (tmp_path / "token").write_text(server.token)
    options = ("--base-url", server.base_url, "--token-file", "token", "--format", "json", GROQ)
    with command_line.start("hf", "probe", *options, cwd=tmp_path) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    verdicts = {one["name"]: one["verdict"] for one in json.loads(output)["results"]}
    assert process.returncode == 130
    assert (verdicts["probe.models"], verdicts["interrupted"]) == ("pass", "unknown")


def test_the_matrix_is_readable_at_100_columns(doctor: CommandLine, server: LoopbackRouter) -> None:
    """No line is wider than 100 columns but a command, and each deployment begins each of its rows."""
    server.serve(LONG, "featherless-ai", "groq")
    server.behave(Behaviour.NOT_A_CHAT_MODEL, provider="featherless-ai")
    done = probe(doctor, server, LONG, "openai/gpt-oss-120b", "--mode", "strict", "--mode", "tool")
    commands = [line for line in done.out.splitlines() if line.startswith("       ")]
    assert [line for line in done.out.splitlines() if cell_len(line) > 100 and line not in commands] == []
    (answers,) = re.findall(r"(?s)Which deployments answer.*?\n\n", done.out)
    assert re.search(r"(?m)^openai/gpt-oss-120b:groq +200 ", answers)


def test_the_json_is_a_report_of_the_shipped_schema(doctor: CommandLine, server: LoopbackRouter) -> None:
    """Tables and all: whatever reads reports reads this one, and can make the text from it."""
    path = Path(alwrity_doctor.report.__file__).with_name("report-1.schema.json")
    done = probe(doctor, server, GROQ, "acme/none", "--format", "json")
    Draft202012Validator(json.loads(path.read_text())).validate(done.document)
    assert "Recommended chain" in render(load(done.out), "text")


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_shows_the_token(doctor: CommandLine, server: LoopbackRouter, form: str) -> None:
    """Neither from the environment nor from a file, wherever it went wrong."""
    done = probe(doctor, server, "--format", form)
    assert server.token not in done.out + done.err
    assert server.token[3:20] not in done.out + done.err


@pytest.mark.parametrize(
    "arguments", [("a b",), (":groq",), ("hf_" + "Ab1" * 12,), ("--mode", "free"), ("--max-requests", "0")]
)
def test_unusable_arguments_end_before_any_request(
    doctor: CommandLine, server: LoopbackRouter, arguments: tuple[str, ...]
) -> None:
    """Exit code 2, and nothing on stdout."""
    done = probe(doctor, server, *arguments)
    assert (done.code, done.out, server.hits) == (2, "", 0)
    assert done.err
