"""The signatures of every room: what they match, and what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.logs.formats import read_record
from alwrity_checks.logs.machines import MACHINES, TOKENS
from alwrity_checks.logs.readings import READERS
from alwrity_checks.logs.signatures import SUBSYSTEMS, Signature, by_id, probes, signatures

SAMPLES = [(one, sample) for one in signatures() for sample in one.samples]


def matching(line: bytes) -> list[str]:
    """Return the ids of the signatures that match a line."""
    return [one.id for one in signatures() if one.literal in line and (not one.pattern or re.search(one.pattern, line))]


@pytest.mark.parametrize(("signature", "sample"), SAMPLES, ids=[f"{one.id}-{n}" for n, (one, _) in enumerate(SAMPLES)])
def test_a_sample_matches_its_own_signature_and_no_other(signature: Signature, sample: str) -> None:
    """No line is counted twice, unless the signature says so."""
    assert set(matching(sample.encode())) - set(signature.overlaps) == {signature.id}


@pytest.mark.parametrize("signature", signatures(), ids=lambda one: one.id)
def test_a_signature_is_whole(signature: Signature) -> None:
    """It has samples, a known rule and subsystem, and each of its expressions is found in one of its samples."""
    assert signature.samples
    assert signature.literal
    assert signature.meaning
    assert signature.subsystem in SUBSYSTEMS
    assert signature.id.startswith(f"{signature.room}.")
    codes = {signature.rule, *(variant.rule for variant in signature.variants)} - {None}
    assert codes <= rules().keys()
    assert signature.reader is None or (signature.reader in READERS and "text" in signature.entities)
    for expression in signature.entities.values():
        assert re.compile(expression).groups == 1
        assert any(re.search(expression, sample) for sample in signature.samples)
    for variant in signature.variants:
        re.compile(variant.pattern)


@pytest.mark.parametrize("signature", signatures(), ids=lambda one: one.id)
def test_a_pattern_means_the_same_to_grep_re_and_hyperscan(signature: Signature) -> None:
    """It keeps to what all three read alike: no look-around, lazy quantifier, class escape or word anchor."""
    pattern = signature.pattern.decode()
    assert "(?" not in pattern
    assert not re.search(r"[*+?}][?+]", pattern)
    assert not re.search(r"\\[A-Za-z0-9<>'`/-]", pattern)
    assert "$" not in pattern, "a line may end with a carriage return"


@pytest.mark.skipif(shutil.which("grep") is None, reason="there is no grep here")
def test_grep_counts_what_the_patterns_count() -> None:
    """GNU grep -E in the C locale finds exactly the samples that re finds, for each signature."""
    text = "\n".join(sample for _, sample in SAMPLES).encode() + b"\n"
    for probe in probes():
        pattern = probe.pattern or re.sub(rb"([][\\.*^$(){}+?|])", rb"\\\1", probe.literal)
        told = subprocess.run(  # noqa: S603 - our own patterns
            ["grep", "-c", "-a", "-E", "-e", pattern],  # noqa: S607 - whichever grep is installed
            input=text,
            capture_output=True,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            check=False,
        )
        wanted = sum(bool(re.search(pattern, line)) for line in text.splitlines())
        assert int(told.stdout) == wanted, probe.id


def test_a_signature_holds_in_every_format() -> None:
    """The message decides: a sample in another format, coloured, or wrapped, matches the same."""
    for signature, sample in SAMPLES:
        record = read_record(sample.encode())
        if record.format != "F1" or not record.level:
            continue
        place, message = record.place.replace(":", ":f:"), record.message.decode()
        for line in (
            f"06:36:55 | {record.level:<8} | req=a job=- user=- | {place} - {message}",
            f"2026-03-10 07:32:57.855 | {record.level:<8} | {place} - {message}",
            f"07:51:49 | {record.level:<8} | {record.place} | {message}",
            f"\x1b[32m06:36:55\x1b[0m | \x1b[31m{record.level:<8}\x1b[0m | {place} - \x1b[31m\x1b[1m{message}\x1b[0m",
            f"2026-03-10T06:36:48.123Z stdout F 06:36:48 | {record.level:<8} | {place} - {message}",
            f"backend-1  | 06:36:48 | {record.level:<8} | {place} - {message}",
        ):
            assert matching(line.encode()) == [signature.id], line


def test_the_tokens_are_those_of_signatures_and_machines_that_exist() -> None:
    """What the machines read is written by signatures of the catalogue."""
    assert TOKENS.keys() <= by_id().keys()
    assert {machine for machine, _, _ in TOKENS.values()} == MACHINES.keys()
