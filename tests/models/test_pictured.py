"""Memory over time as data: true to the samples, with both limits, bounded however long the run was."""

from __future__ import annotations

from datetime import timedelta

from alwrity_checks.model import Verdict
from alwrity_checks.models.bench_figures import Failure, Sample
from alwrity_checks.models.pictured import memory_pictures
from alwrity_checks.pictures import Series
from tests.support.models_bench import MEBI, bench, result


def drawn(*results: object, **changes: object) -> list[Series]:
    """Return the pictures of a bench."""
    pictures = memory_pictures(bench(*results, **changes))  # type: ignore[arg-type]  # as `bench` says
    return [one for one in pictures if isinstance(one, Series)]


def test_samples_limits_and_phases() -> None:
    """In MiB: what was resident, what of it cannot be given back, the kernel's peak and the machine's memory."""
    (picture,) = drawn(result())
    resident, anonymous = picture.lines
    assert [(one.at.total_seconds(), one.value) for one in resident.points] == [(0, 100), (1, 500), (2, 1400)]
    assert [one.value for one in anonymous.points] == [50, 400]
    assert {one.name: one.value for one in picture.limits} == {
        "the machine's memory": 8192,
        "peak, as the kernel counts it": 1500,
    }
    second = timedelta(seconds=1)
    assert [(one.name, one.start / second, one.end / second) for one in picture.phases] == [
        ("imports", 0, 0.5),
        ("load", 0.5, 1),
        ("measured", 1, 2),
    ]
    assert picture.unit == "MiB"
    assert "1,500 MiB, of 8,192 MiB" in picture.description
    assert picture.verdict is None


def test_all_share_one_axis() -> None:
    """What is heavy looks heavy."""
    assert {one.top for one in drawn(result(), result(model="owner/other"))} == {1500}


def test_a_killed_case_is_a_fault_in_its_phase() -> None:
    """What killed it is told, and the phase in which it was is judged."""
    (picture,) = drawn(result(failure=Failure("memory", "killed by the kernel", "take a smaller one", "load")))
    assert picture.verdict is Verdict.FAIL
    assert picture.description.startswith("Killed by the kernel. The machine has 8,192 MiB.")
    assert [one.name for one in picture.phases if one.verdict is Verdict.FAIL] == ["load"]


def test_a_long_run_is_bounded_and_keeps_its_peak() -> None:
    """Of neighbouring samples the highest stays, wherever it is."""
    samples = tuple(Sample(number / 10, (5000 if number == 7_777 else 100) * MEBI) for number in range(20_000))
    (picture,) = drawn(result(samples=samples))
    (line,) = picture.lines
    assert len(line.points) <= 240
    assert max(one.value for one in line.points) == 5000


def test_what_was_not_sampled_has_no_picture_and_many_are_counted() -> None:
    """A case that never began is in the tables; of many cases it is said how many are not drawn."""
    assert drawn(result(samples=())) == []
    pictures = drawn(*(result(model=f"owner/{number}") for number in range(15)))
    assert len(pictures) == 12
    assert {one.left_out for one in pictures} == {"3 more cases are in the tables alone."}
