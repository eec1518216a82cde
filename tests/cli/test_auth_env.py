"""`alwrity-doctor auth env`: where settings come from, what they come to, and no secret of them anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.loopback import LoopbackServer
from alwrity_checks.auth.reasons import Reason
from alwrity_doctor.report import FORMATS
from tests.support import command_line
from tests.support.in_process import CommandLine
from tests.support.rawserver import RawServer, answer

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.auth.mint import Instance

KEY = "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"
LIVE = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
SECRET = "sk_test_0123456789abcdefghijABCDEFGHIJ0123456789"
SECRET_BODY = SECRET.removeprefix("sk_test_")
SOUND = f"CLERK_PUBLISHABLE_KEY={KEY}\nCLERK_SECRET_KEY={SECRET}\nENVIRONMENT=production\n"
JSON = ("--format", "json")


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_sound_settings_offline(doctor: CommandLine, tmp_path: Path) -> None:
    """What can be checked without a network passes; what cannot is said to be skipped."""
    (tmp_path / ".env").write_text(SOUND)
    done = doctor("auth", "env", "--offline", *JSON)
    assert (done.code, done.err, done.reasons) == (0, "", [])
    assert done.verdicts == {
        "auth.switches": "pass",
        "auth.publishable-key": "pass",
        "auth.secret-key": "pass",
        "auth.jwt-key": "skip",
        "auth.libraries": "pass",
        "auth.key-server": "skip",
        "auth.instance": "skip",
        "auth.jwt-key-instance": "skip",
    }
    assert done.document["command"] == "auth env"


def test_sound_settings_online(doctor: CommandLine, instance: Instance, tmp_path: Path) -> None:
    """With both of Clerk's APIs on this machine everything passes."""
    with LoopbackServer(instance.jwks()) as server:
        (tmp_path / ".env").write_text(f"{SOUND}CLERK_PROXY_URL={server.origin}\nCLERK_API_URL={server.origin}\n")
        done = doctor("auth", "env", *JSON)
        assert set(server.requests) == {"/.well-known/jwks.json", "/v1/jwks"}
    assert done.code == 0, done.out
    assert {verdict for name, verdict in done.verdicts.items() if "jwt-key" not in name} == {"pass"}


@pytest.mark.parametrize("arguments", [(), ("--offline",)])
def test_no_setting_at_all(doctor: CommandLine, arguments: tuple[str, ...]) -> None:
    """In the wrong directory nothing is found to check: that is 3 (could not be checked), never 0."""
    assert doctor("auth", "env", *arguments).code == 3


def test_the_backends_own_precedence(doctor: CommandLine, tmp_path: Path) -> None:
    """The environment wins over backend/.env, that over .env, and each value's place is shown."""
    (tmp_path / "backend").mkdir()
    (tmp_path / ".env").write_text(
        f"CLERK_SECRET_KEY={SECRET}\nCLERK_PUBLISHABLE_KEY={LIVE}\nENVIRONMENT=development\n"
    )
    (tmp_path / "backend" / ".env").write_text(f"# keys\nCLERK_PUBLISHABLE_KEY={KEY}\nENVIRONMENT=staging\n")
    done = doctor("auth", "env", "--offline", *JSON, ENVIRONMENT="production")
    assert (done.code, done.reasons) == (0, [])
    settings = done.document["settings"]
    assert settings["ENVIRONMENT"] == "production, from $ENVIRONMENT"
    assert settings["CLERK_PUBLISHABLE_KEY"].endswith("from backend/.env:2")
    assert "foo-bar-13.clerk.accounts.dev (development)" in settings["CLERK_PUBLISHABLE_KEY"]
    assert settings["CLERK_SECRET_KEY"].endswith("from .env:1")
    assert doctor("auth", "env", "--offline", ENVIRONMENT="production", CLERK_PUBLISHABLE_KEY=LIVE).code == 1


def test_files_that_are_named(doctor: CommandLine, tmp_path: Path) -> None:
    """--env-file takes the place of the default ones; of several the first that sets a variable wins."""
    (tmp_path / ".env").write_text("DISABLE_AUTH=true\n")
    (tmp_path / "a.env").write_text(SOUND)
    (tmp_path / "b.env").write_text(f"CLERK_PUBLISHABLE_KEY={LIVE}\nDISABLE_AUTH=true\n")
    assert doctor("auth", "env", "--offline", "--env-file", "a.env").code == 0
    done = doctor("auth", "env", "--offline", "--env-file", "a.env", "--env-file", "b.env", *JSON)
    assert done.reasons == [Reason.AUTH_DISABLED]
    assert done.document["results"][0]["findings"][0]["location"] == {
        "kind": "file",
        "name": "b.env",
        "line": 2,
    }


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfeC\x00", b"CLERK_SECRET_KEY=sk_test_\xe9\n", b"#" * (1 << 20) + b"##"]
)
def test_a_file_that_cannot_be_read(doctor: CommandLine, tmp_path: Path, content: bytes | None) -> None:
    """Missing, UTF-16, Latin-1 or huge: exit code 2, the file is named, and nothing is on stdout."""
    if content is not None:
        (tmp_path / "x.env").write_bytes(content)
    done = doctor("auth", "env", "--env-file", "x.env")
    assert (done.code, done.out) == (2, "")
    assert "x.env" in done.err
    assert "Remedy:" in done.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("DISABLE_AUTH=true", Reason.AUTH_DISABLED),
        ("ALLOW_UNVERIFIED_JWT_DEV=true", Reason.UNVERIFIED_FALLBACK_ENABLED),
        ("CLERK_PUBLISHABLE_KEY=pk_test_xxx", Reason.PK_PLACEHOLDER),
        (f"CLERK_PUBLISHABLE_KEY={KEY[:-5]}", Reason.PK_MALFORMED),
        (f"CLERK_PUBLISHABLE_KEY={SECRET}", Reason.PK_WRONG_KIND),
        ("CLERK_PUBLISHABLE_KEY=pk_live_MTI3LjAuMC4xJA", Reason.PK_HOST_UNSAFE),
        ("CLERK_PUBLISHABLE_KEY=foo-bar-13.clerk.accounts.dev", Reason.PK_NOT_ENCODED),
        (f"REACT_APP_CLERK_PUBLISHABLE_KEY={LIVE}", Reason.PK_ENV_CONFLICT),
        pytest.param(
            "CLERK_PROXY_URL=/__clerk",
            Reason.ISSUER_SETTING_INVALID,
        ),
        ("CLERK_SECRET_KEY=sk_test_xxx", Reason.SK_MALFORMED),
        ("CLERK_SECRET_KEY=sk_live_abcdefghijkl", Reason.SK_PK_CLASS_MISMATCH),
        ("CLERK_JWT_KEY=garbage", Reason.PEM_UNREADABLE),
        ("CLERK_JWT_KEY='  '", Reason.PEM_MISSING),
    ],
)
def test_a_setting_that_is_wrong(doctor: CommandLine, tmp_path: Path, content: str, expected: Reason) -> None:
    """Exit code 1 and the reason in every format; in JSON at its line."""
    lines = [line for line in SOUND.splitlines() if line.partition("=")[0] != content.partition("=")[0]]
    (tmp_path / ".env").write_text("\n".join([*lines, content, ""]))
    done = doctor("auth", "env", "--offline", *JSON)
    assert done.code == 1
    assert expected in done.reasons
    line = next(
        finding["location"]["line"]
        for result in done.document["results"]
        for finding in result["findings"]
        if finding["evidence"][0]["value"] == expected
    )
    assert line == len(lines) + 1
    for form in FORMATS:
        shown = doctor("auth", "env", "--offline", "--format", form)
        assert shown.code == 1
        # GitLab's Code Quality has a place for the rule and a sentence, and none for evidence.
        assert expected in shown.out or form == "codequality"
        assert SECRET_BODY not in shown.out
        assert "abcdefghijkl" not in shown.out


def test_fail_on(doctor: CommandLine, tmp_path: Path) -> None:
    """A template's name is a warning: 0 by default, 1 with --fail-on warn."""
    (tmp_path / ".env").write_text(f"{SOUND}REACT_APP_CLERK_JWT_TEMPLATE=supabase\n")
    assert doctor("auth", "env", "--offline").code == 0
    assert doctor("auth", "env", "--offline", "--fail-on", "warn").code == 1


def test_instances_that_differ(
    doctor: CommandLine, instance: Instance, other_instance: Instance, tmp_path: Path
) -> None:
    """The text for a person names the cause in its first line, and both instances' key ids."""
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer(other_instance.jwks()) as api:
        (tmp_path / ".env").write_text(f"{SOUND}CLERK_PROXY_URL={frontend.origin}\nCLERK_API_URL={api.origin}\n")
        done = doctor("auth", "env")
    assert done.code == 1
    assert "Most likely cause: AUTH023" in done.out.splitlines()[0]
    assert instance.kid in done.out
    assert other_instance.kid in done.out


def test_a_key_server_that_is_down(doctor: CommandLine, tmp_path: Path) -> None:
    """Nothing is wrong that could be seen, and something could not be: exit code 3."""
    with LoopbackServer() as gone:
        (tmp_path / ".env").write_text(f"{SOUND}CLERK_PROXY_URL={gone.origin}\n")
    done = doctor("auth", "env", *JSON)
    assert (done.code, done.reasons) == (3, [Reason.JWKS_CONNECT])


def test_no_secret_in_a_process_of_its_own(instance: Instance, tmp_path: Path) -> None:
    """Every secret setting, wrong in every way, with a server that repeats it: in no format, on neither stream."""
    private = "-----BEGIN PRIVATE KEY-----\\nMIIabcdefghijklmnopqrstuvwxyz\\n-----END PRIVATE KEY-----"
    refused = json.dumps({"errors": [{"code": "clerk_key_invalid", "long_message": f"{SECRET} is not a key"}]}).encode()
    out = tmp_path / "out"
    out.mkdir()
    with LoopbackServer(instance.jwks()) as frontend, RawServer(answer(refused, status="401 Unauthorized")) as api:
        (tmp_path / ".env").write_text(
            f"{SOUND}CLERK_JWT_KEY={private}\nCLERK_PROXY_URL={frontend.origin}\n"
            f"CLERK_API_URL={api.url.removesuffix('/jwks.json')}\n"
            "CLERK_WEBHOOK_SECRET=whsec_abcdefghijklmnop\nVITE_CLERK_PUBLISHABLE_KEY=sk_live_ZYXWVUTSRQPO\n"
        )
        done = command_line.run(
            *("auth", "env", *(f"--format={name}={out / name}" for name in FORMATS), "--format=text"),
            cwd=tmp_path,
            ALWRITY_DOCTOR_DEBUG="1",
        )
        assert api.requests == []  # a publishable key that is a secret one fails first
        (tmp_path / ".env").write_text(
            f"{SOUND}CLERK_PROXY_URL={frontend.origin}\nCLERK_API_URL={api.url.removesuffix('/jwks.json')}\n"
        )
        refusal = command_line.run("auth", "env", cwd=tmp_path)
        assert len(api.requests) == 1
    assert (done.returncode, refusal.returncode) == (1, 1)
    assert {Reason.PK_WRONG_KIND, Reason.PEM_PRIVATE_KEY} <= set(done.stdout.split())
    assert Reason.SECRET_KEY_INVALID in refusal.stdout
    for text in (done.stdout, done.stderr, refusal.stdout, refusal.stderr, *(one.read_text() for one in out.iterdir())):
        for secret in (SECRET_BODY, "MIIabcdefghijklmnopqrstuvwxyz", "abcdefghijklmnop", "ZYXWVUTSRQPO"):
            assert secret not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLERK_PROXY_URL", "https://admin:hunter2secret@proxy.example"),
        ("CLERK_API_URL", "https://admin:hunter2secret@api.example"),
        ("ENVIRONMENT", "sk_live_hunter2secret"),
        ("REACT_APP_CLERK_JWT_TEMPLATE", "sk_live_hunter2secret"),
        ("CLERK_DOMAIN", "whsec_hunter2secret"),
    ],
)
def test_a_secret_in_a_public_setting(doctor: CommandLine, tmp_path: Path, name: str, value: str) -> None:
    """A password in a URL and a secret key in the wrong variable are scrubbed by their shape, in every format."""
    lines = [line for line in SOUND.splitlines() if line.partition("=")[0] != name]
    (tmp_path / ".env").write_text("\n".join([*lines, f"{name}={value}", ""]))
    for form in FORMATS:
        assert "hunter2secret" not in doctor("auth", "env", "--offline", "--format", form).out


@pytest.mark.parametrize("value", ["\x1b[31mred", "[red]x[/red]", "::error::gotcha", "\u202eevil"])
def test_a_setting_does_not_reach_the_terminal_raw(doctor: CommandLine, tmp_path: Path, value: str) -> None:
    """Escapes in a value that is shown are escaped; markup is text."""
    (tmp_path / ".env").write_text(SOUND.replace("production", f"'{value}'"), encoding="utf-8")
    for form in FORMATS:
        done = doctor("auth", "env", "--offline", "--format", form)
        assert not set(done.out) & {"\x1b", "\u202e"}
        assert not [line for line in done.out.splitlines() if line.lstrip().startswith("::error::gotcha")]


def test_a_secret_key_does_not_follow_a_url_from_elsewhere(
    doctor: CommandLine, instance: Instance, tmp_path: Path
) -> None:
    """A .env that lies about cannot have the environment's secret key sent to a host of its choice."""
    with LoopbackServer(instance.jwks()) as frontend, LoopbackServer(instance.jwks()) as api:
        (tmp_path / ".env").write_text(f"CLERK_PROXY_URL={frontend.origin}\nCLERK_API_URL={api.origin}\n")
        secret = "sk_test_" + "a1b2c3d4" * 5
        done = doctor("auth", "env", CLERK_PUBLISHABLE_KEY=KEY, CLERK_SECRET_KEY=secret, ENVIRONMENT="production")
        assert api.hits == 0
    assert done.code == 3
    assert "it is not sent there" in done.out
