"""Each scenario of the race says `reproduced` of a component that has the fault: it can be made to fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.model import Outcome, Target, TargetKind
from alwrity_checks.txtai.scenarios.catalogue import SCENARIOS
from alwrity_checks.txtai.scenarios.child import run
from alwrity_checks.txtai.scenarios.scenario import Offer, Scenario, Seen, judged_by_loss
from alwrity_checks.txtai.scenarios.stage import Stage
from alwrity_checks.txtai.scenarios.targets import ComponentTarget, Deployment, target_named, targets

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.txtai.legacy.service import Item

BY_CODE = {scenario.code: scenario for scenario in SCENARIOS}
IN_A_CHILD = {"TXT008", "TXT010", "TXT012"}
"""These name the target to a child process, so that a target of the test's own cannot be put through them."""


@dataclass
class Spoilt:
    """A deployment of the component, one thing of which is spoilt; its services are itself."""

    inner: Deployment
    stage: Stage
    user: str = ""
    batches: int = 0
    failed: bool = False

    def of(self, user_id: str) -> Spoilt:
        """Remember whose service was asked for."""
        self.user = user_id
        self.inner.of(user_id)
        return self

    def wait(self, timeout: float) -> bool:
        """Wait for the component."""
        return self.inner.wait(timeout)

    def close(self) -> None:
        """Close the component."""
        self.inner.close()

    async def index_content(self, items: list[Item]) -> object:
        """Index."""
        return await self.inner.of(self.user).index_content(items)

    async def search(self, query: str, limit: int = 5) -> Sequence[Mapping[str, Any]]:
        """Search."""
        return await self.inner.of(self.user).search(query, limit)

    def is_initialized(self) -> bool:
        """Ask the component."""
        return self.inner.of(self.user).is_initialized()


class Refuses(Spoilt):
    """Refuses every call."""

    async def index_content(self, items: list[Item]) -> object:
        """Refuse."""
        self.stage.schedule.accepted()
        raise RuntimeError(f"cannot index {len(items)} documents")


class Forgets(Spoilt):
    """Accepts everything and keeps the first document of each call."""

    async def index_content(self, items: list[Item]) -> object:
        """Forget."""
        return await super().index_content(items[:1])


class LoadsTwice(Spoilt):
    """Loads another model for each call."""

    async def index_content(self, items: list[Item]) -> object:
        """Load, then index."""
        done = await super().index_content(items)
        self.stage.load()
        return done


class NeverReady(Spoilt):
    """Says that it is not ready, whatever happens."""

    def is_initialized(self) -> bool:
        """Say no."""
        super().is_initialized()
        return False


class Blocks(Spoilt):
    """Encodes on the caller's thread first."""

    async def index_content(self, items: list[Item]) -> object:
        """Encode, then index."""
        self.stage.encode([text for _, text, _ in items])
        return await super().index_content(items)


class BreaksForGood(Spoilt):
    """After a batch that failed it refuses every further one."""

    async def index_content(self, items: list[Item]) -> object:
        """Index, until something has failed."""
        if self.failed:
            raise RuntimeError("UNIQUE constraint failed")
        try:
            return await super().index_content(items)
        except Exception:
            self.failed = True
            raise


class WritesOutside(Spoilt):
    """Makes a directory of the user's id."""

    async def index_content(self, items: list[Item]) -> object:
        """Write beside the backend."""
        (self.stage.directory / "outside").mkdir(exist_ok=True)
        return await super().index_content(items)


class Overwrites(Spoilt):
    """Begins with nothing where it finds an index that was damaged."""

    async def search(self, query: str, limit: int = 5) -> Sequence[Mapping[str, Any]]:
        """Find nothing of the first day, and leave nothing of it on the disk."""
        if "today" in query:
            for path in self.stage.root.rglob("documents"):
                path.write_bytes(b"")
            return []
        return await super().search(query, limit)


@dataclass(frozen=True)
class SpoiltTarget(ComponentTarget):
    """The component, spoilt in one way."""

    spoil: Callable[[Deployment, Stage], Deployment] = field(default=Spoilt)

    def deploy(self, stage: Stage) -> Deployment:
        """Start a spoilt component."""
        return self.spoil(ComponentTarget.deploy(self, stage), stage)


def play(code: str, spoil: Callable[[Deployment, Stage], Deployment]) -> Seen:
    """Put a spoilt component through a scenario."""
    return BY_CODE[code].play(SpoiltTarget(spoil=spoil))


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("TXT001", Refuses),
        ("TXT002", Forgets),
        ("TXT003", LoadsTwice),
        ("TXT004", Forgets),
        ("TXT005", Forgets),
        ("TXT006", Forgets),
        ("TXT007", NeverReady),
        ("TXT009", Blocks),
        ("TXT011", BreaksForGood),
        ("TXT013", Overwrites),
        ("TXT014", WritesOutside),
    ],
)
def test_fault_in_the_component_would_show(code: str, spoil: Callable[[Deployment, Stage], Deployment]) -> None:
    """The scenario of the rule says `reproduced` of a component that has the fault."""
    seen = play(code, spoil)
    assert seen.outcome is Outcome.REPRODUCED, seen.message


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if one.code not in IN_A_CHILD], ids=lambda one: one.name)
def test_wrapping_alone_spoils_nothing(scenario: Scenario) -> None:
    """The component behind the wrapper has none of the faults: the faults above are the spoilers'."""
    seen = play(scenario.code, Spoilt)
    assert seen.outcome is Outcome.ABSENT, seen.message


@pytest.mark.parametrize("code", ["TXT002", "TXT004", "TXT006", "TXT009"])
def test_refusing_everything_proves_nothing(code: str) -> None:
    """A target that accepts no document is not called free of losing them."""
    assert play(code, Refuses).outcome is Outcome.UNKNOWN


def test_refusal_of_a_part_is_not_hidden() -> None:
    """Where one of two calls was refused and nothing was lost, the loss is open, not absent."""
    offer = Offer(accepted={"a": "x"}, refused=5, errors=["StorageError: no room"])
    with Stage(stubbed=True) as stage:
        seen = judged_by_loss(offer, {"a"}, stage, "two calls")
    assert seen.outcome is Outcome.UNKNOWN
    assert "5 documents refused" in seen.message


def test_nothing_is_left_on_the_disk() -> None:
    """A stage removes its directory, however the block ends."""
    with pytest.raises(KeyError), Stage(stubbed=True) as stage:
        raise KeyError
    assert not stage.directory.exists()


def test_a_child_that_is_killed_leaves_no_temporary_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What txtai has in a temporary file when its process is killed goes with the child, here as in the kill itself."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = (
        "import os, signal, tempfile; "
        "print('{\"temporary\": true}', flush=True) if tempfile.NamedTemporaryFile(delete=False) else None; "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    monkeypatch.setattr("alwrity_checks.txtai.scenarios.child.arguments", lambda *_: [sys.executable, "-c", program])
    ended = run("write", target_named("fixed"), timeout=60)
    assert (ended.signal, ended.lines) == ("SIGKILL", ({"temporary": True},))
    assert list(tmp_path.iterdir()) == []


def test_targets_are_found_by_name() -> None:
    """A child is told its target by name."""
    for target in targets():
        assert str(target_named(str(target))) == str(target)
    assert target_named("fixed").target == Target(TargetKind.FIXED, "", "SemanticIndexes")
