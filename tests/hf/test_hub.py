"""Where the Hub is, and where a token may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.base_url import ROUTER
from alwrity_checks.hf.hub import HUB, carries_safely, hub_url, origin, stray_destination
from alwrity_checks.hf.loopback_router import TOKEN
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("base_url", "endpoint", "expected"),
    [
        (ROUTER, "", HUB),
        ("https://router.huggingface.co/hf/v1", "  ", HUB),
        ("router.huggingface.co/v1", "", HUB),
        ("", "", HUB),
        ("https://api-inference.huggingface.co/v1", "", HUB),
        ("https://router.huggingface.com/v1", "", HUB),
        (ROUTER, " https://hub.example.com/ ", "https://hub.example.com"),
        ("http://127.0.0.1:8000/v1", "", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/v1", "", "http://[::1]:8000"),
        ("https://user:word@gateway.example.com/team/v1", "", "https://gateway.example.com"),
        ("http://127.0.0.1:8000/v1", "https://hub.example.com", "https://hub.example.com"),
    ],
)
def test_the_hub_of_a_router(base_url: str, endpoint: str, expected: str) -> None:
    """Hugging Face's for its own router, the server's own for any other, and whatever the setting says."""
    assert hub_url(base_url, endpoint) == expected


@pytest.mark.parametrize("url", ["", "x", "ftp://a/b", "http://", "http://[", "http://a:b/", "http://a:99999/"])
def test_what_has_no_origin(url: str) -> None:
    """It is no HTTP URL."""
    assert origin(url) is None
    assert not carries_safely(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [(HUB, True), ("http://127.0.0.1:8000", True), ("http://localhost", True), ("http://[::1]:1", True),
     ("http://huggingface.co", False), ("http://127.0.0.1.example.com", False), ("http://10.0.0.1", False)],
)  # fmt: skip
def test_where_a_token_travels_safely(url: str, expected: bool) -> None:  # noqa: FBT001 - the expectation
    """Encrypted, or not at all beyond this machine."""
    assert carries_safely(url) is expected


@pytest.mark.parametrize("name", ["HF_ROUTER_BASE_URL", "HF_ENDPOINT"])
def test_a_destination_from_a_file_and_a_token_from_elsewhere(tmp_path: Path, name: str) -> None:
    """Whoever puts a .env beside the command is not sent the token of its environment, nor of another file."""
    path, other = tmp_path / "a.env", tmp_path / "b.env"
    path.write_text(f"{name}=https://collector.invalid/v1\n")
    other.write_text(f"HF_TOKEN={TOKEN}\n")
    for settings in (Settings.load({"HF_TOKEN": TOKEN}, [path]), Settings.load({}, [path, other])):
        stray = stray_destination(settings)
        assert stray is not None
        assert stray.name == name


def test_destinations_that_belong_to_the_token(tmp_path: Path) -> None:
    """Both from one file, a destination that the environment or a flag names, an empty one, and no token at all."""
    path = tmp_path / ".env"
    path.write_text(f"HF_ROUTER_BASE_URL=https://gateway.invalid/v1\nHF_TOKEN={TOKEN}\nHF_ENDPOINT=\n")
    assert stray_destination(Settings.load({}, [path])) is None
    assert stray_destination(Settings.load({"HF_ROUTER_BASE_URL": "https://gateway.invalid/v1"}, [path])) is None
    assert stray_destination(Settings.load({}, [path], {"HF_ROUTER_BASE_URL": "https://gateway.invalid/v1"})) is None
    path.write_text("HF_ROUTER_BASE_URL=https://gateway.invalid/v1\n")
    assert stray_destination(Settings.load({}, [path])) is None
