"""A race as a page: for each scenario the targets below each other on one axis of time. Inline SVG, no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.model import Outcome
    from alwrity_checks.startup.experiment import Played
    from alwrity_checks.startup.race import Start

__all__ = ["page", "timeline"]

_WIDTH: Final = 1120
_LEFT: Final = 170
_LANE: Final = 58
_STEPS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)
_TICKS: Final = 10
_CHARACTER: Final = 6.4
_ROWS: Final = (38, 54)
"""Where the names of a lane's marks stand: the second row is for one that would lie on another."""
_MARKS: Final = {"answered": ("answers", "#1d7a3e"), "usable": ("model usable", "#3b7dd8"),
                 "download-troubled": ("failure told", "#8e5bc0")}  # fmt: skip
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1160px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .2rem; } p { margin: .2rem 0; }
.reproduced { color: #b3261e; } .absent { color: #1d7a3e; } .unknown { color: #8a6d00; }
svg { display: block; max-width: 100%; height: auto; } text { font: 11px system-ui, sans-serif; fill: #222; }
.lane { fill: #f4f5f7; } .axis { stroke: #d5d8dd; } .deaf { fill: #c62828; } .beside { fill: #9ec3a8; }
"""


def page(played: Sequence[Played], bare: float | None) -> str:
    """Return the whole page; `bare` is when the server without models answers, in seconds."""
    scenarios = list(dict.fromkeys(one.scenario for one in played))
    body = "\n".join(
        part for scenario in scenarios for part in _chapter([one for one in played if one.scenario == scenario])
    )
    told = "" if bare is None else f" Without models the same server answers after {bare:.2f} s."
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>startup race</title><style>{_STYLE}</style></head>
<body>
<h1>startup race</h1>
<p>One server, one hub on this machine, two ways to get a model.{told} A bar is the download: red while nobody is
answered, green beside a server that answers.</p>
{body}
</body>
</html>
"""


def _chapter(played: Sequence[Played]) -> Iterator[str]:
    yield f"<h2>{escape(played[0].scenario.code)}: {escape(played[0].scenario.title)}</h2>"
    for one in played:
        yield f'<p class="{one.seen.outcome}">{escape(str(one.target))}: {escape(one.seen.message)}</p>'
    starts = [(str(one.target), one.seen.start, one.seen.outcome) for one in played if one.seen.start is not None]
    if starts:
        yield timeline(starts)


def timeline(starts: Sequence[tuple[str, Start, Outcome]]) -> str:
    """Return an SVG with a lane for each start."""
    end = max((moment.at for _, start, _ in starts for moment in start.moments), default=1.0) * 1.08
    scale = (_WIDTH - _LEFT - 110) / end
    lanes, parts = [], []
    for number, (name, start, outcome) in enumerate(starts):
        top = number * (_LANE + 6)
        lanes.append(f'<rect class="lane" x="0" y="{top}" width="{_WIDTH}" height="{_LANE}" rx="4"/>')
        parts.append(f'<text class="{outcome}" x="8" y="{top + 32}">{escape(name)}</text>')
        parts += _download(start, top, scale, end)
        parts += _marks(start, top, scale)
    height = len(starts) * (_LANE + 6)
    step = next((one for one in _STEPS if end / one <= _TICKS), _STEPS[-1])
    for number in range(int(end / step) + 1):
        x = _LEFT + number * step * scale
        lanes.append(f'<line class="axis" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height}"/>')
        parts.append(f'<text x="{x + 2:.1f}" y="{height + 12}">{number * step:g} s</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height + 18}" width="{_WIDTH}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>who answers when</title>{''.join((*lanes, *parts))}</svg>"
    )


def _download(start: Start, top: int, scale: float, end: float) -> Iterator[str]:
    """Yield the download's bar, in two colours where the server began to answer in the middle of it."""
    began, ended, answered = (start.at(event) for event in ("download-began", "download-ended", "answered"))
    if began is None:
        return
    watched = start.at("watched")
    last = ended if ended is not None else end if watched is None else watched
    turn = min(max(last if answered is None else answered, began), last)
    for kind, left, right in (("deaf", began, turn), ("beside", turn, last)):
        if right > left:
            told = f"download: {began:.2f} to {'the end' if ended is None else f'{ended:.2f} s'}"
            yield (
                f'<rect class="{kind}" x="{_LEFT + left * scale:.1f}" y="{top + 8}" '
                f'width="{max((right - left) * scale, 1):.1f}" height="16" rx="2"><title>{told}</title></rect>'
            )


def _marks(start: Start, top: int, scale: float) -> Iterator[str]:
    free = dict.fromkeys(_ROWS, 0.0)
    for at, event in sorted((at, event) for event in _MARKS if (at := start.at(event)) is not None):
        name, colour = _MARKS[event]
        x = _LEFT + at * scale
        words = f"{name}, {at:.2f} s"
        yield f'<circle cx="{x:.1f}" cy="{top + 34}" r="5" fill="{colour}"><title>{words}</title></circle>'
        length = len(words) * _CHARACTER
        left = min(x + 8, _WIDTH - length)
        row = next((row for row in _ROWS if free[row] <= left), _ROWS[-1])
        yield f'<text x="{left:.1f}" y="{top + row}" fill="{colour}">{words}</text>'
        free[row] = left + length + 8
