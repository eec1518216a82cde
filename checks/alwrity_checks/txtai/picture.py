"""The recordings as a page that explains the fault: swim lanes by thread, the faulty run above the sound one.

One file, inline SVG, no script, no network. Each object has a colour, so that a save on another object than the one
that was indexed on catches the eye.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.txtai.recorder import Mark, Recording, Span

__all__ = ["Chapter", "page", "swim_lanes"]

_WIDTH: Final = 1120
_LEFT: Final = 130
"""Pixels for the threads' names."""
_ROW: Final = 22
_LEAST: Final = 3.0
"""Pixels: a shorter span would not be seen."""
_CHARACTER: Final = 6.2
"""Pixels, of the font that is asked for."""
_COLOURS: Final = ("#3b7dd8", "#e08a1e", "#3a9d5d", "#8e5bc0", "#b8860b", "#4a9aa8")
_STEPS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_TICKS: Final = 8
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1160px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem; } h3 { font-size: 1rem; margin: 1rem 0 0; }
p { margin: .3rem 0; max-width: 60rem; } .lost { color: #b3261e; } .kept { color: #1d7a3e; }
svg { display: block; max-width: 100%; height: auto; } text { font: 11px system-ui, sans-serif; fill: #222; }
.lane { fill: #f4f5f7; } .axis { stroke: #d5d8dd; } .held { fill: url(#held); stroke: #999; stroke-dasharray: 3 2; }
.inside { fill: #fff; } .raised { stroke: #b3261e; stroke-width: 2; } .fault { fill: #b3261e; } .mark { fill: #555; }
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One scenario: what it is about, and what was recorded of it, the faulty target first."""

    title: str
    text: str
    recordings: tuple[tuple[Recording, str, bool], ...]
    """Each with what came of it in a sentence, and whether that is the fault."""


def page(title: str, introduction: str, chapters: Sequence[Chapter]) -> str:
    """Return the whole page; the recordings of a chapter share one time axis."""
    body = "\n".join(part for chapter in chapters for part in _chapter(chapter))
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(introduction)}</p>
<p>A lane is a thread, time runs to the right. A bar is a call, in the colour of the object it was made on; a hatched
bar is a wait that the experiment imposed to force the order. Point at a bar for its times.</p>
{body}
</body>
</html>
"""


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"<h2>{escape(chapter.title)}</h2>\n<p>{escape(chapter.text)}</p>"
    duration = max((recording.duration for recording, _, _ in chapter.recordings), default=0.0)
    for recording, said, faulty in chapter.recordings:
        yield f'<h3>{escape(recording.title)}</h3>\n<p class="{"lost" if faulty else "kept"}">{escape(said)}</p>'
        yield swim_lanes(recording, duration)


def swim_lanes(recording: Recording, duration: float) -> str:
    """Return an SVG of the recording on a time axis of `duration` seconds."""
    scale = (_WIDTH - _LEFT - 10) / max(duration, 1e-6)
    subjects = dict.fromkeys(span.subject for span in recording.spans if span.subject)
    colours = {subject: _COLOURS[number % len(_COLOURS)] for number, subject in enumerate(subjects)}
    parts: list[str] = []
    top = 8.0
    for thread in recording.threads:
        spans = [span for span in recording.spans if span.thread == thread]
        depths = _depths(spans)
        height = _ROW * (max(depths, default=0) + 1) + _ROW * any(mark.thread == thread for mark in recording.marks)
        parts.append(f'<rect class="lane" x="0" y="{top:.0f}" width="{_WIDTH}" height="{height}" rx="4"/>')
        parts.append(f'<text x="8" y="{top + 15:.0f}">{escape(thread)}</text>')
        parts += [_bar(span, top + depth * _ROW, scale, colours) for span, depth in zip(spans, depths, strict=True)]
        marks = [mark for mark in recording.marks if mark.thread == thread]
        parts += _marks(marks, top + height - _ROW, scale)
        top += height + 6
    axis = "".join(_axis(duration, scale, top))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {top + 22:.0f}" width="{_WIDTH}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(recording.title)}</title>"
        '<defs><pattern id="held" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" fill="#eceef1"/><line y2="6" stroke="#c3c8cf" stroke-width="2"/></pattern></defs>'
        f"{''.join(parts)}{axis}</svg>"
    )


def _depths(spans: Sequence[Span]) -> list[int]:
    """Return how many spans each one lies within; `spans` are sorted by their start, the longer one first."""
    depths: list[int] = []
    open_until: list[float] = []
    for span in spans:
        while open_until and open_until[-1] <= span.start:
            open_until.pop()
        depths.append(len(open_until))
        open_until.append(span.end)
    return depths


def _bar(span: Span, top: float, scale: float, colours: dict[str, str]) -> str:
    left, width = _LEFT + span.start * scale, max((span.end - span.start) * scale, _LEAST)
    words = f"{span.name} {span.subject}".rstrip()
    told = f"{words}: {span.start * 1e3:.1f} to {span.end * 1e3:.1f} ms" + (f", {span.error}" if span.error else "")
    style = 'class="held"' if span.held else f'fill="{colours.get(span.subject, "#7a828c")}"'
    frame = ' class="raised"' if span.error and not span.held else ""
    label = words if len(words) * _CHARACTER < width - 6 else ""
    ink = "" if span.held else ' class="inside"'
    return (
        f"<g{frame}><title>{escape(told)}</title>"
        f'<rect {style} x="{left:.1f}" y="{top + 3:.1f}" width="{width:.1f}" height="{_ROW - 6}" rx="2"/>'
        + (f'<text{ink} x="{left + 4:.1f}" y="{top + 15:.1f}">{escape(label)}</text>' if label else "")
        + "</g>"
    )


def _marks(marks: Sequence[Mark], top: float, scale: float) -> Iterator[str]:
    """Yield a flag for each mark; its words only where there is room since the last ones."""
    free = 0.0
    for mark in marks:
        x = _LEFT + mark.at * scale
        kind = "fault" if mark.fault else "mark"
        told = f"{mark.name}: {mark.at * 1e3:.1f} ms"
        yield f'<g><title>{escape(told)}</title><circle class="{kind}" cx="{x:.1f}" cy="{top + 11:.1f}" r="4"/>'
        length = len(mark.name) * _CHARACTER + 14
        # At the right end the words stand before their flag.
        start = x + 7 if x + length < _WIDTH else x - length
        if start >= free:
            yield f'<text class="{kind}" x="{start:.1f}" y="{top + 15:.1f}">{escape(mark.name)}</text>'
            free = start + length
        yield "</g>"


def _axis(duration: float, scale: float, top: float) -> Iterator[str]:
    step = next((one for one in _STEPS if duration / one <= _TICKS), _STEPS[-1])
    for number in range(int(duration / step) + 1):
        x = _LEFT + number * step * scale
        yield f'<line class="axis" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{top:.0f}"/>'
        yield f'<text x="{x + 2:.1f}" y="{top + 14:.0f}">{number * step * 1e3:g} ms</text>'
