"""`alwrity-doctor auth verify`: exit codes and streams, contradictory options, and nothing of the token anywhere."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.mint import Instance
from alwrity_checks.auth.reasons import Reason
from alwrity_doctor.report import FORMATS
from tests.support import command_line
from tests.support.in_process import CommandLine, reasons_of

if TYPE_CHECKING:
    from pathlib import Path

HOST = "foo-bar-13.clerk.accounts.dev"
ISSUER = f"https://{HOST}"
KEY = "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    return CommandLine(monkeypatch, capsys, tmp_path)


@pytest.fixture
def jwks(instance: Instance, tmp_path: Path) -> str:
    """Return the path of the instance's key set, for --jwks-file."""
    (tmp_path / "jwks.json").write_text(json.dumps(instance.jwks()))
    return str(tmp_path / "jwks.json")


def leaks(token: str, *texts: str) -> list[str]:
    """Return which parts of the token stand in any of the texts."""
    parts = {part for part in (token, *token.split("."), token.rpartition(".")[2][:40]) if len(part) > 8}
    return [part[:20] for part in parts for text in texts if part in text]


# The ways in


@pytest.mark.parametrize("way", ["argument", "stdin", "file", "variable"])
def test_every_way_in(doctor: CommandLine, instance: Instance, jwks: str, tmp_path: Path, way: str) -> None:
    """Each ends with 0 for a good token and shows nothing of it; only the argument comes with a warning."""
    token = instance.token()
    (tmp_path / "token").write_text(f"{token}\n")
    pin = ("--jwks-file", jwks, "--issuer", ISSUER)
    done = {
        "argument": lambda: doctor("auth", "verify", token, *pin),
        "stdin": lambda: doctor("auth", "verify", "-", *pin, stdin=f"{token}\r\n".encode()),
        "file": lambda: doctor("auth", "verify", "--token-file", "token", *pin),
        "variable": lambda: doctor("auth", "verify", *pin, ALWRITY_DOCTOR_TOKEN=token),
    }[way]()
    assert done.code == 0, done.err
    assert done.out.startswith("PASS")
    assert done.err.count("\n") == (way == "argument")
    assert ("visible to other users" in done.err) is (way == "argument")
    assert leaks(token, done.out, done.err) == []


def test_no_token(doctor: CommandLine) -> None:
    """Exit code 2, nothing on stdout, and the ways in on stderr."""
    done = doctor("auth", "verify")
    assert (done.code, done.out) == (2, "")
    for way in ("auth verify -", "--token-file", "ALWRITY_DOCTOR_TOKEN"):
        assert way in done.err


@pytest.mark.parametrize(
    ("stdin", "expected"),
    [
        (b"", [Reason.TOKEN_MISSING]),
        (b"\r\n", [Reason.TOKEN_MISSING]),
        (b"null\n", [Reason.TOKEN_PLACEHOLDER]),
        (b"Bearer undefined", [Reason.TOKEN_WRAPPED, Reason.TOKEN_PLACEHOLDER]),
        (bytes(range(256)), [Reason.TOKEN_NOT_JWT]),
        (b"\x00" * 1000, [Reason.TOKEN_NOT_JWT]),
        (b"x" * (1 << 20), [Reason.TOKEN_TOO_LARGE]),
        (b"." * (1 << 20), [Reason.TOKEN_TOO_LARGE]),
        (b"\x1b[31m\x1b]0;title\x07", [Reason.TOKEN_NOT_JWT]),
        (b"sk_live_abcdefghijklmnop", [Reason.WRONG_KIND_SECRET_KEY]),
    ],
    ids=lambda value: ascii(value[:12]) if isinstance(value, bytes) else None,
)
def test_an_input_that_is_no_token(doctor: CommandLine, stdin: bytes, expected: list[Reason]) -> None:
    """Exit code 1 with the reason; no byte of it is repeated."""
    done = doctor("auth", "verify", "-", "--offline", "--format", "json", stdin=stdin)
    assert (done.code, done.err) == (1, "")
    assert done.reasons == expected
    text = doctor("auth", "verify", "-", "--offline", stdin=stdin)
    assert text.code == 1
    assert not set(text.out) & {"\x1b", "\x00", "\x07"}
    assert "abcdefghijklmnop" not in text.out + done.out


def test_a_token_and_a_line_of_a_log(doctor: CommandLine, instance: Instance, jwks: str) -> None:
    """Two lines are not one token, and the token in them is not shown."""
    token = instance.token()
    done = doctor("auth", "verify", "-", "--jwks-file", jwks, stdin=f"{token}\nINFO: request done\n".encode())
    assert done.code == 1
    assert leaks(token, done.out, done.err) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_powershell_writes(
    doctor: CommandLine, instance: Instance, jwks: str, tmp_path: Path, encoding: str
) -> None:
    """A redirected token is read in every encoding that PowerShell marks."""
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    (tmp_path / "token").write_bytes(marks.get(encoding, b"") + f"{instance.token()}\r\n".encode(encoding))
    assert doctor("auth", "verify", "--token-file", "token", "--jwks-file", jwks).code == 0


# What is pinned


def test_what_pins_the_instance(doctor: CommandLine, instance: Instance, jwks: str, tmp_path: Path) -> None:
    """A key set, a JWK and a PEM verify the same token; each is named as the source."""
    (tmp_path / "jwk").write_text(json.dumps(instance.jwk()))
    (tmp_path / "pem").write_text(instance.pem())
    token = instance.token().encode()
    for flag, path in (("--jwks-file", jwks), ("--jwks-file", "jwk"), ("--jwt-key", "pem"), ("--jwks-file", "pem")):
        done = doctor("auth", "verify", "-", flag, path, "--format", "json", stdin=token)
        assert done.code == 0
        assert done.verdicts["token.signature"] == "pass"
        assert done.verdicts["token.issuer"] == "skip"


def test_a_pinned_issuer_is_fetched_from(doctor: CommandLine, instance: Instance) -> None:
    """--issuer, --jwks-url, and nothing pinned, against one server that would give its keys to anybody."""
    with LoopbackServer(instance.jwks()) as server:
        token = Instance(server.origin, instance.kid, instance.private_key).token().encode()
        assert doctor("auth", "verify", "-", "--issuer", server.origin, stdin=token).code == 0
        assert server.hits == 1
        assert doctor("auth", "verify", "-", "--jwks-url", server.url, stdin=token).code == 0
        assert server.hits == 2
        assert doctor("auth", "verify", "-", stdin=token).code == 3
        assert doctor("auth", "verify", "-", "--issuer", server.origin, "--offline", stdin=token).code == 3
        assert server.hits == 2


def test_the_settings_pin_where_no_flag_does(doctor: CommandLine, instance: Instance, tmp_path: Path) -> None:
    """The environment, then backend/.env, then .env; the place is named; a flag takes their stead."""
    with LoopbackServer(instance.jwks()) as server:
        settings = f"CLERK_PUBLISHABLE_KEY={KEY}\nCLERK_PROXY_URL={server.origin}\n"
        (tmp_path / "backend").mkdir()
        (tmp_path / "backend" / ".env").write_text(f"{settings}CLERK_AUTHORIZED_PARTIES=https://app.example.com\n")
        token = instance.token(azp="https://evil.example").encode()
        done = doctor("auth", "verify", "-", "--format", "json", stdin=token)
        assert (done.code, done.reasons) == (1, [Reason.AZP_MISMATCH])
        assert "backend/.env:1" in done.out
        party = ("--authorized-party", "https://evil.example")
        assert doctor("auth", "verify", "-", *party, stdin=token).code == 0
        assert server.hits == 2
        flag = doctor("auth", "verify", "-", "--issuer", "https://clerk.example.com", "--offline", stdin=token)
        assert flag.code == 1
        assert server.hits == 2


def test_an_env_file_that_is_named(doctor: CommandLine, instance: Instance, tmp_path: Path) -> None:
    """--env-file is read instead of the default ones; a missing one ends with 2, a wrong one is a finding."""
    (tmp_path / ".env").write_text("CLERK_PUBLISHABLE_KEY=pk_test_xxx\n")
    (tmp_path / "other.env").write_text(f"CLERK_PUBLISHABLE_KEY={KEY}\n")
    token = instance.token().encode()
    wrong = doctor("auth", "verify", "-", "--offline", stdin=token)
    assert wrong.code == 1
    assert "AUTH013" in wrong.out
    assert "the text is one JWT" in wrong.out
    assert doctor("auth", "verify", "-", "--offline", "--env-file", "other.env", stdin=token).code == 3
    assert doctor("auth", "verify", "-", "--offline", "--env-file", "missing.env", stdin=token).code == 2


def test_settings_complete_the_flags(doctor: CommandLine, instance: Instance, jwks: str, tmp_path: Path) -> None:
    """A key set at hand does not hide the .env's parties and issuer: production would compare them too."""
    (tmp_path / ".env").write_text(f"CLERK_PUBLISHABLE_KEY={KEY}\nCLERK_AUTHORIZED_PARTIES=http://localhost:3000\n")
    for party, code in (("http://localhost:3000", 0), ("http://localhost:3000/", 1)):
        token = instance.token(azp=party).encode()
        assert doctor("auth", "verify", "-", "--jwks-file", jwks, stdin=token).code == code
    other = instance.token(azp="http://localhost:3000", iss="https://bar-baz-7.clerk.accounts.dev").encode()
    assert "issuer-mismatch-other-instance" in doctor("auth", "verify", "-", "--jwks-file", jwks, stdin=other).out


def test_a_pem_alone_pins_the_keys(doctor: CommandLine, instance: Instance, other_instance: Instance) -> None:
    """CLERK_JWT_KEY without a publishable key judges signatures, and nothing is fetched."""
    token = instance.token().encode()
    assert doctor("auth", "verify", "-", stdin=token, CLERK_JWT_KEY=instance.pem()).code == 0
    wrong = doctor("auth", "verify", "-", stdin=token, CLERK_JWT_KEY=other_instance.pem())
    assert (wrong.code, "token-invalid-signature" in wrong.out) == (1, True)


def test_bad_settings_and_a_bad_header_are_told_apart(doctor: CommandLine, instance: Instance, jwks: str) -> None:
    """The signature is skipped for the header's sake, not for the settings' that failed before the chain began."""
    token = instance.token(header={"alg": "HS256"}).encode()
    pin = ("--jwks-file", jwks, "--format=json")
    done = doctor("auth", "verify", "-", *pin, stdin=token, CLERK_PUBLISHABLE_KEY="pk_test_xxx")
    results = {one["name"]: one for one in json.loads(done.out)["results"]}
    assert results["settings"]["verdict"] == results["token.header"]["verdict"] == "fail"
    assert results["token.signature"]["because"] == "token.header"


def test_many_layers_of_wrapping_are_no_healthy_token(doctor: CommandLine, instance: Instance, jwks: str) -> None:
    """A text that was never looked into does not end with 0, however it is wrapped."""
    for layers in (1, 8, 9, 17, 40):
        text = ('"' * layers + instance.token() + '"' * layers).encode()
        done = doctor("auth", "verify", "-", "--jwks-file", jwks, stdin=text)
        assert (done.code == 0) is ("the signature is the key's  (RS256" in done.out), layers


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--issuer", f"{ISSUER}/.well-known/jwks.json"), "JWKS URL"),
        (("--issuer", HOST), "not an https URL"),
        (("--issuer", "http://169.254.169.254"), "not an https URL"),
        (("--jwks-url", "file:///etc/passwd"), "not an https URL"),
        (("--publishable-key", "pk_test_xxx"), "placeholder"),
        (("--publishable-key", "sk_live_abcdefghijkl"), "--publishable-key"),
        (("--jwks-file", "missing"), "cannot be read"),
        (("--jwks-file", "."), "cannot be read"),
        (("--jwt-key", "missing"), "cannot be read"),
        (("--token-file", "missing"), "--token-file"),
        (("--leeway", "301"), "--leeway"),
        (("--leeway", "-1"), "--leeway"),
        (("--leeway", "inf"), "--leeway"),
        (("--fail-on", "never"), "--fail-on"),
        (("--format", "yaml"), "yaml"),
        (("--format", "json", "--format", "text"), "two formats"),
        (("second-token",), "unexpected extra argument"),
        (("--tokn",), "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_that_cannot_be_used(
    doctor: CommandLine, instance: Instance, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, a message on stderr, nothing on stdout, and no traceback."""
    token = instance.token()
    done = doctor("auth", "verify", token, *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert "abcdefghijkl" not in done.err
    assert leaks(token, done.err) == []


@pytest.mark.parametrize("content", [b"garbage", b"{}", b"", b"\x00\xff", b'{"keys": []}', b"<html>"])
@pytest.mark.parametrize("flag", ["--jwks-file", "--jwt-key"])
def test_a_key_file_that_holds_none(doctor: CommandLine, tmp_path: Path, flag: str, content: bytes) -> None:
    """Exit code 2; the file is named."""
    (tmp_path / "key").write_bytes(content)
    done = doctor("auth", "verify", "-", flag, "key", stdin=b"x")
    assert (done.code, done.out) == (2, "")
    assert "key" in done.err


@pytest.mark.parametrize("flag", ["--jwks-file", "--jwt-key"])
def test_a_private_key_file(doctor: CommandLine, instance: Instance, tmp_path: Path, flag: str) -> None:
    """It is refused as what it is, and not a member of it is shown."""
    (tmp_path / "key").write_text(json.dumps(instance.jwk() | {"d": "abcdefghijklmnop"}))
    done = doctor("auth", "verify", "-", flag, "key", stdin=b"x")
    assert done.code == 2
    assert "private" in done.err
    assert "abcdefghijklmnop" not in done.err


def test_a_leeway_that_is_no_number(doctor: CommandLine, instance: Instance, jwks: str) -> None:
    """NaN lies in no range."""
    token = instance.token(now=time.time() - 3600).encode()
    assert doctor("auth", "verify", "-", "--jwks-file", jwks, "--leeway", "nan", stdin=token).code != 0


def test_a_key_file_does_not_reach_the_terminal_raw(doctor: CommandLine, tmp_path: Path) -> None:
    """A key set comes from elsewhere: what it calls its keys is escaped in messages as in reports."""
    (tmp_path / "key").write_text(json.dumps({"keys": [{"kty": "EC", "kid": "\x1b]0;title\x07"}]}))
    assert "\x1b" not in doctor("auth", "verify", "-", "--jwks-file", "key", stdin=b"x").err


@pytest.mark.parametrize(
    "variables",
    [
        {"SSL_CERT_FILE": "/missing/ca.pem"},
        {"HTTPS_PROXY": "socks5://127.0.0.1:1"},
        {"HTTPS_PROXY": "nonsense://127.0.0.1:1"},
    ],
    ids=lambda one: "=".join(*one.items()),
)
def test_an_environment_in_which_nothing_can_be_fetched(
    doctor: CommandLine, instance: Instance, variables: dict[str, str]
) -> None:
    """A wrong certificate file or proxy leaves the token unknown, with a reason that names the setting."""
    done = doctor(
        "auth", "verify", "-", "--issuer", "https://127.0.0.1:1", stdin=instance.token().encode(), **variables
    )
    assert "fault of alwrity-doctor" not in done.err
    assert done.out


@pytest.mark.parametrize("url", ["https://a..b", "https://127.0.0.1/\x01"])
def test_a_url_that_cannot_be_asked(doctor: CommandLine, instance: Instance, url: str) -> None:
    """A host or path that no client takes is wrong usage: exit code 2."""
    assert doctor("auth", "verify", "-", "--issuer", url, stdin=instance.token().encode()).code == 2


# What comes out


@pytest.mark.parametrize("form", FORMATS)
def test_the_exit_code_is_the_same_in_every_format(
    doctor: CommandLine, instance: Instance, jwks: str, form: str
) -> None:
    """Good, expired and not judged: 0, 1 and 3, whatever is written; stderr stays empty."""
    pin = ("--jwks-file", jwks, "--issuer", ISSUER)
    good, old = instance.token().encode(), instance.token(now=1e9).encode()
    for code, token, arguments in ((0, good, pin), (1, old, pin), (3, good, ("--issuer", ISSUER, "--offline"))):
        done = doctor("auth", "verify", "-", *arguments, "--format", form, stdin=token)
        assert (done.code, done.err) == (code, "")
        assert done.out


def test_fail_on(doctor: CommandLine, instance: Instance, jwks: str) -> None:
    """A warning is 0 by default and 1 with --fail-on warn."""
    arguments = ("auth", "verify", "-", "--jwks-file", jwks)
    token = f"Bearer {instance.token()}".encode()
    assert doctor(*arguments, stdin=token).code == 0
    assert doctor(*arguments, "--fail-on", "warn", stdin=token).code == 1


def test_a_person_on_call_reads_the_cause_first(doctor: CommandLine, other_instance: Instance, jwks: str) -> None:
    """The first line names the cause; every step has its line; the last line is the exit code."""
    done = doctor("auth", "verify", "-", "--jwks-file", jwks, "--issuer", ISSUER, stdin=other_instance.token().encode())
    lines = done.out.splitlines()
    assert "Most likely cause: AUTH082" in lines[0]
    assert lines[-1].startswith("Exit code 1")
    assert "issuer-mismatch-other-instance" in done.out


def test_nothing_of_the_token_in_a_process_of_its_own(instance: Instance, jwks: str, tmp_path: Path) -> None:
    """Every format at once, every kind of trouble, on stdout, on stderr and in the files: no part of the token."""
    out = tmp_path / "out"
    out.mkdir()
    formats = [f"--format={name}={out / name}" for name in FORMATS]
    tampered = f"Authorization: Bearer {instance.token(now=1e9, sub='user_someoneelse')[:-6]}AAAAAA"
    done = command_line.run(
        *(
            "auth",
            "verify",
            tampered,
            "--jwks-file",
            jwks,
            "--issuer",
            "https://clerk.example.com",
            *formats,
            "--format=text",
        ),
        cwd=tmp_path,
        ALWRITY_DOCTOR_DEBUG="1",
    )
    assert done.returncode == 1, done.stderr
    texts = [done.stdout, done.stderr, *((out / name).read_text() for name in FORMATS)]
    assert leaks(tampered.rpartition(" ")[2], *texts) == []
    assert "user_someoneelse" in done.stdout
    assert {Reason.TOKEN_WRAPPED, Reason.TOKEN_INVALID_SIGNATURE, Reason.TOKEN_EXPIRED} <= set(
        reasons_of(json.loads((out / "json").read_text()))
    )


@pytest.mark.parametrize(
    "misplaced",
    [
        ("auth", "verify", "Bearer", "TOKEN"),
        ("auth", "verify", "-", "TOKEN"),
        ("auth", "TOKEN"),
        ("TOKEN",),
        ("auth", "verify", "--token-file", "TOKEN"),
        ("auth", "verify", "--token-file=TOKEN"),
        ("auth", "verify", "-", "--issuer", "TOKEN"),
        ("auth", "verify", "-", "--jwks-url", "TOKEN"),
        ("auth", "verify", "-", "--jwks-file", "TOKEN"),
        ("auth", "verify", "-", "--jwt-key", "TOKEN"),
        ("auth", "verify", "-", "--env-file", "TOKEN"),
        ("auth", "verify", "-", "--publishable-key", "TOKEN"),
        ("auth", "verify", "-", "--leeway", "TOKEN"),
        ("auth", "verify", "-", "--fail-on", "TOKEN"),
        ("auth", "verify", "-", "--format", "TOKEN"),
        ("auth", "verify", "--token", "TOKEN"),
        ("auth", "verify", "--token=TOKEN"),
        ("explain", "TOKEN"),
    ],
    ids=" ".join,
)
def test_a_misplaced_token_is_not_repeated(doctor: CommandLine, instance: Instance, misplaced: tuple[str, ...]) -> None:
    """Whoever puts the token in the wrong place is told so, without the token."""
    token = instance.token()
    done = doctor(*(argument.replace("TOKEN", token) for argument in misplaced), stdin=b"x")
    assert done.code == 2
    assert leaks(token, done.out, done.err) == []


def test_nothing_of_the_token_in_a_traceback(
    doctor: CommandLine, instance: Instance, jwks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the program itself fails with the token in its hands, the traceback that is asked for is without it."""
    token = instance.token()

    def fault(text: str, *_: object, **__: object) -> None:
        raise ValueError(f"cannot judge {text}, that is {text.split('.')[1]} and {text.split('.')[2]}")

    monkeypatch.setattr("alwrity_checks.auth.diagnosis.diagnose", fault)
    for debug in ("", "1"):
        done = doctor("auth", "verify", "-", "--jwks-file", jwks, stdin=token.encode(), ALWRITY_DOCTOR_DEBUG=debug)
        assert done.code == 3
        assert ("Traceback" in done.err) is bool(debug)
        assert leaks(token, done.out, done.err) == []


def test_a_key_server_that_repeats_secrets(doctor: CommandLine, instance: Instance) -> None:
    """What a server's error page holds is scrubbed where it enters."""
    with LoopbackServer({"error": "no keys", "key": "sk_live_abcdefghijkl"}) as server:
        done = doctor("auth", "verify", "-", "--issuer", server.origin, stdin=instance.token().encode())
    assert done.code == 1
    assert Reason.JWKS_NOT_JSON in done.out
    assert "abcdefghijkl" not in done.out


def test_a_key_server_that_is_down(doctor: CommandLine, instance: Instance) -> None:
    """Exit code 3, the reason, and the way to judge the token all the same."""
    with LoopbackServer(mode=Mode.UNAVAILABLE) as server:
        token = Instance(server.origin, instance.kid, instance.private_key).token().encode()
        done = doctor("auth", "verify", "-", "--issuer", server.origin, stdin=token)
    assert done.code == 3
    assert Reason.JWKS_HTTP_5XX in done.out
    assert "--jwks-file FILE" in done.out


@pytest.mark.skipif(os.name == "nt", reason="pipes of a POSIX shell")
def test_a_real_pipe(instance: Instance, jwks: str, tmp_path: Path) -> None:
    """`printf %s "$TOKEN" | alwrity-doctor auth verify -` in real processes: the report on stdout, nothing else."""
    import subprocess

    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [*command_line.COMMAND, "auth", "verify", "-", "--jwks-file", jwks, "--issuer", ISSUER],
        input=f"{instance.token()}\r\n".encode(),
        cwd=tmp_path,
        env=command_line.environment(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"PASS")
    assert done.stderr == b""


def test_an_interrupted_diagnosis_says_what_it_had_found(instance: Instance, tmp_path: Path) -> None:
    """Ctrl-C while the key server is silent: exit code 130, the finished steps, and no verdict of health."""
    with LoopbackServer(mode=Mode.SILENT) as server:
        (tmp_path / "token").write_text(instance.token(iss=server.origin))
        pin = ("--issuer", server.origin, "--token-file", "token", "--format=json")
        with command_line.start("auth", "verify", *pin, cwd=tmp_path) as process:
            try:
                while not server.hits:
                    time.sleep(0.01)
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=60)
            finally:
                process.kill()
    assert (process.returncode, stderr) == (130, "")
    document = json.loads(stdout)
    names = [result["name"] for result in document["results"]]
    assert (names, document["verdict"]) == (["token.shape", "token.header", "interrupted"], "unknown")
