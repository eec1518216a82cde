"""Where the database is: the URL, read by the driver's own rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import Secret

__all__ = ["Address"]

_SCHEME: Final = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")
"""SQLAlchemy names the driver after a plus sign; backends share their DATABASE_URL."""

# A server that does not answer is given up: after seconds by whoever connects, after a minute by whoever waits for an
# answer; otherwise the system's own limits hold, which are hours.
_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "alwrity-doctor semantic index",
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""What the URL does not say."""


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and what opens it."""

    conninfo: Secret
    place: str
    """Host, port and database, for messages."""

    @classmethod
    def of(cls, url: Secret) -> Address:
        """Read a URL. Raises ConfigurationError, which does not repeat it."""
        given = url.reveal().strip()
        scheme = _SCHEME.match(given)
        # In this form, because user:password@host has the shape of a credential, and is blotted out of every message.
        remedy = "write it as postgresql://HOST:5432/DATABASE?user=USER&password=PASSWORD"
        if scheme is None:
            raise ConfigurationError("the URL of the semantic index is not one of a PostgreSQL database", remedy)
        try:
            parts = conninfo_to_dict("postgresql://" + given[scheme.end() :])
        except psycopg.Error:
            # The driver's message quotes the URL, with the password in it; so it is not even the cause.
            raise ConfigurationError("the URL of the semantic index cannot be read", remedy) from None
        if parts.get("password"):
            Secret(str(parts["password"]))
        host = parts.get("host") or parts.get("hostaddr") or "localhost"
        place = f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"
        return cls(Secret(make_conninfo("", **{**_DEFAULTS, **parts, "client_encoding": "utf8"})), place)
