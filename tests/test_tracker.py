"""The catalogue `tracker.md`, its reader, its checks and the commands that read it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.catalogue import rules
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli import command_line
from alwrity_doctor.cli.tracker_commands import complaint
from alwrity_doctor.tracker import SECTIONS, SHORT_FIELDS, Problem, Tracker, check, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
REAL: Final = ROOT / "tracker.md"


@pytest.fixture(scope="module")
def real() -> Tracker:
    """Return the tracker of this repository."""
    return load(REAL)


def test_the_real_tracker_holds_the_six_issues(real: Tracker) -> None:
    """The catalogue has the issues 1 to 6, each with a title, and issue 4 is no defect."""
    assert [issue.number for issue in real.issues] == [1, 2, 3, 4, 5, 6]
    assert all(issue.title for issue in real.issues)
    assert [issue.number for issue in real.issues if issue.value("Status") == "no-defect"] == [4]


def test_every_issue_has_every_field_in_the_one_order(real: Tracker) -> None:
    """The fields of every issue are the known ones, in the known order."""
    for issue in real.issues:
        assert [field.name for field in issue.fields] == [*SHORT_FIELDS, *SECTIONS]


@pytest.mark.parametrize(
    ("number", "literal"),
    [
        (1, "Unverified token rejected (production)."),
        (1, "AUTHENTICATION ERROR: Token verification failed for endpoint:"),
        (2, "HF structured model not found: %s. Trying fallback model."),
        (2, "Hugging Face API call failed: Not Found"),
        (2, "HF structured model not found (no response_format path): %s"),
        (2, "Hugging Face structured JSON generation failed: NotFoundError: Not Found"),
        (2, "[llm_text_gen] Provider huggingface failed: RetryError["),
        (3, "Cannot index content - service not initialized for user"),
        (4, r"StatReload detected changes in 'api\today_workflow.py'. Reloading..."),
    ],
)
def test_the_recorded_log_lines_are_signatures(real: Tracker, number: int, literal: str) -> None:
    """Every log line that the maintainers recorded is a signature of its issue, marked as theirs."""
    signatures = [entry.parts for entry in real.issue(number).field("Signatures").entries]
    assert [one["mark"] for one in signatures if one["literal"].startswith(literal)] == ["catalogue"]


def test_positions_lead_back_to_the_text(real: Tracker) -> None:
    """Every heading, field and entry is found again at the lines it reports, so that text can be put behind it."""
    for issue in real.issues:
        assert real.lines[issue.line - 1] == f"## Issue {issue.number}: {issue.title}"
        for field in issue.fields:
            assert field.name in real.lines[field.line - 1]
            for entry in field.entries:
                block = real.lines[entry.line - 1 : entry.last_line]
                assert " ".join(line.strip() for line in block).split(" ", 1)[1] == entry.text


def test_nothing_between_headings_is_lost(real: Tracker) -> None:
    """The fields of an issue hold every line between its heading and the next one."""
    for issue in real.issues:
        held = {issue.line}
        for field in issue.fields:
            held |= set(range(field.line, field.line + field.section + len(field.lines)))
        lines = range(issue.line, issue.last_line + 1)
        assert [number for number in lines if number not in held and real.lines[number - 1].strip()] == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("CRLF line ends", lambda data: data.replace(b"\n", b"\r\n")),
        ("a byte-order mark", lambda data: b"\xef\xbb\xbf" + data),
        ("no line end at the end", bytes.rstrip),
    ],
)
def test_how_a_file_was_saved_does_not_matter(real: Tracker, tmp_path: Path, name: str, change: object) -> None:
    """An editor's line ends and byte-order mark change neither an issue nor a position."""
    assert callable(change), name
    copy = tmp_path / "tracker.md"
    copy.write_bytes(change(REAL.read_bytes()))
    assert [(i.number, i.title, i.line, [f.text for f in i.fields]) for i in load(copy).issues] == [
        (i.number, i.title, i.line, [f.text for f in i.fields]) for i in real.issues
    ]


def _unreadable(folder: Path) -> dict[str, Path]:
    contents = {
        "empty": b"",
        "binary": b"## Issue 1: x\n\x00\x01\x02",
        "latin-1": "## Issue 1: x\ncaf\xe9\n".encode("latin-1"),
        "lone carriage return": b"## Issue 1: x\rmore\n",
        "no issue": b"# Notes\n\nnothing\n",
        "too large": b"a" * ((1 << 20) + 1),
        "a token": b"## Issue 1: x\n\nsk_live_" + b"abcdefgh12345678\n",
        "a private key": b"## Issue 1: x\n\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
    }
    paths = {name: folder / f"{name}.md" for name in contents}
    for name, data in contents.items():
        paths[name].write_bytes(data)
    return {**paths, "missing": folder / "nowhere.md", "directory": folder}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "holds no issue"),
        ("binary", ":2 holds a control character"),
        ("latin-1", ":2 is not UTF-8"),
        ("lone carriage return", ":1 holds a control character"),
        ("no issue", "holds no issue"),
        ("too large", "larger than 1 MiB"),
        ("a token", ":3 holds something shaped like a credential"),
        ("a private key", ":3 holds something shaped like a credential"),
        ("missing", "cannot be read"),
        ("directory", "cannot be read"),
    ],
)
def test_what_is_no_tracker_is_refused_with_a_remedy(tmp_path: Path, name: str, said: str) -> None:
    """A file that cannot be a tracker is a ConfigurationError that names file, line and remedy, and holds no secret."""
    path = _unreadable(tmp_path)[name]
    with pytest.raises(ConfigurationError) as raised:
        load(path)
    assert said in raised.value.diagnosis
    assert str(path) in raised.value.diagnosis
    assert raised.value.remedy
    assert "abcdefgh12345678" not in str(raised.value)


def _line(text: str, needle: str) -> int:
    """Return the line of the only occurrence of `needle`."""
    assert text.count(needle) == 1, needle
    return text.count("\n", 0, text.index(needle)) + 1


def _problems(folder: Path, text: str) -> list[Problem]:
    """Check `text` against the rules and the command line of this program."""
    path = folder / "tracker.md"
    path.write_text(text, encoding="utf-8")
    program = command_line()
    return check(load(path), rules(), lambda line: complaint(program, line))


def _replaced(old: str, new: str) -> Callable[[str], str]:
    """Return the change of the first `old`, which must be there, into `new`."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return change


def _without_issue(number: int) -> Callable[[str], str]:
    def change(text: str) -> str:
        return re.sub(rf"^## Issue {number}: .*?(?=^## Issue|\Z)", "", text, flags=re.DOTALL | re.MULTILINE)

    return change


def _in_issue(number: int, old: str, new: str) -> Callable[[str], str]:
    """Return the change of the first `old` of issue `number` into `new`."""

    def change(text: str) -> str:
        head, heading, rest = text.partition(f"## Issue {number}: ")
        assert old in rest, old
        return head + heading + rest.replace(old, new, 1)

    return change


def _opened(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    """Return `change` in an issue whose status is open."""
    return lambda text: change(_in_issue(number, "`cured-here`", "`open`")(text))


_RULES: Final = "**Rules**: `STA001`, `STA002`, `STA003`, `STA004`, `STA005`, `STA006`"
_VALIDATION: Final = (
    "**Validation**: `alwrity-doctor startup race`: each rule's fault is reproduced on the legacy bootstrap and absent "
    "from a\n  server that has its models from the registry"
)
"""Two fields of issue 6."""

MUTATIONS: Final[Sequence[tuple[str, Callable[[str], str], str, str]]] = [
    # what is done, the change, a text on the line that is to be named, what is said
    ("heading without number", _replaced("## Issue 2: ", "## Issue two: "), "## Issue two", "heading reads"),
    ("issue twice", _replaced("## Issue 3: ", "## Issue 2: "), "## Issue 2: txtai", "issue 2 is there already"),
    ("unknown issue", _replaced("## Issue 6: ", "## Issue 0: "), "## Issue 0: ", "no such issue"),
    ("status", _in_issue(2, "`cured-here`", "`closed`"), "`closed`", "Status: 'closed' is none of open,"),
    ("severity", _in_issue(2, "`high`", "`huge`"), "`huge`", "Severity: 'huge' is none of high,"),
    (
        "confidence",
        _in_issue(5, "Confidence**: `high`", "Confidence**: sure"),
        "Confidence**: sure",
        "Confidence: 'sure' is none of",
    ),
    ("unknown short field", _in_issue(2, "**Subsystem**", "**Owner**"), "**Owner**", "no short field called Owner"),
    ("unknown section", _in_issue(2, "### Files", "### Notes"), "### Notes", "no section called Notes"),
    ("missing field", _in_issue(2, "- **Subsystem**: LLM provider\n", ""), "## Issue 2", "issue 2 has no Subsystem"),
    ("empty field", _in_issue(2, "**: LLM provider", "**:"), "- **Subsystem**:\n", "Subsystem is empty"),
    ("field twice", _in_issue(4, "### Fix", "### Files\n\nx\n\n### Fix"), "### Files\n\nx", "Files is there already"),
    (
        "wrong order",
        _in_issue(
            4, "- **Severity**: `low`\n- **Subsystem**: development reload", "- **Subsystem**: d\n- **Severity**: `low`"
        ),
        "- **Severity**: `low`",
        "Severity belongs before Subsystem",
    ),
    ("text between fields", _in_issue(4, "- **Rules**", "stray\n- **Rules**"), "stray", "text outside a field"),
    (
        "text in a list",
        _in_issue(4, "### Evidence\n", "### Evidence\n\nstray\n"),
        "stray",
        "outside an entry of Evidence",
    ),
    (
        "no entry",
        _in_issue(4, "None. The line names", "The line names"),
        "### Questions\n\nThe line",
        "Questions has no entry",
    ),
    ("signature", _in_issue(4, "'. Reloading...` (source):", "`"), "WatchFiles", "entry of Signatures reads"),
    ("origin", _in_issue(4, "(catalogue): a file", "(rumour): a file"), "(rumour)", "Signatures: 'rumour' is none of"),
    ("hypothesis", _in_issue(4, "`confirmed`: this", "`true`: this"), "`true`", "Hypotheses: 'true' is none of"),
    (
        "evidence",
        _in_issue(4, "- `catalogue`: the line", "- `guess`: the line"),
        "`guess`",
        "Evidence: 'guess' is none of",
    ),
    (
        "shown by nothing",
        _in_issue(4, "- `catalogue`: the line", "- `shown`: the line"),
        "`shown`: the",
        "names the command",
    ),
    ("question", _in_issue(2, "   - **Answer**: At", "   - At"), "1. Which model id", "entry of Questions reads"),
    (
        "no date",
        _in_issue(4, "- 2026-11-22: carried", "- carried"),
        "- carried over as no defect",
        "entry of Session log reads",
    ),
    ("no such date", _in_issue(4, "- 2026-11-22: c", "- 2026-11-31: c"), "- 2026-11-31", "2026-11-31 is not a date"),
    (
        "order of dates",
        _in_issue(4, "- 2026-11-22: c", "- 2025-11-22: c"),
        "- 2025-11-22",
        "2025-11-22 stands below 2026-03-10",
    ),
    ("empty log", lambda text: text[: text.rindex("- 2026-03-10")], "### Session log\n\n<end>", "Session log is empty"),
    (
        "none yet, though no defect",
        _in_issue(4, "**Validation**: `not needed`", "**Validation**: `none yet`"),
        "**Validation**: `none yet`: there is",
        "Validation: 'none yet' is for an issue whose status is open",
    ),
    (
        "rules not needed, though open",
        _in_issue(6, _RULES, "**Rules**: `not needed`"),
        "**Rules**: `not needed`: those",
        "Rules: 'not needed' is for an issue whose status is no-defect",
    ),
    (
        "no reason",
        _opened(6, _in_issue(6, _VALIDATION, "**Validation**: `none yet`")),
        "**Validation**: `none yet`\n",
        "Validation: 'none yet' needs its reason",
    ),
    (
        "validation in prose",
        _in_issue(6, _VALIDATION, "**Validation**: by hand"),
        "by hand",
        "Validation is a command of alwrity-doctor in a code span, or one of none yet, not needed",
    ),
    (
        "answer without a command",
        _in_issue(6, "**Command**: `alwrity-doctor startup race`", "**Command**: ask"),
        "1. Should the download",
        "Command is a command of alwrity-doctor",
    ),
    ("rules in prose", _in_issue(6, _RULES, "**Rules**: some"), "some:", "Rules names codes"),
    ("no such rule", _in_issue(6, _RULES, "**Rules**: `HF999`"), "`HF999`", "there is no rule HF999"),
    (
        "rule of another issue",
        _in_issue(6, _RULES, "**Rules**: `AUTH001`"),
        "`AUTH001`: those",
        "belongs to issue 1",
    ),
    (
        "no such rule in the text",
        _in_issue(4, "Somebody", "`AUTH999` Somebody"),
        "`AUTH999`",
        "there is no rule AUTH999",
    ),
    (
        "no such command",
        _in_issue(4, "Somebody", "`alwrity-doctor nope`"),
        "doctor nope",
        "alwrity-doctor has no command nope",
    ),
    (
        "no such subcommand",
        _in_issue(4, "Somebody", "`alwrity-doctor auth nope`"),
        "auth nope",
        "auth has no command nope",
    ),
    (
        "no such option",
        _in_issue(4, "Somebody", "`alwrity-doctor auth env --nope`"),
        "--nope",
        "auth env has no option --nope",
    ),
    ("a group", _in_issue(4, "Somebody", "`alwrity-doctor auth` S"), "`alwrity-doctor auth` S", "auth is a group"),
    (
        "no argument",
        _in_issue(4, "Somebody", "`alwrity-doctor tracker show`"),
        "`alwrity-doctor tracker show`",
        "tracker show needs N",
    ),
    ("open code span", _in_issue(4, "Somebody", "`Somebody"), "`Somebody", "a backtick without its partner"),
    ("fenced block", _in_issue(4, "Somebody", "```text"), "```text", "a backtick without its partner"),
]


@pytest.mark.parametrize(("change", "place", "said"), [pytest.param(*m[1:], id=m[0]) for m in MUTATIONS])
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, change: Callable[[str], str], place: str, said: str
) -> None:
    """Each thing that can be wrong, brought into the real file, is reported at its line."""
    text = change(REAL.read_text(encoding="utf-8"))
    problems = _problems(tmp_path, text)
    expected = _line(text + "<end>", place)
    assert [problem.line for problem in problems if said in problem.message] == [expected], problems


@settings(max_examples=60, database=None)
@given(data=st.data())
def test_no_edit_makes_the_reader_fail(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever lines are dropped, doubled or cut, the answer is problems inside the file or a ConfigurationError."""
    lines = REAL.read_text(encoding="utf-8").split("\n")
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(("drop", "double", "cut", "swap")))
        if kind == "cut":
            lines[place] = lines[place][: len(lines[place]) // 2]
        elif kind == "swap":
            lines[place], lines[-1] = lines[-1], lines[place]
        else:
            lines[place : place + 1] = [lines[place]] * (2 * (kind == "double"))
    problems: Sequence[Problem] = ()
    with contextlib.suppress(ConfigurationError):
        problems = _problems(tmp_path_factory.mktemp("edited"), "\n".join(lines))
    assert all(1 <= problem.line <= len(lines) for problem in problems)


@pytest.mark.parametrize("number", range(1, 7))
def test_a_missing_issue_is_noticed(tmp_path: Path, number: int) -> None:
    """Whichever issue is taken out, the first or the last, it is missed."""
    text = _without_issue(number)(REAL.read_text(encoding="utf-8"))
    assert [problem.message for problem in _problems(tmp_path, text)] == [f"issue {number} is missing"]


def test_the_real_tracker_keeps_its_own_rules(tmp_path: Path) -> None:
    """Every rule code, command and option that the tracker names exists in this program."""
    assert _problems(tmp_path, REAL.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("alwrity-doctor --version", ""),
        ("alwrity-doctor tracker check -h", ""),
        ("alwrity-doctor tracker show --help", ""),
        ("alwrity-doctor tracker show 1 --format=json", ""),
        ("alwrity-doctor tracker show 1 --format json --file FILE", ""),
        ("alwrity-doctor tracker show -- 1", ""),
        ("alwrity-doctor tracker show -- --file 1", "alwrity-doctor tracker show takes 1 arguments, not 2"),
        ("alwrity-doctor startup trace -- COMMAND --reload", ""),
        ("alwrity-doctor tracker show 1 2", "alwrity-doctor tracker show takes 1 arguments, not 2"),
        ("alwrity-doctor tracker show 1 --file", "--file needs a value"),
        ("alwrity-doctor tracker list --colour", "alwrity-doctor tracker list has no option --colour"),
        ("alwrity-doctor tracker list 'x", "not a command line: No closing quotation"),
        ("alwrity-doctor", "alwrity-doctor is a group: name one of its commands"),
    ],
)
def test_a_command_line_is_looked_up_in_the_real_program(line: str, said: str) -> None:
    """Commands, options, their values and the number of arguments are those of the program itself."""
    assert complaint(command_line(), line) == said


def _run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the real program in a process of its own."""
    return subprocess.run(  # noqa: S603 - this interpreter, with words from this file
        [sys.executable, "-m", "alwrity_doctor", "tracker", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "checks")))},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_list_is_one_line_per_issue(real: Tracker) -> None:
    """`tracker list` says of each issue its number, status, severity, subsystem, title and validation."""
    result = _run("list")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()[1:]
    assert len(lines) == len(real.issues)
    for line, issue in zip(lines, real.issues, strict=True):
        words = [str(issue.number), *(issue.value(n) for n in ("Status", "Severity", "Subsystem")), issue.title]
        assert line.split("  ")[0] == words[0]
        assert all(word in line for word in (*words, issue.value("Validation")))


def test_list_in_markdown_is_a_table() -> None:
    """`tracker list --format markdown` is a table with a row for each issue."""
    lines = _run("list", "--format", "markdown").stdout.splitlines()
    assert len(lines) == 8
    assert {line.count(" | ") for line in lines} == {5}


def test_list_in_json_names_its_schema() -> None:
    """`tracker list --format json` is one document that names its schema and holds the six issues."""
    document = json.loads(_run("list", "--format", "json").stdout)
    assert document["schema"] == "alwrity-doctor/tracker/1"
    assert [issue["number"] for issue in document["issues"]] == [1, 2, 3, 4, 5, 6]


def test_show_holds_the_questions_and_their_commands() -> None:
    """`tracker show 1` gives the four questions, and the commands that answer them, ready to be copied."""
    output = _run("show", "1").stdout
    for command in ("auth env", "auth verify", "auth har"):
        assert f"alwrity-doctor {command}" in output
    assert output.count("Answer:") == 4
    assert "`Unverified token rejected (production).` (catalogue)" in output


def test_show_in_markdown_is_the_text_of_the_file(real: Tracker) -> None:
    """`tracker show N --format markdown` is the issue's own lines, unchanged."""
    issue = real.issue(4)
    text = "\n".join(real.lines[issue.line - 1 : issue.last_line]).rstrip()
    assert _run("show", "4", "--format", "markdown").stdout.rstrip() == text


def test_show_in_json_tells_the_parts_apart() -> None:
    """`tracker show N --format json` gives signatures, verdicts, questions and dates as fields."""
    issue = json.loads(_run("show", "2", "--format", "json").stdout)["issue"]
    assert issue["status"] == "cured-here"
    assert issue["signatures"][0]["literal"].startswith("HF structured model not found")
    assert issue["hypotheses"][0]["mark"] == "refuted"
    assert issue["questions"][0]["command"] == "`alwrity-doctor hf probe --dry-run`"
    assert issue["session_log"][0]["date"] == "2026-03-10"


@pytest.mark.parametrize("number", ["0", "7", "-1"])
def test_an_unknown_issue_is_a_usage_error(number: str) -> None:
    """`tracker show` of an issue that does not exist ends with 2; stdout stays empty."""
    result = _run("show", number)
    assert (result.returncode, result.stdout) == (2, "")
    assert number == "-1" or "1, 2, 3, 4, 5, 6" in result.stderr


def test_check_of_the_real_tracker_is_clean() -> None:
    """`tracker check` finds nothing wrong with this repository's tracker, and ends with 0."""
    result = _run("check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "tracker.md: 6 issues, no problem\n", "")


def test_check_names_file_and_line(tmp_path: Path) -> None:
    """`tracker check` writes one line for each problem, `FILE:LINE: message`, and ends with 1."""
    text = REAL.read_text(encoding="utf-8").replace("`no-defect`\n", "`harmless`\n", 1)
    copy = tmp_path / "copy.md"
    copy.write_text(text, encoding="utf-8")
    result = _run("check", "--file", str(copy))
    assert result.returncode == 1
    where = f"{copy}:{_line(text, '`harmless`')}: "
    assert (
        f"{where}Status: 'harmless' is none of open, cured-here, fixed, regressed, no-defect"
        in result.stdout.splitlines()
    )
    document = json.loads(_run("check", "--file", str(copy), "--format", "json").stdout)
    assert [f"{copy}:{problem['line']}: {problem['message']}" for problem in document["problems"]] == (
        result.stdout.splitlines()
    )


@pytest.mark.parametrize("command", ["list", "show", "check"])
def test_an_unreadable_tracker_is_a_configuration_error(tmp_path: Path, command: str) -> None:
    """Each command ends with 2 for a file that is no tracker, says so on stderr, and shows no traceback."""
    words = [command, *(["1"] if command == "show" else []), "--file", str(tmp_path)]
    result = _run(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert "cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_tracker_is_looked_for_up_to_the_repository(tmp_path: Path) -> None:
    """Below a repository's root its tracker.md is found; above the root nothing is looked at, and --file is named."""
    repository = tmp_path / "repository"
    below = repository / "backend" / "api"
    below.mkdir(parents=True)
    (repository / ".git").mkdir()
    (tmp_path / "tracker.md").write_bytes(REAL.read_bytes())
    outside = _run("list", cwd=below)
    assert (outside.returncode, outside.stdout) == (2, "")
    assert "--file" in outside.stderr
    (repository / "tracker.md").write_bytes(REAL.read_bytes())
    assert _run("check", cwd=below).stdout == f"{Path('..', '..', 'tracker.md')}: 6 issues, no problem\n"
