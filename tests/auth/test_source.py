"""Issue 1 in a source: each pattern is found by its meaning, at its line, and its cured twin is left alone."""

from __future__ import annotations

import pytest

from alwrity_checks.auth import source
from tests.support.sources import traced

VERIFIER = """
import os
import base64
import jwt
from jwt import PyJWKClient
from loguru import logger

class ClerkAuth:
    def __init__(self):
        key = os.getenv("CLERK_PUBLISHABLE_KEY") or os.getenv("REACT_APP_CLERK_PUBLISHABLE_KEY", "")
        {setup}
        self.environment = (os.getenv("ENVIRONMENT") or os.getenv("APP_ENV") or "development").strip().lower()
        self.is_production = self.environment in {{"prod", "production"}}
        {guard}

    async def verify_token(self, token):
        try:
            {verify}
            if claims.get("azp") not in self.parties:
                return None
            return {{"id": claims.get("sub")}}
        except Exception as error:
            {fallback}
            return None
"""
GOOD = {
    "setup": 'self.issuer = "https://" + base64.b64decode(key.split("_", 2)[2] + "==").decode().rstrip("$")',
    "guard": "self.parties = ()",
    "verify": "claims = jwt.decode(token, await self.key(token), algorithms=['RS256'], issuer=self.issuer, "
    "options={'require': ['exp']}, leeway=5)",
    "fallback": "pass",
}
FALLBACK = """decoded = jwt.decode(token, options={"verify_signature": False}, leeway=300)
            user = decoded.get("sub")
            if user and self.allowed:
                return {"id": user}"""
DEFAULT_OFF = 'self.allowed = os.getenv("ALLOW_UNVERIFIED_JWT_DEV", "false").lower() == "true"'
DEFAULT_ON = """raw = os.getenv("ALLOW_UNVERIFIED_JWT_DEV")
        if raw is None:
            self.allowed = not self.is_production
        else:
            self.allowed = raw.lower() == "true\""""


def rows(*lines: str) -> str:
    """Return lines of the method's innermost block."""
    return "\n            ".join(lines)


def verifier(**changed: str) -> str:
    """Return a middleware in the shape of the real one, healthy except where it is changed."""
    return VERIFIER.format(**(GOOD | changed))


def codes(text: str) -> list[str]:
    """Return the codes of what is found, sorted."""
    return sorted(one.code for one in traced(source, text, "middleware/auth_middleware.py"))


def test_a_healthy_verifier_is_left_alone() -> None:
    """A pinned issuer, a decoded key, required claims, a small leeway and keys that are awaited show nothing."""
    assert codes(verifier()) == []


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        (DEFAULT_OFF, "AUTH100"),
        (DEFAULT_ON, "AUTH001"),
        ('self.allowed = os.environ.get("ENV", "dev") != "production"', "AUTH001"),
        ('self.allowed = os.environ.get("ENV", "production") != "production"', "AUTH100"),
        ("self.allowed = settings.allow_unverified", "AUTH100"),
        ("self.allowed = flags.read('DEV', True)", "AUTH100"),
    ],
)
def test_the_default_of_the_guard_decides(guard: str, expected: str) -> None:
    """An unverified token is accepted by default, or only if a setting says so; what cannot be told is no default."""
    assert codes(verifier(guard=guard, fallback=FALLBACK)) == [expected]


HELPER = """
def flag(name, default):
    raw = os.getenv(name)
    if raw is None:
        return default
    return raw == "1"
"""


@pytest.mark.parametrize(("default", "expected"), [("True", "AUTH001"), ("False", "AUTH100")])
def test_a_guard_is_followed_through_a_function(default: str, expected: str) -> None:
    """The usual helper that reads a flag is carried out on paper."""
    guard = f"self.allowed = flag('DEV_SIGN_IN', {default})"
    assert codes(verifier(guard=guard, fallback=FALLBACK) + HELPER) == [expected]


def test_the_evidence_names_guard_and_places() -> None:
    """Who reads the finding sees the condition, its default, where that is written and where the token is returned."""
    [found] = traced(source, verifier(guard=DEFAULT_ON, fallback=FALLBACK), "middleware/auth_middleware.py")
    told = dict(found.evidence)
    assert "not self.is_production" in told["guard self.allowed"]
    assert told["guard self.allowed"].startswith("true without any setting")
    assert told["returned"].startswith("line ")
    assert "'sub'" not in found.snippet_key
    assert found.snippet_key.startswith("ClerkAuth.verify_token: decoded = jwt.decode(")


DECODED = 'claims = jwt.decode(token, options={"verify_signature": False})'
RETURNED = 'return {"id": claims["sub"]}'


@pytest.mark.parametrize(
    "around",
    [
        rows("if not self.allowed:", "    return None", DECODED, RETURNED),
        rows("if self.allowed:", f"    {DECODED}", f"    {RETURNED}"),
    ],
)
def test_a_guard_before_the_decode_counts(around: str) -> None:
    """A fallback that is left, or not entered, before it decodes is closed by default as well."""
    assert codes(verifier(guard=DEFAULT_OFF, fallback=around)) == ["AUTH100"]


def test_a_look_into_a_foreign_token_is_no_sign_in() -> None:
    """Reading a site's id out of a token of one's own decides nothing about a user."""
    text = """
    import jwt
    def site_of(access_token):
        data = jwt.decode(access_token, options={"verify_signature": False, "verify_aud": False})
        return data.get("instance", {}).get("metaSiteId")
    """
    assert traced(source, text, "services/integrations/wix/utils.py") == []


CLAIMS = 'said = jwt.decode(token, options={"verify_signature": False})'
ISSUER = 'iss = jwt.decode(token, options={"verify_signature": False}).get("iss", "")'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            (ISSUER, 'url = f"{iss}/.well-known/jwks.json" if iss else self.url', "client = PyJWKClient(url)"),
            ["AUTH003", "AUTH007"],
        ),
        ((CLAIMS, 'client = PyJWKClient(said["iss"] + "/.well-known/jwks.json")'), ["AUTH003", "AUTH007"]),
        ((CLAIMS, 'client = PyJWKClient("{}/jwks.json".format(said["iss"]))'), ["AUTH003", "AUTH007"]),
        (("head = jwt.get_unverified_header(token)", 'client = PyJWKClient(head["jku"])'), ["AUTH007"]),
        (
            (
                CLAIMS,
                'if said["iss"] not in self.known:',
                '    self.known[said["iss"]] = PyJWKClient(said["iss"] + "/.well-known/jwks.json")',
            ),
            ["AUTH003", "AUTH007"],
        ),
        (
            (
                ISSUER,
                "if iss != self.issuer:",
                "    return None",
                'client = PyJWKClient(f"{iss}/.well-known/jwks.json")',
            ),
            [],
        ),
        ((ISSUER, "if iss in self.issuers:", '    client = PyJWKClient(f"{iss}/.well-known/jwks.json")'), []),
        (('client = PyJWKClient(f"{self.issuer}/.well-known/jwks.json")',), []),
    ],
)
def test_an_address_that_the_token_names(lines: tuple[str, ...], expected: list[str]) -> None:
    """From the unverified claim to the fetch, whatever the names; a comparison with known issuers cures it."""
    assert codes(verifier(verify=rows(*lines, GOOD["verify"]))) == expected


def test_an_address_made_in_another_function_is_followed() -> None:
    """The claim goes through an argument and comes back in a returned text."""
    helper = '\n    def address(self, issuer):\n        return f"{issuer}/.well-known/jwks.json"\n'
    text = verifier(verify=rows(CLAIMS, 'client = PyJWKClient(self.address(said["iss"]))', GOOD["verify"])) + helper
    assert codes(text) == ["AUTH003", "AUTH007"]


def test_an_undecoded_publishable_key() -> None:
    """Its text as a host locks everybody out; where only tokens without an issuer use it, that is a note."""
    raw = "self.issuer = f\"https://{key.replace('pk_test_', '').split('.')[0]}.clerk.accounts.dev\""
    assert codes(verifier(setup=raw)) == ["AUTH004"]
    named = rows(ISSUER, 'client = PyJWKClient(f"{iss}/.well-known/jwks.json")', GOOD["verify"])
    assert codes(verifier(setup=raw, verify=named)) == ["AUTH003", "AUTH007", "AUTH103"]


@pytest.mark.parametrize(
    ("verify", "expected"),
    [
        ("leeway=300", ["AUTH008"]),
        ("leeway=timedelta(minutes=5)", ["AUTH008"]),
        ("leeway=SLACK", ["AUTH008"]),
        ("leeway=60", []),
        ("leeway=timedelta(seconds=10)", []),
    ],
)
def test_the_leeway(verify: str, expected: list[str]) -> None:
    """More than a minute is found whether it stands there, behind a name, or in a timedelta."""
    text = "from datetime import timedelta\nSLACK = 120\n" + verifier(verify=GOOD["verify"].replace("leeway=5", verify))
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("issuer=self.issuer, ", "expiry"),
        ("options={'require': ['exp']}, ", "issuer"),
    ],
)
def test_claims_that_nobody_looks_at(given: str, missing: str) -> None:
    """The message names what limits the token and is not looked at."""
    verify = f"claims = jwt.decode(token, await self.key(token), algorithms=['RS256'], {given})"
    [found] = traced(source, verifier(verify=verify), "middleware/auth_middleware.py")
    assert found.code == "AUTH009"
    assert missing in found.message


def test_a_token_of_ones_own_is_no_session() -> None:
    """What is verified with a secret of one's own has neither an authorised party nor a session state."""
    text = "import jwt\ndef read(token):\n    return jwt.decode(token, SECRET, algorithms=['HS256'])\n"
    assert traced(source, text) == []


@pytest.mark.parametrize(
    ("verify", "expected"),
    [
        ("key = PyJWKClient(self.url).get_signing_key_from_jwt(token)", ["AUTH054"]),
        ("key = requests.get(self.jwks_url, timeout=3).json()", ["AUTH054"]),
        ("key = await asyncio.to_thread(PyJWKClient(self.url).get_signing_key_from_jwt, token)", []),
        ("key = await run(lambda: self.client.get_signing_key_from_jwt(token))", []),
        ("key = requests.get(self.profile_url, timeout=3).json()", []),
        ("client = PyJWKClient(self.url, cache_keys=True)", ["AUTH056"]),
        ("client = PyJWKClient(self.url, cache_keys=False)", []),
    ],
)
def test_the_way_to_the_keys(verify: str, expected: list[str]) -> None:
    """Keys fetched on the event loop, and keys kept for ever; in a thread, or of something else, neither."""
    text = "import requests\nimport asyncio\n" + verifier(verify=rows(verify, GOOD["verify"]))
    assert codes(text) == expected


def test_keys_behind_a_memo_are_kept_for_ever() -> None:
    """A function whose result never expires fetches the key set once in a process's life."""
    text = """
    import requests
    from functools import lru_cache
    @lru_cache
    def keys():
        return requests.get(JWKS_URL).json()
    """
    assert [one.code for one in traced(source, text)] == ["AUTH056"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("{header[:50] + '...' if header and len(header) > 50 else header}", 1),
        ("{header}", 1),
        ("{credentials.credentials}", 1),
        ("{'YES' if header else 'NO'}", 0),
        ("{len(header)}", 0),
        ("{mask(header)}", 0),
        ("{list(request.headers.keys())}", 0),
    ],
)
def test_a_token_in_a_log(shown: str, expected: int) -> None:
    """Its value, or the beginning of it, is found; that there is one, how long it is and a masked form are not."""
    text = f"""
    from loguru import logger
    async def get_current_user(request, credentials):
        header = request.headers.get("authorization") or request.headers.get("Authorization")
        logger.error(f"no credentials (header={shown})")
    """
    assert [one.code for one in traced(source, text)] == ["AUTH101"] * expected


def test_a_switch_for_authentication() -> None:
    """A switch that is off by default is a note; one that is on, or that the source itself sets, is an error."""
    assert codes('import os\nif os.getenv("DISABLE_AUTH", "false").lower() == "true":\n    pass\n') == ["AUTH102"]
    assert codes('import os\nif os.getenv("DISABLE_AUTH", "true") == "true":\n    pass\n') == ["AUTH002"]
    assert codes('import os\nos.environ.setdefault("DISABLE_AUTH", "true")\n') == ["AUTH002"]
    assert codes('import os\nos.environ["ALLOW_UNVERIFIED_JWT_DEV"] = "true"\n') == ["AUTH001"]
    assert codes('import os\nos.environ["DISABLE_AUTH"] = "false"\n') == []
