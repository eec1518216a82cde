"""The line of the requirements: once, in the file's own style, where a server is installed from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alwrity_checks.adoption.dependency import Dependencies, checked_origin, dependencies
from alwrity_checks.adoption.sources import CheckoutSources
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor import __version__
from tests.support.scanned_checkout import lay_out

MINOR = int(__version__.split(".")[1])
RELEASE = f">={__version__},<0.{MINOR + 1}"
"""Before 1.0 a minor release may change what is imported."""
MAIN = "backend/requirements.txt"
COMMENT = "# The components behind the modules that alwrity-doctor adopt wrote"


def wanted(root: Path, files: dict[str, str | bytes | None], extras: set[str], *named: str) -> Dependencies:
    """Return what is to be changed in a checkout with these files."""
    lay_out(root, files)
    return dependencies(CheckoutSources(find_checkout(root)), extras, named)


def after(root: Path, text: str, *extras: str) -> str:
    """Return what a requirements file becomes; itself where nothing is to be changed."""
    found = wanted(root, {MAIN: text}, set(extras))
    assert not found.refusals
    return found.changes[0].after if found.changes else text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("fastapi>=0.115\n", f"fastapi>=0.115\n\n{COMMENT}\nalwrity-doctor[fastapi,txtai]{RELEASE}\n"),
        ("fastapi", f"fastapi\n\n{COMMENT}\nalwrity-doctor[fastapi,txtai]{RELEASE}\n"),
        ("fastapi\n\n", f"fastapi\n\n{COMMENT}\nalwrity-doctor[fastapi,txtai]{RELEASE}\n"),
        ("", f"{COMMENT}\nalwrity-doctor[fastapi,txtai]{RELEASE}\n"),
        ("fastapi\r\n", f"fastapi\r\n\r\n{COMMENT}\r\nalwrity-doctor[fastapi,txtai]{RELEASE}\r\n"),
        # What is there already is merged into, and keeps its release, its marker and its comment.
        ("alwrity-doctor\n", "alwrity-doctor[fastapi,txtai]\n"),
        ("Alwrity_Doctor [hf] ~= 0.1  # ours\r\nx\r\n", "Alwrity_Doctor[fastapi,hf,txtai] ~= 0.1  # ours\r\nx\r\n"),
        (f"alwrity-doctor[fastapi,txtai,hf]=={__version__}\n", f"alwrity-doctor[fastapi,txtai,hf]=={__version__}\n"),
        (
            "alwrity-doctor @ git+https://example.com/d.git@main\n",
            "alwrity-doctor[fastapi,txtai] @ git+https://example.com/d.git@main\n",
        ),
        ("-e git+https://example.com/d#egg=alwrity-doctor\n", "-e git+https://example.com/d#egg=alwrity-doctor\n"),
        (
            "x  # see https://example.com/alwrity-doctor\n",
            f"x  # see https://example.com/alwrity-doctor\n\n{COMMENT}\nalwrity-doctor[fastapi,txtai]{RELEASE}\n",
        ),
        ("# alwrity-doctor\n", f"# alwrity-doctor\n\n{COMMENT}\nalwrity-doctor[fastapi,txtai]{RELEASE}\n"),
    ],
)
def test_one_line_in_the_files_own_style(tmp_path: Path, text: str, becomes: str) -> None:
    """It is added once, and what is there is completed; a second time there is nothing to do."""
    assert after(tmp_path / "one", text, "txtai", "fastapi") == becomes
    assert after(tmp_path / "two", becomes, "txtai", "fastapi") == becomes


def test_each_server_is_installed_from_a_file_of_its_own(tmp_path: Path) -> None:
    """One of a single feature gets only what it installs something of already; a file of no server gets nothing."""
    files: dict[str, str | bytes | None] = {
        MAIN: "fastapi\n",
        "backend/requirements-podcast.txt": "fastapi\nopenai>=1\n",
        "backend/requirements-docs.txt": "mkdocs\n",
        "requirements.txt": "fastapi\n",
    }
    found = wanted(tmp_path, files, {"fastapi", "hf", "txtai"})
    lines = {one.path: one.after.splitlines()[-1] for one in found.changes}
    assert lines == {
        "requirements.txt": f"alwrity-doctor[fastapi,hf,txtai]{RELEASE}",
        "requirements-podcast.txt": f"alwrity-doctor[fastapi,hf]{RELEASE}",
    }
    brings, origin = found.notes
    assert brings == (
        "requirements.txt installs nothing of [hf,txtai] yet: the line brings faiss-cpu, jsonschema, openai, txtai."
    )
    assert "look whose project has that name there" in origin


def test_another_file_can_be_named(tmp_path: Path) -> None:
    """Then it is that one alone, with everything."""
    found = wanted(tmp_path, {"backend/deploy.txt": "x\n"}, {"hf"}, "deploy.txt")
    assert [(one.path, one.after.splitlines()[-1]) for one in found.changes] == [
        ("deploy.txt", f"alwrity-doctor[hf]{RELEASE}")
    ]
    for odd in ("../requirements.txt", "/etc/passwd", ".env", "no.txt"):
        assert wanted(tmp_path, {}, {"hf"}, odd).refusals[0].reason == "there is no such file"


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (None, "has no requirements.txt", None),
        ("fastapi==0.100.0\n", "installs fastapi==0.100.0, and the components need fastapi>=0.115.14", 1),
        ("x\nopenai<2\n", "installs openai<2, and the components need openai", 2),
        ("httpx==1.*\n", "installs httpx==1.*", 1),
        ("alwrity-doctor==0.0.1\n", "installs alwrity-doctor==0.0.1", 1),
        ("fastapi==0.120.0 --hash=sha256:00\n", "pinned by hashes", None),
    ],
)
def test_requirements_that_exclude_the_components_are_refused(
    tmp_path: Path, text: str | None, reason: str, line: int | None
) -> None:
    """With the line; nothing is changed."""
    found = wanted(tmp_path, {MAIN: text}, {"fastapi", "hf"})
    assert not found.changes
    assert [(reason in one.reason, one.line, bool(one.remedy)) for one in found.refusals] == [(True, line, True)]


@pytest.mark.parametrize(
    "text",
    ["fastapi==0.115.14\n", "fastapi>=0.1,<1\n", "openai~=2.1\n", "httpx==0.28.*\n", "fastapi!=0.120\n", "psutil\n"],
)
def test_requirements_that_suit_are_not_refused(tmp_path: Path, text: str) -> None:
    """A range or a pin within what the components need is none of our business."""
    assert not wanted(tmp_path, {MAIN: text}, {"fastapi", "hf"}).refusals


@pytest.mark.parametrize(("declared", "refused"), [("python-3.10.4\n", True), ("python-3.11.9\n", False)])
def test_the_declared_python(tmp_path: Path, declared: str, *, refused: bool) -> None:
    """One that the components do not run on is told before a deployment finds out."""
    found = wanted(tmp_path, {"backend/runtime.txt": declared}, {"hf"})
    assert [one.path for one in found.refusals] == (["runtime.txt"] if refused else [])


def test_what_pip_would_refuse_is_told(tmp_path: Path) -> None:
    """A line that is no requirement hinders the whole installation; a credential in it is not shown."""
    text = "fastapi\nfoo bar\nhttps://me:hf_abcdefgh12345@example.com/x y\n"
    found = wanted(tmp_path, {MAIN: text}, {"fastapi"})
    assert (
        found.notes[0]
        == "requirements.txt:2 (foo bar) is no requirement: pip refuses the whole file until it is corrected."
    )
    assert "abcdefgh" not in "".join(found.notes)
    assert sum("is no requirement" in one for one in found.notes) == 2


def test_where_it_comes_from_is_told_once(tmp_path: Path) -> None:
    """A name in an index may be anybody's; who has the line already, with a URL of theirs, has looked."""
    own = "fastapi\nalwrity-doctor @ https://example.com/alwrity_doctor.whl\n"
    found = wanted(tmp_path, {MAIN: own}, {"fastapi"})
    assert found.changes[0].after.splitlines()[-1].startswith("alwrity-doctor[fastapi] @ https://example.com/")
    assert found.notes == ()
    found = wanted(tmp_path, {MAIN: "fastapi\n", "backend/requirements-x.txt": "fastapi\n"}, {"fastapi"})
    assert len(found.changes) == 2
    assert len(found.notes) == 1


HERE = "git+https://example.com/ours/alwrity-doctor.git@v0.1.0"


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("fastapi\n", f"fastapi\n\n{COMMENT}\nalwrity-doctor[hf] @ {HERE}\n"),
        ("alwrity-doctor[txtai]>=0.1,<0.2  # ours\r\nx\r\n", f"alwrity-doctor[hf,txtai] @ {HERE}  # ours\r\nx\r\n"),
        (
            "alwrity-doctor @ https://example.com/old.whl ; python_version >= '3.11'\n",
            f'alwrity-doctor[hf] @ {HERE} ; python_version >= "3.11"\n',
        ),
        (f"alwrity-doctor[txtai] @ {HERE}\n", f"alwrity-doctor[hf,txtai] @ {HERE}\n"),
    ],
)
def test_the_origin_can_be_named(tmp_path: Path, text: str, becomes: str) -> None:
    """Then nothing is left to an index, and nobody is told to look there; a second time there is nothing to do."""
    lay_out(tmp_path, {MAIN: text})
    found = dependencies(CheckoutSources(find_checkout(tmp_path)), {"hf"}, (), HERE)
    assert found.changes[0].after == becomes
    assert not any("index" in note for note in found.notes)
    lay_out(tmp_path, {MAIN: becomes})
    assert dependencies(CheckoutSources(find_checkout(tmp_path)), {"hf"}, (), HERE).changes == ()


def test_a_line_whose_origin_is_not_exchanged_is_refused(tmp_path: Path) -> None:
    """What was asked for would not be done; without the option the line is left as it is."""
    lay_out(tmp_path, {MAIN: "fastapi\n-e git+https://example.com/d#egg=alwrity-doctor\n"})
    sources = CheckoutSources(find_checkout(tmp_path))
    (refusal,) = dependencies(sources, {"hf"}, (), HERE).refusals
    assert (refusal.path, refusal.line) == ("requirements.txt", 2)
    assert "--install-from" in refusal.remedy
    assert dependencies(sources, {"hf"}) == Dependencies()


@pytest.mark.parametrize(
    "url",
    [
        HERE,
        "git+ssh://git@example.com/ours/doctor.git@main#subdirectory=doctor",
        "https://example.com/wheels/alwrity_doctor-0.1.0-py3-none-any.whl#sha256=" + "0" * 64,
        "file:///srv/wheels/alwrity_doctor-0.1.0-py3-none-any.whl",
        "git+https://${TOKEN}@example.com/ours/doctor.git",
        "git+https://x-access-token:${TOKEN}@example.com/ours/doctor.git",
    ],
)
def test_an_origin_that_pip_reads_is_written_as_it_is(url: str) -> None:
    """Variables are left to pip, which exchanges them."""
    assert checked_origin(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("git@example.com:ours/doctor.git", "no https, ssh or file URL"),
        ("http://example.com/doctor.whl", "no https, ssh or file URL"),
        ("ssh://git@example.com/ours/doctor.git", "no https, ssh or file URL"),
        ("https://example.com/doctor.whl\nevil", "no https, ssh or file URL"),
        ("https://example.com/doctor.whl --pre", "no https, ssh or file URL"),
        ("../doctor", "no https, ssh or file URL"),
        ("", "no https, ssh or file URL"),
        ("https://[::1/doctor.whl", "pip cannot install"),
        ("git+https://me:hunter2hunter2@example.com/doctor.git", "user name or password"),
        ("git+https://ghp_abcdefghijklmnopqrstuvwxyz0123456789@example.com/doctor.git", "user name or password"),
        ("https://example.com/doctor.whl?token=hf_abcdefghijklmnopqrstuvwxyzabcdefgh", "looks like a secret"),
    ],
)
def test_an_origin_that_is_none_or_holds_a_secret_is_refused(url: str, said: str) -> None:
    """The file is committed: what pip cannot read there, or nobody else may, is not written; nor is it repeated."""
    with pytest.raises(ConfigurationError) as caught:
        checked_origin(url)
    assert said in caught.value.diagnosis
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)
