"""Small checkouts laid out as ALwrity's whose authentication is of our own writing, one for each historical state."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Final

__all__ = [
    "CONFLICT",
    "DROP_IN",
    "MOVED",
    "SECRET",
    "STATES",
    "TOO_NEW",
    "middleware",
    "tree_hash",
    "write_auth_backend",
]

SECRET: Final = "sk_test_" + "seededInTheCheckout0123456789"
"""In the checkout's `.env`."""
STATES: Final = "ABCD"

_MIDDLEWARE: Final = '''
"""Authentication in one of its states: who names the issuer, and what happens to a token that does not verify."""

import base64
import os

import jwt
from dotenv import load_dotenv
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from loguru import logger

try:
    from fastapi_clerk_auth import ClerkConfig, ClerkHTTPBearer

    CLERK = True
except ImportError:
    CLERK = False
    logger.warning("fastapi-clerk-auth not available, using custom implementation")

STATE = "{state}"
load_dotenv(os.path.join(os.path.dirname(__file__), "..", ".env"), override=False)
bearer_scheme = HTTPBearer(auto_error=False)


def host_of(key):
    body = key.replace("pk_test_", "").replace("pk_live_", "").split(".")[0]
    if STATE != "D":
        return body + ".clerk.accounts.dev"
    return base64.b64decode(body + "=" * (-len(body) % 4)).decode().rstrip("$")


def user_of(claims):
    user = claims.get("sub")
    names = [claims.get(name) for name in ("email", "first_name", "last_name")]
    return dict(zip(("id", "email", "first_name", "last_name", "clerk_user_id"), (user, *names, user)))


class Middleware:
    def __init__(self):
        self.secret = os.getenv("CLERK_SECRET_KEY", "").strip()
        self.key = os.getenv("CLERK_PUBLISHABLE_KEY") or os.getenv("REACT_APP_CLERK_PUBLISHABLE_KEY", "")
        self.disabled = os.getenv("DISABLE_AUTH", "false").lower() == "true"
        name = (os.getenv("ENVIRONMENT") or os.getenv("APP_ENV") or "development").strip().lower()
        allowed = os.getenv("ALLOW_UNVERIFIED_JWT_DEV")
        by_default = STATE != "A" and name not in ("prod", "production")
        self.lenient = by_default if allowed is None else allowed.lower() == "true"
        self.named = "production" if STATE == "A" else "env=" + name
        self.clients = {{}}
        self.bearer = None
        if CLERK and self.secret and self.key and not self.disabled:
            self.issuer = "https://" + host_of(self.key)
            self.bearer = ClerkHTTPBearer(ClerkConfig(secret_key=self.secret, jwks_url=self.issuer))

    async def verify_token(self, token):
        if self.disabled:
            return user_of({{"sub": "mock_user_id"}})
        if not self.secret:
            logger.error("CLERK_SECRET_KEY not configured")
            return None
        if self.bearer is None:
            return self.unverified(token)
        try:
            jwt.get_unverified_header(token)
            issuer = jwt.decode(token, options={{"verify_signature": False}}).get("iss", "")
            if STATE in "CD" and issuer != self.issuer:
                logger.error(f"Issuer mismatch: token claims '{{issuer}}' but expected '{{self.issuer}}'")
                return None
            client = self.client(f"{{issuer or self.issuer}}/.well-known/jwks.json")
            key = client.get_signing_key_from_jwt(token).key
            claims = jwt.decode(token, key, algorithms=["RS256"], leeway=300)
            return user_of(claims) if claims.get("sub") else None
        except Exception as error:
            if "expired" not in str(error).lower():
                logger.warning(f"fastapi-clerk-auth verification error: {{error}}. Attempting fallback decoding.")
            return self.unverified(token)

    def client(self, url):
        if url not in self.clients:
            self.clients[url] = jwt.PyJWKClient(url, cache_keys=True, max_cached_keys=16)
        return self.clients[url]

    def unverified(self, token):
        try:
            claims = jwt.decode(token, options={{"verify_signature": False}})
            user = claims.get("sub")
        except Exception as error:
            logger.warning(f"Fallback decoding failed: {{error}}")
            return None
        if user and self.lenient:
            logger.debug(f"Unverified token accepted (dev) for user: unknown (ID: {{user}})")
            return user_of(claims)
        logger.error(f"Unverified token rejected ({{self.named}}).")
        return None


clerk_auth = Middleware()


def refused(detail):
    return HTTPException(401, detail, {{"WWW-Authenticate": "Bearer"}})


async def authenticated(token):
    if not token:
        raise refused("Not authenticated")
    user = await clerk_auth.verify_token(token)
    if user is None:
        raise refused("Authentication failed")
    return user


async def get_current_user(request: Request, credentials: HTTPAuthorizationCredentials = Depends(bearer_scheme)):
    return await authenticated(credentials.credentials if credentials else None)


async def get_optional_user(credentials: HTTPAuthorizationCredentials = Depends(bearer_scheme)):
    return await clerk_auth.verify_token(credentials.credentials) if credentials else None


async def get_current_user_with_query_token(
    request: Request, credentials: HTTPAuthorizationCredentials = Depends(bearer_scheme)
):
    return await authenticated(credentials.credentials if credentials else request.query_params.get("token"))
'''

DROP_IN: Final = """
from alwrity_checks.auth import ClerkTokenVerifier, clerk_user

verifier = ClerkTokenVerifier.from_environment()
get_current_user = clerk_user(verifier)
get_optional_user = clerk_user(verifier, optional=True)
get_current_user_with_query_token = clerk_user(verifier, query_parameter="token")
"""
"""Our component in the middleware's place, under the names that ALwrity's routes depend on."""

CONFLICT: Final = """
class Middleware:
<<<<<<< HEAD
    leeway = 300
=======
    leeway = 5
>>>>>>> theirs
"""
TOO_NEW: Final = """
from loguru import logger

clerk_auth = None
logger.info(f"{'\\n'.join(["two", "lines"])}")
"""
"""Python 3.12's f-strings (PEP 701)."""
MOVED: Final = """
from fastapi.security import HTTPBearer

bearer_scheme = HTTPBearer(auto_error=False)


async def check_session(token):
    return None
"""
"""A revision in which everything has another name."""


def middleware(state: str) -> str:
    """Return the source of the middleware in a state, A to D."""
    return _MIDDLEWARE.format(state=state)


def write_auth_backend(root: Path, source: str, env: str = "") -> Path:
    """Lay out a checkout, under git, whose authentication has this source; return its root."""
    refusing = "raise ImportError('this needs the whole application')\n"
    files = {
        "backend/app.py": refusing,
        "backend/start_alwrity_backend.py": refusing,
        "backend/middleware/__init__.py": "",
        "backend/middleware/auth_middleware.py": source,
        "backend/.env": f"CLERK_SECRET_KEY={SECRET}\n{env}",
        ".gitignore": ".env\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for command in (("init", "-q"), ("add", "-A"), ("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x")):
        subprocess.run(["git", *command], cwd=root, check=True)  # noqa: S603, S607 - git of this machine
    return root


def tree_hash(root: Path) -> str:
    """Return a hash of every name, mode, time of change and content below `root`, git's own files left out."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if ".git" in path.relative_to(root).parts:
            continue
        status = path.lstat()
        digest.update(f"{path.relative_to(root)} {status.st_mode} {status.st_mtime_ns}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
