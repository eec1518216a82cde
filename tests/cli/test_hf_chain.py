"""`alwrity-doctor hf chain`: a measured chain in a file, or why there is none, and the old file left alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from tests.support.hf_backends import HEAD, write_checkout
from tests.support.in_process import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.in_process import Done

MODEL = "openai/gpt-oss-120b"


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def chain(doctor: CommandLine, server: LoopbackRouter, *arguments: str, base_url: str = "", **variables: str) -> Done:
    """Look for a chain, with the router's token."""
    variables = {"HF_TOKEN": server.token} | variables
    return doctor("hf", "chain", "--base-url", base_url or server.base_url, *arguments, stdin=None, **variables)


def test_a_chain_is_measured_shown_and_written(doctor: CommandLine, server: LoopbackRouter, tmp_path: Path) -> None:
    """The file is what a backend loads: where it was measured, when it lapses, and each strictest honoured mode."""
    server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="groq", mode=Mode.JSON_SCHEMA_STRICT)
    done = chain(doctor, server, MODEL, "--write", "chain.json")
    assert done.code == 0, done.out
    assert "written to chain.json" in " ".join(done.out.split())
    found = Chain.load(tmp_path / "chain.json")
    assert found.base_url == server.base_url
    assert found.counts_at(datetime.now(UTC) + timedelta(hours=5))
    modes = {str(link.deployment): link.mode for link in found.links}
    assert modes == {
        f"{MODEL}:cerebras": Mode.JSON_SCHEMA_STRICT,
        f"{MODEL}:together": Mode.JSON_SCHEMA_STRICT,
        f"{MODEL}:groq": Mode.JSON_SCHEMA,
    }


def test_a_checkout_names_models_and_base_url(doctor: CommandLine, server: LoopbackRouter, tmp_path: Path) -> None:
    """Its code's wrong base URL ends it before anything is asked, with the line; with the right one its models are."""
    write_checkout(tmp_path / "checkout", HEAD)
    refused = doctor("hf", "chain", "--backend", "checkout", stdin=None, HF_TOKEN=server.token)
    assert refused.code == 2
    assert "huggingface_provider.py:" in refused.err
    assert not server.hits
    done = chain(doctor, server, "--backend", "checkout", "--write", "chain.json")
    assert done.code == 0
    assert {str(link.deployment) for link in Chain.load(tmp_path / "chain.json").links} == {
        f"{MODEL}:groq",
        f"{MODEL}:cerebras",
    }


def test_the_schema_of_production_is_what_is_verified(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path
) -> None:
    """What is sent to every deployment is that schema."""
    (tmp_path / "schema.json").write_text('{"type": "object", "properties": {"headline": {"type": "string"}}}')
    assert chain(doctor, server, f"{MODEL}:groq", "--schema", "schema.json").code == 0
    asked = server.calls[-1].payload["response_format"]["json_schema"]["schema"]
    assert "headline" in asked["properties"]


def test_without_a_chain_the_old_file_stays(doctor: CommandLine, server: LoopbackRouter, tmp_path: Path) -> None:
    """A backend goes on with what was measured before; the reason has its rule, and exit code 1."""
    Chain.unmeasured("kept/model").save(tmp_path / "chain.json")
    before = (tmp_path / "chain.json").read_bytes()
    done = chain(doctor, server, "acme/none", "--write", "chain.json", "--format", "json")
    assert (done.code, done.reasons) == (1, [Cause.MODEL_NOT_FOUND])
    assert (tmp_path / "chain.json").read_bytes() == before
    assert [table["title"] for table in done.document["tables"]] == ["Which deployments answer, and how fast"]


def test_a_wrong_base_url_is_named_before_any_completion(doctor: CommandLine, server: LoopbackRouter) -> None:
    """The endpoint's fault is the cause, with the base URL that works."""
    done = chain(doctor, server, MODEL, "--format", "json", base_url=server.wrong_base_url)
    assert (done.code, done.reasons) == (1, [Cause.ROUTE_MISSING])
    found = done.document["results"][0]["findings"][0]
    assert server.base_url in found["message"]
    assert f"alwrity-doctor hf chain --base-url {server.base_url}" in found["commands"]
    assert not server.calls


def test_a_base_url_without_its_path_is_named_with_the_right_one(doctor: CommandLine, server: LoopbackRouter) -> None:
    """A server need not list its models, so that only the completion settles it: the right base URL is said then."""
    origin = server.base_url.removesuffix("/v1")
    done = chain(doctor, server, MODEL, "--format", "json", base_url=origin)
    assert (done.code, done.reasons) == (1, [Cause.ROUTE_MISSING])
    found = done.document["results"][0]["findings"][0]
    assert f"alwrity-doctor hf chain --base-url {server.base_url}" in found["commands"]


@pytest.mark.parametrize(
    ("arguments", "token"),
    [
        (("--write", "missing/chain.json"), None),
        (("--schema", "missing.json"), None),
        (("--schema", "broken.json"), None),
        (("--schema", "invalid.json"), None),
        ((), ""),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(
    doctor: CommandLine, server: LoopbackRouter, tmp_path: Path, arguments: tuple[str, ...], token: str | None
) -> None:
    """An unwritable place, a file that is no schema, no token: exit code 2, and nothing is spent."""
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "invalid.json").write_text(json.dumps({"type": "objekt"}))
    done = chain(doctor, server, MODEL, *arguments, HF_TOKEN=server.token if token is None else token)
    assert (done.code, done.out, server.hits) == (2, "", 0)
    assert "Remedy: " in done.err
