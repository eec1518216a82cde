"""Real servers in real processes: what kept them waiting is found, and what did not is not."""

from __future__ import annotations

import inspect
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import Location, LocationKind, Verdict
from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.startup.legacy import BOOTSTRAP_MODEL, bootstrap_local_llm_models
from alwrity_checks.startup.trace_answer import Question
from alwrity_checks.startup.trace_phases import Phase
from tests.support.startup_servers import SlowHost, findings, line_of, program, python, results, traced

if TYPE_CHECKING:
    from alwrity_checks.model import Finding

FETCH = """
import os, urllib.request
def fetch():
    urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/weights").read()
"""


def place(finding: Finding) -> tuple[str, int | None]:
    """Return the file's name and line of a finding."""
    location = finding.location
    assert isinstance(location, Location)
    assert location.kind is LocationKind.FILE
    return location.name.rpartition("/")[2], location.line


def told(finding: Finding, label: str) -> str:
    """Return a finding's evidence."""
    return next(one.value for one in finding.evidence if one.label == label)


def test_a_healthy_server_is_healthy(tmp_path: Path) -> None:
    """A server that only starts passes every check, and is seen to listen and to answer."""
    analysis = traced(python(program(tmp_path, "serve()")))
    assert findings(analysis) == {}
    assert {one.verdict for one in results(analysis).values()} == {Verdict.PASS}
    assert analysis.listened is not None
    assert analysis.answered is not None
    assert 0 < analysis.listened <= analysis.answered
    assert analysis.recorded.answered is not None
    assert analysis.recorded.answered.status == 200
    assert Phase.UNSEEN not in analysis.totals


def test_a_download_before_the_first_listen(tmp_path: Path) -> None:
    """The line that downloads is named with the way to it, the bytes that came, and how long it took."""
    path = program(tmp_path, f"{FETCH}fetch()\nserve()\n")
    with SlowHost() as host:
        analysis = traced(python(path), variables={"HF_ENDPOINT": host.endpoint})
    (finding,) = findings(analysis).values()
    assert finding.rule.code == "STA010"
    assert place(finding) == ("server.py", line_of(path, "urlopen(os"))
    assert "in <module>" in told(finding, "stack")
    assert "in fetch" in told(finding, "stack")
    assert told(finding, "received meanwhile") in {"at least 0.9 MB", "at least 1.0 MB"}
    assert results(analysis)["startup.no-blocking-download"].verdict is Verdict.FAIL
    assert 0.5 < analysis.totals[Phase.DOWNLOAD] < analysis.seconds


def test_the_same_from_a_host_that_is_no_hub(tmp_path: Path) -> None:
    """Only the hub's address makes it a model download; any other host is a warning."""
    path = program(tmp_path, f"{FETCH}fetch()\nserve()\n".replace("HF_ENDPOINT", "ELSEWHERE"))
    with SlowHost() as host:
        found = findings(traced(python(path), variables={"ELSEWHERE": host.endpoint}))
    assert {one.rule.code for one in found.values()} == {"STA012"}


def test_a_download_beside_a_server_that_listens(tmp_path: Path) -> None:
    """A background thread that downloads is no finding: the server does not wait for it."""
    body = f"{FETCH}import threading\nthreading.Thread(target=fetch, daemon=True).start()\nserve()\n"
    with SlowHost(seconds=5.0) as host:
        analysis = traced(python(program(tmp_path, body)), variables={"HF_ENDPOINT": host.endpoint})
    assert findings(analysis) == {}
    assert results(analysis)["startup.no-blocking-download"].verdict is Verdict.PASS
    (lanes,) = analysis.lanes
    assert any(one.phase is Phase.DOWNLOAD for lane in lanes.intervals.values() for one in lane)


def test_a_wait_beside_a_download_that_goes_on(tmp_path: Path) -> None:
    """A start that waits for something else, while a thread downloads and goes on with it, waits not for that."""
    body = f"""{FETCH}
import threading
threading.Thread(target=fetch, daemon=True).start()
threading.Event().wait(1.0)
serve()
"""
    with SlowHost(seconds=5.0) as host:
        analysis = traced(python(program(tmp_path, body)), variables={"HF_ENDPOINT": host.endpoint})
    assert findings(analysis) == {}
    assert analysis.totals[Phase.WAIT] > 0.5


def test_a_wait_for_a_thread_that_downloads(tmp_path: Path) -> None:
    """Moving the download to a thread and waiting for the thread is the same fault; the thread's line is named."""
    body = f"{FETCH}import threading\nt = threading.Thread(target=fetch, name='loader')\nt.start()\nt.join()\nserve()\n"
    path = program(tmp_path, body)
    with SlowHost() as host:
        (finding,) = findings(traced(python(path), variables={"HF_ENDPOINT": host.endpoint})).values()
    assert finding.rule.code == "STA010"
    assert "waited for the thread loader" in finding.message
    assert place(finding) == ("server.py", line_of(path, "urlopen(os"))


def test_a_lifespan_that_awaits_a_download(tmp_path: Path) -> None:
    """FastAPI's lifespan, a download in asyncio.to_thread: uvicorn does not listen before it is done."""
    (tmp_path / "app.py").write_text(f"""{FETCH}
import asyncio, contextlib, fastapi

@contextlib.asynccontextmanager
async def lifespan(app):
    await asyncio.to_thread(fetch)
    yield

app = fastapi.FastAPI(lifespan=lifespan)
""")
    command: list[str | Path] = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", "--app-dir", tmp_path]
    with SlowHost() as host:
        analysis = traced(command, variables={"HF_ENDPOINT": host.endpoint})
    found = findings(analysis)
    assert found["start-waits-for-download"].rule.code == "STA010"
    assert place(found["start-waits-for-download"])[0] == "app.py"
    assert analysis.recorded.answered is not None
    assert analysis.recorded.answered.status == 404
    assert dict(analysis.subjects(Phase.IMPORTS)).keys() & {"fastapi", "pydantic", "starlette"}


def test_a_lifespan_that_downloads_on_the_event_loop(tmp_path: Path) -> None:
    """An asynchronous client leaves no blocked frame; the bytes on the loop's own connection betray it."""
    (tmp_path / "app.py").write_text("""
import asyncio, contextlib, os, urllib.parse
import fastapi

@contextlib.asynccontextmanager
async def lifespan(app):
    host = urllib.parse.urlsplit(os.environ["HF_ENDPOINT"])
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    await reader.read()
    writer.close()
    yield

app = fastapi.FastAPI(lifespan=lifespan)
""")
    command: list[str | Path] = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", "--app-dir", tmp_path]
    with SlowHost() as host:
        found = findings(traced(command, variables={"HF_ENDPOINT": host.endpoint}))
    assert found["start-waits-for-download"].rule.code == "STA010"


def test_workers_that_download_behind_an_open_port(tmp_path: Path) -> None:
    """A master that listens and forks answers nothing while its worker downloads: the same fault, told so."""
    body = f"""{FETCH}
import os, socket, signal
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if os.fork() == 0:
    fetch()
    server.serve_forever()
os.wait()
"""
    with SlowHost() as host:
        analysis = traced(python(program(tmp_path, body)), variables={"HF_ENDPOINT": host.endpoint})
    (finding,) = findings(analysis).values()
    assert finding.rule.code == "STA010"
    assert "kept the server from answering" in finding.message
    assert analysis.listened is not None
    assert analysis.answered is not None
    assert analysis.answered - analysis.listened > 0.5
    assert [one.process.forked for one in analysis.lanes] == [False, True]


def test_a_reloader_and_its_child(tmp_path: Path) -> None:
    """The reloader of uvicorn binds and its child listens: the way leads through both, each is looked into."""
    (tmp_path / "app.py").write_text("import time, fastapi\ntime.sleep(1.2)\napp = fastapi.FastAPI()\n")
    command: list[str | Path] = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", "--app-dir", tmp_path]
    analysis = traced([*command, "--reload", "--reload-dir", tmp_path])
    found = findings(analysis)
    assert place(found["start-sleeps"]) == ("app.py", 2)
    assert len({one.pid for one in analysis.path}) == 2
    assert results(analysis)["startup.no-blocking-download"].verdict is Verdict.PASS


def test_sleeps(tmp_path: Path) -> None:
    """A sleep is found whatever it is called: the system call says so."""
    path = program(tmp_path, "import time\nnap = time.sleep\nfor _ in range(12):\n    nap(0.1)\nserve()\n")
    (finding,) = findings(traced(python(path))).values()
    assert finding.rule.code == "STA017"
    assert place(finding) == ("server.py", line_of(path, "nap(0.1)"))


def test_a_short_sleep_is_no_finding(tmp_path: Path) -> None:
    """What stays below the threshold is a figure in the table and nothing else."""
    analysis = traced(python(program(tmp_path, "import time\ntime.sleep(0.2)\nserve()\n")))
    assert findings(analysis) == {}
    assert 0.1 < analysis.totals[Phase.SLEEP] < 0.35


@pytest.mark.parametrize("way", ["subprocess.run", "os.system"])
def test_installing_at_the_start(tmp_path: Path, way: str) -> None:
    """`pip install` in the start is an error, run by a library's call or by a C function; its arguments stay unsaid."""
    fake = tmp_path / "pip"
    fake.write_text("#!/bin/sh\nsleep 0.7\n")
    fake.chmod(0o700)
    words = [str(fake), "install", "--index-url=https://u:geheim1234@host/", "x"]
    call = f"subprocess.run({words!r})" if way == "subprocess.run" else f"os.system({' '.join(words)!r})"
    path = program(tmp_path, f"import os, subprocess\n{call}\nserve()\n")
    (finding,) = findings(traced(python(path))).values()
    assert finding.rule.code == "STA014"
    assert "(pip install)" in finding.message
    assert place(finding) == ("server.py", line_of(path, call[:12]))
    assert "geheim1234" not in repr(finding)


def test_another_child_process(tmp_path: Path) -> None:
    """Waiting for any other program is a warning that names it."""
    found = findings(
        traced(python(program(tmp_path, "import subprocess\nsubprocess.run(['sleep', '0.6'])\nserve()\n")))
    )
    assert found["start-waits-for-child"].rule.code == "STA015"
    assert "(sleep)" in found["start-waits-for-child"].message


def test_a_command_that_dies(tmp_path: Path) -> None:
    """Its exit code and its last lines are shown, the secrets of its arguments and environment are not."""
    body = """
import os, sys
print("token is", sys.argv[2], "and", os.environ["SERVICE_PASSWORD"], "hf_" + "a" * 20)
sys.exit("no database")
"""
    variables = {"SERVICE_PASSWORD": "geheim-passwort"}
    analysis = traced(python(program(tmp_path, body), "--api-key", "s3cret-argument"), variables=variables)
    result = results(analysis)["startup.listens"]
    (finding,) = result.findings
    assert finding.rule.code == "STA019"
    assert "ended with exit code 1" in finding.message
    said = told(finding, "its last lines")
    assert "no database" in said
    for secret in ("s3cret-argument", "geheim-passwort", "hf_aaaa"):
        assert secret not in repr(results(analysis)).replace("hf_…", "")
    assert results(analysis)["startup.answers"].verdict is Verdict.SKIP
    assert results(analysis)["startup.no-blocking-download"].verdict is Verdict.UNKNOWN


def test_a_command_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves no time for a last word: what was written before tells what it was at."""
    body = "import os, signal, time\ntime.sleep(1.2)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    analysis = traced(python(program(tmp_path, body)))
    assert analysis.recorded.exit_code == -signal.SIGKILL
    found = findings(analysis)
    assert "SIGKILL" in found["start-died"].message
    assert found["start-sleeps"].rule.code == "STA017"


def test_a_command_that_never_listens(tmp_path: Path) -> None:
    """Time is up: the verdict is unknown, and what it was at meanwhile is told all the same."""
    analysis = traced(python(program(tmp_path, "import time\ntime.sleep(60)\n")), timeout=1.0)
    shown = results(analysis, timeout=1.0)
    assert shown["startup.listens"].verdict is Verdict.UNKNOWN
    assert "within 1 s" in shown["startup.listens"].reason
    assert shown["startup.no-blocking-download"].verdict is Verdict.UNKNOWN
    assert findings(analysis).keys() == {"start-sleeps"}


def test_a_server_that_does_not_speak_http(tmp_path: Path) -> None:
    """It listens, and does not answer: unknown, because it may well speak something else."""
    body = "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\ntime.sleep(60)\n"
    shown = results(traced(python(program(tmp_path, body)), timeout=0.9))
    assert shown["startup.listens"].verdict is Verdict.PASS
    assert shown["startup.answers"].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("option", ["-S", "-I"])
def test_an_interpreter_that_lets_nobody_in(tmp_path: Path, option: str) -> None:
    """Without the tracer listening and answering are seen from outside; of the rest nothing is called healthy."""
    analysis = traced([sys.executable, option, program(tmp_path, "serve()")])
    shown = results(analysis)
    assert shown["startup.listens"].verdict is Verdict.PASS
    assert shown["startup.answers"].verdict is Verdict.PASS
    rest = {name: one.verdict for name, one in shown.items() if name not in {"startup.listens", "startup.answers"}}
    assert set(rest.values()) == {Verdict.UNKNOWN}
    assert analysis.lanes == ()


def test_make_and_a_shell(tmp_path: Path) -> None:
    """What a Makefile's line runs before the server, and the server behind it, are both on the way."""
    path = program(tmp_path, "serve()")
    (tmp_path / "Makefile").write_text(f"run:\n\t@sleep 0.6 && {sys.executable} {path}; true\n")
    analysis = traced(["make", "-C", tmp_path, "run"])
    found = findings(analysis)
    assert "(sleep)" in found["start-waits-for-child"].message
    assert results(analysis)["startup.no-blocking-download"].verdict is Verdict.PASS
    assert len(analysis.lanes) == 1


def test_a_sitecustomize_of_ones_own(tmp_path: Path) -> None:
    """The user's sitecustomize is carried out, with a sys.path that does not know of ours; so are children's."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "sitecustomize.py").write_text("import sys\nsys.mine = getattr(sys, 'mine', 0) + 1\n")
    body = """
import sys, sitecustomize
assert sys.mine == 1
assert "mine" in sitecustomize.__file__
assert not any("trace_child" in one for one in sys.path), sys.path
serve()
"""
    analysis = traced(python(program(tmp_path, body)), variables={"PYTHONPATH": str(mine)})
    assert analysis.recorded.answered is not None, analysis.recorded.output
    assert len(analysis.lanes) == 1


def test_a_sitecustomize_that_fails(tmp_path: Path) -> None:
    """An error of the user's sitecustomize is reported by Python as ever, and nothing else changes."""
    (tmp_path / "sitecustomize.py").write_text("import not_there_at_all\n")
    analysis = traced(python(program(tmp_path, "serve()")), variables={"PYTHONPATH": str(tmp_path)})
    assert analysis.recorded.answered is not None
    assert any("not_there_at_all" in line for line in analysis.recorded.output)


def test_a_daemon_that_will_not_go(tmp_path: Path) -> None:
    """A server that leaves its group and its parent, and ignores SIGTERM, is found, asked and ended."""
    body = """
import os, signal, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
serve()
"""
    analysis = traced(python(program(tmp_path, body)), grace=0.3)
    assert analysis.recorded.answered is not None
    assert not analysis.recorded.died


def test_a_model_that_is_loaded(tmp_path: Path) -> None:
    """Time in a model library's function is the loading of a model, unless the library itself is being imported."""
    package = tmp_path / "site-packages" / "transformers"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def from_pretrained(n):\n    while n: n -= 1\nfrom_pretrained(1)\n")
    path = program(tmp_path, "import transformers\ntransformers.from_pretrained(15_000_000)\nserve()\n")
    analysis = traced(python(path), variables={"PYTHONPATH": str(package.parent)})
    # On a busy machine its imports can have their fifth as well.
    (finding,) = (one for one in findings(analysis, 0.2).values() if one.rule.code == "STA016")
    assert place(finding) == ("server.py", line_of(path, "15_000_000"))


def test_a_server_named_by_its_address(tmp_path: Path) -> None:
    """Of several ports the named one counts; the first that is listened on may be a helper's."""
    body = """
import socket, sys, time
helper = socket.create_server(("127.0.0.1", 0))
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.serve_forever()
"""
    with SlowHost() as free:
        port = int(free.endpoint.rpartition(":")[2])
    command = python(program(tmp_path, body), str(port))
    analysis = traced(command, question=Question("127.0.0.1", port))
    assert analysis.recorded.listened is not None
    assert analysis.recorded.listened.address.port == port


def test_the_first_port_is_a_helpers(tmp_path: Path) -> None:
    """Of several ports the one that answers HTTP is the server's: it listens when that one is open."""
    body = "import socket, time\nhelper = socket.create_server(('127.0.0.1', 0))\ntime.sleep(0.3)\nserve()\n"
    analysis = traced(python(program(tmp_path, body)))
    assert analysis.listened is not None
    assert analysis.listened > 0.3


def test_the_historical_start(tmp_path: Path) -> None:
    """ALwrity's bootstrap with the real client: the download of a model that nobody uses, with the line and the way."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(1_500_000))
    with LoopbackHub({BOOTSTRAP_MODEL: model}, rate=2e6) as hub:
        variables = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        analysis = traced([sys.executable, "-m", "alwrity_checks.startup.serve", "legacy"], variables=variables)
    finding = findings(analysis)["start-waits-for-download"]
    assert finding.rule.code == "STA010"
    assert "a download (snapshot_download) kept the server from listening" in finding.message
    source = Path(inspect.getfile(bootstrap_local_llm_models))
    assert place(finding) == ("legacy.py", line_of(source, "snapshot_download(repo_id=BOOTSTRAP_MODEL"))
    assert "in bootstrap_local_llm_models" in told(finding, "stack")
    assert "huggingface_hub/" in told(finding, "stack")
    assert told(finding, "received meanwhile").endswith(" MB")


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    """Retries against a hub that refuses connections are told as what they are, with the line that asked."""
    with SlowHost() as gone:
        endpoint = gone.endpoint
    body = """
from huggingface_hub import hf_hub_download
hf_hub_download("Qwen/Qwen2.5-3B-Instruct", "config.json")
serve()
"""
    path = program(tmp_path, body)
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")}
    found = findings(traced(python(path), timeout=2.2, variables=variables))
    assert found["start-retries-hub"].rule.code == "STA011"
    assert place(found["start-retries-hub"]) == ("server.py", line_of(path, "hf_hub_download("))
