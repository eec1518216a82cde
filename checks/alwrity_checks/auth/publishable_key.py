"""Publishable and secret keys, read strictly.

Format: `pk_test_` or `pk_live_`, then base64 of the Frontend API host and `$` (clerk/javascript
`packages/shared/src/keys.ts`). The host becomes a URL that is fetched, so it is held to the rule of `hosts.py`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from alwrity_checks.auth.hosts import is_clerk_development_host, public_host_problem
from alwrity_checks.auth.kinds import kind_of_text, unwrap
from alwrity_checks.auth.reasons import Reason

__all__ = ["InstanceClass", "KeyProblem", "PublishableKey", "SecretKeyClass", "secret_key_class"]

_PLACEHOLDER: Final = re.compile(
    r"(?i).*(your[_-]|placeholder|changeme|change[_-]me|example[_-]key|<[^>]*>|\.\.\.).*|pk_(test|live)_(x+|\*+|…|1234\w*)?"
)


_LONGEST: Final = 512
"""A host name has at most 253 characters, and base64 adds a third."""


class InstanceClass(StrEnum):
    """The class of a Clerk instance."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class KeyProblem(ValueError):  # noqa: N818 - it is a diagnosis; the reason says which
    """A key that cannot be used, and why. The text never holds the key."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class PublishableKey:
    """A publishable key, decoded."""

    instance_class: InstanceClass
    frontend_api: str
    """The instance's Frontend API host, lower case."""
    notes: tuple[tuple[Reason, str], ...] = ()
    """What is odd about the key without making it unusable."""

    @property
    def issuer(self) -> str:
        """The exact `iss` of the instance's session tokens."""
        return f"https://{self.frontend_api}"

    @property
    def jwks_url(self) -> str:
        """Where the instance publishes its keys."""
        return f"{self.issuer}/.well-known/jwks.json"

    @classmethod
    def parse(cls, text: str) -> PublishableKey:
        """Decode `text`. Raises KeyProblem."""
        if len(text) > _LONGEST:
            raise KeyProblem(Reason.PK_MALFORMED, f"{len(text)} characters: not a key")
        bare, taken = unwrap(text)
        notes = [(Reason.PK_WRAPPED, f"wrapped in {', '.join(taken)}")] if taken else []
        if not bare:
            raise KeyProblem(Reason.PK_MISSING, "the key is empty")
        if _PLACEHOLDER.fullmatch(bare) or _PLACEHOLDER.fullmatch(text.strip()):
            raise KeyProblem(Reason.PK_PLACEHOLDER, "a placeholder was never replaced")
        match = re.fullmatch(r"pk_(test|live)_(.*)", bare, re.DOTALL)
        if match is None:
            raise KeyProblem(*_not_publishable(bare))
        instance_class = InstanceClass.DEVELOPMENT if match.group(1) == "test" else InstanceClass.PRODUCTION
        host = _decode(match.group(1), match.group(2))
        problem = public_host_problem(host)
        if problem:
            raise KeyProblem(Reason.PK_HOST_UNSAFE, f"the decoded host {problem}")
        host = host.lower()
        looks = InstanceClass.DEVELOPMENT if is_clerk_development_host(host) else InstanceClass.PRODUCTION
        if looks is not instance_class:
            notes.append(
                (Reason.PK_CLASS_HOST_CONFLICT, f"a {instance_class} key for {host}, which looks like {looks}")
            )
        return cls(instance_class, host, tuple(notes))


def _not_publishable(text: str) -> tuple[Reason, str]:
    if text.lower().startswith(("pk_test_", "pk_live_")):
        return Reason.PK_MALFORMED, "the prefix is written in lower case: pk_test_ or pk_live_"
    if text.startswith("pk_"):
        return Reason.PK_MALFORMED, "the prefix must be pk_test_ or pk_live_"
    if text.startswith(("test_", "live_")):
        return (
            Reason.PK_MALFORMED,
            "a key of the old format (test_… or live_…): take the present one from the dashboard",
        )
    kind = kind_of_text(text)
    if kind is not None and kind.reason is not Reason.TOKEN_NOT_JWT:
        return Reason.PK_WRONG_KIND, f"this is {kind.what}"
    if text.startswith("eyJ"):
        return Reason.PK_WRONG_KIND, "this is a JWT"
    if "clerk" in text and not public_host_problem(text):  # other dotted text may be a secret: it is not repeated
        return Reason.PK_NOT_ENCODED, f"a bare host; its key would be {_as_key(text)}"
    return Reason.PK_MALFORMED, "it does not begin with pk_test_ or pk_live_"


def _as_key(host: str) -> str:
    name = "test" if is_clerk_development_host(host) else "live"
    return f"pk_{name}_{b64encode(f'{host}$'.encode()).decode().rstrip('=')}"


def _decode(name: str, body: str) -> str:
    if not body:
        raise KeyProblem(Reason.PK_MALFORMED, f"nothing follows pk_{name}_")
    host = body.removesuffix("$")
    if "clerk" in host and not public_host_problem(host):
        raise KeyProblem(Reason.PK_NOT_ENCODED, f"the host stands there undecoded; the key would be {_as_key(host)}")
    if "_" in body or "-" in body:
        raise KeyProblem(Reason.PK_MALFORMED, "'_' or '-' in the body: the key uses base64, not its URL-safe form")
    stripped = body.rstrip("=")
    padding = len(body) - len(stripped)
    if padding and (len(body) % 4 or padding > 2):  # noqa: PLR2004 - RFC 4648: at most two
        raise KeyProblem(Reason.PK_MALFORMED, "the base64 padding ('=') is wrong: copy the key again")
    try:
        decoded = b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (BinasciiError, ValueError):
        raise KeyProblem(Reason.PK_MALFORMED, "the body is not base64: the key was cut or altered") from None
    try:
        text = decoded.decode("ascii")
    except UnicodeDecodeError:
        raise KeyProblem(Reason.PK_HOST_UNSAFE, "the decoded host holds bytes beyond ASCII") from None
    if not text.endswith("$"):
        raise KeyProblem(Reason.PK_MALFORMED, "the decoded text does not end with '$': the key was cut")
    host = text[:-1]
    if "$" in host:
        raise KeyProblem(Reason.PK_MALFORMED, "the decoded text holds more than one '$'")
    if "." not in host:
        raise KeyProblem(Reason.PK_MALFORMED, "the decoded text is no host name: no dot in it")
    return host


class SecretKeyClass(StrEnum):
    """What can be told of a secret key offline; its body is opaque and names no instance."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def secret_key_class(text: str) -> SecretKeyClass:
    """Return the class of a secret key. Raises KeyProblem."""
    bare, taken = unwrap(text)
    if not bare:
        raise KeyProblem(Reason.SK_MISSING, "the key is empty")
    if set(taken) - {"white space"}:
        raise KeyProblem(Reason.SK_MALFORMED, f"wrapped in {', '.join(taken)}, which would be sent along")
    match = re.fullmatch(r"(?:sk_)?(test|live)_([A-Za-z0-9_+/=-]*)", bare)
    if match is None:
        kind = kind_of_text(bare)
        named = kind is not None and kind.reason is not Reason.TOKEN_NOT_JWT
        raise KeyProblem(
            Reason.SK_MALFORMED,
            f"this is {kind.what}" if kind and named else "it does not begin with sk_test_ or sk_live_",
        )
    if not match.group(2) or re.fullmatch(r"(?i)x+|your.*|\.+", match.group(2)):
        raise KeyProblem(Reason.SK_MALFORMED, "a placeholder was never replaced")
    return SecretKeyClass.DEVELOPMENT if match.group(1) == "test" else SecretKeyClass.PRODUCTION
