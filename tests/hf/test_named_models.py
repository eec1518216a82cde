"""Which models a backend will ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.named_models import BACKEND_MODELS, models_named
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def named(**variables: str) -> list[tuple[str, str]]:
    """Return (deployment, place) of each model that these settings name."""
    return [(one.deployment, str(one.where)) for one in models_named(Settings.load(variables))]


@pytest.mark.parametrize("variables", [{}, {"HF_FALLBACK_MODELS": ""}, {"TEXTGEN_AI_MODELS": " , ,"}])
def test_the_backend_s_own_models(variables: dict[str, str]) -> None:
    """Where no setting names one, those of its code are asked for; each is a deployment."""
    assert named(**variables) == list(BACKEND_MODELS.items())
    assert len(BACKEND_MODELS) == 5
    assert all(Deployment.parse(one).provider in {"groq", "cerebras"} for one in BACKEND_MODELS)


def test_a_list_in_a_setting() -> None:
    """Each entry once, in its order, and with the place of the setting."""
    found = named(HF_FALLBACK_MODELS=" a/b:groq, c/d ,,a/b:groq,gpt-oss")
    place = "$HF_FALLBACK_MODELS"
    assert found == [("a/b:groq", place), ("c/d", place), ("gpt-oss", place)]


def test_the_backend_s_short_names() -> None:
    """Its own setting knows some; what it does not know is sent as it is."""
    place = "$TEXTGEN_AI_MODELS"
    assert named(TEXTGEN_AI_MODELS="llama,Qwen/Qwen3-32B,unknown") == [
        ("meta-llama/Llama-3.1-8B-Instruct:cerebras", place),
        ("Qwen/Qwen3-32B", place),
        ("unknown", place),
    ]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("", True), ("hf", True), (" HuggingFace , google", True), ("hf_response_api", True), ("wavespeed,hf", False),
     ("google", False)],
)  # fmt: skip
def test_models_of_another_vendor(provider: str, expected: bool) -> None:  # noqa: FBT001 - the expectation
    """TEXTGEN_AI_MODELS is for the first provider of GPT_PROVIDER, whoever that is."""
    found = named(TEXTGEN_AI_MODELS="a/b", GPT_PROVIDER=provider)
    assert (("a/b", "$TEXTGEN_AI_MODELS") in found) is expected


def test_the_line_of_a_file(tmp_path: Path) -> None:
    """A model of a .env file is found there; the other setting adds to it."""
    path = tmp_path / ".env"
    path.write_text("# models\nHF_FALLBACK_MODELS=a/b\nTEXTGEN_AI_MODELS=c/d,a/b\n")
    found = models_named(Settings.load({}, [path]))
    assert [(one.deployment, str(one.where)) for one in found] == [("a/b", f"{path}:2"), ("c/d", f"{path}:3")]
