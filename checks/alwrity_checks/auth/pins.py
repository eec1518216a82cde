"""What a diagnosis holds a token against: issuer and keys that somebody named, not the token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from alwrity_checks.auth.configuration import ClerkConfiguration, publishable_key_setting, static_keys
from alwrity_checks.auth.hosts import is_clerk_host, key_server_url
from alwrity_checks.auth.publishable_key import KeyProblem, PublishableKey
from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from alwrity_checks.auth.jwk import KeySet
    from alwrity_checks.settings import Settings

__all__ = ["WELL_KNOWN", "Pins", "key_url_of_issuer", "read_key_file"]

WELL_KNOWN: Final = "/.well-known/jwks.json"
_LARGEST_KEY_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Pins:
    """The pinned issuer and keys, and where each came from."""

    issuers: frozenset[str] = frozenset()
    """Empty: the issuer is not compared; the keys alone decide, or nothing is pinned."""
    jwks_url: str | None = None
    """None: derived from the token's issuer, once that is found to be a pinned one."""
    keys: KeySet | None = None
    """Keys at hand; then nothing is fetched."""
    sources: tuple[str, ...] = ()
    """Where the pins came from, for a person: "CLERK_PUBLISHABLE_KEY (.env:3)"."""
    authorized_parties: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    satellites: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        """Whether anything is pinned at all."""
        return bool(self.issuers or self.jwks_url or self.keys)

    @classmethod
    def of_settings(cls, settings: Settings) -> Pins:
        """Pin what the backend's own settings name: an instance, a key, or nothing.

        Raises ConfigurationError for settings that cannot be used.
        """
        keys, pem = static_keys(settings), settings.get("CLERK_JWT_KEY")
        setting = publishable_key_setting(settings)
        if setting is None:
            return cls(keys=keys, sources=(f"{pem.name} ({pem.location})",)) if keys and pem else cls()
        configuration = ClerkConfiguration.read(settings)
        return cls(
            issuers=configuration.issuers,
            jwks_url=configuration.jwks_url,
            keys=keys,  # what the component verifies with, when it is set
            sources=tuple(f"{one.name} ({one.location})" for one in (setting, pem if keys else None) if one),
            authorized_parties=configuration.authorized_parties,
            proxies=configuration.proxies,
            satellites=configuration.satellites,
        )

    @classmethod
    def of_flags(  # noqa: PLR0913 - each is a flag
        cls,
        *,
        issuers: tuple[str, ...] = (),
        publishable_key: str | None = None,
        jwks_url: str | None = None,
        jwks_file: Path | None = None,
        jwt_key: Path | None = None,
        authorized_parties: tuple[str, ...] = (),
    ) -> Pins:
        """Pin what the command line names. Raises ConfigurationError."""
        if sum(one is not None for one in (jwks_url, jwks_file, jwt_key)) > 1:
            raise ConfigurationError(
                "more than one source of keys is named", "give one of --jwks-url, --jwks-file, --jwt-key"
            )
        pinned = {_issuer(issuer) for issuer in issuers}
        sources = ["--issuer"] * bool(issuers)
        if publishable_key is not None:
            try:
                pinned.add(PublishableKey.parse(publishable_key).issuer)
            except KeyProblem as problem:
                raise ConfigurationError(
                    f"--publishable-key: {problem.detail}", f"alwrity-doctor explain {problem.reason}"
                ) from None
            sources.append("--publishable-key")
        if jwks_url is not None:
            key_server_url(jwks_url)
            sources.append("--jwks-url")
            if not pinned and jwks_url.endswith(WELL_KNOWN):
                pinned.add(jwks_url.removesuffix(WELL_KNOWN))
        keys = None
        if jwt_key is not None:
            keys = read_key_file(jwt_key)
            sources.append("--jwt-key")
        elif jwks_file is not None:
            keys = read_key_file(jwks_file)
            sources.append("--jwks-file")
        return cls(frozenset(pinned), jwks_url, keys, tuple(sources), frozenset(authorized_parties))

    def over(self, settings: Pins) -> Pins:
        """Return these pins where they say something, and `settings` where they do not.

        An issuer that is pinned here brings its own key server, so that the settings' keys do not count beside it.
        """
        own_instance = bool(self.issuers)
        own_keys = own_instance or self.jwks_url is not None or self.keys is not None
        return Pins(
            issuers=self.issuers or settings.issuers,
            jwks_url=self.jwks_url if own_keys else settings.jwks_url,
            keys=self.keys if own_keys else settings.keys,
            sources=self.sources if own_instance else (*self.sources, *settings.sources),
            authorized_parties=self.authorized_parties or settings.authorized_parties,
            proxies=frozenset() if own_instance else settings.proxies,
            satellites=frozenset() if own_instance else settings.satellites,
        )


def _issuer(text: str) -> str:
    key_server_url(text)
    if text.endswith(WELL_KNOWN):
        raise ConfigurationError(
            "--issuer was given the JWKS URL", f"pass --issuer {text.removesuffix(WELL_KNOWN)}, or use --jwks-url"
        )
    return text


def read_key_file(path: Path) -> KeySet:
    """Read a JWKS, a JWK or a PEM public key. Raises ConfigurationError."""
    from alwrity_checks.auth.jwk import KeySet, key_set
    from alwrity_checks.auth.pem import read_verification_key
    from alwrity_checks.auth.strict import decode_object

    remedy = "give a file with a JWKS, a JWK or a PEM public key"
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_KEY_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", remedy) from error
    if len(data) > _LARGEST_KEY_FILE:
        raise ConfigurationError(f"{path} is larger than 1 MiB: not a key", remedy)
    try:
        if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            keys = key_set(decode_object(data.removeprefix(b"\xef\xbb\xbf")))
            if not keys.keys:
                why = "; ".join(f"{one.kid}: {one.detail}" for one in keys.dropped[:5]) or "it is empty"
                raise ConfigurationError(f"{path} holds no usable key: {why}", remedy)
            return keys
        key = read_verification_key(data.decode("utf-8", "replace")).key
    except KeyProblem as problem:
        raise ConfigurationError(f"{path}: {problem.detail}", remedy) from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}", remedy) from None
    return KeySet({None: (key,)})


def key_url_of_issuer(issuer: object, pins: Pins) -> str | None:
    """Return the URL to fetch keys from for a token with this issuer; None if none may be fetched.

    A URL that a token names is fetched only if somebody else named it too, or, with nothing pinned, if its host is one
    of Clerk's own: there the token can at most make us ask Clerk.
    """
    if pins.jwks_url is not None:
        return pins.jwks_url
    if pins.issuers:
        chosen = issuer if isinstance(issuer, str) and issuer in pins.issuers else min(pins.issuers)
        return f"{chosen.rstrip('/')}{WELL_KNOWN}"
    if isinstance(issuer, str) and issuer == f"https://{_host(issuer)}" and is_clerk_host(_host(issuer)):
        return f"{issuer}{WELL_KNOWN}"
    return None


def _host(issuer: Any) -> str:  # noqa: ANN401 - whatever a token holds
    try:
        return urlsplit(issuer).hostname or ""
    except ValueError:
        return ""
