"""A plan: what would be written, issue upon issue, or why not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.adoption import plan as planning
from alwrity_checks.adoption.messages import message
from alwrity_checks.adoption.needs import env_files_of, listed, missing
from alwrity_checks.adoption.plan import ordered_issues, plan
from alwrity_checks.adoption.proposal import Change, Needed, Proposal, Refusal
from alwrity_checks.adoption.scratch import scratch_copy
from alwrity_checks.adoption.sources import CheckoutSources, Overlay
from alwrity_checks.adoption.syntax import SourceMisfit
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.settings import Settings
from tests.support.adoptable import CALLER, SERVICE, START, adoptable
from tests.support.scanned_checkout import lay_out

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Sources


pytest.importorskip("libcst")


class _Face:
    """A face that proposes what it was told."""

    ISSUE = 1

    def __init__(self, told: Proposal | Exception) -> None:
        self.told = told

    def propose(self, sources: Sources) -> Proposal:
        """Return the proposal, or raise."""
        assert sources.text("app.py")
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


def test_one_issue_builds_on_the_other(tmp_path: Path) -> None:
    """Both change the requirements, each in its turn; together it is one change of that file."""
    root = adoptable(tmp_path / "checkout")
    adoption = plan(find_checkout(root), (3, 6))
    lines = [
        change.after.splitlines()[-1]
        for proposal in adoption.proposals
        for change in proposal.changes
        if change.path == "requirements.txt"
    ]
    assert [one.partition(">")[0] for one in lines] == ["alwrity-doctor[txtai]", "alwrity-doctor[models,txtai]"]
    assert [change.path for change in adoption.changes] == [
        "requirements.txt",
        "services/intelligence/txtai_service.py",
        "start_alwrity_backend.py",
    ]
    assert adoption.changes[0].before == "fastapi>=0.115\n"
    assert adoption.changes[0].after.endswith(lines[1] + "\n")


@pytest.mark.parametrize("named", ["deploy.txt", "./deploy.txt", "backend/deploy.txt", "backend\\deploy.txt"])
def test_requirements_as_a_person_names_them(tmp_path: Path, named: str) -> None:
    """From the backend's directory or from the root, which is where the command is run."""
    root = adoptable(tmp_path / "checkout", {"backend/deploy.txt": "fastapi\n"})
    adoption = plan(find_checkout(root), (6,), (named,))
    assert [change.path for change in adoption.changes] == ["deploy.txt", "start_alwrity_backend.py"]


def test_a_caller_that_would_break_refuses_its_issue_alone(tmp_path: Path) -> None:
    """What is imported and is not offered any more is named with its line; the other issue is not held back."""
    root = adoptable(tmp_path / "checkout", {CALLER: "import os\nfrom .txtai_service import _hidden\n"})
    three, six = plan(find_checkout(root), (3, 6)).proposals
    assert not three.changes
    assert [(one.path, one.line) for one in three.refusals] == [("services/intelligence/agents.py", 2)]
    assert six.changes


def test_what_is_missing_is_refused(tmp_path: Path) -> None:
    """A module that is not there, or is half merged, is named; nothing is written."""
    conflict = "<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"
    root = adoptable(tmp_path / "checkout", {SERVICE: None, START: conflict})
    three, six = plan(find_checkout(root), (3, 6)).proposals
    assert (three.refusals[0].path, six.refusals[0].path) == (SERVICE.partition("/")[2], START.partition("/")[2])
    assert six.refusals[0].line == 1


def test_a_file_of_another_encoding_is_not_called_missing(tmp_path: Path) -> None:
    """It is there and cannot be read: that is what is said."""
    root = adoptable(tmp_path / "checkout", {SERVICE: "# coding: latin-1\nNAME = 'é'\n".encode("latin-1")})
    (three,) = plan(find_checkout(root), (3,)).proposals
    assert "no UTF-8 text" in three.refusals[0].reason


def test_without_libcst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named before anything is looked at."""
    monkeypatch.setitem(sys.modules, "libcst", None)
    with pytest.raises(MissingExtra, match=r"\[adopt\]"):
        plan(find_checkout(lay_out(tmp_path)), (3,))


def test_a_module_that_was_edited_is_not_in_place(tmp_path: Path) -> None:
    """Adopted twice there is nothing to do; after an edit there is, and it is that file alone."""
    root = adoptable(tmp_path / "checkout")
    for change in plan(find_checkout(root), (3, 6)).changes:
        (root / "backend" / change.path).write_text(change.after, encoding="utf-8")
    standing = plan(find_checkout(root), (3, 6))
    assert [(one.done, one.changes) for one in standing.proposals] == [(True, ()), (True, ())]
    text = (root / SERVICE).read_text(encoding="utf-8")
    (root / SERVICE).write_text(text + "\nTXTAI_AVAILABLE = False\n", encoding="utf-8")
    edited = plan(find_checkout(root), (3, 6))
    assert [change.path for change in edited.changes] == [SERVICE.partition("/")[2]]
    assert edited.changes[0].after == text


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (SourceMisfit("of another form", "look", 3), "of another form"),
        (Proposal(1, (Change("app.py", "not this", "x"),)), "is not what was read"),
        (Proposal(1, (Change("new.py", None, "def f(:\n"),)), "what would be written does not parse"),
    ],
)
def test_a_face_that_errs_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Proposal | Exception, reason: str
) -> None:
    """Whatever a face proposes is checked before anybody is shown it."""
    monkeypatch.setattr(planning, "face", lambda _: _Face(told))
    (proposal,) = plan(find_checkout(lay_out(tmp_path)), (1,)).proposals
    assert reason in proposal.refusals[0].reason
    assert not proposal.changes


def test_refusals_take_the_changes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of an issue that is refused is applied, even if a face proposes some of it."""
    refused = Proposal(1, (Change("new.py", None, "x = 1\n"),), refusals=(Refusal("app.py", 1, "moved", "look"),))
    monkeypatch.setattr(planning, "face", lambda _: _Face(refused))
    (proposal,) = plan(find_checkout(lay_out(tmp_path)), (1,)).proposals
    assert proposal == replace(refused, changes=())


def test_the_issues_that_can_be_adopted() -> None:
    """All if none is named; each once, in order; what is none is refused, and issue 4 with the reason."""
    assert ordered_issues(()) == (1, 2, 3, 5, 6)
    assert ordered_issues([6, 3, 6]) == (3, 6)
    with pytest.raises(ConfigurationError, match="issue 4 is no defect"):
        ordered_issues([4])
    with pytest.raises(ConfigurationError, match="issue 9"):
        ordered_issues([9, 1])


def test_sources_are_the_backends_own_files(tmp_path: Path) -> None:
    """Nothing outside of it, no link, no settings; what is no text is not there."""
    root = lay_out(tmp_path / "checkout", {"backend/.env": "A=1\n", "backend/a.bin": b"\xff", "secret.txt": "x\n"})
    (root / "backend" / "link.txt").symlink_to(root / "secret.txt")
    sources = CheckoutSources(find_checkout(root))
    assert sources.text("app.py")
    for path in (".env", "../secret.txt", str(root / "secret.txt"), "link.txt", "a.bin", "services", "no.py"):
        assert sources.text(path) is None
    above = Overlay(sources, [Change("new.py", None, "x\n"), Change("app.py", "", "y\n")])
    assert (above.text("new.py"), above.text("app.py")) == ("x\n", "y\n")
    assert set(above.python_files()) == {*sources.python_files(), "new.py"}


@pytest.mark.parametrize("tracked", [True, False])
def test_a_scratch_copy_holds_the_changes_and_no_settings(tmp_path: Path, *, tracked: bool) -> None:
    """What git would track is there as on the disk; settings, environments and users' data are not; it goes again."""
    root = adoptable(tmp_path / "checkout")
    if not tracked:
        (root / ".git").rename(tmp_path / "git")
    (root / "backend" / "untracked.py").write_text("x = 1\n", encoding="utf-8")
    for name in ("workspace/u/data.txt", ".venv/bin/python", ".venv/pyvenv.cfg"):
        path = root / "backend" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n", encoding="utf-8")
    (root / ".gitignore").write_text(".env\nworkspace/\n.venv/\n", encoding="utf-8")
    checkout = find_checkout(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with scratch_copy(plan(checkout, (3,))) as copy:
        assert copy.backend.name == "backend"
        assert copy.root.name == "checkout"
        assert "txtai.compat" in (copy.backend / SERVICE.partition("/")[2]).read_text(encoding="utf-8")
        assert (copy.backend / "untracked.py").is_file()
        assert not any((copy.backend / name).exists() for name in (".env", "workspace", ".venv"))
        assert list(copy.interpreters()) == [root / "backend" / ".venv" / "bin" / "python"]
        place = copy.backend
    assert not place.exists()
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_settings_are_told_by_their_sources(tmp_path: Path) -> None:
    """Never by their values; one that does as well counts, and one that is set to nothing is not set."""
    root = adoptable(tmp_path / "checkout")
    (root / "backend" / ".env").write_text("A=hf_secretsecret\nB=\nALIAS=x\n", encoding="utf-8")
    needed = [
        Needed("A", "it opens.", required=True),
        Needed("B", "it shuts.", required=True),
        Needed("C", "it turns.", required=True, instead=("ALIAS",)),
        Needed("D", "it lights.", required=False),
        Needed("E", "it rings.", required=True),
        Needed("D", "it lights.", required=True),
    ]
    checkout = find_checkout(root)
    settings = Settings.load({"E": "here"}, env_files_of(checkout))
    assert listed(needed, settings, root) == {
        "A": "set, by backend/.env:1: it opens.",
        "B": "set to nothing, by backend/.env:2: it shuts.",
        "C": "set, as ALIAS, by backend/.env:3: it turns.",
        "D": "not set here, and required: it lights.",
        "E": "set, by the environment: it rings.",
    }
    assert [one.name for one in missing(needed, settings)] == ["B", "D"]


@pytest.mark.parametrize("issue", [1, 2, 3, 5, 6])
def test_a_commit_says_why(issue: int) -> None:
    """In git's form: a short subject, an empty line, lines that fit; and no reference that a forge would link."""
    needed = (Needed("CLERK_ISSUER", "why", required=True), Needed("OPTIONAL", "why", required=False))
    text = message(Proposal(issue, needed=needed), [f"AAA{number:03}" for number in range(30)], "0.1.0")
    lines = text.splitlines()
    assert lines[1] == ""
    assert max(map(len, lines)) <= 72
    assert "CLERK_ISSUER" in text
    assert "OPTIONAL" not in text
    assert "#" not in text
    assert "Reproduced before" not in message(Proposal(issue), (), "0.1.0")


def test_byte_order_marks_and_tabs_stay(tmp_path: Path) -> None:
    """Files of an editor of Windows are read, edited and given back with their marks, line ends and tabs."""
    root = adoptable(tmp_path / "checkout")
    for path in (START, SERVICE, "backend/requirements.txt"):
        text = (root / path).read_text("utf-8").replace("\n    ", "\n\t").replace("\n", "\r\n")
        (root / path).write_bytes(b"\xef\xbb\xbf" + text.encode())
    (root / CALLER).write_bytes(b"\xef\xbb\xbf" + (root / CALLER).read_bytes())
    adoption = plan(find_checkout(root), (3, 6))
    assert adoption.issues == (3, 6)
    for change in adoption.changes:
        assert change.before == (root / "backend" / change.path).read_bytes().decode()
        assert change.after.startswith("\ufeff")
        assert change.after.count("\ufeff") == 1
        assert change.after.count("\r\n") == change.after.count("\n")
    start = next(change.after for change in adoption.changes if change.path == "start_alwrity_backend.py")
    compile(start.removeprefix("\ufeff"), START, "exec")
    assert "\n\timport os" in start
    assert not any("no requirement" in note for proposal in adoption.proposals for note in proposal.notes)


def test_the_first_line_of_a_marked_caller_is_seen(tmp_path: Path) -> None:
    """What it imports has to be there, whatever stands before the import."""
    root = adoptable(tmp_path / "checkout")
    (root / CALLER).write_bytes(b"\xef\xbb\xbffrom .txtai_service import gone\n")
    (proposal,) = plan(find_checkout(root), (3,)).proposals
    assert [(one.path, one.line) for one in proposal.refusals] == [("services/intelligence/agents.py", 1)]
