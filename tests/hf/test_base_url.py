"""Base URLs that cannot work, and the right one for each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.hf.base_url import PROVIDER_PATHS, ROUTER, lint, right_url
from alwrity_checks.hf.deployment import REMOVED_PROVIDERS
from alwrity_checks.hf.reasons import ConfigurationReason as Reason

HOST = "https://router.huggingface.co"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"{HOST}/hf/v1", Reason.BASE_URL_UNKNOWN_PROVIDER),
        (f"{HOST}/HF/v1/", Reason.BASE_URL_UNKNOWN_PROVIDER),
        (f"{HOST}/hf-inference/v1", Reason.BASE_URL_PROVIDER_PATH),
        (f"{HOST}/v1/chat/completions", Reason.BASE_URL_PATH_DOUBLED),
        (HOST, Reason.BASE_URL_VERSION_MISSING),
        (f"{HOST}/", Reason.BASE_URL_VERSION_MISSING),
        (f"{HOST}/openai/v1", Reason.BASE_URL_FOREIGN_GRAMMAR),
        (f"{HOST}/api/v1", Reason.BASE_URL_FOREIGN_GRAMMAR),
        (f"{HOST}/v1/openai/gpt-oss-120b", Reason.BASE_URL_MODEL_IN_PATH),
        (f"{HOST}/groq/v1", Reason.BASE_URL_PROVIDER_PATH),
        (f"{HOST}/replicate/v1", Reason.BASE_URL_PROVIDER_PATH),
        ("https://api-inference.huggingface.co/models/a/b", Reason.BASE_URL_HOST_RETIRED),
        ("https://huggingface.co/api/inference/v1", Reason.BASE_URL_HOST_WRONG),
        *((f"{HOST}/{provider}/v1", Reason.BASE_URL_PROVIDER_REMOVED) for provider in sorted(REMOVED_PROVIDERS)),
        ("", Reason.BASE_URL_MALFORMED),
        ("router.huggingface.co/v1", Reason.BASE_URL_MALFORMED),
        ("https://router. huggingface.co/v1", Reason.BASE_URL_MALFORMED),
        ("https://router.huggingface.co:99999/v1", Reason.BASE_URL_MALFORMED),
        ("http://[::1/v1", Reason.BASE_URL_MALFORMED),
        ("ftp://router.huggingface.co/v1", Reason.BASE_URL_MALFORMED),
    ],
)
def test_known_bad_values(url: str, reason: Reason) -> None:
    """Each is told by its own reason, surely, and the right one is the router's."""
    (fault,) = lint(url)
    assert fault.reason is reason
    assert fault.fatal
    assert fault.right == right_url(url) == ROUTER


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://router.huggingface.co/v1", Reason.BASE_URL_INSECURE),
        (f"{ROUTER}  ", Reason.BASE_URL_UNTIDY),
        (f'"{ROUTER}"', Reason.BASE_URL_UNTIDY),
        (f"{ROUTER}?x=1", Reason.BASE_URL_UNTIDY),
        ("https://user:secret@router.huggingface.co/v1", Reason.BASE_URL_UNTIDY),
    ],
)
def test_blemishes(url: str, reason: Reason) -> None:
    """They are named and taken off; a request can still succeed."""
    (fault,) = lint(url)
    assert (fault.reason, fault.fatal, fault.right) == (reason, False, ROUTER)
    assert "secret" not in fault.message


@pytest.mark.parametrize(
    "url",
    [
        ROUTER,
        f"{ROUTER}/",
        f"{HOST}/hf-inference/models/a/b/v1",
        *(f"{HOST}/{provider}/{path}" for provider, path in PROVIDER_PATHS.items()),
        "http://127.0.0.1:8080/v1",
        "http://localhost:8080",
        "https://example.org/anything/at/all",
    ],
)
def test_good_values(url: str) -> None:
    """What can work has no fault and is its own right URL."""
    assert lint(url) == ()
    assert right_url(url) == url


def test_another_host_is_judged_by_its_answers() -> None:
    """There /hf/v1 is only a suspicion, with the host kept; what the client adds itself is a sure fault."""
    (fault,) = lint("http://127.0.0.1:8080/hf/v1")
    assert (fault.reason, fault.fatal, fault.right) == (
        Reason.BASE_URL_UNKNOWN_PROVIDER,
        False,
        "http://127.0.0.1:8080/v1",
    )
    (fault,) = lint("http://[::1]:8080/v1/chat/completions/")
    assert (fault.fatal, fault.right) == (True, "http://[::1]:8080/v1")


def test_the_gravest_fault_comes_first() -> None:
    """Several faults have one right URL, without any of them."""
    faults = lint(" http://router.huggingface.co/hf/v1/chat/completions ")
    assert [fault.reason for fault in faults] == [
        Reason.BASE_URL_PATH_DOUBLED,
        Reason.BASE_URL_UNKNOWN_PROVIDER,
        Reason.BASE_URL_INSECURE,
        Reason.BASE_URL_UNTIDY,
    ]
    assert {fault.right for fault in faults} == {ROUTER}


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["hf", "v1", "groq", "models", "chat", "completions", "a b", "..", "%2f", ""]), max_size=6
    ).map(lambda parts: f"{HOST}/{'/'.join(parts)}")
)
def test_lint_never_raises_and_its_right_url_is_right(url: str) -> None:
    """Whatever the setting holds, the URL that is recommended instead has no sure fault."""
    assert not any(fault.fatal for fault in lint(right_url(url)))
