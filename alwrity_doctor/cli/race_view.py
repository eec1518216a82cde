"""What `txtai race` shows beside its report: what was counted, what happened when, and the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Outcome
from alwrity_checks.picture_parts import side_by_side
from alwrity_checks.txtai.picture import Chapter
from alwrity_checks.txtai.pictured import TELLING
from alwrity_checks.txtai.rules import rule
from alwrity_checks.txtai.scenarios.scenario import OVER, RESTARTED
from alwrity_doctor.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alwrity_checks.model import Table
    from alwrity_checks.txtai.experiment import Played
    from alwrity_checks.txtai.recorder import Recording
    from alwrity_doctor.report.page import Styled

__all__ = ["chapters", "counts", "recordings", "timelines"]

_LINES: Final = 14
"""Of a timeline in the terminal."""
_MOMENT: Final = 9
_THREAD: Final = 16
_WRITES: Final = frozenset({"index", "upsert", "save"})
_CONTAINERS: Final = _WRITES | {"applying", "loading", "saving"}
"""Steps whose inner calls say nothing new."""


def counts(played: Sequence[Played]) -> Table:
    """Return how often each fault showed in each target, and what was found of the accepted documents."""
    from alwrity_checks.model import Table

    scenarios = {one.scenario.code: one.scenario for one in played}
    targets = tuple(dict.fromkeys(str(one.target) for one in played))
    cells = {(one.scenario.code, str(one.target)): _cell(one) for one in played}
    rows = tuple(
        (f"{code} {scenario.name}", *(cells.get((code, target), "not played") for target in targets))
        for code, scenario in sorted(scenarios.items())
    )
    return Table("How often the fault showed; documents accepted > found after a restart", ("fault", *targets), rows)


def timelines(played: Sequence[Played], *, colour: bool, width: int) -> str:
    """Return the telling runs in time, for a terminal of `width` columns."""
    page = Page(colour=colour, width=width)
    for one in _faulty_and_sound(played, TELLING):
        _timeline(page, one)
    return page.text()


def _cell(played: Played) -> str:
    if played.telling.outcome is Outcome.UNKNOWN:
        return "unknown"
    counted = f"  {played.accepted}>{played.found}" if played.accepted else ""
    return f"{played.reproduced}/{len(played.trials)}{counted}"


def _timeline(page: Page, played: Played) -> None:
    recording = played.telling.recording
    if recording is None:
        return
    page.heading(f"{recording.title}, in time: {played.telling.message}")
    rows = sorted(_rows(recording), key=lambda row: row[0])
    page.columns(
        [
            ((f"{at * 1e3:7.1f} ms",), (thread[:_THREAD].ljust(_THREAD), "  ", *parts))
            for at, thread, parts in rows[:_LINES]
        ],
        first=_MOMENT + 1,
    )
    if len(rows) > _LINES:
        page.line(f"and {len(rows) - _LINES} more: --html FILE shows them", indent=2)


def _rows(recording: Recording) -> Iterator[tuple[float, str, tuple[str | Styled, ...]]]:
    """Yield when, on which thread, and what, until the calls were over; then what a restart found."""
    end = next((mark.at for mark in recording.marks if mark.name.startswith(OVER)), recording.duration)
    for span in recording.spans:
        within = {
            other.name
            for other in recording.spans
            if other is not span and other.thread == span.thread and other.start <= span.start and span.end <= other.end
        }
        if span.start > end or (within and not span.held and (span.name not in _WRITES or within & _CONTAINERS)):
            continue
        took = f"{(span.end - span.start) * 1e3:.1f} ms"
        what = span.name if span.held or not span.subject else f"{span.name} on {span.subject}"
        failed: tuple[Styled, ...] = ((f", {span.error}", "red"),) if span.error else ()
        yield span.start, span.thread, ((f"{what}, {took}", "dim" if span.held else ""), *failed)
    for mark in recording.marks:
        if mark.fault or mark.name.startswith((OVER, RESTARTED)):
            yield mark.at, mark.thread, ((mark.name, "bold red" if mark.fault else "bold"),)


def _faulty_and_sound(played: Sequence[Played], code: str) -> list[Played]:
    """Return the recorded runs of a rule's scenario that are shown, the faulty above the sound."""
    of_rule = [one for one in played if one.scenario.code == code and one.telling.recording]
    return [one for _, one in side_by_side((one.observation, one) for one in of_rule)]


def chapters(played: Sequence[Played]) -> list[Chapter]:
    """Return the page's chapters, one for each rule with a recording; the one that explains most comes first."""
    codes = sorted({one.scenario.code for one in played}, key=lambda code: (code != TELLING, code))
    made = []
    for code in codes:
        runs = _faulty_and_sound(played, code)
        told = tuple(
            (recording, one.telling.message, one.telling.outcome is Outcome.REPRODUCED)
            for one in runs
            if (recording := one.telling.recording)
        )
        if told:
            text = f"{' '.join(rule(code).explanation.split())} The experiment: {runs[0].scenario.title}."
            made.append(Chapter(f"{code}: {rule(code).title}", text, told))
    return made


def recordings(played: Sequence[Played]) -> list[Recording]:
    """Return what the trace holds: for each rule the faulty run, then the sound one."""
    from dataclasses import replace

    return [
        replace(recording, title=f"{one.scenario.code} {one.scenario.name}: {recording.title}")
        for code in sorted({one.scenario.code for one in played})
        for one in _faulty_and_sound(played, code)
        if (recording := one.telling.recording)
    ]
