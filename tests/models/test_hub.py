"""A hub asked for listings and ranges: what each answer means, and that every limit holds."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alwrity_checks.loopback_http import Delivery, HttpServer, Reply, Request
from alwrity_checks.models import reach
from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.hub import Hub
from alwrity_checks.models.hub_answers import HubFault
from alwrity_checks.models.loopback_hub import Fault, LoopbackHub
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.transfer import Stopped
from alwrity_checks.redaction import Secret
from tests.support.hub_models import MODEL, repository, until
from tests.support.rawserver import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TOKEN = "hf_" + "SeededToken0123456789abcdefghijklm"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that nobody changes."""
    return repository(tmp_path_factory.mktemp("hub") / "source", size=20_000)


@contextmanager
def answering(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """Serve what `answer` makes of each request, and yield the origin."""

    def handle(request: Request) -> AbstractAsyncContextManager[Reply]:
        @asynccontextmanager
        async def one() -> AsyncIterator[Reply]:
            yield answer(request)

        return one()

    server = HttpServer(handle)
    server.start()
    try:
        yield server.origin
    finally:
        server.stop()


def listing(document: object) -> Reply:
    """Return a reply with a JSON document."""
    return Reply(body=json.dumps(document).encode())


def error_of(hub: Hub, model: str = MODEL) -> ModelUnavailable:
    """Return the error of asking for a listing."""
    with hub, pytest.raises(ModelUnavailable) as caught:
        hub.listing(model)
    assert caught.value.remedy
    return caught.value


def test_a_listing_has_sizes_and_checksums(source: Path) -> None:
    """Each file comes with its size and etag, large ones with their SHA-256; mirrors without them are asked by HEAD."""
    found = []
    for fault in (None, Fault.NO_SIZES):
        with LoopbackHub({MODEL: source}, fault=fault) as served, Hub(served.endpoint) as hub:
            found.append(hub.listing(MODEL))
    assert sorted(found[0].files, key=lambda file: file.name) == sorted(found[1].files, key=lambda file: file.name)
    weights = found[0].file("model.safetensors")
    assert weights is not None
    assert weights.size == (source / "model.safetensors").stat().st_size
    assert weights.sha256 == weights.etag
    assert len(found[0].revision) == 40
    assert found[0].file("nothing") is None


def test_bytes_are_counted(source: Path) -> None:
    """`bytes_read` is the sum of all bodies: of a range no more than was asked for."""
    with LoopbackHub({MODEL: source}) as served, Hub(served.endpoint) as hub:
        hub.listing(MODEL)
        before = hub.bytes_read
        assert before > 0
        assert len(hub.read(MODEL, "main", "model.safetensors", 8, 108)) == 100
        assert hub.bytes_read - before == 100


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 21_000), length=st.integers(0, 21_000), ranges=st.booleans())
def test_every_range_is_the_files_own(
    served: tuple[LoopbackHub, Hub, bytes], start: int, length: int, *, ranges: bool
) -> None:
    """Any range is what slicing the file gives, with a server that knows ranges and with one that does not."""
    server, hub, content = served
    server.fault = None if ranges else Fault.NO_RANGES
    if ranges and start >= len(content) and length:
        with pytest.raises(HubFault):
            hub.read(MODEL, "main", "model.safetensors", start, start + length)
    else:
        assert hub.read(MODEL, "main", "model.safetensors", start, start + length) == content[start : start + length]


@pytest.fixture(scope="module")
def served(source: Path) -> Iterator[tuple[LoopbackHub, Hub, bytes]]:
    """Yield a server, a hub that asks it, and the weights' content."""
    with LoopbackHub({MODEL: source}) as server, Hub(server.endpoint) as hub:
        yield server, hub, (source / "model.safetensors").read_bytes()


def test_a_whole_file_within_the_limit(served: tuple[LoopbackHub, Hub, bytes]) -> None:
    """Without an end the rest of the file comes; one that is larger than the limit is refused, a bad range too."""
    server, hub, content = served
    server.fault = None
    assert hub.read(MODEL, "main", "model.safetensors", 100) == content[100:]
    with pytest.raises(HubFault, match="more came"):
        hub.read(MODEL, "main", "model.safetensors", limit=1000)
    for start, end in ((-1, 5), (5, 4), (0, 2000)):
        with pytest.raises(ValueError, match="no range"):
            hub.read(MODEL, "main", "model.safetensors", start, end, limit=1000)


def test_what_is_not_there(served: tuple[LoopbackHub, Hub, bytes]) -> None:
    """An unknown model, revision and file are three reasons; what can be no name is not even asked for."""
    server, hub, _ = served
    server.fault = None
    asked: list[tuple[Callable[[], object], Reason]] = [
        (lambda: hub.listing("Owner/other"), Reason.MODEL_UNKNOWN),
        (lambda: hub.listing(MODEL, "v2/x"), Reason.REVISION_UNKNOWN),
        (lambda: hub.read(MODEL, "main", "nothing.json"), Reason.FILE_MISSING),
    ]
    for ask, reason in asked:
        with pytest.raises(ModelUnavailable) as caught:
            ask()
        assert caught.value.reason is reason
    before = len(server.requests)
    for name in ("../etc/passwd", "a/b/c", "", "a b", "a--b/c", "https://x/y", "Owner/tiny?x=1", "a" * 200):
        with pytest.raises(ModelUnavailable) as caught:
            hub.listing(name)
        assert caught.value.reason is Reason.MODEL_NAME_INVALID
    assert len(server.requests) == before


@pytest.mark.parametrize(
    ("fault", "token", "reason", "word"),
    [
        (Fault.GATED, None, Reason.MODEL_GATED, "HF_TOKEN"),
        (Fault.GATED, TOKEN, Reason.MODEL_GATED, "account"),
        (Fault.UNKNOWN, None, Reason.MODEL_UNKNOWN, "private"),
        (Fault.UNAUTHORISED, TOKEN, Reason.HUB_UNAUTHORISED, "unset HF_TOKEN"),
        (Fault.RATE_LIMITED, None, Reason.HUB_RATE_LIMITED, "wait"),
        (Fault.ERROR, None, Reason.HUB_ERROR, "later"),
        (Fault.NO_JSON, None, Reason.HUB_ERROR, "HF_ENDPOINT"),
        (Fault.SILENT, None, Reason.HUB_UNREACHABLE, "HF_HUB_OFFLINE"),
    ],
)
def test_each_refusal_has_its_reason_and_remedy(
    source: Path, fault: Fault, token: str | None, reason: Reason, word: str
) -> None:
    """What the hub answers is told apart, and the remedy is for this cause and for whether there is a token."""
    with LoopbackHub({MODEL: source}, fault=fault, retry_after=90) as served:
        error = error_of(Hub(served.endpoint, Secret(token) if token else None, timeout=1.0))
    assert error.reason is reason
    assert word in error.remedy
    assert "SeededToken" not in f"{error}{error.remedy}"


def test_retry_after_is_obeyed_within_the_deadline(source: Path) -> None:
    """A wait that fits is waited for and the answer comes; one that does not is told at once, with its seconds."""
    with LoopbackHub({MODEL: source}, fault=Fault.RATE_LIMITED, times=1, retry_after=0.2) as served:
        with Hub(served.endpoint) as hub:
            assert hub.listing(MODEL).files
        assert len(served.requests) == 2
        served.times, served.retry_after = None, 3600
        before = len(served.requests)
        error = error_of(Hub(served.endpoint))
        assert len(served.requests) == before + 1
    assert isinstance(error, HubFault)
    assert error.retry_after == 3600
    assert error.transient


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"siblings": []},
        {"sha": "main", "siblings": []},
        {"sha": "a" * 40, "siblings": [{"rfilename": "../../.bashrc", "size": 1, "blobId": "b"}]},
        {"sha": "a" * 40, "siblings": [{"rfilename": "C:\\x", "size": 1, "blobId": "b"}]},
        {"sha": "a" * 40, "siblings": [{"rfilename": "/etc/passwd", "size": 1, "blobId": "b"}]},
        {"sha": "a" * 40, "siblings": [7]},
        {"sha": "a" * 40, "siblings": [{"rfilename": f"{number}"} for number in range(300)]},
    ],
)
def test_a_listing_that_is_none_is_refused(document: object) -> None:
    """A listing without a commit, or with a path that leads out of the cache, is a hub's error and is not used."""
    with answering(lambda _: listing(document)) as origin:
        assert error_of(Hub(origin)).reason is Reason.HUB_ERROR


def test_an_etag_cannot_lead_out_of_the_cache() -> None:
    """A blob's name with a path in it is not taken for one: the file's head is asked, and it says no better."""
    sibling = {"rfilename": "config.json", "size": 1, "blobId": "../../x"}
    answer: dict[str, Any] = {"sha": "a" * 40, "siblings": [sibling]}
    with answering(
        lambda request: Reply(headers={"etag": '"../x"'}) if request.method == "HEAD" else listing(answer)
    ) as origin:
        assert error_of(Hub(origin)).reason is Reason.HUB_ERROR


def test_a_listing_of_another_origin_is_not_followed() -> None:
    """A hub that sends the question for a listing elsewhere (a login page) is an error, and nothing is asked there."""
    elsewhere: list[Request] = []

    def strange(request: Request) -> Reply:
        elsewhere.append(request)
        return listing({})

    with answering(strange) as other, answering(lambda _: Reply(302, headers={"location": f"{other}/login"})) as origin:
        assert error_of(Hub(origin, Secret(TOKEN))).reason is Reason.HUB_ERROR
    assert not elsewhere


def test_a_renamed_model_is_followed() -> None:
    """A redirect to the model's new name on the same host is followed, with the token; in circles it ends."""
    seen: list[str | None] = []

    def answer(request: Request) -> Reply:
        seen.append(request.headers.get("authorization"))
        if "old" in request.path:
            return Reply(307, headers={"location": "/api/models/Owner/new?blobs=true"})
        if "round" in request.path:
            return Reply(307, headers={"location": request.path})
        return listing({"sha": "a" * 40, "siblings": []})

    with answering(answer) as origin:
        with Hub(origin, Secret(TOKEN)) as hub:
            assert hub.listing("Owner/old").revision == "a" * 40
        assert seen == [f"Bearer {TOKEN}"] * 2
        assert "circles" in error_of(Hub(origin), "Owner/round").diagnosis


def test_a_compressed_or_endless_answer_is_refused() -> None:
    """What was not asked for in that form is not read: it could be of any size."""
    with answering(lambda _: Reply(body=b"x", headers={"content-encoding": "gzip"})) as origin:
        assert error_of(Hub(origin)).reason is Reason.DOWNLOAD_BROKEN
    with answering(lambda _: Reply(body=b" " * (17 << 20))) as origin:
        assert error_of(Hub(origin)).reason is Reason.DOWNLOAD_BROKEN


def test_a_head_that_drips_does_not_hold_the_caller() -> None:
    """A server that sends its answer's head a field at a time, without end, ends with the whole call's deadline."""
    with RawServer(b"HTTP/1.1 200 OK\r\n", drip=b"x-a: b\r\n") as server:
        assert error_of(Hub(server.url.removesuffix("/jwks.json"), timeout=0.5)).reason is Reason.HUB_UNREACHABLE


def test_nobody_there_is_known_at_once() -> None:
    """A refused connection and a name that does not exist are HUB_UNREACHABLE without a ladder of retries."""
    with LoopbackHub({}) as served:
        origin = served.endpoint
    for endpoint in (origin, "http://hub.invalid"):
        hub = Hub(endpoint)
        assert not hub.reachable()
        assert error_of(hub).reason is Reason.HUB_UNREACHABLE


def test_a_look_up_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that never answers costs the time of the look and no more: the look-up is on its own thread."""
    released = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: released.wait(30) and [])
    started = time.monotonic()
    assert not Hub("https://huggingface.co").reachable(0.1)
    assert time.monotonic() - started < 10
    released.set()


def test_the_way_through_a_proxy_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy stands before the hub, it is the proxy that must be there; before this machine none stands."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "mirror.example")
    assert reach.first_hop("https://huggingface.co") == ("proxy.example", 3128)
    assert reach.first_hop("https://mirror.example") == ("mirror.example", 443)
    assert reach.first_hop("https://127.0.0.1:8000") == ("127.0.0.1", 8000)


def test_settings_are_those_of_the_real_client(tmp_path: Path) -> None:
    """Endpoint, token, the token that a login has left, and both offline switches are read as huggingface_hub does."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    logged_in = {"HF_HOME": str(tmp_path)}
    assert Hub.from_environment({"HF_HOME": "/nowhere"}).endpoint == "https://huggingface.co"
    assert (
        Hub.from_environment({"HF_ENDPOINT": "https://hf.example/ ", "HF_HOME": "/nowhere"}).endpoint
        == "https://hf.example"
    )
    assert Hub.from_environment(logged_in)._requests.sends_token
    assert not Hub.from_environment(logged_in | {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})._requests.sends_token
    assert Hub.from_environment({"HF_TOKEN": TOKEN})._requests.sends_token
    assert Hub.from_environment({"TRANSFORMERS_OFFLINE": "true"}).offline
    assert not Hub.from_environment({"HF_HUB_OFFLINE": "0"}).offline
    for endpoint in ("huggingface.co", "ftp://x", "https://", "https://user@x", "https://x:99999"):
        with pytest.raises(ModelUnavailable) as caught:
            Hub.from_environment({"HF_ENDPOINT": endpoint})
        assert caught.value.reason is Reason.SETTING_INVALID
    with pytest.raises(ModelUnavailable) as caught:
        Hub(token=Secret("hf_two words"))
    assert caught.value.reason is Reason.SETTING_INVALID


def test_a_token_does_not_travel_in_the_clear() -> None:
    """Over plain HTTP a token goes to this machine and to no other."""
    assert not Hub("http://mirror.example", Secret(TOKEN))._requests.sends_token
    assert Hub("https://mirror.example", Secret(TOKEN))._requests.sends_token
    assert Hub("http://127.0.0.1:1", Secret(TOKEN))._requests.sends_token


def test_a_stream_can_be_stopped_and_closed(source: Path) -> None:
    """Setting the event ends a silent stream at once; closing the hub ends one in another thread."""
    with LoopbackHub({MODEL: source}, fault=Fault.STALLED, after=5000) as served:
        stop = threading.Event()
        hub = Hub(served.endpoint, timeout=600)
        ended: list[BaseException] = []

        def read(stop: threading.Event | None) -> None:
            try:
                with hub.stream(MODEL, "main", "model.safetensors", stop=stop) as part:
                    list(part.chunks)
            except (Stopped, HubFault) as error:
                ended.append(error)

        for end in (stop.set, hub.close):
            thread = threading.Thread(target=read, args=(stop if end == stop.set else None,))
            sent = served.bytes_sent
            thread.start()
            until(lambda before=sent: served.bytes_sent - before >= 5000, "it stands still")  # type: ignore[misc]
            end()
            thread.join(30)
            assert not thread.is_alive()
    assert [type(error) for error in ended] == [Stopped, HubFault]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(source: Path) -> None:
    """A child that was forked from a process with an open connection asks over a new one; both get their answers."""
    with LoopbackHub({MODEL: source}) as served, Hub(served.endpoint) as hub:
        expected = hub.listing(MODEL).revision
        child = os.fork()
        if not child:
            os._exit(0 if hub.listing(MODEL).revision == expected else 1)
        assert hub.listing(MODEL).revision == expected
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_reset_before_an_answer_is_tried_again() -> None:
    """A connection that breaks off is opened anew, once the listing can be had."""
    replies = iter([Reply(delivery=Delivery.RESET), Reply(delivery=Delivery.CUT, body=b"12"), None])
    whole = listing({"sha": "a" * 40, "siblings": []})
    with answering(lambda _: next(replies) or whole) as origin, Hub(origin) as hub:
        assert hub.listing(MODEL).revision == "a" * 40
