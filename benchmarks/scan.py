"""`python -m benchmarks.scan`: how long a checkout takes to scan, beside tools that read the same files.

The tree is made here: 3,000 modules of the size and density of ALwrity's (ce9bf293: 1,036 files of 12.2 kB and 1,307
nodes of the syntax tree), all imported from app.py; every third one is looked at closely by a room, as there. Each
round runs every tool once, so that a noisy moment hits all alike; what counts is the median. The ratios come first:
they compare on one machine in one run.

SCAN_CHECKOUT names a real checkout, which is measured too; SCAN_PEERS a directory made by `pip install --target DIR
bandit`. ruff is there anyway; it is written in Rust, looks for other things, and shows what reading alone can cost.
"""

from __future__ import annotations

import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.measure import at_most, fact, ratio, table

Rows: TypeAlias = list[tuple[str, ...]]

_FILES: Final = int(os.environ.get("SCAN_FILES", "3000"))
_ROUNDS: Final = int(os.environ.get("SCAN_ROUNDS", "3"))
_GOAL: Final = 10.0
"""Seconds for 3,000 files on two processors."""
_CLOSE: Final = 0.35
"""The share of ALwrity's modules that a room looks at closely: 358 of 1,036."""
_PACKAGE: Final = 50
"""Modules of a package."""
_PARTS: Final = (
    '''
    async def fetch_{n}(self, user_id: str, limit: int = {k}) -> Dict[str, Any]:
        """Return what is known of a user's {n}th subject."""
        try:
            rows = self.session.query(Entry).filter(Entry.user_id == user_id).limit(limit).all()
            logger.info(f"Found {{len(rows)}} rows for {{user_id}}")
            return {{"rows": [row.to_dict() for row in rows], "total": len(rows), "limit": limit}}
        except Exception as error:
            logger.error(f"Failed to fetch {n}: {{error}}")
            raise HTTPException(status_code=500, detail=f"Failed: {{str(error)}}")
''',
    """
    def score_{n}(self, values: List[float], weights: Optional[Dict[str, float]] = None) -> float:
        weights = weights or {{"quality": 0.{k}, "reach": 0.3, "cost": 0.2}}
        total = sum(value * weights.get("quality", 0.5) for value in values if value is not None)
        if not values:
            return 0.0
        average = total / len(values)
        return max(0.0, min(1.0, average if average > {k} / 100 else average * 1.1))
""",
    '''
    async def write_{n}(self, topic: str, tone: str = "neutral") -> str:
        prompt = f"""
        Write {k} sentences about {{topic}} in a {{tone}} tone.
        Keep to what is known, name the sources, and end with a question to the reader.
        """
        try:
            answer = await asyncio.to_thread(self.provider, prompt=prompt, user_id=self.user_id)
        except TimeoutError:
            logger.warning("The provider did not answer")
            return ""
        return answer.strip() if isinstance(answer, str) else str(answer.get("text", ""))
''',
    """
    def describe_{n}(self) -> List[Dict[str, Any]]:
        return [
            {{"name": "item_{n}_{{i}}".format(i=i), "kind": kind, "priority": "high" if i % {k} == 0 else "low"}}
            for i, kind in enumerate(("post", "page", "image", "video", "newsletter"))
        ]
""",
)
_RARE: Final = (
    """
    async def complete_{n}(self, prompt: str) -> Dict[str, Any]:
        try:
            return json.loads(llm_text_gen(prompt, user_id=self.user_id, model="openai/gpt-oss-120b:groq"))
        except Exception as error:
            logger.error("Completion failed for %s: %s", self.user_id, error, exc_info=True)
            raise
""",
    """
    async def index_{n}(self, items: List[Dict[str, Any]]) -> int:
        rows = [(item["id"], item["text"], json.dumps(item)) for item in items]
        self.embeddings.upsert(rows)
        self.embeddings.save(f"workspace/{{self.user_id}}/index")
        return len(rows)
""",
)
"""What the rooms look at closely."""
_SENTENCE: Final = "Name what the reader gains, in plain words, and keep the promise of the title.\n"
"""Half of what ALwrity's modules hold is prose: prompts, documentation and messages."""
_HEAD: Final = '''"""Services of part {n}."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional

from fastapi import APIRouter, HTTPException
from loguru import logger

from services.entry import Entry
{imports}
router = APIRouter(prefix="/api/part-{n}")


class Service{n}:
    def __init__(self, session, provider, user_id: str):
        self.session = session
        self.provider = provider
        self.user_id = user_id
'''


def made(root: Path, files: int) -> int:
    """Lay out a checkout of so many files; return their size in bytes. The same on every machine."""
    chance = random.Random(6)  # noqa: S311 - a benchmark's tree, not a secret
    backend = root / "backend"
    (backend / "middleware").mkdir(parents=True)
    (backend / "start_alwrity_backend.py").write_text("import uvicorn\n\nuvicorn.run('app:app')\n")
    (backend / "requirements.txt").write_text("fastapi\nloguru\nuvicorn[standard]\n")
    names = [f"services.part{n // _PACKAGE}.module{n}" for n in range(files)]
    size = 0
    for number, name in enumerate(names):
        path = backend.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        others = {names[chance.randrange(files)] for _ in range(3)}
        head = _HEAD.format(n=number, imports="".join(f"import {other}\n" for other in sorted(others)))
        parts = (chance.choice(_PARTS).format(n=n, k=chance.randrange(2, 9)) for n in range(chance.randrange(5, 20)))
        text = head + "".join(parts)
        if chance.random() < _CLOSE:
            text += chance.choice(_RARE).format(n=number)
        text += f'\n\nPROMPT = """\n{_SENTENCE * chance.randrange(40, 130)}"""\n'
        path.write_text(text)
        size += len(text)
    # Without it each module would use a name that nothing binds, eight times; in ALwrity's 1,036 that is 39 names.
    (backend / "services" / "entry.py").write_text('class Entry:\n    user_id = ""\n')
    (backend / "app.py").write_text("".join(f"import {name}\n" for name in names))
    return size


def _tools(checkout: Path) -> Mapping[str, Sequence[str]]:
    doctor = [sys.executable, "-m", "alwrity_doctor", "scan", str(checkout), "--format", "sarif"]
    ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--isolated", "--quiet"]
    tools = {
        "alwrity-doctor scan": doctor,
        "the same, in one process (--jobs 0)": [*doctor, "--jobs", "0"],
        "ruff check --select E9,F": [*ruff, "--select", "E9,F", str(checkout)],
    }
    if (peers := os.environ.get("SCAN_PEERS")) and Path(peers, "bandit").is_dir():
        tools["bandit -r"] = [sys.executable, "-c", _BANDIT.format(peers=peers), "-q", "-r", str(checkout)]
    return tools


_BANDIT: Final = "import sys; sys.path.insert(0, {peers!r}); from bandit.cli.main import main; main()"


def _measured(command: Sequence[str]) -> tuple[float, float]:
    """Return the seconds on the clock and of processor time of a whole process and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - our own commands
    spent, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 1}:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {done.stderr[-300:].decode('utf-8', 'replace')}"
        )
    return spent, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _of(label: str, checkout: Path, goal: float | None) -> Rows:
    tools = _tools(checkout)
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in tools}
    for _ in range(_ROUNDS):
        for name, command in tools.items():
            figures[name].append(_measured(command))
    clock = {name: [one for one, _ in spent] for name, spent in figures.items()}
    ours = next(iter(tools))
    found: Rows = [
        fact(f"{label}: {name} takes", f"{ratio(clock[name], clock[ours]):.2f} x the time of ours")
        for name in tools
        if name != ours
    ]
    seconds = statistics.median(clock[ours])
    told = f"{label}: {ours}"
    found.append(fact(told, f"{seconds:.2f} s") if goal is None else at_most(told, seconds, goal, " s"))
    for name, spent in figures.items():
        processor = statistics.median(one for _, one in spent)
        found.append(
            fact(f"... {name}", f"{statistics.median(clock[name]):.2f} s, {processor:.2f} s of processor time")
        )
    return found


def rows() -> Rows:
    """Measure, and return the table's rows."""
    with tempfile.TemporaryDirectory() as folder:
        size = made(Path(folder), _FILES)
        label = f"{_FILES} files of {size / _FILES / 1000:.1f} kB"
        # The goal is two processors' and 3,000 files'.
        found = _of(label, Path(folder), _GOAL if _FILES == 3000 and (os.cpu_count() or 1) >= 2 else None)
    if real := os.environ.get("SCAN_CHECKOUT"):
        found += _of(f"the checkout {Path(real).name}", Path(real), None)
    if not os.environ.get("SCAN_PEERS"):
        found.append(fact("bandit: skipped", "not installed: pip install --target DIR bandit; SCAN_PEERS=DIR"))
    return found


def main() -> int:
    """Print the table; return 1 if a goal was missed."""
    measured = rows()
    print(f"CPython {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors\n")
    print(table([("measure", "measured", "goal", "held"), *measured]))
    return int(any(row[-1] == "NO" for row in measured))


if __name__ == "__main__":
    sys.exit(main())
