"""Secrets of every kind, in every disguise, are found and do not come through; what is no secret does."""

from __future__ import annotations

import re

import pytest

from alwrity_checks import redaction
from alwrity_checks.logs.blocks import Block
from alwrity_checks.logs.matcher import Matcher, PlainFinder
from alwrity_checks.logs.secret_shapes import KINDS
from alwrity_checks.logs.secrets import PROBES, clean, found, suspicious, suspicious_lines
from alwrity_checks.logs.signatures import probes, signatures
from alwrity_checks.logs.views import ANSI
from tests.support.seeded_log import DISGUISES, JWT, PLAIN, SEEDS, Seed, disguised, seeded_lines

OUR_MASK = re.compile(r"…#[0-9a-f]{8}")


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_the_secret_is_gone_and_counted(seed: Seed) -> None:
    """Each kind is found in its own line, counted once, and masked; the rest of the line stays."""
    got = clean(seed.line.encode()).decode()
    assert seed.secret not in got
    assert OUR_MASK.search(got)
    counts = found(seed.line.encode())
    assert sum(counts.values()) >= 1
    assert set(counts) <= set(KINDS)
    before = seed.line[: seed.line.index(seed.secret)]
    assert got[:4] == before[:4] or before == ""


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_helps(seed: Seed, disguise: str) -> None:
    """Neither colours nor percent signs nor escapes nor base64, whatever stands before it, bring a secret through."""
    if disguise not in {"plain", "coloured"} and ("└" in seed.line or "->" in seed.line or "\\'" in seed.line):
        pytest.skip("a line of a traceback is a line by itself")
    line = disguised(seed.line, disguise)
    got = clean(line.encode()).decode()
    assert found(line.encode())
    assert seed.secret not in ANSI.sub("", got)
    assert not any(seed.secret in other for other in _read_every_way(got))


def _read_every_way(text: str) -> list[str]:
    """Return what somebody who tries would read out of `text`."""
    import base64
    import contextlib
    from urllib.parse import unquote

    read = [unquote(text), unquote(unquote(text))]
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", text):
        for skipped in range(4):
            piece = run[skipped:].replace("-", "+").replace("_", "/")
            with contextlib.suppress(ValueError):
                read.append(base64.b64decode(piece[: len(piece) // 4 * 4]).decode("latin-1"))
    return read


@pytest.mark.parametrize("line", PLAIN)
def test_other_lines_stay_as_they_are(line: str) -> None:
    """A cleaned log gives the same triage: what speaks of tokens and holds none is not touched."""
    assert clean(line.encode()) == line.encode()
    assert not {kind: count for kind, count in found(line.encode()).items() if kind != "publishable key"}


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("    token: str = 'opaque-value-123'", "opaque-value-123"),
        ("aws secret wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0 refused", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0"),
        ("the password is hunter2longpass9", "hunter2longpass9"),
        ("curl -s -u admin:hunter2pass https://x.example", "hunter2pass"),
    ],
)
def test_a_secret_needs_no_equals_sign(line: str, secret: str) -> None:
    """A type, a space, or an option of curl between the name and the value hides nothing from us."""
    assert secret not in clean(line.encode()).decode()
    assert found(line.encode())["named secret"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "Unexpected token in the answer of mistralai/Mistral-7B-Instruct-v0.3:groq",
        "the password is wrong",
        "Token verification failed for endpoint: GET /api/onboarding/status",
        "curl -u is not an option of 2026-11-28 06:36:00",
    ],
)
def test_ordinary_words_behind_a_name_are_no_secret(line: str) -> None:
    """What only looks as if a value followed stays as it is."""
    assert clean(line.encode()) == line.encode()


def test_cleaning_twice_changes_nothing() -> None:
    """A mask is no secret: a cleaned log that is cleaned again is the same, and holds nothing."""
    for line, _ in seeded_lines():
        once = clean(line.encode())
        assert clean(once) == once, line
        assert not found(once), line


def test_what_the_redaction_of_reports_masks_is_masked_here_too() -> None:
    """Whatever `redaction.scrub` would mask in a seeded line, no cleaned line holds any more."""
    for line, _ in seeded_lines():
        got = clean(line.encode()).decode()
        assert redaction.scrub(got) == got, line


def test_wrapped_secrets_of_this_process_are_masked() -> None:
    """A value that the program itself has wrapped is a secret wherever it stands."""
    redaction.Secret("an-ordinary-looking value")
    assert b"ordinary-looking" not in clean(b"token of the user: an-ordinary-looking value, refused")


def test_equal_people_and_secrets_stay_equal() -> None:
    """A user or an e-mail address has one mask, in whatever line and encoding; two have two."""
    first, second, third, fourth = (
        OUR_MASK.findall(clean(line).decode())
        for line in (
            b"for user user_2abcDEF123456789 done",
            b"user=user_2abcDEF123456789 | x",
            b"workspace/workspace_user_2abcDEF123456789/indices",
            b"for user user_9xyzDEF123456789 done",
        )
    )
    assert first == second == third != fourth
    mails = [OUR_MASK.findall(clean(line).decode()) for line in (b"Alice@Example.com", b"q=alice%40example.com")]
    assert mails[0] == mails[1]


def test_masks_agree_between_processes_of_one_run() -> None:
    """A worker that adopts the run's key masks as its parent does."""
    import subprocess
    import sys

    line = "for user user_2abcDEF123456789 done"
    program = (
        "import sys; from alwrity_checks.redaction import adopt_key; adopt_key(bytes.fromhex(sys.argv[1]))\n"
        "from alwrity_checks.logs.secrets import clean; print(clean(sys.argv[2].encode()).decode(), end='')"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-X", "utf8", "-c", program, redaction.shared_key().hex(), line],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert done.stdout == clean(line.encode()).decode()


def test_publishable_keys_are_public_and_counted() -> None:
    """They stay, because they tell the instance; what stands beside them does not."""
    line = f"CLERK_PUBLISHABLE_KEY=pk_live_Y2xlcmsuZXhhbXBsZS5jb20k token={JWT}".encode()
    got = clean(line)
    assert b"pk_live_Y2xlcmsuZXhhbXBsZS5jb20k" in got
    assert b"c2lnbmF0dXJl" not in got
    assert found(line) == {"publishable key": 1, "token": 1}


def test_bytes_that_are_no_text_come_back() -> None:
    """Latin-1, broken UTF-8 and NUL around a secret are given back as they were."""
    line = b"\xff\xfe caf\xe9 \x00 token=Opaque77secret \xc3( end"
    got = clean(line)
    assert b"Opaque77" not in got
    assert got.startswith(b"\xff\xfe caf\xe9 \x00 token=")
    assert got.endswith(b" \xc3( end")


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.id)
def test_probes_hold_to_what_every_engine_reads(probe: object) -> None:
    """Each has a literal, and its pattern keeps to the subset that grep, `re` and hyperscan share."""
    from alwrity_checks.logs.probe import Probe

    assert isinstance(probe, Probe)
    assert probe.literal
    assert not re.search(rb"\(\?|\\[a-zA-Z0-9]|[*+?}]\?", probe.pattern)
    re.compile(probe.pattern)


def test_the_probes_see_the_seeds_that_are_common() -> None:
    """What stands in the backend's own lines is hit by a probe, so that the engine hands it over."""
    wanted = {
        "session token in an access line", "bearer", "first fifty characters of the header", "Hugging Face",
        "Clerk secret key", "database URL", "value of a variable", "private key in one line", "set-cookie",
    }  # fmt: skip
    for seed in SEEDS:
        line = seed.line.encode()
        hit = any(probe.literal in line and re.search(probe.pattern, line) for probe in PROBES)
        assert hit or seed.name not in wanted, seed.name


def test_a_cleaned_log_has_the_same_counts() -> None:
    """Cleaning takes nothing from the sample of any signature that its pattern, or another one, needs."""
    matcher = Matcher(probes(), PlainFinder)

    def matched(line: bytes) -> tuple[int, ...]:
        hits = matcher.hits(Block(line, 0, 0, len(line)), [])
        return hits[0].probes if hits else ()

    for signature in signatures():
        for sample in signature.samples:
            line = sample.encode()
            assert matched(clean(line)) == matched(line) != (), sample


def test_a_block_is_told_as_its_lines_are() -> None:
    """Looking for suspicious lines in a whole block finds those, and only those, that are so by themselves."""
    lines = [line.encode() for seeded, _ in seeded_lines() for line in (seeded, PLAIN[len(seeded) % len(PLAIN)])]
    starts = set(suspicious_lines(b"\n".join(lines)))
    position = 0
    for line in lines:
        assert (position in starts) is suspicious(line), line
        position += len(line) + 1
