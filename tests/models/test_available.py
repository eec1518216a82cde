"""The memory that is really there is the least of all limits, read from trees of files that stand for a machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.models import available
from alwrity_checks.models.available import Available, Part, available_memory, linux_parts, other_parts

GIB = 1 << 30
MEMINFO = f"MemTotal: {16 * GIB // 1024} kB\nMemAvailable: {8 * GIB // 1024} kB\nInactive(file): 100 kB\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
V1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
NONE_V1 = 9223372036854771712


def _tree(root: Path, files: Mapping[str, object]) -> Path:
    for name, content in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def _v2(group: str, limit: object, used: int, inactive: int = 0, high: object = "max") -> dict[str, object]:
    at = f"sys/fs/cgroup/{group}"
    stat = f"anon 1\ninactive_file {inactive}\nactive_file 5"
    return {
        f"{at}/memory.max": limit,
        f"{at}/memory.high": high,
        f"{at}/memory.current": used,
        f"{at}/memory.stat": stat,
    }


def test_without_limits_it_is_what_the_kernel_tells(tmp_path: Path) -> None:
    """MemAvailable, and nothing else limits."""
    found = available_memory(_tree(tmp_path, {}))
    assert (found.bytes, found.limited_by) == (8 * GIB, "memory")


def test_an_old_kernel_tells_less(tmp_path: Path) -> None:
    """Without MemAvailable it is what is free and what unused files hold."""
    found = available_memory(_tree(tmp_path, {"proc/meminfo": "MemFree: 1000 kB\nInactive(file): 500 kB"}))
    assert found.bytes == 1500 * 1024


def test_swap_is_shown_and_not_counted(tmp_path: Path) -> None:
    """A model that lies in swap answers nobody."""
    swap = f"{MEMINFO}SwapTotal: {64 * GIB // 1024} kB\nSwapFree: {32 * GIB // 1024} kB"
    found = available_memory(_tree(tmp_path, {"proc/meminfo": swap}))
    assert found.bytes == 8 * GIB
    assert [(part.name, part.bytes) for part in found.parts if not part.limits] == [("swap", 32 * GIB)]


def test_a_limit_of_a_group_above_counts(tmp_path: Path) -> None:
    """The own group has no limit, the pod above it has one: that one holds."""
    files = _v2("pod/own", "max", GIB) | _v2("pod", 2 * GIB, GIB) | _v2("", "max", GIB)
    root = _tree(tmp_path, files | {"proc/self/cgroup": "0::/pod/own", "proc/self/mountinfo": V2})
    found = available_memory(root)
    assert (found.bytes, found.limited_by) == (GIB, "cgroup /pod")


def test_unused_files_of_a_group_are_not_used(tmp_path: Path) -> None:
    """A group that has read gigabytes of files is as empty as before: the kernel gives them back first."""
    files = _v2("own", 4 * GIB, 3 * GIB, inactive=2 * GIB)
    found = available_memory(_tree(tmp_path, files | {"proc/self/cgroup": "0::/own", "proc/self/mountinfo": V2}))
    assert found.bytes == 3 * GIB


def test_memory_high_counts_as_a_limit(tmp_path: Path) -> None:
    """Above memory.high a process is slowed down until it stands still."""
    files = _v2("own", 4 * GIB, GIB, high=2 * GIB)
    found = available_memory(_tree(tmp_path, files | {"proc/self/cgroup": "0::/own", "proc/self/mountinfo": V2}))
    assert found.bytes == GIB
    assert "memory.high" in found.parts[-1].told


def test_a_group_over_its_limit_leaves_nothing(tmp_path: Path) -> None:
    """What is left is never negative."""
    files = _v2("own", GIB, 2 * GIB)
    found = available_memory(_tree(tmp_path, files | {"proc/self/cgroup": "0::/own", "proc/self/mountinfo": V2}))
    assert found.bytes == 0


@pytest.mark.parametrize("own", ["/", "/../other", "/docker/abc"])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, own: str) -> None:
    """With a namespace, from outside of it, or mounted from below: the limit is found at the mount."""
    mount = V2.replace(" / /sys", " /docker/abc /sys") if own == "/docker/abc" else V2
    files = _v2("", GIB, 0) | {"proc/self/cgroup": f"0::{own}", "proc/self/mountinfo": mount}
    assert available_memory(_tree(tmp_path, files)).bytes == GIB


def test_version_1_is_read_up_the_tree(tmp_path: Path) -> None:
    """Limit less usage, unused files given back; a number near 2**63 is no limit."""
    at = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": "4:memory:/pod/own\n3:cpuset:/\n0::/",
        "proc/self/mountinfo": V1,
        f"{at}/memory.limit_in_bytes": NONE_V1,
        f"{at}/memory.usage_in_bytes": GIB,
        f"{at}/pod/memory.limit_in_bytes": 3 * GIB,
        f"{at}/pod/memory.usage_in_bytes": 2 * GIB,
        f"{at}/pod/memory.stat": f"cache 1\ntotal_inactive_file {GIB // 2}",
        f"{at}/pod/own/memory.limit_in_bytes": NONE_V1,
        f"{at}/pod/own/memory.usage_in_bytes": GIB,
    }
    found = available_memory(_tree(tmp_path, files))
    assert (found.bytes, found.limited_by) == (GIB + GIB // 2, "cgroup /pod")


def test_the_limit_of_memory_and_swap_together_counts(tmp_path: Path) -> None:
    """memory.memsw of version 1 may be the narrower one."""
    at = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": "4:memory:/",
        "proc/self/mountinfo": V1,
        f"{at}/memory.limit_in_bytes": 3 * GIB,
        f"{at}/memory.usage_in_bytes": GIB,
        f"{at}/memory.memsw.limit_in_bytes": 3 * GIB,
        f"{at}/memory.memsw.usage_in_bytes": 2 * GIB,
    }
    assert available_memory(_tree(tmp_path, files)).bytes == GIB


def test_the_limits_of_the_process_count(tmp_path: Path) -> None:
    """RLIMIT_AS less what is mapped, RLIMIT_DATA less what is written."""
    limits = (
        "Limit                     Soft Limit           Hard Limit           Units\n"
        f"Max data size             {3 * GIB}           unlimited            bytes\n"
        f"Max address space         {4 * GIB}           unlimited            bytes"
    )
    status = f"VmSize: {3 * GIB // 1024} kB\nVmData: {GIB // 1024} kB"
    found = available_memory(_tree(tmp_path, {"proc/self/limits": limits, "proc/self/status": status}))
    assert (found.bytes, found.limited_by) == (GIB, "address space")
    assert ("data segment", 2 * GIB) in [(part.name, part.bytes) for part in found.parts]


@pytest.mark.parametrize("text", ["", "max", "-1", "12 34", "1e9", "\x00", "9" * 400])
def test_a_file_that_holds_anything_else_is_no_limit(tmp_path: Path, text: str) -> None:
    """Unreadable files neither limit nor raise."""
    files = _v2("own", text, 1) | {"proc/self/cgroup": "0::/own", "proc/self/mountinfo": V2}
    assert available_memory(_tree(tmp_path, files)).bytes == 8 * GIB


_BYTES = st.integers(0, 1 << 44)
_PARTS = st.lists(st.builds(Part, st.sampled_from("abc"), _BYTES, st.just(""), st.booleans()), max_size=6)


@given(parts=_PARTS)
def test_it_never_exceeds_any_limit(parts: list[Part]) -> None:
    """Whatever limits there are, none is exceeded, and the one that is named is reached."""
    found = Available.of(tuple(parts))
    limits = [part for part in parts if part.limits]
    assert all(found.bytes <= part.bytes for part in limits)
    assert not limits or any(part.name == found.limited_by and part.bytes == found.bytes for part in limits)


@given(limits=st.lists(st.tuples(_BYTES, _BYTES, _BYTES), min_size=1, max_size=4))
def test_no_group_up_the_tree_is_exceeded(
    limits: list[tuple[int, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However deep the tree and whatever its numbers: at most a limit, and at least what is unused below it."""
    files: dict[str, object] = {"proc/self/mountinfo": V2}
    path = ""
    for number, (limit, used, inactive) in enumerate(limits):
        path = f"{path}g{number}/"
        files |= _v2(path.rstrip("/"), limit, used, inactive)
    files["proc/self/cgroup"] = f"0::/{path.rstrip('/')}"
    found = available_memory(_tree(tmp_path_factory.mktemp("tree"), files))
    assert 0 <= found.bytes <= min(8 * GIB, *(limit for limit, _, _ in limits))


def test_this_machine_is_read(tmp_path: Path) -> None:
    """The real /proc gives something, and no directory at all gives nothing that could be mistaken."""
    if sys.platform == "linux":
        assert available_memory().bytes > 0
        assert next(linux_parts(Path("/"))).name == "memory"
    assert not available._text(tmp_path / "nothing")


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_told_by_psutil(platform: str) -> None:
    """Without /proc psutil tells; on Windows the commit limit, with the paging file, is a part of its own."""
    found = Available.of(tuple(other_parts(platform)))
    assert 0 < found.bytes <= min(part.bytes for part in found.parts if part.limits)
    assert ("commit limit" in {part.name for part in found.parts}) == (platform == "win32")


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is read from /proc")
def test_a_real_limit_is_seen_and_holds() -> None:
    """Under a real RLIMIT_AS what is left is told, and more than that cannot be had."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "from alwrity_checks.models.available import available_memory\n"
        "found = available_memory(); assert found.limited_by == 'address space', found\n"
        "try: bytearray(found.bytes + (8 << 20))\n"
        "except MemoryError: print('refused')\n"
        "bytearray(found.bytes - (32 << 20)); print('had')"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own program
    assert said.stdout.split() == ["refused", "had"], said.stderr
