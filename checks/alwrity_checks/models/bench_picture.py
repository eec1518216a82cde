"""Memory over time: as a page with one drawing a case, and as a line of characters for a terminal.

One file, inline SVG, no script, no network. All cases share one axis of memory, so that what is heavy looks heavy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.bench_figures import Bench, Mark, Result, Sample

if TYPE_CHECKING:
    from alwrity_checks.models.bench_figures import Spread

__all__ = ["drawing", "page", "sparkline"]

_WIDTH: Final = 1120
_HEIGHT: Final = 220
_LEFT: Final = 70
_TOP: Final = 26
_BOTTOM: Final = 24
_CHARACTER: Final = 6.2
"""Pixels, of the font that is asked for."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_MEBI: Final = 1 << 20
_STEPS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
_TICKS: Final = 12
_LINES: Final = 4
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1160px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .2rem; }
p { margin: .3rem 0; max-width: 60rem; } .lost { color: #b3261e; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .15rem .8rem .15rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; } th { border-bottom: 1px solid #999; font-weight: 600; }
svg { display: block; max-width: 100%; height: auto; } text { font: 11px system-ui, sans-serif; fill: #222; }
.resident { fill: #9dbfe8; } .anonymous { fill: #3b6fb5; } .axis { stroke: #d5d8dd; } .peak { stroke: #b3261e;
stroke-dasharray: 5 4; } .phase { stroke: #777; stroke-dasharray: 2 3; } .end { text-anchor: end; }
"""


def sparkline(samples: Sequence[Sample], width: int, most: int) -> str:
    """Return the resident memory over time as `width` characters, of which `most` bytes are a full one.

    Empty without samples.
    """
    if not samples or most <= 0:
        return ""
    last = samples[-1].at or 1.0
    columns = [0] * width
    for sample in samples:
        column = min(width - 1, int(sample.at / last * width))
        columns[column] = max(columns[column], sample.resident)
    # A column between two samples holds what the one before it did.
    held = 0
    for number, value in enumerate(columns):
        held = value or held
        columns[number] = held
    return "".join(" " if not value else _BARS[min(len(_BARS) - 1, value * len(_BARS) // most)] for value in columns)


def page(bench: Bench, title: str) -> str:
    """Return the whole page."""
    most = max((one.peak_rss or 0 for one in bench.results), default=0)
    body = "\n".join(part for result in bench.results for part in _chapter(result, most))
    kind = "random weights in the published shapes" if bench.synthetic else "the models' own weights"
    work = bench.workload
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>Measured {escape(bench.started)} on {escape(bench.surroundings.processor)}, {bench.surroundings.threads} processors,
with {kind}: prompts of {work.prompt_tokens} tokens, answers of {work.new_tokens}, {work.repetitions} repetitions.</p>
<p>The light area is the resident memory, the dark one the part of it that cannot be given back (anonymous); between
them lie mapped files. The dashed line is the peak as the kernel counts it: samples miss short ones. A vertical line
begins a phase. All drawings share one axis of memory.</p>
{_table(bench)}
{body}
</body>
</html>
"""


def _table(bench: Bench) -> str:
    heads = ("case", "peak, MiB", "anonymous, MiB", "first token, s", "tokens/s", "of the bandwidth's limit")
    rows = []
    for one in bench.results:
        fraction = bench.fraction(one)
        rows.append(
            (
                str(one.case),
                _mebi(one.peak_rss),
                _mebi(one.peak_anonymous),
                _median(one.time_to_first_token),
                _median(one.decode),
                "" if fraction is None else f"{fraction:.0%}",
            )
        )
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>\n{lines}</table>"


def _mebi(value: int | None) -> str:
    return "" if value is None else f"{value / _MEBI:,.0f}"


def _median(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{spread.median:,.0f}" if spread.median >= 100 else f"{spread.median:.3g}"  # noqa: PLR2004 - three digits


def _chapter(result: Result, most: int) -> Iterator[str]:
    yield f"<h2>{escape(str(result.case))}</h2>"
    if result.failure is not None:
        yield f'<p class="lost">{escape(result.failure.diagnosis)}</p>'
    if result.samples:
        yield drawing(result, most)


def drawing(result: Result, most: int) -> str:
    """Return an SVG of a result's memory over time, on an axis of `most` bytes."""
    duration = max((one.at for one in result.samples), default=0.0) or 1.0
    top = _rounded(max(most, result.peak_rss or 0, *(one.resident for one in result.samples), 1))
    across, up = (_WIDTH - _LEFT - 10) / duration, (_HEIGHT - _TOP - _BOTTOM) / top
    floor = _HEIGHT - _BOTTOM
    parts = [
        *_axes(duration, top, across, up),
        _area("resident", [(one.at, one.resident) for one in result.samples], across, up),
        _area("anonymous", [(s.at, s.anonymous) for s in result.samples if s.anonymous is not None], across, up),
        *_phases(result.marks, duration, across),
    ]
    if result.peak_rss is not None:
        y = floor - result.peak_rss * up
        told = f"peak {result.peak_rss / _MEBI:,.0f} MiB"
        parts.append(f'<line class="peak" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 10}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{_WIDTH - 12}" y="{y + 13:.1f}">{escape(told)}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(str(result.case))}</title>{''.join(parts)}</svg>"
    )


def _rounded(value: int) -> int:
    """Return the next full step of an axis above `value` bytes."""
    unit = 1 << max(20, math.ceil(math.log2(value)) - 3)
    return -(-value // unit) * unit


def _area(kind: str, points: Sequence[tuple[float, int]], across: float, up: float) -> str:
    if not points:
        return ""
    floor = _HEIGHT - _BOTTOM
    # In steps: memory is held until the next sample says otherwise.
    line = f"M{_LEFT + points[0][0] * across:.1f} {floor}"
    for at, value in points:
        line += f"H{_LEFT + at * across:.1f}V{floor - value * up:.1f}"
    return f'<path class="{kind}" d="{line}V{floor}Z"/>'


def _phases(marks: Sequence[Mark], duration: float, across: float) -> Iterator[str]:
    """Yield a line where each phase begins; its name only where there is room since the last one."""
    free = 0.0
    for mark, following in pairwise((*marks, Mark(duration, ""))):
        x = _LEFT + mark.at * across
        told = f"{mark.phase}: {following.at - mark.at:.2f} s"
        yield f'<g><title>{escape(told)}</title><line class="phase" x1="{x:.1f}" y1="14" x2="{x:.1f}" '
        yield f'y2="{_HEIGHT - _BOTTOM}"/>'
        length = len(told) * _CHARACTER
        start = min(x + 3, _WIDTH - length)
        if start >= free:
            yield f'<text x="{start:.1f}" y="12">{escape(told)}</text>'
            free = start + length + 4
        yield "</g>"


def _axes(duration: float, top: int, across: float, up: float) -> Iterator[str]:
    floor = _HEIGHT - _BOTTOM
    for number in range(_LINES + 1):
        value = top * number / _LINES
        y = floor - value * up
        yield f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 10}" y2="{y:.1f}"/>'
        yield f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{value / _MEBI:,.0f} MiB</text>'
    step = next((one for one in _STEPS if duration / one <= _TICKS), _STEPS[-1])
    for number in range(int(duration / step) + 1):
        x = _LEFT + number * step * across
        told = f"{number * step:g} s"
        yield f'<text x="{min(x, _WIDTH - len(told) * _CHARACTER):.1f}" y="{_HEIGHT - 8}">{told}</text>'
