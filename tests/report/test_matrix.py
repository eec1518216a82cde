"""What a person is told of an experiment: the remarkable, and of its evidence nothing twice."""

from __future__ import annotations

from dataclasses import replace

from alwrity_checks.model import Evidence, Finding, Observation, Outcome, Target, TargetKind
from alwrity_doctor.report.matrix import remarkable, untold
from tests.support.checks import rule

LEGACY, FIXED, BACKEND = Target(TargetKind.LEGACY, "2024"), Target(TargetKind.FIXED), Target(TargetKind.BACKEND)
VERSIONS = Evidence("driven on", "PyJWT 2.8.0")


def seen(target: Target, outcome: Outcome, *evidence: Evidence) -> Observation:
    """Return an observation."""
    return Observation(rule(), target, "a forged token", outcome, f"it was {outcome}", evidence)


def test_what_all_observations_of_a_target_share_is_told_once() -> None:
    """With the first that is told, even if that is not the first that was made; what differs is told with each."""
    requests = Evidence("requests", "6")
    observations = [
        seen(LEGACY, Outcome.REPRODUCED, VERSIONS),
        seen(FIXED, Outcome.UNKNOWN, VERSIONS),
        seen(BACKEND, Outcome.ABSENT, VERSIONS),
        seen(BACKEND, Outcome.REPRODUCED, requests, VERSIONS),
        seen(BACKEND, Outcome.REPRODUCED, requests, VERSIONS),
        seen(BACKEND, Outcome.UNKNOWN, VERSIONS),
    ]
    assert [(str(one.target), one.evidence) for one in remarkable(observations)] == [
        ("fixed", (VERSIONS,)),
        ("yours", (requests, VERSIONS)),
        ("yours", (requests,)),
        ("yours", ()),
    ]


def test_what_the_observations_of_one_issue_share_is_told_once_for_each_issue() -> None:
    """A checkout is put through the experiments of all issues, each on other libraries: each says so once."""
    other = Evidence("driven on", "openai 2.24.0")
    observations = [
        replace(seen(BACKEND, Outcome.REPRODUCED, versions), rule=rule(issue=issue))
        for issue, versions in ((1, VERSIONS), (1, VERSIONS), (2, other), (2, other))
    ]
    assert [one.evidence for one in remarkable(observations)] == [(VERSIONS,), (), (other,), ()]


def test_a_finding_does_not_tell_an_observation_twice() -> None:
    """Its scenario is left, by which the reader finds the observation; what no experiment saw is told in full."""
    scenario, requests = Evidence("scenario", "a forged token"), Evidence("requests", "6")
    observations = [seen(BACKEND, Outcome.REPRODUCED, requests, VERSIONS)]
    assert untold(Finding(rule(), "it was reproduced", (scenario, requests, VERSIONS)), observations) == (scenario,)
    assert untold(Finding(rule(), "it was seen", (requests, VERSIONS)), observations) == (requests, VERSIONS)
    shown = [seen(LEGACY, Outcome.REPRODUCED, VERSIONS)]
    assert untold(Finding(rule(), "the model", (scenario, VERSIONS)), shown) == (scenario, VERSIONS)


def test_column_of_a_checkout_is_its_owners() -> None:
    """Whoever reads the table is the one whose backend it is; the kind stays what the model calls it."""
    assert (str(BACKEND), BACKEND.kind.value) == ("yours", "backend")
    assert str(Target(TargetKind.BACKEND, "", "/srv/alwrity/backend")) == "yours"
