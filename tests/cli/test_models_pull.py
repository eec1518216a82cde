"""`models pull`: a model comes whole, or the command says why not and what to do; on the real way, over loopback."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.models.loopback_hub import Fault
from tests.support.models_cli import Models, reasons, tiny

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return tiny(tmp_path_factory.mktemp("pull"))


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Models:
    """Return the commands in an empty home."""
    return Models(monkeypatch, capsys, tmp_path)


def test_a_model_comes_once(models: Models, checkpoint: Path) -> None:
    """The first pull downloads it into the hub's cache, the second finds it there."""
    with models.hub({"acme/tiny": checkpoint}) as hub:
        done = models("pull", "acme/tiny")
        assert done.code == 0
        assert "PASS" in done.out
        sent = hub.bytes_sent
        assert models("pull", "acme/tiny").code == 0
        assert hub.bytes_sent == sent
    assert (models.home / "hf/hub/models--acme--tiny").is_dir()


def test_a_role_is_pulled_by_its_name(models: Models, checkpoint: Path) -> None:
    """Of a role it is the model that will be loaded, by the settings."""
    with models.hub({"acme/tiny": checkpoint}):
        code, document = models.json("pull", "agent", SIF_AGENT_MODEL="acme/tiny")
    assert code == 0
    assert "acme/tiny" in document["results"][0]["reason"]


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ({"fault": Fault.UNKNOWN}, "model-unknown"),
        ({"fault": Fault.GATED}, "model-gated"),
        ({"fault": Fault.UNAUTHORISED}, "hub-unauthorised"),
        ({"fault": Fault.RATE_LIMITED, "retry_after": 3600.0}, "hub-rate-limited"),
        ({"fault": Fault.NO_JSON}, "hub-error"),
        ({"fault": Fault.CORRUPT}, "download-broken"),
    ],
)
def test_each_answer_of_a_hub_has_its_own_finding(
    models: Models, checkpoint: Path, manner: dict[str, object], reason: str
) -> None:
    """Unknown, gated, refused, throttled, no hub at all, another content than announced: exit code 1 and a remedy."""
    with models.hub({"acme/tiny": checkpoint}, **manner):
        code, document = models.json("pull", "acme/tiny")
    assert code == 1
    assert reasons(document) == [reason]
    assert document["results"][0]["findings"][0]["evidence"][1]["label"] == "advice"


def test_pickles_are_refused(models: Models, checkpoint: Path, tmp_path: Path) -> None:
    """A repository without safetensors is not downloaded, and the finding says why."""
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for path in checkpoint.iterdir():
        name = "pytorch_model.bin" if path.suffix == ".safetensors" else path.name
        (pickled / name).write_bytes(path.read_bytes())
    with models.hub({"acme/pickled": pickled}) as hub:
        code, document = models.json("pull", "acme/pickled")
        assert hub.bytes_sent == 0
    assert code == 1
    assert reasons(document) == ["pickle-only"]


def test_without_a_network_the_answer_comes_within_seconds(models: Models) -> None:
    """Nobody listens at the hub's address, and nothing says that this machine is offline: no ladder of retries."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        began = time.monotonic()
        code, document = models.json("pull", "acme/tiny", HF_ENDPOINT=f"http://127.0.0.1:{taken.getsockname()[1]}")
        seconds = time.monotonic() - began
    assert code == 1
    assert reasons(document) == ["hub-unreachable"]
    assert seconds < 30, "the libraries' own ladder takes 70 s"


def test_offline_is_its_own_finding(models: Models) -> None:
    """By the option and by the variable."""
    for arguments, variables in ((("--offline",), {}), ((), {"HF_HUB_OFFLINE": "1"})):
        code, document = models.json("pull", "acme/tiny", *arguments, **variables)
        assert code == 1
        assert reasons(document) == ["hub-offline"]


def test_a_full_disk_is_told_before_the_first_byte(
    models: Models, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is looked at first."""
    full(monkeypatch)
    with models.hub({"acme/tiny": checkpoint}) as hub:
        code, document = models.json("pull", "acme/tiny")
        assert hub.bytes_sent == 0
    assert code == 1
    assert reasons(document) == ["disk-full"]


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a place where not even root may write")
def test_a_cache_that_cannot_be_written(models: Models, checkpoint: Path) -> None:
    """Found before anything is downloaded."""
    with models.hub({"acme/tiny": checkpoint}) as hub:
        code, document = models.json("pull", "acme/tiny", HF_HOME="/sys/kernel/no-cache")
        assert hub.bytes_sent == 0
    assert code == 1
    assert reasons(document) == ["cache-read-only"]


@pytest.mark.parametrize("name", ["a/b/c", "https://hub/x", "../nowhere", "two words"])
def test_a_name_that_is_none(models: Models, name: str) -> None:
    """Exit code 2: nothing was looked for."""
    done = models("pull", name)
    assert done.code == 2
    assert "Remedy" in done.err


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every disk be full."""
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - shutil's own kind
    look: Callable[[object], object] = lambda _path: usage(1 << 30, (1 << 30) - 10, 10)  # noqa: E731 - one line of a test
    monkeypatch.setattr(shutil, "disk_usage", look)
