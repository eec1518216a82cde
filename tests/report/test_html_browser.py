"""The page in a real Chromium: it asks for nothing, nobody complains, and it works by hand and by keyboard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from alwrity_doctor.report import render
from tests.support.chromium import WITHOUT, Chromium, Page, Screen
from tests.support.page_states import STATES
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alwrity_checks.model import Report

pytestmark = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)

AXE: Final = Path(sys.prefix, "axe", "axe_playwright_python", "axe.min.js")
"""Deque's axe-core as it comes with the wheel of axe-playwright-python, which is there without its dependencies."""
PAGES: Final = (*STATES, "hostile")
SCREENS: Final[Mapping[str, Screen]] = {
    "light": Screen(),
    "dark": Screen(dark=True),
    "phone": Screen(390),
    "forced colours": Screen(forced_colours=True),
}
LOOKS: Final = (
    *((name, screen) for name in STATES for screen in ("light", "dark")),
    ("failing", "phone"),
    ("failing", "forced colours"),
    ("hostile", "light"),
)
"""Which page is looked at on which screen."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Run one browser for all tests of this file."""
    with Chromium(tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the file of each page."""
    directory = tmp_path_factory.mktemp("pages")
    made: dict[str, Path] = {}
    for name in PAGES:
        report: Report = STATES[name]() if name in STATES else shared_report()
        made[name] = directory / f"{name}.html"
        made[name].write_text(render(report, "html"), encoding="utf-8")
    return made


def texts(page: Page, selector: str) -> list[str]:
    """Return the text of every visible element that matches."""
    found: list[str] = page.evaluate(
        f"[...document.querySelectorAll({selector!r})].filter(one => one.checkVisibility())"
        ".map(one => one.textContent.trim())"
    )
    return found


def open_all(page: Page) -> None:
    """Open whatever can be opened."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")


def click(page: Page, selector: str) -> None:
    """Click in the middle of the first element that matches, as a mouse does."""
    place: list[float] = page.evaluate(
        "(one => { one.scrollIntoView({block: 'center', behavior: 'instant'}); const box = one.getBoundingClientRect();"
        f" return [box.x + box.width / 2, box.y + box.height / 2]; }})(document.querySelector({selector!r}))"
    )
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)


def await_that(page: Page, condition: str) -> None:
    """Wait until an expression is true, as it becomes when the page has answered to an event."""
    page.evaluate(
        f"new Promise(done => {{ const look = () => {condition} ? done(0) : setTimeout(look, 10); look(); }})"
    )


def write(page: Page, selector: str, words: str) -> None:
    """Click into a field and type."""
    click(page, selector)
    page.call("Input.insertText", text=words)


@pytest.mark.parametrize(("name", "screen"), LOOKS)
def test_nothing_is_asked_for_and_nobody_complains(
    browser: Chromium, pages: Mapping[str, Path], name: str, screen: str
) -> None:
    """Opened wholly, the page asks for nothing, and neither the browser nor axe-core with all its rules complains."""
    page = browser.open(pages[name], SCREENS[screen])
    open_all(page)
    page.show(SCREENS[screen])
    assert page.requests == [page.url]
    assert page.complaints == []
    if not AXE.exists():
        pytest.skip(f"{AXE} is missing, so that nobody looked whether all can read the page: make test installs it")
    page.evaluate(f"{AXE.read_text(encoding='utf-8')};0")
    result: dict[str, Any] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(found => ({passes: found.passes.length,"
        " violations: found.violations.map(one => [one.id, one.help, one.nodes.slice(0, 3).map(node => node.html)])}))"
    )
    assert result["violations"] == []
    assert result["passes"] > 30
    page.close()


def test_the_instruments_notice(browser: Chromium, tmp_path: Path) -> None:
    """A page that asks, complains and has no language is noticed for each of the three: the tests above can fail."""
    loud = tmp_path / "loud.html"
    other = tmp_path / "other.css"
    other.touch()
    loud.write_text(
        f'<title>x</title><link rel="stylesheet" href="{other.as_uri()}">'
        "<script>console.log('hello'); setTimeout(() => { throw new Error('late') })</script>",
        encoding="utf-8",
    )
    page = browser.open(loud)
    assert other.as_uri() in page.requests
    assert any("hello" in one for one in page.complaints)
    assert any("late" in one for one in page.complaints)
    if AXE.exists():
        page.evaluate(f"{AXE.read_text(encoding='utf-8')};0")
        assert "html-has-lang" in page.evaluate("axe.run().then(found => found.violations.map(one => one.id))")
    page.close()


def test_what_is_smuggled_in_does_not_run(browser: Chromium, pages: Mapping[str, Path], tmp_path: Path) -> None:
    """Were markup to get into the page after all, the policy would keep it from running, looking and asking."""
    text = pages["failing"].read_text(encoding="utf-8")
    wanted = tmp_path / "wanted.png"
    wanted.touch()
    smuggled = (
        f'<script>document.title = "taken"</script><style>h1 {{ display: none }}</style><img src="{wanted.as_uri()}">'
        '<h2 id="odd" style="color: red" onclick="document.title = 1">odd</h2>'
    )
    tainted = tmp_path / "tainted.html"
    tainted.write_text(text.replace("</main>", f"{smuggled}</main>"), encoding="utf-8")
    page = browser.open(tainted)
    page.evaluate("document.getElementById('odd').click()")
    assert page.evaluate("document.title").startswith("FAIL")
    assert page.evaluate("document.querySelector('h1').checkVisibility()")
    assert not page.evaluate("document.querySelector('img').naturalWidth")
    assert len([one for one in page.complaints if "Content Security Policy" in one]) >= 4
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_only_tables_and_drawings_scroll_sideways(browser: Chromium, pages: Mapping[str, Path], name: str) -> None:
    """At every width from a small phone on the page fits: what is wider scrolls within itself."""
    page = browser.open(pages[name])
    open_all(page)
    for width in (320, 390, 768, 1100, 1600):
        page.show(Screen(width))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_a_column_is_sorted_by_keyboard(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """Enter on a head sorts: durations as durations and not as text, up first, then down; the head says which."""
    page = browser.open(pages["healthy"])
    page.evaluate("[...document.querySelectorAll('thead button')].find(one => one.textContent === 'duration').focus()")
    column = "tbody tr td:last-child"
    page.press("Enter", 13, "\r")
    assert texts(page, column) == ["2 ms", "41 ms", "84 ms", "120 ms", "310 ms", "1.4 s", ""]
    assert page.evaluate("document.activeElement.parentElement.ariaSort") == "ascending"
    page.press("Enter", 13, "\r")
    assert texts(page, column) == ["", "1.4 s", "310 ms", "120 ms", "84 ms", "41 ms", "2 ms"]
    assert page.evaluate("document.activeElement.parentElement.ariaSort") == "descending"
    page.close()


def test_rows_are_filtered_and_counted_aloud(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """Of 460 places those stay that hold what was typed, and a status says how many."""
    page = browser.open(pages["unknown"])
    assert len(texts(page, ".tall tbody tr")) == 460 + 40
    write(page, ".warn .filter input", "MODULE_40.py")
    assert len(texts(page, ".warn tbody tr")) == 11
    assert texts(page, ".warn .filter [role=status]") == ["11 of 460 rows"]
    page.close()


def test_broken_rules_are_found_by_word_and_weight(browser: Chromium, tmp_path: Path) -> None:
    """With many broken rules a search and three switches say which are shown; all can be opened and closed at once."""
    from dataclasses import replace

    from alwrity_checks.catalogue import rules
    from alwrity_checks.model import CheckResult, Finding, Verdict

    many = [rule for rule in rules().values() if rule.code.startswith("AUTH")][:20]
    results = tuple(
        CheckResult(rule.code, rule.title, 1, Verdict.FAIL, (Finding(rule, f"seen of {rule.code}"),)) for rule in many
    )
    path = tmp_path / "many.html"
    path.write_text(render(replace(STATES["healthy"](), results=results), "html"), encoding="utf-8")
    page = browser.open(path)
    assert len(texts(page, ".finding")) == 20
    assert page.evaluate("document.querySelectorAll('.finding > details[open]').length") == 1
    click(page, "[data-all=open]")
    assert page.evaluate("document.querySelectorAll('.finding > details[open]').length") == 20
    click(page, "[data-kind=fail]")
    weights = {rule.code: rule.severity for rule in many}
    left = len([code for code in weights if weights[code] != "error"])
    assert len(texts(page, ".finding")) == left
    assert texts(page, ".tools [role=status]") == [f"{left} of 20 shown below"]
    click(page, "[data-kind=fail]")
    write(page, ".tools input", f"seen of {many[3].code.lower()}")
    assert [one.split()[1] for one in texts(page, ".finding h3")] == [many[3].code]
    page.close()


def test_a_command_is_copied_whole(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """The button puts the command into the clipboard, and says so to those who look and to those who listen."""
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page = browser.open(pages["failing"])
    page.evaluate(
        "globalThis.said = []; new MutationObserver(seen => said.push(seen[0].target.textContent))"
        ".observe(document.querySelector('.command button'), {childList: true})"
    )
    click(page, ".command button")
    await_that(page, "said.length")
    assert page.evaluate("said[0]") == "Copied"
    command = texts(page, ".command code")[0]
    assert page.evaluate("navigator.clipboard.readText()") == command
    assert texts(page, "footer [role=status]") == [f"Copied: {command}"]
    page.close()


def test_a_link_opens_what_it_leads_to(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """Whoever follows a cause to its finding sees it open, and in view."""
    page = browser.open(pages["failing"])
    page.evaluate("document.querySelectorAll('.finding > details').forEach(one => { one.open = false; })")
    click(page, ".chain li a")
    target = "document.querySelector('.finding:target')"
    await_that(page, f"{target}?.querySelector('details').open")
    assert 0 <= page.evaluate(f"{target}.getBoundingClientRect().top") < 800
    page.close()


def test_the_first_key_leads_past_the_top(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """Tab reaches a link to the content first; every further stop can be seen, has a name, and is passed but once."""
    page = browser.open(pages["failing"])
    stops: list[str] = []
    for _ in range(300):
        page.press("Tab", 9)
        if page.evaluate("document.activeElement === document.body"):
            break
        assert page.evaluate("document.activeElement.checkVisibility()")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        stops.append(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent"))
    assert stops[0] == "To the content"
    assert 20 < len(stops) < 300
    assert all(stops)
    page.close()


def test_paper_gets_what_is_folded_and_nothing_to_press(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """In print folded parts are told, no copy button stands about, and 25 rows stand for 460."""
    page = browser.open(pages["unknown"], Screen(760, media="print"))
    assert texts(page, ".command button, .tools, .filter, nav") == []
    assert len(texts(page, ".warn .places tbody tr")) == 25
    assert texts(page, ".warn .printed") == ["Printed: 25 of 460 rows. The file holds all."]
    folded = "document.querySelector('.finding details:not([open]) p').getBoundingClientRect().height"
    assert page.evaluate(folded) > 0
    assert page.evaluate("document.querySelector('thead th').getBoundingClientRect().height") > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 760
    page.close()


def test_without_scripts_all_is_there_and_nothing_dead(browser: Chromium, pages: Mapping[str, Path]) -> None:
    """Where scripts are switched off the page tells the same, without a button that does nothing."""
    page = browser.open(pages["failing"])
    told = page.evaluate("document.querySelector('main').textContent.length")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.go("Page.reload")
    assert texts(page, "button, input") == []
    assert page.evaluate("document.querySelector('main').textContent.length") == told
    page.close()
