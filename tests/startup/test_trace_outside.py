"""What is seen of a command from outside: its sockets, its processes, its words, its first answer."""

from __future__ import annotations

import io
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub
from alwrity_checks.startup.trace import record
from alwrity_checks.startup.trace_answer import Asker, Question
from alwrity_checks.startup.trace_output import Output, wrap_secrets
from alwrity_checks.startup.trace_processes import Family
from alwrity_checks.startup.trace_sockets import Peer, Sockets

if TYPE_CHECKING:
    from collections.abc import Callable

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's own tables")


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; a minute is for ever."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@linux
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("diagnosed", [True, False], ids=["sock_diag", "proc"])
def test_sockets_of_this_process(family: socket.AddressFamily, diagnosed: bool) -> None:  # noqa: FBT001 - which table
    """Both of the kernel's tables show who listens, who is connected to whom, and one of them how much came."""
    host = "127.0.0.1" if family is socket.AF_INET else "::1"
    sockets = Sockets()
    sockets._diagnosed = diagnosed
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"x" * 5000)
            received = 0
            while received < 5000:
                received += len(client.recv(5000))
            found = sockets.of([os.getpid()])
            port = server.getsockname()[1]
            (listening,) = (one for one in found if one.listens and one.local.port == port)
            (connected,) = (one for one in found if not one.listens and one.remote == Peer(host, port))
            assert listening.local.host == host
            assert connected.owners == {os.getpid()}
            assert connected.received == (5000 if diagnosed else None)
            assert sockets.holders(listening, [os.getpid(), 1]) >= {os.getpid()}
            assert not [one for one in sockets.of([]) if not one.owners]


def test_an_address_is_spelled_as_in_a_url() -> None:
    """An IPv6 address stands in brackets before its port."""
    assert str(Peer("::1", 80)) == "[::1]:80"
    assert str(Peer("127.0.0.1", 80)) == "127.0.0.1:80"


def test_a_family_and_its_end() -> None:
    """Children are seen with their programs, and all of them are gone in the end."""
    process = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 61; true"], start_new_session=True)  # noqa: S607 - any shell
    family = Family(process.pid, ("NOT_SET", "x"))
    try:

        def both() -> bool:
            family.update()
            return [one.program for one in family.seen.values()].count("sleep") == 2

        eventually(both)
        child = next(one for one in family.seen.values() if one.program == "sleep")
        assert [one.pid for one in family.lineage(child.pid)] == [process.pid, child.pid]
        assert abs(child.began - time.monotonic()) < 30
        assert not any(one.python for one in family.seen.values())
    finally:
        family.end(1.0)
        process.wait(10)
    assert family.alive == ()


@pytest.mark.parametrize(
    ("command", "secrets", "words"),
    [
        (["x", "--api-key", "geheim-wort"], ["geheim-wort"], []),
        (["x", "--token=geheim-wort"], ["geheim-wort"], []),
        (["x", "DB_PASSWORD=geheim-wort"], ["geheim-wort"], []),
        (["x", "--key-file", "app:main-module"], ["app:main-module"], []),
        (["x", "app:application", "--port", "12345678"], [], ["app:application", "12345678"]),
        (["x", "--password", "--verbose-output"], [], ["--verbose-output"]),
        (["x", "--auth", "false"], [], ["false"]),
    ],
)
def test_the_secrets_of_a_command(command: list[str], secrets: list[str], words: list[str]) -> None:
    """What a command's arguments mark as secret is taken out of what it says; ordinary words stay."""
    wrap_secrets(command, {"SOME_API_KEY": "aus-der-umgebung", "PWD": "/work/directory"})
    assert scrub("aus-der-umgebung") != "aus-der-umgebung"
    assert scrub("/work/directory") == "/work/directory"
    for one in secrets:
        assert one not in scrub(f"it says {one}")
    for one in words:
        assert one in scrub(f"it says {one}")


def test_the_last_words_of_a_command() -> None:
    """The last lines are kept, a long one is cut, what is no text is no error, and each is handed on as it comes."""
    heard: list[str] = []
    lines = [b"line %d\n" % number for number in range(100)]
    output = Output(io.BytesIO(b"".join([*lines, b"\xff" * 10_000, b"\nlast, without an end"])), heard.append)
    output.close()
    assert len(heard) == 102
    assert output.tail[-1] == "last, without an end"
    assert len(output.tail[-2]) == 500
    assert output.tail[0] == "line 62"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("db password=geheim-wort!", "geheim-wort"),
        ("DB_PASSWORD: geheim-wort", "geheim-wort"),
        ('{"api_key": "geheim-wort", "port": 1}', "geheim-wort"),
        ("{'client_secret': 'geheim-wort'}", "geheim-wort"),
        ("SECRET_KEY='geheim-wort'", "geheim-wort"),
        (f"postgres://user:{'geheim-wort' * 50}@host/", "geheim-wort"),
    ],
)
def test_a_secret_that_only_its_name_gives_away(line: str, secret: str) -> None:
    """A server reads a .env file that we do not, and says what is in it: the value of such a name is not kept."""
    output = Output(io.BytesIO(line.encode()))
    output.close()
    assert secret not in "".join(output.tail)


@pytest.mark.parametrize(
    "line",
    ["KeyError: 'user'", "unexpected token: else", "no password given", "key=None", "Token: true", "max_tokens=4096"],
)
def test_ordinary_words_stay(line: str) -> None:
    """A diagnosis is not cut out with the secrets."""
    output = Output(io.BytesIO(line.encode()))
    output.close()
    assert output.tail == (line,)


@pytest.mark.parametrize("reply", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 none\r\n", b"x" * 10_000])
def test_what_is_no_answer(reply: bytes) -> None:
    """A port that closes, or that speaks something else, has not answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        served = 0

        def serve() -> None:
            nonlocal served
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)
                served += 1

        thread = threading.Thread(target=serve)
        thread.start()
        asker = Asker(Question("127.0.0.1", server.getsockname()[1]))
        thread.join(60)
        asker.close()
    assert served == 2
    assert asker.answer is None


def test_an_answer_that_comes_late_and_in_pieces() -> None:
    """A server that accepts and answers later, byte by byte, has answered; the path is the one asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asker = Asker(Question("127.0.0.1", server.getsockname()[1], "/health?x=1"))
        connection, _ = server.accept()
        with connection:
            asked = connection.recv(4096)
            for byte in b"HTTP/1.1 503 Not yet\r\n":
                connection.sendall(bytes([byte]))
            eventually(lambda: asker.answer)
        asker.close()
    assert asked.startswith(b"GET /health?x=1 HTTP/1.1\r\n")
    assert asker.answer is not None
    assert asker.answer.status == 503


def test_an_answer_over_tls(tmp_path: Path) -> None:
    """A certificate of the server's own is no hindrance: nothing is entrusted to it."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=9), now - timedelta(days=1))
    certificate = built.sign(key, hashes.SHA256())
    (tmp_path / "pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        asker = Asker(Question("127.0.0.1", server.getsockname()[1], tls=True))
        plain, _ = server.accept()
        with context.wrap_socket(plain, server_side=True) as stream:
            stream.recv(4096)
            stream.sendall(b"HTTP/1.0 204 \r\n\r\n")
            eventually(lambda: asker.answer)
        asker.close()
    assert asker.answer is not None
    assert asker.answer.status == 204


@pytest.mark.parametrize("command", [["/not/there"], [str(Path(__file__).parent)], ["sh", "\0"]])
def test_a_command_that_cannot_be_started(command: list[str]) -> None:
    """It is an error of the user's, with what to do about it, and names the program only."""
    with pytest.raises(ConfigurationError, match="cannot be started") as raised:
        record(command)
    assert "startup trace --" in raised.value.remedy
