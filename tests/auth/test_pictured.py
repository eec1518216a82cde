"""Who fetches keys and who waits, watched: on the middleware, the component and a checkout, on one axis of time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.experiment import AuthExperiment
from alwrity_checks.auth.scenarios.targets import targets
from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.drivers import auth_target
from alwrity_checks.model import TargetKind, Verdict
from alwrity_checks.pictures import Lanes
from alwrity_doctor.reproduction import WithBackend, reproduce
from tests.support.auth_backend import middleware, write_auth_backend

if TYPE_CHECKING:
    from alwrity_checks.model import Event, Report
    from alwrity_checks.pictures import Lane


class Deaf:
    """Hears nothing."""

    def notify(self, event: Event) -> None:
        """Take no note."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Play the two scenarios that are watched, on every target and on a checkout of the latest state."""
    root = write_auth_backend(tmp_path_factory.mktemp("checkout"), middleware("D"))
    experiment = AuthExperiment(codes={"AUTH050", "AUTH054"})
    checkout = auth_target(find_checkout(root))
    return asyncio.run(reproduce([WithBackend(experiment, checkout)], Deaf(), command="auth reproduce"))


def drawn(report: Report, beginning: str) -> Lanes:
    """Return the picture whose title begins so."""
    (picture,) = [one for one in report.pictures if one.title.startswith(beginning)]
    assert isinstance(picture, Lanes)
    return picture


def lane(picture: Lanes, beginning: str) -> Lane:
    """Return the lane whose name begins so."""
    (found,) = [one for one in picture.lanes if one.name.startswith(beginning)]
    return found


def test_the_faulty_stands_above_the_sound(report: Report) -> None:
    """For each scenario that shows a fault: legacy, the checkout, the component; all with the verdict of the rule."""
    told = [(one.rule, one.title.partition(" on ")[2].partition(":")[0], one.verdict) for one in report.pictures]
    faulty = [("legacy D", Verdict.FAIL), ("yours", Verdict.FAIL), ("fixed", Verdict.PASS)]
    assert told == [(code, *one) for code in ("AUTH050", "AUTH054") for one in faulty]
    assert {one.issue for one in report.pictures} == {1}


def test_each_fetch_is_a_bar(report: Report) -> None:
    """The key server's lane has as many bars as there were fetches: two hundred, and one."""
    assert len(lane(drawn(report, "AUTH050 on legacy"), "key server").spans) == 200
    assert len(lane(drawn(report, "AUTH050 on fixed"), "key server").spans) == 1


@pytest.mark.parametrize(("target", "stands"), [("legacy D", True), ("yours", True), ("fixed", False)])
def test_the_event_loop_is_seen_to_stand(report: Report, target: str, stands: bool) -> None:  # noqa: FBT001 - a case
    """While the key server takes half a second, the loop stands as long, or turns; the caller waits in either case."""
    picture = drawn(report, f"AUTH054 on {target}")
    longest = max((one.end - one.start for one in lane(picture, "event loop").spans), default=None)
    (fetch,) = lane(picture, "key server").spans[-1:]
    assert (longest is not None and longest > (fetch.end - fetch.start) / 2) is stands
    (call,) = lane(picture, "caller").spans
    assert call.end - call.start >= (fetch.end - fetch.start) * 0.9


def test_they_share_an_axis(report: Report) -> None:
    """Whoever compares them compares lengths."""
    for code in ("AUTH050", "AUTH054"):
        assert len({one.until for one in report.pictures if one.rule == code and isinstance(one, Lanes)}) == 1


def test_what_shows_no_fault_has_no_picture() -> None:
    """Where every target is sound there is nothing to look at."""
    experiment = AuthExperiment(codes={"AUTH054"})
    (fixed,) = [one for one in targets() if one.target.kind is TargetKind.FIXED]
    asyncio.run(experiment.run(fixed, Deaf()))
    assert experiment.pictures() == ()
