"""Browser captures (HAR 1.2) made up on the spot, in the form in which Chrome exports them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from alwrity_checks.auth.mint import Instance

START: Final = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
"""The moment 0 of every capture."""
API: Final = "http://localhost:8000"


def moment(seconds: float) -> float:
    """Return a capture's second as seconds since the epoch, which is what tokens are minted with."""
    return START.timestamp() + seconds


def exchange(  # noqa: PLR0913 - a request has that many sides
    path: str = "/api/subscription/status",
    *,
    at: float = 0.0,
    status: int = 200,
    bearer: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    answer: Iterable[tuple[str, str]] = (),
    server_ahead: float | None = None,
    **changes: object,
) -> dict[str, Any]:
    """Return an entry: sent at second `at`, answered after 50 ms.

    `bearer` becomes an Authorization header, `server_ahead` a Date header by a clock that is so many seconds ahead;
    `changes` replace whole members of the entry. A path that is a URL replaces the host as well.
    """
    sent = [{"name": name, "value": value} for name, value in headers]
    if bearer is not None:
        sent.append({"name": "authorization", "value": f"Bearer {bearer}"})
    answered = [{"name": name, "value": value} for name, value in answer]
    if server_ahead is not None:
        date = START + timedelta(seconds=at + server_ahead)
        answered.append({"name": "date", "value": format_datetime(date, usegmt=True)})
    return {
        "_resourceType": "fetch",
        "pageref": "page_1",
        "startedDateTime": (START + timedelta(seconds=at)).isoformat().replace("+00:00", "Z"),
        "time": 50.0,
        "request": {
            "method": "GET",
            "url": path if "://" in path else API + path,
            "headers": [{"name": ":method", "value": "GET"}, *sent],
            "queryString": [],
        },
        "response": {"status": status, "headers": answered, "content": {"size": 2, "text": "{}"}},
        "timings": {"send": 0.1, "wait": 49.5, "receive": 0.4},
    } | changes


def cookie_page() -> dict[str, Any]:
    """Return the load of the page itself: no API request, and it proves that the capture holds credentials."""
    page = exchange("http://localhost:3000/", at=-1, headers=[("cookie", "theme=dark")], _resourceType="document")
    return page | {"response": {"status": 200, "headers": []}}


def har(*entries: object) -> dict[str, Any]:
    """Return a capture as a JSON value."""
    return {"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "pages": [], "entries": list(entries)}}


def captured(*entries: object, credentials: bool = True) -> BytesIO:
    """Return a capture as a file; it begins with a page that carries a cookie, unless it was to hold no credentials."""
    first = [cookie_page()] if credentials else []
    return BytesIO(json.dumps(har(*first, *entries)).encode())


def write_large_capture(path: Path, size: int, entries: Iterable[dict[str, Any]], body: int) -> None:
    """Write a capture of at least `size` bytes, piecemeal: `entries`, then scripts with bodies of `body` characters."""
    script = exchange("http://localhost:3000/static/app.js", _resourceType="script", pageref="page_2")
    script["response"]["content"]["text"] = 'const a = "x\\n\u00e9\U0001f600";' * (body // 22)
    text = json.dumps(script, ensure_ascii=False).encode()
    with path.open("wb") as stream:
        stream.write(b'{"log":{"version":"1.2","entries":[')
        stream.write(json.dumps(cookie_page()).encode())
        for entry in entries:
            stream.write(b"," + json.dumps(entry).encode())
        while stream.tell() < size:
            stream.write(b"," + text)
        stream.write(b"]}}")


def recorded_example(instance: Instance) -> bytes:
    """Return the capture that the README shows: sent too early, then a token that was kept too long, then repeated."""
    early = exchange("/api/subscription/status", at=0.2, status=401)
    good = instance.token(now=moment(1))
    healthy = exchange("/api/subscription/status", at=2, bearer=good)
    stale = [
        exchange("/api/content-planning/monitoring/health", at=70 + n, status=401, bearer=good)
        for n in range(0, 90, 30)
    ]
    return captured(early, healthy, *stale).getvalue()
