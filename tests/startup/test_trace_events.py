"""What traced processes write is read back, whatever became of them; and never holds a command's arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alwrity_checks.startup import trace_child
from alwrity_checks.startup.trace_child.alwrity_startup_tracer import program
from alwrity_checks.startup.trace_events import TracedProcess, read_traces
from tests.support.startup_servers import environment

CHILD = Path(trace_child.__file__).parent
HELLO = "('hello', 1.0, 7, 1, 100, (3, 11, 7), 'cpython', '/usr/lib/python3.11', '/srv', False)"


def written(directory: Path, *lines: str) -> TracedProcess:
    """Return what is read from a file of these lines."""
    (directory / "7-1.trace").write_text("\n".join(lines))
    (process,) = read_traces(directory)
    return process


def carried_out(directory: Path, body: str, *options: str) -> tuple[TracedProcess, ...]:
    """Run Python code under the tracer and return what it and its children recorded."""
    variables = environment(PYTHONPATH=str(CHILD), ALWRITY_STARTUP_TRACE=str(directory))
    subprocess.run([sys.executable, *options, "-c", body], env=variables, check=True, timeout=60)  # noqa: S603 - our own
    return read_traces(directory)


def test_a_run_that_went_on_is_one_run(tmp_path: Path) -> None:
    """The tracer repeats a run for as long as it lasts; the longest one counts, with the system call once seen."""
    stack = ("('code', 1, '/srv/app.py', 'f')", "('stack', 1, ((1, 12),), '')")
    runs = ("('run', 100, 1, 2.0, 2.1, -1)", "('run', 100, 1, 2.0, 2.4, 230)", "('run', 100, 1, 2.0, 2.2, -1)")
    (run,) = written(tmp_path, HELLO, *stack, *runs).runs[100]
    assert (run.first, run.last, run.call) == (2.0, 2.4, 230)
    assert str(run.stack.frames[0]) == "/srv/app.py:12 in f"


def test_threads_that_had_one_number_after_the_other(tmp_path: Path) -> None:
    """The first name is kept beside the last: what the first did is not told of whoever got its number."""
    names = [f"('thread', 5, '{name}')" for name in ("loader", "loader", "Thread-1 (serve)", "Thread-2 (serve)")]
    assert written(tmp_path, HELLO, names[0], names[1]).name_of(5) == "loader"
    assert written(tmp_path, HELLO, *names).name_of(5) == "loader, later Thread-2 (serve)"


@pytest.mark.parametrize(
    "line",
    ["('run', 100, 1, 2.", "", "nonsense", "()", "('run', 'x', 1, 2.0, 2.1, -1)", "__import__('os')", "\x00\xff"],
)
def test_a_line_that_is_none(tmp_path: Path, line: str) -> None:
    """A line that was cut off by a kill, or that somebody else wrote, is left out and the rest is read."""
    process = written(tmp_path, HELLO, line, "('thread', 100, 'MainThread')")
    assert process.name_of(100) == "MainThread"
    assert process.runs == {}


def test_a_file_without_its_first_line(tmp_path: Path) -> None:
    """Nothing can be said of a process that has not said who it is."""
    (tmp_path / "7-1.trace").write_text("('thread', 100, 'MainThread')\n")
    assert read_traces(tmp_path) == ()


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("/srv/app.py", True),
        ("/usr/lib/python3.11/socket.py", False),
        ("/srv/.venv/lib/python3.11/site-packages/torch/__init__.py", False),
        (r"C:\srv\venv\Lib\site-packages\torch\__init__.py", False),
        ("/srv/.venv/bin/uvicorn", False),
        ("<frozen runpy>", False),
    ],
)
def test_whose_code_it_is(tmp_path: Path, file: str, own: bool) -> None:  # noqa: FBT001 - the expectation
    """Only code that is neither installed nor Python's own is the user's."""
    lines = (f"('code', 1, {file!r}, 'f')", "('stack', 1, ((1, 1),), '')", "('run', 100, 1, 2.0, 2.1, -1)")
    (run,) = written(tmp_path, HELLO, *lines).runs[100]
    assert run.stack.frames[0].own is own


@pytest.mark.parametrize(
    ("executable", "arguments", "told"),
    [
        (None, ["/usr/bin/python3", "-m", "pip", "install", "--token=x"], "pip install"),
        ("/usr/bin/python3", ["python3", "-m", "spacy", "download", "en_core_web_sm"], "spacy download"),
        ("/opt/tool", ["tool", "--password", "x"], "tool"),
        (None, "curl -H secret https://host", "curl"),
        (None, "TOKEN=geheim tool --x", "tool"),
        (None, b"git clone https://user:geheim@host", "git clone"),
        (None, "git status", "git"),
        (Path("/bin/ls"), (), "ls"),
        (None, None, ""),
        (None, [1, 2], ""),
    ],
)
def test_of_a_program_only_its_name(executable: object, arguments: object, told: str) -> None:
    """A program is named, with a verb where it is a known one; no other argument gets out."""
    assert program(executable, arguments) == told


def test_the_tracer_in_a_process(tmp_path: Path) -> None:
    """Samples, events, a thread's name and a forked child are recorded, and no argument of a child is."""
    body = """
import os, subprocess, threading, time
thread = threading.Thread(target=time.sleep, args=(0.3,), name="napper")
thread.start()
subprocess.run(["true", "--password", "geheim1234"])
os.system("PASSWORD=geheim1234 true")
if os.fork() == 0:
    time.sleep(0.6)
    os._exit(0)
os.wait()
thread.join()
"""
    first, child = carried_out(tmp_path, body)
    assert not first.forked
    assert child.forked
    assert child.parent == first.pid
    assert "napper" in first.threads.values()
    assert {one.kind: one.detail for one in first.events} == {"popen": "true", "system": "true"}
    assert any(run.last - run.first > 0.1 for run in child.runs[child.main])
    assert not any("geheim" in path.read_text() for path in tmp_path.iterdir())


def test_the_users_process_is_left_alone(tmp_path: Path) -> None:
    """No thread that `threading` counts, no open file, no module of ours but the two, and errors as ever."""
    body = """
import os, sys, threading
assert threading.active_count() == 1
before = set(os.listdir("/proc/self/fd"))
assert len(before) == 4, before
for module in ("json", "logging", "socket", "subprocess", "pathlib", "typing", "collections.abc_"):
    assert module not in sys.modules, module
assert "alwrity_checks" not in sys.modules
try:
    os.stat("/not/there")
except FileNotFoundError:
    print("as ever")
"""
    assert len(carried_out(tmp_path, body)) == 1


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """A process that outlives the trace runs on without a word."""
    gone = tmp_path / "gone"
    body = "import time; time.sleep(0.3); print('done')"
    variables = environment(PYTHONPATH=str(CHILD), ALWRITY_STARTUP_TRACE=str(gone))
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", body], env=variables, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_the_file_has_a_limit(tmp_path: Path) -> None:
    """A process with very much to tell stops writing, says so, and runs on."""
    body = """
import sys
tracer = sys.modules["alwrity_startup_tracer"]
tracer.LIMIT = 6000
import time
for number in range(120):
    exec(compile(f"def f{number}(): time.sleep(0.006)", f"/srv/{number}.py", "exec"))
    eval(f"f{number}()")
"""
    (process,) = carried_out(tmp_path, body)
    assert process.full is not None
    assert sum(os.stat(path).st_size for path in tmp_path.iterdir()) < 9000  # noqa: PTH116 - one line
