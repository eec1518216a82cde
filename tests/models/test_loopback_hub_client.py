"""The loopback hub, asked by the real client of huggingface_hub: what the client takes it for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alwrity_checks.models.loopback_hub import Fault, LoopbackHub
from alwrity_checks.redaction import Secret
from tests.support.hub_models import MODEL, PATIENCE, repository

CLIENT = """
import json, sys
from huggingface_hub import HfApi, snapshot_download
result = {}
for name, kwargs in json.loads(sys.argv[1]):
    try:
        if name == "sizes":
            files = HfApi().model_info(sys.argv[2], files_metadata=True).siblings
            found = {one.rfilename: [one.size, one.lfs.sha256 if one.lfs else one.blob_id] for one in files}
        else:
            found = snapshot_download(sys.argv[2], **kwargs)
    except Exception as error:
        found = type(error).__name__
    result[name] = found
print(json.dumps(result))
"""


def client(hub: LoopbackHub, cache: Path, *calls: tuple[str, dict[str, Any]], token: str = "") -> dict[str, Any]:
    """Return what the client's calls come to: a value, or an exception's name."""
    environment = {name: value for name, value in os.environ.items() if name not in {"HF_HUB_OFFLINE", "HF_TOKEN"}}
    environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", CLIENT, json.dumps(calls), MODEL],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
        env=environment | ({"HF_TOKEN": token} if token else {}),
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_client_downloads_everything(tmp_path: Path) -> None:
    """The real client gets every file unchanged, with the sizes and checksums that it was told, and with its token."""
    source, token = repository(tmp_path / "source"), Secret("hf_" + "LoopbackToken0123456789abcdefghijkl")
    with LoopbackHub({MODEL: source}, token=token) as hub:
        found = client(hub, tmp_path / "cache", ("sizes", {}), ("snapshot", {}), token=token.reveal())
    names = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert set(found["sizes"]) == names
    assert all(found["sizes"][name][0] == (source / name).stat().st_size for name in names)
    assert all((Path(found["snapshot"]) / name).read_bytes() == (source / name).read_bytes() for name in names)
    # Contents lie under the etags that the listing tells: what our download writes is where the client looks.
    blobs = {path.name for path in (tmp_path / "cache").rglob("blobs/*")}
    assert blobs == {etag for _, etag in found["sizes"].values()}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.GATED, "GatedRepoError"),
        (Fault.UNKNOWN, "RepositoryNotFoundError"),
        (Fault.UNAUTHORISED, "HfHubHTTPError"),
    ],
)
def test_the_client_takes_refusals_for_what_they_are(tmp_path: Path, fault: Fault, error: str) -> None:
    """Status and header fields are those that the client tells causes apart by."""
    with LoopbackHub({MODEL: repository(tmp_path / "source")}, fault=fault) as hub:
        assert client(hub, tmp_path / "cache", ("snapshot", {}))["snapshot"] == error


def test_an_unknown_revision(tmp_path: Path) -> None:
    """A revision that does not exist is the client's RevisionNotFoundError."""
    with LoopbackHub({MODEL: repository(tmp_path / "source")}) as hub:
        call = ("snapshot", {"revision": "nothing"})
        assert client(hub, tmp_path / "cache", call)["snapshot"] == "RevisionNotFoundError"


def test_the_rate_is_shared_by_all_connections(tmp_path: Path) -> None:
    """What goes out in a time is bounded by the rate, however many connections ask."""
    import time

    from alwrity_checks.models.hub import Hub

    source = repository(tmp_path / "source", size=50_000)
    with LoopbackHub({MODEL: source}, rate=200_000) as served, Hub(served.endpoint) as hub:
        started = time.monotonic()
        hub.read(MODEL, "main", "model.safetensors")
        hub.read(MODEL, "main", "model.safetensors")
        assert served.bytes_sent / (time.monotonic() - started) <= 205_000
