"""What a text that should be a Hugging Face token is, told from its form alone. The text itself is never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.redaction import Secret

__all__ = ["TokenForm", "TokenKind", "token_form"]

_CREATE: Final = (
    "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"
)


class TokenKind(StrEnum):
    """Whose token a text looks like."""

    HUGGING_FACE = "a Hugging Face token"
    HUGGING_FACE_OLD = "an old Hugging Face API key (api_…)"
    HUGGING_FACE_JWT = "a JWT, such as a browser's session or an OAuth identity"
    OPENAI = "an OpenAI key"
    OPENROUTER = "an OpenRouter key"
    ANTHROPIC = "an Anthropic key"
    GROQ = "a Groq key"
    CEREBRAS = "a Cerebras key"
    GOOGLE = "a Google key"
    REPLICATE = "a Replicate key"
    FIREWORKS = "a Fireworks key"
    NVIDIA = "an NVIDIA key"
    GITHUB = "a GitHub token"
    CLERK = "a Clerk key"
    PLACEHOLDER = "a placeholder"
    NOTHING = "nothing"
    UNKNOWN = "no known kind of token"


@dataclass(frozen=True, slots=True)
class TokenForm:
    """What a text is."""

    kind: TokenKind
    token: Secret
    """What remains without the wrapping; what to send if `kind` is a Hugging Face token."""
    reason: Reason | None = None
    """What is wrong with it; None where nothing is."""
    message: str = ""
    remedy: str = ""
    usable: bool = True
    """Whether it is worth a request."""


_PREFIXES: Final = (
    # The longer prefix of two that begin alike comes first.
    ("hf_", TokenKind.HUGGING_FACE),
    ("api_org_", TokenKind.HUGGING_FACE_OLD),
    ("api_", TokenKind.HUGGING_FACE_OLD),
    ("eyJ", TokenKind.HUGGING_FACE_JWT),
    ("sk-or-", TokenKind.OPENROUTER),
    ("sk-ant-", TokenKind.ANTHROPIC),
    ("sk_test_", TokenKind.CLERK),
    ("sk_live_", TokenKind.CLERK),
    ("pk_test_", TokenKind.CLERK),
    ("pk_live_", TokenKind.CLERK),
    ("sk-", TokenKind.OPENAI),
    ("gsk_", TokenKind.GROQ),
    ("csk-", TokenKind.CEREBRAS),
    ("AIza", TokenKind.GOOGLE),
    ("r8_", TokenKind.REPLICATE),
    ("fw_", TokenKind.FIREWORKS),
    ("nvapi-", TokenKind.NVIDIA),
    ("ghp_", TokenKind.GITHUB),
    ("github_pat_", TokenKind.GITHUB),
)
_QUOTES: Final = "'\"`\u201c\u201d\u2018\u2019"
_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]*\s*=\s*")
_SCHEME: Final = re.compile(r"(?:authorization:\s*)?bearer\s+", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(
    r"(?:hf_)?(?:[x.*_-]+|<.*>|\$\{?\w+\}?|\{\{?.*\}\}?|.*\b(?:your|changeme|change_me|example|placeholder|todo)\b.*"
    r"|.*(?:your[_-]|_here|[_-]token[_-]?here).*|none|null|undefined|token)",
    re.IGNORECASE,
)
_BODY: Final = re.compile(r"hf_[A-Za-z0-9]+")
_SHORTEST: Final = 30
"""Tokens in use have 37 characters; a much shorter one is cut. The form is not documented, so longer ones pass."""


def token_form(text: str) -> TokenForm:
    """Say what `text` is. Never raises and never repeats it."""
    bare, wrapping = _unwrapped(text)
    token = Secret(bare)
    if not bare:
        return TokenForm(
            TokenKind.NOTHING, token, Reason.TOKEN_MISSING, "there is no token", f"make one: {_CREATE}", usable=False
        )
    if _PLACEHOLDER.fullmatch(bare):
        message = "it is a placeholder that nobody replaced"
        return TokenForm(
            TokenKind.PLACEHOLDER, token, Reason.TOKEN_PLACEHOLDER, message, f"make one: {_CREATE}", usable=False
        )
    kind = next((kind for prefix, kind in _PREFIXES if bare.startswith(prefix)), TokenKind.UNKNOWN)
    if kind is not TokenKind.HUGGING_FACE:
        message = f"it is {kind}: the router takes only tokens that begin with hf_"
        return TokenForm(kind, token, Reason.TOKEN_FOREIGN, message, f"make one: {_CREATE}", usable=False)
    if fault := _malformed(bare):
        return TokenForm(kind, token, Reason.TOKEN_MALFORMED, fault, "copy the whole token again", usable=False)
    if wrapping:
        message = f"it stands in {' and '.join(wrapping)}, which the backend sends along"
        return TokenForm(kind, token, Reason.TOKEN_WRAPPED, message, "keep the token alone in the setting")
    return TokenForm(kind, token)


def _malformed(bare: str) -> str:
    if not _BODY.fullmatch(bare):
        return "it holds characters that no token has"
    if len(bare) < _SHORTEST:
        return f"it is cut: {len(bare)} characters, where tokens have 37"
    return ""


def _unwrapped(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text without what people leave around a token, and the names of what was taken off."""
    wrapping = []
    bare = text.strip().removeprefix("\ufeff")
    if bare != text:
        wrapping.append("blanks")
    for name, pattern in (("an assignment", _ASSIGNMENT), ("a Bearer scheme", _SCHEME)):
        if found := pattern.match(bare):
            bare = bare[found.end() :]
            wrapping.append(name)
        if (stripped := bare.strip(_QUOTES).strip()) != bare:
            bare = stripped
            wrapping.append("quotation marks")
    return bare, tuple(dict.fromkeys(wrapping))
