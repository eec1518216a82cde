"""Log lines with secrets of every kind in them, plain and in every disguise, and what must not be seen of each."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["DISGUISES", "JWT", "PLAIN", "SEEDS", "Seed", "disguised", "seeded_lines"]

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6Imluc18yIn0.eyJzdWIiOiJ1c2VyXzJhYmMifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
PRIVATE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"


@dataclass(frozen=True)
class Seed:
    """A line with a secret in it."""

    name: str
    line: str
    secret: str
    """The part of the line that is secret."""
    shapely: bool = True
    """Whether it is told by its own form and not only by the name before it."""


SEEDS = (
    Seed("session token in an access line", f'INFO:     1.2.3.4:5 - "GET /x?token={JWT} HTTP/1.1" 200 OK', JWT),
    Seed(
        "opaque token in an access line",
        '"GET /x?a=1&access_token=Opaque77secret HTTP/1.1" 200',
        "Opaque77secret",
        False,
    ),
    Seed("bearer", "Authorization: Bearer opaque-token-12345", "opaque-token-12345", False),
    Seed("bearer alone", f"sent Bearer {JWT} to it", JWT),
    Seed("basic", "Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy", False),
    Seed(
        "first fifty characters of the header",
        "auth_header_value=Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImluczExMTE..., all_headers=['host'], user_agent=x)",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImluczExMTE",
    ),
    Seed(
        "header without a scheme",
        "auth_header_value=raw-Header-Value99, all_headers=['host'])",
        "raw-Header-Value99",
        False,
    ),
    Seed("headers as pairs", "[(b'authorization', b'Token abc123def'), (b'host', b'x')]", "abc123def", False),
    Seed("cookie", "Cookie: __session=Abcdef1234; theme=dark", "Abcdef1234", False),
    Seed("set-cookie", "Set-Cookie: sid=s3cr3tsid; Path=/; HttpOnly", "s3cr3tsid", False),
    Seed("Clerk secret key", "key sk_live_Abcdefgh12345678 refused", "Abcdefgh12345678"),
    Seed("webhook secret", "whsec_Abcdefgh12345678", "Abcdefgh12345678"),
    Seed("Hugging Face", "HF_TOKEN=hf_AbCdEfGhIj1234567890", "AbCdEfGhIj1234567890"),
    Seed("OpenAI", "Incorrect API key provided: sk-proj-Ab1Ab1Ab1Ab1Ab1Ab1.", "Ab1Ab1Ab1Ab1"),
    Seed("Google", "key AIzaSyAb1Ab1Ab1Ab1Ab1Ab1Ab1 x", "SyAb1Ab1Ab1Ab1"),
    Seed("AWS", "AKIAIOSFODNN7EXAMPLE used", "IOSFODNN7EXAMPLE"),
    Seed("AWS secret", "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCY", "wJalrXUtnFEMIK7MDENGbPxRfiCY", False),
    Seed("GitHub", "ghp_Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1", "Ab1Ab1Ab1Ab1"),
    Seed("Slack", "posting to https://hooks.slack.com/services/T000/B000/XXXXyyyyZZZZ", "XXXXyyyyZZZZ"),
    Seed("database URL", "postgresql+psycopg://bob:p@ss/w0rd@db.internal:5432/app", "p@ss/w0rd"),
    Seed("password in a URL", "fetching https://bob:hunter77@example.com/x", "hunter77"),
    Seed("password in a dict", "config {'password': 'hunter 77 it\\'s', 'x': 1}", "hunter 77 it", False),
    Seed("password in JSON", '{"db": {"password": "hunter77"}}', "hunter77", False),
    Seed("password as a setting", "DB_PASSWORD=correct-horse", "correct-horse", False),
    Seed("password, said", "the password: hunter77", "hunter77", False),
    Seed("api key", "api_key='0123abcd-4567'", "0123abcd-4567", False),
    Seed(
        "private key in one line", f'"-----BEGIN PRIVATE KEY-----\\n{PRIVATE}\\n-----END PRIVATE KEY-----\\n"', PRIVATE
    ),
    Seed("value of a variable", "           │ │ └ {'cfg': 'my own words'}", "my own words", False),
    Seed("value, without boxes", "           | | -> 'my own words'", "my own words", False),
    Seed("e-mail", "Unverified token accepted (dev) for user: alice@example.com (ID: x-1)", "alice@example.com"),
    Seed("user id", "06:36:48 | INFO     | req=- job=- user=user_33Gz1FPI86VDXhRY | a:b:1 - x", "33Gz1FPI86VDXhRY"),
    Seed("user of a service", "Cannot index content - service not initialized for user alice", "alice", False),
)

PLAIN = (
    "06:36:48 | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected (production).",
    "06:36:55 | ERROR    | req=- job=- user=- | middleware.auth_middleware:verify_token:229 - Unverified token",
    "Issuer mismatch: token claims 'https://a.example' but expected 'https://b.example'",
    "Fallback decoding failed: Not enough segments",
    "Token expired (expected): Signature has expired",
    'Unable to find a signing key that matches: "ins_2abcDEF0123"',
    "auth_header_received=NO, auth_header_value=None, all_headers=['host', 'cookie', 'authorization'], user_agent=x)",
    "CLERK_SECRET_KEY not configured",
    "HF_TOKEN environment variable is not set. Please set it in your .env file.",
    "gpt_provider=hf_response_api, model=openai/gpt-oss-120b:cerebras max_tokens=4096, token_count=5",
    "[llm_text_gen] Provider huggingface failed: RetryError[<Future at 0x7f01 state=finished raised Exception>]",
    'HTTP Request: POST https://router.huggingface.co/hf/v1/chat/completions "HTTP/1.1 404 Not Found"',
    "Cannot perform search for user input",
    "CLERK_PUBLISHABLE_KEY=pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
    "    └ <function verify at 0x7f7b52d25bc0>",
    "services/llm_providers/main_text_generation.py is imported by services/today_workflow_service.py",
    "Failed to load existing index: Error in faiss::FileIOReader in /p/faiss/faiss/impl/io.cpp:67: could not open",
)
"""Lines that hold no secret, whatever they speak of: they stay as they are, so that a cleaned log can be triaged."""


def disguised(text: str, disguise: str) -> str:
    """Return `text`, or the line with it, as `disguise` shows it."""
    match disguise:
        case "plain":
            return text
        case "coloured":
            return "\x1b[1;32m".join(text[at : at + 5] for at in range(0, len(text), 5)) + "\x1b[0m"
        case "percent":
            return "redirect=" + quote(text, safe="")
        case "percent twice":
            return "redirect=" + quote(quote(text, safe=""), safe="")
        case "escaped":
            return "".join(f"\\u{ord(one):04x}" if one in "=:&'\"@" else one for one in text)
        case "base64" | "base64 by one" | "base64 by two":
            before = {"base64": "", "base64 by one": "{", "base64 by two": '{"'}[disguise]
            return "payload " + base64.b64encode((before + text).encode()).decode() + " end"
        case "base64url":
            return "payload=" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    raise ValueError(disguise)


DISGUISES = (
    "plain",
    "coloured",
    "percent",
    "percent twice",
    "escaped",
    "base64",
    "base64 by one",
    "base64 by two",
    "base64url",
)


def seeded_lines() -> list[tuple[str, list[str]]]:
    """Return lines with what must not be seen of them: every seed in every disguise, itself and the disguised form."""
    lines = []
    for seed in SEEDS:
        for disguise in DISGUISES:
            if disguise not in {"plain", "coloured"} and ("└" in seed.line or "->" in seed.line or "\\'" in seed.line):
                continue  # a traceback's own line is a line by itself
            forbidden = [seed.secret]
            if disguise.startswith("base64"):
                forbidden.append(disguised(seed.line, disguise).split()[0 if disguise == "base64url" else 1][-30:])
            lines.append((disguised(seed.line, disguise), forbidden))
    return lines
