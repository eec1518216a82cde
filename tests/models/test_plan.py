"""A plan says which step fits and why not the others, and falls back only to what is lighter."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.models.available import ADDRESS_SPACE, Available, Part
from alwrity_checks.models.errors import ModelError, ModelUnavailable
from alwrity_checks.models.facts import ModelFacts, known_models
from alwrity_checks.models.hub import Hub
from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.models.plan import Fit, PlanRow, lighter_chain, parse_bytes, plan, planned
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.models.synthetic import write_checkpoint
from tests.support.planning import BFLOAT16, GIB, INT4, MACHINE, MEBI, QWEN, QWEN_3B, QWEN_LARGER, TINYLLAMA, machine

LARGER = Step(QWEN_LARGER, Runtime.ONNX, Precision.INT4)
FLOAT32 = replace(BFLOAT16, precision=Precision.FLOAT32)
STEPS = (LARGER, INT4, FLOAT32, BFLOAT16)


def _converted() -> dict[str, ModelFacts | ModelError]:
    """Return the known models as they are on a machine on which each was converted already."""
    return {name: replace(one, converted_bytes=300 * MEBI) for name, one in known_models().items()}


def _facts() -> dict[str, ModelFacts | ModelError]:
    return dict(known_models())


def test_the_first_that_fits_is_chosen_and_what_follows_is_lighter() -> None:
    """On a machine with room the order of preference counts; float32 is no fallback of a lighter step."""
    found = plan(STEPS, MACHINE, _facts(), context=1024)
    assert (found.chosen, found.fallbacks) == (LARGER, (INT4,))
    assert [row.fit for row in found.rows] == [Fit.FITS] * 4
    assert (found.available, found.limited_by, found.context) == (16 * GIB, "memory", 1024)


def test_the_same_model_slower_and_heavier_says_so() -> None:
    """What speaks against a step that fits stands in its row."""
    row = plan(STEPS, MACHINE, _facts(), context=1024).row(FLOAT32)
    assert row is not None
    assert f"slower and heavier than {LARGER}" in row.why or f"slower and heavier than {INT4}" in row.why


def test_float32_does_not_fit_while_it_loads() -> None:
    """What would fit afterwards is refused for its peak, and the sentence says when that is."""
    row = plan((FLOAT32,), MACHINE, _facts(), available=int(2.6 * GIB), context=128).rows[0]
    assert row.fit is Fit.SLOWER
    assert row.reason is Reason.DOES_NOT_FIT
    assert "while it loads" in row.why
    assert row.margin is not None
    assert row.margin < 0


def test_a_mapped_model_in_too_little_memory_is_slower_and_not_killed() -> None:
    """Its unreclaimable part fits: the row says so, and nothing is chosen for it; with less it is too large."""
    found = plan((BFLOAT16,), MACHINE, _facts(), available=GIB, context=128)
    assert (found.rows[0].fit, found.chosen) == (Fit.SLOWER, None)
    assert "not killed" in found.rows[0].why
    assert plan((BFLOAT16,), MACHINE, _facts(), available=300 * MEBI, context=128).rows[0].fit is Fit.TOO_LARGE


def test_little_to_spare_is_tight() -> None:
    """What needs more than 85 % of what is there is rehearsed first, and still counts as fitting."""
    found = plan((BFLOAT16,), MACHINE, _facts(), available=int(1.45 * GIB), context=128)
    assert found.rows[0].fit is Fit.TIGHT
    assert found.chosen == BFLOAT16


def test_a_missing_runtime_names_its_extra() -> None:
    """Predicted all the same, so that somebody can see what installing it would bring."""
    found = plan(STEPS, machine(installed=frozenset({Runtime.TRANSFORMERS})), _facts(), context=128)
    assert found.rows[0].fit is Fit.NOT_INSTALLED
    assert "[onnx]" in found.rows[0].why
    assert "alwrity-doctor[onnx]" in found.rows[0].remedy
    assert found.rows[0].prediction is not None
    assert (found.chosen, found.fallbacks) == (FLOAT32, (BFLOAT16,))


def test_a_model_that_is_not_known_is_unknown_with_its_reason() -> None:
    """What the hub said is passed on; the other steps are planned."""
    gone = ModelUnavailable(Reason.MODEL_UNKNOWN, "the hub has no acme/none", "correct the name")
    steps = (Step("acme/none", Runtime.TRANSFORMERS, Precision.FLOAT32), BFLOAT16)
    found = plan(steps, MACHINE, {"acme/none": gone, QWEN: known_models()[QWEN]}, context=128)
    assert (found.rows[0].fit, found.rows[0].reason) == (Fit.UNKNOWN, Reason.MODEL_UNKNOWN)
    assert (found.rows[0].why, found.rows[0].remedy) == (gone.diagnosis, gone.remedy)
    assert found.chosen == BFLOAT16


def test_a_licence_without_commerce_is_chosen_only_by_name() -> None:
    """Qwen2.5-3B is passed over further down, and taken where it stands first; its row names the licence."""
    research = Step(QWEN_3B, Runtime.TRANSFORMERS, Precision.BFLOAT16)
    found = plan((BFLOAT16, research), MACHINE, _facts(), context=128)
    assert (found.chosen, found.fallbacks) == (BFLOAT16, ())
    assert "research" in found.rows[1].why
    assert plan((research, BFLOAT16), MACHINE, _facts(), context=128).chosen == research
    small = plan((Step(TINYLLAMA, Runtime.TRANSFORMERS, Precision.FLOAT32), research), MACHINE, _facts(), context=128)
    assert research not in small.fallbacks


def test_a_conversion_that_does_not_fit_stands_in_the_way() -> None:
    """Converting takes several times what the model needs; where it was converted already it does not count."""
    found = plan((LARGER,), MACHINE, _facts(), available=4 * GIB, context=128)
    assert found.rows[0].fit is Fit.TOO_LARGE
    assert "converting" in found.rows[0].why
    assert plan((LARGER,), MACHINE, _converted(), available=4 * GIB, context=128).chosen == LARGER


def test_a_full_disk_stands_in_the_way() -> None:
    """The download, and the converted copy, have to find room."""
    row = plan((INT4,), machine(disk_free=900_000_000), _facts(), context=128).rows[0]
    assert (row.fit, row.reason) == (Fit.TOO_LARGE, Reason.DISK_FULL)
    assert row.disk_bytes > row.download_bytes > 988_000_000


def test_a_limit_of_the_address_space_counts_what_is_mapped() -> None:
    """RLIMIT_AS counts a mapped file twice while it loads; a hypothetical machine has no such limit."""
    limits = Available.of((Part("memory", 16 * GIB, ""), Part(ADDRESS_SPACE, 2 * GIB, "")))
    limited = machine(available=limits)
    row = plan((BFLOAT16,), limited, _facts(), context=128).rows[0]
    assert row.fit is Fit.TOO_LARGE
    assert "address space" in row.why
    assert plan((BFLOAT16,), limited, _facts(), available=8 * GIB, context=128).chosen == BFLOAT16


def test_a_download_has_a_price() -> None:
    """Seconds at the rate that was given; nothing for what is here."""
    row = plan((BFLOAT16,), MACHINE, _facts(), context=128, download_rate=1e6).rows[0]
    assert row.download_seconds == pytest.approx(995, rel=0.01)
    assert plan((BFLOAT16,), MACHINE, _facts(), context=128).rows[0].download_seconds is None


def test_assumptions_stand_in_the_plan() -> None:
    """An unmeasured machine's plan names what it assumed."""
    found = plan((INT4,), machine(assumed=frozenset({"bandwidth"}), busy=True), _facts(), context=128)
    assert found.assumed == {"bandwidth"}
    assert found.busy


def test_nothing_fits_and_nothing_is_chosen() -> None:
    """No step, and too little memory for any, both end without a choice."""
    assert plan((), MACHINE, {}, context=128).chosen is None
    assert plan(STEPS, MACHINE, _facts(), available=64 * MEBI, context=128).chosen is None


def test_facts_are_gathered_from_a_real_hub(tmp_path: Path) -> None:
    """One convenience: a directory and a hub's model are planned, and a model that nobody knows is a row."""
    directory = write_checkpoint(tmp_path / "tiny", "tiny")
    steps = [
        Step(model, Runtime.TRANSFORMERS, Precision.BFLOAT16) for model in ("acme/none", "acme/tiny", str(directory))
    ]
    with LoopbackHub({"acme/tiny": directory}) as server, Hub(server.endpoint) as hub:
        found = planned(steps, machine=MACHINE, hub=hub, context=256, cache=tmp_path / "cache")
    assert [row.fit for row in found.rows] == [Fit.UNKNOWN, Fit.FITS, Fit.FITS]
    assert found.rows[0].reason is Reason.MODEL_UNKNOWN
    assert found.rows[1].download_bytes > 0 == found.rows[2].download_bytes


@st.composite
def _rows(draw: st.DrawFn) -> list[PlanRow]:
    """Draw rows of the known models in every way, on machines of any size."""
    ways = [
        (Runtime.ONNX, Precision.INT4),
        *((Runtime.TRANSFORMERS, one) for one in (Precision.FLOAT32, Precision.BFLOAT16)),
    ]
    every = [Step(model, *way) for model in (QWEN, QWEN_LARGER, QWEN_3B, TINYLLAMA) for way in ways]
    steps = draw(st.lists(st.sampled_from(every), unique=True, max_size=8))
    available = draw(st.integers(1, 24 * GIB))
    return list(plan(steps, MACHINE, _converted(), available=available, context=draw(st.integers(1, 8192))).rows)


@given(rows=_rows())
def test_a_chain_only_ever_gets_lighter(rows: list[PlanRow]) -> None:
    """Whatever the order of preference and the machine: each fallback needs strictly less, and all of it fits."""
    by_step = {row.step: row for row in rows}
    chain = lighter_chain(rows)
    peaks = [by_step[step].peak or 0 for step in chain]
    assert all(later < earlier for earlier, later in pairwise(peaks))
    assert all(by_step[step].fits for step in chain)
    assert bool(chain) == any(row.fits for row in rows)


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("8GiB", 8 * GIB), ("8 GB", 8_000_000_000), ("8000M", 8_000_000_000), ("8g", 8_000_000_000),
        (" 1.5 GiB ", GIB * 3 // 2), ("8589934592", 8 * GIB), ("512MiB", GIB // 2), ("1Ti", 1 << 40),
        ("4000000000B", 4_000_000_000),
    ],
)  # fmt: skip
def test_amounts_of_memory_are_read_as_people_write_them(text: str, bytes_: int) -> None:
    """Binary and decimal units, with and without a space, in any case of letters."""
    assert parse_bytes(text) == bytes_


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1GiB",
        "lots",
        "1e30GB",
        "",
        "GiB",
        "8 XB",
        "8",
        "nan",
        "inf",
        "9999999TiB",
        "8GiB!",
        "\uff11\uff16GiB",
        "1" * 400,
    ],
)
def test_an_impossible_amount_is_refused(text: str) -> None:
    """The error names the value and shows how one is written."""
    with pytest.raises(ModelError) as refused:
        parse_bytes(text)
    assert refused.value.reason is Reason.SETTING_INVALID
    assert "8GiB" in refused.value.remedy


@given(text=st.text(max_size=12))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    """Nothing foreign is raised."""
    try:
        assert parse_bytes(text) > 0
    except ModelError as error:
        assert error.reason is Reason.SETTING_INVALID  # noqa: PT017 - one of two outcomes
