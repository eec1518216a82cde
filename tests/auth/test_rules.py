"""The room's rules: complete, well formed, and each produced somewhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.rules import RULES, rule, rule_of
from alwrity_checks.model import Rule, Severity

ROOT = Path(__file__).parents[2]
EXPERIMENT = "checks/alwrity_checks/auth/"
"""Rules without a reason are shown by the room's experiment, whose sources name them."""

PRODUCED_BY = {
    "AUTH010": "tests/auth/test_publishable_key.py",
    "AUTH011": "tests/auth/test_publishable_key.py",
    "AUTH012": "tests/auth/test_publishable_key.py",
    "AUTH013": "tests/auth/test_publishable_key.py",
    "AUTH015": "tests/auth/test_publishable_key.py",
    "AUTH016": "tests/auth/test_publishable_key.py",
    "AUTH017": "tests/auth/test_publishable_key.py",
    "AUTH018": "tests/auth/test_publishable_key.py",
    "AUTH020": "tests/auth/test_publishable_key.py",
    "AUTH021": "tests/auth/test_publishable_key.py",
    "AUTH030": "tests/auth/test_pem.py",
    "AUTH031": "tests/auth/test_pem.py",
    "AUTH032": "tests/auth/test_pem.py",
    "AUTH033": "tests/auth/test_pem.py",
    "AUTH040": "tests/auth/test_fetch.py",
    "AUTH041": "tests/auth/test_fetch.py",
    "AUTH042": "tests/auth/test_fetch.py",
    "AUTH043": "tests/auth/test_fetch.py",
    "AUTH044": "tests/auth/test_fetch.py",
    "AUTH045": "tests/auth/test_fetch.py",
    "AUTH046": "tests/auth/test_fetch.py",
    "AUTH047": "tests/auth/test_fetch.py",
    "AUTH060": "tests/auth/test_compact.py",
    "AUTH061": "tests/auth/test_kinds.py",
    "AUTH062": "tests/auth/test_compact.py",
    "AUTH063": "tests/auth/test_kinds.py",
    "AUTH064": "tests/auth/test_compact.py",
    "AUTH065": "tests/auth/test_compact.py",
    "AUTH066": "tests/auth/test_compact.py",
    "AUTH070": "tests/auth/test_compact.py",
    "AUTH071": "tests/auth/test_claims.py",
    "AUTH072": "tests/auth/test_compact.py",
    "AUTH074": "tests/auth/test_claims.py",
    "AUTH080": "tests/auth/test_compact.py",
    "AUTH081": "tests/auth/test_compact.py",
    "AUTH082": "tests/auth/test_claims.py",
    "AUTH083": "tests/auth/test_claims.py",
    "AUTH085": "tests/auth/test_claims.py",
    "AUTH086": "tests/auth/test_claims.py",
    "AUTH087": "tests/auth/test_claims.py",
    "AUTH088": "tests/auth/test_claims.py",
    "AUTH089": "tests/auth/test_claims.py",
    "AUTH090": "tests/auth/test_claims.py",
    "AUTH092": "tests/auth/test_claims.py",
    "AUTH094": "tests/auth/test_fastapi.py",
    # Shown by the experiment
    "AUTH003": EXPERIMENT,
    "AUTH004": EXPERIMENT,
    "AUTH006": EXPERIMENT,
    "AUTH007": EXPERIMENT,
    "AUTH008": EXPERIMENT,
    "AUTH009": EXPERIMENT,
    "AUTH050": EXPERIMENT,
    "AUTH051": EXPERIMENT,
    "AUTH052": EXPERIMENT,
    "AUTH053": EXPERIMENT,
    "AUTH054": EXPERIMENT,
    "AUTH055": EXPERIMENT,
    "AUTH056": EXPERIMENT,
    # Found by the checks and by the diagnosis of a token
    "AUTH001": "tests/auth",
    "AUTH002": "tests/auth",
    "AUTH005": "tests/auth",
    "AUTH014": "tests/auth",
    "AUTH019": "tests/auth",
    "AUTH022": "tests/auth",
    "AUTH023": "tests/auth",
    "AUTH024": "tests/auth",
    "AUTH034": "tests/auth",
    "AUTH035": "tests/auth",
    "AUTH036": "tests/auth/test_libraries.py",
    "AUTH038": "tests/auth/test_check.py",
    "AUTH048": "tests/auth/test_key_source.py",
    "AUTH039": "tests/auth",
    "AUTH084": "tests/auth",
    "AUTH091": "tests/auth",
    "AUTH093": "tests/auth",
    # Found in a checkout's sources
    "AUTH100": "tests/auth/test_source.py",
    "AUTH101": "tests/auth/test_source.py",
    "AUTH102": "tests/auth/test_source.py",
    "AUTH103": "tests/auth/test_source.py",
}
"""Rule code -> the file, or the folder, in which it is produced."""

KNOWN_COMMAND = re.compile(
    r"alwrity-doctor (auth (reproduce|env|verify|har)\b|gate\b|explain\b|reproduce\b|scan\b|triage\b)"
    r"|pip install '[A-Za-z0-9]+[=<>]"
)


def names(code: str) -> re.Pattern[str]:
    """Return what names a rule in a source: its code, or one of its reasons."""
    reasons = [reason for reason in Reason if rule_of(reason).code == code]
    words = [code, *(f"Reason.{reason.name}" for reason in reasons), *(f'"{reason}"' for reason in reasons)]
    return re.compile("|".join(rf"{re.escape(word)}(?![A-Z_])" for word in words))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_breaks_exactly_one_rule(reason: Reason) -> None:
    """A reason belongs to one rule, which names it once."""
    import tomllib

    document = tomllib.loads((ROOT / "checks/alwrity_checks/auth/rules.toml").read_text("utf-8"))
    counted = Counter(
        named for group in document["group"] for entry in group["rule"] for named in entry.get("reasons", ())
    )
    assert counted[reason] == 1
    assert set(counted) <= set(Reason)
    assert rule_of(reason) in RULES


def test_codes_are_unique_and_ordered_words() -> None:
    """A code is the room's name and three digits, and stands for one rule."""
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"AUTH\d{3}", code) for code in codes)
    assert len({rule.title for rule in RULES}) == len(codes)


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.code)
def test_a_rule_is_well_formed(one: Rule) -> None:
    """A title is a statement, the texts are sentences, the commands are ones that exist."""
    assert one.issue == 1
    assert one.title == one.title.strip()
    assert not one.title.endswith(".")
    assert re.match(r"[a-z]|CLERK_|Clerk ", one.title)
    assert "\n" not in one.title
    for text in (one.explanation, one.remedy):
        assert text == text.strip(" ")
        assert text.rstrip().endswith(".")
        assert "\t" not in text
    assert one.severity in Severity
    assert 0 < one.precedence < 100
    for command in (one.reproduction, one.validation):
        assert KNOWN_COMMAND.search(command), command
    assert rule(one.code) is one


def test_an_unknown_code_is_an_error() -> None:
    """There is no rule without a code."""
    with pytest.raises(KeyError):
        rule("AUTH999")


def test_causes_come_before_effects() -> None:
    """Of a wrong deployment, key, server, token, signature, issuer and claim, the one before explains the one after."""
    chain = [
        Reason.UNVERIFIED_FALLBACK_ENABLED,
        Reason.PK_MISSING,
        Reason.CLOCK_SKEW,
        Reason.JWKS_DNS,
        Reason.TOKEN_NOT_JWT,
        Reason.ISSUER_MISMATCH_OTHER_INSTANCE,
        Reason.JWK_KID_MISMATCH,
        Reason.TOKEN_INVALID_SIGNATURE,
        Reason.TOKEN_EXPIRED,
        Reason.IMPERSONATION,
    ]
    precedences = [rule_of(reason).precedence for reason in chain]
    assert precedences == sorted(precedences)
    assert len(set(precedences)) == len(precedences)


def test_the_table_of_producers_is_complete() -> None:
    """Every rule has a place where it is produced, and the table names no rule that is gone."""
    assert set(PRODUCED_BY) == {one.code for one in RULES}


@pytest.mark.parametrize("code", sorted(PRODUCED_BY))
def test_a_rule_is_produced_where_the_table_says(code: str) -> None:
    """The file, or some file of the folder, names the rule or one of its reasons."""
    place = ROOT / PRODUCED_BY[code]
    here = Path(__file__).name
    sources = (
        [place] if place.suffix else [path for path in place.rglob("*.py") if path.name not in {here, "reasons.py"}]
    )
    pattern = names(code)
    assert any(pattern.search(path.read_text("utf-8")) for path in sources)
