"""Model ids with and without a suffix."""

from __future__ import annotations

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.deployment import NO_CHAT, PROVIDERS, REMOVED_PROVIDERS, Deployment, Policy


@pytest.mark.parametrize(
    ("text", "model", "provider", "policy"),
    [
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b", None, Policy.FASTEST),
        ("openai/gpt-oss-120b:groq", "openai/gpt-oss-120b", "groq", None),
        ("openai/gpt-oss-120b:cheapest", "openai/gpt-oss-120b", None, Policy.CHEAPEST),
        ("openai/gpt-oss-120b:preferred", "openai/gpt-oss-120b", None, Policy.PREFERRED),
        ("openai/gpt-oss-120b:fastest", "openai/gpt-oss-120b", None, Policy.FASTEST),
        ("gpt-oss:120b:groq", "gpt-oss:120b", "groq", None),
        (" a/b:auto\n", "a/b", "auto", None),
    ],
)
def test_the_last_colon_separates(text: str, model: str, provider: str | None, policy: Policy | None) -> None:
    """A suffix is a policy or a provider; everything after the last colon is the suffix."""
    deployment = Deployment.parse(text)
    assert (deployment.model, deployment.provider, deployment.policy) == (model, provider, policy)
    assert str(deployment) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "  ", ":groq", "a/b:", "a b/c", "a/b: groq", "http://a/b", "a/\x1b[31mb", "a/\udcff", "a/\u202eb"]
)
def test_what_names_no_deployment(text: str) -> None:
    """An id without a model, with an empty suffix, with spaces inside or with a path for a suffix is refused."""
    with pytest.raises(ConfigurationError, match="names no deployment"):
        Deployment.parse(text)


def test_the_providers_are_told_apart() -> None:
    """What was removed is not served, and what has no chat is."""
    assert not PROVIDERS & REMOVED_PROVIDERS
    assert NO_CHAT < PROVIDERS
