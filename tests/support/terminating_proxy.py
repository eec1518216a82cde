"""A proxy that ends TLS: hosts of the internet, stood in for under their real names and without the internet."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


class TerminatingProxy:
    """Answers every request for each host with one document; its certificate's file makes it trusted."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]], directory: Path) -> None:
        self.asked: list[str] = []
        """The target of each CONNECT and the URL of each request, in the order of their arrival."""
        self.authorized: dict[str, list[str]] = {}
        """Host -> every Authorization header that it was sent."""
        self._documents = documents
        self._certificate = directory / "authority.pem"
        self._context = _certified(self._certificate, *documents)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Send this process's https requests through this proxy."""
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{self._server.server_port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(self._certificate))

    def __enter__(self) -> Self:
        """Start."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and wait for the thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                self.send_response_only(200)
                self.end_headers()
                self.connection = proxy._context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                self.close_connection = False

            def do_GET(self) -> None:
                host = self.headers["Host"]
                proxy.asked.append(f"https://{host}{self.path}")
                proxy.authorized.setdefault(host, []).extend(self.headers.get_all("Authorization", []))
                body = json.dumps(proxy._documents[host]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.wfile.close()
                self.rfile.close()
                self.connection.close()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        return Handler


def _certified(path: Path, *hosts: str) -> ssl.SSLContext:
    """Return a server's context for `hosts`; its certificate, which is its own authority, stands in `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
