"""What a scan found, as findings: one table of rules, real places, and an identity that moved lines do not change."""

from __future__ import annotations

import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.packages import Asked, missing, reload_note
from alwrity_checks.backend.parsing import FlawKind
from alwrity_checks.backend.subjects import FILES, LOGGING, RELOAD, REQUIREMENTS
from alwrity_checks.catalogue import rules
from alwrity_checks.model import Evidence, Finding, Location, LocationKind
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.backend.reading import Reading
    from alwrity_checks.backend.scan import Scan
    from alwrity_checks.source import Trace

__all__ = ["Found", "as_finding", "found", "introduced"]

_SHOWN: Final = 6
"""So many places are named one by one."""
_NO_COPY: Final = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|[^/]*_test\.py$|conftest\.py$)")
"""A test is run by nobody's import, and is no dead copy."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place of the checkout that breaks a rule."""

    subject: str
    """A room's name, or one of ours."""
    code: str
    path: str
    """Relative to the repository's root, with `/`."""
    line: int
    message: str
    key: str
    """What stays when lines move."""
    evidence: tuple[tuple[str, str], ...] = ()


def as_finding(one: Found) -> Finding:
    """Return the finding; what stands in a stranger's source is scrubbed here."""
    evidence = tuple(Evidence(label, scrub(value)) for label, value in one.evidence)
    place = Location(LocationKind.FILE, one.path, max(one.line, 1))
    return Finding(rules()[one.code], scrub(one.message), evidence, place, identity=scrub(one.key))


def found(scan: Scan) -> list[Found]:
    """Return everything that a scan found, by subject, path and line. A dead copy's patterns are one note of it."""
    prefix = scan.snapshot.prefix
    everything = [*_flaws(scan), *_requirements(scan)]
    dead: dict[str, list[Trace]] = {}
    for room, trace in scan.traces:
        if trace.path in scan.graph.live:
            path = prefix + trace.path
            everything.append(
                Found(room, trace.code, path, trace.line, trace.message, trace.snippet_key, trace.evidence)
            )
        elif room != LOGGING and not _NO_COPY.search(trace.path):
            dead.setdefault(trace.path, []).append(trace)
    everything += [_copy(prefix, path, traces) for path, traces in dead.items()]
    return sorted(everything, key=lambda one: (one.subject, one.path, one.line, one.code, one.message))


def introduced(now: Sequence[Found], before: Sequence[Found], gone: frozenset[str]) -> list[Found]:
    """Return what is in `now` and was not in `before`, wherever its line was; `gone`: paths that no longer exist.

    A fault that was moved to a file of another name is not a new one.
    """
    left = Counter(_identity(one) for one in before)
    moved = Counter((one.code, one.key) for one in before if one.path in gone)
    rest = []
    for one in now:
        if left[_identity(one)]:
            left[_identity(one)] -= 1
        elif moved[one.code, one.key]:
            moved[one.code, one.key] -= 1
        else:
            rest.append(one)
    return rest


def _identity(one: Found) -> tuple[str, str, str]:
    return one.code, one.path, one.key


def _flaws(scan: Scan) -> Iterator[Found]:
    for reading in scan.readings.values():
        if reading.flaw is not None and (told := _flaw(scan, reading)):
            code, said, key = told
            path = scan.snapshot.prefix + reading.path
            said = f"{_name(path)} {said}"
            yield Found(FILES, code, path, reading.flaw.line, said, key, tuple(_importers(scan, reading)))


def _flaw(scan: Scan, reading: Reading) -> tuple[str, str, str] | None:
    """Return the rule, what is said of the file, and the key; None where nothing is wrong, or nothing is known."""
    flaw = reading.flaw
    if flaw is None or flaw.kind is FlawKind.UNDECIDED:
        return None
    if flaw.kind is FlawKind.NEWER:
        declared = scan.declared
        # Where it is not known what the file needs, it is more than this Python.
        least = flaw.needs or (sys.version_info[0], sys.version_info[1] + 1)
        if not reading.live or declared is None or least <= declared.version:
            return None
        needs = f"Python {_dotted(flaw.needs)}" if flaw.needs else f"a newer Python than {platform.python_version()}"
        return (
            "SRC003",
            f"needs {needs}, and {declared.path}:{declared.line} declares {_dotted(declared.version)}: {flaw.message}",
            "newer",
        )
    code = "SRC004" if not reading.live else "SRC001" if flaw.kind is FlawKind.CONFLICT else "SRC002"
    return code, f"does not compile: {flaw.message}", flaw.kind


def _name(path: str) -> str:
    """Return a file's name, with its directory's where it is a package's: the place says the rest."""
    return "/".join(path.split("/")[-2:]) if path.endswith("/__init__.py") else path.rpartition("/")[2]


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _importers(scan: Scan, reading: Reading) -> Iterator[tuple[str, str]]:
    importers = scan.graph.importers(reading.path)
    if importers:
        yield "imported by", _listed([f"{scan.snapshot.prefix}{path}:{line}" for path, line in importers])
    if way := scan.graph.way(reading.path):
        yield "runs by way of", " > ".join(way)
    else:
        yield "runs", "no: nothing that runs imports it"


def _listed(places: Sequence[str]) -> str:
    more = len(places) - _SHOWN
    return ", ".join(places[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _requirements(scan: Scan) -> Iterator[Found]:
    for line in scan.lines:
        if line.fault:
            yield Found(
                REQUIREMENTS,
                "SRC010",
                line.path,
                line.number,
                f"nothing can be installed by {line.text!r}: {line.fault}",
                line.text,
            )
    live = scan.graph.live
    wanted = {path: ones for path, ones in scan.imports.items() if path in live}
    for distribution, places in missing(wanted, scan.snapshot.sources, scan.lines):
        yield _missing(scan, distribution, places)
    if (line_of_server := reload_note(scan.lines, scan.snapshot.sources, live)) is not None:
        said = "uvicorn is required without watchfiles: its reloader is StatReload, and reload_excludes means nothing"
        yield Found(RELOAD, "SRC013", line_of_server.path, line_of_server.number, said, line_of_server.name)


def _missing(scan: Scan, distribution: str, places: Sequence[Asked]) -> Found:
    first = places[0]
    prefix = scan.snapshot.prefix
    where = f"{_name(first.path)} imports {first.module}"
    if first.guarded:
        told = f"{where} and goes on without it"
    else:
        told = f"{where} in {first.function}()" if first.function else f"{where} when it is imported"
    return Found(
        REQUIREMENTS,
        "SRC012" if first.guarded else "SRC011",
        prefix + first.path,
        first.line,
        f"{told}, and no requirement brings {distribution}",
        distribution,
        (
            ("imported at", _listed([f"{prefix}{one.path}:{one.line}" for one in places])),
            ("requirements", _listed(list(dict.fromkeys(line.path for line in scan.lines)))),
        ),
    )


def _copy(prefix: str, path: str, traces: Iterable[Trace]) -> Found:
    ordered = sorted(traces, key=lambda trace: (trace.line, trace.code))
    codes = ", ".join(dict.fromkeys(trace.code for trace in ordered))
    return Found(
        FILES,
        "SRC030",
        prefix + path,
        ordered[0].line,
        f"nothing that runs imports {_name(path)}, which shows {codes}",
        "copy",
        tuple((f"{trace.code}, line {trace.line}", trace.message) for trace in ordered[:_SHOWN]),
    )
