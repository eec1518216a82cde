"""A start as a page: the way of the start on top, below it what each thread was at. Inline SVG, no script, no network.

And as a Chrome trace, for Perfetto.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.startup.trace_lanes import merged
from alwrity_checks.startup.trace_phases import Phase
from alwrity_checks.startup.trace_stacks import short_stack

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult
    from alwrity_checks.startup.trace_analysis import Analysis
    from alwrity_checks.startup.trace_lanes import Interval

__all__ = ["chrome_trace", "page", "timeline"]

_WIDTH: Final = 1120
_LEFT: Final = 190
_ROW: Final = 26
_LEAST: Final = 0.5
"""Pixels: what is narrower is not drawn, or a page would have as many bars as samples."""
_CHARACTER: Final = 6.2
_MOST_LANES: Final = 24
_STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 600.0)
_TICKS: Final = 9
_COLOURS: Final = {
    Phase.INTERPRETER: "#9aa5b1",
    Phase.IMPORTS: "#3b7dd8",
    Phase.DOWNLOAD: "#c62828",
    Phase.RETRIES: "#8e1b1b",
    Phase.NETWORK: "#e08a1e",
    Phase.DNS: "#b8860b",
    Phase.SLEEP: "#d1597a",
    Phase.CHILD: "#8e5bc0",
    Phase.MODEL: "#4a9aa8",
    Phase.DISK: "#6d8b3c",
    Phase.WAIT: "#e6e8eb",
    Phase.OTHER: "#3a9d5d",
    Phase.UNSEEN: "#ffffff",
}
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1160px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: .8em; height: .8em; border: 1px solid #bbb; margin-right: .5em; }
.fail { color: #b3261e; } pre { background: #f4f5f7; padding: .6rem; overflow-x: auto; font-size: 12px; }
svg { display: block; max-width: 100%; height: auto; } text { font: 11px system-ui, sans-serif; fill: #222; }
.lane { fill: #f4f5f7; } .axis { stroke: #d5d8dd; } .inside { fill: #fff; } .moment { stroke: #1d7a3e; }
.told { fill: #1d7a3e; }
"""


def page(analysis: Analysis, results: Sequence[CheckResult]) -> str:
    """Return the whole page."""
    findings = "\n".join(
        f'<p class="fail">{escape(finding.rule.code)}: {escape(finding.message)}</p>'
        + "".join(f"<pre>{escape(one.value)}</pre>" for one in finding.evidence if one.label == "stack")
        for result in results
        for finding in result.findings
    )
    title = f"The start of {analysis.recorded.program}"
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(_summary(analysis))}</p>
{findings}
<h2>Over time</h2>
<p>The first lane is what the start waited for, the others are all threads. Point at a bar for its stack.</p>
{timeline(analysis)}
<h2>What the time went on</h2>
<table><tr><th>phase</th><th>seconds</th><th>share</th><th>most of it</th></tr>
{"".join(_rows(analysis))}
</table>
</body>
</html>
"""


def _summary(analysis: Analysis) -> str:
    listened = f"it listened after {analysis.listened:.2f} s" if analysis.listened is not None else "it never listened"
    if analysis.answered is not None:
        return f"{listened} and answered after {analysis.answered:.2f} s."
    return f"{listened} and did not answer in {analysis.seconds:.2f} s."


def _rows(analysis: Analysis) -> Iterator[str]:
    for phase, seconds in sorted(analysis.totals.items(), key=lambda one: -one[1]):
        most = ", ".join(f"{subject} {spent:.2f} s" for subject, spent in analysis.subjects(phase)[:4])
        yield (
            f'<tr><td><span class="key" style="background:{_COLOURS[phase]}"></span>{escape(phase)}</td>'
            f'<td class="number">{seconds:.2f}</td><td class="number">{seconds / (analysis.seconds or 1):.0%}</td>'
            f"<td>{escape(most)}</td></tr>\n"
        )


def timeline(analysis: Analysis) -> str:
    """Return the SVG."""
    began = analysis.recorded.began
    scale = (_WIDTH - _LEFT - 10) / max(analysis.seconds, 1e-6)
    parts: list[str] = []
    top = 22.0
    for name, intervals in _lanes(analysis):
        parts.append(f'<rect class="lane" x="0" y="{top:.0f}" width="{_WIDTH}" height="{_ROW}" rx="4"/>')
        parts.append(f'<text x="8" y="{top + 17:.0f}">{escape(name[:30])}</text>')
        parts += [bar for one in intervals for bar in _bar(one, began, top, scale)]
        top += _ROW + 4
    parts += _axis(analysis.seconds, scale, top)
    for told, at in (("listens", analysis.listened), ("answers", analysis.answered)):
        if at is not None:
            x = _LEFT + at * scale
            # The words stand before the line: both moments are near the right end.
            anchor, row = ("end", 10) if told == "listens" else ("end", 20)
            parts.append(f'<line class="moment" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{top:.0f}"/>')
            parts.append(f'<text class="told" x="{x - 4:.1f}" y="{row}" text-anchor="{anchor}">{told}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {top + 22:.0f}" width="{_WIDTH}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(analysis.recorded.program)}</title>{''.join(parts)}</svg>"
    )


def _lanes(analysis: Analysis) -> list[tuple[str, Sequence[Interval]]]:
    """Return the lanes with their names: the way, then the threads that did most beside waiting."""
    lanes = [
        (f"{one.process.pid} {one.process.name_of(thread)}", intervals)
        for one in analysis.lanes
        for thread, intervals in one.intervals.items()
    ]

    def busy(lane: tuple[str, Sequence[Interval]]) -> float:
        return sum(one.seconds for one in lane[1] if one.phase is not Phase.WAIT)

    return [("the start's way", analysis.path), *sorted(lanes, key=busy, reverse=True)[:_MOST_LANES]]


def _bar(one: Interval, began: float, top: float, scale: float) -> Iterator[str]:
    left, width = _LEFT + (one.start - began) * scale, one.seconds * scale
    if width < _LEAST:
        return
    words = f"{one.phase}: {one.subject}" if one.subject else str(one.phase)
    behalf = f", on the thread {one.thread}" if one.on_behalf else ""
    told = f"{words}{behalf}, {one.start - began:.2f} to {one.end - began:.2f} s\n{short_stack(one)}"
    label = next((text for text in (words, one.subject) if text and len(text) * _CHARACTER < width - 6), "")
    dark = one.phase not in {Phase.WAIT, Phase.UNSEEN}
    yield (
        f'<g><title>{escape(told)}</title><rect fill="{_COLOURS[one.phase]}" x="{left:.1f}" y="{top + 3:.1f}" '
        f'width="{width:.1f}" height="{_ROW - 6}"/>'
    )
    if label:
        ink = ' class="inside"' if dark else ""
        yield f'<text{ink} x="{left + 4:.1f}" y="{top + 17:.1f}">{escape(label)}</text>'
    yield "</g>"


def _axis(duration: float, scale: float, top: float) -> list[str]:
    step = next((one for one in _STEPS if duration / one <= _TICKS), _STEPS[-1])
    parts = []
    for number in range(int(duration / step) + 1):
        x = _LEFT + number * step * scale
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="22" x2="{x:.1f}" y2="{top:.0f}"/>')
        parts.append(f'<text x="{x + 2:.1f}" y="{top + 14:.0f}">{number * step:g} s</text>')
    return parts


def chrome_trace(analysis: Analysis) -> dict[str, Any]:
    """Return the start in Chrome's trace event format, times in microseconds from the command's start."""
    began = analysis.recorded.began
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": 0, "tid": 0, "args": {"name": "the start's way"}}
    ]
    events += [_complete(one, began, 0, 0) for one in analysis.path]
    for lanes in analysis.lanes:
        process = lanes.process
        for thread, intervals in lanes.intervals.items():
            name = {"name": process.name_of(thread)}
            events.append({"ph": "M", "name": "thread_name", "pid": process.pid, "tid": thread, "args": name})
            events += [_complete(one, began, process.pid, thread) for one in merged(intervals)]
    for told, at in (("listens", analysis.listened), ("answers", analysis.answered)):
        if at is not None:
            events.append({"ph": "i", "s": "g", "name": told, "pid": 0, "tid": 0, "ts": round(at * 1e6)})
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _complete(one: Interval, began: float, pid: int, thread: int) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": f"{one.phase}: {one.subject}" if one.subject else str(one.phase),
        "cat": str(one.phase),
        "pid": pid,
        "tid": thread,
        "ts": round((one.start - began) * 1e6),
        "dur": round(one.seconds * 1e6),
        "args": {"stack": short_stack(one)},
    }
