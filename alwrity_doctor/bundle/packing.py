"""What goes into a bundle, file by file, everything through the one door."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import LocationKind
from alwrity_doctor.bundle.excerpt import excerpt
from alwrity_doctor.bundle.manifest import LEDGER, NAME, REPORT, Item
from alwrity_doctor.bundle.surroundings import checkout_facts, machine, settings_sources, versions
from alwrity_doctor.report import json as report_json
from alwrity_doctor.report import render
from alwrity_doctor.report.characters import visible
from alwrity_doctor.report.phrases import cause, exit_line, headline, utc

if TYPE_CHECKING:
    from datetime import datetime

    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.logs.streams import Stream
    from alwrity_checks.model import Report
    from alwrity_checks.settings import Settings
    from alwrity_doctor.bundle.ledger import Door, Removed

__all__ = ["Contents", "pack", "told"]

README: Final = "README.txt"
SETTINGS: Final = "settings.json"
_LONGEST_NAME: Final = 40
_WIDTH: Final = 100
_MASKS: Final = (
    "What was taken out stands nowhere in it. A mask such as sk_live_…#1a2b3c4d shows the kind of a secret, and digits "
    "that are equal for equal secrets within one run."
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found out, and is to be handed over."""

    gate: Report
    settings: Settings
    checkout: Checkout | None = None
    triage: Report | None = None
    logs: tuple[Stream, ...] = ()
    """Those that the triage has read, each of which can be read again."""
    lines: int = 0
    """Of each log so many lines are taken at most."""
    reports: tuple[Report, ...] = ()
    """Made before, by any command."""


def pack(contents: Contents, door: Door, made: datetime, version: str) -> list[Item]:
    """Return the files of the bundle, clean, the ledger and a text for people among them.

    Raises OSError where a log cannot be read again.
    """
    items = [*_report(contents.gate, "report", "the gate's report", door)]
    if contents.triage is not None:
        items += _report(contents.triage, "triage/triage", "what the logs say", door)
        items += _excerpts(contents, door)
    for number, one in enumerate(contents.reports, start=1):
        command = door.text(one.command, README)
        what = f"the report of {command} of {utc(one.started.replace(microsecond=0))}"
        items += _report(one, f"reports/{number:02}-{_slug(command)}", what, door)
    items += _facts(contents, door)
    removed = door.removed()
    items.append(Item(LEDGER, "what was taken out: kind, count and file, never the thing", _ledger(removed)))
    text = _readme(items, contents.gate, removed, made, version)
    return [*items, Item(README, "this text", text.encode())]


def _report(report: Report, path: str, what: str, door: Door) -> Iterator[Item]:
    """Yield a report as JSON and as a page; both are made of what the door let through."""
    where = f"{path}.json"
    clean = report_json.load(json.dumps(door.document(json.loads(render(report, "json")), where)))
    yield Item(where, what, render(clean, "json").encode())
    yield Item(f"{path}.html", f"{what}, as a page", render(clean, "html").encode())


def _excerpts(contents: Contents, door: Door) -> Iterator[Item]:
    if not contents.lines or contents.triage is None:
        return
    width = len(str(len(contents.logs)))
    for number, stream in enumerate(contents.logs, start=1):
        # A log may be called by its user.
        path = f"triage/logs/{number:0{max(width, 2)}}-{_slug(door.text(Path(stream.id).name, README))}.txt"
        taken = excerpt(stream, _places(contents.triage, stream.id), contents.lines, door, path)
        shown = "all" if taken.shown == taken.lines else f"{taken.shown:,}"
        ends = f"; {taken.cut}" if taken.cut else ""
        what = f"{shown} of {taken.lines:,} lines of {door.text(stream.id, README)}{ends}"
        yield Item(path, what, taken.text)


def _places(triage: Report, stream: str) -> list[int]:
    locations = (finding.location for finding in triage.findings)
    return [
        one.line
        for one in locations
        if one is not None and one.kind is LocationKind.FILE and one.name == stream and one.line is not None
    ]


def _facts(contents: Contents, door: Door) -> Iterator[Item]:
    checkout = contents.checkout
    sources = settings_sources(contents.settings)
    door.note(SETTINGS, "value of a setting, left out", len(sources))
    for path, what, found in (
        ("versions.json", "versions of the program, its extras, and the backend's environments", versions(checkout)),
        (SETTINGS, "where each setting comes from; no value", sources),
        ("evidence/machine.json", "processors, memory and disk", machine()),
        ("evidence/checkout.json", "the checkout and its revision", checkout and checkout_facts(checkout)),
    ):
        if found is not None:
            yield Item(path, what, _json(door.document(found, path)))


def _json(document: Any) -> bytes:  # noqa: ANN401 - what JSON holds
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _ledger(removed: Sequence[Removed]) -> bytes:
    entries = [{"where": one.where, "kind": one.kind, "count": one.count} for one in removed]
    return _json({"schema": "alwrity-doctor/ledger/1", "removed": entries})


def _slug(text: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:_LONGEST_NAME].rstrip("-.")
    return plain or "unnamed"


def told(removed: Sequence[Removed]) -> list[str]:
    """Return the ledger as lines for a person: file by file, what and how often."""
    by_file: dict[str, list[str]] = {}
    for one in removed:
        by_file.setdefault(one.where, []).append(f"{one.kind}: {one.count:,}")
    return [f"{where}: {', '.join(kinds)}" for where, kinds in by_file.items()]


def _readme(items: Sequence[Item], gate: Report, removed: Sequence[Removed], made: datetime, version: str) -> str:
    held: Mapping[str, str] = {one.path: one.what for one in items} | {NAME: "every file with its size and hash"}
    parts = [
        f"What alwrity-doctor {version} found, put together on {utc(made.replace(microsecond=0))} to be handed over.",
        "\n".join(filter(None, (headline(gate), cause(gate), exit_line(gate)))),
        "Begin with report.html: it opens in any browser, without a network.",
        "What is in it",
        "\n".join(_entry(path, what) for path, what in sorted(held.items())),
        "What was taken out (ledger.json)",
        "\n".join(_entry(*line.split(": ", 1)) for line in told(removed)) or "  nothing",
        textwrap.fill(_MASKS, _WIDTH),
        f"To judge {REPORT} again, without a network: alwrity-doctor gate --from THIS-ARCHIVE",
        "To compare it with another one: alwrity-doctor diff BEFORE.json AFTER.json",
        f"The hashes in {NAME} tell damage; the bundle is not signed.",
    ]
    # A log's or a backend's name may hold anything, and this text is shown with `cat`.
    return visible("\n\n".join(parts)) + "\n"


def _entry(name: str, text: str) -> str:
    return textwrap.fill(f"{name}: {text}", _WIDTH, initial_indent="  ", subsequent_indent="      ")
