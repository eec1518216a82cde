"""Issue 3 in a source: each pattern is found by its meaning, at its line, and its cured twin is left alone."""

from __future__ import annotations

import pytest

from alwrity_checks.txtai import source
from tests.support.sources import traced

SERVICE = """
import asyncio
import hashlib
import json
import os
import threading
from loguru import logger
from txtai import Embeddings

class Service:
    {on_class}

    def __init__(self, user_id):
        self.user_id = user_id
        self.path = {path}
        self.embeddings = None
        self.ready = False
        self.starting = False
        self.strict = os.getenv("SIF_FAIL_FAST", "true").lower() in {{"1", "true"}}

    def _build(self):
        {build}
        try:
            self.embeddings.load(self.path)
        except Exception as error:
            {damaged}
        self.ready = True

    def _kick(self):
        if self.ready or self.starting:
            return
        self.starting = True
        threading.Thread(target=self._build, daemon=True).start()

    async def _wait(self):
        if not self.ready:
            {wait}

    {reset}

    async def add(self, items):
        {begin}
        {write}

    async def alike(self, first: str, second: str):
        await self._wait()
        {alike}
"""
GOOD = {
    "on_class": "_instances = {}",
    "path": 'os.path.join(ROOT, hashlib.sha256(user_id.encode()).hexdigest(), "index")',
    "build": 'self.embeddings = Embeddings({"path": "m"})',
    "damaged": "raise",
    "wait": "await asyncio.to_thread(self._build)",
    "reset": "def failed(self):\n        self.starting = False",
    "begin": "await self._wait()",
    "write": "await asyncio.to_thread(self._write, items)",
    "alike": "return await asyncio.to_thread(self.embeddings.similarity, first, [second])",
}


def service(**changed: str) -> str:
    """Return a service in the shape of the real one, healthy except where it is changed."""
    return 'ROOT = "/srv"\n' + SERVICE.format(**(GOOD | changed))


def codes(text: str) -> list[str]:
    """Return the codes of what is found, sorted."""
    return sorted(one.code for one in traced(source, text, "services/intelligence/txtai_service.py"))


def test_a_healthy_service_is_left_alone() -> None:
    """One start that is awaited, work in threads, a hashed id, a failure that resets the flag: nothing to say."""
    assert codes(service()) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"begin": "self._kick()\n        await self._wait()"}, ["TXT003"]),
        (
            {
                "begin": "self._kick()\n        if not self.ready:\n            await self._wait()",
                "wait": "self._build()",
            },
            ["TXT003", "TXT009"],
        ),
        (
            {
                "begin": "self._kick()\n        await self._wait()",
                "wait": "await asyncio.get_event_loop().run_in_executor(None, self._build)",
            },
            ["TXT003"],
        ),
        (
            {
                "begin": "self._kick()\n        await self._wait()",
                "build": "with self._lock:\n            if not self.ready:\n                "
                'self.embeddings = Embeddings({"path": "m"})',
            },
            [],
        ),
        ({"begin": "self._kick()\n        await self._wait()", "wait": "await asyncio.sleep(0.1)"}, []),
    ],
)
def test_two_starts_in_one_call(changed: dict[str, str], expected: list[str]) -> None:
    """The thread and the executor build the index twice; a lock inside, or a wait that builds nothing, cures it."""
    assert codes(service(**changed)) == expected


@pytest.mark.parametrize(
    ("leave", "expected"),
    [("return 0", "TXT002"), ('raise RuntimeError("not initialized")', "TXT001")],
)
def test_a_call_that_does_not_wait_for_the_start(leave: str, expected: str) -> None:
    """It drops what it was given, or refuses it; one that waits does neither."""
    write = f"if not self.ready:\n            {leave}\n        await self._thread(self.embeddings.upsert(items))"
    found = codes(service(begin="self._kick()", write=write))
    assert expected in found
    assert expected not in codes(service(write=write))


def test_a_flag_that_is_never_taken_back() -> None:
    """After one failure nothing starts again; the constructor's own False is no reset."""
    assert codes(service(reset="pass")) == ["TXT007"]


@pytest.mark.parametrize(
    ("on_class", "expected"),
    [
        ("_lock = asyncio.Lock()", ["TXT008"]),
        ("_locks = defaultdict(asyncio.Lock)", ["TXT008"]),
        ("@classmethod\n    def of(cls, user):\n        cls._locks[user] = asyncio.Lock()", ["TXT008"]),
        ("def own(self):\n        self.__class__._locks['x'] = asyncio.Event()", ["TXT008"]),
        ("def own(self):\n        self._locks.setdefault('x', threading.Lock())", []),
        ("def own(self):\n        self._lock = asyncio.Lock()", []),
        ("_lock = threading.Lock()", []),
    ],
)
def test_primitives_that_belong_to_one_loop(on_class: str, expected: list[str]) -> None:
    """On the class, or in a table of the class, every loop shares them; on an instance, or of threads, not."""
    assert codes("from collections import defaultdict\n" + service(on_class=on_class)) == expected


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        ("self.embeddings.index(items)", ["TXT005", "TXT009"]),
        ("self.embeddings.index(items, reindex=True)", ["TXT009", "TXT080"]),
        ("self.embeddings.upsert(items)", ["TXT009"]),
        ("self.embeddings.save(self.path)", ["TXT009", "TXT012"]),
        ("self._store(items)\n\n    def _store(self, items):\n        self.embeddings.upsert(items)", ["TXT009"]),
        ("await asyncio.to_thread(self.embeddings.upsert, items)", []),
        (
            "rows = [(a, b, json.dumps(c)) for a, b, c in items]\n        self.embeddings.upsert(rows)",
            ["TXT009", "TXT034"],
        ),
        ("names = [one[0] for one in items]\n        return names.index('x')", []),
    ],
)
def test_writes(write: str, expected: list[str]) -> None:
    """What replaces, blocks, saves in place, or hands fields over as tags; in a thread, and of lists, none of it."""
    assert codes(service(write=write)) == expected


def test_a_first_build_beside_an_upsert_replaces_nothing() -> None:
    """`index` in the branch for an empty index is how an index begins."""
    write = (
        "def work():\n            if self.embeddings.count():\n                self.embeddings.upsert(items)\n"
        "            else:\n                self.embeddings.index(items)\n        await asyncio.to_thread(work)"
    )
    assert codes(service(write=write)) == []


def test_a_save_beside_the_index_is_no_save_in_place() -> None:
    """What is written elsewhere and put in its place by a rename survives a crash."""
    write = (
        "def work():\n            self.embeddings.save(self.path + '.new')\n"
        "            os.replace(self.path + '.new', self.path)\n        await asyncio.to_thread(work)"
    )
    assert codes(service(write=write)) == []


def test_a_damaged_index_is_replaced() -> None:
    """The handler that builds an empty index is found; one that raises is not."""
    assert codes(service(damaged='self.embeddings = Embeddings({"path": "m"})')) == ["TXT013"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ('f"workspace/workspace_{user_id}/indices/txtai"', ["TXT014", "TXT076"]),
        ('f"/srv/{self.user_id}/index"', ["TXT014"]),
        ('os.path.join(ROOT, f"users/{user_id}/index")', ["TXT014"]),
        ('f"workspace/{hash_of(user_id)}/index"', []),
        ('f"https://host/{user_id}/index"', []),
    ],
)
def test_the_index_path(path: str, expected: list[str]) -> None:
    """A raw id chooses the directory, a relative path hangs on the start; a changed id is trusted."""
    assert codes(service(path=path)) == expected


@pytest.mark.parametrize(
    ("alike", "expected"),
    [
        ("return self.embeddings.similarity(first, second)", ["TXT009", "TXT082"]),
        ('return self.embeddings.similarity(first, "other")', ["TXT009", "TXT082"]),
        ("return self.embeddings.similarity(first, [second])", ["TXT009"]),
    ],
)
def test_a_similarity_of_two_texts(alike: str, expected: list[str]) -> None:
    """A text where a list is expected fails always."""
    assert codes(service(alike=alike)) == expected


def test_a_write_past_the_service() -> None:
    """A module that reaches into the service is found at each write; one that asks the service is not."""
    past = """
    class Memory:
        def record(self, doc):
            index = self.intelligence.embeddings
            index.upsert([doc])
            self.intelligence.embeddings.save(self.path)
    """
    assert [(one.code, one.line) for one in traced(source, past) if one.code == "TXT081"] == [
        ("TXT081", 5),
        ("TXT081", 6),
    ]
    asked = """
    class Memory:
        async def record(self, doc):
            await self.intelligence.index_content([doc])
            return self.intelligence.embeddings is not None
    """
    assert traced(source, asked) == []


def test_a_cache_that_users_share() -> None:
    """A constant where the user belongs is found; the user's id is in order."""
    shared = (
        'def get(self, query):\n    return self.memory.get(self._generate_cache_key("q", "global", {"q": query}))\n'
    )
    assert [one.code for one in traced(source, shared)] == ["TXT083"]
    assert traced(source, shared.replace('"global"', 'self.user or "global"').replace("'global'", "")) == []


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        ("if self.strict:\n            raise RuntimeError\n        return 0", ["TXT084"]),
        ("if self.strict:\n            raise RuntimeError\n        self.queue(items)", []),
        ("if items is None:\n            raise RuntimeError\n        return 0", []),
    ],
)
def test_a_setting_that_silences_a_failure(write: str, expected: list[str]) -> None:
    """Where the switch is off nothing is raised and nothing kept."""
    assert codes(service(write=write)) == expected


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ('logger.debug(f"failed: {error}")', ["TXT085"]),
        ("pass", ["TXT085"]),
        ('logger.error(f"failed: {error}")', []),
        ("raise", []),
    ],
)
def test_a_failed_indexing_that_nobody_hears_of(handler: str, expected: list[str]) -> None:
    """A debug line is not told to anybody; an error is."""
    text = f"""
    async def index(service, items):
        try:
            await service.index_content(items)
        except Exception as error:
            {handler}
    """
    assert codes(text) == expected


def test_the_lines_are_those_of_the_fault() -> None:
    """A trace stands where the fault does, and its key holds the function and the statement but no line."""
    text = service(begin="self._kick()\n        await self._wait()")
    [found] = traced(source, text)
    assert text.splitlines()[found.line - 1].strip() == "self._kick()"
    assert found.snippet_key == "Service.add: self._kick()"
    [moved] = traced(source, "\n\n# moved\n" + text)
    assert moved.line == found.line + 3
    assert moved.snippet_key == found.snippet_key
