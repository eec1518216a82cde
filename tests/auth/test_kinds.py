"""What people paste in place of a token, told from its shape."""

from __future__ import annotations

from typing import Any

import pytest

from alwrity_checks.auth.kinds import kind_of_claims, kind_of_text, unwrap
from alwrity_checks.auth.mint import ABSENT, Instance, base64url
from alwrity_checks.auth.reasons import Reason

JWE = (
    "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZ.48V1_ALb6US04U3b.5eym8TW_c8SuK.XFBoMYUZodet"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reason.TOKEN_MISSING),
        ("ak_0123456789abcdef0123456789abcdef", Reason.WRONG_KIND_API_KEY),
        ("oat_abc", Reason.WRONG_KIND_OAUTH),
        ("mt_abc", Reason.WRONG_KIND_M2M),
        ("m2m_abc", Reason.WRONG_KIND_M2M),
        ("sk_test_abc", Reason.WRONG_KIND_SECRET_KEY),
        ("sk_live_abc", Reason.WRONG_KIND_SECRET_KEY),
        ("pk_test_abc", Reason.WRONG_KIND_PUBLISHABLE_KEY),
        ("pk_live_abc", Reason.WRONG_KIND_PUBLISHABLE_KEY),
        ("whsec_abc", Reason.WRONG_KIND_WEBHOOK_SECRET),
        ("sess_abc", Reason.WRONG_KIND_SESSION_ID),
        ("user_abc", Reason.WRONG_KIND_USER_ID),
        ("org_abc", Reason.WRONG_KIND_OTHER_ID),
        ("ins_abc", Reason.WRONG_KIND_OTHER_ID),
        ("client_abc", Reason.WRONG_KIND_OTHER_ID),
        ("mch_abc", Reason.WRONG_KIND_OTHER_ID),
        ("dvb_abc", Reason.WRONG_KIND_DEV_BROWSER),
        ("-----BEGIN PUBLIC KEY-----\nMIIB", Reason.WRONG_KIND_PEM),
        ("Basic dXNlcjpwYXNz", Reason.WRONG_KIND_BASIC),
        ("basic\tdXNlcjpwYXNz", Reason.WRONG_KIND_BASIC),
        (JWE, Reason.TOKEN_IS_JWE),
        *(
            (text, Reason.TOKEN_PLACEHOLDER)
            for text in (
                "null",
                "undefined",
                "None",
                "NULL",
                "[object Object]",
                "[object Promise]",
                "{}",
                "NaN",
                "false",
            )
        ),
        *(
            (text, Reason.TOKEN_NOT_JWT)
            for text in (
                "hello",
                "a.b",
                "a.b.c.d",
                "a.b.c.d.e",
                "a..c",
                "eyJ.eyJ.",
                "a.b.c=",
                "a.b.c\n",
                '{"a":1}',
                "[1]",
            )
        ),
        ("a.b.c", None),
        ("eyJhbGciOiJub25lIn0.e30.AA", None),
    ],
)
def test_kinds_of_text(text: str, expected: Reason | None) -> None:
    """Each kind of credential, id and placeholder is told from its shape; what has the form of a JWT is not judged."""
    kind = kind_of_text(text)
    assert (kind.reason if kind else None) is expected
    if kind is not None:
        assert kind.what
        assert kind.where
        assert not kind.what.endswith(".")


@pytest.mark.parametrize("text", ["sk_live_abcdefgh12345", "ak_abcdefgh12345", "whsec_abcdefgh12345", "hello-my-token"])
def test_no_description_holds_the_text(text: str) -> None:
    """What is said of a pasted secret does not repeat it."""
    kind = kind_of_text(text)
    assert kind is not None
    assert text not in kind.what + kind.where


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("a.b.c", ()),
        (" a.b.c", ("white space",)),
        ("a.b.c\r\n", ("white space",)),
        ("\ufeffa.b.c", ("a byte-order mark",)),
        ("Bearer a.b.c", ("the scheme Bearer",)),
        ("bearer  a.b.c", ("the scheme Bearer",)),
        ("Bearer%20a.b.c", ("the scheme Bearer",)),
        ("Bearer: a.b.c", ("the scheme Bearer",)),
        ("Authorization: Bearer a.b.c", ("the header name Authorization:", "the scheme Bearer")),
        ("authorization=Bearer a.b.c", ("the header name Authorization:", "the scheme Bearer")),
        ("__session=a.b.c", ("the cookie name __session",)),
        ("__session_nx2hSE6I=a.b.c;", ("the cookie name __session",)),
        ('"a.b.c"', ("quotes",)),
        ("'a.b.c'", ("quotes",)),
        ("`a.b.c`", ("quotes",)),
        ("\u201ca.b.c\u201d", ("quotes",)),
        ("<a.b.c>", ("quotes",)),
        ("'\"a.b.c\"'", ("quotes", "quotes")),
        (' "Bearer a.b.c" ', ("white space", "quotes", "the scheme Bearer")),
    ],
)
def test_unwrapping(text: str, taken: tuple[str, ...]) -> None:
    """What people paste around a token is taken off, and named from the outside in."""
    assert unwrap(text) == ("a.b.c", taken)


@pytest.mark.parametrize("text", ["", "'", '"', "Bearera.b.c", "bearer_a", '"a', "a'", "__sessiona.b.c", "<"])
def test_what_is_no_wrapper_stays(text: str) -> None:
    """Half a pair of quotes, or a word that only begins like the scheme, is left as it is."""
    assert unwrap(text) == (text, ())


def test_deep_wrapping_is_not_worth_much_work() -> None:
    """8 KiB of quotes are one finding, not a message of 28 KB."""
    _, taken = unwrap('"' * 4000 + "a.b.c" + '"' * 4000)
    assert len(taken) <= 10


@pytest.mark.parametrize(
    ("header", "claims", "expected"),
    [
        ({}, {}, None),
        ({"cat": "cl_I7d4PD111III"}, {}, None),
        ({"typ": "at+jwt"}, {}, Reason.WRONG_KIND_OAUTH_JWT),
        ({"typ": "AT+JWT"}, {}, Reason.WRONG_KIND_OAUTH_JWT),
        ({"typ": "application/at+jwt"}, {}, Reason.WRONG_KIND_OAUTH_JWT),
        ({}, {"jti": "oat_abc"}, Reason.WRONG_KIND_OAUTH_JWT),
        ({"cat": "cl_B7d4PD333AAA"}, {}, Reason.WRONG_KIND_M2M_JWT),
        ({}, {"sub": "mch_abc"}, Reason.WRONG_KIND_M2M_JWT),
        ({}, {"jti": "mt_abc"}, Reason.WRONG_KIND_M2M_JWT),
        ({}, {"handshake": ["a"]}, Reason.WRONG_KIND_HANDSHAKE_JWT),
        ({}, {"rotating_token": "a"}, Reason.WRONG_KIND_CLIENT_JWT),
        ({"cat": "cl_B7d4PD222AAA"}, {}, Reason.WRONG_KIND_JWT_TEMPLATE),
        ({}, {"sid": ABSENT}, Reason.WRONG_KIND_JWT_TEMPLATE),
        ({"alg": "HS256", "kid": ABSENT}, {}, Reason.WRONG_KIND_CUSTOM_SIGNED_TEMPLATE),
        ({"alg": "ES256", "kid": ABSENT}, {}, Reason.WRONG_KIND_CUSTOM_SIGNED_TEMPLATE),
        ({"alg": "HS256"}, {}, None),
        ({"typ": 7, "cat": ["x"], "alg": None}, {"sub": 7, "jti": [], "sid": None}, None),
    ],
)
def test_kinds_of_claims(
    instance: Instance, header: dict[str, Any], claims: dict[str, Any], expected: Reason | None
) -> None:
    """A decoded JWT of another kind is told by its category, typ, ids or the claims that only it has."""
    kind = kind_of_claims(instance.header(**header), instance.claims(**claims))
    assert (kind.reason if kind else None) is expected


def test_a_session_token_has_the_form_of_a_jwt(instance: Instance) -> None:
    """A genuine token is none of the other kinds, whatever its random parts spell."""
    assert kind_of_text(instance.token()) is None
    assert kind_of_text(f"mt_{base64url(b'x')}.e30.AA") is not None
