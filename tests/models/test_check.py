"""The checks: settings, libraries, cache, hub and memory, each healthy and each broken."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Context, Finding
from alwrity_checks.models import machine
from alwrity_checks.models.available import Available
from alwrity_checks.models.check import CHECKS
from alwrity_checks.models.check_cache import cache_findings
from alwrity_checks.models.check_hub import hub_findings
from alwrity_checks.models.check_libraries import library_findings
from alwrity_checks.models.check_memory import memory_findings
from alwrity_checks.models.check_settings import setting_findings
from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.settings import Settings

BIG = "Qwen/Qwen2.5-3B-Instruct"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return write_checkpoint(tmp_path_factory.mktemp("check") / "tiny", "tiny")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return the settings of an empty machine."""
    return {"HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def reasons(found: Iterator[Finding]) -> list[str]:
    """Return the reason of each finding."""
    return [one.evidence[0].value for one in found]


def of(environment: Mapping[str, str]) -> Settings:
    """Return settings."""
    return Settings.load(environment)


def versions(**installed: str) -> Callable[[str], str]:
    """Return a look-up of versions that knows these alone."""

    def look(name: str) -> str:
        try:
            return installed[name.replace("-", "_")]
        except KeyError:
            raise PackageNotFoundError(name) from None

    return look


ALL = {"torch": "2.13", "transformers": "5.23", "onnxruntime_genai": "0.18", "llguidance": "1.9.1"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"SIF_AGENT_MODEL": "Qwen/Qwen2.5-0.5B-Instruct"}, []),
        ({"SIF_AGENT_RUNTIME": "x"}, ["setting-invalid"]),
        ({"SIF_AGENT_MODEL": "a b"}, ["model-name-invalid"]),
        ({"SIF_AGENT_MODEL": BIG}, ["licence-restricted"]),
        ({"HF_ENDPOINT": "ftp://hub"}, ["setting-invalid"]),
    ],
)
def test_settings(environment: dict[str, str], expected: list[str]) -> None:
    """What is wrong with a setting is found before anything is loaded, at its place."""
    found = list(setting_findings(of(environment)))
    assert reasons(iter(found)) == expected
    for one in found:
        assert str(one.location) == f"${next(iter(environment))}"


@pytest.mark.parametrize(
    ("environment", "installed", "expected"),
    [
        ({}, ALL, []),
        ({}, {}, ["extra-missing"]),
        ({}, {"torch": "2.13", "transformers": "5.23", "llguidance": "1.9.1"}, ["runtime-base-only"]),
        ({"SIF_AGENT_RUNTIME": "onnx"}, {"torch": "2.13", "transformers": "5.23"}, ["extra-missing", "extra-missing"]),
        ({}, ALL | {"transformers": "4.57"}, ["libraries-old"]),
        ({}, ALL | {"transformers": "unreadable"}, []),
        ({}, {key: value for key, value in ALL.items() if key != "llguidance"}, ["extra-missing"]),
    ],
)
def test_libraries(environment: dict[str, str], installed: dict[str, str], expected: list[str]) -> None:
    """What is missing or old is named with the command that installs it."""
    found = list(library_findings(of(environment), versions(**installed)))
    assert reasons(iter(found)) == expected
    assert all(one.commands for one in found)


def cached(home: Mapping[str, str], model: str, files: Mapping[str, bytes]) -> Path:
    """Lay files into the cache as a snapshot of `model`, and return its directory."""
    directory = Path(home["HF_HOME"]) / "hub" / f"models--{model.replace('/', '--')}"
    snapshot = directory / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (directory / "blobs").mkdir()
    for name, content in files.items():
        (snapshot / name).write_bytes(content)
    return directory


def test_an_empty_cache_is_healthy(home: dict[str, str]) -> None:
    """Nothing is there, nothing is wrong with it."""
    assert list(cache_findings(of(home))) == []


def test_the_drift_of_the_catalogue(home: dict[str, str]) -> None:
    """3B is cached, which no agent uses, and none of those that are used."""
    cached(home, BIG, {"config.json": b"{}"})
    (found,) = cache_findings(of(home))
    assert found.rule.code == "MDL043"
    assert reasons(iter([found])) == ["cache-drift"]


def test_a_cached_model_of_the_chain_is_no_drift(home: dict[str, str], tiny: Path) -> None:
    """With a usable model beside it, an old one only takes room."""
    cached(home, BIG, {"config.json": b"{}"})
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    cached(home, "acme/tiny", files)
    assert list(cache_findings(of(home | {"SIF_AGENT_MODEL": "acme/tiny"}))) == []


def test_what_killed_downloads_leave(home: dict[str, str]) -> None:
    """A model in part, one of pickles only, and an orphan are told apart; foreign models are nobody's concern."""
    part = cached(home, "acme/part", {"config.json": b"{}", "model.safetensors": b"\x08" + bytes(9)})
    (part / "blobs" / "abc.incomplete").write_bytes(bytes(2048))
    cached(home, "acme/pickle", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    cached(home, "acme/foreign", {"config.json": b"{}"})
    settings = of(home | {"SIF_AGENT_MODEL": "acme/part", "SIF_AGENT_FALLBACK_MODELS": "acme/pickle"})
    found = list(cache_findings(settings))
    assert sorted(reasons(iter(found))) == ["cache-orphan", "file-missing", "pickle-only"]
    assert any("2 KiB" in one.message for one in found)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(home: dict[str, str]) -> None:  # pragma: no cover - not as root
    """Found by trying."""
    directory = Path(home["HF_HOME"]) / "hub"
    directory.mkdir(parents=True)
    directory.chmod(0o500)
    assert reasons(cache_findings(of(home))) == ["cache-read-only"]


def test_a_hub_that_has_the_model(home: dict[str, str], tiny: Path) -> None:
    """A note: it is not here yet, and can be had."""
    with LoopbackHub({"acme/tiny": tiny}) as hub:
        settings = of(
            home | {"HF_ENDPOINT": hub.endpoint, "SIF_AGENT_MODEL": "acme/tiny", "SIF_EMBEDDINGS_MODEL": "acme/tiny"}
        )
        assert reasons(hub_findings(settings, offline=False)) == ["model-not-here"] * 2


def test_a_hub_that_does_not_know_the_model(home: dict[str, str], tiny: Path) -> None:
    """An error, with the model's address on the hub."""
    with LoopbackHub({"acme/tiny": tiny}) as hub:
        settings = of(
            home | {"HF_ENDPOINT": hub.endpoint, "SIF_AGENT_MODEL": "acme/nope", "SIF_EMBEDDINGS_MODEL": str(tiny)}
        )
        (found,) = hub_findings(settings, offline=False)
    assert reasons(iter([found])) == ["model-unknown"]
    assert str(found.location) == f"{hub.endpoint}/acme/nope"


def test_no_hub(home: dict[str, str], tiny: Path) -> None:
    """With a model missing it is an error; with all of them here, a warning about the libraries' long retries."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        there = home | {"HF_ENDPOINT": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        assert reasons(hub_findings(of(there), offline=False)) == ["hub-unreachable"]
        here = there | {"SIF_AGENT_MODEL": str(tiny), "SIF_EMBEDDINGS_MODEL": str(tiny)}
        assert reasons(hub_findings(of(here), offline=False)) == ["hub-retries"]
        assert reasons(hub_findings(of(here | {"HF_HUB_OFFLINE": "1"}), offline=False)) == []
        assert reasons(hub_findings(of(here), offline=True)) == []


def test_offline(home: dict[str, str]) -> None:
    """Offline mode with a model missing is an error, of the setting that says so; --offline alone cannot tell."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        (found,) = hub_findings(of(home | {name: "1"}), offline=False)
        assert found.evidence[0].value == "hub-offline"
        assert found.location is not None
        assert found.location.name == name
    with pytest.raises(CannotCheck):
        list(hub_findings(of(home), offline=True))


def test_memory(home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The agents' lightest step against what is left, from the catalogue's figures: no model, no hub."""
    assert reasons(memory_findings(of(home), offline=True)) == []
    for left, told in ((100, "the lightest step"), (1200, "converting it takes")):
        monkeypatch.setattr(machine, "available_memory", lambda left=left: Available(left << 20, "memory"))
        (found,) = memory_findings(of(home), offline=True)
        assert reasons(iter([found])) == ["does-not-fit"]
        assert told in found.message
    with pytest.raises(CannotCheck):
        list(memory_findings(of(home | {"SIF_AGENT_MODEL": "a/b", "SIF_AGENT_FALLBACK_MODELS": ""}), offline=True))


def test_a_chain_that_goes_up(home: dict[str, str]) -> None:
    """ALwrity's own list, set by hand, is pointed out."""
    chain = "Qwen/Qwen2.5-0.5B-Instruct,TinyLlama/TinyLlama-1.1B-Chat-v1.0"
    settings = of(
        home
        | {
            "SIF_AGENT_MODEL": "Qwen/Qwen2.5-1.5B-Instruct",
            "SIF_AGENT_FALLBACK_MODELS": chain,
            "SIF_AGENT_RUNTIME": "transformers",
            "SIF_AGENT_PRECISION": "bfloat16",
        }
    )
    assert reasons(memory_findings(settings, offline=True)) == ["chain-not-lighter"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.name)
def test_every_check_runs_through_the_gates_door(check: object, home: dict[str, str]) -> None:
    """As the gate calls it: awaited, with a context, offline, ending in findings or in CannotCheck."""
    one = next(each for each in CHECKS if each is check)
    context = Context(of(home | {"HF_HUB_OFFLINE": "1"}), offline=True)
    found = asyncio.run(one.run(context))
    assert all(isinstance(each, Finding) for each in found)
    assert one.issue == 5
    assert one.requires is not None
