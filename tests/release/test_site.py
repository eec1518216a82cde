"""The documentation becomes a site: mkdocs, in its strict mode, with a page for every command, rule and issue."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alwrity_checks.catalogue import rules
from alwrity_doctor.cli.manual import commands

ROOT = Path(__file__).resolve().parents[2]
HREF = re.compile(r'href="(?P<target>[^"#]+)(?:#[^"]*)?"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, once; a link that leads nowhere, or a heading that is not there, would end it."""
    pytest.importorskip("mkdocs", reason="mkdocs, of the extra [test], builds the site")
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(  # noqa: S603 - our own interpreter and mkdocs
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return directory


def test_the_site_has_every_page(site: Path) -> None:
    """One page a command, one a rule, one an issue, the runbook, and what lies at the top of the repository."""
    wanted = [f"commands/{words.replace(' ', '-')}" for words, _, _ in commands()]
    wanted += [f"rules/{code}" for code in rules()]
    wanted += [f"issues/{issue}" for issue in range(1, 7)]
    wanted += [
        "index",
        "runbook",
        "rules",
        "readme",
        "tracker",
        "CONTRIBUTING",
        "SECURITY",
        "CHANGELOG",
        "architecture",
    ]
    assert [name for name in wanted if not (site / f"{name}.html").is_file()] == []


def test_links_of_the_site_lead_to_its_files(site: Path) -> None:
    """A page that lies elsewhere in the site than in the repository is still found."""
    dead = []
    for name in ("index", "runbook", "readme", "CONTRIBUTING", "issues/1", "commands/gate", "architecture"):
        page = site / f"{name}.html"
        for link in HREF.finditer(page.read_text("utf-8")):
            target = link["target"]
            if not re.match(r"[a-z]+:|//", target) and not (page.parent / target).exists():
                dead.append((name, target))
    assert dead == []


def test_tools_of_the_site_are_no_pages(site: Path) -> None:
    """What builds it does not become part of it."""
    assert list(site.rglob("*.py")) == []
