"""Whatever a child does, what it said before is heard, and how it ended is an answer in words."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Event, Outcome, Target, TargetKind
from alwrity_checks.redaction import Secret
from alwrity_checks.sandbox.conversation import Shown, meet, play
from alwrity_checks.sandbox.sandbox import Sandbox
from alwrity_checks.sandbox.target import CheckoutTarget, put_through
from tests.support.checks import Record, rule
from tests.support.processes import ended
from tests.support.sandboxed import heard, sandbox_with

SAYING = """
from alwrity_checks.sandbox.speech import say

def drive(inside, act, *words):
    say(first=1, words=words)
"""


def acting(then: str) -> str:
    """Return a driver that says something and then does this."""
    return f"import os, signal, sys, time\n{SAYING}    {then}\n"


@pytest.mark.parametrize(
    ("then", "ended"),
    [
        ("pass", "with 0"),
        ("os._exit(7)", "with 7"),
        ("sys.exit('seen enough')", "with 1: seen enough"),
        ("raise ValueError('no good')", "with 1: ValueError: no good"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "with -11 (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "with -9 (SIGKILL)"),
    ],
    ids=["returns", "exits at once", "exits", "raises", "segfault", "killed"],
)
def test_end_is_told(then: str, ended: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit code, a signal by its name, and the last line of stderr."""
    said = heard(sandbox_with(tmp_path, monkeypatch, acting(then)), "act", "word")
    assert said == [{"first": 1, "words": ["word"]}, {"ended": ended}]


def test_silence_has_an_end_and_so_has_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that hangs is killed with what it started, though that has its stderr open and would hang for ever."""
    source = acting(
        "import subprocess\n"
        "    grandchild = subprocess.Popen([*inside.command, 'hang'])\n"
        "    say(pid=grandchild.pid)\n"
        "    time.sleep(600)"
    ).replace("    say(first", "    if act == 'hang':\n        time.sleep(600)\n    say(first")
    said = heard(sandbox_with(tmp_path, monkeypatch, source), silence=2.0)
    assert said[-1] == {"ended": "after 2 s of silence"}
    assert ended(said[1]["pid"])


def test_half_a_line_and_foreign_lines_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interpreter prints at its start, JSON or not, does not disturb; nor does the code's own printing."""
    then = "print('{\"not\": \"ours\"}'); os.write(2, b'x' * 100_000); say(last=2)"
    sandbox = sandbox_with(tmp_path, monkeypatch, acting(then))
    (tmp_path / "drivers" / "sitecustomize.py").write_text("print('[1]\\n{half\\n[2]')\n", encoding="utf-8")
    assert heard(sandbox) == [{"first": 1, "words": []}, {"last": 2}, {"ended": "with 0"}]


def test_endless_line_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a line may hold is an answer, and the memory for it is bounded."""
    told = heard(sandbox_with(tmp_path, monkeypatch, acting("say(long='x' * (1 << 26))")))
    assert told[-1]["ended"].startswith("by us, after a line of more than")


@pytest.mark.skipif(os.name != "posix", reason="the interpreter is a shell script")
def test_endless_noise_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that prints for ever, and never a word of ours, is as one that is silent."""
    monkeypatch.setattr("alwrity_checks.sandbox.conversation._STARTING", 1.0)
    noisy = tmp_path / "python"
    noisy.write_text("#!/bin/sh\nexec yes '{\"half\": '\n", encoding="utf-8")
    noisy.chmod(0o755)
    assert heard(Sandbox(tmp_path, "json", noisy), silence=1.0) == [{"ended": "after 1 s of silence"}]


def test_what_is_no_drivers_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON of another kind is no verdict and no crash, and how the child ended is not the child's to say."""
    said = (
        *("number=0", "number=0, seen=3", "number=0, seen={'outcome': 'fine', 'message': '', 'evidence': []}"),
        *("number=0, seen={'outcome': 'absent', 'message': '', 'evidence': [1]}", "met=3", "ended='well'"),
    )
    source = acting("; ".join(f"say({one})" for one in said))

    async def played(sandbox: Sandbox) -> list[Shown]:
        return [one async for one in play(sandbox, [0], 60.0)]

    sandbox = sandbox_with(tmp_path, monkeypatch, source)
    (shown,) = asyncio.run(played(sandbox))
    assert (shown.outcome, shown.message) == (Outcome.UNKNOWN, "the process of the scenario ended with 0")
    assert "ended with 0 before it could say anything" in asyncio.run(meet(sandbox, 60.0)).hindrance


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_of_the_child_has_no_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's code may fork and come back twice: what the second one finds is not heard."""
    then = "pid = os.fork(); say(second=pid == 0); pid and os.waitpid(pid, 0)"
    told = heard(sandbox_with(tmp_path, monkeypatch, acting(then)))
    assert told == [{"first": 1, "words": []}, {"second": False}, {"ended": "with 0"}]


def test_interpreter_that_is_no_program_is_an_answer(tmp_path: Path) -> None:
    """Not an exception."""
    assert heard(Sandbox(tmp_path, "json", tmp_path / "no-python")) == [
        {"ended": "at its start: No such file or directory"}
    ]


def test_secret_in_last_words_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child dies with may name a secret that this process has wrapped."""
    secret = Secret("a phrase that opens doors")
    (ended,) = heard(sandbox_with(tmp_path, monkeypatch, f"raise OSError({secret.reveal()!r})\n"))
    assert "OSError" in ended["ended"]
    assert secret.reveal() not in str(ended)


PLAYING = """
import json, os, signal, time
from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.sandbox.speech import say

def drive(inside, act, *words):
    if act == "meet":
        say(begins="the module was imported")
        {meeting}
        say(met=[["driven on", "a test"]])
        return
    for number in json.loads(words[0]):
        say(begins=number)
        if number == 1:
            {second}
        say(number=number, seen=inside.witnessed(Outcome.ABSENT, f"played {{number}}", (Evidence("pid", "here"),)))
"""


@pytest.mark.parametrize(
    ("second", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "with -11 (SIGSEGV)"),
        ("os._exit(3)", "with 3"),
        ("time.sleep(600)", "after 3 s of silence"),
    ],
    ids=["segfault", "exit", "hang"],
)
def test_scenario_that_takes_its_process_along_is_open_and_the_others_go_on(
    second: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one under way is unknown, with how the process ended; what comes after is played in another process."""
    source = PLAYING.format(meeting="pass", second=second)
    target = CheckoutTarget(sandbox_with(tmp_path, monkeypatch, source), "a.module", silence=3.0)
    titles = [(rule(f"TEST00{number}"), f"scenario {number}") for number in range(3)]
    record = Record()
    seen = asyncio.run(put_through(target, titles, record, name="experiment 1: yours"))
    assert [(one.rule.code, one.outcome, one.message) for one in seen] == [
        ("TEST000", Outcome.ABSENT, "played 0"),
        ("TEST001", Outcome.UNKNOWN, f"the process of the scenario ended {how}"),
        ("TEST002", Outcome.ABSENT, "played 2"),
    ]
    assert all(("driven on", "a test") in {(one.label, one.value) for one in shown.evidence} for shown in seen)
    assert {one.target for one in seen} == {Target(TargetKind.BACKEND, "", str(target.sandbox.backend))}
    assert [kind for kind, _ in record.kinds()] == ["progress", "observed"] * 3


def test_driver_that_skips_a_scenario_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends without a word on what it was asked for leaves it open."""

    async def played() -> list[Shown]:
        return [one async for one in play(sandbox_with(tmp_path, monkeypatch, SAYING), [4], 60.0)]

    assert [(one.number, one.outcome) for one in asyncio.run(played())] == [(4, Outcome.UNKNOWN)]


@pytest.mark.parametrize(
    ("meeting", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the process ended with -11 (SIGSEGV) while the module was imported"),
        ("time.sleep(600)", "the process ended after 3 s of silence while the module was imported"),
        ("say(unmet='it is shy', remedy='be kind'); return", "the checkout's module cannot be driven: it is shy"),
    ],
    ids=["segfault", "hang", "unmet"],
)
def test_module_that_cannot_be_met_is_unknown(
    meeting: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hinders it is said with what was under way, and what to do about it."""
    source = PLAYING.format(meeting=meeting, second="pass")
    target = CheckoutTarget(sandbox_with(tmp_path, monkeypatch, source), "a.module", patience=3.0)
    with pytest.raises(CannotCheck) as caught:
        asyncio.run(put_through(target, [(rule(), "scenario")], _Deaf(), name="experiment 1: yours"))
    assert caught.value.diagnosis == said
    assert caught.value.remedy == "be kind" or "-c 'import a.module'" in caught.value.remedy


def test_driver_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    """A fault of our own is not blamed on the checkout."""
    meeting = asyncio.run(meet(Sandbox(tmp_path, "alwrity_checks.no_such_driver"), 60.0))
    assert "ModuleNotFoundError" in meeting.hindrance
    assert "before it could say anything" in meeting.hindrance


class _Deaf:
    def notify(self, event: Event) -> None:
        """Let it pass."""


def test_child_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, this program leaves no process of the checkout behind."""
    import json
    import subprocess
    import sys

    sandbox = sandbox_with(tmp_path, monkeypatch, acting("say(pid=os.getpid()); time.sleep(600)"))
    program = (
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        "from alwrity_checks.sandbox.conversation import lines\n"
        "from alwrity_checks.sandbox.sandbox import Sandbox\n"
        "async def main():\n"
        "    with Sandbox(Path(sys.argv[1]), sys.argv[2]).launched('act') as launch:\n"
        "        async for line in lines(launch, 60.0):\n"
        "            print(json.dumps(line), flush=True)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program, str(sandbox.backend), sandbox.driver]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}) as parent:  # noqa: S603 - ours
        assert parent.stdout is not None
        pid = next(told["pid"] for line in parent.stdout if "pid" in (told := json.loads(line)))
        parent.send_signal(signal.SIGKILL)
    assert ended(pid)
