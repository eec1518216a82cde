"""A bench for people: results, tables, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.bench_figures import IMPORTS, LOAD, MEASURED, RELEASE, Bench, Result, Spread
from alwrity_checks.models.measuring import BUSY

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Table
    from alwrity_checks.models.baseline import Comparison, Ratio
    from alwrity_checks.models.measuring import Memory

__all__ = ["comma_separated", "result_of", "settled", "tables"]

_MEBI: Final = 1 << 20
_LINE: Final = 40
"""Characters of the picture in a terminal."""
_STEADY: Final = 0.1
"""A spread up to this part of the median needs no word."""


def result_of(result: Result) -> CheckResult:
    """Return what a case came to: measured, or the rule that its failure breaks."""
    from alwrity_checks.models.findings import finding
    from alwrity_doctor.cli.models_component import examined, fact

    name, title = f"models.bench {result.case}", f"{result.case} was measured"
    failure = result.failure
    if failure is None:
        told = f"peak {_mebi(result.peak_rss)} MiB, first token {_seconds(result.time_to_first_token)} s, "
        return examined(name, title, (), reason=told + f"{_rate(result.decode)} tokens/s")
    evidence = [fact("phase", failure.phase or "before the first")]
    if result.peak_rss is not None:
        evidence.append(fact("peak before", f"{_mebi(result.peak_rss)} MiB"))
    if failure.remedy:
        evidence.append(fact("advice", failure.remedy))
    found = finding(failure.reason, f"{result.case}: {failure.diagnosis}", evidence=tuple(evidence))
    return examined(name, title, [found])


def settled(bench: Bench, before: Bench | None) -> Iterator[CheckResult]:
    """Yield what is to be said of the run as a whole: was the machine quiet, and is the baseline one."""
    from alwrity_checks.model import CheckResult, Verdict
    from alwrity_checks.models.baseline import compare

    title = f"threads waited less than {BUSY:.0%} of their time for a processor"
    shares = [one.wait_share for one in bench.results if one.wait_share is not None]
    busy = [one for one in bench.results if one.busy]
    if busy:
        told = ", ".join(f"{one.case}: {one.wait_share:.0%}" for one in busy)
        yield CheckResult(
            "models.bench.quiet",
            title,
            5,
            Verdict.WARN,
            reason=f"the machine was busy, times are not to be relied on: {told}",
            remedy="end what else runs, or measure with fewer --threads, and measure again",
        )
    elif shares:
        yield CheckResult("models.bench.quiet", title, 5, Verdict.PASS, reason=f"at most {max(shares):.1%}")
    elif bench.results:
        yield CheckResult(
            "models.bench.quiet",
            title,
            5,
            Verdict.SKIP,
            reason="this system does not tell how long threads wait",
            remedy="see by other means that nothing else runs",
        )
    if before is not None:
        compared = compare(bench, before)
        title = "the baseline was measured on this machine, with this workload"
        verdict = Verdict.WARN if compared.changes else Verdict.PASS
        yield CheckResult("models.bench.baseline", title, 5, verdict, reason="; ".join(compared.changes))


def tables(bench: Bench, before: Bench | None) -> tuple[Table, ...]:
    """Return the figures side by side."""
    from alwrity_checks.models.baseline import compare

    if not bench.results:
        return ()
    made = [_speed(bench), _memory(bench), _picture(bench)]
    if before is not None:
        made += _compared(compare(bench, before))
    return tuple(made)


def _speed(bench: Bench) -> Table:
    from alwrity_checks.model import Table

    columns: tuple[str, ...] = (
        "case",
        "imports s",
        "load s",
        "cold s",
        "first token s",
        "prefill /s",
        "tokens/s",
        "limit /s",
        "reached",
        "CPU s",
    )
    pulled = any(one.download for one in bench.results)
    if pulled:
        columns += ("download s",)
    if bench.workload.schemas:
        columns += ("JSON",)
    rates = [one.bandwidth or bench.surroundings.bandwidth for one in bench.results]
    spread = Spread.of(rates)
    told = "the limit is unknown"
    if spread is not None:
        least, most = (f"{rate / 1e9:.0f}" for rate in (spread.least, spread.most))
        told = f"the limit is what {least} GB/s allow" if least == most else f"the limit: {least} to {most} GB/s"
    work = bench.workload
    title = (
        f"Speed: prompts of {work.prompt_tokens} tokens, answers of {work.new_tokens}; "
        f"cold is the first answer's first token; {told}"
    )
    rows = []
    for one in bench.results:
        fraction = bench.fraction(one)
        row: tuple[str, ...] = (
            str(one.case),
            _spent(one, IMPORTS),
            _spent(one, LOAD),
            "" if one.first is None else _number(one.first.time_to_first_token),
            _seconds(one.time_to_first_token),
            "" if one.prefill is None else _number(one.prefill.median),
            _rate(one.decode),
            _number(bench.limit(one)),
            "" if fraction is None else f"{fraction:.0%}",
            f"{one.cpu_seconds:.1f}",
        )
        if pulled:
            row += ("here already" if one.download is None else f"{one.download.seconds:.1f}",)
        if bench.workload.schemas:
            row += ("" if one.json_valid is None else f"{one.json_valid} of {bench.workload.schemas}",)
        rows.append(row)
    return Table(title, columns, tuple(rows))


def _memory(bench: Bench) -> Table:
    from alwrity_checks.model import Table

    rows = []
    for one in bench.results:
        loading, answering, released = (one.usage(name) for name in (LOAD, MEASURED, RELEASE))
        rows.append(
            (
                str(one.case),
                _mebi(one.peak_rss),
                _mebi(one.peak_anonymous),
                _mebi(None if loading is None else loading.peak_rss),
                _parts(None if loading is None else loading.after),
                _parts(None if answering is None else answering.after),
                _mebi(None if answering is None else answering.proportional),
                _mebi(None if released is None else released.after.resident),
            )
        )
    columns = ("case", "peak", "anonymous", "loading", "loaded", "answered", "answered, shared", "released")
    title = (
        "Memory in MiB: the kernel's peak, the most seen anonymous, the peak while loading; then resident (anonymous + "
        "file-backed); shared pages divided"
    )
    return Table(title, columns, tuple(rows))


def _parts(memory: Memory | None) -> str:
    if memory is None:
        return ""
    if memory.anonymous is None or memory.file_backed is None:
        return _mebi(memory.resident)
    return f"{_mebi(memory.resident)} ({_mebi(memory.anonymous)} + {_mebi(memory.file_backed)})"


def _picture(bench: Bench) -> Table:
    from alwrity_checks.model import Table
    from alwrity_checks.models.bench_picture import sparkline

    most = max((one.peak_rss or 0 for one in bench.results), default=0)
    rows = [
        (str(one.case), sparkline(one.samples, _LINE, most), f"{one.samples[-1].at:.1f}" if one.samples else "")
        for one in bench.results
    ]
    return Table(f"Memory over time; a full block is {_mebi(most)} MiB", ("case", "memory", "seconds"), tuple(rows))


def _compared(comparison: Comparison) -> list[Table]:
    from alwrity_checks.model import Table

    rows = []
    changes = [("every case", one) for one in comparison.changes]
    for one in comparison.differences:
        name = str(one.now.case)
        if one.then is None:
            changes.append((name, "not in the baseline"))
        changes += [(name, change) for change in one.changes]
        rows += [(name, ratio.figure, *_ratio(ratio, comparison)) for ratio in one.ratios]
    changes += [(str(one.case), "in the baseline only") for one in comparison.gone]
    where = "" if comparison.same_machine else " (measured on ANOTHER MACHINE: times say nothing of the software)"
    made = [Table(f"Against the baseline{where}", ("case", "figure", "then", "now", "ratio"), tuple(rows))]
    if changes:
        made.append(Table("What else is different", ("case", "difference"), tuple(changes)))
    return made


def _ratio(ratio: Ratio, comparison: Comparison) -> tuple[str, str, str]:
    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value / _MEBI:,.0f} MiB" if ratio.of_memory else f"{value:.3g}"

    known = ratio.ratio is not None and (comparison.same_machine or ratio.of_memory)
    return shown(ratio.then), shown(ratio.now), f"{ratio.ratio:.2f} x" if known else "-"


def comma_separated(bench: Bench) -> str:
    """Return a line for each case: bytes, seconds and rates as plain numbers."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    heads = (
        *("model", "runtime", "precision", "peak_rss", "peak_anonymous", "loading_peak_rss", "resident_after_load"),
        *("import_seconds", "load_seconds", "cpu_seconds", "wait_share", "first_answer_time_to_first_token"),
        *("time_to_first_token", "time_to_first_token_least", "time_to_first_token_most", "prefill_tokens_per_second"),
        *("tokens_per_second", "tokens_per_second_least", "tokens_per_second_most", "limit_tokens_per_second"),
        *("fraction_of_limit", "anonymous_after_load", "file_backed_after_load", "resident_after_release"),
        *("json_valid", "json_asked", "download_seconds", "download_bytes", "conversion_seconds", "failure"),
    )
    writer.writerow(heads)
    for one in bench.results:
        loading, imports, released = one.usage(LOAD), one.usage(IMPORTS), one.usage(RELEASE)
        first, decode, prefill = one.time_to_first_token, one.decode, one.prefill
        writer.writerow(
            (
                *(one.case.model, str(one.case.carrier), str(one.case.precision), one.peak_rss, one.peak_anonymous),
                *(loading and loading.peak_rss, loading and loading.after.resident),
                *(imports and imports.seconds, loading and loading.seconds, one.cpu_seconds, one.wait_share),
                one.first and one.first.time_to_first_token,
                *(first and first.median, first and first.least, first and first.most, prefill and prefill.median),
                *(decode and decode.median, decode and decode.least, decode and decode.most, bench.limit(one)),
                *(bench.fraction(one), loading and loading.after.anonymous, loading and loading.after.file_backed),
                released and released.after.resident,
                *(one.json_valid, bench.workload.schemas, one.download and one.download.seconds),
                *(one.download and one.download.bytes, one.prepared_seconds),
                one.failure.diagnosis if one.failure else "",
            )
        )
    return file.getvalue()


def _mebi(value: int | None) -> str:
    return "" if value is None else f"{value / _MEBI:,.0f}"


def _spent(result: Result, phase: str) -> str:
    usage = result.usage(phase)
    return "" if usage is None else f"{usage.seconds:.2f}"


def _seconds(spread: Spread | None) -> str:
    return "" if spread is None else _with_spread(spread, _number(spread.median))


def _rate(spread: Spread | None) -> str:
    return "" if spread is None else _with_spread(spread, _number(spread.median))


def _with_spread(spread: Spread, told: str) -> str:
    if spread.median <= 0 or (spread.most - spread.least) / spread.median <= _STEADY:
        return told
    return f"{told} ({_number(spread.least)} to {_number(spread.most)})"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are what a figure is worth
