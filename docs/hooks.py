"""For mkdocs: the repository's own pages become pages of the site, and links to them go on working."""  # noqa: INP001 - mkdocs loads it by path

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_ROOT: Final = Path(__file__).resolve().parent.parent
_PAGES: Final = {
    # mkdocs would make the site's first page of a README.
    "README.md": "readme.md",
    **{name: name for name in ("tracker.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")},
}
"""What lies above `docs/` and belongs to the site -> its place in it."""
_INDEXES: Final = {"docs/rules": "rules.md", "docs/issues": "index.md", "docs/ci": "ci/README.md"}
"""A directory that a page links to -> the page that lists what is in it."""
_LINK: Final = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<path>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the repository's own pages, at the top of the site."""
    for name, place in _PAGES.items():
        files.append(File.generated(config, place, content=(_ROOT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead where their pages are in the site; of a link to a file without a page only the text is left."""
    del config
    here = posixpath.dirname(page.file.src_uri)
    origin = here if page.file.src_uri in _PAGES.values() else posixpath.join("docs", here)

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(origin, found["path"]))
        inside = (_INDEXES | _PAGES).get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(inside) is not None:
            return f"[{found['text']}]({posixpath.relpath(inside, here or '.')}{found['anchor'] or ''})"
        # Whether it is there at all is the link test's question; mkdocs warns of what it does not find.
        return found["text"] if (_ROOT / target).exists() else found[0]

    return _LINK.sub(moved, markdown)
