"""Every reason code of Clerk's two SDKs has one of ours, and every one of ours that is named has a rule."""

from __future__ import annotations

import pytest
from clerk_backend_api.security import types

from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.rules import rule_of
from alwrity_checks.auth.sdk_reasons import HANDSHAKE, JAVASCRIPT, PYTHON

VERIFICATION = """
    token-expired token-invalid token-invalid-algorithm token-invalid-authorized-parties token-invalid-signature
    token-not-active-yet token-iat-in-the-future token-verification-failed secret-key-invalid jwk-local-missing
    jwk-remote-failed-to-load jwk-remote-invalid jwk-remote-missing jwk-failed-to-resolve jwk-kid-mismatch
""".split()  # noqa: SIM905 - as listed in the source
MACHINE = ["token-invalid", "secret-key-invalid", "unexpected-error", "token-verification-failed"]
AUTH = """
    client-uat-but-no-session-token dev-browser-missing dev-browser-sync primary-responds-to-syncing
    primary-domain-cross-origin-sync satellite-needs-syncing session-token-and-uat-missing session-token-missing
    session-token-expired session-token-iat-before-client-uat session-token-nbf session-token-iat-in-the-future
    session-token-but-no-client-uat active-organization-mismatch token-type-mismatch unexpected-error
""".split()  # noqa: SIM905 - the same
REFRESH = """
    non-eligible-no-refresh-cookie non-eligible-non-get invalid-session-token missing-api-client missing-session-token
    missing-refresh-token expired-session-token-decode-failed expired-session-token-missing-sid-claim fetch-error
    unexpected-sdk-error unexpected-bapi-error
""".split()  # noqa: SIM905 - the same


def test_javascript_is_complete() -> None:
    """Every code of @clerk/backend 3.25.0 is mapped, the composed ones too, and nothing else is."""
    composed = {f"session-token-expired-refresh-{reason}" for reason in REFRESH}
    assert set(JAVASCRIPT) == {*VERIFICATION, *MACHINE, *AUTH, *REFRESH} | composed


def test_python_is_complete() -> None:
    """Every code of the clerk-backend-api that is installed is mapped, and nothing else is."""
    theirs = {
        member.value[0]
        for enumeration in (types.TokenVerificationErrorReason, types.AuthErrorReason)
        for member in enumeration
    }
    assert theirs
    assert set(PYTHON) == theirs


@pytest.mark.parametrize("table", [JAVASCRIPT, PYTHON], ids=["JavaScript", "Python"])
def test_every_reason_has_a_rule(table: dict[str, Reason]) -> None:
    """Whatever a code maps to can be explained."""
    for code, reason in table.items():
        assert isinstance(reason, Reason), code
        assert rule_of(reason).code.startswith("AUTH"), code


def test_the_handshake_means_that_no_token_came() -> None:
    """The codes of the browser's handshake are JavaScript's, and mean a missing token to a backend."""
    assert set(AUTH) > HANDSHAKE
    assert {JAVASCRIPT[code] for code in HANDSHAKE} == {Reason.TOKEN_MISSING}


def test_equal_names_mean_equal_things() -> None:
    """A code of theirs that is also one of ours maps to it, except where an SDK is known to misuse it."""
    misused = {("token-iat-in-the-future", Reason.TIME_INVALID)}
    ours = set(Reason)
    for table in (JAVASCRIPT, PYTHON):
        for code, reason in table.items():
            assert code not in ours or code == reason or (code, reason) in misused
