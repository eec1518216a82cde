"""A bench beside an earlier one: ratios where they mean something, and what else has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alwrity_checks.models.baseline import Difference, compare
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import LOAD, MEASURED, Failure, Surroundings, Workload
from alwrity_checks.models.steps import Precision
from tests.support.models_bench import bench, result, usage


def _ratios(difference: Difference) -> dict[str, float | None]:
    return {one.figure: one.ratio for one in difference.ratios}


def test_it_used_to_be_lighter() -> None:
    """Twice the peak is a ratio of 2, beside the library that was upgraded meanwhile."""
    heavy = result(
        usages=(usage(LOAD, 1000, resident=960, anonymous=900), usage(MEASURED, 3000, resident=2900, anonymous=800)),
        libraries={"torch": "2.13.0", "transformers": "5.23.0"},
    )
    light = result(libraries={"torch": "2.13.0", "transformers": "4.57.0"})
    compared = compare(bench(heavy), bench(light))
    (difference,) = compared.differences
    assert compared.same_machine
    assert not compared.changes
    assert _ratios(difference)["peak memory"] == 2.0
    assert _ratios(difference)["memory after load"] == 2.0
    assert _ratios(difference)["first token"] == _ratios(difference)["tokens per second"] == 1.0
    assert difference.changes == ("transformers 4.57.0 then, 5.23.0 now",)


def test_another_precision_is_found_again_and_said() -> None:
    """A runtime that used to load float32 and now loads bfloat16 is one case, not two."""
    compared = compare(bench(result()), bench(result(precision=Precision.FLOAT32)))
    (difference,) = compared.differences
    assert difference.changes == ("float32 then, bfloat16 now",)
    assert not compared.gone


def test_the_same_precision_is_preferred() -> None:
    """Where both were measured then, each is compared with itself, in whatever order they come."""
    both = [result(), result(precision=Precision.FLOAT32)]
    compared = compare(bench(*both), bench(*reversed(both)))
    for difference in compared.differences:
        assert difference.then is not None
        assert difference.then.case == difference.now.case


def test_what_has_no_counterpart_is_said_on_both_sides() -> None:
    """New cases have no ratios; cases that are gone are listed."""
    compared = compare(bench(result()), bench(result(carrier=Carrier.TXTAI)))
    (difference,) = compared.differences
    assert difference.then is None
    assert not difference.ratios
    assert [one.case.carrier for one in compared.gone] == [Carrier.TXTAI]


def test_equal_results_are_not_taken_for_one() -> None:
    """The same case measured twice is compared twice."""
    compared = compare(bench(result(), result()), bench(result(), result()))
    assert all(one.then is not None for one in compared.differences)
    assert not compared.gone


@pytest.mark.parametrize(
    "other",
    [
        Surroundings("x86_64/another", 2, 8 << 30, "Linux 6.1", 20e9),
        Surroundings("x86_64/a processor", 8, 8 << 30, "Linux 6.1", 20e9),
        Surroundings("x86_64/a processor", 2, 16 << 30, "Linux 6.1", 20e9),
        Surroundings("x86_64/a processor", 2, 8 << 30, "Windows 11", 20e9),
    ],
)
def test_another_machine_is_said(other: Surroundings) -> None:
    """Processor, processors, memory or system: each makes times incomparable."""
    compared = compare(bench(result()), bench(result(), surroundings=other))
    assert not compared.same_machine
    assert compared.changes[0].startswith("another machine")


def test_a_machine_is_the_same_with_another_bandwidth() -> None:
    """It is measured anew in every run, and never comes out equal; a few pages of memory more are none either."""
    other = Surroundings("x86_64/a processor", 2, (8 << 30) - 4096, "Linux 6.1", 25e9)
    assert compare(bench(result()), bench(result(), surroundings=other)).same_machine


def test_another_workload_is_said() -> None:
    """A first token after 512 tokens is no slower one than after 128: it is another figure."""
    now = bench(result(), workload=Workload(prompt_tokens=512, threads=1), synthetic=True, version="0.2.0")
    assert compare(now, bench(result())).changes == (
        "prompt tokens: 128 then, 512 now",
        "threads: the runtime's choice then, 1 now",
        "real weights then, random weights now",
        "alwrity-doctor 0.1.0 then, 0.2.0 now",
    )


def test_what_failed_or_was_disturbed_is_said() -> None:
    """A ratio of a busy moment is no news, and one of nothing is none."""
    lost = replace(result(), failure=Failure("out-of-memory", "it was killed", "", LOAD), answers=(), usages=())
    busy = replace(result(), usages=(usage(MEASURED, 1500, resident=1400, wait=0.4),))
    (difference,) = compare(bench(lost), bench(busy)).differences
    assert difference.changes == (
        "then the machine was busy: times are not to be relied on",
        "now: it was killed",
    )
    assert _ratios(difference)["peak memory"] is None
    assert _ratios(difference)["tokens per second"] is None
