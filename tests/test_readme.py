"""The README is true: every command in it runs and prints what stands there."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from alwrity_checks.auth.mint import Instance
from alwrity_checks.hf import Chain
from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_doctor.cli import COMMANDS
from tests.support.readme import README, Example, examples, lay_out, masked, run

TEXT = README.read_text("utf-8")
EXAMPLES = tuple(examples(TEXT))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the files that the examples speak of."""
    path = tmp_path_factory.mktemp("readme")
    lay_out(path)
    return path


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block[0].command)
def test_an_example_prints_what_the_readme_records(block: tuple[Example, ...], folder: Path) -> None:
    """A reader who pastes the commands sees the recorded output, but for times, dates and fingerprints."""
    for example in block:
        assert masked(run(example.command, folder)) == masked(example.printed)


def test_every_command_has_an_example() -> None:
    """No command group is left out of the README."""
    shown = " ".join(example.command for block in EXAMPLES for example in block)
    assert [name for name in COMMANDS if f"alwrity-doctor {name}" not in shown] == []


def test_every_command_in_code_is_a_recorded_one_or_make() -> None:
    """The README shows no shell command that no test runs: those in sh blocks are make's, git's and pip's."""
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        for line in block.splitlines():
            assert line.split()[0] in {"make", "git", "cd", "pip"}, line


def test_the_gate_of_the_ci_example_runs(folder: Path) -> None:
    """The line for CI is accepted as it stands, annotates, and leaves its SARIF file."""
    lines = re.findall(r"(?m)^- run: (alwrity-doctor .*)$", TEXT)
    assert [run(line, folder) for line in lines if "::error" in run(line, folder)]
    assert (folder / "doctor.sarif").is_file()


def _defined_by(mark: str) -> dict[str, Any]:
    """Return what the README's code that holds `mark` defines."""
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if mark in block)
    names: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), names)  # noqa: S102 - the README's own code
    return names


def test_the_generation_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example loads a chain, asks a router, and returns a value of the schema."""
    monkeypatch.chdir(tmp_path)
    Chain.unmeasured("openai/gpt-oss-120b:groq").save(tmp_path / "chain.json")
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    with LoopbackRouter() as router:
        monkeypatch.setenv("HF_TOKEN", router.token)
        monkeypatch.setenv("HF_ROUTER_BASE_URL", router.base_url)
        names = _defined_by("StructuredGenerator(")

        async def ask() -> object:
            try:
                return await names["outline"]("Outline a post on tea.", schema)
            finally:
                await names["router"].aclose()

        assert asyncio.run(ask()) == {"title": "text"}


def test_the_search_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example accepts a document, and finds it by its meaning."""
    monkeypatch.setenv("ALWRITY_TXTAI_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("SIF_FAIL_FAST", raising=False)
    names = _defined_by("SemanticIndexes.from_environment")

    async def remembered() -> list[str]:
        try:
            receipt = await names["indexes"].of("alice").add([{"id": "tea", "text": "Brew green tea at 80 degrees."}])
            await receipt.searchable(timeout=120)
            await names["remember"]("alice", [{"id": "rent", "text": "The rent is due on Monday."}])
            found: list[str] = await names["recall"]("alice", "how hot should the water be")
            return found
        finally:
            await names["indexes"].close()

    assert asyncio.run(remembered())[0] == "Brew green tea at 80 degrees."


def test_the_model_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example starts to fetch ahead, loads what the setting names, and returns a value of the schema."""
    model = write_checkpoint(tmp_path / "tiny-model", "tiny")
    monkeypatch.setenv("SIF_AGENT_MODEL", str(model))
    monkeypatch.setenv("SIF_AGENT_RUNTIME", "transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    schema = {"type": "object", "properties": {"ready": {"const": True}}, "required": ["ready"]}
    names = _defined_by("ModelRegistry.from_environment")
    try:
        names["on_startup"]()
        assert asyncio.run(names["outline"]("Are you ready?", schema | {"additionalProperties": False})) == {
            "ready": True
        }
    finally:
        names["registry"].close()


def test_the_health_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example, as it stands, says that it is ready once it can verify tokens, and gives figures."""
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk")
    monkeypatch.setenv("CLERK_JWT_KEY", Instance().pem())
    names = _defined_by("alwrity_checks.health")

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(names["app"])
        async with (
            names["lifespan"](names["app"]),
            httpx.AsyncClient(transport=transport, base_url="http://b") as client,
        ):
            return [await client.get(f"/health/{path}") for path in ("live", "ready", "metrics")]

    live, ready, metrics = asyncio.run(ask())
    assert [one.status_code for one in (live, ready, metrics)] == [200, 200, 200]
    assert ready.json()["status"] == "ready"
    assert "alwrity_auth_keys 1.0" in metrics.text


def test_the_backend_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The FastAPI example, as it stands, refuses a request without a token and names no reason it should not."""
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk")
    monkeypatch.setenv("CLERK_JWT_KEY", Instance().pem())
    names = _defined_by("clerk_user(")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(names["app"])
        async with (
            names["lifespan"](names["app"]),
            httpx.AsyncClient(transport=transport, base_url="http://b") as client,
        ):
            return await client.get("/api/me")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="alwrity"')


def test_the_extras_exist() -> None:
    """What the README tells to install is declared."""
    extras = tomllib.loads((README.parent / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"pip install '[^\[']*\[(\w+)\]'", TEXT)) <= extras.keys()
