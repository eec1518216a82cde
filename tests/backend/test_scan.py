"""A checkout, scanned: what it came to, and what could not be looked into."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend import reading
from alwrity_checks.backend import scan as scan_module
from alwrity_checks.backend import verdicts as verdicts_module
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.files import LARGEST, repository_root, snapshot
from alwrity_checks.backend.newer import Newer, Translated
from alwrity_checks.backend.rooms import rooms
from alwrity_checks.backend.verdicts import results
from alwrity_checks.backend.whole import Outcome, scan_checkout
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, Verdict
from tests.support.scanned_checkout import commit, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.source import SourceFile, Trace

CONFLICT = "def total(values):\n<<<<<<< HEAD\n    return 1\n=======\n    return 2\n>>>>>>> theirs\n"
NEWER = "def total(values):\n    return f'<pre>{\"\\n\".join(values)}</pre>'\n"


def places(outcome: Outcome) -> list[tuple[str, str]]:
    """Return rule and place of everything that was found."""
    return [(one.code, f"{one.path}:{one.line}") for one in outcome.found]


def verdicts(outcome: Outcome) -> dict[str, CheckResult]:
    """Return the results by their names."""
    return {one.name: one for one in results(outcome.scan, outcome.found)}


def test_a_clean_checkout_passes(tmp_path: Path) -> None:
    """Nothing is found, everything was read, and the root and `backend/` are the same checkout."""
    root = lay_out(tmp_path)
    for directory in (root, root / "backend"):
        outcome = scan_checkout(directory)
        assert places(outcome) == []
        told = verdicts(outcome)
        assert {one.verdict for one in told.values()} == {Verdict.PASS}
        assert told["scan.files"].reason == "7 files read, 6 of them run"


def test_a_directory_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match="no checkout"):
        scan_checkout(tmp_path)


def test_a_conflict_is_told_with_who_imports_it(tmp_path: Path) -> None:
    """The line of the first marker, the importer's line, and the way from the start."""
    outcome = scan_checkout(lay_out(tmp_path, {"backend/services/reports.py": CONFLICT}))
    assert places(outcome) == [("SRC001", "backend/services/reports.py:2")]
    evidence = dict(outcome.found[0].evidence)
    assert evidence["imported by"] == "backend/routers/reports.py:1"
    assert evidence["runs by way of"] == "app.py > routers/reports.py > services/reports.py"
    told = verdicts(outcome)
    assert told["scan.files"].verdict is Verdict.FAIL
    # Beside every count stands what it does not speak of.
    assert told["scan.auth"].reason == "nothing was found; 1 file does not compile"


def test_a_file_that_nothing_runs_is_a_note(tmp_path: Path) -> None:
    """It harms nobody until somebody imports it."""
    outcome = scan_checkout(lay_out(tmp_path, {"backend/temp.py": "    x = 1\n"}))
    assert places(outcome) == [("SRC004", "backend/temp.py:1")]
    assert verdicts(outcome)["scan.files"].verdict is Verdict.PASS


def test_newer_syntax_is_held_against_the_declared_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a declared Python that is too old it is a finding, with one that reads it, it is none; and it is read.

    The newer interpreter is played by this one, on a source that it can parse.
    """
    if sys.version_info < (3, 12):
        _play_a_newer_interpreter(monkeypatch)
    for declared, expected in (("3.11.9", ["SRC003"]), ("3.12.4", []), ("", [])):
        files = {"backend/services/reports.py": NEWER, "backend/runtime.txt": f"python-{declared}\n"}
        outcome = scan_checkout(lay_out(tmp_path, files))
        assert [code for code, _ in places(outcome)] == expected
        assert verdicts(outcome)["scan.files"].verdict is (Verdict.FAIL if expected else Verdict.PASS)
        if expected:
            assert "needs Python 3.12, and backend/runtime.txt:1 declares 3.11" in outcome.found[0].message


def _play_a_newer_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    import ast

    tree = ast.parse("def total(values):\n    return ''\n")
    monkeypatch.setattr(scan_module, "newest", lambda: Newer(Path("/usr/bin/python3.12"), (3, 12)))
    monkeypatch.setattr(scan_module, "translate", lambda _, asked: dict.fromkeys(asked, Translated(tree)))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads the file itself")
def test_what_no_interpreter_can_read_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither healthy nor faulty: the file is named, with what would read it."""
    monkeypatch.setattr(scan_module, "newest", lambda: None)
    told = verdicts(scan_checkout(lay_out(tmp_path, {"backend/services/reports.py": NEWER})))["scan.files"]
    assert told.verdict is Verdict.UNKNOWN
    assert [one.value for one in told.evidence if one.label == "not looked into"] == [
        "backend/services/reports.py:2: f-string expression part cannot include a backslash (Python 3.12 may read it)"
    ]
    assert "install a newer Python" in told.remedy


def test_a_dead_copy_is_a_note_and_the_live_file_the_fault(tmp_path: Path) -> None:
    """The same pattern in a file that runs, in a copy, and in a test: one fault, one note, nothing."""
    faulty = "URL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(values):\n    return URL, values\n"
    files = {
        "backend/services/reports.py": faulty,
        "backend/services/reports_clean.py": faulty,
        "backend/tests/test_reports.py": faulty,
    }
    outcome = scan_checkout(lay_out(tmp_path, files))
    assert places(outcome) == [
        ("SRC030", "backend/services/reports_clean.py:1"),
        ("HF001", "backend/services/reports.py:1"),
    ]
    assert "HF001" in outcome.found[0].message


def test_requirements_are_part_of_it(tmp_path: Path) -> None:
    """What cannot be installed, what is missing and what is off, each at its line."""
    files = {
        "backend/requirements.txt": "fastapi\nuvicorn\nreportlab-4.5.1\n",
        "backend/start_alwrity_backend.py": "import uvicorn\n\nuvicorn.run('app:app', reload_excludes=['x'])\n",
        "backend/services/reports.py": "import reportlab\n\ntry:\n    import txtai\nexcept ImportError:\n    pass\n",
    }
    outcome = scan_checkout(lay_out(tmp_path, files))
    assert places(outcome) == [
        ("SRC013", "backend/requirements.txt:2"),
        ("SRC010", "backend/requirements.txt:3"),
        ("SRC011", "backend/services/reports.py:1"),
        ("SRC012", "backend/services/reports.py:4"),
    ]
    told = verdicts(outcome)
    assert told["scan.requirements"].verdict is Verdict.FAIL
    assert told["scan.reload"].verdict is Verdict.PASS


def test_a_secret_in_a_source_is_in_no_finding(tmp_path: Path) -> None:
    """What stands in somebody's source is scrubbed before it is told."""
    key = "hf_" + "seededInASource0123456789"
    source = f"from loguru import logger\n\nlogger.info('token {key} of %s', 1)\n"
    outcome = scan_checkout(lay_out(tmp_path, {"backend/services/reports.py": source}))
    assert [code for code, _ in places(outcome)] == ["SRC020"]
    assert key not in repr(list(results(outcome.scan, outcome.found)))


def test_odd_files_end_no_scan(tmp_path: Path) -> None:
    """Links in circles, environments, generated and users' data, devices, and a file too large: read or told."""
    root = lay_out(tmp_path)
    backend = root / "backend"
    for name in ("workspace/u/a.py", "node_modules/a.py", ".venv/a.py", "my_env/lib/a.py", "build/a.py"):
        (backend / name).parent.mkdir(parents=True)
        (backend / name).write_text("<<<<<<< HEAD\n")
    (backend / "my_env/pyvenv.cfg").touch()
    (backend / "services/workspace").mkdir()
    (backend / "services/workspace/__init__.py").write_bytes(b"")
    (backend / "services/loop").symlink_to(backend)
    (backend / "services/itself.py").symlink_to("itself.py")
    (backend / "services/outside.py").symlink_to(sys.executable)
    (backend / "services/linked.py").symlink_to("reports.py")
    os.mkfifo(backend / "services/pipe.py")
    (backend / "services/generated.py").write_bytes(b"#" * (LARGEST + 1))
    taken = snapshot(find_checkout(root))
    extra = sorted(set(taken.sources) - set(snapshot(find_checkout(lay_out(tmp_path / "other"))).sources))
    assert extra == ["services/linked.py", "services/workspace/__init__.py"]
    assert [one.path for one in taken.left_out] == [
        "services/generated.py",
        "services/itself.py",
        "services/outside.py",
        "services/pipe.py",
    ]
    told = verdicts(scan_checkout(root))["scan.files"]
    assert told.verdict is Verdict.UNKNOWN
    assert "4 could not be looked into" in told.reason


def test_a_room_that_fails_on_a_file_is_unknown_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source may be odder than a room foresaw; what it raised says nothing of the others."""

    def failing(file: SourceFile) -> Iterator[Trace]:
        raise RecursionError(file.path)

    broken = tuple(replace(one, traces=failing) if one.name == "hf" else one for one in rooms())
    for module in (reading, scan_module, verdicts_module):
        monkeypatch.setattr(module, "rooms", lambda: broken)
    source = "URL = 'https://router.huggingface.co/hf/v1'\n\n\ndef total(values):\n    return URL, values\n"
    told = verdicts(scan_checkout(lay_out(tmp_path, {"backend/services/reports.py": source}), workers=0))
    assert told["scan.hf"].verdict is Verdict.UNKNOWN
    assert "nested too deeply" in told["scan.hf"].evidence[0].value
    assert told["scan.auth"].verdict is Verdict.PASS


def test_nothing_is_written_to_the_checkout(tmp_path: Path) -> None:
    """Neither by the scan nor by asking its git; a directory without the right to write is enough."""
    root = lay_out(tmp_path / "checkout")
    commit(root)

    def everything() -> dict[str, tuple[int, bytes]]:
        files = [path for path in sorted(root.rglob("*")) if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = everything()
    scan_checkout(root, since="HEAD")
    assert everything() == before


def test_the_root_is_where_git_says(tmp_path: Path) -> None:
    """Places are relative to the repository, wherever in it the backend is; without one, to the backend's parent."""
    root = lay_out(tmp_path / "mono/apps/alwrity", {"backend/temp.py": "    x = 1\n"})
    assert places(scan_checkout(root)) == [("SRC004", "backend/temp.py:1")]
    commit(tmp_path / "mono")
    assert repository_root(find_checkout(root)) == tmp_path / "mono"
    assert places(scan_checkout(root)) == [("SRC004", "apps/alwrity/backend/temp.py:1")]


@pytest.mark.skipif(os.name != "posix", reason="makes symbolic links")
def test_settings_are_not_read_by_another_name(tmp_path: Path) -> None:
    """A requirements file that is a link to `.env` would put its lines into the report."""
    root = lay_out(tmp_path, {".env": "SOME PHRASE=that opens doors\n", "backend/requirements.txt": None})
    (root / "backend" / "requirements.txt").symlink_to(root / ".env")
    (root / "backend" / "settings.py").symlink_to(root / ".env")
    present = snapshot(find_checkout(root))
    assert not any(b"doors" in data for data in (*present.sources.values(), *present.declarations.values()))
    assert ("settings.py", "is a link to settings") in {(one.path, one.why) for one in present.left_out}
