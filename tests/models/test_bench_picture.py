"""Memory over time, drawn: well-formed, true to scale, and harmless whatever a name holds."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from alwrity_checks.models.bench_figures import Failure, Mark, Sample
from alwrity_checks.models.bench_picture import drawing, page, sparkline
from tests.support.models_bench import MEBI, bench, result

_EVIL = 'o/<script>alert("1")</script>&'


def test_a_line_of_characters_is_true_to_scale() -> None:
    """Each column shows the greatest sample in it; a full block is the greatest of all cases."""
    samples = [Sample(0.0, 100), Sample(1.0, 400), Sample(1.1, 800), Sample(3.0, 50), Sample(4.0, 400)]
    assert sparkline(samples, 4, 800) == "▂██▅"
    assert len(sparkline(samples, 40, 800)) == 40
    assert sparkline(samples, 4, 800)[1] == "█"
    assert sparkline(samples, 4, 8000)[1] == "▁"


def test_time_between_samples_is_filled() -> None:
    """Memory that was held is drawn as held, not as gone."""
    assert sparkline([Sample(0.0, 800), Sample(10.0, 400)], 5, 800) == "████▅"
    assert sparkline([], 5, 800) == ""
    assert sparkline([Sample(0.0, 1)], 5, 0) == ""


def test_a_drawing_is_well_formed_svg() -> None:
    """Areas, phases with their times, and the kernel's peak."""
    text = drawing(result(), 1500 * MEBI)
    root = ET.fromstring(text)  # noqa: S314 - our own text
    names = {"{http://www.w3.org/2000/svg}" + name for name in ("path", "line", "text", "title")}
    assert names <= {one.tag for one in root.iter()}
    words = [one.text for one in root.iter() if one.text]
    assert "peak 1,500 MiB" in words
    assert "load: 0.50 s" in words


def test_what_is_twice_as_heavy_is_twice_as_high() -> None:
    """All drawings share one axis, so the peak lines can be compared across them."""

    def height(peak: int) -> float:
        one = result(usages=(), samples=(Sample(0.0, peak * MEBI), Sample(1.0, peak * MEBI)))
        root = ET.fromstring(drawing(one, 2000 * MEBI))  # noqa: S314 - our own text
        (area,) = (one for one in root.iter() if one.get("class") == "resident")
        ys = [float(part.split("V")[1].split("H")[0]) for part in (area.get("d") or "").split("Z")[0].split("H")[1:]]
        return max(ys) - min(ys)

    assert height(2000) == pytest.approx(2 * height(1000), abs=0.2)


def test_samples_without_parts_are_drawn() -> None:
    """Where a system does not tell what is anonymous, the resident area stands alone."""
    text = drawing(result(samples=(Sample(0.0, 5 * MEBI), Sample(1.0, 9 * MEBI))), 10 * MEBI)
    assert 'class="resident"' in text
    assert 'class="anonymous"' not in text


def test_many_phases_at_once_do_not_overprint() -> None:
    """A name without room is left out; its times can still be pointed at."""
    marks = tuple(Mark(number / 1000, f"phase number {number}") for number in range(9))
    text = drawing(result(marks=marks), 1500 * MEBI)
    assert text.count("<title>phase number") == 9
    assert text.count(">phase number") < 2 * 9


def test_a_page_holds_every_case_and_what_came_of_it() -> None:
    """One that failed has its reason; one without samples has no drawing, and the page is whole."""
    lost = result("o/lost", samples=(), usages=(), answers=(), failure=Failure("r", "killed <here>", "", "load"))
    text = page(bench(result(), lost), "models bench")
    assert text.count("<svg") == 1
    assert "killed &lt;here&gt;" in text
    assert "50%" in text


def test_a_page_obeys_nobody() -> None:
    """A model's name with markup is text; the page loads and runs nothing."""
    text = page(bench(result(_EVIL)), _EVIL)
    seen: list[str] = []

    class _Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            assert not any(name.startswith("on") or name in {"href", "src"} for name, _ in attrs)

    _Tags().feed(text)
    assert "svg" in seen
    assert "script" not in seen
