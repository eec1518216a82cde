"""Several hosts on one database: what is accepted survives `kill -9` and a restart of the server, and comes once."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

pytest.importorskip("psycopg")
if sys.platform == "win32":
    pytest.skip("forks, and kills with SIGKILL", allow_module_level=True)

from tests.support.postgres import Host, content, new_user, until
from tests.support.postgres_kill import Forker, forking, told
from tests.support.txtai_store import drain

if TYPE_CHECKING:
    from tests.support.postgres import Server

POINTS: Final = ("enqueueing", "enqueued", "applying", "copied", "applied")
RANDOM_KILLS: Final = int(os.environ.get("TXTAI_POSTGRES_KILLS", "5"))


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    """Return the process from which the hosts are forked."""
    with forking() as made:
        yield made


class Deployment:
    """Hosts that share a user, each with a log of what it was told."""

    def __init__(self, server: Server, forker: Forker, directory: Path) -> None:
        self.server, self.forker, self.directory = server, forker, directory
        self.user = new_user()
        self.logs: dict[str, Path] = {}
        self.processes: dict[str, int] = {}

    def start(self, point: tuple[str, int] | None = None, *, applies: bool = True) -> str:
        """Start a host and return its name."""
        name = f"h{len(self.logs)}"
        self.logs[name] = self.directory / f"{name}.log"
        self.processes[name] = self.forker.start(
            self.logs[name], point, url=self.server.url, user=self.user, name=name, applies=applies
        )
        return name

    def end(self, name: str, number: int = signal.SIGKILL) -> int:
        """End a host and return how it ended."""
        return self.forker.end(self.processes.pop(name), number)

    def said(self, name: str, kind: str) -> list[dict[str, Any]]:
        """Return what a host has told of one kind."""
        return [one for one in told(self.logs[name]) if one["kind"] == kind] if self.logs[name].exists() else []

    def finish(self) -> None:
        """Let the hosts that live come to an end with all work done."""
        for process in self.processes.values():
            os.kill(process, signal.SIGTERM)
        for name in list(self.processes):
            assert self.end(name, 0) == 0, self.logs[name].read_text("utf-8")[-1000:]

    def check(self) -> None:
        """Compare: nothing acknowledged is lost, nothing is there twice or was applied twice, nothing came back."""
        host = Host(self.server.url)
        store = host.opened(self.user)
        drain(store)
        found = content(store)
        host.close()
        hot = found.pop("hot", None)
        for name in self.logs:
            mine = {one: text for one, text in found.items() if one.split(".")[0] == name}
            assert mine in self.possible(name)
        assert {one.split(".")[0] for one in found} <= set(self.logs)
        assert hot in self.possibly_hot()
        applied = [one["sequence"] for name in self.logs for one in self.said(name, "applied")]
        assert len(set(applied)) == len(applied)

    def possible(self, name: str) -> list[dict[str, str]]:
        """Return what there may be of a host: all it was acknowledged, with or without what was then under way."""
        state: dict[str, str] = {}
        after = state
        for line in told(self.logs[name]):
            if line["kind"] == "kept":
                state = after
            elif line["kind"] == "intent":
                after = dict(state)
                for one in line["deletes"]:
                    after.pop(one, None)
                after.update({one: text for one, text in line["upserts"].items() if one != "hot"})
        return [state, after]

    def possibly_hot(self) -> set[str | None]:
        """Return what the id that all hosts write may be: the last acknowledged version, or one that never was."""
        best: tuple[int, str | None] = (0, None)
        never: set[str | None] = set()
        for name in self.logs:
            lines = [line for line in told(self.logs[name]) if line["kind"] in {"intent", "kept"}]
            for intent, kept in zip(lines[::2], [*lines[1::2], None], strict=False):
                if kept is None:
                    never.add(intent["upserts"]["hot"])
                else:
                    best = max(best, (kept["sequence"], intent["upserts"]["hot"]))
        return {best[1], *never}


def test_two_hosts_accept_and_one_at_a_time_applies(postgres: Server, forker: Forker, tmp_path: Path) -> None:
    """Both acknowledge all the time, whoever applies, and no batch is applied by both."""
    hosts = Deployment(postgres, forker, tmp_path)
    names = [hosts.start(), hosts.start()]
    until(lambda: all(len(hosts.said(name, "kept")) > 30 for name in names))
    hosts.finish()
    hosts.check()
    assert [one for name in names for one in hosts.said(name, "applied")]
    assert not [error for name in names for error in hosts.said(name, "failed")]


def test_kill_at_every_point(postgres: Server, forker: Forker, tmp_path: Path) -> None:
    """Before and after the acknowledgement, and in the middle of the transaction, while another host accepts."""
    hosts = Deployment(postgres, forker, tmp_path)
    hosts.start(applies=False)
    for number, point in enumerate(POINTS):
        name = hosts.start((point, 1 + number % 3))
        assert hosts.end(name, 0) == -signal.SIGKILL
    hosts.finish()
    hosts.check()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
    assert postgres.ask(sessions) == [(0,)]


def test_kill_at_random_moments(postgres: Server, forker: Forker, tmp_path: Path) -> None:
    """The only host that applies is killed again and again: the next one goes on with what it left."""
    hosts = Deployment(postgres, forker, tmp_path)
    chance = random.Random(int(os.environ.get("TXTAI_KILL_SEED", "7")))  # noqa: S311 - moments, not secrets
    for _ in range(RANDOM_KILLS):
        name = hosts.start()
        until(lambda name=name: hosts.said(name, "kept"))  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.2))
        assert hosts.end(name) == -signal.SIGKILL
    hosts.check()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_the_server_is_restarted_underneath(postgres: Server, forker: Forker, tmp_path: Path, mode: str) -> None:
    """In order, or by a crash: the hosts hear of it, connect again by themselves, and lose nothing."""
    hosts = Deployment(postgres, forker, tmp_path)
    names = [hosts.start(), hosts.start()]
    until(lambda: all(len(hosts.said(name, "kept")) > 5 for name in names))
    postgres.stop(mode)
    try:
        until(lambda: all(hosts.said(name, "failed") for name in names))
    finally:
        postgres.start()
    before = {name: len(hosts.said(name, "kept")) for name in names}
    until(lambda: all(len(hosts.said(name, "kept")) > before[name] + 5 for name in names))
    assert hosts.end(names[0]) == -signal.SIGKILL
    hosts.finish()
    hosts.check()
