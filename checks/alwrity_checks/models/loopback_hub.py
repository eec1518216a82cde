"""A model hub on this machine, with the endpoints and header fields that the real client of huggingface_hub needs.

    HF_ENDPOINT=http://127.0.0.1:PORT

What it serves are directories; what it does wrong is chosen by `fault` and can be changed while it runs. Large files
are kept at another origin, as a real hub keeps them, so that a token which goes astray is seen to do so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from alwrity_checks.loopback_http import BreakOff, Delivery, HttpServer, Reply, Request

if TYPE_CHECKING:
    from alwrity_checks.redaction import Secret

__all__ = ["Fault", "LoopbackHub"]

_MODEL: Final = r"(?P<model>[^/]+(?:/[^/]+)?)"
_INFO: Final = re.compile(rf"/api/models/{_MODEL}?(?:/revision/(?P<revision>.+))?")
_TREE: Final = re.compile(rf"/api/models/{_MODEL}/tree/(?P<revision>[^/]+)(?:/.*)?")
_FILE: Final = re.compile(rf"/{_MODEL}/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")
_LARGE: Final = re.compile(r".*\.(?:safetensors|bin|gguf|onnx|onnx\.data|pt|pth)")
"""What a real repository keeps in LFS, by the usual .gitattributes; every other file is told by its git blob."""
_CHUNK: Final = 1 << 16
_STEPS_A_SECOND: Final = 20


class Fault(StrEnum):
    """What a hub can do wrong."""

    STALLED = "stalled"
    """A large file stops after `after` bytes, and the connection stays open."""
    RESET = "reset"
    """A large file breaks off after `after` bytes."""
    SILENT = "silent"
    """Connections are accepted, and nothing is ever answered."""
    UNAUTHORISED = "unauthorised"
    """401: the token is not accepted."""
    GATED = "gated"
    UNKNOWN = "unknown"
    """404 for every model."""
    RATE_LIMITED = "rate-limited"
    """429, with `Retry-After` if `retry_after` is given."""
    ERROR = "error"
    """500."""
    WRONG_LENGTH = "wrong-length"
    """More is announced than comes, and the connection is closed in order."""
    TRUNCATED = "truncated"
    """Less is announced, and sent, than the listing says."""
    CORRUPT = "corrupt"
    """A byte of each large file is another than the listing's checksum says."""
    ETAG_CHANGED = "etag-changed"
    """A file's head names another content than the listing does."""
    NO_RANGES = "no-ranges"
    """Ranges are ignored: the whole file comes."""
    NO_SIZES = "no-sizes"
    """The listing tells neither sizes nor checksums."""
    NO_JSON = "no-json"
    """A login page, as of a hotel's network."""


_OF_FILES: Final = frozenset({Fault.STALLED, Fault.RESET, Fault.WRONG_LENGTH, Fault.TRUNCATED, Fault.CORRUPT})


class LoopbackHub:
    """Serves `models` (name on the hub -> directory) until the block ends."""

    def __init__(  # noqa: PLR0913 - each is one manner of a hub
        self,
        models: Mapping[str, Path],
        *,
        rate: float | None = None,
        fault: Fault | None = None,
        times: int | None = None,
        after: int = 0,
        retry_after: float | None = None,
        token: Secret | None = None,
        elsewhere: bool = True,
    ) -> None:
        """Serve at `rate` bytes a second, all connections together; None: as fast as it goes.

        `fault` happens `times` times (None: always); `after` is the byte of a large file where it happens.
        With `token` only requests that carry it are served; with `elsewhere` large files are redirected to a second
        origin, which accepts no token.
        """
        self.models = dict(models)
        self.rate = rate
        self.fault = fault
        self.times = times
        self.after = after
        self.retry_after = retry_after
        self.requests: list[Request] = []
        """Everything that was asked at the hub, in order."""
        self.elsewhere_requests: list[Request] = []
        """Everything that was asked at the second origin."""
        self.bytes_sent = 0
        """Bytes of files that went out."""
        self._token = token
        self._free_at = 0.0
        self._server = HttpServer(self._handle, "loopback-hub")
        self._store = HttpServer(self._handle_elsewhere, "loopback-hub-store") if elsewhere else None

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:<port>`, for HF_ENDPOINT."""
        return self._server.origin

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of both origins."""
        servers = (self._server, self._store)
        return tuple(int(one.origin.rpartition(":")[2]) for one in servers if one is not None)

    def start(self, port: int = 0) -> None:
        """Start, at `port` if one is named. Raises OSError where it is taken."""
        self._server.start(port)
        if self._store is not None:
            self._store.start()

    def stop(self) -> None:
        """Stop at once, whatever is under way."""
        self._server.stop()
        if self._store is not None:
            self._store.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @asynccontextmanager
    async def _handle(self, request: Request) -> AsyncIterator[Reply]:
        self.requests.append(request)
        yield self._refusal(request) or self._answer(request)

    @asynccontextmanager
    async def _handle_elsewhere(self, request: Request) -> AsyncIterator[Reply]:
        self.elsewhere_requests.append(request)
        if "authorization" in request.headers:
            yield Reply(HTTPStatus.BAD_REQUEST, b"only one way to authenticate is allowed", "text/plain")
            return
        found = _FILE.fullmatch(request.path)
        yield _error(HTTPStatus.NOT_FOUND) if found is None else self._file(request, found)

    def _strikes(self, *faults: Fault) -> bool:
        """Say whether one of `faults` happens now, and count it."""
        if self.fault not in faults or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _refusal(self, request: Request) -> Reply | None:
        if self._strikes(Fault.SILENT):
            return Reply(delivery=Delivery.SILENT)
        if self._strikes(Fault.UNAUTHORISED):
            return _error(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
        if self._strikes(Fault.GATED):
            told = "Access to this model is restricted. You must have access to it and be authenticated."
            status = HTTPStatus.FORBIDDEN if "authorization" in request.headers else HTTPStatus.UNAUTHORIZED
            return _error(status, "GatedRepo", told)
        if self._strikes(Fault.UNKNOWN):
            return _error(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
        if self._strikes(Fault.RATE_LIMITED):
            more = {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}
            return _error(HTTPStatus.TOO_MANY_REQUESTS, "", "We had to rate limit you", more)
        if self._strikes(Fault.ERROR):
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "", "Internal Server Error")
        if self._strikes(Fault.NO_JSON):
            return Reply(body=b"<html>Welcome! Please log in.</html>", content_type="text/html")
        if self._token is not None and request.headers.get("authorization") != f"Bearer {self._token.reveal()}":
            return _error(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Repository not found")
        return None

    def _answer(self, request: Request) -> Reply:
        for pattern, answer in ((_TREE, self._tree), (_INFO, self._info), (_FILE, self._resolve)):
            if found := pattern.fullmatch(request.path):
                if found["model"] not in self.models:
                    return _error(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
                if found["revision"] not in {None, "main", self._commit(found["model"])}:
                    return _error(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {found['revision']}")
                return answer(request, found)
        return _error(HTTPStatus.NOT_FOUND)

    def _info(self, _: Request, found: re.Match[str]) -> Reply:
        model = found["model"]
        bare = self._strikes(Fault.NO_SIZES)
        siblings = [{"rfilename": name} | ({} if bare else _sizes(path)) for name, path in self._files(model).items()]
        return _json(
            {"id": model, "modelId": model, "sha": self._commit(model), "private": False, "siblings": siblings}
        )

    def _tree(self, _: Request, found: re.Match[str]) -> Reply:
        entries = []
        for name, path in self._files(found["model"]).items():
            told = _sizes(path)
            lfs = {"lfs": told["lfs"] | {"oid": told["lfs"]["sha256"]}} if "lfs" in told else {}
            entries.append({"type": "file", "path": name, "size": told["size"], "oid": told["blobId"], **lfs})
        return _json(entries)

    def _resolve(self, request: Request, found: re.Match[str]) -> Reply:
        path = self._files(found["model"]).get(found["name"])
        if path is None:
            return _error(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
        if self._store is None or not _LARGE.fullmatch(found["name"]):
            return self._file(request, found)
        headers = self._said(found["model"], path) | {"location": self._store.origin + quote(request.path)}
        return Reply(HTTPStatus.FOUND, headers=headers)

    def _said(self, model: str, path: Path) -> dict[str, str]:
        told = _sizes(path)
        etag = "0" * 64 if self._strikes(Fault.ETAG_CHANGED) else told.get("lfs", {}).get("sha256") or told["blobId"]
        linked = {"x-linked-etag": f'"{etag}"', "x-linked-size": str(told["size"])} if "lfs" in told else {}
        return {"etag": f'"{etag}"', "x-repo-commit": self._commit(model), "accept-ranges": "bytes", **linked}

    def _file(self, request: Request, found: re.Match[str]) -> Reply:
        path = self._files(found["model"])[found["name"]]
        size = path.stat().st_size
        headers = self._said(found["model"], path)
        start, end, status = 0, size, HTTPStatus.OK
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        if wanted and not self._strikes(Fault.NO_RANGES):
            start, end = int(wanted[1]), min(int(wanted[2] or size) + 1, size) if wanted[2] else size
            if start >= size:
                refused = {"content-range": f"bytes */{size}"}
                return Reply(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=refused)
            status = HTTPStatus.PARTIAL_CONTENT
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        if request.method == "HEAD":
            return Reply(status, headers=headers, content_type="application/octet-stream", length=size)
        strikes = bool(_LARGE.fullmatch(found["name"])) and self.fault in _OF_FILES and self._strikes(*_OF_FILES)
        announced, fault = end - start, self.fault if strikes else None
        if fault is Fault.TRUNCATED:
            announced = end = max(start + 1, size // 2) - start
            headers.pop("content-range", None)
            status, end = HTTPStatus.OK, start + announced
        elif fault is Fault.WRONG_LENGTH:
            end = start + announced // 2
        stream = self._stream(path, start, end, fault)
        return Reply(status, b"", "application/octet-stream", headers, stream=stream, length=announced)

    async def _stream(self, path: Path, start: int, end: int, fault: Fault | None) -> AsyncIterator[bytes]:
        chunk = _CHUNK if self.rate is None else max(1, min(_CHUNK, int(self.rate / _STEPS_A_SECOND)))
        at = start
        with path.open("rb") as file:
            file.seek(start)
            while at < end:
                stops = fault in {Fault.STALLED, Fault.RESET}
                upto = min(end, at + chunk, max(self.after, start) if stops and at < self.after else end)
                if stops and at >= self.after:
                    if fault is Fault.RESET:
                        raise BreakOff
                    await asyncio.Event().wait()
                piece = file.read(upto - at)
                if fault is Fault.CORRUPT and at <= self.after < upto:
                    where = self.after - at
                    piece = piece[:where] + bytes([piece[where] ^ 1]) + piece[where + 1 :]
                await self._pace(len(piece))
                self.bytes_sent += len(piece)
                yield piece
                at = upto

    async def _pace(self, amount: int) -> None:
        """Wait until the line has room for `amount` more bytes."""
        if self.rate is None:
            return
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + amount / self.rate
        await asyncio.sleep(self._free_at - now)

    def _files(self, model: str) -> dict[str, Path]:
        root = self.models[model]
        return {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}

    def _commit(self, model: str) -> str:
        told = json.dumps({name: _sizes(path) for name, path in self._files(model).items()})
        return hashlib.sha1(told.encode(), usedforsecurity=False).hexdigest()


def _sizes(path: Path) -> dict[str, Any]:
    """Return what a listing says of a file."""
    state = path.stat()
    sha256, blob = _hashes(path, state.st_size, state.st_mtime_ns)
    if not _LARGE.fullmatch(path.name):
        return {"size": state.st_size, "blobId": blob}
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {state.st_size}\n".encode()
    lfs = {"sha256": sha256, "size": state.st_size, "pointerSize": len(pointer)}
    return {"size": state.st_size, "blobId": _git_blob(len(pointer))(pointer), "lfs": lfs}


def _git_blob(size: int) -> Callable[[bytes], str]:
    """Return what git calls a content of `size` bytes."""
    state = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def update(data: bytes) -> str:
        state.update(data)
        return state.hexdigest()

    return update


@cache
def _hashes(path: Path, size: int, _changed: int) -> tuple[str, str]:
    """Return a file's SHA-256 and its git blob's name; read once for each state of the file."""
    sha256, blob = hashlib.sha256(), _git_blob(size)
    named = blob(b"")
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            sha256.update(data)
            named = blob(data)
    return sha256.hexdigest(), named


def _json(document: object) -> Reply:
    return Reply(body=json.dumps(document).encode())


def _error(status: int, code: str = "", message: str = "", more: Mapping[str, str] | None = None) -> Reply:
    headers = {"x-error-code": code} if code else {}
    headers |= {"x-error-message": message} if message else {}
    return Reply(status, json.dumps({"error": message}).encode(), headers=headers | dict(more or {}))
