"""The memory that this process can still get, by every limit that holds for it, and which of them is the narrowest.

Linux: MemAvailable, the memory controllers of cgroup v1 and v2 from the process's own group up to the root, RLIMIT_AS
and RLIMIT_DATA. psutil knows no groups: inside one of 1,000 MiB it tells what the whole machine has.

The parsers are pure functions of a directory that stands for `/`.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["ADDRESS_SPACE", "Available", "Part", "available_memory", "linux_parts", "other_parts"]

ADDRESS_SPACE: Final = "address space"
"""The part that RLIMIT_AS leaves: it counts what is reserved and mapped, not what is resident."""

_NO_LIMIT: Final = 1 << 60
"""cgroup v1 writes a number near 2**63 where there is no limit; no machine has an exabyte."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one limit leaves."""

    name: str
    """`memory`, `swap`, `cgroup /docker/x`, `address space`, `data segment`, `commit limit`."""
    bytes: int
    """What may still be taken; never negative."""
    told: str
    """How it was found, for people."""
    limits: bool = True
    """False: shown, and not counted."""


@dataclass(frozen=True, slots=True)
class Available:
    """The memory that can still be had."""

    bytes: int
    """The least of the parts that limit; 0 where nothing is left."""
    limited_by: str
    """The name of the narrowest part; `unknown` where nothing could be found out, and then `bytes` is 0."""
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, parts: tuple[Part, ...]) -> Available:
        """Return the narrowest of `parts`."""
        counted = [part for part in parts if part.limits]
        if not counted:
            return cls(0, "unknown", parts)
        least = min(counted, key=lambda part: part.bytes)
        return cls(least.bytes, least.name, parts)


def available_memory(root: Path = Path("/")) -> Available:
    """Return the memory that this process can still get, each limit told apart.

    Swap is shown and not counted: a model in swap answers nobody. Memory of files that can be given back, and that a
    group's usage contains, is not counted as used. Never raises.
    """
    parts = tuple(linux_parts(root)) if (root / "proc/meminfo").is_file() else ()
    return Available.of(parts or tuple(other_parts()))


def linux_parts(root: Path) -> Iterator[Part]:
    """Yield what each limit leaves on a Linux whose file system begins at `root`."""
    memory = _numbers(_text(root / "proc/meminfo"))
    # Kernels before 3.14 tell no MemAvailable.
    found = memory.get("MemAvailable", memory.get("MemFree", 0) + memory.get("Inactive(file)", 0))
    yield Part("memory", found, "MemAvailable in /proc/meminfo")
    if memory.get("SwapTotal"):
        yield Part("swap", memory.get("SwapFree", 0), "SwapFree in /proc/meminfo: not counted", limits=False)
    yield from _groups(root)
    yield from _process_limits(root)


def _groups(root: Path) -> Iterator[Part]:
    """Yield what the groups leave that this process is in."""
    own = _text(root / "proc/self/cgroup").splitlines()
    mounts = list(_mounts(_text(root / "proc/self/mountinfo")))
    for line in own:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for mount in mounts:
                if mount.kind == "cgroup2":
                    yield from _walk(root, mount, path, _version_2)
        elif "memory" in controllers.split(","):
            for mount in mounts:
                if mount.kind == "cgroup" and "memory" in mount.options:
                    yield from _walk(root, mount, path, _version_1)


@dataclass(frozen=True, slots=True)
class _Mount:
    kind: str
    root: str
    """Which part of the hierarchy is mounted there."""
    at: str
    options: frozenset[str]


def _mounts(text: str) -> Iterator[_Mount]:
    """Yield the mounted hierarchies; see proc(5), /proc/pid/mountinfo."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) >= 5 and len(kind) >= 1 and kind[0] in {"cgroup", "cgroup2"}:  # noqa: PLR2004 - as proc(5) counts
            yield _Mount(kind[0], _unescaped(fields[3]), _unescaped(fields[4]), frozenset(kind[-1].split(",")))


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _walk(root: Path, mount: _Mount, path: str, read: Callable[[Path], Iterator[tuple[str, int]]]) -> Iterator[Part]:
    """Yield what the group at `path` and each group above it leaves."""
    own = PurePosixPath(path if path.startswith("/") else f"/{path}")
    if ".." in own.parts:
        # The process's group lies outside of what its namespace shows: the mount's own root is all that can be seen.
        own = PurePosixPath("/")
    elif own.is_relative_to(mount.root):
        own = PurePosixPath("/") / own.relative_to(mount.root)
    elif not (root / mount.at.lstrip("/") / str(own).lstrip("/")).is_dir():
        own = PurePosixPath("/")
    for group in (own, *own.parents):
        directory = root / mount.at.lstrip("/") / str(group).lstrip("/")
        for what, left in read(directory):
            yield Part(f"cgroup {group}", left, what)


def _version_2(directory: Path) -> Iterator[tuple[str, int]]:
    used = _number(directory / "memory.current")
    limits = {name: _number(directory / name) for name in ("memory.max", "memory.high")}
    least = min(limits, key=lambda name: math.inf if limits[name] is None else float(limits[name] or 0))
    limit = limits[least]
    if used is None or limit is None:
        return
    idle = _numbers(_text(directory / "memory.stat")).get("inactive_file", 0)
    yield f"{least} {limit:,} - used {used:,} + of files, unused, {idle:,}", _left(limit, used, idle)


def _version_1(directory: Path) -> Iterator[tuple[str, int]]:
    idle = _numbers(_text(directory / "memory.stat")).get("total_inactive_file", 0)
    for kind in ("memory", "memory.memsw"):
        limit, used = _number(directory / f"{kind}.limit_in_bytes"), _number(directory / f"{kind}.usage_in_bytes")
        if limit is not None and used is not None and limit < _NO_LIMIT:
            told = f"{kind}.limit_in_bytes {limit:,} - used {used:,} + of files, unused, {idle:,}"
            yield told, _left(limit, used, idle)


def _left(limit: int, used: int, idle: int) -> int:
    return max(0, min(limit, limit - used + min(idle, used)))


def _process_limits(root: Path) -> Iterator[Part]:
    """Yield what the process's own limits leave; see proc(5), /proc/pid/limits, and getrlimit(2)."""
    limits = _text(root / "proc/self/limits")
    status = _numbers(_text(root / "proc/self/status"))
    for title, taken, name in (
        ("Max address space", "VmSize", ADDRESS_SPACE),
        ("Max data size", "VmData", "data segment"),
    ):
        found = re.search(rf"^{title}\s+(\d{{1,20}})\s", limits, re.MULTILINE)
        if found is not None and int(found[1]) < _NO_LIMIT:
            limit, used = int(found[1]), status.get(taken, 0)
            yield Part(name, max(0, limit - used), f"{title.lower()} {limit:,} - {taken} {used:,}")


def other_parts(platform: str = sys.platform) -> Iterator[Part]:
    """Yield what psutil tells, on systems without /proc; `platform` as in sys."""
    import psutil

    try:
        memory, swap = psutil.virtual_memory().available, psutil.swap_memory()
    except (OSError, RuntimeError, psutil.Error):
        return
    yield Part("memory", memory, "available, as psutil tells it")
    if platform == "win32":
        # Windows promises no more than memory and paging file together, and a mapped checkpoint is charged in full.
        yield Part("commit limit", memory + swap.free, "available memory and free paging file, as psutil tells them")
        return
    if swap.total:
        yield Part("swap", swap.free, "free swap, as psutil tells it: not counted", limits=False)
    yield from _rlimits()


def _rlimits() -> Iterator[Part]:
    import psutil

    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < _NO_LIMIT:
        used = psutil.Process().memory_info().vms
        yield Part(ADDRESS_SPACE, max(0, limit - used), f"RLIMIT_AS {limit:,} - used {used:,}")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    """Return the number in a file; None for `max`, for anything else, and where there is no file."""
    found = re.fullmatch(r"(\d{1,20})\s*", _text(path))
    return None if found is None else int(found[1])


def _numbers(text: str) -> Mapping[str, int]:
    """Return the lines `Name:  123 kB` and `name 123` of a file of /proc or a group, in bytes."""
    found = re.finditer(r"^([A-Za-z_()]+):?\s+(\d{1,20})(?: (kB))?\s*$", text, re.MULTILINE)
    return {one[1]: int(one[2]) * (1024 if one[3] else 1) for one in found}
