"""The checks of a backend's Clerk set-up: each finding brought about for real, from a .env file and from servers."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from alwrity_checks.auth.check import CHECKS
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.model import Context, ExitCode, Report, Verdict
from alwrity_checks.settings import Settings
from alwrity_doctor.gate import run_checks
from alwrity_doctor.report import FORMATS, render
from tests.support.in_process import bare
from tests.support.rawserver import RawServer, answer, self_signed
from tests.support.terminating_proxy import TerminatingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.auth.mint import Instance

HOST = "foo-bar-13.clerk.accounts.dev"
SECRET = "sk_test_0123456789abcdefghijABCDEFGHIJ0123456789"
SECRET_BODY = SECRET.removeprefix("sk_test_")
REFUSED = json.dumps(
    {"errors": [{"message": "Invalid secret key", "code": "clerk_key_invalid", "long_message": f"not a key: {SECRET}"}]}
).encode()


def key(host: str, name: str = "test") -> str:
    """Return the publishable key of a host."""
    return f"pk_{name}_{b64encode(f'{host}$'.encode()).decode()}"


KEY = key(HOST)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine without any proxy of the environment."""
    bare(monkeypatch)


def checked(*env_files: Path, offline: bool = True, **variables: str) -> Report:
    """Return the report of all checks of the room."""
    context = Context(Settings.load(environment=variables, env_files=env_files), offline=offline)
    return asyncio.run(run_checks(CHECKS, context, command="auth env"))


def reasons(report: Report, check: str) -> list[str]:
    """Return the reason codes of one check."""
    result = next(one for one in report.results if one.name == f"auth.{check}")
    return [finding.evidence[0].value for finding in result.findings]


def verdict(report: Report, check: str) -> Verdict:
    """Return the verdict of one check."""
    return next(one for one in report.results if one.name == f"auth.{check}").verdict


def rendered(report: Report) -> str:
    """Return the report in every format, one after the other."""
    return "\n".join(render(report, form) for form in FORMATS)


# The publishable key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", Reason.PK_MISSING),
        ("pk_test_", Reason.PK_PLACEHOLDER),
        ("pk_prod_Zm9v", Reason.PK_MALFORMED),
        ("PK_TEST_Zm9v", Reason.PK_MALFORMED),
        ("test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk", Reason.PK_MALFORMED),
        (KEY.upper(), Reason.PK_MALFORMED),
        (KEY[:-6], Reason.PK_MALFORMED),
        (f"{KEY}=", Reason.PK_MALFORMED),
        (KEY.replace("Zm", "Z-"), Reason.PK_MALFORMED),
        (f"pk_test_{b64encode(HOST.encode()).decode()}", Reason.PK_MALFORMED),
        (key("a.example$b.example"), Reason.PK_MALFORMED),
        (key("nodot"), Reason.PK_MALFORMED),
        (f"pk_test_{HOST}", Reason.PK_NOT_ENCODED),
        (f"pk_live_{HOST}$", Reason.PK_NOT_ENCODED),
        (HOST, Reason.PK_NOT_ENCODED),
        ("pk_test_xxx", Reason.PK_PLACEHOLDER),
        ("pk_test_...", Reason.PK_PLACEHOLDER),
        ("pk_test_your_key_here", Reason.PK_PLACEHOLDER),
        ("your_clerk_publishable_key_here", Reason.PK_PLACEHOLDER),
        ("<your-key>", Reason.PK_PLACEHOLDER),
        (SECRET, Reason.PK_WRONG_KIND),
        ("whsec_abcdefghijkl", Reason.PK_WRONG_KIND),
        ("ins_abcdefghijkl", Reason.PK_WRONG_KIND),
        (f"eyJhbGciOiJSUzI1NiJ9.eyJ{'x' * 100}.AAAA", Reason.PK_WRONG_KIND),
        pytest.param(
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abcdefghijkl",
            Reason.PK_WRONG_KIND,
        ),
        (key("127.0.0.1"), Reason.PK_HOST_UNSAFE),
        (key("169.254.169.254"), Reason.PK_HOST_UNSAFE),
        (key("evil.example:8443"), Reason.PK_HOST_UNSAFE),
        (key("user@evil.example"), Reason.PK_HOST_UNSAFE),
        (key("https://evil.example"), Reason.PK_HOST_UNSAFE),
        (key("evil.example/x"), Reason.PK_HOST_UNSAFE),
        (key("evil.example#"), Reason.PK_HOST_UNSAFE),
        (key(" evil.example"), Reason.PK_HOST_UNSAFE),
        (key("evil.example\n"), Reason.PK_HOST_UNSAFE),
        (key("a.localhost"), Reason.PK_HOST_UNSAFE),
        (key("metadata.google.internal"), Reason.PK_HOST_UNSAFE),
        (key("bücher.example"), Reason.PK_HOST_UNSAFE),
    ],
)
def test_a_publishable_key_that_is_none(tmp_path: Path, value: str, expected: Reason) -> None:
    """Each way in which a key is none has its reason, at its line of the file; what follows from it is skipped."""
    env = tmp_path / ".env"
    env.write_text(f"ENVIRONMENT=production\nCLERK_SECRET_KEY={SECRET}\nCLERK_PUBLISHABLE_KEY='{value}'\n")
    report = checked(env, offline=False)
    assert reasons(report, "publishable-key") == [expected]
    (finding,) = report.findings
    assert str(finding.location) == f"{env}:3"
    assert report.exit_code is ExitCode.FINDING
    for name in ("key-server", "instance"):
        assert verdict(report, name) is Verdict.SKIP
    assert SECRET_BODY not in rendered(report)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"\"'{KEY}'\"", Reason.PK_WRAPPED),
        (f"'{KEY} '", Reason.PK_WRAPPED),
        (key(HOST, "live"), Reason.PK_CLASS_HOST_CONFLICT),
        (key("clerk.example.com"), Reason.PK_CLASS_HOST_CONFLICT),
    ],
)
def test_a_publishable_key_that_is_odd(tmp_path: Path, value: str, expected: Reason) -> None:
    """It can be used, and the oddity is a warning."""
    (tmp_path / ".env").write_text(f"ENVIRONMENT=production\nCLERK_PUBLISHABLE_KEY={value}\n")
    report = checked(tmp_path / ".env")
    assert reasons(report, "publishable-key") == [expected]
    assert verdict(report, "publishable-key") is Verdict.WARN


@pytest.mark.parametrize("value", [KEY, KEY.rstrip("="), key(HOST.upper()), key("clerk.xn--bcher-kva.example", "live")])
def test_a_publishable_key(value: str) -> None:
    """Every form that Clerk makes passes, padded or not."""
    report = checked(CLERK_PUBLISHABLE_KEY=value, ENVIRONMENT="production")
    assert (verdict(report, "publishable-key"), reasons(report, "publishable-key")) == (Verdict.PASS, [])


def test_no_publishable_key() -> None:
    """With other Clerk settings but without the key: nothing can be pinned."""
    report = checked(CLERK_SECRET_KEY=SECRET, ENVIRONMENT="production")
    assert reasons(report, "publishable-key") == [Reason.PK_MISSING]


def test_keys_of_two_instances(tmp_path: Path) -> None:
    """Front end and backend of different instances: named at the variable that differs, whatever file it is in."""
    (tmp_path / "backend.env").write_text(f"CLERK_PUBLISHABLE_KEY={KEY}\n")
    (tmp_path / "frontend.env").write_text(
        f"# front end\nREACT_APP_CLERK_PUBLISHABLE_KEY={key('clerk.example.com', 'live')}\n"
    )
    report = checked(tmp_path / "backend.env", tmp_path / "frontend.env", ENVIRONMENT="production")
    assert reasons(report, "publishable-key") == [Reason.PK_ENV_CONFLICT]
    finding = report.first_cause
    assert finding is not None
    assert str(finding.location) == f"{tmp_path / 'frontend.env'}:2"
    assert HOST in finding.message
    assert "clerk.example.com" in finding.message


def test_every_variable_is_looked_at() -> None:
    """A broken key in a variable that only a front end reads is found as well."""
    report = checked(
        CLERK_PUBLISHABLE_KEY=KEY,
        VITE_CLERK_PUBLISHABLE_KEY="pk_test_xxx",
        EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY=SECRET,
        ENVIRONMENT="production",
    )
    assert reasons(report, "publishable-key") == [Reason.PK_PLACEHOLDER, Reason.PK_WRONG_KIND]
    assert SECRET_BODY not in rendered(report)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """A file that begins with one is named, even if its first setting is the only one that matters."""
    env = tmp_path / ".env"
    env.write_bytes(b"\xef\xbb\xbf" + f"ENVIRONMENT=production\nCLERK_PUBLISHABLE_KEY={KEY}\n".encode())
    report = checked(env)
    assert Reason.ENV_FILE_BOM in reasons(report, "publishable-key")
    hidden = next(one for one in report.findings if one.evidence[0].value == Reason.ENV_FILE_BOM)
    assert str(hidden.location) == f"{env}:1"


def test_a_blank_key_hides_the_others(tmp_path: Path) -> None:
    """The middleware takes the first variable that is not empty, blanks included."""
    (tmp_path / ".env").write_text(f"CLERK_PUBLISHABLE_KEY='   '\nREACT_APP_CLERK_PUBLISHABLE_KEY={KEY}\n")
    report = checked(tmp_path / ".env", ENVIRONMENT="production")
    assert Reason.SETTING_HIDDEN in reasons(report, "publishable-key")
    assert verdict(report, "publishable-key") is Verdict.FAIL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLERK_PROXY_URL", "/__clerk"),
        ("CLERK_PROXY_URL", "http://app.example.com/__clerk"),
        ("CLERK_PROXY_URL", "https://user:hunter22@app.example.com"),
        ("CLERK_PROXY_URL", "https://["),
        ("CLERK_AUTHORIZED_PARTIES", "https://app.example.com/"),
        ("CLERK_AUTHORIZED_PARTIES", "https://app.example.com,app.example.com"),
        ("CLERK_AUTHORIZED_PARTIES", "*"),
        pytest.param(
            "CLERK_AUTHORIZED_PARTIES",
            "https://[",
        ),
    ],
)
def test_a_setting_beside_the_key(name: str, value: str) -> None:
    """Proxy and origins that cannot be used are named; the key server is not asked."""
    report = checked(CLERK_PUBLISHABLE_KEY=KEY, ENVIRONMENT="production", offline=False, **{name: value})
    assert reasons(report, "publishable-key") == [Reason.ISSUER_SETTING_INVALID]
    assert verdict(report, "key-server") is Verdict.SKIP
    assert "hunter22" not in rendered(report)


def test_a_satellite_without_a_host() -> None:
    """CLERK_DOMAIN with a scheme is no host name; it matters only for a satellite of a production instance."""
    live = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
    wrong = [Reason.ISSUER_SETTING_INVALID]
    for key, satellite, expected in ((live, "false", []), (live, "true", wrong), (KEY, "true", [])):
        report = checked(
            CLERK_PUBLISHABLE_KEY=key,
            ENVIRONMENT="production",
            CLERK_DOMAIN="https://app.example.com",
            CLERK_IS_SATELLITE=satellite,
        )
        assert reasons(report, "publishable-key") == expected


@pytest.mark.parametrize(
    ("value", "found"), [("supabase", True), ("your_jwt_template_name_here", False), ("  ", False)]
)
def test_a_template(value: str, *, found: bool) -> None:
    """A template's name makes the front end send template tokens; the example's value does not."""
    report = checked(CLERK_PUBLISHABLE_KEY=KEY, ENVIRONMENT="production", REACT_APP_CLERK_JWT_TEMPLATE=value)
    assert reasons(report, "publishable-key") == [Reason.JWT_TEMPLATE_CONFIGURED] * found


def test_a_key_that_the_middleware_does_not_read() -> None:
    """The middleware knows two of the five names; with the key in another one it has none."""
    report = checked(VITE_CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=SECRET, ENVIRONMENT="production")
    assert verdict(report, "publishable-key") is not Verdict.PASS


# The secret key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sk_test_", Reason.SK_MALFORMED),
        ("sk_test_xxxx", Reason.SK_MALFORMED),
        ("sk_test_your_key", Reason.SK_MALFORMED),
        ("sk_prod_abcdefghijkl", Reason.SK_MALFORMED),
        ("SK_TEST_abcdefghijkl", Reason.SK_MALFORMED),
        (KEY, Reason.SK_MALFORMED),
        ("whsec_abcdefghijkl", Reason.SK_MALFORMED),
        ("ak_abcdefghijkl", Reason.SK_MALFORMED),
        ("sk_test_abcdefghijkl mnopqrst", Reason.SK_MALFORMED),
        ("sk_test_abcdefghijkl\\nX-Evil: 1", Reason.SK_MALFORMED),
        ("sk_test_abcdefghijklé", Reason.SK_MALFORMED),
        ("   ", Reason.SK_MISSING),
        ("sk_live_abcdefghijkl", Reason.SK_PK_CLASS_MISMATCH),
    ],
)
def test_a_secret_key_that_does_not_fit(tmp_path: Path, value: str, expected: Reason) -> None:
    """Each has its reason and its line; nothing is sent anywhere; no part of a key is shown."""
    env = tmp_path / ".env"
    env.write_text(f'ENVIRONMENT=production\nCLERK_PUBLISHABLE_KEY={KEY}\nCLERK_SECRET_KEY="{value}"\n')
    with LoopbackServer() as api:
        report = checked(env, offline=False, CLERK_API_URL=api.origin, CLERK_PROXY_URL=api.origin)
        assert api.requests == ["/.well-known/jwks.json"]
    assert reasons(report, "secret-key") == [expected]
    finding = next(one for one in report.findings if one.evidence[0].value == expected)
    assert str(finding.location) == f"{env}:3"
    assert verdict(report, "instance") is Verdict.SKIP
    assert "abcdefghijkl" not in rendered(report)


def test_no_secret_key() -> None:
    """The middleware refuses every token without it."""
    report = checked(CLERK_PUBLISHABLE_KEY=KEY, ENVIRONMENT="production")
    assert reasons(report, "secret-key") == [Reason.SK_MISSING]


def test_a_mismatch_of_classes_names_both() -> None:
    """Both classes are in the message, and the other variable in the evidence."""
    live = checked(CLERK_PUBLISHABLE_KEY=key("clerk.example.com", "live"), CLERK_SECRET_KEY=SECRET, ENVIRONMENT="prod")
    assert reasons(live, "secret-key") == [Reason.SK_PK_CLASS_MISMATCH]
    (finding,) = live.findings
    assert "development" in finding.message
    assert "production" in finding.message
    assert ("CLERK_PUBLISHABLE_KEY", "$CLERK_PUBLISHABLE_KEY") in {(one.label, one.value) for one in finding.evidence}


@pytest.mark.parametrize("form", ['"{}"', "'{}'", "Bearer {}"])
def test_a_secret_key_with_wrapping(form: str) -> None:
    """What is sent to Clerk holds the quotes: that is the cause, and it is named before Clerk is asked."""
    report = checked(CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=form.format(SECRET), ENVIRONMENT="production")
    assert verdict(report, "secret-key") is not Verdict.PASS


# CLERK_JWT_KEY


def public_pem(private: Any) -> str:  # noqa: ANN401 - a private key of any type
    """Return the public half as PEM."""
    pem: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def test_a_pem_in_every_form(instance: Instance) -> None:
    """Each form people paste is read, and all but the right one are warned of by their name."""
    pem = instance.pem()
    forms = {
        pem: [],
        pem.replace("\n", "\r\n"): [],
        pem.replace("\n", "\\n"): [Reason.PEM_ESCAPED],
        b64encode(pem.encode()).decode(): [Reason.PEM_BASE64],
        "".join(pem.splitlines()[1:-1]): [Reason.PEM_NORMALISED],
        f'"{pem}"': [Reason.PEM_NORMALISED],
        pem.replace("\n", " "): [Reason.PEM_NORMALISED],
        json.dumps(instance.jwk()): [Reason.PEM_NORMALISED],
    }
    for form, expected in forms.items():
        report = checked(
            CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=SECRET, ENVIRONMENT="production", CLERK_JWT_KEY=form
        )
        assert set(reasons(report, "jwt-key")) == set(expected), form
        assert verdict(report, "jwt-key") is (Verdict.WARN if expected else Verdict.PASS), form


def test_a_pem_that_is_no_key() -> None:
    """Each has its reason, and no line of a private key is shown."""
    elliptic = ec.generate_private_key(ec.SECP256R1())
    private = elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    weak = generate_private_key(65537, 1024)  # noqa: S505 - the weakness is what is tested
    forms = {
        '""': Reason.PEM_MISSING,
        "   ": Reason.PEM_MISSING,
        "garbage": Reason.PEM_UNREADABLE,
        "-----BEGIN PUBLIC KEY-----": Reason.PEM_UNREADABLE,
        SECRET: Reason.PEM_UNREADABLE,
        KEY: Reason.PEM_UNREADABLE,
        f"https://{HOST}/.well-known/jwks.json": Reason.PEM_UNREADABLE,
        public_pem(elliptic): Reason.PEM_NOT_RSA,
        '{"keys": []}': Reason.PEM_NOT_RSA,
        public_pem(weak): Reason.PEM_WEAK_KEY,
        private: Reason.PEM_PRIVATE_KEY,
        b64encode(private.encode()).decode(): Reason.PEM_PRIVATE_KEY,
        private.replace("\n", "\\n"): Reason.PEM_PRIVATE_KEY,
        '{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "abcdefghijkl"}': Reason.PEM_PRIVATE_KEY,
    }
    for form, expected in forms.items():
        report = checked(
            CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=SECRET, ENVIRONMENT="production", CLERK_JWT_KEY=form
        )
        assert reasons(report, "jwt-key") == [expected], form
        assert verdict(report, "jwt-key") is Verdict.FAIL
        text = rendered(report)
        assert private.splitlines()[1] not in text
        assert SECRET_BODY not in text
        assert "abcdefghijkl" not in text


def test_an_empty_jwt_key() -> None:
    """AUTH030: a variable that is set to nothing switches Clerk's own SDKs to a mode without keys."""
    report = checked(CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=SECRET, ENVIRONMENT="production", CLERK_JWT_KEY="")
    assert reasons(report, "jwt-key") == [Reason.PEM_MISSING]


# What the instance says


def online(frontend: str, api: str = "", **variables: str) -> Report:
    """Return the report with servers of this machine in the place of both of Clerk's APIs."""
    defaults = {
        "CLERK_PUBLISHABLE_KEY": KEY,
        "CLERK_SECRET_KEY": SECRET,
        "ENVIRONMENT": "production",
        "CLERK_PROXY_URL": frontend,
        "CLERK_API_URL": api or frontend,
    }
    return checked(offline=False, **defaults | variables)


def origin(server: RawServer) -> str:
    """Return the scheme, host and port of a raw server."""
    return server.url.removesuffix("/jwks.json")


def test_a_healthy_set_up(instance: Instance) -> None:
    """One instance, right clocks: every check passes; the paths are those of Clerk's two APIs."""
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer(instance.jwks()) as api:
        report = online(frontend.origin, f"{api.origin}/", CLERK_JWT_KEY=instance.pem())
        assert set(frontend.requests) == {"/.well-known/jwks.json"}
        assert api.requests == ["/v1/jwks"]
    assert {result.verdict for result in report.results} == {Verdict.PASS}
    assert report.exit_code is ExitCode.HEALTHY


def test_keys_of_different_instances(instance: Instance, other_instance: Instance) -> None:
    """The secret key's instance publishes other keys than the publishable key's: both kids are shown."""
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer(other_instance.jwks()) as api:
        report = online(frontend.origin, api.origin)
    assert reasons(report, "instance") == [Reason.SK_PK_INSTANCE_MISMATCH]
    shown = " ".join(one.value for one in report.findings[0].evidence)
    assert instance.kid in shown
    assert other_instance.kid in shown


def test_the_same_kid_does_not_make_the_same_instance(instance: Instance, other_instance: Instance) -> None:
    """Keys are compared, not their names."""
    namesake = other_instance.jwk() | {"kid": instance.kid}
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer({"keys": [namesake]}) as api:
        assert reasons(online(frontend.origin, api.origin), "instance") == [Reason.SK_PK_INSTANCE_MISMATCH]


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_secret_key_that_clerk_refuses(instance: Instance, status: str) -> None:
    """Clerk's answer is quoted, without the key; the key went to the Backend API alone, and only as Authorization."""
    body = json.dumps(instance.jwks()).encode()
    with RawServer(answer(body)) as frontend, RawServer(answer(REFUSED, status=status)) as api:
        report = online(origin(frontend), origin(api))
        sent, others = b"".join(api.requests), b"".join(frontend.requests)
    assert reasons(report, "instance") == [Reason.SECRET_KEY_INVALID]
    assert "clerk_key_invalid" in report.findings[0].message
    assert SECRET_BODY not in rendered(report)
    assert sent.startswith(b"GET /v1/jwks HTTP/1.1\r\n")
    assert sent.count(SECRET_BODY.encode()) == 1
    assert f"\r\nAuthorization: Bearer {SECRET}\r\n".encode() in sent
    assert SECRET_BODY.encode() not in others
    assert b"authorization" not in others.lower()


def test_the_real_hosts(
    instance: Instance, other_instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a proxy or API setting: the publishable key's host without credentials, api.clerk.com with the key."""
    documents = {HOST: instance.jwks(), "api.clerk.com": other_instance.jwks()}
    with TerminatingProxy(documents, tmp_path) as internet:
        internet.use(monkeypatch)
        report = checked(offline=False, CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=SECRET, ENVIRONMENT="production")
    assert reasons(report, "instance") == [Reason.SK_PK_INSTANCE_MISMATCH]
    assert internet.authorized == {HOST: [], "api.clerk.com": [f"Bearer {SECRET}"]}
    assert set(internet.asked) == {
        f"{HOST}:443",
        f"https://{HOST}/.well-known/jwks.json",
        "api.clerk.com:443",
        "https://api.clerk.com/v1/jwks",
    }


def test_a_redirect_does_not_carry_the_secret_key_away(instance: Instance) -> None:
    """Where the Backend API redirects, nobody is asked there, and the check is unknown."""
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer(instance.jwks(), mode=Mode.REDIRECT) as api:
        report = online(frontend.origin, api.origin)
        assert api.requests == ["/v1/jwks"]
    assert verdict(report, "instance") is Verdict.UNKNOWN
    assert report.exit_code is ExitCode.UNKNOWN


@pytest.mark.parametrize(
    "url",
    [
        "http://api.clerk.com",
        "http://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "api.clerk.com",
        "https://user:hunter22@api.clerk.com",
        "https://[",
    ],
)
def test_a_backend_api_that_is_none(instance: Instance, url: str) -> None:
    """The secret key is not sent in the clear, nor to what is no URL: unknown, with the setting's fault."""
    with LoopbackServer(instance.jwks()) as frontend:
        report = online(frontend.origin, url)
    assert verdict(report, "instance") is Verdict.UNKNOWN
    text = rendered(report)
    assert SECRET_BODY not in text
    assert "hunter22" not in text


@pytest.mark.parametrize("mode", [Mode.UNAVAILABLE, Mode.NOT_FOUND, Mode.HTML, Mode.RATE_LIMITED, Mode.EMPTY])
def test_a_backend_api_that_does_not_answer(instance: Instance, mode: Mode) -> None:
    """What the key is worth stays open: unknown, exit code 3, and the finding says what was seen."""
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer(mode=mode) as api:
        report = online(frontend.origin, api.origin)
    assert verdict(report, "instance") is Verdict.UNKNOWN
    assert reasons(report, "instance")
    assert report.exit_code is ExitCode.UNKNOWN


@pytest.mark.parametrize(
    ("mode", "expected", "seen"),
    [
        (Mode.UNAVAILABLE, Verdict.UNKNOWN, Reason.JWKS_HTTP_5XX),
        (Mode.RATE_LIMITED, Verdict.UNKNOWN, Reason.JWKS_RATE_LIMITED),
        (Mode.TRUNCATED, Verdict.UNKNOWN, Reason.JWKS_CONNECT),
        (Mode.NOT_FOUND, Verdict.FAIL, Reason.JWKS_HTTP_4XX),
        (Mode.HTML, Verdict.FAIL, Reason.JWKS_NOT_JSON),
        (Mode.REDIRECT, Verdict.FAIL, Reason.JWKS_REDIRECT),
        (Mode.EMPTY, Verdict.FAIL, Reason.JWKS_EMPTY),
        (Mode.OVERSIZED, Verdict.FAIL, Reason.JWKS_TOO_LARGE),
    ],
)
def test_a_key_server_with_bad_manners(instance: Instance, mode: Mode, expected: Verdict, seen: Reason) -> None:
    """A passing cause is unknown, a lasting one fails; what depends on it is skipped and names it."""
    with LoopbackServer(instance.jwks(), mode=mode) as frontend, LoopbackServer(instance.jwks()) as api:
        report = online(frontend.origin, api.origin, CLERK_JWT_KEY=instance.pem())
        assert api.hits == 0
    assert verdict(report, "key-server") is expected
    assert reasons(report, "key-server") == [seen]
    skipped = {one.name: one.because for one in report.results if one.verdict is Verdict.SKIP}
    assert skipped == {"auth.instance": "auth.key-server", "auth.jwt-key-instance": "auth.key-server"}
    assert report.exit_code is (ExitCode.UNKNOWN if expected is Verdict.UNKNOWN else ExitCode.FINDING)


def test_nobody_listens() -> None:
    """A refused connection is unknown."""
    with LoopbackServer() as gone:
        frontend = gone.origin
    report = online(frontend)
    assert reasons(report, "key-server") == [Reason.JWKS_CONNECT]
    assert report.exit_code is ExitCode.UNKNOWN


def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    """An inspecting proxy is a lasting cause: fail."""
    with RawServer(answer(), tls=self_signed(tmp_path)) as server:
        report = online(origin(server))
    assert reasons(report, "key-server") == [Reason.JWKS_TLS]
    assert verdict(report, "key-server") is Verdict.FAIL


@pytest.mark.parametrize("offset", [-3600, 3600])
def test_a_wrong_clock(instance: Instance, offset: float) -> None:
    """This machine's clock against the key server's: the direction and the size are in the message."""
    date = f"Date: {formatdate(time.time() + offset, usegmt=True)}"
    with RawServer(answer(json.dumps(instance.jwks()).encode(), date)) as server:
        report = online(origin(server))
    assert reasons(report, "key-server") == [Reason.CLOCK_SKEW]
    message = report.findings[0].message
    assert ("behind" if offset > 0 else "ahead of") in message
    assert any(f"{seconds} s" in message for seconds in range(3597, 3604))


def test_a_clock_that_is_right_enough(instance: Instance) -> None:
    """A few seconds are the tolerance of the verifier."""
    date = f"Date: {formatdate(time.time() - 4, usegmt=True)}"
    with RawServer(answer(json.dumps(instance.jwks()).encode(), date)) as server:
        assert reasons(online(origin(server)), "key-server") == []


def test_entries_that_must_not_be_published(instance: Instance) -> None:
    """Beside usable keys, weak ones and private material are found; another type of key is nobody's fault."""
    entries = [
        instance.jwk(),
        {"kty": "EC", "kid": "ins_ec"},
        {"kty": "RSA", "kid": "ins_weak", "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "kid": "ins_oct", "k": "abcdefghijkl"},
    ]
    with LoopbackServer({"keys": entries}) as server:
        report = online(server.origin)
    assert sorted(reasons(report, "key-server")) == [Reason.JWKS_SECRET_MATERIAL, Reason.JWKS_WEAK_KEY]
    assert "abcdefghijkl" not in rendered(report)


def test_a_pem_of_another_instance(instance: Instance, other_instance: Instance) -> None:
    """The instance does not publish the key: every genuine token would fail with a bad signature."""
    with LoopbackServer(instance.jwks()) as server:
        report = online(server.origin, CLERK_JWT_KEY=other_instance.pem())
    assert reasons(report, "jwt-key-instance") == [Reason.PEM_WRONG_INSTANCE]
    assert report.exit_code is ExitCode.FINDING


def test_offline_skips_what_needs_the_network(instance: Instance) -> None:
    """The settings are checked, nobody is asked, and the report says what was not checked."""
    with LoopbackServer(instance.jwks()) as server:
        report = checked(
            CLERK_PUBLISHABLE_KEY=KEY,
            CLERK_SECRET_KEY=SECRET,
            ENVIRONMENT="production",
            CLERK_PROXY_URL=server.origin,
            CLERK_API_URL=server.origin,
            CLERK_JWT_KEY=instance.pem(),
        )
        assert server.hits == 0
    skipped = {result.name: result.reason for result in report.results if result.verdict is Verdict.SKIP}
    assert set(skipped) == {"auth.key-server", "auth.instance", "auth.jwt-key-instance"}
    assert set(skipped.values()) == {"--offline was given"}


def test_a_proxy_without_a_name() -> None:
    """A host name with an empty label is a fault of the setting, not of the check."""
    report = checked(CLERK_PUBLISHABLE_KEY=KEY, ENVIRONMENT="production", CLERK_PROXY_URL="https://a..b", offline=False)
    assert report.exit_code is ExitCode.FINDING
    assert not [one for result in report.results for one in result.evidence if one.label == "traceback"]


# The whole


def test_the_cause_comes_before_its_effects(tmp_path: Path, instance: Instance, other_instance: Instance) -> None:
    """Deployment, keys, clock, key server: of everything that is wrong the deployment is named first."""
    (tmp_path / ".env").write_text(f"DISABLE_AUTH=true\nCLERK_PUBLISHABLE_KEY={KEY}\nCLERK_SECRET_KEY={SECRET}\n")
    date = f"Date: {formatdate(time.time() + 900, usegmt=True)}"
    with RawServer(answer(json.dumps(instance.jwks()).encode(), date)) as server:
        report = checked(
            tmp_path / ".env", offline=False, CLERK_PROXY_URL=origin(server), CLERK_JWT_KEY=other_instance.pem()
        )
    assert [one.evidence[0].value for one in report.findings] == [
        Reason.AUTH_DISABLED,
        Reason.UNVERIFIED_FALLBACK_ENABLED,
        Reason.CLOCK_SKEW,
    ]


def test_no_setting_at_all() -> None:
    """Nothing of Clerk was checked: that is not healthy."""
    assert checked().exit_code is ExitCode.UNKNOWN


@pytest.mark.parametrize("switch", ["DISABLE_AUTH", "ALLOW_UNVERIFIED_JWT_DEV"])
def test_a_switch_without_any_key(tmp_path: Path, switch: str) -> None:
    """A deployment without keys and with authentication switched off is the worst there is."""
    (tmp_path / ".env").write_text(f"{switch}=true\n")
    assert checked(tmp_path / ".env").exit_code is ExitCode.FINDING
