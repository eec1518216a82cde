"""What a driver can do in the sandbox, and what the checkout's code cannot: seen from within."""

from __future__ import annotations

import ast
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from alwrity_checks.backend.interpreters import Interpreter, ask
from alwrity_checks.redaction import Secret
from alwrity_checks.sandbox.environment import environment
from tests.support.sandboxed import heard, sandbox_with

SUBSTANCE = Path(__file__).parents[2] / "checks" / "alwrity_checks"

NETWORK = """
import asyncio, os, socket, threading, urllib.request
from alwrity_checks.auth.loopback import LoopbackServer
from alwrity_checks.sandbox.speech import say

def tried(act):
    try:
        return repr(act())
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}"

def drive(inside, act, *words):
    inside.open_checkout()
    server, nobody = LoopbackServer({{"keys": []}}), socket.socket()
    with inside.loopback():
        server.__enter__()
        nobody.bind(("127.0.0.1", 0))
        elsewhere = tried(lambda: socket.create_server(("0.0.0.0", 0)))
    def in_a_thread():
        other.append(tried(lambda: socket.create_server(("127.0.0.1", 0))))
    other = []
    thread = threading.Thread(target=in_a_thread)
    with inside.loopback():
        thread.start()
        thread.join()
    by_name = server.url.replace("127.0.0.1", "localhost")
    say(
        isolated=inside.isolated,
        ours=tried(lambda: urllib.request.urlopen(server.url).read()),
        by_name=tried(lambda: urllib.request.urlopen(by_name).read()),
        nobody=tried(lambda: socket.create_connection(nobody.getsockname()).close()),
        machines=tried(lambda: socket.create_connection(("127.0.0.1", {port})).close()),
        far=tried(lambda: socket.create_connection(("192.0.2.1", 443)).close()),
        same_port_far=tried(lambda: socket.create_connection(("192.0.2.1", nobody.getsockname()[1])).close()),
        resolving=tried(lambda: socket.getaddrinfo("huggingface.co", 443)),
        serving=tried(lambda: socket.create_server(("127.0.0.1", 0))),
        other=other[0],
        elsewhere=elsewhere,
        datagram=tried(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))),
        loop=tried(lambda: asyncio.run(asyncio.sleep(0, "runs"))),
        refused=[kind for kind, _ in inside.guard.refusals()],
    )
"""


@pytest.mark.parametrize("variables", [{}, {"ALWRITY_DOCTOR_ISOLATED": "1"}], ids=["namespace", "guard alone"])
def test_only_the_experiments_servers_are_reached(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was bound for the experiment answers; nothing else of this machine or beyond, nor may the code serve.

    So too where the system grants no namespace: there the guard has nothing behind it.
    """
    with socket.create_server(("127.0.0.1", 0)) as machines:
        source = NETWORK.format(port=machines.getsockname()[1])
        told, ended = heard(sandbox_with(tmp_path, monkeypatch, source), variables=variables)
        machines.setblocking(False)
        with pytest.raises(BlockingIOError):
            machines.accept()
    assert ended == {"ended": "with 0"}
    assert "keys" in told["ours"]
    assert "keys" in told["by_name"]
    assert told["nobody"].startswith("ConnectionRefusedError")
    assert told["loop"] == "'runs'"
    names = ("machines", "far", "same_port_far", "resolving", "datagram")
    assert {name: told[name] for name in names if "the sandbox of alwrity-doctor refuses" not in told[name]} == {}
    for name in ("serving", "other", "elsewhere"):
        assert told[name].startswith("OSError"), name
    assert set(told["refused"]) == {"network"}


ROUNDABOUT = """
import os, sqlite3, subprocess, sys
from pathlib import Path
from alwrity_checks.sandbox.speech import say

def tried(act):
    try:
        return repr(act())
    except OSError as error:
        return f"{{type(error).__name__}}: {{error}}"

def drive(inside, act, *words):
    there = Path({place!r})
    ours = list(inside.command)
    say(
        linked=tried(lambda: (there / "settings").read_text()),
        by_os=tried(lambda: os.open(there / "settings", os.O_RDONLY)),
        database=tried(lambda: sqlite3.connect(there / "a.db")),
        address=tried(lambda: sqlite3.connect(f"file:{{there}}/b.db?mode=rwc", uri=True)),
        address_of_host=tried(lambda: sqlite3.connect(f"file://localhost{{there}}/c.db", uri=True)),
        made=tried(lambda: (there / "made").mkdir()),
        disguised=tried(lambda: subprocess.run(ours, executable="/bin/sh")),
    )
    say(own=repr(sqlite3.connect("file:own.db?mode=rwc", uri=True)))
"""


@pytest.mark.skipif(os.name != "posix", reason="makes a symbolic link")
def test_roundabout_ways_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `.env` by another name, a database by its address, a program that is called ours."""
    place = tmp_path / "place"
    place.mkdir()
    (place / ".env").write_text("A=1\n", encoding="utf-8")
    (place / "settings").symlink_to(place / ".env")
    told, own, ended = heard(sandbox_with(tmp_path, monkeypatch, ROUNDABOUT.format(place=str(place))))
    assert {name: said for name, said in told.items() if not said.startswith("Refused: ")} == {}
    assert (own["own"][:8], ended) == ("<sqlite3", {"ended": "with 0"})
    assert sorted(one.name for one in place.iterdir()) == [".env", "settings"]


def test_what_runs_at_each_start_runs_in_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an environment's site-packages run when its interpreter starts can do no harm, and is not heard.

    So too where the interpreter is only asked for what it has.
    """
    outside = tmp_path / "outside"
    source = "from alwrity_checks.sandbox.speech import say\n\ndef drive(*_):\n    say(a=1)\n"
    sandbox = sandbox_with(tmp_path, monkeypatch, source)
    (tmp_path / "drivers" / "sitecustomize.py").write_text(
        f"print('{{\"not\": \"ours\"}}')\nopen({str(outside)!r}, 'w')\n", encoding="utf-8"
    )
    assert heard(sandbox) == [{"a": 1}, {"ended": "with 0"}]
    assert isinstance(ask(Path(sys.executable), ("json",)), Interpreter)
    assert not outside.exists()


STUBS = """
import sys
from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.sandbox.speech import say

def drive(inside, act, *words):
    inside.open_checkout()
    inside.package("services")
    inside.stand_in("services.heavy", answer=lambda: 42)
    import services.light
    from services.heavy import answer
    first = services.light.CALLS
    first.append(answer())
    inside.forget_checkout()
    gone = [name for name in sys.modules if name.startswith("services")]
    inside.package("services")
    import services.light as again
    say(
        calls=again.CALLS,
        first=first,
        gone=gone,
        facts=[[one.label, one.value] for one in inside.facts("pytest", "no-such-distribution")],
        handed=list(inside.handed),
    )
    import os
    from loguru import logger
    logger.warning("it is {} of {}", "late", os.environ.get("MY_SETTING"))
    logger.warning("{} has begun", os.environ.get("ENVIRONMENT"))
    logger.info("nothing to tell")
    try:
        open(__file__, "a")
    except OSError:
        pass
    say(seen=inside.witnessed(Outcome.REPRODUCED, "it broke", (Evidence("a", "b"),)))
    say(again=inside.witnessed(Outcome.REPRODUCED, "it broke", ()))
"""


def told_by_stubs(tmp_path: Path, patch: pytest.MonkeyPatch, **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - Sandbox's
    """Carry out the driver above on a checkout whose package does not like to be imported."""
    sandbox = sandbox_with(tmp_path, patch, STUBS, **options)
    services = sandbox.backend / "services"
    services.mkdir()
    (services / "__init__.py").write_text("raise ImportError('this needs everything')\n", encoding="utf-8")
    (services / "light.py").write_text("CALLS = []\n", encoding="utf-8")
    return heard(sandbox)


def test_what_is_stood_in_for_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without its `__init__`, a module of ours, a fresh import, and the report's list of all of it."""
    told, *_ = told_by_stubs(tmp_path, monkeypatch)
    assert (told["calls"], told["first"], told["gone"]) == ([], [42], [])
    facts = dict(told["facts"])
    assert "pytest" in facts["driven on"]
    assert "no no-such-distribution" in facts["driven on"]
    assert "services (package, its __init__ left out); services.heavy (answer)" in facts["stubs"]
    assert "settings from .env files" not in facts


def test_refused_write_is_not_blamed_on_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may come of the sandbox proves nothing; once told, it is over."""
    _, seen, again, _ = told_by_stubs(tmp_path, monkeypatch)
    assert seen["seen"]["outcome"] == "unknown"
    assert "the sandbox had refused a write" in seen["seen"]["message"]
    assert ["log", "WARNING it is late of None"] in seen["seen"]["evidence"]
    assert "nothing to tell" not in json.dumps(seen)
    assert again["again"] == {"outcome": "reproduced", "message": "it broke", "evidence": []}


def test_settings_are_handed_in_where_the_user_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are set in the process, their names are in the report, and no value of theirs is, not even in a log line."""
    handed = {
        "MY_SETTING": Secret("opens-every-door"),
        "PYTHONPATH": Secret("/somewhere"),
        "ENVIRONMENT": Secret("development", scrubbed=False),
    }
    told = told_by_stubs(tmp_path, monkeypatch, handed=handed)
    assert told[0]["handed"] == ["ENVIRONMENT", "MY_SETTING", "PYTHONPATH"]
    assert any("it is late of" in str(line) for line in told)
    assert "opens-every-door" not in json.dumps(told)
    assert ["log", "WARNING development has begun"] in told[1]["seen"]["evidence"]


def test_env_file_has_no_say_in_the_sandbox_itself(tmp_path: Path) -> None:
    """Neither the interpreter's start, nor a proxy, nor the home it gets can be set from there; the rest is."""
    handed = {
        name: Secret("/from/the/env/file")
        for name in ("PYTHONSTARTUP", "LD_PRELOAD", "https_proxy", "HOME", "HF_HUB_OFFLINE", "PATH", "DISABLE_AUTH")
    }
    made = environment(tmp_path, Path("python"), {"PATH": "/usr/bin"}, handed=handed)
    assert [name for name, value in made.items() if value == "/from/the/env/file"] == ["DISABLE_AUTH"]


@pytest.mark.parametrize("path", sorted((SUBSTANCE / "sandbox").glob("*.py")), ids=lambda path: path.name)
def test_sandbox_knows_no_room(path: Path) -> None:
    """It lies beside the rooms: they depend on it, and it on none of them."""
    beside = {f"alwrity_checks.{name}" for name in ("model", "errors", "redaction", "sandbox", "settings", "telemetry")}
    names = {
        str(node.module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("alwrity_checks")
    }
    assert {name for name in names if ".".join(name.split(".")[:2]) not in beside} == set()
