"""What somebody handed over in place of a session token, told from its shape alone.

Sources: Clerk's token and id prefixes (clerk-docs `docs/guides/development/machine-auth`), the JWT categories of
clerk/javascript `packages/backend/src/tokens/jwtCategories.ts`, and RFC 7515 §3.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from alwrity_checks.auth.reasons import Reason

__all__ = ["CATEGORY_TEMPLATE", "OAUTH_TYPES", "Kind", "kind_of_claims", "kind_of_text", "unwrap"]

CATEGORY_M2M: Final = "cl_B7d4PD333AAA"
CATEGORY_TEMPLATE: Final = "cl_B7d4PD222AAA"
OAUTH_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a pasted text is."""

    reason: Reason
    what: str
    """A noun phrase with its article: "an API key"."""
    where: str
    """Where the right value lives."""


_SESSION = "send the result of getToken(), which begins with eyJ"
_PREFIXES: Final = (
    ("ak_", Kind(Reason.WRONG_KIND_API_KEY, "an API key or machine secret key", _SESSION)),
    ("oat_", Kind(Reason.WRONG_KIND_OAUTH, "an OAuth access token", _SESSION)),
    ("mt_", Kind(Reason.WRONG_KIND_M2M, "a machine-to-machine token", _SESSION)),
    ("m2m_", Kind(Reason.WRONG_KIND_M2M, "a machine-to-machine token", _SESSION)),
    (
        "sk_test_",
        Kind(
            Reason.WRONG_KIND_SECRET_KEY,
            "a secret key",
            "it belongs in CLERK_SECRET_KEY; roll it if it left the server",
        ),
    ),
    (
        "sk_live_",
        Kind(
            Reason.WRONG_KIND_SECRET_KEY,
            "a secret key",
            "it belongs in CLERK_SECRET_KEY; roll it if it left the server",
        ),
    ),
    ("pk_test_", Kind(Reason.WRONG_KIND_PUBLISHABLE_KEY, "a publishable key", "it belongs in CLERK_PUBLISHABLE_KEY")),
    ("pk_live_", Kind(Reason.WRONG_KIND_PUBLISHABLE_KEY, "a publishable key", "it belongs in CLERK_PUBLISHABLE_KEY")),
    ("whsec_", Kind(Reason.WRONG_KIND_WEBHOOK_SECRET, "a webhook signing secret", "it verifies webhooks, not users")),
    ("sess_", Kind(Reason.WRONG_KIND_SESSION_ID, "a session id", _SESSION)),
    ("user_", Kind(Reason.WRONG_KIND_USER_ID, "a user id", _SESSION)),
    ("org_", Kind(Reason.WRONG_KIND_OTHER_ID, "an organisation id", _SESSION)),
    ("ins_", Kind(Reason.WRONG_KIND_OTHER_ID, "an instance id", _SESSION)),
    ("client_", Kind(Reason.WRONG_KIND_OTHER_ID, "a client id", _SESSION)),
    ("mch_", Kind(Reason.WRONG_KIND_OTHER_ID, "a machine id", _SESSION)),
    ("dvb_", Kind(Reason.WRONG_KIND_DEV_BROWSER, "what looks like a development browser token", _SESSION)),
    ("-----BEGIN", Kind(Reason.WRONG_KIND_PEM, "a PEM key or certificate", "a public key belongs in CLERK_JWT_KEY")),
)
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PLACEHOLDERS: Final = frozenset(
    {
        "null",
        "undefined",
        "none",
        "nil",
        "nan",
        "true",
        "false",
        "[object object]",
        "[object promise]",
        "{}",
        "<token>",
        "token",
    }
)
_HYDRATION: Final = Kind(
    Reason.TOKEN_PLACEHOLDER,
    "the text of an empty JavaScript value",
    "getToken() was called before the session was ready: wait for isLoaded and isSignedIn",
)
_OWN_ALGORITHM: Final = re.compile(r"HS\d+|ES\d+|EdDSA")
_MOST_LAYERS: Final = 8
_FOREIGN: Final = re.compile(
    r"https://([^/]+\.)?(accounts\.google\.com|securetoken\.google\.com|supabase\.co|auth0\.com|okta\.com"
    r"|login\.microsoftonline\.com|sts\.windows\.net|cognito-idp\.[^/]+\.amazonaws\.com|appleid\.apple\.com)(/|\Z)"
)
_PARTS_JWS: Final = 3
_PARTS_JWE: Final = 5


def unwrap(text: str) -> tuple[str, tuple[str, ...]]:
    """Take off what people paste around a token; return it and what was taken off, outermost first."""
    taken: list[str] = []
    for _ in range(_MOST_LAYERS):
        before = text
        for what, after in (
            ("a byte-order mark", text.removeprefix("\ufeff")),
            ("white space", text.strip()),
            ("the header name Authorization:", re.sub(r"(?i)\Aauthorization\s*[:=]\s*", "", text)),
            ("the scheme Bearer", re.sub(r"(?i)\Abearer(?:\s+|%20|:\s*|\Z)", "", text)),
            ("the cookie name __session", re.sub(r"\A__session(?:_[A-Za-z0-9_-]{8})?=", "", text).removesuffix(";")),
            ("quotes", _unquoted(text)),
        ):
            if after != text:
                taken.append(what)
                text = after
                break
        if text == before:
            break
    return text, tuple(taken)


def _unquoted(text: str) -> str:
    for opening, closing in ('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "<>"):
        if len(text) > 1 and text.startswith(opening) and text.endswith(closing):
            return text[1:-1]
    return text


def kind_of_text(text: str) -> Kind | None:
    """Return what `text` is when it has not even the form of a JWT; None if it has that form."""
    if not text:
        return Kind(Reason.TOKEN_MISSING, "nothing", _SESSION)
    for prefix, kind in _PREFIXES:
        if text.startswith(prefix):
            return kind
    if text.lower() in _PLACEHOLDERS:
        return _HYDRATION
    if re.match(r"(?i)basic\s", text):
        return Kind(Reason.WRONG_KIND_BASIC, "a Basic credential", "send Authorization: Bearer with a session token")
    parts = text.count(".") + 1
    if parts == _PARTS_JWE and text.startswith("eyJ"):
        return Kind(
            Reason.TOKEN_IS_JWE,
            "an encrypted token (JWE, five parts)",
            "Clerk session tokens are signed, not encrypted",
        )
    if not _JWT.fullmatch(text):
        form = (
            "JSON"
            if text.startswith(("{", "["))
            else f"{parts} part{'s' * (parts != 1)} instead of {_PARTS_JWS}"
            if parts != _PARTS_JWS
            else "characters outside base64url"
        )
        return Kind(Reason.TOKEN_NOT_JWT, f"not a JWT ({form})", _SESSION)
    return None


def kind_of_claims(  # noqa: C901 - one branch a kind, in order
    header: Mapping[str, Any], claims: Mapping[str, Any]
) -> Kind | None:
    """Return what a decoded JWT is if it is not a Clerk session token; None if it may be one."""
    category, typ = header.get("cat"), header.get("typ")
    subject, jti, kid = claims.get("sub", ""), claims.get("jti", ""), header.get("kid", "")
    if not (type(subject) is type(jti) is type(kid) is str):
        subject, jti, kid = _text(subject), _text(jti), _text(kid)
    if jti.startswith("oat_") or (typ != "JWT" and _text(typ).lower() in OAUTH_TYPES):
        return Kind(Reason.WRONG_KIND_OAUTH_JWT, "an OAuth access token in JWT form", _SESSION)
    if category == CATEGORY_M2M or subject.startswith("mch_") or jti.startswith("mt_"):
        return Kind(Reason.WRONG_KIND_M2M_JWT, "a machine-to-machine token in JWT form", _SESSION)
    if "handshake" in claims:
        return Kind(Reason.WRONG_KIND_HANDSHAKE_JWT, "a handshake token", _SESSION)
    if "rotating_token" in claims:
        return Kind(Reason.WRONG_KIND_CLIENT_JWT, "a client token (the __client cookie)", _SESSION)
    if category == CATEGORY_TEMPLATE:
        return _TEMPLATE
    if not kid.startswith("ins_"):
        if _FOREIGN.match(_text(claims.get("iss"))):
            return Kind(Reason.WRONG_KIND_FOREIGN_IDP, "another identity provider's token", _SESSION)
        if "kid" not in header and "iss" in claims and _OWN_ALGORITHM.fullmatch(_text(header.get("alg"))):
            return Kind(
                Reason.WRONG_KIND_CUSTOM_SIGNED_TEMPLATE,
                "a JWT-template token with a signing key of its own",
                "its key is in no key set; call getToken() without a template",
            )
    if "sid" not in claims and subject.startswith("user_"):
        return _TEMPLATE
    return None


_TEMPLATE: Final = Kind(
    Reason.WRONG_KIND_JWT_TEMPLATE,
    "a JWT-template token",
    "unset REACT_APP_CLERK_JWT_TEMPLATE and call getToken() without a template: a template token outlives its session",
)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
