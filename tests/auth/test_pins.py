"""What a token is held against: flags and settings, key files in every form, and which URL may be fetched."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from alwrity_checks.auth.pins import Pins, key_url_of_issuer, read_key_file
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.settings import Settings
from tests.support.in_process import bare

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.auth.mint import Instance

HOST = "foo-bar-13.clerk.accounts.dev"
ISSUER = f"https://{HOST}"
KEY = "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"
LIVE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
WELL_KNOWN = "/.well-known/jwks.json"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no setting but the test's own."""
    bare(monkeypatch)


def settings(**variables: str) -> Settings:
    """Return settings with these variables in the environment."""
    return Settings.load(environment=variables)


def refusal(**flags: Any) -> ConfigurationError:  # noqa: ANN401 - the flags of the command line
    """Return the error that the flags end in."""
    with pytest.raises(ConfigurationError) as caught:
        Pins.of_flags(**flags)
    assert caught.value.remedy
    return caught.value


# Flags


def test_no_flag_pins_nothing() -> None:
    """Without a flag nothing is pinned, and nothing claims to be."""
    pins = Pins.of_flags()
    assert not pins.any
    assert pins == Pins()


def test_issuers_are_pinned_as_they_are_written() -> None:
    """Each is compared as a string; several may be given."""
    pins = Pins.of_flags(issuers=(ISSUER, "https://clerk.example.com"))
    assert pins.issuers == {ISSUER, "https://clerk.example.com"}
    assert pins.any
    assert pins.sources == ("--issuer",)


def test_a_publishable_key_pins_its_host() -> None:
    """The key is decoded; the URL follows from the issuer."""
    pins = Pins.of_flags(publishable_key=KEY)
    assert pins.issuers == {ISSUER}
    assert key_url_of_issuer(ISSUER, pins) == f"{ISSUER}{WELL_KNOWN}"
    assert pins.sources == ("--publishable-key",)


def test_a_jwks_url_pins_the_issuer_it_stands_under() -> None:
    """Of the well-known URL the issuer is plain; of another one it is not."""
    known = Pins.of_flags(jwks_url=f"{ISSUER}{WELL_KNOWN}")
    assert known.issuers == {ISSUER}
    other = Pins.of_flags(jwks_url="https://api.example.com/v1/jwks")
    assert other.issuers == frozenset()
    assert other.any
    both = Pins.of_flags(jwks_url=f"https://mirror.example{WELL_KNOWN}", issuers=(ISSUER,))
    assert both.issuers == {ISSUER}


@pytest.mark.parametrize(
    "url",
    [
        HOST,
        "",
        " ",
        f"http://{HOST}",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        f"https://user:hunter22@{HOST}",
        f"https://user@{HOST}",
        f"https://{HOST}#x",
        "https://",
        "https://:443",
        "https://[",
        "https://127.0.0.1:99999",
        "https://127.0.0.1:x",
        KEY,
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("flag", ["issuer", "jwks_url"])
def test_a_url_that_is_no_key_servers(flag: str, url: str) -> None:
    """Only https, and http on this machine; no credentials; and what was given is not quoted with them."""
    error = refusal(issuers=(url,)) if flag == "issuer" else refusal(jwks_url=url)
    assert "hunter22" not in f"{error.diagnosis} {error.remedy}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_this_machine_may_be_asked_without_tls(url: str) -> None:
    """A key server under test runs here."""
    assert Pins.of_flags(issuers=(url,)).issuers == {url}


def test_an_issuer_is_not_the_jwks_url() -> None:
    """The frequent confusion is named, and the remedy holds both ways out."""
    error = refusal(issuers=(f"{ISSUER}{WELL_KNOWN}",))
    assert "JWKS URL" in error.diagnosis
    assert f"--issuer {ISSUER}," in error.remedy
    assert "--jwks-url" in error.remedy


@pytest.mark.parametrize(
    "key", ["", "pk_test_", "pk_test_xxx", HOST, "sk_test_abcdefghijkl", "pk_live_MTI3LjAuMC4xJA", f"{KEY}="]
)
def test_a_publishable_key_that_is_none(key: str) -> None:
    """The flag is named, the reason's explanation is the remedy, and no secret key is repeated."""
    error = refusal(publishable_key=key)
    assert error.diagnosis.startswith("--publishable-key: ")
    assert error.remedy.startswith("alwrity-doctor explain pk-")
    assert "abcdefghijkl" not in error.diagnosis


@pytest.mark.parametrize(
    "url", ["https://a..b", f"https://{'a' * 64}.example", "https://127.0.0.1/\x01", "https://exa\x7fmple"]
)
def test_a_host_that_no_name_server_can_be_asked_for(url: str) -> None:
    """A host with an empty or overlong label, or with a control character, is refused before anything is fetched."""
    refusal(issuers=(url,))


@pytest.mark.parametrize(
    "flags",
    [
        {"jwks_file", "jwt_key"},
        {"jwks_url", "jwks_file"},
        {"jwks_url", "jwt_key"},
    ],
    ids=lambda flags: " and ".join(sorted(flags)),
)
def test_there_is_one_source_of_keys(instance: Instance, tmp_path: Path, flags: set[str]) -> None:
    """Two answers to "whose keys?" are a contradiction: exit code 2 instead of a guess."""
    (tmp_path / "jwks").write_text(json.dumps(instance.jwks()))
    (tmp_path / "pem").write_text(instance.pem())
    given = {"jwks_file": tmp_path / "jwks", "jwt_key": tmp_path / "pem", "jwks_url": f"{ISSUER}{WELL_KNOWN}"}
    refusal(**{flag: given[flag] for flag in flags})


# Settings


def test_settings_without_a_publishable_key_pin_nothing() -> None:
    """A secret key names no instance."""
    assert not Pins.of_settings(settings(CLERK_SECRET_KEY="sk_test_abcdefgh")).any


def test_settings_pin_what_the_backend_pins() -> None:
    """Issuer, URL, parties, proxy and satellite come from the settings, and the source is named with its place."""
    pins = Pins.of_settings(
        settings(
            CLERK_PUBLISHABLE_KEY=LIVE_KEY,
            CLERK_PROXY_URL="https://app.example.com/__clerk/",
            CLERK_DOMAIN="Sat.Example",
            CLERK_IS_SATELLITE="true",
            CLERK_AUTHORIZED_PARTIES="https://app.example.com, http://localhost:3000",
        )
    )
    assert pins.issuers == {"https://clerk.example.com", "https://app.example.com/__clerk", "https://clerk.sat.example"}
    assert pins.proxies == {"https://app.example.com/__clerk"}
    assert pins.satellites == {"https://clerk.sat.example"}
    assert pins.jwks_url == f"https://app.example.com/__clerk{WELL_KNOWN}"
    assert pins.authorized_parties == {"https://app.example.com", "http://localhost:3000"}
    assert pins.sources == ("CLERK_PUBLISHABLE_KEY ($CLERK_PUBLISHABLE_KEY)",)


@pytest.mark.parametrize(
    "variables",
    [
        {"CLERK_PUBLISHABLE_KEY": "pk_test_your_key_here"},
        {"CLERK_PROXY_URL": "/__clerk"},
        {"CLERK_PROXY_URL": "http://app.example.com"},
        {"CLERK_PUBLISHABLE_KEY": LIVE_KEY, "CLERK_DOMAIN": "https://app.example.com", "CLERK_IS_SATELLITE": "true"},
        {"CLERK_AUTHORIZED_PARTIES": "https://app.example.com/"},
        {"CLERK_AUTHORIZED_PARTIES": "app.example.com"},
    ],
    ids=str,
)
def test_settings_that_cannot_be_used(variables: dict[str, str]) -> None:
    """Each is a configuration error; its remedy says what to do."""
    with pytest.raises(ConfigurationError) as caught:
        Pins.of_settings(settings(**{"CLERK_PUBLISHABLE_KEY": KEY} | variables))
    assert caught.value.remedy


def test_an_authorised_party_that_is_no_url() -> None:
    """An origin that not even a URL parser takes is a configuration error like any other."""
    with pytest.raises(ConfigurationError):
        Pins.of_settings(settings(CLERK_PUBLISHABLE_KEY=KEY, CLERK_AUTHORIZED_PARTIES="https://["))


def test_settings_with_a_pem_pin_its_key(instance: Instance, other_instance: Instance) -> None:
    """Where the backend verifies with CLERK_JWT_KEY, the diagnosis does: even if the PEM is another instance's."""
    variables = {"CLERK_PUBLISHABLE_KEY": KEY, "CLERK_JWT_KEY": other_instance.pem()}
    in_production = ClerkTokenVerifier.from_environment(variables)._keys.lookup(instance.kid)
    pins = Pins.of_settings(settings(**variables))
    assert pins.keys is not None
    assert [key.thumbprint for key in pins.keys.keys] == [key.thumbprint for key in in_production]  # type: ignore[union-attr] # static keys are at hand


# Key files


def thumbprints(path: Path) -> set[str]:
    """Return the thumbprints of a file's usable keys."""
    return {key.thumbprint for key in read_key_file(path).keys}


def test_a_key_in_every_form(instance: Instance, tmp_path: Path) -> None:
    """JWKS, JWK and PEM, with a byte-order mark, CRLF, escaped, in base64, without armour: all are the same key."""
    pem, jwk, jwks = instance.pem(), json.dumps(instance.jwk()), json.dumps(instance.jwks())
    body = "".join(pem.splitlines()[1:-1])
    pkcs1 = instance.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    forms = [
        jwks,
        jwk,
        f"\ufeff{jwks}",
        f"\r\n  {jwks}\r\n",
        pem,
        f"\ufeff{pem}",
        pem.replace("\n", "\r\n"),
        pem.replace("\n", "\\n"),
        f'"{pem}"',
        b64encode(pem.encode()).decode(),
        body,
        pkcs1,
    ]
    path = tmp_path / "key"
    seen = set()
    for form in forms:
        path.write_bytes(form.encode())
        seen |= thumbprints(path)
    assert len(seen) == 1


def test_a_pem_fits_every_kid(instance: Instance, tmp_path: Path) -> None:
    """A PEM names no kid; a JWK keeps its own."""
    (tmp_path / "pem").write_text(instance.pem())
    (tmp_path / "jwk").write_text(json.dumps(instance.jwk()))
    assert list(read_key_file(tmp_path / "pem").by_kid) == [None]
    assert list(read_key_file(tmp_path / "jwk").by_kid) == [instance.kid]


def test_a_key_set_with_some_usable_keys(instance: Instance, tmp_path: Path) -> None:
    """What cannot be used is left out."""
    (tmp_path / "jwks").write_text(json.dumps({"keys": [{"kty": "EC"}, instance.jwk(), 7]}))
    assert list(read_key_file(tmp_path / "jwks").by_kid) == [instance.kid]


def private_pem() -> str:
    """Return a PEM private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def elliptic_pem() -> str:
    """Return a PEM public key that is not RSA."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def weak_pem() -> str:
    """Return a PEM public RSA key of 1024 bits."""
    key = generate_private_key(65537, 1024).public_key()  # noqa: S505 - the weakness is what is tested
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \r\n",
        b"garbage",
        b"\x00\x01\x02",
        b"\xff\xfe{\x00}\x00",
        b"{",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": 7}',
        b'{"keys": [{"kty": "EC", "kid": "a"}]}',
        b'{"keys": [], "keys": []}',
        b'{"a": ' * 1000,
        b"<!doctype html>",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        b"-----BEGIN PUBLIC KEY-----",
        b"sk_live_abcdefghijkl",
        KEY.encode(),
        f"{ISSUER}{WELL_KNOWN}".encode(),
        b"{" + b" " * (1 << 20) + b"}",
        elliptic_pem().encode(),
        weak_pem().encode(),
    ],
    ids=lambda content: ascii(content[:24]),
)
def test_a_file_without_a_usable_key(tmp_path: Path, content: bytes) -> None:
    """Each ends in a configuration error that names the file and the way out, and repeats no credential."""
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_key_file(path)
    assert str(path) in caught.value.diagnosis
    assert caught.value.remedy
    assert "abcdefghijkl" not in caught.value.diagnosis


@pytest.mark.parametrize("form", ["pem", "jwk", "jwks"])
def test_a_private_key_is_named_and_not_repeated(instance: Instance, tmp_path: Path, form: str) -> None:
    """Private key material is refused loudly, and not one line of it is in the message."""
    numbers = instance.private_key.private_numbers()
    private = b64encode(numbers.d.to_bytes(256, "big")).decode()
    jwk = instance.jwk() | {"d": private}
    pem = private_pem()
    content = {"pem": pem, "jwk": json.dumps(jwk), "jwks": json.dumps({"keys": [jwk]})}[form]
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigurationError, match="private") as caught:
        read_key_file(tmp_path / "key")
    assert private[:20] not in caught.value.diagnosis
    assert pem.splitlines()[1][:20] not in caught.value.diagnosis


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a directory are configuration errors."""
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing" / "key"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_key_file(path)


# The URL


def test_with_issuers_pinned_the_token_only_chooses_among_them() -> None:
    """A pinned issuer chooses its own server; any other token is judged with a pinned server's keys."""
    pins = Pins(frozenset({"https://b.example", "https://a.example/proxy/"}))
    assert key_url_of_issuer("https://b.example", pins) == f"https://b.example{WELL_KNOWN}"
    assert key_url_of_issuer("https://a.example/proxy/", pins) == f"https://a.example/proxy{WELL_KNOWN}"
    for other in ("https://evil.example", f"https://{HOST}", None, 7, ["https://b.example"], "https://b.example/"):
        assert key_url_of_issuer(other, pins) == f"https://a.example/proxy{WELL_KNOWN}"


def test_a_pinned_url_is_final() -> None:
    """Nothing in a token changes it."""
    pins = Pins(frozenset({ISSUER}), "https://keys.example/jwks")
    for issuer in (ISSUER, "https://evil.example", None):
        assert key_url_of_issuer(issuer, pins) == "https://keys.example/jwks"


def test_unpinned_only_clerks_own_hosts() -> None:
    """The names below Clerk's domain, written in the one canonical way."""
    assert key_url_of_issuer(ISSUER, Pins()) == f"{ISSUER}{WELL_KNOWN}"
    assert key_url_of_issuer(f"{ISSUER}/", Pins()) is None
    assert key_url_of_issuer("https://clerk.example.com", Pins()) is None
