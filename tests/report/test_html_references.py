"""The page as somebody looked at it: screenshots of three states, kept as references and compared with what is drawn.

After a wanted change: `ALWRITY_DOCTOR_UPDATE_GOLDEN=1 python -m pytest tests/report/test_html_references.py` rewrites
the references and fails. Then look at them, each of them, and run again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from alwrity_checks.model import Verdict
from alwrity_doctor.report import render
from tests.support.chromium import WITHOUT, Chromium, Page, Screen
from tests.support.page_states import STATES
from tests.support.screenshots import Difference, differences, reduced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alwrity_checks.model import Report

pytestmark = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)

REFERENCES: Final = Path(__file__).with_name("references")
LOOKS: Final[Mapping[str, tuple[str, Screen]]] = {
    "healthy": ("healthy", Screen()),
    "failing": ("failing", Screen()),
    "failing-phone": ("failing", Screen(390, dark=True)),
    "failing-print": ("failing", Screen(760, media="print")),
    "unknown": ("unknown", Screen(dark=True)),
}
"""Name of a reference -> the state that it shows, and on what."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Run one browser for all tests of this file."""
    with Chromium(tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running


def shown(browser: Chromium, report: Report, screen: Screen, directory: Path) -> Page:
    """Open the page of a report."""
    path = directory / "page.html"
    path.write_text(render(report, "html"), encoding="utf-8")
    return browser.open(path, screen)


def described(page: Page, part: Difference) -> str:
    """Return where a difference lies: in which section, and in which element of the page as it is now."""
    name = page.evaluate(
        f"""(() => {{
            const [x, y] = [{(part.left + part.right) / 2}, {(part.top + part.bottom) / 2}];
            const holds = one => {{
                const box = one.getBoundingClientRect();
                const [left, top] = [box.left + scrollX, box.top + scrollY];
                return left <= x && x <= left + box.width && top <= y && y <= top + box.height;
            }};
            const inner = [...document.body.querySelectorAll("*")].filter(holds).at(-1);
            const section = inner?.closest("section, header, footer, nav");
            return [
                section?.querySelector("h1, h2")?.textContent ?? section?.tagName.toLowerCase() ?? "below the page",
                inner ? `<${{inner.tagName.toLowerCase()}}> ${{inner.textContent.trim().slice(0, 60)}}` : "nothing",
            ].join(": ");
        }})()"""
    )
    return f"x {part.left}-{part.right}, y {part.top}-{part.bottom}, by {part.strength}: {name}"


def test_no_reference_outlives_its_look() -> None:
    """Each reference is compared, each look has one."""
    assert {path.stem for path in REFERENCES.glob("*")} == set(LOOKS)


@pytest.mark.parametrize("name", LOOKS)
def test_the_page_looks_as_somebody_saw_it(browser: Chromium, tmp_path: Path, name: str) -> None:
    """What is drawn differs from the reference by less than a word; if not, the parts that differ are named."""
    state, screen = LOOKS[name]
    page = shown(browser, STATES[state](), screen, tmp_path)
    seen = page.screenshot(tallest=6000)
    reference = REFERENCES / f"{name}.png"
    if os.environ.get("ALWRITY_DOCTOR_UPDATE_GOLDEN"):
        reference.write_bytes(reduced(seen))
        pytest.fail(f"{reference.name} was rewritten: look at it, then run without ALWRITY_DOCTOR_UPDATE_GOLDEN")
    parts, picture = differences(reference.read_bytes(), seen)
    if parts:
        (tmp_path / "seen.png").write_bytes(seen)
        (tmp_path / "difference.png").write_bytes(picture)
        told = "\n".join(described(page, part) for part in parts)
        pytest.fail(
            f"{reference.name} differs, see seen.png and difference.png in {tmp_path} ({browser.version}):\n{told}"
        )
    page.close()


def _in_another_word(report: Report) -> Report:
    first, *rest = report.results
    return replace(report, results=(replace(first, title="the signing keys are nowhere to be had"), *rest))


def _with_another_verdict(report: Report) -> Report:
    first, *rest = report.results
    return replace(report, results=(replace(first, verdict=Verdict.UNKNOWN), *rest))


@pytest.mark.parametrize(
    ("change", "where"),
    [(_in_another_word, "nowhere to be had"), (_with_another_verdict, "UNKNOWN")],
    ids=["a word", "a verdict"],
)
def test_a_difference_is_noticed_and_named(
    browser: Chromium, tmp_path: Path, change: Callable[[Report], Report], where: str
) -> None:
    """A single word or mark that changes is a difference, and the message says in which element it lies."""
    expected = shown(browser, STATES["healthy"](), Screen(), tmp_path)
    reference = reduced(expected.screenshot())
    expected.close()
    page = shown(browser, change(STATES["healthy"]()), Screen(), tmp_path)
    parts, _ = differences(reference, page.screenshot())
    assert any(where in described(page, part) for part in parts)
    page.close()


@pytest.mark.parametrize("style", ["opacity: .93", "transform: translate(.4px, .4px)"], ids=["lighter", "beside"])
def test_what_a_person_would_not_see_is_the_same(browser: Chromium, tmp_path: Path, style: str) -> None:
    """A shade lighter, or half a pixel beside, as another release of the browser may draw it, is no difference."""
    page = shown(browser, STATES["healthy"](), Screen(), tmp_path)
    reference = page.screenshot()
    page.evaluate(f"document.body.style = {style!r}")
    page.show(Screen())
    seen = page.screenshot()
    assert seen != reference
    assert differences(reference, seen)[0] == ()
    page.close()
