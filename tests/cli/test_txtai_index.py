"""`alwrity-doctor txtai index`: what is accepted, what is refused and why, and nothing accepted is lost."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.documents import LARGEST_DOCUMENT
from alwrity_checks.txtai.paths import user_directory
from alwrity_checks.txtai.repair import recover
from alwrity_doctor.report import FORMATS
from tests.support import command_line
from tests.support.in_process import CommandLine
from tests.support.txtai_cli import DOCUMENTS, JSON, lines, needs_mount, on_a_small_disk

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting; what it sets is taken back."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return CommandLine(monkeypatch, capsys, tmp_path)


def kept(data: Path, user: str = "local") -> dict[str, str]:
    """Return the accepted texts by id."""
    return {one.id: one.text for one in recover(user_directory(data, user)).documents}


def findings(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the findings of a report."""
    return [one for result in document["results"] for one in result["findings"]]


def facts(of: dict[str, Any]) -> dict[str, str]:
    """Return the evidence of a finding, or of a result, by its labels."""
    return {one["label"]: one["value"] for one in of["evidence"]}


def test_what_is_indexed_is_found(doctor: CommandLine, tmp_path: Path) -> None:
    """With the real model: accepted, searchable when the command ends, unchanged the next time."""
    name = lines(tmp_path / "documents.jsonl", *DOCUMENTS)
    (tmp_path / "plan.md").write_text("# A marketing plan for the summer\n")
    done = doctor("txtai", "index", name, "plan.md", "--data", "ix", "--offline", *JSON)
    assert done.code == 0, done.out
    assert [one["reason"] for one in done.document["results"]] == ["3 accepted", "1 accepted", "4 documents"]
    for query, expected in (("unpaid bill", "invoice"), ("advertising", "plan.md")):
        found = doctor("txtai", "search", query, "--data", "ix", "--limit", "1", "--offline", *JSON)
        assert found.code == 0
        (hit,) = found.document["results"][0]["evidence"]
        assert hit["label"] == expected
    lines(tmp_path / "documents.jsonl", *DOCUMENTS[:2], {**DOCUMENTS[2], "priority": 4})
    again = doctor("txtai", "index", name, "plan.md", "--data", "ix", "--offline", *JSON)
    reasons = [one["reason"] for one in again.document["results"]]
    assert reasons == ["1 accepted, 2 unchanged", "1 unchanged", "4 documents"]
    text = doctor("txtai", "search", "roses", "--data", "ix", "--limit", "1", "--offline")
    assert '"priority": 4' in text.out
    assert "garden" in text.out


def test_each_refusal_names_place_reason_and_remedy(doctor: CommandLine, tmp_path: Path) -> None:
    """An unusable document is refused with its line, position and id; the others of the file are kept."""
    name = lines(
        tmp_path / "mixed.jsonl",
        {"id": "good", "text": "kept"},
        '{"id": "nan", "text": "x", "value": NaN}',
        "",
        {"id": "good", "text": "another text"},
        {"id": "good", "text": "kept"},
        {"id": 5, "text": "x"},
        {"id": "reserved", "text": "x", "score": 1},
        {"id": "blank", "text": "  "},
        {"text": "no id"},
        ["a", "list"],
        "not json",
        "[" * 5000,
        '{"id": "lone", "text": "\\ud800"}',
        {"id": "last", "text": "kept, too"},
    )
    done = doctor("txtai", "index", name, "--data", "ix", "--no-wait", *JSON)
    assert done.code == 1
    assert done.document["results"][0]["reason"] == "2 accepted, 1 unchanged, 10 refused"
    found = findings(done.document)
    assert {one["rule"]["code"] for one in found} == {"TXT060"}
    assert [(one["location"]["line"], facts(one)["position"]) for one in found] == [
        (2, "1"),
        (4, "2"),
        (6, "4"),
        (7, "5"),
        (8, "6"),
        (9, "7"),
        (10, "8"),
        (11, "9"),
        (12, "10"),
        (13, "11"),
    ]
    words = ["JSON cannot hold", "earlier document", "type int", "reserved", "empty text", "no id", "list", "not JSON"]
    for one, word in zip(found, [*words, "not JSON", "surrogate"], strict=True):
        assert word in one["message"]
        assert facts(one)["advice"]
    assert [facts(one).get("id") for one in found[:3]] == ["'nan'", "'good'", "5"]
    assert kept(tmp_path / "ix") == {"good": "kept", "last": "kept, too"}


def test_many_refusals_are_counted(doctor: CommandLine, tmp_path: Path) -> None:
    """A file of another kind does not flood the report."""
    name = lines(tmp_path / "table.jsonl", *["a;b;c"] * 500)
    done = doctor("txtai", "index", name, "--data", "ix", "--no-wait", *JSON)
    assert (done.code, len(findings(done.document))) == (1, 20)
    assert done.document["results"][0]["reason"] == "nothing was accepted, 500 refused"


@pytest.mark.parametrize("name", ["empty.txt", "empty.jsonl"])
def test_an_empty_file(doctor: CommandLine, tmp_path: Path, name: str) -> None:
    """It is named as such; alone it is nothing to report success about."""
    (tmp_path / name).touch()
    done = doctor("txtai", "index", name, "--data", "ix", "--no-wait", *JSON)
    assert done.code == 3
    (result,) = done.document["results"]
    assert (result["verdict"], result["reason"]) == ("skip", f"{name} is empty")


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("file.dat", b"\x7fELF\0\0\1", "NUL"),
        ("file.txt", "text".encode("utf-16"), "NUL"),
        ("file.txt", b"caf\xe9", "not UTF-8"),
        ("file.txt", b"  \n", "empty text"),
        ("file.jsonl", b"\x7fELF\n\0\0\1\n" * 9, "NUL"),
        ("file.jsonl", '{"id": "a", "text": "b"}\n'.encode("utf-16"), "NUL"),
        ("file.jsonl", b'{"id": "a", "text": "caf\xe9"}', "not UTF-8"),
    ],
)
def test_a_file_that_is_no_text(doctor: CommandLine, tmp_path: Path, name: str, content: bytes, word: str) -> None:
    """A binary file, or another encoding, is refused and not taken for documents."""
    (tmp_path / name).write_bytes(content)
    done = doctor("txtai", "index", name, "--data", "ix", "--no-wait", *JSON)
    assert done.code == 1
    assert word in findings(done.document)[-1]["message"]
    assert len(findings(done.document)) <= 2
    assert not (tmp_path / "ix").exists()


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_a_document_of_ten_megabytes(doctor: CommandLine, tmp_path: Path, form: str) -> None:
    """It is refused by its size; what stands behind it in the file is kept."""
    text = "word " * (LARGEST_DOCUMENT // 5 + 1)
    if form == "jsonl":
        lines(tmp_path / "large.jsonl", {"id": "large", "text": text}, {"id": "small", "text": "kept"})
    else:
        (tmp_path / "large.txt").write_text(text)
    done = doctor("txtai", "index", f"large.{form}", "--data", "ix", "--no-wait", *JSON)
    assert done.code == 1
    (one,) = findings(done.document)
    assert "bytes" in one["message"]
    assert "split" in facts(one)["advice"]
    if form == "jsonl":
        assert kept(tmp_path / "ix") == {"small": "kept"}


@pytest.mark.parametrize("user", ["../../x", "/../../../outside", "a/b", ".", "ü" * 300, "user_2abcDEF"])
def test_a_users_id_chooses_no_path(doctor: CommandLine, tmp_path: Path, user: str) -> None:
    """Whatever the id, everything is written below the directory of the indexes, and found again under the id."""
    (tmp_path / "plan.md").write_text("a plan")
    data = tmp_path / "deep" / "down" / "ix"
    done = doctor("txtai", "index", "plan.md", "--user", user, "--data", str(data), "--no-wait", *JSON)
    assert done.code == 0
    advised = shlex.split(done.document["results"][1]["remedy"])
    assert advised == ["alwrity-doctor", "txtai", "status", "--load", "--user", user, "--data", str(data)]
    assert {path.name for path in tmp_path.iterdir()} == {"plan.md", "deep"}
    assert {path.name for path in data.parent.iterdir()} == {"ix"}
    assert kept(data, user) == {"plan.md": "a plan"}
    assert doctor("txtai", "status", "--user", user, "--data", str(data)).code == 0


def test_no_user(doctor: CommandLine, tmp_path: Path) -> None:
    """An empty id is nobody's."""
    (tmp_path / "plan.md").write_text("a plan")
    for more in ((), ("--no-wait",)):
        done = doctor("txtai", "index", "plan.md", "--user", "", "--data", "ix", *more)
        assert (done.code, done.out) == (2, "")
    assert not (tmp_path / "ix").exists()


@pytest.mark.parametrize("names", [("missing.txt",), ("folder",), ("-",), ("-", "-")])
def test_files_that_cannot_be_read(doctor: CommandLine, tmp_path: Path, names: tuple[str, ...]) -> None:
    """They are named before anything is done, and nothing of the others is accepted."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.txt").write_text("good")
    done = doctor("txtai", "index", "good.txt", *names, "--data", "ix", "--no-wait")
    assert (done.code, done.out) == (2, "")
    assert "Remedy: " in done.err
    assert not (tmp_path / "ix").exists()


def test_standard_input(doctor: CommandLine, tmp_path: Path) -> None:
    """What begins with a brace is lines of JSON, anything else one text."""
    given = "\n".join(json.dumps(one) for one in DOCUMENTS).encode()
    arguments = ("txtai", "index", "-", "--data", "ix", "--no-wait")
    assert doctor(*arguments, stdin=b"\xef\xbb\xbfa text").code == 0
    assert doctor(*arguments, stdin=given).code == 0
    assert kept(tmp_path / "ix") == {"standard input": "a text"} | {one["id"]: one["text"] for one in DOCUMENTS}


def test_the_settings_say_where(doctor: CommandLine, tmp_path: Path) -> None:
    """The environment, then a .env file, then the place where ALwrity keeps its own; the path is shown as it is."""
    (tmp_path / "plan.md").write_text("a plan")
    (tmp_path / "my.env").write_text(f"ALWRITY_TXTAI_DIR={tmp_path}/from-file\n")
    index = ("txtai", "index", "plan.md", "--no-wait", "--env-file", "my.env")
    assert doctor(*index).code == 0
    assert doctor(*index, ALWRITY_TXTAI_DIR=f"{tmp_path}/from-environment").code == 0
    assert doctor("txtai", "index", "plan.md", "--no-wait").code == 0
    for name in ("from-file", "from-environment", "workspace/semantic-index"):
        assert kept(tmp_path / name) == {"plan.md": "a plan"}
    assert " from-file/local-" in doctor("txtai", "status", "--env-file", "my.env").out


def test_every_format(doctor: CommandLine, tmp_path: Path) -> None:
    """Refusals and facts are in every one of them."""
    name = lines(tmp_path / "some.jsonl", {"id": "good", "text": "kept"}, {"id": "bad", "text": ""})
    for form in FORMATS:
        done = doctor("txtai", "index", name, "--data", "ix", "--no-wait", "--format", form)
        assert done.code == 1
        assert "TXT060" in done.out


@needs_mount
def test_a_full_disk(tmp_path: Path) -> None:
    """What was accepted before the disk was full is kept, the rest is not claimed, and the disk is named."""
    many = lines(tmp_path / "many.jsonl", *({"id": f"d{one}", "text": f"text {one} " * 40} for one in range(600)))
    (tmp_path / "plan.md").write_text("a plan")
    disk = tmp_path / "disk"
    index = ("txtai", "index", "plan.md", many, "plan.md", "--data", f"{disk}/ix", "--no-wait", *JSON)
    first, after = on_a_small_disk(disk, index, ("txtai", "status", "--data", f"{disk}/ix", *JSON), size="300k")
    assert first.returncode == 1, first.stderr
    report = json.loads(first.stdout)
    (one,) = findings(report)
    assert one["rule"]["code"] == "TXT063"
    assert "no space is left" in one["message"]
    plan, rest, *_ = [result["reason"].partition(" accepted")[0] for result in report["results"]]
    assert (plan, rest) == ("1", "256")
    standing = facts(json.loads(after.stdout)["results"][0])
    assert standing["queued"] == "257"


@needs_mount
def test_a_read_only_directory(tmp_path: Path) -> None:
    """Nothing is accepted, and it is said why; what is there can be told to be there."""
    (tmp_path / "plan.md").write_text("a plan")
    disk = tmp_path / "disk"
    index = ("txtai", "index", "plan.md", "--no-wait", *JSON)
    runs = on_a_small_disk(
        disk,
        (*index, "--data", f"{disk}/ix"),
        f"mount -o remount,ro {disk}",
        (*index, "--data", f"{disk}/ix"),
        (*index, "--data", f"{disk}/new"),
        size="2m",
    )
    assert [run.returncode for run in runs] == [0, 1, 1]
    for run in runs[1:]:
        (one,) = findings(json.loads(run.stdout))
        assert one["rule"]["code"] == "TXT063"
        assert "cannot be written" in one["message"]


def test_without_the_extra(doctor: CommandLine, tmp_path: Path) -> None:
    """Documents are accepted all the same, the extra is named, and with it they become searchable."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "sitecustomize.py").write_text("import sys\nsys.modules['txtai'] = None\n")
    (tmp_path / "plan.md").write_text("a plan")
    index = ("txtai", "index", "plan.md", "--data", "ix", "--offline", *JSON)
    done = command_line.run(*index, cwd=tmp_path, plugins=plugins)
    assert done.returncode == 3, done.stderr
    accepted, searchable = json.loads(done.stdout)["results"]
    assert (accepted["verdict"], searchable["verdict"]) == ("pass", "unknown")
    assert "[txtai]" in searchable["reason"]
    assert "pip install" in searchable["remedy"]
    later = doctor("txtai", "status", "--load", "--data", "ix", "--offline", *JSON)
    assert later.code == 0
    standing = facts(later.document["results"][0])
    assert (standing["state"], standing["documents"], standing["queued"]) == ("ready", "1", "0")


def test_credentials_in_documents_are_not_shown(doctor: CommandLine, tmp_path: Path) -> None:
    """What has the shape of one is masked, in an id that is refused as in one that is accepted."""
    secret = "sk_live_0123456789abcdefghij"
    name = lines(tmp_path / "some.jsonl", {"id": secret, "text": "kept"}, {"id": f"x{secret}", "text": ""})
    for form in FORMATS:
        done = doctor("txtai", "index", name, "--data", "ix", "--no-wait", "--format", form)
        assert secret not in done.out + done.err
