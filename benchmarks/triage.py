"""`make bench-triage`: `alwrity-doctor triage` on a generated log beside GNU grep, ripgrep and Drain3, in one run.

What is timed is the whole command: records, causes, clusters, secrets and the report. grep and ripgrep count the
lines that any of the same twelve signatures matches, and nothing else. For twelve and for sixty signatures the
command runs from a copy of the packages in which the other signatures are left out.

The peers are no dependencies: TRIAGE_PEERS names a directory made by `pip install --target DIR drain3`; RIPGREP names a
ripgrep, else the one on the path is taken; a peer that is missing has no row.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.measure import at_least, at_most, fact, table
from benchmarks.triage_log import write_log

ROOT: Final = Path(__file__).parent.parent
TWELVE: Final = (
    "auth.rejected-production",
    "auth.rejected-env",
    "auth.verification-failed",
    "auth.verification-error",
    "hf.structured-not-found",
    "hf.structured-plain-not-found",
    "hf.api-call-failed",
    "hf.structured-failed",
    "hf.provider-failed",
    "txtai.index-refused",
    "models.load-failed",
    "logs.reload",
)
"""The lines that the catalogue quotes, and one for the issue of which it quotes none."""
SIXTY: Final = 60
DRAIN_LINES: Final = 200_000
MEBIBYTE: Final = 1024 * 1024
TROUBLED: Final = 100_000_000


class Variant:
    """A copy of the packages with some of the signatures."""

    def __init__(self, directory: Path, keep: Collection[str] | int) -> None:
        """`keep`: ids, or how many in the files' order, the twelve among them."""
        self.directory = directory
        for package in ("alwrity_doctor", "checks/alwrity_checks"):
            shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
        entries = {file: _entries(file) for file in sorted(directory.glob("checks/alwrity_checks/*/signatures.toml"))}
        everything = [name for _, held in entries.values() for name, _ in held]
        if isinstance(keep, int):
            others = [name for name in everything if name not in TWELVE]
            keep = {*TWELVE, *others[: keep - len(TWELVE)]}
        for file, (head, held) in entries.items():
            # A file without a signature says so.
            kept = [text for name, text in held if name in keep]
            file.write_text(head + "".join(kept) if kept else "signature = []\n", "utf-8")
        self.signatures = len(set(everything) & set(keep))

    def environment(self) -> dict[str, str]:
        """Return the environment in which this copy is imported; compiled modules may be kept."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return environment | {"PYTHONPATH": os.pathsep.join(str(self.directory / part) for part in (".", "checks"))}

    def patterns(self) -> list[str]:
        """Return a pattern for each signature, as grep -E reads it."""
        told = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", _PATTERNS], env=self.environment(), capture_output=True, check=True, text=True
        )
        return list(json.loads(told.stdout))


_PATTERNS: Final = """
import json, re
from alwrity_checks.logs.signatures import signatures
literal = lambda text: re.sub(r"([][\\\\\\\\.^$*+?{}()|])", r"\\\\\\1", text)
print(json.dumps([(one.pattern or literal(one.literal.decode()).encode()).decode() for one in signatures()]))
"""


def _entries(file: Path) -> tuple[str, list[tuple[str, str]]]:
    head, *texts = re.split(r"(?m)^(?=\[\[signature\]\]$)", file.read_text("utf-8"))
    return head, [(found[1], text) for text in texts if (found := re.search(r'(?m)^id = "([^"]+)"', text))]


_FOLD: Final = """
import sys
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.streams import open_streams
scan(open_streams(sys.argv[1:2]).streams, probes(), gatherer(), engine=sys.argv[2])
"""


def command(log: Path, *, engine: str, alone: bool) -> list[str]:
    """Return the command that is timed; `alone`: only what reads the log, without a report."""
    if alone:
        return [sys.executable, "-c", _FOLD, str(log), engine]
    return [sys.executable, "-m", "alwrity_doctor", "triage", str(log), "--engine", engine, "--format", "json"]


def timed(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Return wall time and processor time of a whole process and its children, in seconds."""
    before = os.times()
    started = time.perf_counter()
    # Into a pipe: grep stops at the first line where its output is /dev/null.
    done = subprocess.run(arguments, env=environment, capture_output=True, check=False)  # noqa: S603 - our own words
    wall = time.perf_counter() - started
    after = os.times()
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return wall, after.children_user - before.children_user + after.children_system - before.children_system


def peak_memory(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return the most memory that a process and its descendants held together, in bytes (shared pages once)."""
    peak = 0
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own words
        while process.poll() is None:
            peak = max(peak, sum(_held(pid) for pid in _family(process.pid)))
            time.sleep(0.004)
    return peak


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            threads = os.listdir(f"/proc/{one}/task")  # noqa: PTH208 - names are what is wanted
            for thread in threads:
                found += map(int, Path(f"/proc/{one}/task/{thread}/children").read_text("ascii").split())
        except OSError:
            continue
    return found


def _held(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in told.splitlines() if line.startswith("Pss:"))


_DRAIN: Final = """
import sys, time
sys.path.insert(0, sys.argv[1])
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig
lines = []
with open(sys.argv[2], encoding="utf-8", errors="replace") as log:
    for line in log:
        if line != "\\n":
            lines.append(line.rstrip("\\n"))
        if len(lines) == int(sys.argv[3]):
            break
miner = TemplateMiner(config=TemplateMinerConfig())
started = time.perf_counter()
for line in lines:
    miner.add_log_message(line)
print((time.perf_counter() - started) / len(lines))
"""


def drain_seconds(peers: str, log: Path, lines: int) -> float:
    """Return how long Drain3 would take for the log's lines that are not empty, by the first of them."""
    told = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _DRAIN, peers, str(log), str(DRAIN_LINES)], capture_output=True, check=True, text=True
    )
    return float(told.stdout) * lines


def grep_counts(grep: str, patterns: Sequence[str], log: Path) -> list[int]:
    """Return how many lines each pattern matches."""
    counts = []
    for pattern in patterns:
        told = subprocess.run(  # noqa: S603 - our own words
            [grep, "-acE", "-e", pattern, str(log)], env={"LC_ALL": "C"}, capture_output=True, check=False, text=True
        )
        counts.append(int(told.stdout))
    return counts


_COUNTS: Final = """
import json, sys
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.signatures import signatures
from alwrity_checks.logs.streams import open_streams
from tests.support.triage_counting import Counting
names = [one.id for one in signatures()]
found = scan(open_streams(sys.argv[1:]).streams, probes(), Counting)
gathered = scan(open_streams(sys.argv[1:]).streams, probes(), gatherer(b"benchmark"))
told = dict.fromkeys(names, 0)
for piece in gathered.streams().values():
    for (name, _), tally in piece.tallies.items():
        told[name] += tally.times.count
print(json.dumps([[told[name] for name in names], [found.counts[at] for at in range(len(names))], found.lines]))
"""


def our_counts(variant: Variant, log: Path) -> tuple[list[int], list[int], int]:
    """Return the lines of each signature as they are reported and as they were found, and the lines that were hit."""
    environment = variant.environment()
    environment["PYTHONPATH"] += os.pathsep + str(ROOT)
    told = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _COUNTS, str(log)], env=environment, capture_output=True, check=True, text=True
    )
    reported, found, lines = json.loads(told.stdout)
    return reported, found, lines


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", type=Path, help="a log that is there already")
    parser.add_argument("--fold-alone", action="store_true", help="time what reads the log, without the command line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alwrity-bench-") as scratch:
        directory = Path(scratch)
        log = options.log or directory / "app.log"
        if options.log is None:
            write_log(log, options.megabytes * 1_000_000)
        rows = measured(log, directory, options.rounds, alone=options.fold_alone)
    print(table([("measure", "value", "goal", "held"), *rows]))
    return 1 if any(row[-1] == "NO" for row in rows) else 0


def measured(log: Path, directory: Path, rounds: int, *, alone: bool) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    grep = shutil.which("grep")
    if (
        grep is None
        or "GNU" not in subprocess.run([grep, "--version"], capture_output=True, check=True, text=True).stdout  # noqa: S603 - our own words
    ):
        raise SystemExit("GNU grep is what this is measured against; it is not on the path")
    twelve, sixty = Variant(directory / "twelve", TWELVE), Variant(directory / "sixty", SIXTY)
    patterns = twelve.patterns()
    peers = greps(grep, patterns, log)
    ours = {
        "[fast]": (command(log, engine="hyperscan", alone=alone), twelve.environment()),
        "without": (command(log, engine="python", alone=alone), twelve.environment()),
        f"[fast], {sixty.signatures} signatures": (command(log, engine="hyperscan", alone=alone), sixty.environment()),
    }
    everybody = peers | ours
    for arguments, environment in everybody.values():
        timed(arguments, environment)  # fills the page cache and compiles what is imported
    walls: dict[str, list[float]] = {name: [] for name in everybody}
    spent: dict[str, list[float]] = {name: [] for name in everybody}
    for _ in range(rounds):
        for name, (arguments, environment) in everybody.items():
            wall, cpu = timed(arguments, environment)
            walls[name].append(wall)
            spent[name].append(cpu)
    fastest = min((name for name in peers if name.startswith("grep")), key=lambda name: statistics.median(walls[name]))

    def ratio(of: str, to: str) -> float:
        return statistics.median(a / b for a, b in zip(walls[of], walls[to], strict=True))

    size = log.stat().st_size
    reported, found, hits = our_counts(twelve, log)
    counted = grep_counts(grep, patterns, log)
    lines, filled = _lines(log)
    full = f"[fast], {sixty.signatures} signatures"
    rows = [
        fact(
            "log",
            f"{size / 1e6:.0f} MB, {lines:,} lines, {filled:,} of them not empty; one in {filled / hits:.0f} is a hit",
        ),
        *(fact(name, _told(walls[name], spent[name], size)) for name in everybody),
        at_most(f"wall time of triage [fast] / {fastest}", ratio("[fast]", fastest), 1.0, " x"),
        at_most(f"wall time of triage without [fast] / {fastest}", ratio("without", fastest), 3.0, " x"),
        at_most(f"{sixty.signatures} signatures / {twelve.signatures}, [fast]", ratio(full, "[fast]"), 1.5, " x"),
        at_most(
            "signatures whose count differs from grep's", sum(a != b for a, b in zip(counted, found, strict=True)), 0
        ),
        at_most("... as they are reported", sum(a != b for a, b in zip(counted, reported, strict=True)), 0),
    ]
    for name in ("[fast]", "without"):
        held = max(peak_memory(*ours[name]) for _ in range(3)) / MEBIBYTE
        rows.append(at_most(f"peak memory, all processes, {name}", held, 64, " MB"))
    drain = os.environ.get("TRIAGE_PEERS")
    if drain:
        seconds = drain_seconds(drain, log, filled)
        rows.append(fact("Drain3", f"{seconds:.0f} s, from {DRAIN_LINES:,} lines"))
        rows.append(at_least("Drain3 / triage [fast]", seconds / statistics.median(walls["[fast]"]), 10, " x"))
        rows.append(at_least("Drain3 / triage without", seconds / statistics.median(walls["without"]), 10, " x"))
    return rows + troubled(directory, patterns, grep, twelve)


def troubled(directory: Path, patterns: Sequence[str], grep: str, variant: Variant) -> list[tuple[str, ...]]:
    """Return what a log costs that is full of trouble: what is understood, not what is passed over, takes the time."""
    log = directory / "troubled.log"
    write_log(log, TROUBLED, trouble=10)
    _, _, hits = our_counts(variant, log)
    _, filled = _lines(log)
    arguments, environment = command(log, engine="hyperscan", alone=False), variant.environment()
    peer, others = greps(grep, patterns, log)["grep -e -e"]
    ours = min(timed(arguments, environment)[0] for _ in range(3))
    theirs = min(timed(peer, others)[0] for _ in range(3))
    told = f"{ours:.2f} s of triage [fast], {theirs:.2f} s of grep"
    return [fact(f"{TROUBLED / 1e6:.0f} MB, one line in {filled / hits:.0f} a hit", told)]


def greps(grep: str, patterns: Sequence[str], log: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return what is raced against: both ways to give grep a list of patterns, and ripgrep where there is one."""
    single = [part for pattern in patterns for part in ("-e", pattern)]
    peers = {
        "grep -e -e": ([grep, "-cE", *single, str(log)], {"LC_ALL": "C"}),
        "grep (a|b)": ([grep, "-cE", "|".join(f"({pattern})" for pattern in patterns), str(log)], {"LC_ALL": "C"}),
    }
    ripgrep = os.environ.get("RIPGREP") or shutil.which("rg")
    if ripgrep:
        peers["ripgrep"] = ([ripgrep, "-c", "--no-config", "--no-unicode", *single, str(log)], dict(os.environ))
    return peers


def _told(walls: Sequence[float], spent: Sequence[float], size: int) -> str:
    wall, cpu = statistics.median(walls), statistics.median(spent)
    return f"{wall:.2f} s (best {min(walls):.2f}), {cpu:.2f} s of processor, {size / wall / 1e9:.2f} GB/s"


def _lines(log: Path) -> tuple[int, int]:
    lines = empty = 0
    last = b"\n"
    with log.open("rb") as file:
        while block := file.read(MEBIBYTE):
            lines += block.count(b"\n")
            # Every application record is followed by one empty line, so that two line ends are never part of three.
            empty += (last + block).count(b"\n\n")
            last = block[-1:]
    return lines, lines - empty


if __name__ == "__main__":
    sys.exit(main())
